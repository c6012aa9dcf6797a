//! The way out: one trait that the HTTP client implements and tests replace.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use http::header::{ACCEPT, RETRY_AFTER};
use http::{HeaderMap, Request, Response};

use crate::http::{HttpClient, HttpError};

/// The longest wait that a `Retry-After` can ask of us; more is an error at the other end.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Sends requests to the provider and to Microsoft Graph.
///
/// Implementations follow no redirects, bound time and size, and speak `https` except to loopback.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends `request` once and returns the response, whose body has at most `limit` bytes.
    ///
    /// # Errors
    /// [`HttpError`] when there is no complete response.
    async fn send(&self, request: Request<Vec<u8>>, limit: usize) -> Result<Response<Vec<u8>>, HttpError>;

    /// As [`Transport::send`], for requests that may be repeated: it retries.
    ///
    /// # Errors
    /// [`HttpError`] when there is no complete response.
    async fn send_idempotent(&self, request: Request<Vec<u8>>, limit: usize) -> Result<Response<Vec<u8>>, HttpError>;
}

#[async_trait]
impl Transport for HttpClient {
    async fn send(&self, request: Request<Vec<u8>>, limit: usize) -> Result<Response<Vec<u8>>, HttpError> {
        HttpClient::send(self, request, limit).await
    }

    async fn send_idempotent(&self, request: Request<Vec<u8>>, limit: usize) -> Result<Response<Vec<u8>>, HttpError> {
        HttpClient::send_idempotent(self, request, limit).await
    }
}

/// A GET request for JSON.
///
/// # Errors
/// `http::Error` if `url` cannot be a request target.
pub(crate) fn get_json(url: &str) -> Result<Request<Vec<u8>>, http::Error> {
    Request::get(url).header(ACCEPT, "application/json").body(Vec::new())
}

/// How long `Retry-After` asks to wait: seconds or an HTTP date (RFC 9110, section 10.2.3), at
/// most [`MAX_RETRY_AFTER`]; `None` without a readable one.
pub(crate) fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
        true => Duration::from_secs(value.parse().unwrap_or(u64::MAX)),
        false => {
            let date = DateTime::parse_from_rfc2822(value).ok()?;
            (date.with_timezone(&Utc) - now).to_std().unwrap_or_default()
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}
