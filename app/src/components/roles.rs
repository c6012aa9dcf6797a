//! Roles and where they come from.

use leptos::prelude::*;

use crate::components::status::tag;
use crate::model::RoleGrant;

/// Role names as tags.
pub(crate) fn role_tags(roles: Vec<String>) -> AnyView {
    if roles.is_empty() {
        return super::facts::dash();
    }
    roles.into_iter().map(tag).collect_view().into_any()
}

/// Why a person has a role, in words.
pub(crate) fn source(grant: &RoleGrant) -> &'static str {
    match (grant.from_provider, grant.from_here) {
        (true, true) => "From the provider, and granted here",
        (true, false) => "From the provider: a group or an app role",
        (false, true) => "Granted here by an administrator",
        (false, false) => "Not granted",
    }
}
