//! The one error at the HTTP edge.
//!
//! The rule: modules fail with enums of their own ([`thiserror`]), which know no HTTP. Handlers
//! and middleware fail with [`AppError`], into which `?` turns them. It has two texts: the one
//! that its `Display` gives goes to the log; the one in [`Notice`] is for the reader of the page
//! and never tells about the inside. The page itself, HTML or problem details (RFC 9457), is made
//! by [`crate::web::middleware::error_page`] from the [`Notice`] that travels with the response.

pub mod accept;
pub mod challenge;

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use store::DbError;

use crate::error::challenge::Challenge;

/// How long a client waits before it asks again for what is unavailable.
const UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(10);

/// Who can fix a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fixer {
    /// The person who reads the page.
    You,
    /// An administrator of this application or of the tenant.
    Administrator,
    /// Whoever develops or operates this application.
    Developer,
    /// Nobody needs to: it passes.
    Time,
}

impl Fixer {
    /// The heading over the remedy.
    #[must_use]
    pub fn heading(self) -> &'static str {
        match self {
            Self::You => "What you can do",
            Self::Administrator => "Your administrator can fix this",
            Self::Developer => "The developers of this application can fix this",
            Self::Time => "This usually passes",
        }
    }
}

/// Why a request is answered with an error.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// 404: there is nothing here.
    #[error("not found")]
    NotFound,
    /// 403: the person may not do this.
    #[error("forbidden: {reason}")]
    Forbidden {
        /// What is missing, for the log; the page has its own words about roles.
        reason: Cow<'static, str>,
    },
    /// 403: an unsafe request that does not come from a page of ours.
    #[error("cross-site request refused: {detail}")]
    CrossSite {
        /// Which header says so; for the log.
        detail: &'static str,
    },
    /// 400: the request makes no sense.
    #[error("bad request: {message}")]
    BadRequest {
        /// A sentence for the person; empty for the page's own words.
        message: Cow<'static, str>,
    },
    /// 413: the body is larger than any form of ours.
    #[error("the body is too large")]
    TooLarge,
    /// 401: nobody is signed in, or the bearer token is not valid.
    #[error("unauthorized")]
    Unauthorized,
    /// 400, 401 or 403 of the API: the bearer token does not do.
    #[error("bearer token refused: {}", .0.description())]
    Challenged(Box<Challenge>),
    /// 403 of the API: the token is good, but whom it is for may not do this.
    #[error("not admitted: {message}")]
    NotAdmitted {
        /// A sentence for whoever calls.
        message: &'static str,
    },
    /// 429: the allowance is used up.
    #[error("too many requests")]
    TooManyRequests {
        /// When there is some again.
        retry_after: Duration,
    },
    /// 503: something that this application needs does not answer; worth another try.
    #[error("unavailable: {detail}")]
    Unavailable {
        /// What it is; for the log.
        detail: String,
    },
    /// 500: a fault of ours. The source is logged and never shown.
    #[error("internal error")]
    Internal(#[source] Box<dyn Error + Send + Sync>),
}

impl AppError {
    /// A fault of ours, from an error or a text.
    #[must_use]
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }

    /// 403, with what is missing, for the log.
    #[must_use]
    pub fn forbidden(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Forbidden { reason: reason.into() }
    }

    /// 400 with a sentence for the person.
    #[must_use]
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::BadRequest { message: message.into() }
    }

    /// 503, with what does not answer, for the log.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::Unavailable { detail: detail.into() }
    }

    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forbidden { .. } | Self::CrossSite { .. } | Self::NotAdmitted { .. } => StatusCode::FORBIDDEN,
            Self::Challenged(challenge) => challenge.status(),
            Self::BadRequest { .. } => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn log(&self) {
        match self {
            Self::Internal(source) => tracing::error!(error = chain(source.as_ref()), "internal error"),
            Self::Unavailable { .. } | Self::CrossSite { .. } => tracing::warn!(error = %self, "request refused"),
            _ => tracing::debug!(error = %self, "request refused"),
        }
    }

    fn header(&self) -> Option<(axum::http::HeaderName, HeaderValue)> {
        match self {
            Self::Unauthorized => Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            Self::Challenged(challenge) => Some((WWW_AUTHENTICATE, challenge.header())),
            Self::TooManyRequests { retry_after } => Some((RETRY_AFTER, whole_seconds(*retry_after))),
            Self::Unavailable { .. } => Some((RETRY_AFTER, whole_seconds(UNAVAILABLE_RETRY_AFTER))),
            _ => None,
        }
    }

    fn into_notice(self) -> Notice {
        match self {
            Self::BadRequest { message } => {
                Notice { what: Some(message).filter(|message| !message.is_empty()), ..Notice::default() }
            }
            Self::Challenged(challenge) => {
                Notice { what: Some(Cow::Owned(challenge.description())), ..Notice::default() }
            }
            Self::NotAdmitted { message } => Notice { what: Some(Cow::Borrowed(message)), ..Notice::default() },
            Self::CrossSite { .. } => Notice::CROSS_SITE,
            Self::Unauthorized => Notice::UNAUTHORIZED,
            _ => Notice::default(),
        }
    }
}

