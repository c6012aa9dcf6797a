//! Labels with values, and ids to copy.

use leptos::prelude::*;

use crate::islands::copy::CopyButton;

/// A list of labels and values; a dash stands for an empty value.
pub(crate) fn facts(facts: Vec<(String, AnyView)>) -> AnyView {
    let rows = facts
        .into_iter()
        .map(|(label, value)| {
            view! {
                <div class="fact">
                    <dt>{label}</dt>
                    <dd>{value}</dd>
                </div>
            }
        })
        .collect_view();
    view! { <dl class="facts">{rows}</dl> }.into_any()
}

/// Plain labels and values, as they come from the provider.
pub(crate) fn text_facts(pairs: Vec<(String, String)>) -> AnyView {
    let rows = pairs
        .into_iter()
        .map(|(label, value)| {
            view! {
                <div class="fact">
                    <dt>{label}</dt>
                    <dd>{text(value)}</dd>
                </div>
            }
        })
        .collect_view();
    view! { <dl class="facts">{rows}</dl> }.into_any()
}

/// A value as text, or a dash.
pub(crate) fn text(value: String) -> String {
    if value.is_empty() { DASH.to_owned() } else { value }
}

/// An id in a fixed-width face, selected as a whole by one click, with a button that copies it.
pub(crate) fn id(value: String) -> AnyView {
    if value.is_empty() {
        return dash();
    }
    view! { <code class="copyable">{value.clone()}</code><CopyButton value/> }.into_any()
}

/// A person as a link to their page for administrators.
pub(crate) fn person(user_id: &str, name: &str) -> AnyView {
    let words = if name.is_empty() { "(no name)" } else { name };
    view! { <a href=format!("/admin/users/{user_id}")>{words.to_owned()}</a> }.into_any()
}

/// What stands for "nothing".
pub(crate) const DASH: &str = "–";

/// The same as a view.
pub(crate) fn dash() -> AnyView {
    DASH.into_any()
}
