//! Routes by whom they are for.
//!
//! A route is added to the [`Group`] of its guard, and its handler names the same guard, or it does not compile:
//!
//! ```
//! use server::session::access::{Admin, SignedIn};
//! use server::web::act_request::ActRequest;
//! use server::web::group::Group;
//!
//! async fn hello(SignedIn(user): SignedIn) -> String {
//!     format!("Hello {}", user.user.name())
//! }
//!
//! async fn close_the_books(request: ActRequest<Admin>) -> String {
//!     format!("closed by {}", request.viewer.user.name())
//! }
//!
//! let everybody = Group::<SignedIn>::new().get("/hello", hello);
//! let administrators = Group::<Admin>::new().post("/admin/books/close", close_the_books);
//! ```
//!
//! ```compile_fail
//! # use server::session::access::Admin;
//! # use server::web::group::Group;
//! async fn says_nothing() {}
//! let routes = Group::<Admin>::new().get("/admin/books", says_nothing);
//! ```
//!
//! [`crate::router::list`] tells of every route whom it is for; the suite tries each as every kind of caller.

use std::marker::PhantomData;

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_extractor_with_state;
use axum::routing::{self, MethodRouter};

use crate::session::access::{Guard, SessionGuard};
use crate::sign_in::step_up::{self, Need};
use crate::state::AppState;
use crate::web::act_request::ActRequest;

/// The parameters of a handler that name the guard `G`: first of all, or last in an [`ActRequest`].
#[diagnostic::on_unimplemented(
    message = "this handler does not say that it is for `{G}`",
    note = "its first parameter is to be `{G}`, or its last one `ActRequest<{G}>`"
)]
pub trait Names<G, Place> {}

/// See [`Names`].
#[derive(Debug)]
pub struct First;

/// See [`Names`].
#[derive(Debug)]
pub struct Last;

/// For handlers of one to eight parameters. `M` is axum's own marker.
macro_rules! names {
    ($($parameter:ident)*) => {
        impl<M, G: Guard, $($parameter),*> Names<G, First> for (M, G, $($parameter,)*) {}
        impl<M, G: SessionGuard, $($parameter),*> Names<G, Last> for (M, $($parameter,)* ActRequest<G>,) {}
    };
}
names!();
names!(A);
names!(A B);
names!(A B C);
names!(A B C D);
names!(A B C D E);
names!(A B C D E F);
names!(A B C D E F H);

/// A route, and whom it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteInfo {
    /// As axum writes it: `/admin/users/{id}`.
    pub path: &'static str,
    /// `GET`, `POST`, or `*` for all.
    pub method: &'static str,
    /// [`Guard::NAME`].
    pub guard: &'static str,
}

/// Routes for whom `G` lets in.
#[derive(Debug)]
pub struct Group<G> {
    router: Router<AppState>,
    list: Vec<RouteInfo>,
    guard: PhantomData<fn() -> G>,
}

impl<G: Guard> Default for Group<G> {
    fn default() -> Self {
        Self::new()
    }
}

impl<G: Guard> Group<G> {
    /// Without a route.
    #[must_use]
    pub fn new() -> Self {
        Self { router: Router::new(), list: Vec::new(), guard: PhantomData }
    }

    /// Adds `GET` (and `HEAD`) of `path`.
    #[must_use]
    pub fn get<H: Handler<T, AppState>, T: Names<G, P> + 'static, P>(self, path: &'static str, handler: H) -> Self {
        self.route(path, "GET", routing::get(handler))
    }

    /// Adds `POST` of `path`.
    #[must_use]
    pub fn post<H: Handler<T, AppState>, T: Names<G, P> + 'static, P>(self, path: &'static str, handler: H) -> Self {
        self.route(path, "POST", routing::post(handler))
    }

    /// Adds every method of `path`.
    #[must_use]
    pub fn any<H: Handler<T, AppState>, T: Names<G, P> + 'static, P>(self, path: &'static str, handler: H) -> Self {
        self.route(path, "*", routing::any(handler))
    }

    fn route(mut self, path: &'static str, method: &'static str, handler: MethodRouter<AppState>) -> Self {
        self.list.push(RouteInfo { path, method, guard: G::NAME });
        Self { router: self.router.route(path, handler), ..self }
    }

    /// Asks for a fresh or strong sign-in too, of all that was added so far.
    #[must_use]
    pub fn step_up(self, state: &AppState, need: Need) -> Self {
        Self { router: step_up::require(state, need, self.router), ..self }
    }

    /// The routes, behind the guard.
    #[must_use]
    pub fn guarded(self, state: &AppState) -> Routes {
        let Self { router, list, .. } = self;
        if list.is_empty() {
            return Routes::default();
        }
        Routes { router: router.route_layer(from_extractor_with_state::<G, _>(state.clone())), list }
    }
}

/// Routes behind their guards.
#[derive(Debug, Default)]
pub struct Routes {
    /// For axum.
    pub router: Router<AppState>,
    /// What there is.
    pub list: Vec<RouteInfo>,
}

impl Routes {
    /// These and those.
    #[must_use]
    pub fn merge(mut self, others: Self) -> Self {
        self.list.extend(others.list);
        Self { router: self.router.merge(others.router), list: self.list }
    }
}
