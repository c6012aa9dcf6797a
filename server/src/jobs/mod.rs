//! Background work. Each job runs on its own period under one `driver`, which survives errors and panics, shows how
//! the job fares on `/admin/health` and in the metrics, and stops at the shutdown.
//!
//! Every instance runs every job: what only one may do at a time (a grant's refresh) is leased in the database, and
//! what is over is deleted in batches, which do each other no harm. To add a job: a [`Job`] in `all`.

pub mod board;
mod driver;
mod purge;

use std::time::Duration;

pub use self::driver::{Job, start_job};
pub use self::purge::purge;

use self::board::{DIRECTORY_SYNC, JobError, REFRESH};
use crate::state::AppState;
use crate::tokens;

/// Due grants are looked for this often, and at once when one was stored.
const REFRESH_EVERY: Duration = Duration::from_secs(2);
/// Rows that are over are deleted this often.
const PURGE_EVERY: Duration = Duration::from_secs(60);
/// A round of the directory sync that is due is looked for this often at most and at least.
const DIRECTORY_SYNC_LOOK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// People who have not been here for `ERASE_USERS_AFTER` are looked for this often.
const ERASE_EVERY: Duration = Duration::from_secs(60 * 60);
/// The provider's metadata and keys are looked after this often; calls are made only when due.
const WARM_UP_EVERY: Duration = Duration::from_secs(30);

/// Starts every job on the application's task tracker.
pub fn start(state: &AppState) {
    for job in all().into_iter().chain(directory_sync(state)).chain(erasure(state)) {
        start_job(state, job);
    }
}

/// The directory sync, if it is on. Its rounds are due by the database, once for all instances: each looks often enough.
fn directory_sync(state: &AppState) -> Option<Job> {
    let every = (state.config.directory_sync_interval? / 2).clamp(DIRECTORY_SYNC_LOOK.0, DIRECTORY_SYNC_LOOK.1);
    Some(Job::new(DIRECTORY_SYNC, "Directory sync", every, |state| async move {
        crate::directory_sync::run_due(&state).await
    }))
}

/// The erasure of people who have not been here for long, if it is on.
fn erasure(state: &AppState) -> Option<Job> {
    state.config.erase_users_after?;
    Some(Job::new("erasure", "Erasure of inactive users", ERASE_EVERY, |state| async move {
        Ok(counted(crate::people::erasure::run_due(&state).await?, "erased"))
    }))
}

/// Every job that always runs.
fn all() -> Vec<Job> {
    vec![
        Job::new(REFRESH, "Refresh of tokens", REFRESH_EVERY, |state| async move {
            Ok(counted(tokens::refresh_due(&state).await?, "refreshed"))
        }),
        Job::new("session-purge", "Sessions that are over", PURGE_EVERY, |state| async move {
            Ok(counted(purge::sessions(&state).await?, "deleted"))
        }),
        Job::new("transaction-purge", "Sign-ins that are over", PURGE_EVERY, |state| async move {
            Ok(counted(purge::transactions(&state).await?, "deleted"))
        }),
        Job::new("audit-retention", "Audit events past their time", PURGE_EVERY, |state| async move {
            Ok(counted(purge::audit_events(&state).await?, "deleted"))
        }),
        Job::new("grant-purge", "Grants that nobody uses", PURGE_EVERY, |state| async move {
            Ok(counted(purge::idle_grants(&state).await?, "forgotten"))
        }),
        Job::new("groups-lapse", "Groups that could not be read for long", PURGE_EVERY, |state| async move {
            let lapsed = crate::people::sync::lapse_groups(&state).await;
            let lapsed = lapsed.map_err(|error| JobError::new(error.to_string()))?;
            Ok(counted(lapsed, "lapsed"))
        }),
        Job::new("warm-up", "The provider's metadata and keys", WARM_UP_EVERY, |state| async move {
            let known = state.oidc.warm_up().await.map(|()| "known".to_owned());
            known.map_err(|error| JobError::new(format!("The provider cannot be reached: {}", error.reason())))
        }),
    ]
}

/// `3 refreshed`; nothing for nothing.
fn counted(count: usize, what: &str) -> String {
    match count {
        0 => String::new(),
        _ => format!("{count} {what}"),
    }
}
