//! The application on axum, which a project edits: signing in, people, their sessions and tokens, and the admin pages.
//!
//! From the outside in; each room has a tour of its own:
//!
//! - [`cli`] is the command line, [`serve`] the process, [`router`] lists every route, [`paths`] those that several know.
//! - [`web`], [`sign_in`], [`admin`] and [`api`] answer requests.
//! - [`session`], [`people`], [`tokens`], [`directory_sync`], [`jobs`] and [`diagnostics`] do the work.
//! - [`state`] is what all of them share, [`error`] what a request fails with, [`observe`] what operators see, [`config`]
//!   what the settings say.
//!
//! Below are three libraries that know nothing of each other: [`entra`] speaks to Entra ID and Microsoft Graph, [`store`]
//! to the database, [`app`] has the pages.
#![recursion_limit = "256"]

pub mod admin;
pub mod api;
pub mod cli;
pub mod config;
pub mod diagnostics;
pub mod directory_sync;
pub mod error;
pub mod jobs;
pub mod observe;
pub mod paths;
pub mod people;
pub mod router;
pub mod serve;
pub mod session;
pub mod sign_in;
pub mod state;
pub mod tokens;
pub mod web;
