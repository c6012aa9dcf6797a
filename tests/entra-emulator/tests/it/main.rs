//! The emulator's tests: one binary, over HTTP, as an application would use it.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests panic like tests; clippy.toml's exemption covers test functions alone"
)]

mod kit;

mod authorize;
mod client_authentication;
mod control_http;
mod faults;
mod graph;
mod keys;
mod logout;
mod metadata;
mod sign_in;
mod token;
