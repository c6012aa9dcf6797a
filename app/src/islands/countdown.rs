//! The distance to an instant to come, kept current.

use chrono::{DateTime, TimeDelta, Utc};
use leptos::prelude::*;

use crate::distance::{countdown, relative};

/// How often it is looked at.
const TICK: std::time::Duration = std::time::Duration::from_secs(1);

/// The words for the distance from `now` to `at`, both in seconds of Unix time; by the second within the last hour. It
/// goes by the server's clock: the browser's may be wrong. No live region: nobody wants to hear each second.
#[island]
pub fn Countdown(
    /// The instant to come.
    at: i64,
    /// When the page was made.
    now: i64,
) -> impl IntoView {
    let instant = |seconds| DateTime::<Utc>::from_timestamp(seconds, 0).unwrap_or_default();
    let (at, now) = (instant(at), instant(now));
    let passed = RwSignal::new(None);
    Effect::new(move |_| {
        if let Ok(interval) = set_interval_with_handle(move || passed.set(Some(since_request())), TICK) {
            on_cleanup(move || interval.clear());
        }
    });
    let words = Memo::new(move |_| match passed.get() {
        None => relative(at, now),
        Some(passed) => countdown(at, now + passed),
    });
    view! { <span>{words}</span> }
}

/// How long ago the browser asked for the page.
fn since_request() -> TimeDelta {
    let milliseconds = window().performance().map_or(0.0, |performance| performance.now());
    TimeDelta::try_milliseconds(milliseconds as i64).unwrap_or_default()
}
