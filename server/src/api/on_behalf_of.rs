//! Microsoft Graph for a caller of the API: their access token is exchanged for one of Graph's on their behalf.
//!
//! Source: Microsoft identity platform, "OAuth 2.0 On-Behalf-Of flow". What was got is kept in memory until it expires,
//! by the digest of the token that was presented.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use entra::crypto::digest;
use entra::graph::{GraphClient, GraphError};
use entra::oidc::RefreshError;
use secrecy::{ExposeSecret as _, SecretString};

use super::caller::Presented;
use super::challenge::{Challenge, Fault};
use crate::error::AppError;
use crate::state::AppState;

/// The most tokens that are kept; beyond it all begin anew.
const MAX_KEPT: usize = 10_000;
/// A token that ends within this time is not given out.
const MARGIN: chrono::Duration = chrono::Duration::seconds(60);

/// For this long a refusal stands: the same exchange is not tried again, however often the caller comes.
const REFUSED: chrono::Duration = chrono::Duration::seconds(60);

/// What an exchange brought, and until when that stands.
#[derive(Clone, Debug)]
struct Exchanged {
    outcome: Result<SecretString, RefreshError>,
    until: DateTime<Utc>,
}

/// Exchanges on behalf of callers, by the digest of what was presented.
#[derive(Debug, Default)]
pub struct OnBehalfOf {
    kept: Mutex<HashMap<Vec<u8>, Exchanged>>,
}

impl OnBehalfOf {
    fn get(&self, presented: &[u8], now: DateTime<Utc>) -> Option<Exchanged> {
        self.lock().get(presented).filter(|exchanged| exchanged.until > now).cloned()
    }

    fn put(&self, presented: Vec<u8>, exchanged: Exchanged, now: DateTime<Utc>) {
        let mut kept = self.lock();
        if kept.len() >= MAX_KEPT {
            kept.retain(|_, exchanged| exchanged.until > now);
        }
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(presented, exchanged);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Exchanged>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Graph, and a token for it on behalf of whoever presented `token`, with all permissions of Graph that this
/// application was given.
///
/// # Errors
/// 404 without Graph; 401 with a claims challenge when the provider wants to see the person; 503 when it does not answer.
pub(super) async fn graph(state: &AppState, token: &Presented) -> Result<(GraphClient, SecretString), AppError> {
    let (graph, scope) = state.graph.clone().zip(state.config.graph_scope()).ok_or(AppError::NotFound)?;
    let (presented, now) = (digest(token.0.expose_secret().as_bytes()), state.clock.now());
    if let Some(kept) = state.on_behalf_of.get(&presented, now) {
        return kept.outcome.map(|token| (graph, token)).map_err(|error| refusal(state, &error));
    }
    let exchanged = state.oidc.on_behalf_of(&token.0, &[scope]).await;
    let until = match &exchanged {
        Ok(tokens) => tokens.expires_at - MARGIN,
        Err(error) => now + if is_an_answer(error) { REFUSED } else { chrono::Duration::zero() },
    };
    let outcome = exchanged.map(|tokens| tokens.access_token);
    if let Err(error) = &outcome {
        tracing::warn!(reason = error.reason(), %error, "no token on behalf of a caller");
    }
    state.on_behalf_of.put(presented, Exchanged { outcome: outcome.clone(), until }, now);
    outcome.map(|token| (graph, token)).map_err(|error| refusal(state, &error))
}

/// Whether the provider has judged the exchange, so that it would say the same again.
fn is_an_answer(error: &RefreshError) -> bool {
    !matches!(error, RefreshError::Throttled { .. } | RefreshError::Unavailable { .. })
}

fn refusal(state: &AppState, error: &RefreshError) -> AppError {
    let scope = state.config.api.as_ref().map(|api| api.scope.clone()).unwrap_or_default();
    match error {
        RefreshError::InteractionRequired(error) => {
            Challenge { fault: Fault::Person { claims: error.claims.clone() }, scope }.into()
        }
        RefreshError::Revoked(_) => {
            let why = "the provider no longer takes it".to_owned();
            Challenge { fault: Fault::Invalid(why), scope }.into()
        }
        _ => AppError::unavailable(error.to_string()),
    }
}

/// What an answer of Graph's means for the caller.
pub(super) fn graph_refusal(error: &GraphError) -> AppError {
    match error {
        GraphError::Forbidden => AppError::NotAdmitted {
            message: "This application may not read that from Microsoft Graph: an administrator grants the permission.",
        },
        GraphError::Throttled { retry_after } => AppError::TooManyRequests { retry_after: *retry_after },
        error => AppError::unavailable(error.to_string()),
    }
}
