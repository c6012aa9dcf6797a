//! `/profile`: what is known about the viewer, where they are signed in, and their way out.

use leptos::prelude::*;

use crate::backend::{backend, page_context};
use crate::components::avatar;
use crate::components::empty::none_yet;
use crate::components::error::loaded_page;
use crate::components::facts::{facts, id, text, text_facts};
use crate::components::form::Act;
use crate::components::grants::own_grants_table;
use crate::components::layout::{self, Document};
use crate::components::roles::{kept_note, why};
use crate::components::sessions::{Scope, sessions_table};
use crate::components::status::{tag, user_type};
use crate::components::table::{headers, table};
use crate::components::time::Now;
use crate::model::{
    GrantRow, GrantState, GraphPart, GraphProfile, GroupRow, KeptGroups, Profile, RoleGrant, SessionRow,
};
use crate::questions;

/// Each part degrades alone: without Graph there is still everything else.
pub(crate) async fn page() -> Document {
    let profile = backend().profile().await;
    layout::page("Profile", loaded_page(profile, content))
}

fn content(profile: Profile) -> AnyView {
    let graph = page_context().graph_enabled.then(|| graph_section(profile.graph.clone()));
    view! {
        {heading(&profile)}
        <div class="columns">
            <div class="column-main">
                {account_section(&profile)}
                {graph}
                {claims_section(profile.claims)}
            </div>
            <div class="column-side">
                {roles_section(profile.roles)}
                {groups_section(profile.groups, profile.kept_groups)}
            </div>
        </div>
        {sessions_section(profile.sessions)}
        {grants_section(profile.grants)}
    }
    .into_any()
}

fn heading(profile: &Profile) -> AnyView {
    view! {
        <header class="page-header person">
            {avatar::own(&profile.name, profile.has_photo, avatar::Size::Large)}
            <div>
                <h1>{profile.name.clone()}</h1>
                <p class="lead">{profile.upn.clone()}</p>
            </div>
        </header>
    }
    .into_any()
}

fn account_section(profile: &Profile) -> AnyView {
    let pairs = [
        ("User name", text(profile.upn.clone()).into_any()),
        ("E-mail", text(profile.email.clone()).into_any()),
        ("Type", user_type(profile.user_type).into_any()),
        ("Tenant", id(profile.realm.clone())),
        ("Object ID", id(profile.subject.clone())),
        ("Last synchronised", Now::from_page().ago(&profile.synced_at).into_any()),
    ];
    let pairs = pairs.into_iter().map(|(label, value)| (label.to_owned(), value)).collect();
    view! {
        <section class="panel" aria-labelledby="account">
            <h2 id="account">"Account"</h2>
            {facts(pairs)}
            <p class="panel-note">"Your organisation manages these. Changes appear here at your next sign-in."</p>
            <p><a href="/profile/data" download="">"Download everything stored about you"</a>" (JSON)"</p>
        </section>
    }
    .into_any()
}

fn graph_section(graph: GraphProfile) -> AnyView {
    view! {
        <section class="panel" aria-labelledby="graph">
            <h2 id="graph">"From Microsoft Graph"</h2>
            {graph_part("Work", graph.me)}
            {graph_part("Manager", graph.manager)}
        </section>
    }
    .into_any()
}

/// One answer of Graph: the facts with their age, and why they are old or absent.
fn graph_part(heading: &'static str, part: GraphPart) -> AnyView {
    let problem = (!part.problem.is_empty()).then(|| view! { <p class="inline-problem">{part.problem.clone()}</p> });
    let permission = (!part.permission.is_empty()).then(|| ask_for(&part.permission));
    let age = (!part.fetched_at.is_empty())
        .then(|| view! { <span class="muted">"Fetched "{Now::from_page().ago(&part.fetched_at)}</span> });
    let facts = if part.facts.is_empty() && part.problem.is_empty() {
        view! { <p class="muted">"Nothing on record."</p> }.into_any()
    } else {
        text_facts(part.facts)
    };
    view! {
        <div class="part">
            <h3>{heading}</h3>
            {problem}
            {permission}
            {facts}
            {age}
        </div>
    }
    .into_any()
}

