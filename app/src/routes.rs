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
        Route::everyone("/", home::page),
        Route::signed_in("/profile", profile::page),
        Route::admins("/admin", dashboard::page),
        Route::admins("/admin/users", users::page),
        Route::admins("/admin/users/{id}", user::page),
        Route::admins("/admin/sessions", sessions::page),
        Route::admins("/admin/groups", groups::page),
        Route::admins("/admin/grants", grants::page),
        Route::admins("/admin/audit", audit::page),
        Route::admins("/admin/health", health::page),
    ]
}

/// Whom a page is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Everyone, signed in or not.
    Everyone,
    /// Whoever is signed in.
    SignedIn,
    /// Administrators.
    Admins,
}

/// A page, its path and whom it is for.
#[derive(Clone)]
pub struct Route {
    /// As axum writes it: `/admin/users/{id}`.
    pub path: &'static str,
    /// Whom the server lets see it.
    pub audience: Audience,
    page: Arc<dyn Fn() -> PageFuture + Send + Sync>,
}

type PageFuture = Pin<Box<dyn Future<Output = Document> + Send>>;

impl Route {
    fn everyone<F: Future<Output = Document> + Send + 'static>(path: &'static str, page: fn() -> F) -> Self {
        Self::new(path, Audience::Everyone, page)
    }

    fn signed_in<F: Future<Output = Document> + Send + 'static>(path: &'static str, page: fn() -> F) -> Self {
        Self::new(path, Audience::SignedIn, page)
    }

    fn admins<F: Future<Output = Document> + Send + 'static>(path: &'static str, page: fn() -> F) -> Self {
        Self::new(path, Audience::Admins, page)
    }

    fn new<F: Future<Output = Document> + Send + 'static>(
        path: &'static str,
        audience: Audience,
        page: fn() -> F,
    ) -> Self {
        Self { path, audience, page: Arc::new(move || Box::pin(page())) }
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
