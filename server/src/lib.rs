//! What does the work behind the pages: axum, sign-in, user sync, sessions, tokens and jobs.
//!
//! A tour, from the outside in:
//!
//! - [`commands`] is the command line, [`serve`] the process, [`connections`] its listeners, [`state`] what it shares.
//! - [`router`] lists every route; [`middleware`] is around all of them, [`viewer`] finds out who
//!   asks, [`access`] has the extractors that say who may, [`step_up`] asks for a fresher or
//!   stronger sign-in, [`consent`] for another permission.
//! - [`handlers`] extract, call and respond; [`pages`] are the askama pages, `app` the Leptos ones,
//!   which ask [`backend`] for data; [`api`] answers programs with an access token.
//! - [`entra::oidc`] signs people in and [`entra::graph`] asks Microsoft Graph; neither knows axum or Diesel.
//! - [`user_sync`], [`acts`], [`erasure`], [`provider_logout`], [`tokens`] and [`jobs`] change what [`store::models`] keep.
//! - [`audit_log`] is how audit events leave the application.
//! - [`config`] is a leaf.
#![recursion_limit = "256"]

pub mod accept;
pub mod access;
pub mod acts;
pub mod api;
pub mod assets;
pub mod audit_log;
pub mod backend;
pub mod commands;
pub mod config;
pub mod connections;
pub mod consent;
pub mod cookies;
pub mod counts;
pub mod csv_export;
pub mod defaults;
#[cfg(all(feature = "dev-entra", debug_assertions))]
pub mod dev;
pub mod device;
pub mod directory_sync;
pub mod doctor;
pub mod entra_setup;
pub mod erasure;
pub mod error;
pub mod examination;
pub(crate) mod failpoint;
pub mod graph_sync;
pub mod handlers;
pub mod healthcheck;
pub mod hooks;
pub mod jobs;
#[cfg(debug_assertions)]
pub mod live_reload;
pub mod metrics;
pub mod middleware;
pub mod pages;
pub mod panics;
pub mod provider_logout;
pub mod role_mappings;
pub mod router;
pub mod row_budget;
pub mod serve;
pub mod session_store;
pub mod sign_in_fields;
pub mod state;
pub mod step_up;
pub mod telemetry;
pub mod tokens;
pub mod transaction_cookie;
pub mod user_data;
pub mod user_graph;
pub mod user_list;
pub mod user_sync;
pub mod viewer;
