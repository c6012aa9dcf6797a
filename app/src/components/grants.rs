//! Grants as a table: what this application may do in whose name, never the tokens themselves.

use leptos::prelude::*;

use crate::components::facts::{person, text};
use crate::components::form::Act;
use crate::components::status::grant_state;
use crate::components::table::{headers, table};
use crate::components::time::Now;
use crate::model::{GrantRow, GrantState};
use crate::questions;

/// The grants of one person, with acts for an administrator.
pub(crate) fn grants_table(caption: &'static str, rows: Vec<GrantRow>, with_user: bool) -> AnyView {
    let now = Now::from_page();
    let head = if with_user {
        headers(&["User", "Resource", "State", "Expires", "Next refresh", "Last refreshed", ""])
    } else {
        headers(&["Resource", "State", "Expires", "Next refresh", "Last refreshed", ""])
    };
    let rows = rows.into_iter().map(|row| grant_row(row, with_user, now)).collect_view();
    table(caption, head, rows.into_any())
}

/// The viewer's own grants: to look at.
pub(crate) fn own_grants_table(caption: &'static str, rows: Vec<GrantRow>) -> AnyView {
    let now = Now::from_page();
    let head = headers(&["Resource", "State", "Expires", "Next refresh", "Last refreshed"]);
    let rows = rows.into_iter().map(|row| view! { <tr>{cells(&row, now)}</tr> }).collect_view();
    table(caption, head, rows.into_any())
}

fn grant_row(row: GrantRow, with_user: bool, now: Now) -> impl IntoView + use<> {
    let user = with_user.then(|| view! { <td>{person(&row.user_id, &row.user_name)}</td> });
    view! {
        <tr>
            {user}
            {cells(&row, now)}
            <td class="actions">{acts(&row)}</td>
        </tr>
    }
}

fn cells(row: &GrantRow, now: Now) -> AnyView {
    let error = (!row.last_error.is_empty()).then(|| view! { <p class="cell-note">{row.last_error.clone()}</p> });
    let scopes = (!row.scopes.is_empty()).then(|| view! { <p class="cell-note muted">{row.scopes.clone()}</p> });
    view! {
        <td>{text(row.resource.clone())}{scopes}</td>
        <td>{grant_state(row.state)}{error}</td>
        <td>{now.until(&row.expires)}</td>
        <td>{now.until(&row.next_refresh)}</td>
        <td>{now.ago(&row.last_refreshed)}</td>
    }
    .into_any()
}

fn acts(row: &GrantRow) -> AnyView {
    let object = format!("{} for {}", row.resource, row.user_name);
    let can_refresh = matches!(row.state, GrantState::Live | GrantState::Retrying);
    let refresh =
        can_refresh.then(|| Act::new(format!("/admin/grants/{}/refresh", row.id), "Refresh").on(&object).view());
    let forget = Act::new(format!("/admin/grants/{}/forget", row.id), "Delete")
        .on(&object)
        .destructive()
        .asks(questions::FORGET);
    view! { <div class="acts">{refresh}{forget.view()}</div> }.into_any()
}
