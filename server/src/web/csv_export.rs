//! CSV exports: RFC 4180, streamed batch by batch, and safe to open in a spreadsheet.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use csv::{QuoteStyle, Terminator, WriterBuilder};
use futures_util::{Stream, StreamExt as _, stream};

use crate::error::AppError;

/// One line of the file: its values in the order of the header.
pub type Record = Vec<String>;

/// A download called `file_name` with a header row and the records of `batches`.
///
/// Each batch is sent before the next one is asked for. One that fails breaks the transfer off, so
/// that the client does not take a part for the whole.
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
    let mut writer =
        WriterBuilder::new().quote_style(QuoteStyle::Always).terminator(Terminator::CRLF).from_writer(Vec::new());
    for record in records {
        writer.write_record(record.iter().map(|value| defuse(value)))?;
    }
    // A vector takes everything: only the flush of a failing writer could fail.
    Ok(writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?.into())
}

/// What a spreadsheet takes for the begin of a formula, or strips to find one (OWASP, CSV injection).
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Puts `'` before what a spreadsheet would run as a formula: names come from the directory, where people may choose
/// them. Also inside a value: where the list separator is `;` or a tab, only the first field of a line counts as quoted,
/// and each `;`, tab and line break of the others begins a cell.
fn defuse(value: &str) -> String {
    let mut safe = String::with_capacity(value.len() + 1);
    let mut before = None;
    for (at, c) in value.char_indices() {
        let begins_cell = matches!(before, None | Some(';' | '\t' | '\r' | '\n')) && (before, c) != (Some('\r'), '\n');
        // Quotes there may open a cell of their own, and what follows them is what it holds.
        if begins_cell && value[at..].trim_start_matches(['"', ' ']).starts_with(FORMULA) {
            safe.push('\'');
        }
        safe.push(c);
        before = Some(c);
    }
    safe
}

#[cfg(test)]
mod tests {
    use csv::ReaderBuilder;

    use super::*;

    fn encoded(values: &[&str]) -> String {
        let record = values.iter().map(|&value| value.to_owned()).collect();
        String::from_utf8(encode(&[record]).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn records_are_rfc_4180_and_every_field_is_quoted() {
        assert_eq!(encoded(&["a", "b c", ""]), "\"a\",\"b c\",\"\"\r\n");
        assert_eq!(encoded(&["a,b", "say \"hi\"", "two\r\nlines"]), "\"a,b\",\"say \"\"hi\"\"\",\"two\r\nlines\"\r\n");
        assert_eq!(encoded(&["1-1", "a=b", "a; b"]), "\"1-1\",\"a=b\",\"a; b\"\r\n", "harmless ones are as they were");
    }

    #[test]
    fn no_cell_begins_like_a_formula_whichever_separator_the_spreadsheet_uses() {
        let formula = |cell: &str| cell.starts_with(FORMULA);
        let openings = [
            "",
            "x;",
            "x;;",
            "x;\"",
            "x;\"\"",
            "x; ",
            "x\t",
            "x\n",
            "x\r\n",
            "x\r",
            "\"",
            "x;\r\n",
            "x;\"\"\";",
            ";\t",
        ];
        for opening in openings {
            for begin in FORMULA {
                let value = format!("{opening}{begin}cmd|' /C calc'!A0");
                for record in
                    [[value.as_str(), "b", "c"], ["a", &value, "c"], ["x;", &value, &value], ["a\"", "b;", &value]]
                {
                    let file = format!("{}{}", encoded(&["h1", "h2", "h3"]), encoded(&record));
                    for separator in [b',', b';', b'\t'] {
                        let mut reader = ReaderBuilder::new();
                        let reader = reader.delimiter(separator).flexible(true).has_headers(false);
                        for row in reader.from_reader(file.as_bytes()).records() {
                            let row = row.expect("a record");
                            let bad = row.iter().find(|cell| formula(cell));
                            assert_eq!(bad, None, "{:?} of {file:?}", char::from(separator));
                        }
                    }
                }
            }
        }
    }
}
