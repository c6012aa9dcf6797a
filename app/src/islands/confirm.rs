//! A dialog that asks before a form takes something away, in place of a page.
//!
//! One for the whole page: it looks at each form that is submitted, and asks what the form's `data-question` asks. The
//! form is then posted with `confirm=yes`; without this island the server asks, if there is need to.

use leptos::ev;
use leptos::html::Dialog;
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use web_sys::{HtmlElement, HtmlFormElement, HtmlInputElement};

/// Marks the form that waits for the answer.
const WAITING: &str = "data-waiting";

/// What is asked about it.
#[derive(Clone, Default)]
struct Asked {
    title: String,
    object: String,
    consequences: String,
    button: String,
}

/// Asks before every form that has a question.
#[island]
pub fn ConfirmDialog() -> impl IntoView {
    let asked = RwSignal::new(Asked::default());
    let dialog = NodeRef::<Dialog>::new();
    Effect::new(move |_| {
        let listener = window_event_listener(ev::submit, move |event| {
            let form = event.target().and_then(|target| target.dyn_into::<HtmlFormElement>().ok());
            let question = form.as_ref().and_then(|form| question(form, event.submitter()));
            if let (Some(form), Some(question), Some(dialog)) = (form, question, dialog.get_untracked()) {
                asked.set(question);
                if form.set_attribute(WAITING, "").is_ok() && dialog.show_modal().is_ok() {
                    event.prevent_default();
                }
            }
        });
        on_cleanup(move || listener.remove());
    });
    let close = move || {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    };
    let agree = move |_| {
        if let Some(form) = waiting() {
            submit_confirmed(&form);
        }
        close();
    };
    let forget = move |_| {
        if let Some(form) = waiting() {
            // Were it to stay, the form would only be found again.
            let _ = form.remove_attribute(WAITING);
        }
    };
    let part = move |part: fn(&Asked) -> &String| move || asked.with(|asked| part(asked).clone());
    view! {
        <dialog class="dialog" aria-labelledby="dialog-title" aria-describedby="dialog-text" node_ref=dialog on:close=forget>
            <h2 id="dialog-title">{part(|asked| &asked.title)}</h2>
            <div id="dialog-text">
                <p><strong>{part(|asked| &asked.object)}</strong></p>
                <p>{part(|asked| &asked.consequences)}</p>
            </div>
            <div class="dialog-acts">
                <button type="button" class="button" on:click=move |_| close()>"Cancel"</button>
                <button type="button" class="button button-danger-fill" on:click=agree>{part(|asked| &asked.button)}</button>
            </div>
        </dialog>
    }
}

/// The form that waits for the answer.
fn waiting() -> Option<HtmlFormElement> {
    let found = document().query_selector(&format!("form[{WAITING}]")).ok().flatten();
    found.and_then(|form| form.dyn_into().ok())
}

/// What is to be asked before `form`, if anything.
fn question(form: &HtmlFormElement, button: Option<HtmlElement>) -> Option<Asked> {
    let title = form.get_attribute("data-question")?;
    let text = |name| form.get_attribute(name).unwrap_or_default();
    Some(Asked {
        title,
        object: text("data-object"),
        consequences: text("data-consequences"),
        button: button.and_then(|button| button.text_content()).unwrap_or_default(),
    })
}

/// Posts `form` with the answer. The page may come back from the browser's cache: then the form has to ask again.
fn submit_confirmed(form: &HtmlFormElement) {
    let answer = document().create_element("input").ok().and_then(|field| field.dyn_into::<HtmlInputElement>().ok());
    let Some(answer) = answer else { return };
    answer.set_type("hidden");
    answer.set_name("confirm");
    answer.set_value("yes");
    if form.append_child(&answer).is_ok() && form.submit().is_ok() {
        answer.remove();
    }
}
