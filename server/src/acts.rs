//! Acts on users, sessions and grants: guarded, recorded, in one transaction each. Handlers and
//! the command line share them.
//!
//! Each transaction [`begin`]s alike: acts on roles and status wait for each other, and whoever acts is asked once more
//! whether they still may. So two administrators who demote or disable each other at the same moment leave one, and
//! what a disabled administrator had under way does not happen.

use std::collections::BTreeSet;

use store::models::ADMIN;
use store::models::{
    Grant, GraphCache, LiveAt, NewAuditEvent, RoleSource, SessionRecord, User, UserRole, changed_from, grant_role,
    revoke_role,
};
use store::write_transaction;
use store::{DbConn, DbError, lock, to_end};

use crate::erasure;
use crate::role_mappings;
use crate::state::AppState;
use crate::viewer::CurrentUser;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// The user may not sign in; sessions end, grants are forgotten.
    Disable {
        /// Whom.
        user_id: String,
    },
    /// The user may sign in again.
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

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActResult {
    /// Done and recorded.
    Done,
    /// It was like that already.
    Unchanged,
    /// Refused: one would lock oneself out.
    NotOneself,
    /// Refused: no administrator would be left.
    LastAdministrator,
    /// Refused: the role comes from the provider.
    FromProvider,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The database.
    #[error(transparent)]
    Database(#[from] DbError),
    /// Whoever acts was signed out or disabled meanwhile.
    #[error("whoever acts is not signed in any more")]
    SignedOut,
    /// Whoever acts has lost the role meanwhile.
    #[error("whoever acts has lost the role {0}")]
    RoleLost(&'static str),
}

impl From<diesel::result::Error> for ActError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Who acts, for the audit log, and what lets them.
#[derive(Clone, Debug)]
pub struct By {
    /// Id and name.
    pub actor: (String, String),
    /// Client address; empty on the command line.
    pub address: String,
    /// Request id; empty on the command line.
    pub request_id: String,
    authority: Authority,
}

/// What lets somebody act; it may be gone before they have done so.
#[derive(Clone, Debug)]
enum Authority {
    CommandLine,
    Session { id: String, role: Option<&'static str> },
}

impl By {
    /// Somebody at the command line: may do what would lock an administrator out.
    #[must_use]
    pub fn command_line() -> Self {
        Self {
            actor: (String::new(), "command line".to_owned()),
            address: String::new(),
            request_id: String::new(),
            authority: Authority::CommandLine,
        }
    }

    /// A person, for as long as their session lives, they are active and, where it takes one, hold `role`.
    #[must_use]
    pub fn person(user: &CurrentUser, role: Option<&'static str>) -> Self {
        Self {
            actor: user.audit_name(),
            address: user.address.clone(),
            request_id: user.request_id.clone(),
            authority: Authority::Session { id: user.session.id.clone(), role },
        }
    }

    /// Asks anew whether they may; for what goes on for a while, such as an export, again and again.
    ///
    /// # Errors
    /// [`ActError`], when they may no longer.
    pub async fn still_may(&self, conn: &mut DbConn, live: LiveAt) -> Result<(), ActError> {
        let Authority::Session { id, role } = &self.authority else {
            return Ok(());
        };
        let user = SessionRecord::find_live_user(conn, id, live).await?.filter(User::is_active);
        let user = user.ok_or(ActError::SignedOut)?;
        match role.filter(|role| !user.has_role(role)) {
            Some(role) => Err(ActError::RoleLost(role)),
            None => Ok(()),
        }
    }

    /// The application by itself.
    #[must_use]
    pub fn system() -> Self {
        let actor = ("system".to_owned(), "system".to_owned());
        Self { actor, ..Self::command_line() }
    }

    fn is_command_line(&self) -> bool {
        matches!(self.authority, Authority::CommandLine)
    }

    /// The event of an act of theirs, on a user if it is on one.
    pub(crate) async fn event(
        &self,
        conn: &mut DbConn,
        kind: &'static str,
        user_id: Option<&str>,
        detail: Vec<(&'static str, String)>,
    ) -> Result<NewAuditEvent, DbError> {
        let subject = match user_id {
            Some(user_id) => User::find(conn, user_id).await?.map(|user| (user.id, user.upn)),
            None => None,
        };
        Ok(self.event_on(kind, subject, detail))
    }

    /// The event of an act of theirs on `subject`: id and name.
    pub(crate) fn event_on(
        &self,
        kind: &'static str,
        subject: Option<(String, String)>,
        detail: Vec<(&'static str, String)>,
    ) -> NewAuditEvent {
        let (id, name) = self.actor.clone();
        let actor = Some((if id.is_empty() { name.clone() } else { id }, name));
        let (address, request_id) = (self.address.clone(), self.request_id.clone());
        NewAuditEvent { kind, actor, subject, address, request_id, detail }
    }
}

/// The roles that can be granted here: `admin` and what the mappings know.
///
/// # Errors
/// [`DbError`].
pub async fn known_roles(state: &AppState, conn: &mut DbConn) -> Result<BTreeSet<String>, DbError> {
    Ok(role_mappings::grantable_roles(&role_mappings::rules(state, conn).await?))
}

/// The first step of a transaction in which somebody changes who may what: waits until no other one is under way, and
/// asks whether they still may.
///
/// # Errors
/// [`ActError`].
pub async fn begin(state: &AppState, conn: &mut DbConn, by: &By) -> Result<(), ActError> {
    lock::role_rules(conn).await?;
    by.still_may(conn, state.live_at()).await
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

/// Records what somebody did that is no [`Act`]: an export, a refresh by hand.
///
/// # Errors
/// [`DbError`].
pub async fn record(
    state: &AppState,
    by: By,
    kind: &'static str,
    user_id: Option<&str>,
    detail: Vec<(&'static str, String)>,
) -> Result<(), DbError> {
    let mut conn = state.db.conn().await?;
    by.event(&mut conn, kind, user_id, detail).await?.insert(&mut conn, state.shared_now()).await?;
    Ok(())
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

/// Nobody locks out themselves or the last administrator (T-14); the command line may, it is how
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

/// Sessions end and grants are forgotten: on sign out everywhere.
pub(crate) async fn end_everything(conn: &mut DbConn, user_id: &str) -> Result<usize, DbError> {
    Grant::delete_by_user(conn, user_id).await?;
    Ok(SessionRecord::delete_by_user(conn, user_id).await?)
}

/// On disable: sessions end, grants and what Microsoft Graph told are forgotten. Says how many sessions ended.
pub(crate) async fn shut_out(conn: &mut DbConn, user_id: &str) -> Result<usize, DbError> {
    GraphCache::delete_by_user(conn, user_id).await?;
    end_everything(conn, user_id).await
}

/// The effective roles of a user.
async fn roles(conn: &mut DbConn, user_id: &str) -> Result<String, DbError> {
    Ok(User::find(conn, user_id).await?.map(|user| user.roles).unwrap_or_default())
}
