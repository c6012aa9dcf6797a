//! `/admin/users/{id}`: everything about one person, and what an administrator can do about it.

use leptos::prelude::*;

use crate::backend::{backend, page_context};
use crate::components::avatar;
use crate::components::empty::none_yet;
use crate::components::error::loaded_page;
use crate::components::events::events_table;
use crate::components::facts::{dash, facts, id, text, text_facts};
use crate::components::form::Act;
use crate::components::grants::grants_table;
use crate::components::layout::{Document, admin_detail_page};
use crate::components::roles::{from_here, from_provider, kept_note};
use crate::components::sessions::{Scope, sessions_table};
use crate::components::status::{tag, user_status, user_type};
use crate::components::table::{headers, table};
use crate::components::time::Now;
use crate::model::{GroupRow, RoleGrant, SessionRow, UserDetail, UserStatus};
use crate::query::parameter;
use crate::questions;

/// The role whose loss locks its holder out of these pages.
const ADMIN_ROLE: &str = "admin";

/// One person, a tab at a time. The overview has what is acted on most.
pub(crate) async fn page() -> Document {
    let page = page_context();
    let user = backend().user(page.last_segment().to_owned()).await;
    let tab = Tab::parse(&parameter(&page.query, "tab").unwrap_or_default());
    let title = user.as_ref().map_or("User", known_as).to_owned();
    admin_detail_page(&title, loaded_page(user, |user| content(tab, user)))
}

fn content(tab: Tab, user: UserDetail) -> AnyView {
    view! {
        <nav class="breadcrumb" aria-label="Breadcrumb"><a href="/admin/users">"Users"</a></nav>
        {heading(&user)}
        {tabs(&user, tab)}
        {tab_content(user, tab)}
    }
    .into_any()
}

fn tab_content(user: UserDetail, tab: Tab) -> AnyView {
    match tab {
        Tab::Overview => {
            view! { {account_section(&user)}{roles_section(&user)}{sessions_section(user.sessions)} }.into_any()
        }
        Tab::Roles => view! { {roles_section(&user)}{groups_section(user.groups)} }.into_any(),
        Tab::Sessions => sessions_section(user.sessions),
        Tab::Grants => list_section(
            "grants",
            "Tokens",
            user.grants,
            "No tokens",
            "Tokens are issued at the next sign-in.",
            |rows| grants_table("Tokens", rows, false),
        ),
        Tab::History => history_section(user),
    }
}

fn sessions_section(sessions: Vec<SessionRow>) -> AnyView {
    let empty = "A session starts at the next sign-in.";
    list_section("sessions", "Sessions", sessions, "Not signed in anywhere", empty, |rows| {
        sessions_table("Sessions", rows, Scope::User)
    })
}

fn history_section(user: UserDetail) -> AnyView {
    let all = format!("/admin/audit?target={}", user.row.id);
    let list = list_section(
        "history",
        "History",
        user.history,
        "No activity yet",
        "Sign-ins and changes appear here.",
        |rows| events_table("History", rows),
    );
    view! { {list}<p><a href=all>"All events about this person"</a></p> }.into_any()
}

/// The name, or the user name for want of one.
fn known_as(user: &UserDetail) -> &str {
    if user.row.name.is_empty() { &user.row.upn } else { &user.row.name }
}

fn heading(user: &UserDetail) -> AnyView {
    let is_self = user.is_self.then(|| tag("You".to_owned()));
    view! {
        <header class="page-header person">
            {avatar::initials(known_as(user), avatar::Size::Large)}
            <div class="person-words">
                <h1>{known_as(user).to_owned()}" "{is_self}</h1>
                <p class="lead">{user.row.upn.clone()}</p>
                <p class="person-state">
                    {user_status(user.row.status)}
                    <span class="muted">{user_type(user.row.user_type)}</span>
                </p>
            </div>
            {acts(user)}
        </header>
    }
    .into_any()
}

/// What would lock the viewer out is not offered: nobody disables, erases or signs out themselves here.
fn acts(user: &UserDetail) -> AnyView {
    if user.is_self {
        return view! { <p class="acts muted">"Your own account: see "<a href="/profile">"your profile"</a>"."</p> }
            .into_any();
    }
    let path = |act: &str| format!("/admin/users/{}/{act}", user.row.id);
    let sign_out = Act::new(path("sign-out"), "Sign out everywhere").on(known_as(user)).asks(questions::SIGN_OUT);
    let switch = match user.row.status {
        UserStatus::Active => {
            Act::new(path("disable"), "Disable").on(known_as(user)).destructive().asks(questions::DISABLE)
        }
        UserStatus::Disabled => Act::new(path("enable"), "Enable").on(known_as(user)),
    };
    let erase = Act::new(path("delete"), "Erase").on(known_as(user)).destructive();
    view! { <div class="acts">{sign_out.view()}{switch.view()}{erase.view()}</div> }.into_any()
}

/// A part of the page with an address of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tab {
    /// The account, and what is acted on most.
    Overview,
    /// Roles with why, and groups.
    Roles,
    /// Sessions.
    Sessions,
    /// Grants.
    Grants,
    /// The latest events.
    History,
}

impl Tab {
    /// In `tab`; anything else is the overview.
    fn parse(name: &str) -> Self {
        match name {
            "roles" => Self::Roles,
            "sessions" => Self::Sessions,
            "grants" => Self::Grants,
            "history" => Self::History,
            _ => Self::Overview,
        }
    }
}

