//! CSV exports: RFC 4180, streamed batch by batch, and safe to open in a spreadsheet.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use csv::{Terminator, WriterBuilder};
use futures_util::{Stream, StreamExt as _, stream};

use crate::error::AppError;

/// One line of the file: its values in the order of the header.
pub type Record = Vec<String>;

/// A download called `file_name` with a header row and the records of `batches`.
///
/// Each batch is sent before the next one is asked for. One that fails breaks the transfer off, so
/// that the reader does not take a part for the whole.
///
/// # Errors
/// [`AppError`] when the header cannot be written: a mistake of ours.
pub fn download<E>(
    file_name: &str,
    header: &[&str],
    batches: impl Stream<Item = Result<Vec<Record>, E>> + Send + 'static,
) -> Result<Response, AppError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let header = header.iter().map(|&name| name.to_owned()).collect();
    let first = encode(&[header]).map_err(AppError::internal)?;
    let rest = batches.map(|batch| match batch {
        Ok(records) => encode(&records).map_err(axum::Error::new),
        Err(error) => {
            tracing::error!(%error, "an export broke off");
            Err(axum::Error::new(error))
        }
    });
    let body = Body::from_stream(stream::once(async move { Ok(first) }).chain(rest));
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{file_name}\""));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
        (header::CONTENT_DISPOSITION, disposition.map_err(AppError::internal)?),
    ];
    Ok((headers, body).into_response())
}

fn encode(records: &[Record]) -> Result<Bytes, csv::Error> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    for record in records {
        writer.write_record(record.iter().map(|value| defuse(value).into_owned()))?;
    }
    // A vector takes everything: only the flush of a failing writer could fail.
    Ok(writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?.into())
}

/// Puts `'` before what a spreadsheet would run as a formula (OWASP, CSV injection): names come
/// from the directory, where people may choose them.
fn defuse(value: &str) -> std::borrow::Cow<'_, str> {
    let is_formula = value.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if is_formula { format!("'{value}").into() } else { value.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(values: &[&str]) -> String {
        let record = values.iter().map(|&value| value.to_owned()).collect();
        String::from_utf8(encode(&[record]).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn records_are_rfc_4180() {
        assert_eq!(encoded(&["a", "b c", ""]), "a,b c,\r\n");
        assert_eq!(encoded(&["a,b", "say \"hi\"", "two\r\nlines"]), "\"a,b\",\"say \"\"hi\"\"\",\"two\r\nlines\"\r\n");
    }

    #[test]
    fn no_value_begins_like_a_formula() {
        for value in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"] {
            let text = encoded(&[value, "x"]);
            assert!(text.trim_start_matches('"').starts_with('\''), "{text:?}");
        }
        assert_eq!(encoded(&["1-1", "a=b"]), "1-1,a=b\r\n", "inside a value they are harmless");
    }
}
