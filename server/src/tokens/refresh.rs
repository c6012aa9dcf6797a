//! Refreshing grants: lease, call the provider, write the result or throw it away.
//!
//! A lease is a compare-and-swap on the row's version and lasts longer than the call can; so a
//! grant has at most one call under way, whoever makes it, and a result that comes after a
//! sign-out, a disable or another sign-in finds another version and is dropped.

use std::time::Duration;

use entra::oidc::{RefreshError, RefreshRequest, Renewed, TokenSet};
use futures_util::StreamExt as _;
use store::models::{Grant, GrantFailure, NewAuditEvent, RefreshedGrant, SessionRecord, User};
use store::{DbError, to_end, write_transaction};

use super::{GRAPH, PROVIDER, VaultError, due_at, micros, open, resources, seal, shuffle, spread};
use crate::config::OnGrantRevoked;
use crate::observe::metrics;
use crate::people::sync::{self, Refreshed};
use crate::state::AppState;
use crate::tokens::consent::page_scopes_of;
use crate::tokens::failpoint;

/// Grants taken at a time, and calls under way at once.
const BATCH: i64 = 200;
const CONCURRENCY: usize = 32;
/// First wait after a failure that passes; doubled each time, up to [`MAX_BACKOFF`].
const BACKOFF: chrono::Duration = chrono::Duration::seconds(2);
const MAX_BACKOFF: chrono::Duration = chrono::Duration::minutes(5);
/// Wait after the provider refused this application's own credential: only an operator can help.
const CREDENTIAL_BACKOFF: chrono::Duration = chrono::Duration::minutes(1);

/// What came of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// New tokens are stored.
    Refreshed,
    /// It failed and is tried again later.
    Retrying,
    /// Only a sign-in helps.
    NeedsSignIn,
    /// Somebody else holds the lease, or the grant is gone.
    Lost,
}

impl RefreshOutcome {
    /// For metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Refreshed => "refreshed",
            Self::Retrying => "retrying",
            Self::NeedsSignIn => "needs_sign_in",
            Self::Lost => "lost",
        }
    }
}

/// Refreshes every grant that is due now; returns how many were refreshed.
///
/// # Errors
/// [`DbError`] when the due grants cannot be read; failures of single grants are theirs.
pub async fn refresh_due(state: &AppState) -> Result<usize, DbError> {
    let mut refreshed = 0;
    while !state.shutdown.is_cancelled() {
        let mut conn = state.db.conn().await?;
        state.measure_database_clock(&mut conn).await?;
        let resting = state.pacing.resting(state.clock.now());
        let mut due = Grant::list_due(&mut conn, state.shared_now(), resting, BATCH).await?;
        drop(conn);
        if due.is_empty() {
            break;
        }
        // Instances that look at the same moment see the same grants: each begins elsewhere.
        shuffle(&mut due);
        let outcomes: Vec<RefreshOutcome> = futures_util::stream::iter(due)
            .map(|(grant, user)| refresh_in_turn(state, grant, user))
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;
        let done = outcomes.iter().filter(|outcome| **outcome == RefreshOutcome::Refreshed).count();
        refreshed += done;
        if outcomes.iter().all(|outcome| *outcome == RefreshOutcome::Lost) {
            // Other instances are at the same grants: what they leave is seen at the next look.
            break;
        }
    }
    Ok(refreshed)
}

async fn refresh_in_turn(state: &AppState, grant: Grant, user: User) -> RefreshOutcome {
    let is_free = state.pacing.turn(&user.realm, || state.clock.now()).await;
    if !is_free || state.shutdown.is_cancelled() {
        return RefreshOutcome::Lost;
    }
    let id = grant.id.clone();
    match leased_refresh(state, grant, user).await {
        Ok(outcome) => {
            metrics::refresh(outcome.name());
            outcome
        }
        Err(error) => {
            tracing::error!(grant = %id, %error, "the refresh of a grant could not be recorded");
            RefreshOutcome::Lost
        }
    }
}

/// Refreshes one grant now, unless somebody else does.
///
/// # Errors
/// [`DbError`] when the result cannot be written; the lease then runs out by itself.
pub async fn refresh_grant(state: &AppState, grant: Grant) -> Result<RefreshOutcome, DbError> {
    let mut conn = state.db.conn().await?;
    state.measure_database_clock(&mut conn).await?;
    let Some(user) = User::find(&mut conn, &grant.user_id).await? else {
        return Ok(RefreshOutcome::Lost);
    };
    drop(conn);
    if state.pacing.is_asked_to_wait(&user.realm, state.clock.now()) {
        return Ok(RefreshOutcome::Retrying);
    }
    let outcome = leased_refresh(state, grant, user).await;
    outcome.inspect(|outcome| metrics::refresh(outcome.name()))
}

/// Takes the lease; `None` when somebody else has it.
pub(super) async fn leased(state: &AppState, mut grant: Grant) -> Result<Option<Grant>, DbError> {
    let now = state.shared_now();
    if grant.leased_until.is_some_and(|until| until > now) {
        return Ok(None);
    }
    let mut conn = state.db.conn().await?;
    let is_ours = grant.lease(&mut conn, now + lease_time(state.config.http.timeout)).await?;
    Ok(is_ours.then_some(grant))
}

