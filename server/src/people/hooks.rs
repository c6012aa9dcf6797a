//! Where a project hooks in its own work around signing in: implement [`SyncHooks`] and return it from
//! [`registered`].

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::NaiveDateTime;
use store::Database;
use store::models::{GroupChanges, User};

/// What a hook may fail with; it is logged.
pub type HookError = Box<dyn Error + Send + Sync>;

/// What a hook works with.
#[derive(Clone, Debug)]
pub struct HookContext {
    /// The database, in which the sync is committed.
    pub db: Database,
    /// When the hooks began to run, by the clock that all instances share.
    pub now: NaiveDateTime,
}

/// What a project does after a sync. Each method does nothing unless it is written.
///
/// Hooks run after the transaction is committed, in a task of their own that a shutdown waits for,
/// one after the other in the order below. Signing in neither waits for them nor fails with them: an
/// error or a panic is logged with the hook's name. What must not be lost belongs into a table of the
/// project, with a job.
#[async_trait]
pub trait SyncHooks: Send + Sync + 'static {
    /// Somebody signed in here for the first time.
    async fn user_created(&self, _context: &HookContext, _user: &User) -> Result<(), HookError> {
        Ok(())
    }

    /// The groups of somebody who was known here are others than before, by a sign-in or a refresh of their tokens.
    async fn groups_changed(
        &self,
        _context: &HookContext,
        _user: &User,
        _changes: &GroupChanges,
    ) -> Result<(), HookError> {
        Ok(())
    }

    /// Somebody signed in, for the first time or again.
    async fn signed_in(&self, _context: &HookContext, _user: &User) -> Result<(), HookError> {
        Ok(())
    }
}

/// The hooks of this project: put your own here.
#[must_use]
pub fn registered() -> Arc<dyn SyncHooks> {
    Arc::new(NoHooks)
}

struct NoHooks;

impl SyncHooks for NoHooks {}
