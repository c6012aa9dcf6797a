//! `/admin/sessions`: who is signed in now.

use leptos::prelude::*;

use crate::backend::{backend, page_context};
use crate::components::empty::none_yet;
use crate::components::error::loaded;
use crate::components::layout::AdminPage;
use crate::components::pager::Pager;
use crate::components::sessions::{Scope, sessions_table};
use crate::model::{Listing, SessionRow};
use crate::query::parameter;

/// Live sessions, most recently used first.
pub(crate) fn page() -> AnyView {
    let backend = backend();
    let after = parameter(&page_context().query, "after");
    let is_first = after.is_none();
    let data = async move { Ok((is_first, backend.sessions(after).await?)) };
    view! {
        <AdminPage title="Sessions" lead="Who is signed in, from where, and until when. Ending a session works at once, everywhere.">
            {loaded(data, content)}
        </AdminPage>
    }
    .into_any()
}

fn content((is_first, listing): (bool, Listing<SessionRow>)) -> AnyView {
    let pager = Pager::forward("/admin/sessions", &[], is_first, listing.next.as_deref());
    let list = if listing.rows.is_empty() {
        none_yet("No sessions here", "Sessions appear when people sign in.")
    } else {
        sessions_table("Sessions", listing.rows, Scope::Everybody)
    };
    (list, pager.view("Pages of sessions")).into_any()
}
