//! A value that the provider publishes, kept: fresh for an hour, usable for a day, fetched by one
//! caller at a time, and left alone for a moment after a failure.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Duration, Utc};

use super::error::{Endpoint, OidcError};
use super::status::SourceStatus;
use crate::clock::Clock;

/// After this long a value is fetched again (Microsoft identity platform, "Signing key rollover").
const FRESH: Duration = Duration::hours(1);

/// After this long a value that could not be fetched again is no longer used.
const USABLE: Duration = Duration::hours(24);

/// After a failure nobody tries again for this long, so that a provider that is down costs nothing.
const PAUSE: Duration = Duration::seconds(5);

/// Likewise while there is a value that can be used.
const LONG_PAUSE: Duration = Duration::seconds(60);

/// How good a kept value is.
#[derive(Debug)]
pub(crate) enum Kept<T> {
    /// Young enough.
    Fresh(Arc<T>),
    /// Old enough to be fetched again, young enough to be used if that fails.
    Stale(Arc<T>),
    /// None, or too old.
    Nothing,
}

/// A value that is fetched when needed.
pub(crate) struct Cache<T> {
    endpoint: Endpoint,
    clock: Clock,
    state: Mutex<State<T>>,
    /// Held while fetching: one fetch at a time.
    gate: tokio::sync::Mutex<()>,
}

struct State<T> {
    value: Option<(Arc<T>, DateTime<Utc>)>,
    error: Option<(OidcError, DateTime<Utc>)>,
    /// Grows with every fetch, so that a caller that waited knows that another one has fetched.
    fetches: u64,
    status: SourceStatus,
}

impl<T> Cache<T> {
    /// An empty cache of what `endpoint` publishes.
    pub(crate) fn new(endpoint: Endpoint, clock: Clock) -> Self {
        let state = State { value: None, error: None, fetches: 0, status: SourceStatus::default() };
        Self { endpoint, clock, state: Mutex::new(state), gate: tokio::sync::Mutex::new(()) }
    }

    /// What is kept now.
    pub(crate) fn kept(&self) -> Kept<T> {
        let now = self.clock.now();
        match &self.lock().value {
            Some((value, fetched)) if now - *fetched < FRESH => Kept::Fresh(Arc::clone(value)),
            Some((value, fetched)) if now - *fetched < USABLE => Kept::Stale(Arc::clone(value)),
            _ => Kept::Nothing,
        }
    }

    /// The last successful and failed fetch.
    pub(crate) fn status(&self) -> SourceStatus {
        self.lock().status.clone()
    }

    /// How many fetches have ended.
    pub(crate) fn fetches(&self) -> u64 {
        self.lock().fetches
    }

    /// Whether the last fetch failed so recently that the next one has to wait.
    pub(crate) fn is_paused(&self) -> bool {
        self.failed_within(PAUSE)
    }

    /// Whether to leave a stale value as it is for now: somebody is fetching, or it failed a moment ago.
    pub(crate) fn may_stay_stale(&self) -> bool {
        self.gate.try_lock().is_err() || self.failed_within(LONG_PAUSE)
    }

    fn failed_within(&self, time: Duration) -> bool {
        let now = self.clock.now();
        let failed = self.lock().error.as_ref().map(|(_, failed)| *failed);
        failed.is_some_and(|failed| (now - failed).abs() < time)
    }

    /// Fetches, unless the last fetch has just failed or another caller has fetched since `seen`
    /// ([`Cache::fetches`]). A failure leaves the kept value as it is. `fetch` may decline (`None`).
    ///
    /// # Errors
    /// When there is no usable value afterwards: the last fetch's error.
    pub(crate) async fn fetch<F>(&self, seen: u64, fetch: F) -> Result<Arc<T>, OidcError>
    where
        F: Future<Output = Option<Result<T, OidcError>>>,
    {
        let _only_one = self.gate.lock().await;
        if self.fetches() == seen
            && !self.is_paused()
            && let Some(outcome) = fetch.await
        {
            self.keep(outcome);
        }
        self.outcome()
    }

    /// The kept value while usable, otherwise the last error.
    fn outcome(&self) -> Result<Arc<T>, OidcError> {
        match self.kept() {
            Kept::Fresh(value) | Kept::Stale(value) => Ok(value),
            Kept::Nothing => Err(self.last_error()),
        }
    }

    /// The error of the last fetch that failed.
    pub(crate) fn last_error(&self) -> OidcError {
        let unknown = || OidcError::Unavailable {
            endpoint: self.endpoint,
            detail: "nothing fetched yet".to_owned(),
            retry_after: None,
            said: None,
        };
        self.lock().error.as_ref().map_or_else(unknown, |(error, _)| error.clone())
    }

    fn keep(&self, outcome: Result<T, OidcError>) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.fetches += 1;
        state.status.note(&outcome, now);
        match outcome {
            Ok(value) => {
                state.value = Some((Arc::new(value), now));
                state.error = None;
            }
            Err(error) => {
                tracing::warn!(reason = error.reason(), %error, "a fetch from the provider failed");
                state.error = Some((error, now));
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
