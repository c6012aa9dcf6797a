//! What the last action did, said once; and notices about the address.

use leptos::prelude::*;

use crate::backend::page_context;
use crate::model::FlashKind;

/// The message of the last action in a live region, if there is one.
#[component]
pub fn FlashMessage() -> impl IntoView {
    page_context().flash.clone().map(|flash| match flash.kind {
        FlashKind::Success => view! { <p class="flash flash-success" role="status">{flash.text}</p> }.into_any(),
        FlashKind::Error => view! { <p class="flash flash-error" role="alert">{flash.text}</p> }.into_any(),
    })
}

/// Values in the address that were not understood and fell back.
pub(crate) fn notices(texts: Vec<String>) -> Option<AnyView> {
    (!texts.is_empty()).then(|| {
        let items = texts.into_iter().map(|text| view! { <li>{text}</li> }).collect_view();
        view! { <div class="flash flash-notice" role="status"><ul>{items}</ul></div> }.into_any()
    })
}