/// Gives the lease back; nothing about the grant has changed.
pub(super) async fn released(state: &AppState, grant: &Grant) -> Result<(), DbError> {
    let mut conn = state.db.conn().await?;
    Ok(grant.release(&mut conn).await?)
}

async fn leased_refresh(state: &AppState, grant: Grant, user: User) -> Result<RefreshOutcome, DbError> {
    if !matches!(grant.resource.as_str(), GRAPH | PROVIDER) {
        return resources::refresh_kept(state, grant, &user).await;
    }
    let Some(grant) = leased(state, grant).await? else { return Ok(RefreshOutcome::Lost) };
    let tokens = match open(&state.config.tokens.keys, &grant) {
        Ok(tokens) => tokens,
        Err(error) => return unreadable(state, grant, &error).await,
    };
    let identity = crate::config::IdentityKey { realm: user.realm.clone(), subject: user.subject.clone() };
    let state = state.clone();
    // The call may have used the refresh token up: its result must be written, whoever waits.
    to_end(async move {
        let claims = Some(grant.challenge.as_str()).filter(|claims| !claims.is_empty());
        let scopes = scopes_to_ask(&state, &grant);
        let request = RefreshRequest { claims, scopes: scopes.as_deref() };
        match state.oidc.refresh(&identity, &tokens, request).await {
            Ok(fresh) => {
                failpoint::here("refresh.received");
                state.pacing.answered(&user.realm);
                succeeded(&state, grant, fresh).await
            }
            Err(error) => {
                state.pacing.failed(&user.realm, &error, state.clock.now());
                failed(&state, grant, user, error).await
            }
        }
    })
    .await
}

/// The settings' scopes and those that pages asked for beyond them, with Entra ID; other providers give what was granted.
fn scopes_to_ask(state: &AppState, grant: &Grant) -> Option<Vec<String>> {
    let settings = &state.config.provider.scopes;
    let further = page_scopes_of(grant.scopes.split(' '), settings).map(str::to_owned);
    state.oidc.is_entra().then(|| settings.iter().cloned().chain(further).collect())
}

/// Longer than a refresh can take, so that a lease never ends under it: the token call, metadata and keys if they are
/// old, and two waits for a connection to the database.
fn lease_time(http_timeout: Duration) -> chrono::Duration {
    chrono::Duration::from_std(http_timeout * 3 + 2 * store::WAIT).unwrap_or(MAX_BACKOFF)
}

async fn succeeded(state: &AppState, grant: Grant, renewed: Renewed) -> Result<RefreshOutcome, DbError> {
    let Renewed { tokens, claims } = renewed;
    let sealed = match seal(&state.config.tokens.keys, &grant.id, &tokens) {
        Ok(sealed) => sealed,
        Err(error) => return unreadable(state, grant, &error.into()).await,
    };
    let fresh = tokens.by_clock_ahead(state.database_clock.ahead());
    let result = RefreshedGrant {
        sealed,
        has_refresh_token: fresh.refresh_token.is_some(),
        scopes: fresh.scopes.join(" "),
        expires_at: micros(fresh.expires_at),
        due_at: due_at(&state.config.tokens, &fresh),
        now: state.shared_now(),
    };
    let mut conn = state.db.conn().await?;
    let kept = grant.refreshed(&mut conn, result).await?;
    drop(conn);
    tracing::debug!(grant = %grant.id, kept, "grant refreshed");
    if !kept {
        return Ok(RefreshOutcome::Lost);
    }
    if let Some(claims) = claims {
        let Grant { id: grant_id, user_id, version, .. } = grant;
        let TokenSet { scopes, access_token, .. } = tokens;
        // Writing the result has raised the version once more.
        let version = version + 1;
        sync::after_refresh(state, Refreshed { user_id, grant_id, version, claims, scopes, access_token }).await;
    }
    Ok(RefreshOutcome::Refreshed)
}

pub(super) async fn failed(
    state: &AppState,
    grant: Grant,
    user: User,
    error: RefreshError,
) -> Result<RefreshOutcome, DbError> {
    tracing::warn!(grant = %grant.id, user = %user.id, reason = error.reason(), %error, "a grant was not refreshed");
    if !error.needs_sign_in() {
        let failure = GrantFailure {
            state: "live",
            error: in_words(&error),
            due_at: Some(state.shared_now() + backoff(&grant, &error)),
            challenge: None,
        };
        let mut conn = state.db.conn().await?;
        let kept = grant.failed(&mut conn, failure).await?;
        return Ok(if kept { RefreshOutcome::Retrying } else { RefreshOutcome::Lost });
    }
    let end_sessions = error.grant_revoked() && state.config.tokens.on_grant_revoked == OnGrantRevoked::EndSessions;
    needs_sign_in(state, grant, user, &error, end_sessions).await
}

