//! The suite: one test binary over the real router, by topic.

mod access;
mod admin;
mod api;
mod audit;
mod bad_input;
mod bulk;
mod consent;
mod database;
mod errors;
mod exports;
mod grants;
mod graph;
mod headers;
mod hooks;
mod identity;
mod jobs;
mod metrics;
mod navigation;
mod operations;
mod profile;
mod requirements;
mod role_mappings;
mod sessions;
mod sign_in;
mod sign_out;
mod step_up;
