//! Refreshing a grant: one call, and a verdict on the refresh token that rests on the OAuth error
//! alone (RFC 6749, section 6; OpenID Connect Core 1.0, section 12; Microsoft identity platform,
//! "Refresh tokens" and "Handle errors").

use std::time::Duration;

use openidconnect::{OAuth2TokenResponse, RefreshToken, Scope};
use secrecy::{ExposeSecret as _, SecretString};

use super::OidcClient;
use super::claims::Claims;
use super::claims_request::claims_request;
use super::error::{OidcError, TokenFault};
use super::id_token::{Expectation, ExpectedNonce};
use super::jwt::UnverifiedToken;
use super::metadata::Metadata;
use super::provider_error::ProviderError;
use super::token_endpoint::{SendOnce, TokenFailure, authenticated, relying_party};
use super::tokens::{TokenAnswer, TokenSet};
use crate::config::IdentityKey;

/// Why a refresh brought nothing, by what follows from it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RefreshError {
    /// The grant has no refresh token: the person must sign in.
    #[error("no refresh token was granted")]
    NoRefreshToken,
    /// The provider no longer takes the refresh token: forget it. The person must sign in.
    #[error("the grant was revoked or has expired: {0}")]
    Revoked(Box<ProviderError>),
    /// The provider wants to see the person, for more factors or consent: do not try again before
    /// they signed in. [`ProviderError::claims`] goes along with that sign-in.
    #[error("the person must sign in again: {0}")]
    InteractionRequired(Box<ProviderError>),
    /// This application is refused, not the grant: its credential or registration is wrong. Keep
    /// all grants, tell the administrators, and try again later.
    #[error("this application is refused: {0}")]
    InvalidClient(Box<ProviderError>),
    /// Too many calls. Keep the grant and wait.
    #[error("the provider asks to slow down: {source}")]
    Throttled {
        /// For how long.
        retry_after: Option<Duration>,
        /// What was seen.
        source: OidcError,
    },
    /// No answer, or one that says nothing about the grant. Keep it and try again later.
    #[error("no answer for now: {source}")]
    Unavailable {
        /// How long the provider asks to wait.
        retry_after: Option<Duration>,
        /// What was seen.
        source: OidcError,
    },
    /// An answer with an ID token that does not belong to the grant: nothing of it may be used.
    #[error("the answer was dropped: {0}")]
    Rejected(OidcError),
}

impl RefreshError {
    /// A stable code for logs and for the audit table.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoRefreshToken => "refresh.no_refresh_token",
            Self::Revoked(_) => "refresh.revoked",
            Self::InteractionRequired(_) => "refresh.interaction_required",
            Self::InvalidClient(_) => "refresh.invalid_client",
            Self::Throttled { .. } => "refresh.throttled",
            Self::Unavailable { .. } => "refresh.unavailable",
            Self::Rejected(_) => "refresh.rejected",
        }
    }

    /// The provider's own words, if it answered with an error.
    #[must_use]
    pub fn provider_error(&self) -> Option<&ProviderError> {
        match self {
            Self::Revoked(error) | Self::InteractionRequired(error) | Self::InvalidClient(error) => Some(error),
            Self::Throttled { source, .. } | Self::Unavailable { source, .. } | Self::Rejected(source) => {
                source.provider_error()
            }
            Self::NoRefreshToken => None,
        }
    }

    /// How long the provider asks to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } | Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether only a sign-in brings new tokens, so that trying again is in vain.
    #[must_use]
    pub fn needs_sign_in(&self) -> bool {
        matches!(self, Self::NoRefreshToken | Self::Revoked(_) | Self::InteractionRequired(_))
    }

    /// Whether the provider has withdrawn the grant.
    #[must_use]
    pub fn grant_revoked(&self) -> bool {
        matches!(self, Self::Revoked(_))
    }
}

/// What a refresh brought.
#[derive(Clone, Debug)]
pub struct Renewed {
    /// The tokens, in place of those before.
    pub tokens: TokenSet,
    /// What a new ID token says about the person; `None` when none came.
    pub claims: Option<Claims>,
}

/// What a refresh is to bring.
#[derive(Clone, Copy, Debug, Default)]
pub struct RefreshRequest<'a> {
    /// Scopes of one resource; without them, Entra is asked for the settings' and other providers for what was
    /// granted.
    pub scopes: Option<&'a [String]>,
    /// A claims challenge that the new access token must meet: a JSON object.
    pub claims: Option<&'a str>,
}

