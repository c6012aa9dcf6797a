//! A face for a person: the photo, or initials. Decoration: the name always stands beside it.

use leptos::prelude::*;

use crate::format;

/// Small, in rows and menus, or large, in headings.
#[derive(Clone, Copy)]
pub(crate) enum Size {
    /// As high as a line of text.
    Small,
    /// As high as a heading and its lead.
    Large,
}

impl Size {
    fn class(self) -> &'static str {
        match self {
            Self::Small => "avatar",
            Self::Large => "avatar avatar-large",
        }
    }
}

/// Initials in a circle.
pub(crate) fn initials(name: &str, size: Size) -> AnyView {
    view! { <span class=size.class() aria-hidden="true">{format::initials(name)}</span> }.into_any()
}

/// The viewer's own photo, or their initials without one. There is no photo of anybody else.
pub(crate) fn own(name: &str, has_photo: bool, size: Size) -> AnyView {
    if has_photo {
        view! { <img class=size.class() src="/profile/photo" alt="" width="64" height="64"/> }.into_any()
    } else {
        initials(name, size)
    }
}
