//! The JSON API for programs, under `/api`.
//!
//! It stands beside the session and not behind it: no cookie is looked at here, and no bearer token
//! anywhere else. Whoever calls brings an access token of the provider's for this application
//! (RFC 6750); [`caller`] turns it into a person or a program, and the handlers say who may what.
//! Errors are problem details (RFC 9457). `docs/api.md` is for those who call.

pub mod caller;
pub mod challenge;
pub mod on_behalf_of;
pub mod openapi;
pub mod users;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get};

use crate::error::AppError;
use crate::state::AppState;

/// Everything below `/api`; without the API there is nothing there.
pub fn routes(state: &AppState) -> Router<AppState> {
    let Some(api) = &state.config.api else {
        return nothing();
    };
    let document = openapi::document(&state.config.public_url, api);
    let guarded = nothing()
        .route("/api/v1/me", get(users::me))
        .route("/api/v1/me/manager", get(users::my_manager))
        .route("/api/v1/users", get(users::list))
        // Of the routes alone: a layer would wrap the fallback of the whole router as well.
        .route_layer(from_fn_with_state(state.clone(), caller::authenticate));
    Router::new().route("/api/openapi.json", get(move || openapi::serve(document.clone()))).merge(guarded)
}

/// 404 for whatever has no route of its own.
fn nothing() -> Router<AppState> {
    let not_found = || any(async || AppError::NotFound);
    Router::new().route("/api", not_found()).route("/api/", not_found()).route("/api/{*rest}", not_found())
}