/// Incremental consent: the person is asked only when they want what needs the permission.
fn ask_for(permission: &str) -> AnyView {
    let ask = Act::new("/auth/sign-in".to_owned(), "Request permission").on(permission);
    view! {
        <p class="panel-note">"This needs the permission "<code>{permission.to_owned()}</code>", which you or an administrator can grant."</p>
        {ask.with("scope", permission).with("next", "/profile").view()}
    }
    .into_any()
}

fn claims_section(claims: Vec<(String, String)>) -> AnyView {
    let rows = claims
        .into_iter()
        .map(|(name, value)| view! { <tr><th scope="row"><code>{name}</code></th><td class="breakable">{value}</td></tr> })
        .collect_view();
    view! {
        <section class="panel" aria-labelledby="claims">
            <h2 id="claims">"Latest claims of the ID token"</h2>
            {table("Latest claims of the ID token", headers(&["Claim", "Value"]), rows.into_any())}
        </section>
    }
    .into_any()
}

fn roles_section(roles: Vec<RoleGrant>) -> AnyView {
    let list = if roles.is_empty() {
        view! { <p class="muted">"You have no roles."</p> }.into_any()
    } else {
        let items = roles.into_iter().map(|role| {
            let why = why(&role);
            view! { <li>{tag(role.role)}{why}</li> }
        });
        view! { <ul class="plain-list">{items.collect_view()}</ul> }.into_any()
    };
    view! {
        <section class="panel" aria-labelledby="roles">
            <h2 id="roles">"Roles"</h2>
            {list}
        </section>
    }
    .into_any()
}

fn groups_section(groups: Vec<GroupRow>, kept: Option<KeptGroups>) -> AnyView {
    let list = if groups.is_empty() {
        view! { <p class="muted">"No groups are known."</p> }.into_any()
    } else {
        let items = groups.into_iter().map(|group| {
            let name = if group.name.is_empty() { "Name not known".to_owned() } else { group.name };
            view! { <li><span>{name}</span>{id(group.object_id)}</li> }
        });
        view! { <ul class="plain-list">{items.collect_view()}</ul> }.into_any()
    };
    view! {
        <section class="panel" aria-labelledby="groups">
            <h2 id="groups">"Groups"</h2>
            {list}
            {kept_note(kept)}
        </section>
    }
    .into_any()
}

fn sessions_section(sessions: Vec<SessionRow>) -> AnyView {
    let everywhere = Act::new("/profile/sign-out-everywhere".to_owned(), "Sign out everywhere").destructive();
    let everywhere = everywhere.asks(questions::SIGN_OUT_MYSELF);
    view! {
        <section class="panel" aria-labelledby="sessions">
            <div class="panel-head">
                <h2 id="sessions">"Your devices"</h2>
                {everywhere.view()}
            </div>
            {sessions_table("Your sessions", sessions, Scope::Own)}
        </section>
    }
    .into_any()
}

fn grants_section(grants: Vec<GrantRow>) -> AnyView {
    let lapsed = grants.iter().any(|grant| grant.state == GrantState::NeedsSignIn);
    let advice = lapsed.then(|| {
        view! {
            <p class="inline-problem">
                "One of these needs you to sign in again. "
                <a href="/auth/sign-in?next=%2Fprofile">"Sign in again"</a>
            </p>
        }
    });
    let list = if grants.is_empty() {
        none_yet("No access", "You have not given this app access to other services.")
    } else {
        own_grants_table("App access", grants)
    };
    view! {
        <section class="panel" aria-labelledby="grants">
            <h2 id="grants">"App access"</h2>
            <p class="panel-note">"Services that this app can use on your behalf. Signing out everywhere ends this access."</p>
            {advice}
            {list}
        </section>
    }
    .into_any()
}
