//! Acts on users, sessions and grants: guarded, recorded, in one transaction each. Handlers and
//! the command line share them.
//!
//! Each transaction [begins](begin) alike: acts on roles and status wait for each other, and whoever acts is asked once more
//! whether they still may. So two administrators who demote or disable each other at the same moment leave one, and
//! what a disabled administrator had under way does not happen.

use std::collections::BTreeSet;

use store::models::{ADMIN, Grant, RoleSource, SessionRecord, User, UserRole, changed_from, grant_role, revoke_role};
use store::{DbConn, DbError, to_end, write_transaction};

use crate::people::actor::{ActError, ActResult, By, begin, end_everything, shut_out};
use crate::people::{erasure, role_mappings};
use crate::state::AppState;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// The user may not sign in; sessions end, grants are forgotten.
    Disable {
        /// Whom.
        user_id: String,
    },
    /// User enabled. They can sign in again.
    Enable {
        /// Whom.
        user_id: String,
    },
    /// Everything that is stored about the user goes.
    Erase {
        /// Whom.
        user_id: String,
    },
    /// All sessions of the user end, grants are forgotten.
    SignOut {
        /// Whom.
        user_id: String,
    },
    /// A role, from here.
    GrantRole {
        /// To whom.
        user_id: String,
        /// Which.
        role: String,
    },
    /// A role that was granted here goes.
    RevokeRole {
        /// From whom.
        user_id: String,
        /// Which.
        role: String,
    },
    /// One session ends; grants are forgotten if it was the last.
    EndSession {
        /// The row's id.
        session_id: String,
        /// Only if it is this user's.
        only_of: Option<String>,
    },
    /// The tokens of a grant are forgotten.
    ForgetGrant {
        /// The row's id.
        grant_id: String,
    },
}

/// The roles that can be granted here: `admin` and what the mappings know.
///
/// # Errors
/// [`DbError`].
pub async fn known_roles(state: &AppState, conn: &mut DbConn) -> Result<BTreeSet<String>, DbError> {
    Ok(role_mappings::grantable_roles(&role_mappings::rules(state, conn).await?))
}

/// Does it, in one transaction that runs to its end even if the caller goes away.
///
/// # Errors
/// [`ActError`]; nothing is done then.
pub async fn run(state: &AppState, act: Act, by: By) -> Result<ActResult, ActError> {
    Ok(run_all(state, vec![act], by).await?.pop().unwrap_or(ActResult::Unchanged))
}

/// Does each, in their order and in one transaction: all that is not refused, or nothing.
///
/// # Errors
/// As [`run`].
pub async fn run_all(state: &AppState, acts: Vec<Act>, by: By) -> Result<Vec<ActResult>, ActError> {
    let state = state.clone();
    to_end(async move {
        let mut conn = state.db.conn().await?;
        let results = write_transaction!(conn, async |conn| {
            begin(&state, conn, &by).await?;
            let mut results = Vec::with_capacity(acts.len());
            for act in &acts {
                results.push(run_in_txn(&state, conn, act, &by).await?);
            }
            Ok::<_, ActError>(results)
        })?;
        state.counts.clear();
        Ok(results)
    })
    .await
}

/// Why the act would be refused if it were done now; `None` when it would not.
///
/// # Errors
/// [`DbError`].
pub async fn refusal(conn: &mut DbConn, act: &Act, by: &By) -> Result<Option<ActResult>, DbError> {
    guard(conn, act, by).await
}

async fn run_in_txn(state: &AppState, conn: &mut DbConn, act: &Act, by: &By) -> Result<ActResult, DbError> {
    if let Some(refused) = guard(conn, act, by).await? {
        return Ok(refused);
    }
    if let Act::Erase { user_id } = act {
        return erasure::erase(conn, user_id, by, state.shared_now()).await;
    }
    let Some(done) = carry_out(state, conn, act, by).await? else {
        return Ok(ActResult::Unchanged);
    };
    by.event(conn, done.kind, Some(&done.user_id), done.detail).await?.insert(conn, state.shared_now()).await?;
    Ok(ActResult::Done)
}

