//! Access tokens for other APIs than Microsoft Graph, on behalf of people who signed in here.
//!
//! A refresh token of Entra's is not bound to one API (Microsoft identity platform, "Refresh tokens"): the one of the
//! sign-in also brings access tokens for others that the person, or an administrator, has consented to. Each is a
//! grant of its own in the vault, sealed, listed for administrators and refreshed in the background; the refresh token
//! stays with the grant of the sign-in, whose lease serialises its use. `docs/calling-apis.md` is a recipe.

use std::time::Duration;

use entra::oidc::{Claims, RefreshError, RefreshRequest, TokenSet};
use secrecy::SecretString;
use store::models::{Grant, GrantFailure, NewGrant, User, new_id};
use store::{DbError, to_end, write_transaction};

use super::refresh::{self, RefreshOutcome, leased, released};
use super::{GRAPH, due_at, micros, open, seal};
use crate::config::IdentityKey;
use crate::people::sync::{self, Refreshed};
use crate::state::AppState;
use crate::tokens::VaultError;

/// A token that ends within this time is renewed before it is given out.
const MARGIN: chrono::Duration = chrono::Duration::seconds(60);
/// How often, and after which pause, somebody who finds the refresh token in use looks again: 5 s in all.
const LOOKS: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Why there is no access token.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    /// The person has no live grant here: they sign in again.
    #[error("the person must sign in again")]
    NeedsSignIn,
    /// The provider wants the person's consent, or to see them. `claims` goes along with that sign-in.
    #[error("the provider wants to see the person")]
    InteractionRequired {
        /// A claims challenge: a JSON object.
        claims: Option<String>,
    },
    /// Somebody else uses the refresh token, or the provider does not answer: try again later.
    #[error("no answer for now")]
    Unavailable,
    /// The provider refuses the application or the scopes: only an administrator can help.
    #[error("the provider refuses: {0}")]
    Refused(RefreshError),
    /// The database.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl From<diesel::result::Error> for ResourceError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

/// An access token of `user` for another API.
///
/// `resource` is its name here, on the admin pages; a person has at most one grant of that name. `scopes` are of that API
/// alone, for example `["api://orders/Orders.Read"]`. A kept token is given out while it lives for another minute;
/// otherwise one is got, with one call however many ask.
///
/// # Errors
/// [`ResourceError`]; with a provider other than Entra ID always [`ResourceError::NeedsSignIn`].
pub async fn resource_token(
    state: &AppState,
    user: &User,
    resource: &str,
    scopes: &[&str],
) -> Result<SecretString, ResourceError> {
    let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    for _ in 0..LOOKS {
        let mut conn = state.db.conn().await?;
        let kept = Grant::find_by_user(&mut conn, &user.id, resource).await?;
        drop(conn);
        if let Some(token) = kept.as_ref().and_then(|kept| fresh_token(state, kept, &scopes)) {
            return Ok(token);
        }
        match renew(state, user, resource, &scopes, kept.as_ref()).await {
            Ok(Some(tokens)) => return Ok(tokens.access_token),
            Ok(None) => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(error),
        }
    }
    Err(ResourceError::Unavailable)
}

fn fresh_token(state: &AppState, kept: &Grant, scopes: &[String]) -> Option<SecretString> {
    let is_fresh = kept.state == "live" && kept.expires_at > state.shared_now() + MARGIN;
    let tokens = (is_fresh && kept.scopes == scopes.join(" ")).then(|| open(&state.config.tokens.keys, kept))?;
    tokens
        .inspect_err(|error| tracing::error!(grant = %kept.id, %error, "a grant's tokens cannot be used"))
        .ok()
        .map(|tokens| tokens.access_token)
}

/// Renews a grant of another API in the background.
///
/// # Errors
/// [`DbError`].
pub(super) async fn refresh_kept(state: &AppState, kept: Grant, user: &User) -> Result<RefreshOutcome, DbError> {
    let scopes: Vec<String> = kept.scopes.split(' ').map(str::to_owned).collect();
    let (words, due_at) = match renew(state, user, &kept.resource, &scopes, Some(&kept)).await {
        Ok(Some(_)) => return Ok(RefreshOutcome::Refreshed),
        Ok(None) => return Ok(RefreshOutcome::Lost),
        Err(ResourceError::Database(error)) => return Err(error),
        Err(error @ (ResourceError::Unavailable | ResourceError::Refused(_) | ResourceError::Vault(_))) => {
            (error.to_string(), Some(state.shared_now() + refresh::next_try(&kept)))
        }
        Err(error) => (error.to_string(), None),
    };
    let state_of_grant = if due_at.is_some() { "live" } else { "needs_sign_in" };
    let failure = GrantFailure { state: state_of_grant, error: words, due_at, challenge: None };
    let mut conn = state.db.conn().await?;
    kept.failed(&mut conn, failure).await?;
    Ok(if due_at.is_some() { RefreshOutcome::Retrying } else { RefreshOutcome::NeedsSignIn })
}

