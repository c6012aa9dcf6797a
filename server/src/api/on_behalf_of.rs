//! Microsoft Graph for a caller of the API: their access token is exchanged for one of Graph's on their behalf.

use entra::graph::{GraphClient, GraphError};
use entra::oidc::RefreshError;
use secrecy::SecretString;

use super::caller::Presented;
use crate::error::AppError;
use crate::error::challenge::{Challenge, Fault};
use crate::state::AppState;

/// Graph, and a token for it on behalf of whoever presented `token`, with all permissions of Graph that this
/// application was given.
///
/// # Errors
/// 404 without Graph; 401 with a claims challenge when the provider wants to see the person; 503 when it does not answer.
pub(super) async fn graph(state: &AppState, token: &Presented) -> Result<(GraphClient, SecretString), AppError> {
    let (graph, scope) = state.graph.clone().zip(state.config.graph_scope()).ok_or(AppError::NotFound)?;
    let outcome = state.oidc.on_behalf_of(&token.0, &[scope]).await;
    outcome.map(|token| (graph, token)).map_err(|error| refusal(state, &error))
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
