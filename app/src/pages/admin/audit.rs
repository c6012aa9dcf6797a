//! `/admin/audit`: who did what, and when. Everything that the list shows is in its address.

use leptos::prelude::*;

use crate::backend::{backend, page_context};
use crate::components::chips::{Chip, chips};
use crate::components::empty::{none_fits, none_yet};
use crate::components::error::loaded;
use crate::components::events::events_table;
use crate::components::flash::notices;
use crate::components::form::option;
use crate::components::layout::{Document, admin_page};
use crate::components::pager::Pager;
use crate::model::{AuditPage, AuditQuery};
use crate::query::address;

/// Events, newest first.
pub(crate) async fn page() -> Document {
    const LEAD: &str = "Sign-ins, sign-outs, syncs, and changes by administrators. Events cannot be edited.";
    let query = AuditQuery::parse(&page_context().query);
    let page = backend().audit(query.clone()).await;
    admin_page("Audit log", LEAD, loaded(page, |page| content(&query, page)))
}

fn content(query: &AuditQuery, page: AuditPage) -> AnyView {
    let AuditPage { listing, actions } = page;
    let filters: Vec<_> = query.filters().into_iter().map(|(name, _, value)| (name, value)).collect();
    let pager = Pager::forward("/admin/audit", &filters, query.after.is_none(), listing.next.as_deref());
    let csv = address("/admin/audit.csv", &query.to_query_string());
    let list = match (listing.rows.is_empty(), filters.is_empty()) {
        (false, _) => events_table("Events", listing.rows),
        (true, true) => none_yet("No events yet", "Sign-ins and changes appear here."),
        (true, false) => none_fits("No event fits these filters", "/admin/audit"),
    };
    view! {
        {notices(query.notices.clone())}
        {filter_form(query, &actions)}
        {active_filters(query, &actions)}
        <div class="list-head">
            <p class="result-count">"Newest first, times in UTC"</p>
            <a class="list-export" href=csv>"Download as CSV"</a>
        </div>
        {list}
        {pager.view("Pages of events")}
    }
    .into_any()
}

fn active_filters(query: &AuditQuery, actions: &[(String, String)]) -> Option<AnyView> {
    let chip = |(name, label, value): (&'static str, &'static str, &str)| Chip {
        label,
        value: if name == "action" { words(actions, value).to_owned() } else { value.to_owned() },
        without: query.href_without(name),
    };
    chips(query.filters().into_iter().map(chip).collect(), "/admin/audit")
}

fn words<'a>(actions: &'a [(String, String)], kind: &'a str) -> &'a str {
    actions.iter().find(|(known, _)| known == kind).map_or(kind, |(_, words)| words)
}

fn filter_form(query: &AuditQuery, actions: &[(String, String)]) -> AnyView {
    let any = option("", "Anything", query.action.is_empty());
    let unknown = Some(&query.action).filter(|kind| !kind.is_empty() && words(actions, kind) == kind.as_str());
    let options = std::iter::once(any)
        .chain(unknown.map(|kind| option(kind, kind, true)))
        .chain(actions.iter().map(|(kind, words)| option(kind, words, *kind == query.action)))
        .collect_view();
    view! {
        <form method="get" action="/admin/audit" role="search" class="filters" aria-label="Events">
            {text_field("actor", "By", &query.actor, "User name or ID")}
            <div class="field">
                <label for="action">"What"</label>
                <select id="action" name="action">{options}</select>
            </div>
            {text_field("target", "On", &query.target, "User name or ID")}
            {day_field("from", "From", &query.from)}
            {day_field("to", "To", &query.to)}
            <button type="submit" class="button button-primary">"Filter"</button>
        </form>
    }
    .into_any()
}

fn text_field(name: &'static str, label: &'static str, value: &str, placeholder: &'static str) -> AnyView {
    view! {
        <div class="field field-narrow">
            <label for=name>{label}</label>
            <input id=name type="search" name=name value=value.to_owned() maxlength="200" autocomplete="off"
                placeholder=placeholder/>
        </div>
    }
    .into_any()
}

fn day_field(name: &'static str, label: &'static str, value: &str) -> AnyView {
    view! {
        <div class="field">
            <label for=name>{label}</label>
            <input id=name type="date" name=name value=value.to_owned()/>
        </div>
    }
    .into_any()
}
