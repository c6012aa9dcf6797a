//! Who acts, and what lets them: asked again inside the transaction in which they do.

use store::models::{Grant, GraphCache, LiveAt, NewAuditEvent, SessionRecord, User};
use store::{DbConn, DbError, lock};

use crate::session::current_user::CurrentUser;
use crate::state::AppState;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActResult {
    /// Done and recorded.
    Done,
    /// No change was needed.
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

    pub(super) fn is_command_line(&self) -> bool {
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

/// The first step of a transaction in which somebody changes who may what: waits until no other one is under way, and
/// asks whether they still may.
///
/// # Errors
/// [`ActError`].
pub async fn begin(state: &AppState, conn: &mut DbConn, by: &By) -> Result<(), ActError> {
    lock::role_rules(conn).await?;
    by.still_may(conn, state.live_at()).await
}

/// Records what somebody did that is no [`Act`](super::acts::Act): an export, a refresh by hand.
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
