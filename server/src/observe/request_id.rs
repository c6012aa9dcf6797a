//! Gives each request its id, its span and its line in the log.
//!
//! The id is what a person copies from an error page and what an operator searches the log for.
//! Queries, cookies and bodies never enter the log: they may hold codes, states and tokens.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, Uri};
use axum::response::Response;
use tracing::{Span, field};
use uuid::Uuid;

use crate::observe::{metrics, telemetry};

use crate::observe::client::{self, ClientInfo, TrustedProxies};

/// Carries the id, in requests of trusted proxies and in every response.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The most bytes of a path that are logged.
const LOGGED_PATH_LENGTH: usize = 512;

/// The id of a request; an extension of every request.
///
/// A UUID of version 7 in 36 characters, or what a trusted proxy calls the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub String);

impl RequestId {
    fn of(request: &Request, proxies: &TrustedProxies) -> Self {
        let given = request.headers().get(X_REQUEST_ID).and_then(plain);
        let given = given.filter(|_| proxies.contains(client::peer(request)));
        Self(given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned))
    }
}

/// The text of a header that is short and holds nothing but letters, digits, `-`, `_` and `.`.
fn plain(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?;
    let fits = (8..=64).contains(&text.len());
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    (fits && is_plain).then_some(text)
}

/// Who makes a request, for its line in the log; an extension of every request, named once that is known.
#[derive(Clone, Debug, Default)]
pub struct Actor(Arc<OnceLock<String>>);

impl Actor {
    /// Says who it is, by the row's id: the first word counts.
    pub fn is(&self, user_id: &str) {
        let _ = self.0.set(user_id.to_owned());
    }
}

/// What is written down about one request.
pub(crate) struct Journal {
    started: Instant,
    id: String,
    trace_id: Option<String>,
    method: Method,
    uri: Uri,
    route: Option<MatchedPath>,
    address: IpAddr,
    actor: Actor,
    span: Span,
}

impl Journal {
    /// Puts [`RequestId`] and [`ClientInfo`] into the request's extensions.
    pub(crate) fn begin(request: &mut Request, proxies: &TrustedProxies) -> Self {
        let started = Instant::now();
        let id = RequestId::of(request, proxies);
        let client = ClientInfo::of(request, proxies);
        let (method, uri, address) = (request.method().clone(), request.uri().clone(), client.address);
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(id.clone());
        let actor = Actor::default();
        request.extensions_mut().insert(actor.clone());
        let route = request.extensions().get::<MatchedPath>().cloned();
        // At the level of errors, so that no filter separates an error from its request.
        let span = tracing::error_span!("request", request_id = id.0, trace_id = field::Empty);
        let trace_id = telemetry::continue_trace(&span, request.headers());
        Self { started, id: id.0, trace_id, method, uri, route, address, actor, span }
    }

    /// What is logged within belongs to this request.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Names the request in the response, and logs it: one line a request; static files and
    /// probes, which come by the second, only when asked for.
    pub(crate) fn end(self, response: &mut Response) {
        let Self { id, method, address, .. } = &self;
        // The line says all that the span would, and to write out a span is a third of the work of a line; but a trace
        // takes what is logged within.
        let _entered = cfg!(feature = "otel").then(|| self.span.enter());
        let path = bounded(self.uri.path());
        let status = response.status().as_u16();
        metrics::request(method, self.route.as_ref(), status, self.started.elapsed());
        let user = self.actor.0.get().map(String::as_str);
        let trace_id = self.trace_id.as_deref();
        let duration_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        if is_quiet(path) {
            tracing::debug!(request_id = id, trace_id, %method, path, status, duration_us, client = %address, user, "request");
        } else {
            tracing::info!(request_id = id, trace_id, %method, path, status, duration_us, client = %address, user, "request");
        }
        if let Ok(id) = HeaderValue::try_from(self.id) {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
    }
}

fn is_quiet(path: &str) -> bool {
    path.starts_with("/assets/") || matches!(path, "/favicon.ico" | "/healthz" | "/readyz")
}

/// The start of `path`, cut between characters.
fn bounded(path: &str) -> &str {
    let longest = path.len().min(LOGGED_PATH_LENGTH);
    let mut starts = (0..=longest).rev().map(|end| path.get(..end));
    starts.find_map(|start| start).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn id(given: &str, trusted: &str) -> String {
        let proxies = TrustedProxies::new(vec![trusted.parse().expect("a network")]);
        let request = Request::builder().header(X_REQUEST_ID, given).body(Body::empty());
        RequestId::of(&request.expect("a request"), &proxies).0
    }

    #[test]
    fn s_11_the_id_of_a_stranger_does_not_count() {
        let id = id("0123456789abcdef", "10.0.0.0/8");
        assert_eq!(Uuid::parse_str(&id).expect("a UUID").get_version_num(), 7);
        assert_eq!(id.len(), 36);
    }

    #[test]
    fn s_11_a_proxy_names_the_request_if_the_name_is_short_and_plain() {
        for plain in ["0123456789abcdef", "01JD-abc_1.2", "a".repeat(64).as_str()] {
            assert_eq!(id(plain, "127.0.0.0/8"), plain);
        }
        let long = "a".repeat(65);
        for odd in ["short", "with blank", "<script>alert(1)</script>", "a\tb-0123456", "", long.as_str()] {
            assert_ne!(id(odd, "127.0.0.0/8"), odd);
        }
    }

    #[test]
    fn a_logged_path_is_bounded_between_characters() {
        assert_eq!(bounded("/short"), "/short");
        assert_eq!(bounded(&"/".repeat(9_000)).len(), LOGGED_PATH_LENGTH);
        assert_eq!(bounded(&format!("/{}", "ü".repeat(9_000))).len(), LOGGED_PATH_LENGTH - 1);
    }
}
