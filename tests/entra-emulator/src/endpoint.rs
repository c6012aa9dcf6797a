//! The endpoints by name: what counters, records, faults and edits are keyed by.

use serde::{Deserialize, Serialize};

/// An endpoint of the emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `/{tenant}/v2.0/.well-known/openid-configuration`
    Metadata,
    /// `/{tenant}/discovery/v2.0/keys`
    Keys,
    /// `/{tenant}/oauth2/v2.0/authorize`
    Authorize,
    /// `/{tenant}/oauth2/v2.0/token`
    Token,
    /// `/{tenant}/oauth2/v2.0/logout`
    Logout,
    /// `/graph/oidc/userinfo`
    Userinfo,
    /// `/graph/v1.0/me`
    Me,
    /// `/graph/v1.0/me/photo/$value` and its siblings
    Photo,
    /// `/graph/v1.0/me/manager`
    Manager,
    /// `/graph/v1.0/me/transitiveMemberOf`, `memberOf` and `getMemberObjects`
    Groups,
    /// `/graph/v1.0/users/delta`
    Delta,
    /// `/graph/v1.0/users` and one of them
    Users,
    /// The URL in `_claim_sources`, which no application should ever call.
    ClaimSource,
    /// Anything else.
    Other,
}

impl Endpoint {
    /// All endpoints, in the order of their counters.
    pub const ALL: [Self; 14] = [
        Self::Metadata,
        Self::Keys,
        Self::Authorize,
        Self::Token,
        Self::Logout,
        Self::Userinfo,
        Self::Me,
        Self::Photo,
        Self::Manager,
        Self::Groups,
        Self::Delta,
        Self::Users,
        Self::ClaimSource,
        Self::Other,
    ];

    /// The endpoint that serves `path`.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        match segments.as_slice() {
            ["graph", "oidc", "userinfo"] => Self::Userinfo,
            ["graph", "v1.0", rest @ ..] => Self::of_graph(rest),
            ["_claim-source", ..] => Self::ClaimSource,
            [_, "v2.0", ".well-known", "openid-configuration"] => Self::Metadata,
            [_, "discovery", "v2.0", "keys"] => Self::Keys,
            [_, "oauth2", "v2.0", "authorize"] => Self::Authorize,
            [_, "oauth2", "v2.0", "token"] => Self::Token,
            [_, "oauth2", "v2.0", "logout"] => Self::Logout,
            _ => Self::Other,
        }
    }

    fn of_graph(segments: &[&str]) -> Self {
        match segments {
            ["users", "delta"] => Self::Delta,
            ["me"] => Self::Me,
            ["me", rest @ ..] | ["users", _, rest @ ..] if !rest.is_empty() => Self::of_user_part(rest),
            ["users", ..] => Self::Users,
            _ => Self::Other,
        }
    }

    fn of_user_part(segments: &[&str]) -> Self {
        match segments {
            ["photo" | "photos", ..] => Self::Photo,
            ["manager", ..] => Self::Manager,
            ["transitiveMemberOf" | "memberOf" | "getMemberObjects" | "getMemberGroups", ..] => Self::Groups,
            _ => Self::Other,
        }
    }
}
