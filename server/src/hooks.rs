//! Where a project hooks in its own work around signing in: implement [`SyncHooks`] and return it from
//! [`registered`].

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use store::models::User;

use crate::state::AppState;
use crate::user_sync::GroupChanges;

/// What a hook may fail with; it is logged.
pub type HookError = Box<dyn Error + Send + Sync>;

/// What a project does after a sync. Each method does nothing unless it is written.
///
/// Hooks run after the transaction is committed, in a task of their own that a shutdown waits for,
/// one after the other in the order below. Signing in neither waits for them nor fails with them: an
/// error or a panic is logged with the hook's name. What must not be lost belongs into a table of the
/// project, with a job.
#[async_trait]
pub trait SyncHooks: Send + Sync + 'static {
    /// Somebody signed in here for the first time.
    async fn user_created(&self, _state: &AppState, _user: &User) -> Result<(), HookError> {
        Ok(())
    }

    /// The groups of somebody who was known here are others than before, by a sign-in or a refresh of their tokens.
    async fn groups_changed(&self, _state: &AppState, _user: &User, _changes: &GroupChanges) -> Result<(), HookError> {
        Ok(())
    }

    /// Somebody signed in, for the first time or again.
    async fn signed_in(&self, _state: &AppState, _user: &User) -> Result<(), HookError> {
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

/// What brought a sync about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    FirstSignIn,
    SignIn,
    Refresh,
}

/// A sync that came to its end.
#[derive(Clone, Debug)]
pub(crate) struct Synced {
    pub(crate) user: User,
    pub(crate) occasion: Occasion,
    pub(crate) groups: GroupChanges,
}

/// Runs the hooks behind the scenes.
pub(crate) fn spawn(state: &AppState, synced: Synced) {
    let state = state.clone();
    let tasks = state.tasks.clone();
    tasks.spawn(async move {
        let Synced { user, occasion, groups } = synced;
        if occasion == Occasion::FirstSignIn {
            run(
                "user_created",
                &state,
                &user,
                |hooks, state, user| async move { hooks.user_created(&state, &user).await },
            )
            .await;
        } else if !groups.is_empty() {
            run("groups_changed", &state, &user, |hooks, state, user| async move {
                hooks.groups_changed(&state, &user, &groups).await
            })
            .await;
        }
        if occasion == Occasion::Refresh {
            return;
        }
        run("signed_in", &state, &user, |hooks, state, user| async move { hooks.signed_in(&state, &user).await }).await;
    });
}

/// Each hook in a task of its own, so that a panic ends that hook alone.
async fn run<F>(
    name: &'static str,
    state: &AppState,
    user: &User,
    hook: impl FnOnce(Arc<dyn SyncHooks>, AppState, User) -> F,
) where
    F: Future<Output = Result<(), HookError>> + Send + 'static,
{
    match tokio::spawn(hook(state.hooks.clone(), state.clone(), user.clone())).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(hook = name, user = user.id, %error, "a hook failed"),
        Err(_) => tracing::error!(hook = name, user = user.id, "a hook panicked"),
    }
}
