//! The time, from one place: the system's, or a test's own that moves only when told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, NaiveDateTime, Utc};

/// Tells the time in UTC, in whole microseconds (what PostgreSQL keeps, so that a value read
/// back equals the value written).
///
/// Cloning is cheap; clones of a manual clock move together.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Microseconds by which a wrong clock is ahead of the system's.
    ahead: i64,
    /// Microseconds since the epoch that a manual clock stands at; `None` reads the system clock.
    manual: Option<Arc<AtomicI64>>,
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system")]
fn system_micros() -> i64 {
    Utc::now().timestamp_micros()
}

impl Clock {
    /// A clock that reads the system's time.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it. For tests.
    #[must_use]
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self { ahead: 0, manual: Some(Arc::new(AtomicI64::new(start.timestamp_micros()))) }
    }

    /// The system's time, `ahead` of the truth: a machine whose clock is wrong. For tests.
    #[must_use]
    pub fn wrong(ahead: chrono::Duration) -> Self {
        Self { ahead: ahead.num_microseconds().unwrap_or_default(), manual: None }
    }

    /// Whether the clock moves only when told to.
    #[must_use]
    pub fn is_manual(&self) -> bool {
        self.manual.is_some()
    }

    /// Moves a manual clock by `by`; the system's clock stays as it is.
    pub fn advance(&self, by: chrono::Duration) {
        if let Some(manual) = &self.manual {
            let micros = by.num_microseconds().unwrap_or(i64::MAX);
            manual.fetch_add(micros, Ordering::SeqCst);
        }
    }

    /// Now, as an instant in UTC.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        let micros = match &self.manual {
            Some(manual) => manual.load(Ordering::SeqCst),
            None => system_micros() + self.ahead,
        };
        DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// Now, as the database stores it: UTC without a zone.
    #[must_use]
    pub fn now_utc(&self) -> NaiveDateTime {
        self.now().naive_utc()
    }
}
