//! Top bar, user menu, admin navigation and footer.

use leptos::prelude::*;

use crate::backend::page_context;
use crate::brand;
use crate::components::avatar;
use crate::components::form::CsrfField;
use crate::components::icon::{self, icon};
use crate::model::{PageContext, Theme, Viewer};

/// Product name, navigation, and the person or the way to sign in.
#[component]
pub fn TopBar() -> impl IntoView {
    let page = page_context();
    let links = page.viewer.as_ref().map(|viewer| main_links(&page, viewer));
    let account = match &page.viewer {
        Some(viewer) => user_menu(viewer),
        None => sign_in_link(&page),
    };
    view! {
        <header class="topbar">
            <div class="topbar-inner">
                <a class="brand" href="/">
                    <svg
                        class="brand-mark" viewBox="0 0 32 32" width="20" height="20"
                        aria-hidden="true" focusable="false" inner_html=brand::MARK
                    ></svg>
                    <span>{brand::TITLE}</span>
                </a>
                {links}
                <div class="topbar-account">{account}</div>
            </div>
        </header>
    }
}

fn main_links(page: &PageContext, viewer: &Viewer) -> AnyView {
    let admin = viewer.is_admin.then(|| nav_link("/admin", "Admin", page.path.starts_with("/admin")));
    view! {
        <nav class="topbar-nav" aria-label="Main">
            {nav_link("/", "Home", page.path == "/")}
            {nav_link("/profile", "Profile", page.path == "/profile")}
            {admin}
        </nav>
    }
    .into_any()
}

fn nav_link(href: &'static str, words: &'static str, is_current: bool) -> impl IntoView {
    view! { <a href=href aria-current=is_current.then_some("page")>{words}</a> }
}

fn sign_in_link(page: &PageContext) -> AnyView {
    let next = serde_urlencoded::to_string([("next", here(page))]).unwrap_or_default();
    view! { <a class="button button-primary" href=format!("/auth/sign-in?{next}")>"Sign in"</a> }.into_any()
}

/// Works without JavaScript: a click beside the open menu closes it too (see `.menu` in the style).
fn user_menu(viewer: &Viewer) -> AnyView {
    view! {
        <details class="menu">
            <summary class="menu-button">
                {avatar::own(&viewer.name, viewer.has_photo, avatar::Size::Small)}
                <span class="menu-name">{viewer.name.clone()}</span>
                {icon(icon::CHEVRON)}
            </summary>
            <div class="menu-panel">
                <p class="menu-person">
                    <strong>{viewer.name.clone()}</strong>
                    <span class="muted">{viewer.upn.clone()}</span>
                </p>
                <a class="menu-item" href="/profile">"Profile"</a>
                <a class="menu-item" href="/profile#sessions">"Your devices"</a>
                <form method="post" action="/auth/sign-out">
                    <CsrfField/>
                    <button type="submit" class="menu-item">"Sign out"</button>
                </form>
            </div>
        </details>
    }
    .into_any()
}

/// The admin pages. Becomes a row on narrow screens.
#[component]
pub fn AdminNav() -> impl IntoView {
    let path = page_context().path.clone();
    let links = ADMIN_PAGES
        .iter()
        .map(|(href, words, shape)| {
            let is_current = path == *href;
            let is_within = *href != "/admin" && path.starts_with(href);
            let current = if is_current { Some("page") } else { is_within.then_some("true") };
            view! { <li><a href=*href aria-current=current>{icon(shape)}<span>{*words}</span></a></li> }
        })
        .collect_view();
    view! {
        <nav class="admin-nav" aria-label="Administration">
            <ul>{links}</ul>
        </nav>
    }
}

const ADMIN_PAGES: &[(&str, &str, &str)] = &[
    ("/admin", "Overview", icon::OVERVIEW),
    ("/admin/users", "Users", icon::USERS),
    ("/admin/sessions", "Sessions", icon::SESSIONS),
    ("/admin/groups", "Groups & roles", icon::GROUPS),
    ("/admin/grants", "Tokens", icon::GRANTS),
    ("/admin/audit", "Audit log", icon::AUDIT),
    ("/admin/health", "Health", icon::HEALTH),
];

/// Product name and the choice of colours.
#[component]
pub fn Footer() -> impl IntoView {
    let page = page_context();
    view! {
        <footer class="footer">
            <div class="footer-inner">
                <span>{brand::TITLE}</span>
                {theme_switch(&page)}
            </div>
        </footer>
    }
}

fn theme_switch(page: &PageContext) -> impl IntoView + use<> {
    let buttons = [(Theme::System, "System"), (Theme::Light, "Light"), (Theme::Dark, "Dark")].map(|(theme, words)| {
        let pressed = if theme == page.theme { "true" } else { "false" };
        view! { <button type="submit" name="theme" value=theme.name() aria-pressed=pressed>{words}</button> }
    });
    view! {
        <form method="post" action="/theme">
            <CsrfField/>
            <input type="hidden" name="back" value=here(page)/>
            <div class="segments" role="group" aria-label="Colours">{buttons.collect_view()}</div>
        </form>
    }
}

/// Path and query of this page.
fn here(page: &PageContext) -> String {
    if page.query.is_empty() { page.path.clone() } else { format!("{}?{}", page.path, page.query) }
}
