//! The HTML document around every page.

use leptos::nonce::use_nonce;
use leptos::prelude::*;

use crate::backend::page_context;
use crate::brand;
use crate::components::layout::Document;
use crate::model::Theme;

/// The whole document around a page. Needs the context of a request ([`crate::backend::provide_backend`]).
///
/// The one script in it starts the islands, if they have been built. It is a file instead of Leptos's
/// `HydrationScripts`, which would be in every page anew, under names without a hash, and has the browser preload a
/// module without the nonce that our policy asks for.
pub(crate) fn shell(document: Document) -> AnyView {
    let page = page_context();
    let islands = page.islands_url.clone();
    let islands = islands.map(|url| view! { <script type="module" nonce=use_nonce() src=url></script> });
    view! {
        <!DOCTYPE html>
        <html lang="en" data-theme=page.theme.name()>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content=color_scheme(page.theme)/>
                <link rel="stylesheet" href=page.stylesheet_url.clone()/>
                <link rel="icon" type="image/svg+xml" href=page.favicon_url.clone()/>
                {islands}
                <title>{format!("{} · {}", document.title, brand::TITLE)}</title>
            </head>
            <body>
                <a class="skip-link" href="#main">"Skip to content"</a>
                {document.body}
            </body>
        </html>
    }
    .into_any()
}

/// The colour schemes the browser may use before the style sheet is there: no white flash.
fn color_scheme(theme: Theme) -> &'static str {
    match theme {
        Theme::System => "light dark",
        Theme::Light => "light",
        Theme::Dark => "dark",
    }
}