/// What the page of an error says instead of the words of its status; an extension of the response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// What it is, in a few words.
    pub title: Option<&'static str>,
    /// What happened.
    pub what: Option<Cow<'static, str>>,
    /// Who can fix it, and how.
    pub remedy: Option<(Fixer, &'static str)>,
}

impl Notice {
    const CROSS_SITE: Self = Self {
        title: Some("This request was stopped"),
        what: Some(Cow::Borrowed(
            "It would have changed something, but it did not come from a page of this application. Nothing was changed.",
        )),
        remedy: Some((
            Fixer::You,
            "Go back, reload the page, and try again. If a link elsewhere brought you here, do not follow it.",
        )),
    };

    const UNAUTHORIZED: Self = Self {
        title: Some("You are not signed in"),
        what: Some(Cow::Borrowed("This needs to know who you are, and your request does not say so.")),
        remedy: Some((Fixer::You, "Sign in, then try again. A program sends a valid access token.")),
    };
}

impl From<Challenge> for AppError {
    fn from(challenge: Challenge) -> Self {
        Self::Challenged(Box::new(challenge))
    }
}

impl From<DbError> for AppError {
    /// 503 for trouble that passes, 500 for everything else.
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unavailable(_) => Self::unavailable(error.to_string()),
            _ => Self::internal(error),
        }
    }
}

impl From<diesel::result::Error> for AppError {
    fn from(error: diesel::result::Error) -> Self {
        DbError::from(error).into()
    }
}

impl From<axum::extract::rejection::FormRejection> for AppError {
    fn from(rejection: axum::extract::rejection::FormRejection) -> Self {
        form_error(rejection.status())
    }
}

impl From<axum::extract::rejection::RawFormRejection> for AppError {
    fn from(rejection: axum::extract::rejection::RawFormRejection) -> Self {
        form_error(rejection.status())
    }
}

fn form_error(status: StatusCode) -> AppError {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return AppError::TooLarge;
    }
    AppError::bad_request("The form is incomplete or not what this page sends.")
}

impl From<askama::Error> for AppError {
    fn from(error: askama::Error) -> Self {
        Self::internal(error)
    }
}

impl From<tower_sessions::session::Error> for AppError {
    /// The store is the database: what it cannot do now it can later.
    fn from(error: tower_sessions::session::Error) -> Self {
        match error {
            tower_sessions::session::Error::Store(error) => Self::unavailable(error.to_string()),
            error => Self::internal(error),
        }
    }
}

impl IntoResponse for AppError {
    /// Logs the inside and answers with the status and a [`Notice`].
    fn into_response(self) -> Response {
        self.log();
        let status = self.status();
        let header = self.header();
        let mut response = (status, axum::Extension(self.into_notice())).into_response();
        response.headers_mut().extend(header);
        response
    }
}

/// An error and what caused it, each cause once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

/// Seconds for `Retry-After` (RFC 9110 section 10.2.3), rounded up, at least 1.
fn whole_seconds(duration: Duration) -> HeaderValue {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    HeaderValue::from(seconds.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_rounded_up_to_whole_seconds() {
        for (millis, seconds) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2"), (59_999, "60")] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
        }
    }

    #[test]
    fn f_20_trouble_of_the_database_that_passes_is_503() {
        for (error, status) in [
            (DbError::Unavailable("no connection".to_owned()), StatusCode::SERVICE_UNAVAILABLE),
            (DbError::Query(diesel::result::Error::NotFound), StatusCode::INTERNAL_SERVER_ERROR),
            (DbError::Migration("x".to_owned()), StatusCode::INTERNAL_SERVER_ERROR),
            (DbError::Interrupted, StatusCode::INTERNAL_SERVER_ERROR),
        ] {
            assert_eq!(AppError::from(error).status(), status);
        }
        let broken = AppError::from(diesel::result::Error::BrokenTransactionManager).into_response();
        assert_eq!(broken.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(broken.headers()[RETRY_AFTER], "10");
    }

    #[test]
    fn v_16_5_the_notice_never_holds_the_inside() {
        let errors = [
            AppError::internal("canary"),
            AppError::unavailable("canary"),
            AppError::forbidden("canary"),
            AppError::CrossSite { detail: "canary" },
        ];
        for error in errors {
            assert!(format!("{error:?}").contains("canary"));
            let notice = error.into_notice();
            assert!(!format!("{notice:?}").contains("canary"), "{notice:?}");
        }
    }

    #[test]
    fn each_cause_is_logged_once() {
        let cause = DbError::Query(diesel::result::Error::RollbackTransaction);
        assert_eq!(chain(&cause), cause.to_string());
        let error = AppError::internal(cause);
        assert_eq!(chain(&error), format!("internal error: {}", error.source().expect("a source")));
    }
}
