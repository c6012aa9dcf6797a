//! `/`: the public start page, and the place to begin for those who are signed in.

use leptos::prelude::*;

use crate::backend::page_context;
use crate::brand;
use crate::components::layout::{self, Document};
use crate::model::Viewer;

/// Needs no data of its own: it is up even when everything else is down.
pub(crate) async fn page() -> Document {
    let content = match &page_context().viewer {
        Some(viewer) => start(viewer),
        None => landing(),
    };
    layout::page("Home", content)
}

fn landing() -> AnyView {
    view! {
        <section class="hero">
            <h1>{brand::TITLE}</h1>
            <p class="hero-lead">
                "Sign in with your work or school account. There is no password to choose here and none to forget."
            </p>
            <p><a class="button button-primary button-large" href="/auth/sign-in">"Sign in"</a></p>
        </section>
        <ul class="cards">
            {card("Your account, one place", "Name, groups and roles come from your organisation and stay in step with it.")}
            {card("Your devices", "See where you are signed in, and end any session from anywhere.")}
            {card("Your data", "Access is kept encrypted, refreshed in the background, and forgotten when you sign out.")}
        </ul>
    }
    .into_any()
}

fn card(heading: &'static str, text: &'static str) -> impl IntoView {
    view! {
        <li class="card">
            <h2>{heading}</h2>
            <p>{text}</p>
        </li>
    }
}

fn start(viewer: &Viewer) -> AnyView {
    let admin = viewer.is_admin.then(admin_links);
    view! {
        <header class="page-header">
            <h1>"Welcome, "{viewer.name.clone()}</h1>
            <p class="lead">"You are signed in as "{viewer.upn.clone()}"."</p>
        </header>
        <ul class="cards">
            {link_card("/profile", "Your profile", "What your organisation tells us about you, your roles and your groups.")}
            {link_card("/profile#sessions", "Your devices", "Where you are signed in. End any session that you don't recognise.")}
            {link_card("/profile#grants", "App access", "Services that this app can use on your behalf, and until when.")}
        </ul>
        {admin}
        {developer_hint()}
    }
    .into_any()
}

fn admin_links() -> AnyView {
    view! {
        <h2 class="section-heading">"Administration"</h2>
        <ul class="cards">
            {link_card("/admin/users", "Users", "Find people, change their roles, block their sign-in.")}
            {link_card("/admin/sessions", "Sessions", "Who is signed in now, and from where.")}
            {link_card("/admin/audit", "Audit log", "Who did what, and when.")}
            {link_card("/admin/health", "Health", "The provider, the database, the background jobs.")}
        </ul>
    }
    .into_any()
}

fn link_card(href: &'static str, heading: &'static str, text: &'static str) -> impl IntoView {
    view! {
        <li class="card card-link">
            <a href=href>{heading}</a>
            <p>{text}</p>
        </li>
    }
}

/// Tells developers, in debug builds alone, where to begin.
fn developer_hint() -> Option<impl IntoView> {
    cfg!(debug_assertions).then(|| {
        view! {
            <p class="hint">
                "This page is "<code>"app/src/pages/home.rs"</code>
                ": put your application here. Only debug builds show this line."
            </p>
        }
    })
}
