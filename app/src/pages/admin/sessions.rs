//! `/admin/sessions`: who is signed in now.

use leptos::prelude::*;

use crate::backend::{backend, page_context};
use crate::components::empty::none_yet;
use crate::components::error::loaded;
use crate::components::layout::{Document, admin_page};
use crate::components::pager::Pager;
use crate::components::sessions::{Scope, sessions_table};
use crate::model::{Listing, SessionRow};
use crate::query::parameter;

/// Active sessions, most recently used first.
pub(crate) async fn page() -> Document {
    const LEAD: &str = "Who is signed in, from where, and until when. Ending a session takes effect immediately.";
    let after = parameter(&page_context().query, "after");
    let is_first = after.is_none();
    let listing = backend().sessions(after).await;
    admin_page("Sessions", LEAD, loaded(listing, |listing| content(is_first, listing)))
}

fn content(is_first: bool, listing: Listing<SessionRow>) -> AnyView {
    let pager = Pager::forward("/admin/sessions", &[], is_first, listing.next.as_deref());
    let list = if listing.rows.is_empty() {
        none_yet("No sessions here", "Sessions appear when people sign in.")
    } else {
        sessions_table("Sessions", listing.rows, Scope::Everybody)
    };
    (list, pager.view("Pages of sessions")).into_any()
}
