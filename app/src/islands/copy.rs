//! A button that copies an id.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;

/// For how long the button says that it did it.
const SAID: std::time::Duration = std::time::Duration::from_secs(2);

/// Copies `value` to the clipboard. Hidden where that cannot be done: without JavaScript, or over http.
#[island]
pub fn CopyButton(
    /// What is copied.
    value: String,
) -> impl IntoView {
    let possible = RwSignal::new(false);
    let copied = RwSignal::new(false);
    Effect::new(move |_| possible.set(window().is_secure_context()));
    let copy = {
        let value = value.clone();
        move |_| {
            let written = window().navigator().clipboard().write_text(&value);
            spawn_local(async move {
                copied.set(JsFuture::from(written).await.is_ok());
                set_timeout(move || copied.set(false), SAID);
            });
        }
    };
    view! {
        <button type="button" class="copy" hidden=move || !possible.get() on:click=copy>
            <span aria-live="polite">{move || if copied.get() { "Copied" } else { "Copy" }}</span>
            <span class="visually-hidden">" "{value}</span>
        </button>
    }
}
