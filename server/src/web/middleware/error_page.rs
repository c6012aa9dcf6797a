//! Turns errors into pages: HTML for people, problem details (RFC 9457) for programs.
//!
//! It replaces the body of what an [`AppError`] made, of what axum itself
//! refuses (no such route, method, media type, body) and of a handler that panicked. Pages that a
//! handler rendered itself pass through.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use askama::Template as _;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, COOKIE};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::accept::is_program;
use crate::error::{AppError, Notice};
use crate::observe::panics;
use crate::observe::request_id::RequestId;
use crate::web::pages::{ErrorPage, Frame};
use crate::web::{assets, cookies};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The response of a handler, or that of an internal error when it panics.
pub(super) async fn catch_panic(handler: impl Future<Output = Response>) -> Response {
    // A handler owns all that it changes; what it shares is behind locks and transactions.
    let outcome = AssertUnwindSafe(handler).catch_unwind().await;
    outcome.unwrap_or_else(|panic| panicked(panic.as_ref()))
}

fn panicked(panic: &(dyn Any + Send)) -> Response {
    AppError::internal(format!("a handler panicked: {}", panics::note(panic))).into_response()
}

/// Errors of ours, and those that axum answers with a line of text or nothing. Service
/// unavailable is left alone, because probes answer so in plain text.
fn needs_page(response: &Response) -> bool {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return false;
    }
    let content_type = response.headers().get(CONTENT_TYPE);
    let is_bare = content_type.is_none_or(|value| value.as_bytes().starts_with(b"text/plain"));
    let is_ours = response.extensions().get::<Notice>().is_some();
    is_ours || (is_bare && status != StatusCode::SERVICE_UNAVAILABLE)
}

/// What a request says about whom the page is for. Cheap to keep: nothing is read before an error.
pub(super) struct Reader {
    accept: Vec<HeaderValue>,
    cookies: Option<HeaderValue>,
    uri: Uri,
    id: Option<RequestId>,
}

impl Reader {
    /// Takes what it needs from a request that is about to be given away.
    pub(super) fn of(request: &Request) -> Self {
        Self {
            accept: request.headers().get_all(ACCEPT).iter().cloned().collect(),
            cookies: request.headers().get(COOKIE).cloned(),
            uri: request.uri().clone(),
            id: request.extensions().get().cloned(),
        }
    }

    /// The response itself, or, if it is an error without a page, with the page as its body;
    /// status and other headers stay.
    pub(super) fn page(&self, mut response: Response) -> Response {
        if !needs_page(&response) {
            return response;
        }
        let notice = response.extensions_mut().remove::<Notice>().unwrap_or_default();
        let page = self.words(response.status(), &notice);
        let (content_type, body) = if is_program(self.uri.path(), &self.accept) {
            (PROBLEM, problem(&page))
        } else {
            (HTML, page.render().unwrap_or_else(|_| page.title.to_owned()))
        };
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        response.headers_mut().remove(CONTENT_LENGTH);
        *response.body_mut() = Body::from(body);
        response
    }

    fn words<'a>(&'a self, status: StatusCode, notice: &'a Notice) -> ErrorPage<'a> {
        let frame = Frame::new(cookies::theme_in(&self.cookies), assets::stylesheet_url(), assets::favicon_url());
        let id = self.id.as_ref().map_or("", |id| id.0.as_str());
        let page = ErrorPage::new(frame, status.as_u16(), id);
        let (fixer, remedy) = notice.remedy.unwrap_or((page.fixer, page.remedy));
        ErrorPage {
            title: notice.title.unwrap_or(page.title),
            what: notice.what.as_deref().unwrap_or(page.what),
            fixer,
            remedy,
            ..page
        }
    }
}

/// Problem details (RFC 9457, section 3), with the request id as an extension member.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// `about:blank`: the status says it all.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The words of the status.
    title: String,
    /// The status.
    status: u16,
    /// What happened.
    detail: String,
    /// Finds the request in the log.
    request_id: String,
}

fn problem(page: &ErrorPage<'_>) -> String {
    let status = StatusCode::from_u16(page.status).ok();
    let problem = Problem {
        kind: "about:blank",
        title: status.and_then(|status| status.canonical_reason()).unwrap_or(page.title).to_owned(),
        status: page.status,
        detail: page.what.to_owned(),
        request_id: page.reference.request_id.to_owned(),
    };
    serde_json::to_string(&problem).unwrap_or_default()
}
