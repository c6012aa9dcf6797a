//! What a page shows, and answers, when it has no data.

use leptos::prelude::*;

use crate::backend::PageError;
use crate::status::ResponseStatus;

/// Renders `data` with `render`, or says why there is none and answers with the status of that.
pub(crate) fn loaded<T>(data: Result<T, PageError>, render: impl FnOnce(T) -> AnyView) -> AnyView {
    data.map_or_else(failed, render)
}

/// The same for a page whose heading is part of the data: the message has the heading then.
pub(crate) fn loaded_page<T>(data: Result<T, PageError>, render: impl FnOnce(T) -> AnyView) -> AnyView {
    data.map_or_else(failed_page, render)
}

/// A message under the heading of a page, and the status of the response.
fn failed(error: PageError) -> AnyView {
    problem(error, |heading| view! { <h2>{heading}</h2> }.into_any())
}

/// A message in place of a page, and the status of the response.
fn failed_page(error: PageError) -> AnyView {
    problem(error, |heading| view! { <h1>{heading}</h1> }.into_any())
}

fn problem(error: PageError, heading_view: fn(&'static str) -> AnyView) -> AnyView {
    if let Some(status) = use_context::<ResponseStatus>() {
        status.set(error.status());
    }
    let (heading, text, remedy) = words(error);
    view! {
        <section class="problem" role="alert">
            <p class="problem-status">{error.status()}</p>
            {heading_view(heading)}
            <p>{text}</p>
            <p class="muted">{remedy}</p>
        </section>
    }
    .into_any()
}

/// Heading, what happened, and who can do what about it.
fn words(error: PageError) -> (&'static str, &'static str, &'static str) {
    match error {
        PageError::NotFound => (
            "There is nothing here",
            "It may have been removed, or the address is mistyped.",
            "Go back to the list and look for it there.",
        ),
        PageError::Forbidden => (
            "This page is not for you",
            "You are signed in, but your roles do not include this page.",
            "An administrator can grant you the role. Sign in again afterwards.",
        ),
        PageError::Unavailable => (
            "The data cannot be reached right now",
            "The database does not answer. Nothing is lost, and you are still signed in.",
            "Try again in a minute. If it stays, tell an administrator.",
        ),
        PageError::Internal => (
            "Something went wrong on our side",
            "The page could not be made. The reason is in the server's log.",
            "Try again. If it happens again, tell an administrator when it happened.",
        ),
    }
}
