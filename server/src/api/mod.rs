//! The JSON API for programs, under `/api`.
//!
//! It stands beside the session and not behind it: no cookie is looked at here, and no bearer token
//! anywhere else. Whoever calls brings an access token of the provider's for this application
//! (RFC 6750); [`caller`] turns it into a person or a program, and the handlers say who may what, by its guards.
//! Errors are problem details (RFC 9457). `docs/api.md` is for those who call.

pub mod audit;
pub mod caller;
pub mod on_behalf_of;
pub mod openapi;
pub mod users;

use axum::middleware::from_fn_with_state;

use self::caller::Gate;
use crate::error::AppError;
use crate::session::access::{Everyone, Guard};
use crate::state::AppState;
use crate::web::group::{Group, Routes};

/// Everything below `/api`; without the API there is nothing there.
pub fn routes(state: &AppState) -> Routes {
    let Some(api) = &state.config.api else {
        return nothing::<Everyone>(state);
    };
    let document = openapi::document(&state.config.public_url, api);
    let everyone =
        Group::new().get("/api/openapi.json", move |_: Everyone| openapi::serve(document.clone())).guarded(state);
    let people = Group::<caller::Person>::new()
        .get("/api/v1/me", users::me)
        .get("/api/v1/me/manager", users::my_manager)
        .guarded(state);
    let user_readers = Group::<caller::UserReader>::new().get("/api/v1/users", users::list).guarded(state);
    let audit_readers = Group::<caller::AuditReader>::new().get("/api/v1/audit", audit::list).guarded(state);
    let guarded = nothing::<caller::Caller>(state).merge(people).merge(user_readers).merge(audit_readers);
    // Of the routes alone: a layer would wrap the fallback of the whole router as well.
    let router = guarded.router.route_layer(from_fn_with_state(Gate::new(state), caller::authenticate));
    Routes { router, ..guarded }.merge(everyone)
}

/// 404 for whatever has no route of its own.
fn nothing<G: Guard>(state: &AppState) -> Routes {
    let not_found = async |_: G| AppError::NotFound;
    Group::<G>::new().any("/api", not_found).any("/api/", not_found).any("/api/{*rest}", not_found).guarded(state)
}
