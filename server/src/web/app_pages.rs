//! The Leptos pages: gives each request its context and renders.

use std::pin::Pin;
use std::sync::Arc;

use any_spawner::Executor;
use app::backend::provide_backend;
use app::model::{PageContext, Viewer};
use app::{Audience, ResponseStatus, Route};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use cookie::SameSite;
use leptos::nonce::Nonce as LeptosNonce;
use leptos::prelude::{provide_context, use_context};
use leptos_axum::{ResponseOptions, render_app_async_with_context};

use crate::admin::backend::ServerBackend;
use crate::session::access::{Admin, Everyone, Guard, SignedIn};
use crate::session::current_user::CurrentUser;
use crate::state::AppState;
use crate::web::assets::{favicon_url, islands_url, stylesheet_url};
use crate::web::cookies;
use crate::web::group::{Group, Routes};
use crate::web::middleware::security_headers::Nonce;

/// Every page of [`app::routes`], behind the guard that it names.
pub fn routes(state: &AppState) -> Routes {
    // Leptos spawns and yields there; a second application in this process finds it done.
    let _ = Executor::init_tokio();
    let pages = pages_for::<Everyone>(state, Audience::Everyone)
        .merge(pages_for::<SignedIn>(state, Audience::SignedIn))
        .merge(pages_for::<Admin>(state, Audience::Admins));
    let router = pages.router.layer(axum::middleware::from_fn_with_state(state.clone(), drop_flash));
    Routes { router, ..pages }
}

fn pages_for<G: Guard>(state: &AppState, audience: Audience) -> Routes {
    let pages = app::routes().into_iter().filter(|route| route.audience == audience);
    pages.fold(Group::<G>::new(), |group, route| group.get(route.path, page::<G>(state.clone(), route))).guarded(state)
}

/// A page is complete, with its status, before its first byte is sent.
fn page<G>(
    state: AppState,
    route: Route,
) -> impl Fn(G, Request) -> Pin<Box<dyn Future<Output = Response> + Send>> + Clone + Send + Sync + 'static {
    let render = render_app_async_with_context(move || provide(&state), move || route.render());
    move |_, request| render(request)
}

/// Middleware around pages: a message that a page shows is shown once.
async fn drop_flash(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let https = state.config.public_url.is_https();
    let shows_flash = cookies::notice(request.headers(), https).is_some();
    let mut response = next.run(request).await;
    if shows_flash {
        cookies::remove(response.headers_mut(), cookies::host_name("flash", https), https, SameSite::Lax);
    }
    response
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
    PageContext {
        csrf_token: viewer.map(|viewer| viewer.csrf_token(state)).unwrap_or_default(),
        viewer: viewer.map(|viewer| Viewer {
            id: viewer.user.id.clone(),
            name: viewer.user.name().to_owned(),
            upn: viewer.user.upn.clone(),
            has_photo: viewer.has_photo && state.graph.is_some(),
            is_admin: viewer.user.has_role(store::models::ADMIN),
        }),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        flash: cookies::notice(&parts.headers, state.config.public_url.is_https()),
        theme: cookies::theme(&parts.headers),
        stylesheet_url: stylesheet_url().to_owned(),
        favicon_url: favicon_url().to_owned(),
        islands_url: islands_url().map(str::to_owned),
        graph_enabled: state.graph.is_some(),
        now: store::rfc3339(state.shared_now()),
    }
}
