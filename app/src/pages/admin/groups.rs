//! `/admin/groups`: the groups that came with sign-ins.

use leptos::prelude::*;

use crate::backend::{backend, page_context};
use crate::components::empty::none_yet;
use crate::components::error::loaded;
use crate::components::facts::{id, text};
use crate::components::layout::AdminPage;
use crate::components::pager::Pager;
use crate::components::table::{headers, table};
use crate::format::thousands;
use crate::model::{GroupRow, Listing};
use crate::query::parameter;

/// Known groups by object id.
pub(crate) fn page() -> AnyView {
    let backend = backend();
    let after = parameter(&page_context().query, "after");
    let is_first = after.is_none();
    let data = async move { Ok((is_first, backend.groups(after).await?)) };
    view! {
        <AdminPage title="Groups" lead="Groups of the directory that came with a sign-in or the directory sync. They are kept there.">
            {loaded(data, content)}
        </AdminPage>
    }
    .into_any()
}

fn content((is_first, listing): (bool, Listing<GroupRow>)) -> AnyView {
    let pager = Pager::forward("/admin/groups", &[], is_first, listing.next.as_deref());
    let list = if listing.rows.is_empty() {
        none_yet("No groups yet", "Groups appear when somebody signs in whose token names them.")
    } else {
        let rows = listing.rows.into_iter().map(group_row).collect_view();
        table("Groups", headers(&["Group", "Object id", "Known members"]), rows.into_any())
    };
    (list, pager.view("Pages of groups")).into_any()
}

fn group_row(group: GroupRow) -> AnyView {
    view! {
        <tr>
            <td>{text(group.name)}</td>
            <td>{id(group.object_id)}</td>
            <td class="numeric">{thousands(group.members)}</td>
        </tr>
    }
    .into_any()
}
