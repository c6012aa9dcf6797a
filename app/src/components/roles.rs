//! Roles and where they come from.

use crate::model::RoleGrant;

/// Why a person has a role, in words.
pub(crate) fn source(grant: &RoleGrant) -> &'static str {
    match (grant.from_provider, grant.from_here) {
        (true, true) => "From the provider, and granted here",
        (true, false) => "From the provider: a group or an app role",
        (false, true) => "Granted here by an administrator",
        (false, false) => "Not granted",
    }
}
