//! What people see: pages, their parts, and the trait through which they ask for data.
//!
//! A tour, in the order of a request:
//!
//! 1. The server answers a `GET` by rendering [`fn@shell`], the HTML document, after it has called
//!    [`backend::provide_backend`] and provided a [`ResponseStatus`].
//! 2. The document holds [`App`]: the list of routes (`routes.rs`), one page each (`pages/`).
//! 3. A page asks the [`backend::Backend`] for plain data ([`model`]) and renders it with the parts
//!    in `components/`. What it could not get becomes a message and the status of the response.
//! 4. Whatever changes something is a plain HTML form that posts to the server, which redirects
//!    back. Nothing here needs JavaScript.
//!
//! To add a page: a function in `pages/`, a line in `routes.rs`, and, when it needs data, a method
//! of [`backend::Backend`]. To change the look: `style/tokens.css`. To change the name: [`brand`].
#![recursion_limit = "256"]

pub mod backend;
pub mod brand;
pub mod components;
mod format;
pub mod model;
mod pages;
pub mod query;
pub mod routes;
pub mod shell;
mod status;

pub use routes::App;
pub use shell::shell;
pub use status::ResponseStatus;
