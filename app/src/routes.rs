//! Every page with its path.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use leptos::prelude::*;
use leptos::tachys::html::InertElement;

use crate::components::layout::Document;
use crate::pages::admin::{audit, dashboard, grants, groups, health, sessions, user, users};
use crate::pages::{home, profile};
use crate::shell::shell;

/// All pages.
#[must_use]
pub fn routes() -> Vec<Route> {
    vec![
        Route::new("/", home::page),
        Route::new("/profile", profile::page),
        Route::new("/admin", dashboard::page),
        Route::new("/admin/users", users::page),
        Route::new("/admin/users/{id}", user::page),
        Route::new("/admin/sessions", sessions::page),
        Route::new("/admin/groups", groups::page),
        Route::new("/admin/grants", grants::page),
        Route::new("/admin/audit", audit::page),
        Route::new("/admin/health", health::page),
    ]
}

/// A page and its path.
#[derive(Clone)]
pub struct Route {
    /// As axum writes it: `/admin/users/{id}`.
    pub path: &'static str,
    page: Arc<dyn Fn() -> PageFuture + Send + Sync>,
}

type PageFuture = Pin<Box<dyn Future<Output = Document> + Send>>;

impl Route {
    fn new<F: Future<Output = Document> + Send + 'static>(path: &'static str, page: fn() -> F) -> Self {
        Self { path, page: Arc::new(move || Box::pin(page())) }
    }

    /// The whole HTML document, once its data is there. Needs the context of a request
    /// ([`crate::backend::provide_backend`]), with a [`crate::ResponseStatus`].
    ///
    /// It waits for nothing then, so it is written as text at once: the steps of a tree that could wait are many times
    /// the work of writing it.
    #[must_use]
    pub fn render(&self) -> impl IntoView + use<> {
        let page = (self.page)();
        Suspend::new(async move { InertElement::new(shell(page.await).to_html()) })
    }
}
