//! HTTP: listeners, middleware, cookies, assets, and pages that are nobody else's.
//!
//! [`app_pages`] renders the Leptos pages of `app`, [`pages`] has the askama ones, [`reply`] what handlers answer with.

pub mod act_request;
pub mod app_pages;
pub mod assets;
pub mod connections;
pub mod cookies;
pub mod csp_reports;
pub mod csv_export;
pub mod group;
#[cfg(debug_assertions)]
pub mod live_reload;
pub mod middleware;
pub mod monitoring;
pub mod pages;
pub mod profile;
pub mod reply;
pub mod theme;
