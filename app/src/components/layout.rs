//! The frame of a page: title, top bar, content, footer; for the admin pages also their navigation.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::brand;
use crate::components::flash::FlashMessage;
use crate::components::nav::{AdminNav, Footer, TopBar};
use crate::islands::confirm::ConfirmDialog;

/// A page of the application.
#[component]
pub fn Page(
    /// What the page is, for the title of the document.
    title: &'static str,
    /// The content.
    children: Children,
) -> impl IntoView {
    view! {
        {document_title(title)}
        <TopBar/>
        <main id="main" class="page">
            <FlashMessage/>
            {children()}
        </main>
        <Footer/>
        <ConfirmDialog/>
    }
    .into_any()
}

/// An admin page: a heading, a sentence on what it shows, and the content.
#[component]
pub fn AdminPage(
    /// The heading, also the title of the document.
    title: &'static str,
    /// What the page shows.
    lead: &'static str,
    /// The content.
    children: Children,
) -> impl IntoView {
    view! {
        {document_title(title)}
        <TopBar/>
        <div class="admin">
            <AdminNav/>
            <main id="main" class="admin-main">
                <FlashMessage/>
                <header class="page-header">
                    <h1>{title}</h1>
                    <p class="lead">{lead}</p>
                </header>
                {children()}
            </main>
        </div>
        <Footer/>
        <ConfirmDialog/>
    }
    .into_any()
}

/// An admin page whose content brings its own heading and title: the page of one thing.
#[component]
pub fn AdminDetailPage(
    /// The title of the document until the content sets a better one.
    title: &'static str,
    /// The content.
    children: Children,
) -> impl IntoView {
    view! {
        {document_title(title)}
        <TopBar/>
        <div class="admin">
            <AdminNav/>
            <main id="main" class="admin-main">
                <FlashMessage/>
                {children()}
            </main>
        </div>
        <Footer/>
        <ConfirmDialog/>
    }
    .into_any()
}

/// Sets the title of the document: `Users · Entra Starter`.
pub(crate) fn document_title(page: &str) -> impl IntoView + use<> {
    view! { <Title text=title_text(page)/> }
}

/// `leptos_meta` writes titles into the page as they are, so names of people are escaped here.
fn title_text(page: &str) -> String {
    let escaped = page.replace('&', "&amp;").replace('<', "&lt;");
    format!("{escaped} · {}", brand::TITLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_the_title_cannot_end_it() {
        let text = title_text("A&B </title><script>");
        assert!(text.starts_with("A&amp;B &lt;/title>&lt;script> · "), "{text}");
    }
}
