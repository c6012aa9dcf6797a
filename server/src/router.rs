//! Every route in one list, by whom it is for, and the layers around them.

use axum::Router;
use cookie::SameSite;
use tower_sessions::{Expiry, SessionManagerLayer};

use crate::admin::{actions, bulk, directory_sync, export, mappings, suggestions};
use crate::api;
use crate::config::ProviderKind;
use crate::diagnostics::readiness;
use crate::error::AppError;
use crate::paths::{CALLBACK, SIGNED_OUT};
use crate::session::access::{Admin, Everyone, SignedIn};
use crate::session::store::DieselStore;
use crate::session::{current_user, session_cookie};
use crate::sign_in::{callback, sign_out};
use crate::state::AppState;
use crate::web::assets;
use crate::web::group::{Group, RouteInfo, Routes};
#[cfg(debug_assertions)]
use crate::web::live_reload;
use crate::web::middleware::security_headers::REPORTS;
use crate::web::middleware::{self, FurtherOrigins, StackSettings};
use crate::web::{app_pages, csp_reports, profile, theme};

/// The application as a service: routes, sessions, and what is around every response.
pub fn build(state: AppState) -> Router {
    let app = around(&state, with_session(&state).router, without_session(&state).router);
    #[cfg(debug_assertions)]
    if state.config.live_reload {
        return live_reload::around(app, state.shutdown.clone());
    }
    app
}

/// Every route, and whom it is for.
#[must_use]
pub fn list(state: &AppState) -> Vec<RouteInfo> {
    with_session(state).merge(without_session(state)).list
}

/// The routes that know who is signed in.
#[must_use]
pub fn with_session(state: &AppState) -> Routes {
    everyone(state)
        .merge(signed_in(state))
        .merge(administrators(state))
        .merge(sensitive_acts(state))
        // The pages: app/src/routes.rs lists them.
        .merge(app_pages::routes(state))
}

fn everyone(state: &AppState) -> Routes {
    Group::<Everyone>::new()
        .get("/auth/sign-in", callback::sign_in_page)
        .post("/auth/sign-in", callback::begin)
        .get(CALLBACK, callback::callback_query)
        .post(CALLBACK, callback::callback_form)
        .post("/auth/sign-out", sign_out::sign_out)
        .get(SIGNED_OUT, sign_out::signed_out_page)
        .get("/auth/front-channel-logout", sign_out::front_channel_logout)
        .post("/auth/back-channel-logout", sign_out::back_channel_logout)
        .post("/theme", theme::choose)
        .guarded(state)
}

/// What is one's own.
fn signed_in(state: &AppState) -> Routes {
    Group::<SignedIn>::new()
        .get("/profile/photo", profile::photo)
        .get("/profile/data", profile::data)
        .post("/profile/sessions/{id}/end", profile::end_own_session)
        .post("/profile/sign-out-everywhere", profile::sign_out_everywhere)
        .guarded(state)
}

fn administrators(state: &AppState) -> Routes {
    Group::<Admin>::new()
        .get("/admin/users.csv", export::users)
        .get("/admin/audit.csv", export::audit)
        .get("/admin/users/suggestions", suggestions::users)
        .post("/admin/users/{id}/enable", actions::enable_user)
        .post("/admin/users/{id}/sign-out", actions::sign_out_user)
        .post("/admin/sessions/{id}/end", actions::end_session)
        .post("/admin/grants/{id}/refresh", actions::refresh_now)
        .post("/admin/grants/{id}/forget", actions::forget_grant)
        .post("/admin/health/examine", actions::examine_now)
        .guarded(state)
}

/// Acts that need a fresh sign-in (`ADMIN_SIGN_IN_MAX_AGE`, `ADMIN_AUTH_CONTEXT`; ASVS 7.5.3). `GET` asks the
/// question again that the sign-in interrupted.
fn sensitive_acts(state: &AppState) -> Routes {
    Group::<Admin>::new()
        .get("/admin/users/{id}/disable", actions::disable_user)
        .post("/admin/users/{id}/disable", actions::disable_user)
        .get("/admin/users/{id}/delete", actions::erase_user)
        .post("/admin/users/{id}/delete", actions::erase_user)
        .get("/admin/users/{id}/roles", actions::change_role)
        .post("/admin/users/{id}/roles", actions::change_role)
        .get("/admin/groups/mappings", mappings::change_mapping)
        .post("/admin/groups/mappings", mappings::change_mapping)
        .get("/admin/health/directory-sync", directory_sync::allow_directory_sync)
        .post("/admin/health/directory-sync", directory_sync::allow_directory_sync)
        .get("/admin/users/bulk", bulk::act_on_many)
        .post("/admin/users/bulk", bulk::act_on_many)
        .step_up(state, (&state.config.admin_acts).into())
        .guarded(state)
}

fn without_session(state: &AppState) -> Routes {
    Group::<Everyone>::new()
        .post(REPORTS, csp_reports::receive)
        .get("/healthz", readiness::live)
        .get("/readyz", readiness::ready)
        .get("/assets/{file}", assets::serve)
        .get("/favicon.ico", assets::favicon)
        .guarded(state)
        .merge(api::routes(state))
}

/// What is around every response: `with_session` are routes that know who is signed in, behind the guard by path.
pub fn around(state: &AppState, with_session: Router<AppState>, without_session: Router<AppState>) -> Router {
    let routes = with_session
        // Spelled out, so that no router that is merged later brings one to which nobody has to sign in.
        .fallback(async || AppError::NotFound)
        .layer(axum::middleware::from_fn_with_state(state.clone(), current_user::authenticate))
        .layer(session_layer(state))
        .merge(without_session);
    middleware::apply(routes.with_state(state.clone()), &stack_settings(state))
}

fn stack_settings(state: &AppState) -> StackSettings {
    let config = &state.config;
    let provider_url = match &config.provider.kind {
        ProviderKind::Entra { authority, .. } => authority.clone(),
        ProviderKind::Generic { issuer } => issuer.clone(),
    };
    StackSettings {
        public_url: config.public_url.clone(),
        trusted_proxies: config.trusted_proxies.clone(),
        auth_rate_limit: config.auth_rate_limit,
        hsts_include_subdomains: config.hsts_include_subdomains,
        provider_urls: vec![provider_url],
        further_origins: further_origins(state),
    }
}

/// Entra's endpoints are all on the authority; another provider's metadata may name other origins.
fn further_origins(state: &AppState) -> Option<FurtherOrigins> {
    let state = state.clone();
    (!state.oidc.is_entra()).then(|| FurtherOrigins::new(move || state.oidc.further_origins()))
}

/// Lax, since the way back from the provider is a cross-site navigation; the
/// browser forgets it at its end, the server earlier.
fn session_layer(state: &AppState) -> SessionManagerLayer<DieselStore> {
    let https = state.config.public_url.is_https();
    SessionManagerLayer::new(DieselStore::new(state.clone()))
        .with_name(session_cookie::name(https))
        .with_secure(https)
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_expiry(Expiry::OnSessionEnd)
}
