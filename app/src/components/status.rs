//! States as a word beside a dot: never colour alone.

use leptos::prelude::*;

use crate::model::{GrantState, UserStatus, UserType};

/// How good or bad a state is: the colour of its dot.
#[derive(Clone, Copy)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Somebody should look.
    Warning,
    /// Not working, or not allowed.
    Bad,
    /// Neither.
    Neutral,
}

/// A word and a dot.
pub(crate) fn status(tone: Tone, word: &'static str) -> impl IntoView {
    let class = match tone {
        Tone::Good => "status status-good",
        Tone::Warning => "status status-warning",
        Tone::Bad => "status status-bad",
        Tone::Neutral => "status",
    };
    view! { <span class=class>{word}</span> }
}

/// May this person sign in?
pub(crate) fn user_status(value: UserStatus) -> impl IntoView {
    match value {
        UserStatus::Active => status(Tone::Good, "Active"),
        UserStatus::Disabled => status(Tone::Bad, "Disabled"),
    }
}

/// Member or guest, as a word.
pub(crate) fn user_type(value: UserType) -> &'static str {
    match value {
        UserType::Member => "Member",
        UserType::Guest => "Guest",
    }
}

/// State of a grant.
pub(crate) fn grant_state(value: GrantState) -> impl IntoView {
    match value {
        GrantState::Live => status(Tone::Good, "Active"),
        GrantState::Retrying => status(Tone::Warning, "Retrying"),
        GrantState::Expiring => status(Tone::Neutral, "Expiring"),
        GrantState::NeedsSignIn => status(Tone::Bad, "Needs sign-in"),
    }
}

/// A short label, such as a role.
pub(crate) fn tag(words: String) -> impl IntoView {
    view! { <span class="tag">{words}</span> }
}
