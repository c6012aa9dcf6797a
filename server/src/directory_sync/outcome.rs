//! What the parts of a round share: why it failed, its events, its lease.

use std::time::Duration;

use chrono::NaiveDateTime;
use entra::graph::GraphError;
use entra::oidc::OidcError;
use store::DbError;
use store::models::NewAuditEvent;

use crate::state::AppState;

/// Why a round came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum RoundError {
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
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Graph(GraphError::Forbidden) => "Microsoft Graph refuses access: grant the application permission \
                                                   User.Read.All with admin consent."
                .to_owned(),
            Self::Token(error) => format!("{}. {}", error.advice().title, error.advice().what_to_do),
            other => other.to_string(),
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Graph(GraphError::Throttled { retry_after }) => Some(*retry_after),
            Self::Token(OidcError::Unavailable { retry_after, .. }) => *retry_after,
            _ => None,
        }
    }
}

/// An event of the sync itself.
pub(super) fn event(kind: &'static str, detail: Vec<(&'static str, String)>) -> NewAuditEvent {
    let actor = Some(("system".to_owned(), "directory sync".to_owned()));
    NewAuditEvent { kind, actor, detail, ..NewAuditEvent::default() }
}

/// Longer than one page can take, so that a lease never ends under a call; it is extended with each page.
pub(super) fn lease_end(state: &AppState) -> NaiveDateTime {
    after(state.shared_now(), (state.config.http.timeout * 6).max(Duration::from_secs(60)))
}

pub(super) fn after(now: NaiveDateTime, wait: Duration) -> NaiveDateTime {
    let wait = chrono::Duration::from_std(wait).unwrap_or(chrono::Duration::MAX);
    now.checked_add_signed(wait).unwrap_or(NaiveDateTime::MAX)
}
