//! What has to be remembered between sending a browser to the provider and its coming back.

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use super::authorize::{BeginOptions, Prompt};
use super::error::OidcError;
use super::id_token::{Expectation, ExpectedNonce};
use crate::crypto::random_token;

/// How long a person has to sign in at the provider.
pub const TRANSACTION_LIFETIME: Duration = Duration::minutes(10);

/// The longest `max_age` that makes a difference.
const MAX_MAX_AGE: Duration = Duration::days(3650);

/// What must be known when the browser comes back. To be kept secret and used once; its `Debug`
/// shows no secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct Transaction {
    state: String,
    pub(super) nonce: String,
    pub(super) pkce_verifier: String,
    /// The provider and tenant segment it was begun with.
    pub(super) provider: String,
    pub(super) redirect_uri: String,
    pub(super) scopes: Vec<String>,
    pub(super) prompt: Option<Prompt>,
    max_age_seconds: Option<i64>,
    auth_context: Option<String>,
    created_at: DateTime<Utc>,
}

impl fmt::Debug for Transaction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Transaction")
            .field("provider", &self.provider)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

impl Transaction {
    /// A new transaction with the provider named by `provider` ([`super::metadata::provider_key`]).
    pub(super) fn new(
        options: &BeginOptions,
        provider: String,
        scopes: &[String],
        now: DateTime<Utc>,
    ) -> Result<Self, OidcError> {
        let max_age = options.max_age.and_then(|age| Duration::from_std(age).ok());
        Ok(Self {
            state: random_token()?,
            nonce: random_token()?,
            pkce_verifier: random_token()?,
            provider,
            redirect_uri: options.redirect_uri.clone(),
            scopes: scopes.iter().chain(&options.further_scopes).cloned().collect(),
            prompt: options.prompt,
            max_age_seconds: max_age.map(|age| age.min(MAX_MAX_AGE).num_seconds()),
            auth_context: options.auth_context.clone(),
            created_at: now,
        })
    }

    /// The state, by which the answer finds its transaction.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }

    /// When it was begun.
    #[must_use]
    pub fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    /// Whether it has taken longer than [`TRANSACTION_LIFETIME`].
    #[must_use]
    pub fn is_expired(&self, now: DateTime<Utc>) -> bool {
        now - self.created_at > TRANSACTION_LIFETIME
    }

    /// When the person signed in, of whom the verified token says `auth_time`. After `prompt=login` or `max_age=0` not
    /// before this transaction, so that neither a provider's slow clock nor its silence asks a person twice; otherwise
    /// nobody knows what the token does not say.
    pub(super) fn signed_in_at(&self, auth_time: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        let is_anew = self.prompt == Some(Prompt::Login) || self.max_age_seconds == Some(0);
        auth_time.max(is_anew.then_some(self.created_at))
    }

    /// What the ID token of this transaction must fit.
    pub(super) fn expectation<'a>(&'a self, access_token: &'a str) -> Expectation<'a> {
        Expectation {
            nonce: ExpectedNonce::Required(&self.nonce),
            access_token,
            auth_context: self.auth_context.as_deref(),
            max_age: self.max_age_seconds.and_then(Duration::try_seconds),
            signed_in_since: (self.prompt == Some(Prompt::Login)).then_some(self.created_at),
        }
    }
}
