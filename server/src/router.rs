//! Every route in one list, and the layers around them.

use axum::Router;
use axum::routing::{get, post};
use cookie::SameSite;
use tower_sessions::{Expiry, SessionManagerLayer};

use crate::config::ProviderKind;
use crate::error::AppError;
use crate::handlers::{admin, auth, csp_reports, export, health, pages, profile, sign_out, suggestions, theme};
#[cfg(debug_assertions)]
use crate::live_reload;
use crate::middleware::security_headers::REPORTS;
use crate::middleware::{self, FurtherOrigins, StackSettings, session_cookie};
use crate::session_store::DieselStore;
use crate::state::AppState;
use crate::step_up;
use crate::viewer;
use crate::{api, assets};

/// The application as a service: routes, sessions, and what is around every response.
pub fn build(state: AppState) -> Router {
    let routes = Router::new()
        // Signing in and out.
        .route("/auth/sign-in", get(auth::sign_in_page).post(auth::begin))
        .route(auth::CALLBACK_PATH, get(auth::callback_query).post(auth::callback_form))
        .route("/auth/sign-out", post(sign_out::sign_out))
        .route(sign_out::SIGNED_OUT_PATH, get(sign_out::signed_out_page))
        .route("/auth/front-channel-logout", get(sign_out::front_channel_logout))
        .route("/auth/back-channel-logout", post(sign_out::back_channel_logout))
        // One's own.
        .route("/profile/photo", get(profile::photo))
        .route("/profile/sessions/{id}/end", post(profile::end_own_session))
        .route("/profile/sign-out-everywhere", post(profile::sign_out_everywhere))
        .route("/theme", post(theme::choose))
        // Administrators.
        .route("/admin/users.csv", get(export::users))
        .route("/admin/audit.csv", get(export::audit))
        .route("/admin/users/suggestions", get(suggestions::users))
        .route("/admin/users/{id}/enable", post(admin::enable_user))
        .route("/admin/users/{id}/sign-out", post(admin::sign_out_user))
        .route("/admin/sessions/{id}/end", post(admin::end_session))
        .route("/admin/grants/{id}/refresh", post(admin::refresh_now))
        .route("/admin/grants/{id}/forget", post(admin::forget_grant))
        .route("/admin/health/examine", post(admin::examine_now))
        // The pages: app/src/routes.rs lists them.
        .merge(pages::routes(&state))
        .merge(sensitive_acts(&state))
        // Spelled out, so that no router that is merged later brings one to which nobody has to sign in.
        .fallback(async || AppError::NotFound)
        .layer(axum::middleware::from_fn_with_state(state.clone(), viewer::authenticate))
        .layer(session_layer(&state));
    let routes = routes
        // None of these has a session.
        .merge(api::routes(&state))
        .route(REPORTS, post(csp_reports::receive))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/assets/{file}", get(assets::serve))
        .route("/favicon.ico", get(assets::favicon));
    let app = middleware::apply(routes.with_state(state.clone()), &stack_settings(&state));
    #[cfg(debug_assertions)]
    if state.config.live_reload {
        return live_reload::around(app, state.shutdown.clone());
    }
    app
}

/// Acts that need a fresh sign-in (`ADMIN_SIGN_IN_MAX_AGE`, `ADMIN_AUTH_CONTEXT`; ASVS 7.5.3). `GET` asks the
/// question again that the sign-in interrupted.
fn sensitive_acts(state: &AppState) -> Router<AppState> {
    let routes = Router::new()
        .route("/admin/users/{id}/disable", get(admin::disable_user).post(admin::disable_user))
        .route("/admin/users/{id}/roles", get(admin::change_role).post(admin::change_role))
        .route("/admin/groups/mappings", get(admin::change_mapping).post(admin::change_mapping))
        .route("/admin/health/directory-sync", get(admin::allow_directory_sync).post(admin::allow_directory_sync))
        .route("/admin/users/bulk", get(admin::act_on_many).post(admin::act_on_many));
    step_up::require(state, (&state.config.admin_acts).into(), routes)
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
        provider_urls: vec![provider_url],
        further_origins: further_origins(state),
    }
}

/// Entra's endpoints are all on the authority; another provider's metadata may name other origins.
fn further_origins(state: &AppState) -> Option<FurtherOrigins> {
    let state = state.clone();
    (!state.oidc.is_entra()).then(|| FurtherOrigins::new(move || state.oidc.further_origins()))
}

/// Lax, since the way back from the provider is a cross-site navigation (`docs/requirements.tsv` L-17); the
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
