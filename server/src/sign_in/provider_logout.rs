//! The provider says that somebody has signed out there: their sessions end here, on every instance.

use entra::crypto::digest;
use entra::oidc::LogoutToken;
use store::models::{EndedAtProvider, Grant, NewAuditEvent, SessionRecord, UsedTransaction, User};
use store::{DbConn, DbError, to_end, write_transaction};

use crate::state::AppState;

/// What the provider says.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The audit event of each session that ends.
    pub kind: &'static str,
    /// Which sessions are over.
    pub ended: EndedAtProvider,
    /// What makes this notification serve once; `None` where repeating it is harmless.
    pub once: Option<UsedTransaction>,
    /// Who told us; for the audit log.
    pub address: String,
    /// In which request.
    pub request_id: String,
}

impl Notification {
    /// What a logout token says; `None` when it names neither a session nor a person.
    #[must_use]
    pub fn of_token(token: LogoutToken, address: String, request_id: String) -> Option<Self> {
        let id = format!("logout_token {} {}", token.realm, token.jti);
        let once = UsedTransaction {
            state_hash: digest(id.as_bytes()),
            session_id: None,
            next: String::new(),
            expires_at: token.remember_until.naive_utc(),
        };
        let ended = match (token.sid, token.subject) {
            (Some(sid), _) => EndedAtProvider::Session { realm: Some(token.realm), sid },
            (None, Some(subject)) => EndedAtProvider::Person { realm: token.realm, subject },
            (None, None) => return None,
        };
        Some(Self { kind: "sign_out.back_channel", ended, once: Some(once), address, request_id })
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The sessions are over, or there were none.
    Done,
    /// The same notification came before; nothing was changed.
    Replayed,
}

/// Ends the sessions, forgets the grants of whoever has none left, and records both, in one
/// transaction that runs to its end.
///
/// # Errors
/// [`DbError`]; nothing is done then, and the notification may come again.
pub async fn carry_out(state: &AppState, notification: Notification) -> Result<Outcome, DbError> {
    let state = state.clone();
    to_end(async move {
        let mut conn = state.db.conn().await?;
        write_transaction!(conn, async |conn| carry_out_in_txn(&state, conn, &notification).await)
    })
    .await
}

async fn carry_out_in_txn(
    state: &AppState,
    conn: &mut DbConn,
    notification: &Notification,
) -> Result<Outcome, DbError> {
    if let Some(once) = &notification.once
        && !once.insert(conn).await?
    {
        return Ok(Outcome::Replayed);
    }
    for user_id in SessionRecord::delete_ended_at_provider(conn, &notification.ended).await? {
        Grant::delete_without_session(conn, &user_id, state.live_at()).await?;
        let name = User::find(conn, &user_id).await?.map(|user| user.upn).unwrap_or_default();
        let event = NewAuditEvent {
            kind: notification.kind,
            subject: Some((user_id, name)),
            address: notification.address.clone(),
            request_id: notification.request_id.clone(),
            ..NewAuditEvent::default()
        };
        event.insert(conn, state.shared_now()).await?;
    }
    Ok(Outcome::Done)
}
