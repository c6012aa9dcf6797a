//! What stands in place of an empty list. "None yet" and "none fits" are different messages.

use leptos::prelude::*;

/// Nothing exists yet: a heading and how the first one comes to be.
pub(crate) fn none_yet(heading: &'static str, text: &'static str) -> AnyView {
    view! {
        <div class="empty">
            <p class="empty-heading">{heading}</p>
            <p>{text}</p>
        </div>
    }
    .into_any()
}

/// Something exists, but nothing fits: a heading and the way back to everything.
pub(crate) fn none_fits(heading: &'static str, everything: &'static str) -> AnyView {
    view! {
        <div class="empty">
            <p class="empty-heading">{heading}</p>
            <p><a class="button" href=everything>"Clear all filters"</a></p>
        </div>
    }
    .into_any()
}
