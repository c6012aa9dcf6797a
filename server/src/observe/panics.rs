//! Panics that were caught: what they said, and how many there were.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// How many panics were caught since the process began: of handlers, pages and background jobs.
#[must_use]
pub fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// Counts a panic and tells what it said.
pub(crate) fn note(panic: &(dyn Any + Send)) -> &str {
    COUNT.fetch_add(1, Ordering::Relaxed);
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
