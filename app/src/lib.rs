//! What people see: pages, their parts, and the trait through which they ask for data.
//!
//! A tour, in the order of a request:
//!
//! 1. The server answers a `GET` to one of the [`routes`] by rendering it, after it has called
//!    [`backend::provide_backend`] and provided a [`ResponseStatus`].
//! 2. Its page (`pages/`) asks the [`backend::Backend`] for plain data ([`model`]) and renders it with the parts in
//!    `components/`. What it could not get becomes a message and the status of the response.
//! 3. With its frame (`components/layout.rs`) it goes into the HTML document (`shell.rs`).
//! 4. Whatever changes something is a plain HTML form that posts to the server, which redirects
//!    back. Nothing here needs JavaScript.
//! 5. [`islands`] are the exception that nothing waits for: parts that browsers bring to life, as comfort.
//!
//! Two builds come of this crate: with the feature `ssr`, all of it, for the server; with `hydrate`, the islands alone,
//! for browsers.
//!
//! To add a page: a function in `pages/`, a line in `routes.rs`, and, when it needs data, a method
//! of [`backend::Backend`]. To change the look: `style/tokens.css`. To change the name: [`brand`].
#![recursion_limit = "256"]

#[cfg(feature = "ssr")]
pub mod backend;
#[cfg(feature = "ssr")]
pub mod brand;
#[cfg(feature = "ssr")]
pub mod components;
mod distance;
#[cfg(feature = "ssr")]
mod format;
pub mod islands;
#[cfg(feature = "ssr")]
pub mod model;
#[cfg(feature = "ssr")]
mod pages;
#[cfg(feature = "ssr")]
pub mod query;
#[cfg(feature = "ssr")]
pub mod questions;
#[cfg(feature = "ssr")]
mod routes;
#[cfg(feature = "ssr")]
mod shell;
#[cfg(feature = "ssr")]
mod status;

#[cfg(feature = "ssr")]
pub use routes::{Audience, Route, routes};
#[cfg(feature = "ssr")]
pub use status::ResponseStatus;
