//! `/admin/groups`: the groups that came with sign-ins, and which roles they give.

use leptos::prelude::*;

use crate::backend::{backend, page_context};
use crate::components::empty::none_yet;
use crate::components::error::loaded;
use crate::components::facts::{dash, id, text};
use crate::components::form::{Act, CsrfField};
use crate::components::layout::{Document, admin_page};
use crate::components::pager::Pager;
use crate::components::status::tag;
use crate::components::table::{headers, table};
use crate::components::time::Now;
use crate::format::thousands;
use crate::model::{GroupPage, GroupRow, Listing, MappingRow};
use crate::query::parameter;

/// Mappings, then known groups by object id.
pub(crate) async fn page() -> Document {
    const LEAD: &str =
        "Directory groups and app roles, and the roles that they give here. Membership is managed in the directory.";
    let query = page_context().query.clone();
    let after = parameter(&query, "after");
    let typed = Typed {
        value: parameter(&query, "value").unwrap_or_default(),
        role: parameter(&query, "role").unwrap_or_default(),
    };
    let is_first = after.is_none();
    let page = backend().groups(after).await;
    admin_page("Groups & roles", LEAD, loaded(page, |page| content(is_first, typed, page)))
}

/// What the form of a new mapping begins with: a group that was chosen, or what was not accepted.
struct Typed {
    value: String,
    role: String,
}

fn content(is_first: bool, typed: Typed, page: GroupPage) -> AnyView {
    let GroupPage { listing, mappings, roles, memberships_kept } = page;
    view! {
        {mappings_section(mappings, typed, roles, memberships_kept)}
        {groups_section(is_first, listing)}
    }
    .into_any()
}

fn mappings_section(mappings: Vec<MappingRow>, typed: Typed, roles: Vec<String>, memberships_kept: bool) -> AnyView {
    let list = if mappings.is_empty() {
        none_yet("No mappings", "Nobody gets a role from the directory. Add a mapping below, or set ROLE_MAPPING.")
    } else {
        let rows = mappings.into_iter().map(mapping_row).collect_view();
        table("Role mappings", headers(&["Group or app role", "Role", "Source", ""]), rows.into_any())
    };
    let note = (!memberships_kept).then(|| {
        view! { <p class="panel-note">"Memberships are not stored (MIRROR_GROUPS), so a new group mapping takes effect at each person's next sign-in or token refresh."</p> }
    });
    view! {
        <section class="panel" aria-labelledby="mappings">
            <h2 id="mappings">"Role mappings"</h2>
            {add_form(typed, roles)}
            <p id="value-forms" class="panel-note">
                "A GUID is a group; a name is an app role. "<code>"group:name"</code>" is a group known by name. Begin with "
                <code>"tenant ID/"</code>" to limit a mapping to one tenant."
            </p>
            {note}
            {list}
        </section>
    }
    .into_any()
}

fn mapping_row(mapping: MappingRow) -> AnyView {
    let act = Act::new("/admin/groups/mappings".to_owned(), "Remove")
        .on(&format!("{} gives {}", mapping.value, mapping.role))
        .with("value", mapping.value.clone())
        .with("role", mapping.role.clone())
        .with("action", "remove")
        .destructive();
    let act = if mapping.from_setting { dash() } else { act.view() };
    let source = if mapping.from_setting {
        view! { <span>"Setting "<code>"ROLE_MAPPING"</code></span> }.into_any()
    } else {
        let by = format!("Added by {} ", mapping.created_by);
        view! { <span>{by}{Now::from_page().ago(&mapping.created_at)}</span> }.into_any()
    };
    let name = (!mapping.name.is_empty()).then(|| view! { <p>{mapping.name.clone()}</p> });
    view! {
        <tr>
            <td>{name}{id(mapping.value)}</td>
            <td>{tag(mapping.role)}</td>
            <td>{source}</td>
            <td class="actions">{act}</td>
        </tr>
    }
    .into_any()
}

/// Leads to a dry run first: nothing is saved by this form alone.
fn add_form(typed: Typed, roles: Vec<String>) -> AnyView {
    let options = roles.into_iter().map(|role| view! { <option value=role></option> }).collect_view();
    view! {
        <form method="post" action="/admin/groups/mappings" class="filters" aria-label="New mapping">
            <CsrfField/>
            <input type="hidden" name="action" value="add"/>
            <div class="field field-grow">
                <label for="value">"Group object ID, or app role"</label>
                <input id="value" name="value" value=typed.value required maxlength="200" autocomplete="off"
                    aria-describedby="value-forms"/>
            </div>
            <div class="field">
                <label for="role">"Role"</label>
                <input id="role" name="role" value=typed.role required maxlength="64" autocomplete="off" list="known-roles"
                    pattern="[a-z0-9_\\-]+" title="Lower-case letters, digits, - and _"/>
                <datalist id="known-roles">{options}</datalist>
            </div>
            <button type="submit" class="button button-primary">"Preview"</button>
        </form>
    }
    .into_any()
}

fn groups_section(is_first: bool, listing: Listing<GroupRow>) -> AnyView {
    let pager = Pager::forward("/admin/groups", &[], is_first, listing.next.as_deref());
    let list = if listing.rows.is_empty() {
        none_yet("No groups yet", "Groups appear when someone who belongs to them signs in.")
    } else {
        let rows = listing.rows.into_iter().map(group_row).collect_view();
        table("Groups", headers(&["Group", "Object ID", "Known members", "Gives", ""]), rows.into_any())
    };
    view! {
        <section class="panel" aria-labelledby="groups">
            <h2 id="groups">"Known groups"</h2>
            {list}
        </section>
        {pager.view("Pages of groups")}
    }
    .into_any()
}

fn group_row(group: GroupRow) -> AnyView {
    let query = serde_urlencoded::to_string([("value", &group.object_id)]).unwrap_or_default();
    let label = format!("Map to a role: {}", if group.name.is_empty() { &group.object_id } else { &group.name });
    let roles =
        if group.roles.is_empty() { dash() } else { group.roles.into_iter().map(tag).collect_view().into_any() };
    view! {
        <tr>
            <td>{text(group.name)}</td>
            <td>{id(group.object_id)}</td>
            <td class="numeric">{thousands(group.members)}</td>
            <td>{roles}</td>
            <td class="actions"><a class="button" href=format!("/admin/groups?{query}#mappings") aria-label=label>"Map to a role"</a></td>
        </tr>
    }
    .into_any()
}
