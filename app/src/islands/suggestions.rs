//! Suggestions below a search field while it is typed in: the browser's own list, with its own keys.

use leptos::ev;
use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast as _;
use wasm_bindgen_futures::JsFuture;
use web_sys::js_sys::encode_uri_component;
use web_sys::{HtmlInputElement, Response};

/// How long nothing must be typed before it is asked.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(150);

/// The list of a field, which becomes a combo box with it. Whatever goes wrong, nothing is suggested.
#[island]
pub fn Suggestions(
    /// The field's id.
    field: String,
    /// The list's id.
    id: String,
    /// Where to ask: what is typed is appended. The answer is text: lines of a value, a tab and what it stands for.
    from: String,
) -> impl IntoView {
    let lines = RwSignal::new(String::new());
    let waiting = StoredValue::new(None::<TimeoutHandle>);
    let list = id.clone();
    Effect::new(move |_| {
        let (list, from) = (list.clone(), from.clone());
        if let Some(field) = document().get_element_by_id(&field) {
            let _ = field.set_attribute("list", &list);
        }
        let listener = window_event_listener(ev::input, move |event| {
            let field = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
            let Some(field) = field.filter(|field| field.get_attribute("list").as_ref() == Some(&list)) else { return };
            if let Some(waiting) = waiting.get_value() {
                waiting.clear();
            }
            let from = from.clone();
            let ask = move || {
                spawn_local(async move {
                    let typed = field.value();
                    let found = ask(&from, &typed).await.unwrap_or_default();
                    // It may be the answer to what was there before.
                    if field.value() == typed {
                        lines.set(found);
                    }
                });
            };
            waiting.set_value(set_timeout_with_handle(ask, PAUSE).ok());
        });
        on_cleanup(move || listener.remove());
    });
    let option = |line: &str| {
        let (value, label) = line.split_once('\t')?;
        Some(view! { <option value=value.to_owned()>{label.to_owned()}</option> })
    };
    view! { <datalist id=id>{move || lines.with(|lines| lines.lines().filter_map(option).collect_view())}</datalist> }
}

async fn ask(from: &str, typed: &str) -> Option<String> {
    let address = format!("{from}{}", String::from(encode_uri_component(typed)));
    let answer: Response = JsFuture::from(window().fetch_with_str(&address)).await.ok()?.dyn_into().ok()?;
    if !answer.ok() {
        return None;
    }
    JsFuture::from(answer.text().ok()?).await.ok()?.as_string()
}
