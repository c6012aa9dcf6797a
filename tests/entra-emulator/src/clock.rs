//! The emulator's own time: the system's, or one that stands still, plus an offset that tests move.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

/// A clock, and an offset to it in seconds.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    stopped_at: OnceLock<DateTime<Utc>>,
    offset: AtomicI64,
}

impl Clock {
    /// Now, as an instant in UTC.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the emulator reads the system's clock")]
    pub(crate) fn now(&self) -> DateTime<Utc> {
        let now = self.stopped_at.get().copied().unwrap_or_else(Utc::now);
        let offset = TimeDelta::try_seconds(self.offset()).unwrap_or_default();
        now.checked_add_signed(offset).unwrap_or(now)
    }

    /// Now, as whole seconds since the epoch: what JWTs carry (RFC 7519 section 2, `NumericDate`).
    pub(crate) fn unix(&self) -> i64 {
        self.now().timestamp()
    }

    /// Stops the clock at `time`, from which only the offset then moves it; the first stop counts.
    pub(crate) fn stop(&self, time: DateTime<Utc>) {
        self.stopped_at.get_or_init(|| time);
    }

    /// The offset in seconds.
    pub(crate) fn offset(&self) -> i64 {
        self.offset.load(Ordering::SeqCst)
    }

    /// Sets the offset.
    pub(crate) fn set_offset(&self, seconds: i64) {
        self.offset.store(seconds, Ordering::SeqCst);
    }

    /// Moves the clock by `seconds`; negative values move it back.
    pub(crate) fn advance(&self, seconds: i64) {
        self.offset.fetch_add(seconds, Ordering::SeqCst);
    }
}
