//! Signing in and out at the provider.
//!
//! [`callback`] sends the browser away and takes it back, with what must survive in between in [`transaction_cookie`];
//! [`failed`] is the page for when that goes wrong. [`step_up`] asks for a fresher or stronger sign-in,
//! with what was filled in kept by [`fields`]. [`sign_out`] ends a session here and at the provider;
//! [`provider_logout`] is for when the provider ends it.

pub mod callback;
pub mod failed;
pub mod fields;
pub mod provider_logout;
pub mod sign_out;
pub mod step_up;
pub mod transaction_cookie;
