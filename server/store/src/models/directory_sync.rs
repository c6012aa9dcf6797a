//! Where the directory sync of each tenant stands, leased so that one instance at a time works on it.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::schema::directory_syncs;
use crate::{DbConn, Prepare, RunQueryDsl, StoredTime};

/// The sync of a tenant, as stored.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = directory_syncs)]
pub struct DirectorySync {
    /// GUID.
    pub tenant_id: String,
    /// Where Graph's delta query goes on; empty before the first complete round.
    pub delta_link: String,
    /// Raised by every write.
    pub version: i64,
    /// Until when somebody is at it.
    pub leased_until: Option<NaiveDateTime>,
    /// When the next round may begin.
    #[diesel(deserialize_as = StoredTime)]
    pub due_at: NaiveDateTime,
    /// When the last round began.
    pub began_at: Option<NaiveDateTime>,
    /// When the last round ended.
    pub ended_at: Option<NaiveDateTime>,
    /// What the last round came to, in words; empty when it did not come to its end.
    pub result: String,
    /// Why the last round failed, in words; empty when it did not.
    pub error: String,
    /// Failed rounds in a row.
    pub failures: i32,
    /// How many users the last round would have disabled, and did not; 0 when it was not held back.
    pub held: i64,
    /// Of so many active users.
    pub held_of: i64,
    /// How many an administrator allows the next round to disable.
    pub allowed: i64,
}

/// How a round ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncOutcome {
    /// Everything is written.
    Done {
        /// Where the next round begins.
        delta_link: String,
        /// In words.
        result: String,
    },
    /// It would disable too many; nothing is written.
    Held {
        /// So many.
        held: i64,
        /// Of so many active users.
        held_of: i64,
    },
    /// It failed; the next round begins where this one did.
    Failed {
        /// In words.
        error: String,
    },
}

impl DirectorySync {
    /// The sync of this tenant; a new one is due `now`.
    ///
    /// # Errors
    /// From the database.
    pub async fn find_or_begin(conn: &mut DbConn, tenant_id: &str, now: NaiveDateTime) -> QueryResult<Self> {
        diesel::insert_into(directory_syncs::table)
            .values((directory_syncs::tenant_id.eq(tenant_id), directory_syncs::due_at.eq(now)))
            .on_conflict_do_nothing()
            .prepared()
            .execute(conn)
            .await?;
        directory_syncs::table.find(tenant_id).select(Self::as_select()).first(conn).await
    }

    /// The syncs of these tenants, by tenant.
    ///
    /// # Errors
    /// From the database.
    pub async fn list(conn: &mut DbConn, tenant_ids: &[String]) -> QueryResult<Vec<Self>> {
        let query = directory_syncs::table.filter(directory_syncs::tenant_id.eq_any(tenant_ids));
        query.order(directory_syncs::tenant_id).select(Self::as_select()).load(conn).await
    }

    /// Whether a round may begin.
    #[must_use]
    pub fn is_due(&self, now: NaiveDateTime) -> bool {
        self.due_at <= now && !self.is_running(now)
    }

    /// Whether somebody is at it.
    #[must_use]
    pub fn is_running(&self, now: NaiveDateTime) -> bool {
        self.leased_until.is_some_and(|until| until > now)
    }

    /// Takes or extends the lease until `until` by compare-and-swap, for the round that began at `began_at`; `false`
    /// when somebody else has written meanwhile.
    ///
    /// # Errors
    /// From the database.
    pub async fn lease(
        &mut self,
        conn: &mut DbConn,
        began_at: NaiveDateTime,
        until: NaiveDateTime,
    ) -> QueryResult<bool> {
        let leased = diesel::update(self.unchanged())
            .set((
                directory_syncs::version.eq(directory_syncs::version + 1),
                directory_syncs::leased_until.eq(until),
                directory_syncs::began_at.eq(began_at),
            ))
            .prepared()
            .execute(conn)
            .await?;
        if leased > 0 {
            self.version += 1;
        }
        Ok(leased > 0)
    }

    /// Whether the lease still holds.
    ///
    /// # Errors
    /// From the database.
    pub async fn is_leased(&self, conn: &mut DbConn) -> QueryResult<bool> {
        Ok(self.unchanged().count().get_result::<i64>(conn).await? > 0)
    }

    /// Writes how the round ended and gives the lease back; `false` when the lease was lost.
    ///
    /// # Errors
    /// From the database.
    pub async fn finish(
        &self,
        conn: &mut DbConn,
        outcome: SyncOutcome,
        now: NaiveDateTime,
        due_at: NaiveDateTime,
    ) -> QueryResult<bool> {
        let mut end = Self { due_at, ended_at: Some(now), result: String::new(), error: String::new(), ..self.clone() };
        match outcome {
            SyncOutcome::Done { delta_link, result } => {
                end = Self { delta_link, result, failures: 0, held: 0, held_of: 0, allowed: 0, ..end };
            }
            SyncOutcome::Held { held, held_of } => end = Self { held, held_of, failures: 0, allowed: 0, ..end },
            SyncOutcome::Failed { error } => end = Self { error, failures: self.failures.saturating_add(1), ..end },
        }
        let written = diesel::update(self.unchanged())
            .set((
                directory_syncs::delta_link.eq(end.delta_link),
                directory_syncs::version.eq(directory_syncs::version + 1),
                directory_syncs::leased_until.eq(None::<NaiveDateTime>),
                directory_syncs::due_at.eq(end.due_at),
                directory_syncs::ended_at.eq(end.ended_at),
                directory_syncs::result.eq(end.result),
                directory_syncs::error.eq(end.error),
                directory_syncs::failures.eq(end.failures),
                directory_syncs::held.eq(end.held),
                directory_syncs::held_of.eq(end.held_of),
                directory_syncs::allowed.eq(end.allowed),
            ))
            .prepared()
            .execute(conn)
            .await?;
        Ok(written > 0)
    }

    /// Allows the next round to disable as many as were held back, and makes it due; `false` when it is no longer so
    /// many, or somebody is at it.
    ///
    /// # Errors
    /// From the database.
    pub async fn allow(&self, conn: &mut DbConn, now: NaiveDateTime) -> QueryResult<bool> {
        let written = diesel::update(self.unchanged())
            .set((
                directory_syncs::version.eq(directory_syncs::version + 1),
                directory_syncs::allowed.eq(self.held),
                directory_syncs::due_at.eq(now),
            ))
            .prepared()
            .execute(conn)
            .await?;
        Ok(written > 0)
    }

    #[diesel::dsl::auto_type(no_type_alias)]
    fn unchanged<'a>(&'a self) -> _ {
        let tenant_id: &'a str = &self.tenant_id;
        let version: i64 = self.version;
        directory_syncs::table
            .filter(directory_syncs::tenant_id.eq(tenant_id).and(directory_syncs::version.eq(version)))
    }
}
