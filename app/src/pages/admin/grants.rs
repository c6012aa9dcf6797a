//! `/admin/grants`: what this application may do in whose name.

use leptos::prelude::*;

use crate::backend::{backend, page_context};
use crate::components::chips::{Chip, chips};
use crate::components::empty::{none_fits, none_yet};
use crate::components::error::loaded;
use crate::components::form::option;
use crate::components::grants::grants_table;
use crate::components::layout::{Document, admin_page};
use crate::components::pager::Pager;
use crate::model::{GrantRow, GrantState, Listing};
use crate::query::parameter;

/// Grants with the state of their refresh. The tokens themselves are nowhere to be seen.
pub(crate) async fn page() -> Document {
    const LEAD: &str = "Microsoft Graph access that people have given this app. Tokens are stored encrypted and refreshed in the background.";
    let query = page_context().query.clone();
    let after = parameter(&query, "after");
    let state = parameter(&query, "state").and_then(|name| GrantState::parse(&name));
    let is_first = after.is_none();
    let listing = backend().grants(state, after).await;
    admin_page("Tokens", LEAD, loaded(listing, |listing| content(is_first, state, listing)))
}

/// The states with their words.
const STATES: [(GrantState, &str); 4] = [
    (GrantState::Live, "Active"),
    (GrantState::Retrying, "Retrying"),
    (GrantState::Expiring, "Expiring"),
    (GrantState::NeedsSignIn, "Needs sign-in"),
];

fn content(is_first: bool, state: Option<GrantState>, listing: Listing<GrantRow>) -> AnyView {
    let name = state.map_or("", GrantState::name);
    let pager = Pager::forward("/admin/grants", &[("state", name)], is_first, listing.next.as_deref());
    let list = match (listing.rows.is_empty(), state) {
        (false, _) => grants_table("Tokens", listing.rows, true),
        (true, None) => none_yet("No tokens", "Tokens appear here when people sign in."),
        (true, Some(_)) => none_fits("No tokens are in this state", "/admin/grants"),
    };
    let active = STATES.into_iter().filter(|(known, _)| Some(*known) == state);
    let active =
        active.map(|(_, words)| Chip { label: "State", value: words.to_owned(), without: "/admin/grants".to_owned() });
    view! {
        {filter_form(state)}
        {chips(active.collect(), "/admin/grants")}
        {list}
        {pager.view("Pages of tokens")}
    }
    .into_any()
}

fn filter_form(state: Option<GrantState>) -> AnyView {
    let options = STATES.into_iter().map(|(known, words)| option(known.name(), words, Some(known) == state));
    let options = std::iter::once(option("", "Any", state.is_none())).chain(options).collect_view();
    view! {
        <form method="get" action="/admin/grants" role="search" class="filters" aria-label="Tokens">
            <div class="field">
                <label for="state">"State"</label>
                <select id="state" name="state">{options}</select>
            </div>
            <button type="submit" class="button button-primary">"Filter"</button>
        </form>
    }
    .into_any()
}