/// Gets an access token with the refresh token of the sign-in, and stores both; `None` while somebody else uses it, or
/// when `known` is no longer what is stored.
async fn renew(
    state: &AppState,
    user: &User,
    resource: &str,
    scopes: &[String],
    known: Option<&Grant>,
) -> Result<Option<TokenSet>, ResourceError> {
    let mut conn = state.db.conn().await?;
    let main = Grant::find_by_user(&mut conn, &user.id, GRAPH).await?;
    drop(conn);
    let main = main.filter(|main| main.state == "live" && main.has_refresh_token && state.oidc.is_entra());
    let main = main.ok_or(ResourceError::NeedsSignIn)?;
    if state.pacing.is_asked_to_wait(&user.realm, state.clock.now()) {
        return Err(ResourceError::Unavailable);
    }
    let Some(main) = leased(state, main).await? else { return Ok(None) };
    let mut conn = state.db.conn().await?;
    let now_stored = Grant::find_by_user(&mut conn, &user.id, resource).await?;
    drop(conn);
    if now_stored.as_ref().map(|grant| grant.version) != known.map(|grant| grant.version) {
        released(state, &main).await?;
        return Ok(None);
    }
    let (state, user) = (state.clone(), user.clone());
    let (resource, scopes) = (resource.to_owned(), scopes.to_vec());
    // The call may have used the refresh token up: its result must be written, whoever waits.
    to_end(async move {
        let current = open(&state.config.tokens.keys, &main)?;
        let identity = IdentityKey { realm: user.realm.clone(), subject: user.subject.clone() };
        let request = RefreshRequest { scopes: Some(&scopes), claims: None };
        match state.oidc.refresh(&identity, &current, request).await {
            Ok(renewed) => {
                let news = news(&state, &main, &current, renewed.claims);
                let kept = keep(&state, main, now_stored, &current, renewed.tokens, (&resource, &scopes)).await?;
                if let Some(news) = news {
                    sync::after_refresh(&state, news).await;
                }
                Ok(kept)
            }
            Err(error) => Err(refused(&state, main, user, error).await?),
        }
    })
    .await
}

/// What the new ID token tells of the person. Groups that it does not list are asked for with the token of the sign-in,
/// while that is good: this one is for another API.
fn news(state: &AppState, main: &Grant, current: &TokenSet, claims: Option<Claims>) -> Option<Refreshed> {
    let claims = claims.filter(|_| current.expires_at > state.clock.now())?;
    Some(Refreshed {
        user_id: main.user_id.clone(),
        grant_id: main.id.clone(),
        // Writing the result raises the version once more.
        version: main.version + 1,
        claims,
        scopes: current.scopes.clone(),
        access_token: current.access_token.clone(),
    })
}

/// One transaction: the new refresh token into the grant of the sign-in, the access token into that of its API.
async fn keep(
    state: &AppState,
    main: Grant,
    kept: Option<Grant>,
    current: &TokenSet,
    fresh: TokenSet,
    (resource, scopes): (&str, &[String]),
) -> Result<Option<TokenSet>, ResourceError> {
    let (keys, config) = (&state.config.tokens.keys, &state.config.tokens);
    let rotated =
        TokenSet { refresh_token: fresh.refresh_token.clone(), id_token: fresh.id_token.clone(), ..current.clone() };
    let rotated = seal(keys, &main.id, &rotated).map_err(VaultError::from)?;
    let by_database = fresh.by_clock_ahead(state.database_clock.ahead());
    let tokens = TokenSet { refresh_token: None, id_token: None, ..fresh };
    let id = kept.as_ref().map_or_else(new_id, |kept| kept.id.clone());
    let grant = NewGrant {
        sealed: seal(keys, &id, &tokens).map_err(VaultError::from)?,
        id,
        user_id: main.user_id.clone(),
        resource: resource.to_owned(),
        scopes: scopes.join(" "),
        state: "live".to_owned(),
        has_refresh_token: true,
        expires_at: micros(by_database.expires_at),
        due_at: due_at(config, &by_database),
        version: 1,
        created_at: state.shared_now(),
    };
    let mut conn = state.db.conn().await?;
    let is_kept = write_transaction!(conn, async |conn| {
        if !main.rotated(conn, rotated).await? {
            return Ok::<_, diesel::result::Error>(false);
        }
        grant.store(conn, kept.as_ref()).await?;
        Ok(true)
    })?;
    // Signed out or disabled meanwhile: nobody is to get a token.
    is_kept.then_some(Some(tokens)).ok_or(ResourceError::NeedsSignIn)
}

/// What a failure means: for the grant of the sign-in only when its refresh token is no longer taken.
async fn refused(state: &AppState, main: Grant, user: User, error: RefreshError) -> Result<ResourceError, DbError> {
    state.pacing.failed(&user.realm, &error, state.clock.now());
    if error.grant_revoked() {
        refresh::failed(state, main, user, error).await?;
        return Ok(ResourceError::NeedsSignIn);
    }
    tracing::warn!(grant = %main.id, user = %user.id, reason = error.reason(), %error, "no token for another API");
    released(state, &main).await?;
    Ok(match error {
        RefreshError::InteractionRequired(error) => ResourceError::InteractionRequired { claims: error.claims },
        RefreshError::Throttled { .. } | RefreshError::Unavailable { .. } => ResourceError::Unavailable,
        other => ResourceError::Refused(other),
    })
}