/// Nobody locks out themselves or the last administrator; the command line may, it is how
/// one gets back in.
async fn guard(conn: &mut DbConn, act: &Act, by: &By) -> Result<Option<ActResult>, DbError> {
    let (user_id, loses_admin) = match act {
        Act::Disable { user_id } | Act::Erase { user_id } => (user_id, true),
        Act::RevokeRole { user_id, role } => (user_id, role == ADMIN),
        _ => return Ok(None),
    };
    if by.is_command_line() || !loses_admin {
        return Ok(None);
    }
    if *user_id == by.actor.0 {
        return Ok(Some(ActResult::NotOneself));
    }
    let is_admin = User::find(conn, user_id).await?.is_some_and(|user| user.is_active() && user.has_role(ADMIN));
    if is_admin && User::count_others_with_role(conn, ADMIN, user_id).await? == 0 {
        return Ok(Some(ActResult::LastAdministrator));
    }
    if let Act::RevokeRole { role, .. } = act {
        return from_provider_only(conn, user_id, role).await;
    }
    Ok(None)
}

/// A role that only the provider grants cannot be revoked here: it would come back.
async fn from_provider_only(conn: &mut DbConn, user_id: &str, role: &str) -> Result<Option<ActResult>, DbError> {
    let held = UserRole::list_by_user(conn, user_id).await?;
    let sources: Vec<&str> = held.iter().filter(|held| held.role == role).map(|held| held.source.as_str()).collect();
    Ok((sources == [RoleSource::Provider.name()]).then_some(ActResult::FromProvider))
}

struct Done {
    kind: &'static str,
    user_id: String,
    detail: Vec<(&'static str, String)>,
}

/// `None` when there was nothing to do.
async fn carry_out(state: &AppState, conn: &mut DbConn, act: &Act, by: &By) -> Result<Option<Done>, DbError> {
    let now = state.shared_now();
    let done = |changed: bool, kind, user_id: &str, detail| {
        changed.then(|| Done { kind, user_id: user_id.to_owned(), detail })
    };
    Ok(match act {
        Act::Disable { user_id } => {
            let before = User::find(conn, user_id).await?.map(|user| user.status).unwrap_or_default();
            let changed = User::disable(conn, user_id).await?;
            let sessions = shut_out(conn, user_id).await?;
            let detail = vec![("status", changed_from(&before, "disabled")), ("sessions_ended", sessions.to_string())];
            done(changed, "user.disabled", user_id, detail)
        }
        // By itself, since nobody is left to name in its event.
        Act::Erase { .. } => None,
        Act::Enable { user_id } => {
            let changed = User::enable(conn, user_id).await?;
            done(changed, "user.enabled", user_id, vec![("status", "disabled → active".to_owned())])
        }
        Act::SignOut { user_id } => {
            let sessions = end_everything(conn, user_id).await?;
            done(sessions > 0, "user.signed_out", user_id, vec![("sessions_ended", sessions.to_string())])
        }
        Act::GrantRole { user_id, role } => {
            let before = roles(conn, user_id).await?;
            let changed = grant_role(conn, user_id, role, RoleSource::Local, &by.actor.1, now).await?;
            let detail = vec![("role", role.clone()), ("roles", changed_from(&before, &roles(conn, user_id).await?))];
            done(changed, "role.granted", user_id, detail)
        }
        Act::RevokeRole { user_id, role } => {
            let before = roles(conn, user_id).await?;
            let changed = revoke_role(conn, user_id, role, RoleSource::Local).await?;
            let detail = vec![("role", role.clone()), ("roles", changed_from(&before, &roles(conn, user_id).await?))];
            done(changed, "role.revoked", user_id, detail)
        }
        Act::EndSession { session_id, only_of } => {
            let owner = SessionRecord::delete(conn, session_id, only_of.as_deref()).await?;
            if let Some(user_id) = &owner {
                Grant::delete_without_session(conn, user_id, state.live_at()).await?;
            }
            let detail = vec![("session", session_id.clone())];
            owner.and_then(|user_id| done(true, "session.ended", &user_id, detail))
        }
        Act::ForgetGrant { grant_id } => {
            let owner = Grant::delete(conn, grant_id).await?;
            owner.and_then(|user_id| done(true, "grant.forgotten", &user_id, Vec::new()))
        }
    })
}

/// The effective roles of a user.
async fn roles(conn: &mut DbConn, user_id: &str) -> Result<String, DbError> {
    Ok(User::find(conn, user_id).await?.map(|user| user.roles).unwrap_or_default())
}
