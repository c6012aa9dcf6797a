//! Waiting when Graph asks for it: calls made meanwhile would count against the quota, too
//! (Microsoft Graph, "Throttling guidance").

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::StatusCode;

use super::GraphError;
use crate::clock::Clock;
use crate::crypto::random_bytes;

/// The first wait when Graph names none; it doubles with each further refusal.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// How often it doubles.
const MAX_DOUBLINGS: u32 = 6;

/// Until when no call is made.
pub(super) struct Pacing {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    until: Option<DateTime<Utc>>,
    refusals: u32,
}

impl Pacing {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Whether a call may be made now.
    ///
    /// # Errors
    /// [`GraphError::Throttled`] with the time that is left.
    pub(super) fn check(&self) -> Result<(), GraphError> {
        let left = self.lock().until.and_then(|until| (until - self.clock.now()).to_std().ok());
        match left.filter(|left| !left.is_zero()) {
            Some(retry_after) => Err(GraphError::Throttled { retry_after }),
            None => Ok(()),
        }
    }

    /// Notes a refusal with `status`, and how long to wait: as long as was `asked`, otherwise longer
    /// each time, spread by chance so that instances do not come back together.
    pub(super) fn pause(&self, status: StatusCode, asked: Option<Duration>) -> GraphError {
        let mut state = self.lock();
        let wait = asked.unwrap_or_else(|| jittered(FIRST_WAIT * 2_u32.pow(state.refusals.min(MAX_DOUBLINGS))));
        state.refusals = state.refusals.saturating_add(1);
        state.until = chrono::Duration::from_std(wait).ok().map(|wait| self.clock.now() + wait);
        match status {
            StatusCode::TOO_MANY_REQUESTS => GraphError::Throttled { retry_after: wait },
            _ => GraphError::Unavailable { detail: format!("HTTP status {status}") },
        }
    }

    /// Notes that Graph answers. A wait that another call was asked for meanwhile stays.
    pub(super) fn resume(&self) {
        let mut state = self.lock();
        if state.until.is_none_or(|until| until <= self.clock.now()) {
            *state = State::default();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Between `wait` and one and a half times as long, in whole milliseconds.
fn jittered(wait: Duration) -> Duration {
    let chance = random_bytes::<1>().map_or(0, |[byte]| u32::from(byte));
    let spread = wait / 2 * chance / 255;
    Duration::from_millis(u64::try_from((wait + spread).as_millis()).unwrap_or(u64::MAX))
}
