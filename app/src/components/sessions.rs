//! Sessions as a table: on the profile, on the page of a user, and in the admin list.

use leptos::prelude::*;

use crate::components::facts::{dash, person, text};
use crate::components::form::Act;
use crate::components::status::tag;
use crate::components::table::{headers, table};
use crate::components::time::Now;
use crate::model::SessionRow;
use crate::questions;

/// Whose sessions are listed, and so where they are ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The viewer's own, on the profile.
    Own,
    /// Those of one user, for an administrator.
    User,
    /// Everybody's, for an administrator.
    Everybody,
}

/// The table. The session that looks at the page is marked and has no button: that is signing out.
pub(crate) fn sessions_table(caption: &'static str, rows: Vec<SessionRow>, scope: Scope) -> AnyView {
    let now = Now::from_page();
    let head = match scope {
        Scope::Everybody => headers(&["User", "Device", "Address", "Began", "Last used", "Ends", ""]),
        Scope::Own | Scope::User => headers(&["Device", "Address", "Began", "Last used", "Ends", ""]),
    };
    let rows = rows.into_iter().map(|row| session_row(row, scope, now)).collect_view();
    table(caption, head, rows.into_any())
}

fn session_row(row: SessionRow, scope: Scope, now: Now) -> impl IntoView + use<> {
    let end = if row.is_current { dash() } else { end_act(&row, scope).view() };
    let user = (scope == Scope::Everybody).then(|| view! { <td>{person(&row.user_id, &row.user_name)}</td> });
    let current = row.is_current.then(|| tag("This device".to_owned()));
    view! {
        <tr>
            {user}
            <td>{text(row.device)}" "{current}</td>
            <td class="breakable">{text(row.address)}</td>
            <td>{now.ago(&row.created)}</td>
            <td>{now.ago(&row.last_seen)}</td>
            <td>{now.until(&row.expires)}</td>
            <td class="actions">{end}</td>
        </tr>
    }
}

fn end_act(row: &SessionRow, scope: Scope) -> Act {
    let place = if scope == Scope::Own { "profile" } else { "admin" };
    let object = match scope {
        Scope::Everybody => format!("session of {} on {}", row.user_name, row.device),
        Scope::Own | Scope::User => format!("session on {}", row.device),
    };
    Act::new(format!("/{place}/sessions/{}/end", row.id), "End").on(&object).asks(questions::END_SESSION)
}
