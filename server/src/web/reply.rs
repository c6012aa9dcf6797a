//! Handlers: extract, call, respond. Nothing here decides what the rest of the server can decide.

use axum::extract::{FromRequestParts, Path};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Redirect, Response};
use store::models::is_id;

use crate::error::AppError;
use crate::state::AppState;
use crate::web::assets::{favicon_url, stylesheet_url};
use crate::web::cookies::{self, Notice};
use crate::web::pages::{Frame, Provider};

/// The `{id}` of a path; 404 for what is no id of a row.
#[derive(Clone, Debug)]
pub struct RowId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for RowId {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AppError> {
        let id = Path::<String>::from_request_parts(parts, state).await;
        id.ok().map(|Path(id)| id).filter(|id| is_id(id)).map(Self).ok_or(AppError::NotFound)
    }
}

/// What is around an askama page, in the reader's colours.
#[must_use]
pub fn frame(headers: &HeaderMap) -> Frame<'static> {
    Frame::new(cookies::theme(headers), stylesheet_url(), favicon_url())
}

/// Who signs people in, as pages name them; `name` is that of [`entra::oidc::OidcClient::provider_name`].
#[must_use]
pub fn provider<'a>(state: &AppState, name: &'a str) -> Provider<'a> {
    if state.oidc.is_entra() {
        return Provider::MICROSOFT;
    }
    Provider { name, is_microsoft: false }
}

/// 303 to `path`, which then shows `notice`.
#[must_use]
pub fn redirect_with(state: &AppState, path: &str, notice: Notice) -> Response {
    redirect_with_code(state, path, notice.code())
}

/// 303 to `path`, which then shows the message of `code`.
pub(crate) fn redirect_with_code(state: &AppState, path: &str, code: &str) -> Response {
    let mut response = Redirect::to(path).into_response();
    cookies::set_notice(response.headers_mut(), code, state.config.public_url.is_https());
    response
}
