//! Audit events as a table.

use leptos::prelude::*;

use crate::components::facts::{dash, id, person, text, text_facts};
use crate::components::table::{headers, table};
use crate::components::time::Now;
use crate::model::EventRow;

/// Events, newest first.
pub(crate) fn events_table(caption: &'static str, rows: Vec<EventRow>) -> AnyView {
    let now = Now::from_page();
    let head = headers(&["When", "What happened", "By", "On", "Address", "Details"]);
    let rows = rows.into_iter().map(|row| event_row(row, now)).collect_view();
    table(caption, head, rows.into_any())
}

fn event_row(row: EventRow, now: Now) -> impl IntoView + use<> {
    view! {
        <tr>
            <td>{now.ago(&row.at)}</td>
            <td>{row.summary.clone()}<p class="cell-note muted"><code>{row.kind.clone()}</code></p></td>
            <td class="breakable">{text(row.actor.clone())}</td>
            <td class="breakable">{subject(&row)}</td>
            <td class="breakable">{text(row.address.clone())}</td>
            <td>{details(row)}</td>
        </tr>
    }
}

fn subject(row: &EventRow) -> AnyView {
    if row.subject_id.is_empty() {
        return text(row.subject.clone()).into_any();
    }
    person(&row.subject_id, &row.subject)
}

fn details(row: EventRow) -> AnyView {
    if row.detail.is_empty() && row.request_id.is_empty() {
        return dash();
    }
    let request =
        (!row.request_id.is_empty()).then(|| view! { <p class="cell-note">"Request "{id(row.request_id)}</p> });
    let detail = (!row.detail.is_empty()).then(|| text_facts(row.detail));
    view! {
        <details class="disclosure">
            <summary>"Show"</summary>
            {detail}
            {request}
        </details>
    }
    .into_any()
}
