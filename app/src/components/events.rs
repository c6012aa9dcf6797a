//! Audit events as a table.

use leptos::prelude::*;

use crate::components::facts::{dash, id, person, text};
use crate::components::table::{headers, table_of};
use crate::components::time::Now;
use crate::model::EventRow;

/// Events, newest first.
pub(crate) fn events_table(caption: &'static str, rows: Vec<EventRow>) -> AnyView {
    let now = Now::from_page();
    let head = headers(&["When", "What happened", "By", "On", "Details"]);
    let rows = rows.into_iter().map(|row| event_row(row, now)).collect_view();
    table_of("table table-events", caption, head, rows.into_any())
}

fn event_row(row: EventRow, now: Now) -> impl IntoView + use<> {
    view! {
        <tr>
            <td>{now.ago(&row.at)}</td>
            <td>{row.summary.clone()}<p class="cell-note muted"><code>{row.kind.clone()}</code></p></td>
            <td class="breakable">{actor(row.actor.clone())}{from(&row.address)}</td>
            <td class="breakable">{subject(&row)}</td>
            <td>{details(row)}</td>
        </tr>
    }
}

/// The address that it came from; nothing for what the application did by itself.
fn from(address: &str) -> Option<AnyView> {
    (!address.is_empty()).then(|| view! { <p class="cell-note muted">{format!("from {address}")}</p> }.into_any())
}

fn subject(row: &EventRow) -> AnyView {
    if row.subject_id.is_empty() {
        return text(row.subject.clone()).into_any();
    }
    person(&row.subject_id, &row.subject)
}

/// What changed, from what to what, and the request that it came with.
fn details(row: EventRow) -> AnyView {
    if row.detail.is_empty() && row.request_id.is_empty() {
        return dash();
    }
    let facts = row
        .detail
        .into_iter()
        .map(|(label, value)| view! { <li><span class="muted">{label.replace('_', " ")}</span>" "{value}</li> })
        .collect_view();
    let request = (!row.request_id.is_empty())
        .then(|| view! { <li><span class="muted">"request "</span>{id(row.request_id)}</li> });
    view! { <ul class="event-facts">{facts}{request}</ul> }.into_any()
}

fn actor(name: String) -> AnyView {
    if name.is_empty() {
        return dash();
    }
    let query = serde_urlencoded::to_string([("actor", &name)]).unwrap_or_default();
    view! { <a href=format!("/admin/audit?{query}")>{name}</a> }.into_any()
}
