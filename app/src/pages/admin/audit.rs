//! `/admin/audit`: who did what, and when.

use leptos::prelude::*;

use crate::backend::{backend, page_context};
use crate::components::empty::{none_fits, none_yet};
use crate::components::error::loaded;
use crate::components::events::events_table;
use crate::components::layout::AdminPage;
use crate::components::pager::Pager;
use crate::model::{EventRow, Listing};
use crate::query::parameter;

/// Events, newest first, narrowed by the beginning of their kind.
pub(crate) fn page() -> AnyView {
    let backend = backend();
    let query = page_context().query.clone();
    let kind = parameter(&query, "kind").unwrap_or_default();
    let after = parameter(&query, "after");
    let is_first = after.is_none();
    let data = async move {
        let listing = backend.audit(kind.clone(), after).await?;
        Ok(Found { kind, is_first, listing })
    };
    view! {
        <AdminPage title="Audit" lead="Sign-ins, sign-outs, and what administrators changed. Events are never edited.">
            {loaded(data, content)}
        </AdminPage>
    }
    .into_any()
}

struct Found {
    kind: String,
    is_first: bool,
    listing: Listing<EventRow>,
}

fn content(found: Found) -> AnyView {
    let Found { kind, is_first, listing } = found;
    let pager = Pager::forward("/admin/audit", &[("kind", &kind)], is_first, listing.next.as_deref());
    let list = match (listing.rows.is_empty(), kind.is_empty()) {
        (false, _) => events_table("Events", listing.rows),
        (true, true) => none_yet("No events yet", "Sign-ins and changes appear here."),
        (true, false) => none_fits("No event is of this kind", "/admin/audit"),
    };
    (filter_form(kind), list, pager.view("Pages of events")).into_any()
}

fn filter_form(kind: String) -> AnyView {
    view! {
        <form method="get" action="/admin/audit" role="search" class="filters" aria-label="Events">
            <div class="field field-grow">
                <label for="kind">"Kind begins with"</label>
                <input id="kind" type="search" name="kind" value=kind maxlength="64" autocomplete="off" placeholder="sign_in"/>
            </div>
            <button type="submit" class="button button-primary">"Filter"</button>
        </form>
    }
    .into_any()
}
