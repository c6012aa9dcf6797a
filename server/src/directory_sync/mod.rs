//! Directory sync (`DIRECTORY_SYNC_INTERVAL`): what changes in the directory reaches the users who are known here, without
//! waiting for their next sign-in.
//!
//! A round asks Graph's `users/delta` with a token of the application's own, page by page, and notes whom it tells
//! something new of. Nothing is written before the last page is read; so a round that fails, or that must begin anew
//! half way, has changed nothing, and the next one begins where the last complete one ended. One instance at a time
//! works on a tenant: the row in `directory_syncs` is leased by compare-and-swap.
//!
//! Who is disabled or deleted in the directory is disabled here, their sessions end and their grants are deleted. Who
//! comes back is enabled again, unless an administrator here has disabled them. Nobody is created: people come in by
//! signing in. A round that would disable many stops and asks (`guard`). The directory may disable the last
//! administrator: the account could not sign in any more, and the way back is `ADMIN_USERS` or `server users`. It waits
//! for acts of administrators and they for it ([`store::lock::role_rules`]), so that either sees what the other has left.

mod apply;
mod guard;
mod outcome;
mod round;

use std::time::Duration;

use store::models::{DirectorySync, DirectorySyncOutcome};
use store::{DbError, to_end, write_transaction};

use self::outcome::{RoundError, after, lease_end};
use self::round::Round;
use crate::jobs::board::JobError;
use crate::people::actor::{self, ActError, ActResult, By};
use crate::state::AppState;
use crate::tokens::spread;

/// First wait after a failure, doubled each time, up to the interval.
const BACKOFF: Duration = Duration::from_secs(60);

/// Runs a round for every tenant that is due and that no other instance works on; returns what they came to, in words.
///
/// # Errors
/// What failed, in words; the other tenants have had their round.
pub async fn run_due(state: &AppState) -> Result<String, JobError> {
    let Some(interval) = state.config.directory_sync_interval else {
        return Ok(String::new());
    };
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for tenant in state.oidc.tenants() {
        match run_tenant(state, &tenant, interval).await? {
            None => {}
            Some(DirectorySyncOutcome::Done { result, .. }) => results.push(result),
            Some(DirectorySyncOutcome::Held { held, held_of }) => {
                results.push(format!("held back: {held} of {held_of} users would be disabled"));
            }
            Some(DirectorySyncOutcome::Failed { error }) => errors.push(error),
        }
    }
    match errors.is_empty() {
        true => Ok(results.join("; ")),
        false => Err(JobError::new(errors.join("; "))),
    }
}

async fn run_tenant(
    state: &AppState,
    tenant: &str,
    interval: Duration,
) -> Result<Option<DirectorySyncOutcome>, DbError> {
    let mut conn = state.db.conn().await?;
    state.measure_database_clock(&mut conn).await?;
    let began = state.shared_now();
    let mut sync = DirectorySync::find_or_begin(&mut conn, tenant, began).await?;
    if !sync.is_due(began) || !sync.lease(&mut conn, began, lease_end(state)).await? {
        return Ok(None);
    }
    drop(conn);
    let (outcome, wait) = match Round::new(state, sync.clone(), began).run().await {
        Ok((leased, outcome)) => {
            sync = leased;
            (outcome, interval)
        }
        Err((_, RoundError::Lost | RoundError::Shutdown)) => return Ok(None),
        Err((leased, error)) => {
            sync = leased;
            tracing::warn!(tenant, %error, "the directory sync failed");
            let wait = error.retry_after().unwrap_or_else(|| backoff(&sync, interval));
            (DirectorySyncOutcome::Failed { error: error.in_words() }, wait)
        }
    };
    finish(state, sync, outcome.clone(), wait).await?;
    Ok(Some(outcome))
}

/// One transaction: where the sync stands, and the event when it is held back for the first time.
async fn finish(
    state: &AppState,
    sync: DirectorySync,
    outcome: DirectorySyncOutcome,
    wait: Duration,
) -> Result<(), DbError> {
    let now = state.shared_now();
    let due_at = after(now, wait);
    let held = match &outcome {
        DirectorySyncOutcome::Held { held, held_of } if sync.held == 0 => Some(guard::event(&sync, *held, *held_of)),
        _ => None,
    };
    let state = state.clone();
    to_end(async move {
        let mut conn = state.db.conn().await?;
        write_transaction!(conn, async |conn| {
            if sync.finish(conn, outcome, now, due_at).await?
                && let Some(event) = held
            {
                event.insert(conn, now).await?;
            }
            Ok::<_, diesel::result::Error>(())
        })?;
        Ok::<_, DbError>(())
    })
    .await
}

/// Lets the next round disable as many users as the last one was held back for, and begins it.
///
/// # Errors
/// [`ActError`]; nothing is done then.
pub async fn allow(state: &AppState, tenant: &str, held: i64, by: By) -> Result<ActResult, ActError> {
    let (state, tenant) = (state.clone(), tenant.to_owned());
    to_end(async move {
        let now = state.shared_now();
        let mut conn = state.db.conn().await?;
        let result = write_transaction!(conn, async |conn| {
            actor::begin(&state, conn, &by).await?;
            let sync = DirectorySync::list(conn, std::slice::from_ref(&tenant)).await?.pop();
            let Some(sync) = sync.filter(|sync| sync.held == held && sync.held > 0 && sync.allowed != held) else {
                return Ok::<_, ActError>(ActResult::Unchanged);
            };
            if sync.is_running(now) || !sync.allow(conn, now).await? {
                return Ok(ActResult::Unchanged);
            }
            let detail = vec![("tenant", tenant.clone()), ("users", held.to_string())];
            by.event(conn, "directory.allowed", None, detail).await?.insert(conn, now).await?;
            Ok(ActResult::Done)
        })?;
        state.jobs.wake(crate::jobs::board::DIRECTORY_SYNC);
        Ok(result)
    })
    .await
}

/// The syncs of the tenants in the settings, as they stand; none when it is off.
///
/// # Errors
/// [`DbError`].
pub async fn list(state: &AppState) -> Result<Vec<DirectorySync>, DbError> {
    if state.config.directory_sync_interval.is_none() {
        return Ok(Vec::new());
    }
    let mut conn = state.db.conn().await?;
    Ok(DirectorySync::list(&mut conn, &state.oidc.tenants()).await?)
}

fn backoff(sync: &DirectorySync, interval: Duration) -> Duration {
    let doublings = u32::try_from(sync.failures).unwrap_or(0).min(10);
    let wait = (BACKOFF * 2_u32.pow(doublings)).min(interval);
    let chance = u64::try_from(spread(i64::try_from(wait.as_millis() / 4).unwrap_or(0))).unwrap_or(0);
    wait + Duration::from_millis(chance)
}
