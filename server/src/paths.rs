//! Paths that more than the router knows.

/// Where the provider sends the browser back to: the path of the redirect URI.
pub const CALLBACK: &str = "/auth/callback";

/// Where the provider sends the browser after a sign-out.
pub const SIGNED_OUT: &str = "/auth/signed-out";
