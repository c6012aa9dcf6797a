//! `POST /csp-reports`: browsers tell of what the Content Security Policy stopped (Reporting API; CSP Level 3, section
//! 5; ASVS 3.4.7). A report is a line in the log: no database, no answer to read.
//!
//! Anybody can post here, so what is kept of a report is little, plain and bounded, and so is the number of lines. Queries
//! of addresses are dropped: those of the callback hold codes.

use std::num::NonZeroU32;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde::Deserialize;
use url::Url;

use crate::session::access::Everyone;

/// The most bytes of a text that are logged.
const MAX_TEXT: usize = 200;

/// The most reports of one post that are looked at.
const MAX_REPORTS: usize = 10;

/// Reports logged a minute; a broken page makes every browser send some.
const LINES_A_MINUTE: NonZeroU32 = NonZeroU32::new(60).expect("not zero");

static LINES: LazyLock<DefaultDirectRateLimiter> =
    LazyLock::new(|| RateLimiter::direct(Quota::per_minute(LINES_A_MINUTE)));

/// One violation, from either format.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Violation {
    #[serde(alias = "documentURL", alias = "document-uri")]
    document: String,
    #[serde(alias = "blockedURL", alias = "blocked-uri")]
    blocked: String,
    #[serde(alias = "effectiveDirective", alias = "effective-directive")]
    directive: String,
}

/// An element of `application/reports+json`.
#[derive(Debug, Deserialize)]
struct Report {
    #[serde(rename = "type")]
    kind: String,
    body: serde_json::Value,
}

/// The whole of `application/csp-report`, which `report-uri` sends.
#[derive(Debug, Deserialize)]
struct OldReport {
    #[serde(rename = "csp-report")]
    violation: Violation,
}

/// Takes reports in either format.
///
/// Answers 204; 415 for another content type, 400 for what is no report.
pub async fn receive(_: Everyone, headers: HeaderMap, body: Bytes) -> StatusCode {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let violations = match content_type.split(';').next().unwrap_or_default().trim() {
        "application/reports+json" => serde_json::from_slice::<Vec<Report>>(&body).map(violations),
        "application/csp-report" => serde_json::from_slice::<OldReport>(&body).map(|report| vec![report.violation]),
        _ => return StatusCode::UNSUPPORTED_MEDIA_TYPE,
    };
    let Ok(violations) = violations else {
        return StatusCode::BAD_REQUEST;
    };
    for violation in violations.iter().take_while(|_| LINES.check().is_ok()) {
        log(violation);
    }
    StatusCode::NO_CONTENT
}

fn violations(reports: Vec<Report>) -> Vec<Violation> {
    let ours = reports.into_iter().filter(|report| report.kind == "csp-violation").take(MAX_REPORTS);
    ours.filter_map(|report| serde_json::from_value(report.body).ok()).collect()
}

fn log(violation: &Violation) {
    let document = Url::parse(&violation.document).map(|url| url.path().to_owned()).unwrap_or_default();
    tracing::warn!(
        document = plain(&document),
        blocked = plain(&source(&violation.blocked)),
        directive = plain(&violation.directive),
        "a browser reports that the Content Security Policy stopped something"
    );
}

/// What was stopped: the origin and path of an address, or a word such as `inline`.
fn source(blocked: &str) -> String {
    match Url::parse(blocked) {
        Ok(url) if url.has_host() => format!("{}{}", url.origin().ascii_serialization(), url.path()),
        Ok(url) => url.scheme().to_owned(),
        Err(_) => blocked.to_owned(),
    }
}

/// Printable ASCII, cut.
fn plain(text: &str) -> String {
    text.chars().filter(|letter| letter.is_ascii_graphic() || *letter == ' ').take(MAX_TEXT).collect()
}
