//! Roles and where they come from.

use leptos::prelude::*;

use crate::components::facts::dash;
use crate::components::time::Now;
use crate::model::{KeptGroups, RoleGrant};

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

/// That the groups could not be read, since when they are kept as they were, and until when.
pub(crate) fn kept_note(kept: Option<KeptGroups>) -> AnyView {
    let now = Now::from_page();
    match kept {
        None => ().into_any(),
        Some(kept) if kept.since.is_empty() => view! {
            <p class="panel-note">"Groups could not be read, so none count. They will be read again at the next sign-in."</p>
        }
        .into_any(),
        Some(kept) => view! {
            <p class="panel-note">
                "Groups could not be read. Those read "{now.ago(&kept.since)}
                " and the roles they give stay in effect; unless they can be read again, this ends "{now.ago(&kept.until)}"."
            </p>
        }
        .into_any(),
    }
}

/// Both in words, for the person who has the role.
pub(crate) fn why(grant: &RoleGrant) -> AnyView {
    let provider = grant.from_provider.then(|| view! { <span class="muted">{from_provider(grant)}</span> });
    let here = grant.from_here.then(|| view! { <span class="muted">{from_here(grant)}</span> });
    view! { {provider}{here} }.into_any()
}
