//! Roles and where they come from.

use leptos::either::Either;
use leptos::prelude::*;

use crate::components::facts::DASH;
use crate::components::status::tag;
use crate::model::RoleGrant;

/// Role names as tags.
pub(crate) fn role_tags(roles: Vec<String>) -> impl IntoView {
    if roles.is_empty() {
        return Either::Right(DASH);
    }
    Either::Left(roles.into_iter().map(tag).collect_view())
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
