//! Background work: each job on its own period, panic-safe, ended by the shutdown.

use std::future::Future;
use std::time::Duration;

use crate::db::DbError;
use crate::models::{AuditEvent, Grant, SessionRecord, UsedTransaction};
use crate::state::AppState;
use crate::tokens;

/// Due grants are looked for this often, and at once when one was stored.
const REFRESH_EVERY: Duration = Duration::from_secs(2);
/// Rows that are over are deleted this often.
const PURGE_EVERY: Duration = Duration::from_secs(60);
/// Rows deleted at a time, so that no delete holds others up.
const PURGE_BATCH: i64 = 500;
/// The provider's metadata and keys are looked after this often; calls are made only when due.
const WARM_UP_EVERY: Duration = Duration::from_secs(30);

/// Starts every job on the application's task tracker.
pub fn start(state: &AppState) {
    every(state, "refresh", REFRESH_EVERY, |state| async move { tokens::refresh_due(&state).await.map(drop) });
    every(state, "purge", PURGE_EVERY, |state| async move { purge(&state).await.map(drop) });
    every(state, "warm-up", WARM_UP_EVERY, |state| async move {
        if let Err(error) = state.oidc.warm_up().await {
            tracing::warn!(reason = error.reason(), %error, "the provider cannot be reached; signing in does not work");
        }
        Ok(())
    });
}

/// Runs `job` at once and then every `period`, until the shutdown. An error or a panic is logged
/// and does not end the job.
fn every<F>(state: &AppState, name: &'static str, period: Duration, job: impl Fn(AppState) -> F + Send + 'static)
where
    F: Future<Output = Result<(), DbError>> + Send + 'static,
{
    let state = state.clone();
    let tasks = state.tasks.clone();
    tasks.spawn(async move {
        while !state.shutdown.is_cancelled() {
            match tokio::spawn(job(state.clone())).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(job = name, %error, "a job failed"),
                Err(_) => tracing::error!(job = name, "a job panicked"),
            }
            tokio::select! {
                () = state.shutdown.cancelled() => {}
                () = state.grant_stored.notified(), if name == "refresh" => {}
                () = tokio::time::sleep(period) => {}
            }
        }
    });
}

/// Deletes what is over, in batches; returns how many rows went.
///
/// # Errors
/// [`DbError`].
pub async fn purge(state: &AppState) -> Result<usize, DbError> {
    let now = state.clock.now_utc();
    let days = |duration: Duration| chrono::Duration::from_std(duration).unwrap_or(chrono::Duration::MAX);
    let audit_from = now.checked_sub_signed(days(state.config.audit_retention)).unwrap_or_default();
    let idle_since = now.checked_sub_signed(days(state.config.tokens.grant_idle_limit)).unwrap_or_default();
    let mut total = 0;
    loop {
        let mut conn = state.db.conn().await?;
        let deleted = SessionRecord::purge(&mut conn, state.live_at(), PURGE_BATCH).await?
            + UsedTransaction::purge(&mut conn, now, PURGE_BATCH).await?
            + AuditEvent::purge(&mut conn, audit_from, PURGE_BATCH).await?
            + Grant::delete_idle(&mut conn, idle_since, PURGE_BATCH).await?;
        total += deleted;
        if deleted == 0 || state.shutdown.is_cancelled() {
            return Ok(total);
        }
    }
}
