//! The product's name and mark, in one place: change them here.

/// The name in the top bar, in titles and on the sign-in page.
pub const TITLE: &str = "Entra Starter";
