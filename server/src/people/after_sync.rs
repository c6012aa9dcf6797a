//! Runs the hooks of a project behind a sync that came to its end.

use std::sync::Arc;

use store::models::{GroupChanges, User};

use crate::people::hooks::{HookContext, HookError, SyncHooks};
use crate::state::AppState;

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
    let (hooks, tasks) = (state.hooks.clone(), state.tasks.clone());
    let context = HookContext { db: state.db.clone(), now: state.shared_now() };
    tasks.spawn(async move {
        let Synced { user, occasion, groups } = synced;
        if occasion == Occasion::FirstSignIn {
            run("user_created", &hooks, &context, &user, |hooks, context, user| async move {
                hooks.user_created(&context, &user).await
            })
            .await;
        } else if !groups.is_empty() {
            run("groups_changed", &hooks, &context, &user, |hooks, context, user| async move {
                hooks.groups_changed(&context, &user, &groups).await
            })
            .await;
        }
        if occasion == Occasion::Refresh {
            return;
        }
        run("signed_in", &hooks, &context, &user, |hooks, context, user| async move {
            hooks.signed_in(&context, &user).await
        })
        .await;
    });
}

/// Each hook in a task of its own, so that a panic ends that hook alone.
async fn run<F>(
    name: &'static str,
    hooks: &Arc<dyn SyncHooks>,
    context: &HookContext,
    user: &User,
    hook: impl FnOnce(Arc<dyn SyncHooks>, HookContext, User) -> F,
) where
    F: Future<Output = Result<(), HookError>> + Send + 'static,
{
    match tokio::spawn(hook(hooks.clone(), context.clone(), user.clone())).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(hook = name, user = user.id, %error, "a hook failed"),
        Err(_) => tracing::error!(hook = name, user = user.id, "a hook panicked"),
    }
}
