//! The time, from one place: the system's, or a test's own that moves only when told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, NaiveDateTime, Utc};

/// Tells the time in UTC, in whole microseconds (what PostgreSQL keeps, so that a value read
/// back equals the value written).
///
/// Cloning is cheap; clones of a clock of a test move together.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    /// Microseconds by which it is ahead of the system's.
    Wrong(Arc<AtomicI64>),
    /// Microseconds since the epoch that it stands at.
    Manual(Arc<AtomicI64>),
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
        Self(Source::Manual(Arc::new(AtomicI64::new(start.timestamp_micros()))))
    }

    /// The system's time, `ahead` of the truth: a machine whose clock is wrong. For tests.
    #[must_use]
    pub fn wrong(ahead: chrono::Duration) -> Self {
        Self(Source::Wrong(Arc::new(AtomicI64::new(ahead.num_microseconds().unwrap_or_default()))))
    }

    /// Whether the clock moves only when told to.
    #[must_use]
    pub fn is_manual(&self) -> bool {
        matches!(self.0, Source::Manual(_))
    }

    /// Moves a manual clock, or makes a wrong one jump, by `by`; the system's clock stays as it is.
    pub fn advance(&self, by: chrono::Duration) {
        if let Source::Manual(micros) | Source::Wrong(micros) = &self.0 {
            micros.fetch_add(by.num_microseconds().unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }

    /// Now, as an instant in UTC.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        let micros = match &self.0 {
            Source::System => system_micros(),
            Source::Wrong(ahead) => system_micros().saturating_add(ahead.load(Ordering::SeqCst)),
            Source::Manual(micros) => micros.load(Ordering::SeqCst),
        };
        DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// Now, as the database stores it: UTC without a zone.
    #[must_use]
    pub fn now_utc(&self) -> NaiveDateTime {
        self.now().naive_utc()
    }
}
