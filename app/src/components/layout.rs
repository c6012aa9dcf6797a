//! The frame of a page: title, top bar, content, footer; for the admin pages also their navigation.

use leptos::prelude::*;

use crate::components::flash::FlashMessage;
use crate::components::nav::{AdminNav, Footer, TopBar};
use crate::islands::confirm::ConfirmDialog;

/// A page as it is sent.
pub struct Document {
    /// What it is; the product's name comes behind it.
    pub(crate) title: String,
    /// What is in its `<body>`.
    pub(crate) body: AnyView,
}

/// A page of the application. `title` says what it is.
pub(crate) fn page(title: &str, content: impl IntoView) -> Document {
    let body = view! {
        <TopBar/>
        <main id="main" class="page">
            <FlashMessage/>
            {content}
        </main>
        <Footer/>
        <ConfirmDialog/>
    };
    Document { title: title.to_owned(), body: body.into_any() }
}

/// An admin page: a heading, which is its title as well, a sentence on what it shows, and the content.
pub(crate) fn admin_page(title: &'static str, lead: &'static str, content: impl IntoView) -> Document {
    let content = view! {
        <header class="page-header">
            <h1>{title}</h1>
            <p class="lead">{lead}</p>
        </header>
        {content}
    };
    admin_detail_page(title, content)
}

/// An admin page whose content brings its own heading: the page of one thing.
pub(crate) fn admin_detail_page(title: &str, content: impl IntoView) -> Document {
    let body = view! {
        <TopBar/>
        <div class="admin">
            <AdminNav/>
            <main id="main" class="admin-main">
                <FlashMessage/>
                {content}
            </main>
        </div>
        <Footer/>
        <ConfirmDialog/>
    };
    Document { title: title.to_owned(), body: body.into_any() }
}