fn tabs(user: &UserDetail, current: Tab) -> AnyView {
    let path = format!("/admin/users/{}", user.row.id);
    let link = |tab: Tab, query: &'static str, words: &'static str, number: Option<usize>| {
        let number = number.map(|number| view! { <span class="tab-count">{number}</span> });
        let current = (tab == current).then_some("page");
        view! { <li><a href=format!("{path}{query}") aria-current=current>{words}{number}</a></li> }
    };
    view! {
        <nav class="tabs" aria-label="About this person">
            <ul>
                {link(Tab::Overview, "", "Overview", None)}
                {link(Tab::Roles, "?tab=roles", "Groups and roles", Some(user.groups.len() + user.roles.len()))}
                {link(Tab::Sessions, "?tab=sessions", "Sessions", Some(user.sessions.len()))}
                {link(Tab::Grants, "?tab=grants", "Tokens", Some(user.grants.len()))}
                {link(Tab::History, "?tab=history", "History", None)}
            </ul>
        </nav>
    }
    .into_any()
}

fn account_section(user: &UserDetail) -> AnyView {
    let now = Now::from_page();
    let source = if user.directory_url.is_empty() { "the provider" } else { "Microsoft Entra ID" };
    let link = (!user.directory_url.is_empty()).then(|| {
        view! { <a href=user.directory_url.clone() rel="noreferrer">"Open in the Entra admin center"</a> }
    });
    let own = [
        ("Last sign-in", now.ago(&user.row.last_sign_in).into_any()),
        ("First seen", now.ago(&user.row.created).into_any()),
        ("User ID", id(user.row.id.clone())),
        ("Tenant", id(user.realm.clone())),
        ("Object ID", id(user.subject.clone())),
    ];
    let own = own.into_iter().map(|(label, value)| (label.to_owned(), value)).collect();
    view! {
        <section class="panel" aria-labelledby="account">
            <h2 id="account">"Account"</h2>
            {facts(own)}
            <h3>"Managed in "{source}</h3>
            {text_facts(user.provider_facts.clone())}
            <p class="panel-note">
                "Read-only here. Change these in the directory. Last synchronised "{now.ago(&user.synced_at)}". "{link}
            </p>
        </section>
    }
    .into_any()
}

/// Every role that exists for this person, held or not, with its one possible act.
fn roles_section(user: &UserDetail) -> AnyView {
    let rows: Vec<AnyView> = known_roles(user).into_iter().map(|role| role_row(user, role)).collect();
    view! {
        <section class="panel" aria-labelledby="roles">
            <h2 id="roles">"Roles"</h2>
            {table("Roles", headers(&["Role", "From the provider", "Granted here", ""]), rows.into_any())}
            {kept_note(user.kept_groups.clone())}
        </section>
    }
    .into_any()
}

fn known_roles(user: &UserDetail) -> Vec<RoleGrant> {
    let is_new = |role: &&String| !user.roles.iter().any(|held| held.role == **role);
    let open = user.grantable_roles.iter().filter(is_new);
    let open = open.map(|role| RoleGrant { role: role.clone(), ..RoleGrant::default() });
    user.roles.iter().cloned().chain(open).collect()
}

fn role_row(user: &UserDetail, role: RoleGrant) -> AnyView {
    let act = role_act(user, &role).map_or_else(dash, Act::view);
    let (provider, here) = (from_provider(&role), from_here(&role));
    view! {
        <tr>
            <td>{tag(role.role)}</td>
            <td>{provider}</td>
            <td>{here}</td>
            <td class="actions">{act}</td>
        </tr>
    }
    .into_any()
}

/// Revoke what was granted here, grant what was not; but nobody takes their own last admin role.
fn role_act(user: &UserDetail, role: &RoleGrant) -> Option<Act> {
    let (action, label) = if role.from_here { ("revoke", "Revoke") } else { ("grant", "Grant") };
    let locks_out = user.is_self && role.role == ADMIN_ROLE && role.from_here && !role.from_provider;
    let is_open = role.from_here || user.grantable_roles.contains(&role.role);
    let act = Act::new(format!("/admin/users/{}/roles", user.row.id), label)
        .on(&format!("role {} of {}", role.role, known_as(user)))
        .with("role", role.role.clone())
        .with("action", action);
    let act = if role.from_here { act.destructive().asks(questions::REVOKE) } else { act };
    (is_open && !locks_out).then_some(act)
}

fn groups_section(groups: Vec<GroupRow>) -> AnyView {
    let rows = |groups: Vec<GroupRow>| {
        let rows = groups
            .into_iter()
            .map(|group| view! { <tr><td>{text(group.name)}</td><td>{id(group.object_id)}</td></tr> });
        table("Groups", headers(&["Group", "Object ID"]), rows.collect_view().into_any())
    };
    list_section(
        "groups",
        "Groups",
        groups,
        "No groups are known",
        "Groups are read at sign-in or by the directory sync.",
        rows,
    )
}

/// A section with a list, or with words in its place.
fn list_section<T>(
    anchor: &'static str,
    heading: &'static str,
    rows: Vec<T>,
    empty_heading: &'static str,
    empty_text: &'static str,
    render: impl FnOnce(Vec<T>) -> AnyView,
) -> AnyView {
    let content = if rows.is_empty() { none_yet(empty_heading, empty_text) } else { render(rows) };
    view! {
        <section class="panel" aria-labelledby=anchor>
            <h2 id=anchor>{heading}</h2>
            {content}
        </section>
    }
    .into_any()
}
