//! Roles and where they come from.

use leptos::prelude::*;

use crate::components::facts::dash;
use crate::components::time::Now;
use crate::model::RoleGrant;

/// Why the provider grants the role, or a dash.
pub(crate) fn from_provider(grant: &RoleGrant) -> AnyView {
    match (grant.from_provider, grant.provider_reasons.as_slice()) {
        (false, _) => dash(),
        (true, []) => "Known from an earlier sign-in".into_any(),
        (true, reasons) => format!("Because of {}", reasons.join(", ")).into_any(),
    }
}

/// Who granted the role here, and when; or a dash.
pub(crate) fn from_here(grant: &RoleGrant) -> AnyView {
    if !grant.from_here {
        return dash();
    }
    let by = if grant.granted_by.is_empty() { String::new() } else { format!(" by {}", grant.granted_by) };
    view! { <span>"Granted"{by}" "{Now::from_page().ago(&grant.granted_at)}</span> }.into_any()
}

/// Both in words, for the person who has the role.
pub(crate) fn why(grant: &RoleGrant) -> AnyView {
    let provider = grant.from_provider.then(|| view! { <span class="muted">{from_provider(grant)}</span> });
    let here = grant.from_here.then(|| view! { <span class="muted">{from_here(grant)}</span> });
    view! { {provider}{here} }.into_any()
}
