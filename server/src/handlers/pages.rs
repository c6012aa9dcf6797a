//! The Leptos pages: gives each request its context and renders.

use std::sync::Arc;

use app::backend::provide_backend;
use app::model::{PageContext, Viewer};
use app::{App, ResponseStatus, shell};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use cookie::SameSite;
use leptos::nonce::Nonce as LeptosNonce;
use leptos::prelude::{provide_context, use_context};
use leptos_axum::{LeptosRoutes as _, ResponseOptions, generate_route_list};

use crate::assets::{favicon_url, islands_url, stylesheet_url};
use crate::backend::ServerBackend;
use crate::cookies;
use crate::error::AppError;
use crate::graph_sync;
use crate::middleware::security_headers::Nonce;
use crate::models::GraphCache;
use crate::state::AppState;
use crate::viewer::{CurrentUser, MaybeUser};

/// Adds every page of [`app::routes`] to the router.
pub fn routes(state: &AppState) -> Router<AppState> {
    let pages = generate_route_list(App);
    let context_state = state.clone();
    Router::new()
        .leptos_routes_with_context(state, pages, move || provide(&context_state), shell)
        .layer(axum::middleware::from_fn_with_state(state.clone(), prepare))
}

/// What the middleware found out for the page, since a page's context is made without waiting.
#[derive(Clone, Debug)]
struct Prepared {
    has_photo: bool,
}

/// Middleware around pages: looks up what their context needs, and drops a shown flash message.
async fn prepare(
    State(state): State<AppState>,
    MaybeUser(viewer): MaybeUser,
    headers: HeaderMap,
    mut request: Request,
    next: Next,
) -> Result<Response, AppError> {
    let has_photo = match &viewer {
        Some(viewer) if state.graph.is_some() => {
            let mut conn = state.db.read().await?;
            GraphCache::has_photo(&mut conn, &viewer.user.id).await?
        }
        _ => false,
    };
    request.extensions_mut().insert(Prepared { has_photo });
    let https = state.config.public_url.is_https();
    let shows_flash = cookies::notice(&headers, https).is_some();
    let mut response = next.run(request).await;
    if shows_flash {
        cookies::remove(response.headers_mut(), cookies::host_name("flash", https), https, SameSite::Lax);
    }
    Ok(response)
}

fn provide(state: &AppState) {
    let Some(parts) = use_context::<Parts>() else {
        return;
    };
    if let Some(nonce) = parts.extensions.get::<Nonce>() {
        provide_context(LeptosNonce::from_value(nonce.0.clone()));
    }
    if let Some(options) = use_context::<ResponseOptions>() {
        provide_context(ResponseStatus::new(move |code| {
            options.set_status(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
        }));
    }
    let viewer = parts.extensions.get::<CurrentUser>().cloned();
    let page = page_context(state, &parts, viewer.as_ref());
    provide_backend(Arc::new(ServerBackend::new(state.clone(), viewer)), page);
}

fn page_context(state: &AppState, parts: &Parts, viewer: Option<&CurrentUser>) -> PageContext {
    let has_photo = parts.extensions.get::<Prepared>().is_some_and(|prepared| prepared.has_photo);
    PageContext {
        csrf_token: viewer.map(|viewer| viewer.csrf_token(state)).unwrap_or_default(),
        viewer: viewer.map(|viewer| Viewer {
            id: viewer.user.id.clone(),
            name: viewer.user.name().to_owned(),
            upn: viewer.user.upn.clone(),
            has_photo,
            is_admin: viewer.user.has_role(crate::user_sync::ADMIN),
        }),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        flash: cookies::notice(&parts.headers, state.config.public_url.is_https()),
        theme: cookies::theme(&parts.headers),
        stylesheet_url: stylesheet_url().to_owned(),
        favicon_url: favicon_url().to_owned(),
        islands_url: islands_url().map(str::to_owned),
        graph_enabled: state.graph.is_some(),
        now: graph_sync::rfc3339(state.shared_now()),
    }
}
