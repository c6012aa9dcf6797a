//! The database's clock, which all instances share: what one of them leases must not look free to another whose own
//! clock is ahead (`docs/requirements.tsv` F-23).

use std::sync::atomic::{AtomicI64, Ordering};

use diesel::QueryResult;

use super::DbConn;
use crate::clock::Clock;

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

    /// Measures it anew. A clock that a test moves by hand stands for the database's, too.
    ///
    /// # Errors
    /// From the database.
    #[cfg(feature = "postgres")]
    pub async fn measure(&self, conn: &mut DbConn, clock: &Clock) -> QueryResult<()> {
        use crate::db::RunQueryDsl as _;
        use diesel::dsl::sql;
        use diesel::sql_types::Timestamp;
        if clock.is_manual() {
            return Ok(());
        }
        let now = diesel::select(sql::<Timestamp>("timezone('utc', clock_timestamp())"));
        let now: chrono::NaiveDateTime = now.get_result(conn).await?;
        let ahead = (now - clock.now_utc()).num_microseconds().unwrap_or_default();
        self.micros.store(ahead, Ordering::Relaxed);
        Ok(())
    }

    /// SQLite has no clock but this machine's.
    ///
    /// # Errors
    /// None.
    #[cfg(feature = "sqlite")]
    #[expect(clippy::unused_async, reason = "PostgreSQL's waits for the database")]
    pub async fn measure(&self, _conn: &mut DbConn, _clock: &Clock) -> QueryResult<()> {
        Ok(())
    }
}
