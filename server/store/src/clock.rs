//! The database's clock, which all instances share: what one of them leases must not look free to another whose own
//! clock is ahead.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::NaiveDateTime;
use diesel::QueryResult;

use crate::DbConn;

/// How far the database's clock is ahead of this machine's, as measured last. SQLite has this machine's.
#[derive(Debug, Default)]
pub struct DatabaseClock {
    micros: AtomicI64,
}

impl DatabaseClock {
    /// As measured last; nothing before.
    #[must_use]
    pub fn ahead(&self) -> chrono::Duration {
        chrono::Duration::microseconds(self.micros.load(Ordering::Relaxed))
    }

    /// Measures it anew, beside this machine's clock as `local` reads it, in UTC.
    ///
    /// # Errors
    /// From the database.
    #[cfg(feature = "postgres")]
    pub async fn measure(&self, conn: &mut DbConn, local: impl Fn() -> NaiveDateTime) -> QueryResult<()> {
        use diesel::dsl::sql;
        use diesel::sql_types::Timestamp;

        use crate::RunQueryDsl as _;

        let now = diesel::select(sql::<Timestamp>("timezone('utc', clock_timestamp())"));
        let now: NaiveDateTime = now.get_result(conn).await?;
        let ahead = (now - local()).num_microseconds().unwrap_or_default();
        self.micros.store(ahead, Ordering::Relaxed);
        Ok(())
    }

    /// SQLite has no clock but this machine's.
    ///
    /// # Errors
    /// None.
    #[cfg(feature = "sqlite")]
    #[expect(clippy::unused_async, reason = "PostgreSQL's waits for the database")]
    pub async fn measure(&self, _conn: &mut DbConn, _local: impl Fn() -> NaiveDateTime) -> QueryResult<()> {
        Ok(())
    }
}

/// A time in RFC 3339, to the second.
#[must_use]
pub fn rfc3339(at: NaiveDateTime) -> String {
    at.and_utc().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
