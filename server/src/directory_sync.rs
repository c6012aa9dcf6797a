//! Directory sync (`DIRECTORY_SYNC_INTERVAL`): what changes in the directory reaches the users who are known here, without
//! waiting for their next sign-in (`docs/requirements.tsv` G-07, E-41).
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
mod round;

use std::time::Duration;

use chrono::NaiveDateTime;
use entra::graph::GraphError;
use entra::oidc::OidcError;
use store::models::{DirectorySync, DirectorySyncOutcome, NewAuditEvent};
use store::write_transaction;
use store::{DbError, to_end};

use self::round::Round;
use crate::acts::{self, ActError, ActResult, By};
use crate::jobs::JobError;
use crate::state::AppState;
use crate::tokens::spread;

/// First wait after a failure, doubled each time, up to the interval.
const BACKOFF: Duration = Duration::from_secs(60);

/// Why a round came to nothing.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error("no token of the application's own: {0}")]
    Token(#[from] OidcError),
    #[error(transparent)]
    Database(#[from] DbError),
    #[error("the server is shutting down")]
    Shutdown,
    /// Another instance has taken over: nothing is recorded.
    #[error("another instance has taken over")]
    Lost,
}

impl From<diesel::result::Error> for RoundError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

impl RoundError {
    /// For the health page: what it is and who can help.
    fn in_words(&self) -> String {
        match self {
            Self::Graph(GraphError::Forbidden) => "Microsoft Graph refuses access: grant the application permission \
                                                   User.Read.All with admin consent."
                .to_owned(),
            Self::Token(error) => format!("{}. {}", error.advice().title, error.advice().what_to_do),
            other => other.to_string(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Graph(GraphError::Throttled { retry_after }) => Some(*retry_after),
            Self::Token(OidcError::Unavailable { retry_after, .. }) => *retry_after,
            _ => None,
        }
    }
}

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
            acts::begin(&state, conn, &by).await?;
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
        state.jobs.wake(crate::jobs::DIRECTORY_SYNC);
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

/// An event of the sync itself.
fn event(kind: &'static str, detail: Vec<(&'static str, String)>) -> NewAuditEvent {
    let actor = Some(("system".to_owned(), "directory sync".to_owned()));
    NewAuditEvent { kind, actor, detail, ..NewAuditEvent::default() }
}

/// Longer than one page can take, so that a lease never ends under a call; it is extended with each page.
fn lease_end(state: &AppState) -> NaiveDateTime {
    after(state.shared_now(), (state.config.http.timeout * 6).max(Duration::from_secs(60)))
}

fn backoff(sync: &DirectorySync, interval: Duration) -> Duration {
    let doublings = u32::try_from(sync.failures).unwrap_or(0).min(10);
    let wait = (BACKOFF * 2_u32.pow(doublings)).min(interval);
    let chance = u64::try_from(spread(i64::try_from(wait.as_millis() / 4).unwrap_or(0))).unwrap_or(0);
    wait + Duration::from_millis(chance)
}

fn after(now: NaiveDateTime, wait: Duration) -> NaiveDateTime {
    let wait = chrono::Duration::from_std(wait).unwrap_or(chrono::Duration::MAX);
    now.checked_add_signed(wait).unwrap_or(NaiveDateTime::MAX)
}
