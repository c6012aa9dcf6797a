//! Active filters as chips, each with a way to take it off, and one for all.

use leptos::prelude::*;

use crate::components::icon::{self, icon};

/// An active filter.
pub(crate) struct Chip {
    /// What is filtered: `Status`.
    pub(crate) label: &'static str,
    /// By what: `active`.
    pub(crate) value: String,
    /// The address of the list without it.
    pub(crate) without: String,
}

/// The chips, and the way to `everything`; nothing without any.
pub(crate) fn chips(chips: Vec<Chip>, everything: impl Into<String>) -> Option<AnyView> {
    if chips.is_empty() {
        return None;
    }
    let everything: String = everything.into();
    let chips = chips.into_iter().map(chip).collect_view();
    Some(
        view! {
            <ul class="chips" aria-label="Active filters">
                {chips}
                <li><a class="chip-clear" href=everything>"Clear all"</a></li>
            </ul>
        }
        .into_any(),
    )
}

fn chip(chip: Chip) -> AnyView {
    let Chip { label, value, without } = chip;
    let remove = format!("Remove filter {label}: {value}");
    view! {
        <li class="chip">
            <span>{label}": "<strong>{value}</strong></span>
            <a href=without aria-label=remove>{icon(icon::CROSS)}</a>
        </li>
    }
    .into_any()
}
