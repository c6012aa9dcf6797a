//! The emulator's own time: the system's plus an offset that tests move.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

/// The system's clock plus an offset in seconds.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset: AtomicI64,
}

impl Clock {
    /// Now, as an instant in UTC.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the emulator reads the system's clock")]
    pub(crate) fn now(&self) -> DateTime<Utc> {
        let now = Utc::now();
        let offset = TimeDelta::try_seconds(self.offset()).unwrap_or_default();
        now.checked_add_signed(offset).unwrap_or(now)
    }

    /// Now, as whole seconds since the epoch: what JWTs carry (RFC 7519 section 2, `NumericDate`).
    pub(crate) fn unix(&self) -> i64 {
        self.now().timestamp()
    }

    /// The offset from the system's clock in seconds.
    pub(crate) fn offset(&self) -> i64 {
        self.offset.load(Ordering::SeqCst)
    }

    /// Sets the offset from the system's clock.
    pub(crate) fn set_offset(&self, seconds: i64) {
        self.offset.store(seconds, Ordering::SeqCst);
    }

    /// Moves the clock by `seconds`; negative values move it back.
    pub(crate) fn advance(&self, seconds: i64) {
        self.offset.fetch_add(seconds, Ordering::SeqCst);
    }
}
