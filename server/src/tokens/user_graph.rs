//! Microsoft Graph on behalf of one person, with the grant in the vault: what pages and jobs use.
//!
//! An access token that Graph does not take is renewed once. With a claims challenge (continuous access evaluation)
//! the token is dropped and the refresh passes the challenge on; when that brings nothing that Graph takes, the grant
//! needs a sign-in, and the challenge waits in it for that sign-in. Nothing is tried a third time.

use std::future::Future;
use std::time::Duration;

use entra::graph::{GraphClient, GraphError, Group, Manager, Me, Photo};
use entra::oidc::TokenSet;
use secrecy::SecretString;
use store::DbError;
use store::models::{Grant, User};
use tokio::sync::Mutex;

use crate::state::AppState;
use crate::tokens::{self, RefreshOutcome, refresh_grant};

/// How often, and after which pause, the result of somebody else's refresh is looked for: 4 s in all.
const LOOKS: usize = 40;
const PAUSE: Duration = Duration::from_millis(100);

/// Graph for one person.
pub struct UserGraph {
    state: AppState,
    graph: GraphClient,
    user: User,
    scopes: Vec<String>,
    held: Mutex<Held>,
}

/// The token in use.
struct Held {
    token: SecretString,
    /// Counts the tokens, so that calls under way at once renew it once.
    generation: u32,
    /// A renewal has been tried: there is no second one.
    is_spent: bool,
}

impl UserGraph {
    /// Graph with the live grant of `user`; `None` without Graph, or when only a sign-in helps. An expired access token
    /// is refreshed.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn open(state: &AppState, user: &User) -> Result<Option<Self>, DbError> {
        let Some(graph) = state.graph.clone() else {
            return Ok(None);
        };
        let Some(grant) = live_grant(state, user).await? else {
            return Ok(None);
        };
        let is_expired = grant.expires_at <= state.shared_now();
        let grant = match is_expired {
            false => Some(grant),
            true => match refresh_grant(state, grant).await? {
                RefreshOutcome::Refreshed => live_grant(state, user).await?,
                RefreshOutcome::Lost => refreshed_by_another(state, user).await?,
                RefreshOutcome::Retrying | RefreshOutcome::NeedsSignIn => None,
            },
        };
        let opened = grant.and_then(|grant| opened(state, &grant));
        Ok(opened.map(|tokens| Self {
            state: state.clone(),
            graph,
            user: user.clone(),
            scopes: tokens.scopes,
            held: Mutex::new(Held { token: tokens.access_token, generation: 0, is_spent: is_expired }),
        }))
    }

    /// Whether the person's grant has this Graph scope.
    #[must_use]
    pub fn allows(&self, scope: &str) -> bool {
        self.scopes.iter().any(|granted| granted.eq_ignore_ascii_case(scope))
    }

    /// [`GraphClient::me`], of the person whose grant it is.
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn me(&self) -> Result<Me, GraphError> {
        self.call(|token| async move { self.graph.me(&token, &self.user.subject).await }).await
    }

    /// [`GraphClient::photo`].
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn photo(&self) -> Result<Option<Photo>, GraphError> {
        self.call(|token| async move { self.graph.photo(&token).await }).await
    }

    /// [`GraphClient::manager`].
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn manager(&self) -> Result<Option<Manager>, GraphError> {
        self.call(|token| async move { self.graph.manager(&token).await }).await
    }

    /// [`GraphClient::transitive_member_of`].
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn groups(&self) -> Result<Vec<Group>, GraphError> {
        self.call(|token| async move { self.graph.transitive_member_of(&token).await }).await
    }

    /// One call, and once more with a renewed token when Graph does not take the first.
    async fn call<T, F>(&self, call: impl Fn(SecretString) -> F) -> Result<T, GraphError>
    where
        F: Future<Output = Result<T, GraphError>>,
    {
        let (token, generation) = self.token().await;
        let claims = match call(token).await {
            Err(GraphError::Unauthorized { claims }) => claims,
            outcome => return outcome,
        };
        let Some(token) = self.renewed(generation, claims.as_deref()).await else {
            return Err(GraphError::Unauthorized { claims });
        };
        let outcome = call(token).await;
        if let Err(GraphError::Unauthorized { claims: Some(claims) }) = &outcome {
            self.logged(self.give_up(claims)).await;
        }
        outcome
    }

    async fn token(&self) -> (SecretString, u32) {
        let held = self.held.lock().await;
        (held.token.clone(), held.generation)
    }

    /// A newer token than that of `generation`: another call's, or by the one refresh.
    async fn renewed(&self, generation: u32, claims: Option<&str>) -> Option<SecretString> {
        let mut held = self.held.lock().await;
        if held.generation == generation {
            if held.is_spent {
                return None;
            }
            held.is_spent = true;
            held.token = self.logged(self.refresh(claims)).await.flatten()?;
            held.generation += 1;
        }
        Some(held.token.clone())
    }

    /// Drops the access token and gets another one, which meets the challenge.
    async fn refresh(&self, claims: Option<&str>) -> Result<Option<SecretString>, DbError> {
        let Some(mut grant) = live_grant(&self.state, &self.user).await? else {
            return Ok(None);
        };
        if let Some(claims) = claims {
            let mut conn = self.state.db.conn().await?;
            grant.challenge(&mut conn, claims, self.state.shared_now()).await?;
        }
        if refresh_grant(&self.state, grant).await? != RefreshOutcome::Refreshed {
            return Ok(None);
        }
        let renewed = live_grant(&self.state, &self.user).await?;
        Ok(renewed.and_then(|grant| opened(&self.state, &grant)).map(|tokens| tokens.access_token))
    }

    /// The renewed token was not taken either: only the person can help.
    async fn give_up(&self, claims: &str) -> Result<(), DbError> {
        match live_grant(&self.state, &self.user).await? {
            Some(grant) => tokens::keep_for_sign_in(&self.state, grant, &self.user, claims).await,
            None => Ok(()),
        }
    }

    /// What the database cannot do is logged: the caller has Graph's answer to go by.
    async fn logged<T>(&self, step: impl Future<Output = Result<T, DbError>>) -> Option<T> {
        let outcome = step.await;
        outcome.inspect_err(|error| tracing::error!(user = %self.user.id, %error, "a grant could not be renewed")).ok()
    }
}

/// The grant after somebody else, here or on another instance, is done with refreshing it; `None` when that brought
/// nothing, or takes longer than a page may wait.
async fn refreshed_by_another(state: &AppState, user: &User) -> Result<Option<Grant>, DbError> {
    for _ in 0..LOOKS {
        let Some(grant) = live_grant(state, user).await? else { return Ok(None) };
        let now = state.shared_now();
        if grant.expires_at > now {
            return Ok(Some(grant));
        }
        if grant.leased_until.is_none_or(|until| until <= now) {
            return Ok(None);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(None)
}

async fn live_grant(state: &AppState, user: &User) -> Result<Option<Grant>, DbError> {
    let mut conn = state.db.conn().await?;
    let grant = Grant::find_by_user(&mut conn, &user.id, tokens::GRAPH).await?;
    Ok(grant.filter(|grant| grant.state == "live"))
}

fn opened(state: &AppState, grant: &Grant) -> Option<TokenSet> {
    tokens::open(&state.config.tokens.keys, grant)
        .inspect_err(|error| tracing::error!(grant = %grant.id, %error, "a grant's tokens cannot be used"))
        .ok()
}
