//! Line icons on a 16-unit grid. Decoration: words stand beside them.

use leptos::prelude::*;

/// An icon from the data of its path.
pub(crate) fn icon(path: &'static str) -> impl IntoView {
    view! {
        <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
            <path d=path fill="none" stroke="currentColor" stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round"/>
        </svg>
    }
}

/// Four tiles.
pub(crate) const OVERVIEW: &str = "M2 2h5v5H2zM9 2h5v5H9zM2 9h5v5H2zM9 9h5v5H9z";
/// One person.
pub(crate) const USERS: &str = "M8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2.5 14.5a5.5 5.5 0 0 1 11 0";
/// A screen.
pub(crate) const SESSIONS: &str = "M2 3h12v8H2zM8 11v3M5 14h6";
/// Several people.
pub(crate) const GROUPS: &str = "M6 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM1.5 13.5a4.5 4.5 0 0 1 9 0M10.5 2.8a2.5 2.5 0 0 1 0 4.4M12.5 9.6a4.5 4.5 0 0 1 2 3.9";
/// A key.
pub(crate) const GRANTS: &str = "M5.5 14a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM8 8l6-6M11 5l2 2";
/// A list.
pub(crate) const AUDIT: &str = "M6 4h8M6 8h8M6 12h8M2.5 4h.1M2.5 8h.1M2.5 12h.1";
/// A pulse.
pub(crate) const HEALTH: &str = "M1.5 8.5H4.5l2-5 3.5 9.5 2-4.5h2.5";
/// Pointing down.
pub(crate) const CHEVRON: &str = "M4 6l4 4 4-4";
/// A cross.
pub(crate) const CROSS: &str = "M4 4l8 8M12 4l-8 8";
