//! Any path inside the application that is no page.

use leptos::prelude::*;

use crate::backend::PageError;
use crate::components::error::failed_page;
use crate::components::layout::Page;

/// Answers 404.
pub(crate) fn page() -> AnyView {
    view! { <Page title="Not found">{failed_page(PageError::NotFound)}</Page> }.into_any()
}
