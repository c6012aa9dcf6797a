//! Handlers: extract, call, respond. Nothing here decides what the rest of the server can decide.

pub mod admin;
pub mod auth;
pub mod health;
pub mod pages;
pub mod profile;
pub mod theme;

use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};

use crate::assets::{favicon_url, stylesheet_url};
use crate::cookies::{self, Notice};
use crate::pages::Frame;
use crate::state::AppState;

/// What is around an askama page, in the reader's colours.
#[must_use]
pub fn frame(headers: &HeaderMap) -> Frame<'static> {
    Frame::new(cookies::theme(headers), stylesheet_url(), favicon_url())
}

/// 303 to `path`, which then shows `notice`.
#[must_use]
pub fn redirect_with(state: &AppState, path: &str, notice: Notice) -> Response {
    let mut response = Redirect::to(path).into_response();
    cookies::set_notice(response.headers_mut(), notice, state.config.public_url.is_https());
    response
}