impl OidcClient {
    /// Redeems the refresh token of `current`, the grant of `identity`.
    ///
    /// The new set has the new refresh token or, if none came, the old one, and likewise the ID
    /// token. It is sent once: whoever schedules refreshes also repeats them.
    ///
    /// # Errors
    /// [`RefreshError`] says what follows for the grant.
    pub async fn refresh(
        &self,
        identity: &IdentityKey,
        current: &TokenSet,
        request: RefreshRequest<'_>,
    ) -> Result<Renewed, RefreshError> {
        let refresh_token = current.refresh_token.as_ref().ok_or(RefreshError::NoRefreshToken)?;
        let metadata = self.metadata().await.map_err(unavailable)?;
        let asked = self.scopes_to_ask(request.scopes);
        let claims = claims_request(&self.config().kind, request.claims, None);
        let claims = claims.map_err(|fault| RefreshError::Rejected(fault.into()))?;
        let answer = self.redeem_refresh_token(&metadata, refresh_token, &asked, claims).await;
        self.note_token_answer(&answer);
        let answer = answer.map_err(classify)?;
        let claims = self.check_refreshed(&metadata, identity, current, &answer).await?;
        let granted = if asked.is_empty() { &current.scopes } else { &asked };
        let mut renewed = answer.into_set(granted, self.clock().now());
        renewed.refresh_token = renewed.refresh_token.or_else(|| current.refresh_token.clone());
        renewed.id_token = renewed.id_token.or_else(|| current.id_token.clone());
        Ok(Renewed { tokens: renewed, claims })
    }

    fn scopes_to_ask(&self, scopes: Option<&[String]>) -> Vec<String> {
        match scopes {
            Some(scopes) => scopes.to_vec(),
            None if self.is_entra() => self.config().scopes.clone(),
            None => Vec::new(),
        }
    }

    async fn redeem_refresh_token(
        &self,
        metadata: &Metadata,
        refresh_token: &SecretString,
        scopes: &[String],
        claims: Option<String>,
    ) -> Result<TokenAnswer, TokenFailure> {
        let proof = self.credential().proof(&metadata.token_endpoint).await?;
        let client = relying_party(&self.config().client_id, metadata)?;
        let (client, extra) = authenticated(client, proof, self.uses_basic(metadata));
        let refresh_token = RefreshToken::new(refresh_token.expose_secret().to_owned());
        let mut request =
            client.exchange_refresh_token(&refresh_token).add_scopes(scopes.iter().cloned().map(Scope::new));
        for (name, value) in extra.into_iter().chain(claims.map(|claims| ("claims", claims))) {
            request = request.add_extra_param(name, value);
        }
        let sender = SendOnce::new(self.transport(), self.clock().now());
        request.request_async(&sender).await.map_err(|error| sender.explain(error))
    }

    /// An ID token that comes along must be about the same person and the same sign-in (section
    /// 12.2), or nothing of the answer counts. Returns its claims.
    async fn check_refreshed(
        &self,
        metadata: &Metadata,
        identity: &IdentityKey,
        current: &TokenSet,
        answer: &TokenAnswer,
    ) -> Result<Option<Claims>, RefreshError> {
        let Some(id_token) = answer.raw_id_token() else {
            return Ok(None);
        };
        let first = current.id_token.as_ref().and_then(|token| UnverifiedToken::parse(token.expose_secret()).ok());
        let claim = |name| first.as_ref().and_then(|first| first.claims.get(name)?.as_str());
        let expectation = Expectation {
            nonce: claim("nonce").map_or(ExpectedNonce::Absent, ExpectedNonce::Allowed),
            access_token: answer.access_token().secret(),
            ..Expectation::default()
        };
        let verified = self.verifier(metadata).verify(id_token, &expectation).await.map_err(dropped)?;
        let is_same_subject =
            claim("sub").is_none_or(|sub| verified.claims.get("sub").is_some_and(|found| found == sub));
        match verified.identity == *identity && is_same_subject {
            true => Ok(Some(Claims::new(verified.claims))),
            false => Err(RefreshError::Rejected(TokenFault::Subject.into())),
        }
    }
}

pub(super) fn unavailable(source: OidcError) -> RefreshError {
    let retry_after = match &source {
        OidcError::Unavailable { retry_after, .. } => *retry_after,
        _ => None,
    };
    RefreshError::Unavailable { retry_after, source }
}

/// An answer that could not be checked for want of keys is as good as none; a bad one is refused.
fn dropped(error: OidcError) -> RefreshError {
    match error.is_outage() {
        true => unavailable(error),
        false => RefreshError::Rejected(error),
    }
}

/// What an answer without tokens means for the grant. `error` and `suberror` decide, and whether
/// there is a claims challenge; never Microsoft's numbers or texts, which change. What is not known
/// never costs a refresh token.
pub(super) fn classify(failure: TokenFailure) -> RefreshError {
    match failure.error {
        OidcError::Provider { error, endpoint } => match error.error.as_str() {
            _ if error.asks_for_the_person() => RefreshError::InteractionRequired(error),
            "invalid_grant" | "access_denied" => RefreshError::Revoked(error),
            "invalid_client"
            | "unauthorized_client"
            | "invalid_request"
            | "invalid_scope"
            | "invalid_resource"
            | "unsupported_grant_type" => RefreshError::InvalidClient(error),
            _ => unavailable(OidcError::Provider { error, endpoint }),
        },
        error if failure.is_throttled => match unavailable(error) {
            RefreshError::Unavailable { retry_after, source } => RefreshError::Throttled { retry_after, source },
            other => other,
        },
        error => unavailable(error),
    }
}