/// One transaction: the grant's state, the end of the sessions by policy, and the audit event.
async fn needs_sign_in(
    state: &AppState,
    grant: Grant,
    user: User,
    error: &RefreshError,
    end_sessions: bool,
) -> Result<RefreshOutcome, DbError> {
    let lapse = Lapse {
        kind: if error.grant_revoked() { "grant.revoked" } else { "grant.needs_sign_in" },
        reason: error.reason(),
        words: in_words(error),
        challenge: error.provider_error().and_then(|error| error.claims.clone()),
        end_sessions,
    };
    let kept = lapsed(state, grant, &user, lapse).await?;
    Ok(if kept { RefreshOutcome::NeedsSignIn } else { RefreshOutcome::Lost })
}

/// Graph takes no token of this grant without `challenge`, and a refresh brought none: the challenge waits in the grant
/// for the person's next sign-in, and nothing is tried before.
///
/// # Errors
/// [`DbError`]; the grant stays as it was.
pub async fn keep_for_sign_in(state: &AppState, grant: Grant, user: &User, challenge: &str) -> Result<(), DbError> {
    let lapse = Lapse {
        kind: "grant.needs_sign_in",
        reason: "graph.claims_challenge",
        words: "Microsoft Graph wants the person to sign in again.".to_owned(),
        challenge: Some(challenge.to_owned()),
        end_sessions: false,
    };
    lapsed(state, grant, user, lapse).await.map(drop)
}

/// Why a grant needs a sign-in.
struct Lapse {
    kind: &'static str,
    reason: &'static str,
    words: String,
    challenge: Option<String>,
    end_sessions: bool,
}

/// Whether it was written: not when the grant has changed meanwhile.
async fn lapsed(state: &AppState, grant: Grant, user: &User, lapse: Lapse) -> Result<bool, DbError> {
    let Lapse { kind, reason, words, challenge, end_sessions } = lapse;
    let failure = GrantFailure { state: "needs_sign_in", error: words, due_at: None, challenge };
    let detail = vec![("reason", reason.to_owned()), ("sessions_ended", end_sessions.to_string())];
    let event = NewAuditEvent::by_system(kind, Some((user.id.clone(), user.upn.clone())), detail);
    let now = state.shared_now();
    let mut conn = state.db.conn().await?;
    let kept = write_transaction!(conn, async |conn| {
        if !grant.failed(conn, failure).await? {
            return Ok::<_, diesel::result::Error>(false);
        }
        if end_sessions {
            SessionRecord::delete_by_user(conn, &user.id).await?;
        }
        event.insert(conn, now).await?;
        Ok(true)
    })?;
    Ok(kept)
}

/// A row whose tokens cannot be opened is of no use: the next sign-in replaces it.
async fn unreadable(state: &AppState, grant: Grant, error: &VaultError) -> Result<RefreshOutcome, DbError> {
    tracing::error!(grant = %grant.id, %error, "a grant's tokens cannot be used");
    let failure = GrantFailure {
        state: "needs_sign_in",
        error: "The stored tokens cannot be opened with the keys of TOKEN_ENCRYPTION_KEYS.".to_owned(),
        due_at: None,
        challenge: None,
    };
    let mut conn = state.db.conn().await?;
    grant.failed(&mut conn, failure).await?;
    Ok(RefreshOutcome::NeedsSignIn)
}

/// How long to wait before the next try.
fn backoff(grant: &Grant, error: &RefreshError) -> chrono::Duration {
    if let Some(wait) = error.retry_after().and_then(|wait| chrono::Duration::from_std(wait).ok()) {
        return wait + chrono::Duration::milliseconds(spread(2000));
    }
    if matches!(error, RefreshError::InvalidClient(_)) {
        return CREDENTIAL_BACKOFF;
    }
    next_try(grant)
}

/// Longer after each failure that passes.
pub(super) fn next_try(grant: &Grant) -> chrono::Duration {
    let doublings = u32::try_from(grant.failures).unwrap_or(0).min(8);
    let wait = (BACKOFF * 2_i32.pow(doublings)).min(MAX_BACKOFF);
    wait + chrono::Duration::milliseconds(spread(wait.num_milliseconds() / 4))
}

/// The failure for the admin page: what it is and who can help, without the provider's text.
fn in_words(error: &RefreshError) -> String {
    match error {
        RefreshError::NoRefreshToken => "There is no refresh token: the person signs in again.".to_owned(),
        RefreshError::Revoked(_) => "The provider has revoked the grant: the person signs in again.".to_owned(),
        RefreshError::InteractionRequired(_) => "The provider wants the person to sign in again.".to_owned(),
        RefreshError::InvalidClient(_) => {
            "The provider refused this application's credential: it is wrong or has expired.".to_owned()
        }
        RefreshError::Throttled { .. } => "The provider asked to slow down.".to_owned(),
        RefreshError::Unavailable { .. } => "The provider did not answer.".to_owned(),
        RefreshError::Rejected(_) => "The provider's answer was not valid and was dropped.".to_owned(),
    }
}
