//! Every page with its path.

use leptos::prelude::*;
use leptos_meta::provide_meta_context;
use leptos_router::components::{FlatRoutes, Route, Router};
use leptos_router::{SsrMode, path};

use crate::pages::admin::{audit, dashboard, grants, groups, health, sessions, user, users};
use crate::pages::{home, not_found, profile};

/// The application. The list of its routes is read once at start, outside any request, so nothing
/// here may ask for the context of one; pages may.
///
/// All pages render in `Async` mode: complete, with the right status, before the first byte.
#[component]
pub fn App() -> AnyView {
    provide_meta_context();
    view! {
        <Router>
            <FlatRoutes fallback=not_found::page>
                <Route path=path!("/") view=home::page ssr=SsrMode::Async/>
                <Route path=path!("/profile") view=profile::page ssr=SsrMode::Async/>
                <Route path=path!("/admin") view=dashboard::page ssr=SsrMode::Async/>
                <Route path=path!("/admin/users") view=users::page ssr=SsrMode::Async/>
                <Route path=path!("/admin/users/:id") view=user::page ssr=SsrMode::Async/>
                <Route path=path!("/admin/sessions") view=sessions::page ssr=SsrMode::Async/>
                <Route path=path!("/admin/groups") view=groups::page ssr=SsrMode::Async/>
                <Route path=path!("/admin/grants") view=grants::page ssr=SsrMode::Async/>
                <Route path=path!("/admin/audit") view=audit::page ssr=SsrMode::Async/>
                <Route path=path!("/admin/health") view=health::page ssr=SsrMode::Async/>
            </FlatRoutes>
        </Router>
    }
    .into_any()
}
