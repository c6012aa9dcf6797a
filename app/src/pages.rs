//! One module for each page.

pub(crate) mod admin;
pub(crate) mod home;
pub(crate) mod profile;
