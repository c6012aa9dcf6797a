//! What serves once, on every instance: sign-in transactions by their state, and logout tokens by
//! their id.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::schema::used_transactions;
use crate::{DbConn, Prepare, RunQueryDsl, StoredTime};

/// A used sign-in transaction.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = used_transactions)]
pub struct UsedTransaction {
    /// SHA-256 of the state, or of a logout token's realm and id.
    pub state_hash: Vec<u8>,
    /// The session that it begins, or would have.
    pub session_id: Option<String>,
    /// Where the sign-in went on to.
    pub next: String,
    /// When the row may go: the transaction could no longer be used anyway.
    #[diesel(deserialize_as = StoredTime)]
    pub expires_at: NaiveDateTime,
}

impl UsedTransaction {
    /// Uses the state up; `false` when it was used before.
    ///
    /// # Errors
    /// From the database.
    pub async fn insert(&self, conn: &mut DbConn) -> QueryResult<bool> {
        let inserted = diesel::insert_into(used_transactions::table)
            .values(self)
            .on_conflict_do_nothing()
            .prepared()
            .execute(conn)
            .await?;
        Ok(inserted > 0)
    }

    /// The used transaction of this state.
    ///
    /// # Errors
    /// From the database.
    pub async fn find(conn: &mut DbConn, state_hash: &[u8]) -> QueryResult<Option<Self>> {
        used_transactions::table.find(state_hash).select(Self::as_select()).first(conn).await.optional()
    }

    /// Deletes up to `limit` rows that are over.
    ///
    /// # Errors
    /// From the database.
    pub async fn purge(conn: &mut DbConn, now: NaiveDateTime, limit: i64) -> QueryResult<usize> {
        let hashes: Vec<Vec<u8>> = used_transactions::table
            .filter(used_transactions::expires_at.le(now))
            .select(used_transactions::state_hash)
            .limit(limit)
            .load(conn)
            .await?;
        diesel::delete(used_transactions::table.filter(used_transactions::state_hash.eq_any(hashes)))
            .execute(conn)
            .await
    }
}
