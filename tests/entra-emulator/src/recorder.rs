//! What was asked of the emulator: a counter per endpoint and the latest requests, without their secrets.

use std::collections::VecDeque;
use std::sync::Mutex;

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::Serialize;

use crate::endpoint::Endpoint;
use crate::sync::lock;

/// How many requests are kept.
const KEPT: usize = 20_000;
/// Parameters whose values never leave the request.
const SECRET: [&str; 9] = [
    "access_token",
    "assertion",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "id_token_hint",
    "password",
    "refresh_token",
];
/// Headers that are kept as they are.
const KEPT_HEADERS: [&str; 9] = [
    "accept",
    "client-request-id",
    "content-type",
    "origin",
    "prefer",
    "referer",
    "return-client-request-id",
    "sec-fetch-site",
    "user-agent",
];

/// A request as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// Which endpoint was asked.
    pub endpoint: Endpoint,
    /// HTTP method.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Parameters of the query and of the form, in order; secrets read `[redacted]`.
    pub parameters: Vec<(String, String)>,
    /// Some headers (lower-case names); of `authorization` only the scheme.
    pub headers: Vec<(String, String)>,
    /// When it came, by the emulator's clock, in seconds since the epoch.
    pub at: i64,
    /// Status of the answer, once there is one.
    pub status: Option<u16>,
}

impl Recorded {
    /// The first value of a parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        find(&self.parameters, name)
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Counters and records of one emulator.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    counts: [u64; Endpoint::ALL.len()],
    /// How many records were dropped at the front.
    dropped: u64,
    records: VecDeque<Recorded>,
}

impl Log {
    fn count(&mut self, endpoint: Endpoint) -> Option<&mut u64> {
        let position = Endpoint::ALL.iter().position(|known| *known == endpoint)?;
        self.counts.get_mut(position)
    }
}

impl Recorder {
    /// Counts and keeps a request; returns its number for [`Recorder::answered`].
    pub(crate) fn record(&self, endpoint: Endpoint, parts: &Parts, body: &[u8], at: i64) -> u64 {
        let recorded = Recorded {
            endpoint,
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            parameters: parameters(parts, body),
            headers: headers(&parts.headers),
            at,
            status: None,
        };
        let mut log = lock(&self.log);
        if let Some(count) = log.count(endpoint) {
            *count += 1;
        }
        if log.records.len() >= KEPT {
            log.records.pop_front();
            log.dropped += 1;
        }
        log.records.push_back(recorded);
        log.dropped + log.records.len() as u64 - 1
    }

    /// Notes the status that request `number` was answered with.
    pub(crate) fn answered(&self, number: u64, status: u16) {
        let mut log = lock(&self.log);
        let position = number.checked_sub(log.dropped).and_then(|position| usize::try_from(position).ok());
        if let Some(record) = position.and_then(|position| log.records.get_mut(position)) {
            record.status = Some(status);
        }
    }

    pub(crate) fn count(&self, endpoint: Endpoint) -> u64 {
        lock(&self.log).count(endpoint).map_or(0, |count| *count)
    }

    pub(crate) fn records(&self) -> Vec<Recorded> {
        lock(&self.log).records.iter().cloned().collect()
    }

    /// Forgets records and sets the counters to zero.
    pub(crate) fn clear(&self) {
        let mut log = lock(&self.log);
        log.dropped += log.records.len() as u64;
        log.records.clear();
        log.counts = Default::default();
    }
}

fn parameters(parts: &Parts, body: &[u8]) -> Vec<(String, String)> {
    let query = parts.uri.query().unwrap_or_default();
    let mut pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
    if is_form(&parts.headers) {
        pairs.extend(serde_urlencoded::from_bytes::<Vec<(String, String)>>(body).unwrap_or_default());
    }
    for (name, value) in &mut pairs {
        if SECRET.contains(&name.as_str()) {
            "[redacted]".clone_into(value);
        }
    }
    pairs
}

/// Whether the body is a form.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"))
}

fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut kept: Vec<(String, String)> = KEPT_HEADERS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), headers.get(*name)?.to_str().ok()?.to_owned())))
        .collect();
    if let Some(scheme) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.split(' ').next()) {
        kept.push(("authorization".to_owned(), scheme.to_owned()));
    }
    kept
}
