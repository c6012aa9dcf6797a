//! Deleting what is over, in batches, so that no delete holds others up.

use store::DbError;
use store::models::{AuditEvent, Grant, SessionRecord, UsedTransaction};

use crate::state::AppState;

/// Rows deleted at a time.
const BATCH: i64 = 500;

/// Deletes batches by `$delete` on a connection until none is left or the shutdown; how many rows went.
macro_rules! in_batches {
    ($state:expr, $delete:expr) => {{
        let mut total = 0;
        while !$state.shutdown.is_cancelled() {
            // The connection goes back after each batch: others wait for it.
            let mut conn = $state.db.conn().await?;
            let deleted: usize = $delete(&mut conn).await?;
            total += deleted;
            if deleted < usize::try_from(BATCH).unwrap_or(usize::MAX) {
                break;
            }
        }
        Ok(total)
    }};
}

/// Sessions past their idle or absolute time-out.
///
/// # Errors
/// [`DbError`].
pub(super) async fn sessions(state: &AppState) -> Result<usize, DbError> {
    measure_clock(state).await?;
    in_batches!(state, async |conn| SessionRecord::purge(conn, state.live_at(), BATCH).await)
}

/// States of sign-ins that can no longer be used.
///
/// # Errors
/// [`DbError`].
pub(super) async fn transactions(state: &AppState) -> Result<usize, DbError> {
    measure_clock(state).await?;
    in_batches!(state, async |conn| UsedTransaction::purge(conn, state.shared_now(), BATCH).await)
}

/// Audit events older than `AUDIT_RETENTION`.
///
/// # Errors
/// [`DbError`].
pub(super) async fn audit_events(state: &AppState) -> Result<usize, DbError> {
    measure_clock(state).await?;
    let before = state.ago(state.config.audit_retention);
    in_batches!(state, async |conn| AuditEvent::purge(conn, before, BATCH).await)
}

/// Grants of people without a session for `GRANT_IDLE_LIMIT`.
///
/// # Errors
/// [`DbError`].
pub(super) async fn idle_grants(state: &AppState) -> Result<usize, DbError> {
    measure_clock(state).await?;
    let since = state.ago(state.config.tokens.grant_idle_limit);
    in_batches!(state, async |conn| Grant::delete_idle(conn, since, BATCH).await)
}

/// Deletes everything that is over; returns how many rows went.
///
/// # Errors
/// [`DbError`].
pub async fn purge(state: &AppState) -> Result<usize, DbError> {
    Ok(sessions(state).await? + transactions(state).await? + audit_events(state).await? + idle_grants(state).await?)
}

/// A clock that has jumped since it was compared last would delete what is not over.
async fn measure_clock(state: &AppState) -> Result<(), DbError> {
    let mut conn = state.db.conn().await?;
    Ok(state.measure_database_clock(&mut conn).await?)
}
