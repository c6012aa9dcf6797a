//! `/admin/grants`: what this application may do in whose name.

use leptos::prelude::*;

use crate::backend::{backend, page_context};
use crate::components::empty::none_yet;
use crate::components::error::loaded;
use crate::components::grants::grants_table;
use crate::components::layout::AdminPage;
use crate::components::pager::Pager;
use crate::model::{GrantRow, Listing};
use crate::query::parameter;

/// Grants with the state of their refresh. The tokens themselves are nowhere to be seen.
pub(crate) fn page() -> AnyView {
    let backend = backend();
    let after = parameter(&page_context().query, "after");
    let is_first = after.is_none();
    let data = async move { Ok((is_first, backend.grants(after).await?)) };
    view! {
        <AdminPage title="Grants" lead="What this application may do in whose name. Tokens are kept encrypted and refreshed in the background.">
            {loaded(data, content)}
        </AdminPage>
    }
    .into_any()
}

fn content((is_first, listing): (bool, Listing<GrantRow>)) -> AnyView {
    let pager = Pager::forward("/admin/grants", &[], is_first, listing.next.as_deref());
    let list = if listing.rows.is_empty() {
        none_yet("No grants", "A grant begins when somebody signs in and the provider issues tokens for them.")
    } else {
        grants_table("Grants", listing.rows, true)
    };
    (list, pager.view("Pages of grants")).into_any()
}
