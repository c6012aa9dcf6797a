//! The OpenID Connect relying party: everything between this application and the provider.
//!
//! It knows no web framework and no database: handlers give it texts and get back verified facts.
//! `openidconnect` builds requests, redeems codes and checks signatures; what that crate leaves to
//! its users is here: discovery and keys that outlive the provider's bad days, and the checks that
//! make a token one for this application, this transaction and an allowed tenant.

mod advice;
mod app_token;
mod authorize;
mod bearer;
mod cache;
mod callback;
mod claims;
mod claims_request;
mod credential;
mod error;
mod examine;
mod flow;
mod id_token;
mod jwk;
mod jwt;
mod keys;
mod logout;
mod metadata;
mod on_behalf_of;
mod provider_error;
mod refresh;
mod status;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod token_endpoint;
mod tokens;
mod transaction;
pub mod transport;
pub mod troubleshooting;
mod user_info;

use std::sync::{Arc, Mutex, PoisonError};

pub use self::advice::{Advice, Retry, Who};
pub use self::authorize::{BeginOptions, Begun, Prompt};
pub use self::bearer::{ApiCaller, Permissions};
pub use self::callback::{CallbackParams, MAX_CALLBACK_LENGTH};
pub use self::claims::{Claims, GroupsClaim};
pub use self::error::{
    CallbackFault, CredentialFault, Endpoint, KeysFault, MetadataFault, OidcError, RequestFault, TokenFault,
};
pub use self::examine::RedirectUriAnswer;
pub use self::flow::SignIn;
pub use self::logout::{EndSession, LogoutToken};
pub use self::provider_error::ProviderError;
pub(crate) use self::provider_error::claims_challenge;
pub use self::refresh::{RefreshError, RefreshRequest, Renewed};
pub use self::status::{Failure, ProviderStatus, SourceStatus};
pub use self::tokens::{TokenSet, TokenSetError};
pub use self::transaction::{TRANSACTION_LIFETIME, Transaction};

use self::app_token::AppTokens;
use self::credential::Credential;
use self::id_token::Verifier;
use self::keys::KeySource;
use self::metadata::{Metadata, MetadataSource};
use self::on_behalf_of::Exchanges;
use self::token_endpoint::TokenFailure;
use self::transport::Transport;
use crate::clock::Clock;
use crate::config::{ProviderConfig, ProviderKind};
use crate::http::HttpClient;

/// The relying party of one provider. Cheap to clone; clones share keys, metadata and status.
///
/// It is made without a call, so that the server starts while the provider is down.
#[derive(Clone)]
pub struct OidcClient {
    inner: Arc<Inner>,
}

struct Inner {
    config: ProviderConfig,
    transport: Arc<dyn Transport>,
    clock: Clock,
    metadata: Arc<MetadataSource>,
    keys: KeySource,
    credential: Credential,
    token_endpoint: Mutex<SourceStatus>,
    app_tokens: AppTokens,
    exchanges: Exchanges,
}

impl OidcClient {
    /// A relying party by these settings, which calls out through `http`.
    #[must_use]
    pub fn new(config: ProviderConfig, http: HttpClient, clock: Clock) -> Self {
        Self::with_transport(config, Arc::new(http), clock)
    }

    /// As [`OidcClient::new`], with another way out.
    #[must_use]
    pub fn with_transport(config: ProviderConfig, transport: Arc<dyn Transport>, clock: Clock) -> Self {
        let metadata = MetadataSource::new(config.kind.clone(), Arc::clone(&transport), clock.clone());
        let keys = KeySource::new(Arc::clone(&transport), clock.clone());
        let credential = Credential::new(config.client_id.clone(), config.credential.clone(), clock.clone());
        let inner = Inner {
            metadata: Arc::new(metadata),
            keys,
            credential,
            config,
            transport,
            clock,
            token_endpoint: Mutex::default(),
            app_tokens: AppTokens::default(),
            exchanges: Exchanges::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Fetches metadata and keys, so that the first sign-in need not wait for them.
    ///
    /// # Errors
    /// What failed; not fatal, as everything is fetched again when needed.
    pub async fn warm_up(&self) -> Result<(), OidcError> {
        let metadata = self.metadata().await?;
        self.inner.keys.warm_up(&metadata.jwks_uri).await
    }

    /// How things stand with the provider. Makes no call.
    #[must_use]
    pub fn status(&self) -> ProviderStatus {
        let token_endpoint = self.inner.token_endpoint.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ProviderStatus {
            metadata: self.inner.metadata.status(),
            keys: self.inner.keys.status(),
            token_endpoint,
            as_of: self.inner.clock.now(),
        }
    }

    /// Whether the provider is Microsoft Entra ID.
    #[must_use]
    pub fn is_entra(&self) -> bool {
        matches!(self.inner.config.kind, ProviderKind::Entra { .. })
    }

    /// What to call the provider on a page: `Microsoft`, or the host of its issuer.
    #[must_use]
    pub fn provider_name(&self) -> String {
        match &self.inner.config.kind {
            ProviderKind::Entra { .. } => "Microsoft".to_owned(),
            ProviderKind::Generic { issuer } => {
                let host = url::Url::parse(issuer).ok().and_then(|url| url.host_str().map(str::to_owned));
                host.unwrap_or_else(|| issuer.clone())
            }
        }
    }

    /// Origins besides the issuer's to which signing in and out send browsers, separated by blanks;
    /// `None` without any, and while the metadata is not known. Makes no call.
    #[must_use]
    pub fn further_origins(&self) -> Option<String> {
        let metadata = self.known_metadata()?;
        Some(metadata.further_origins.clone()).filter(|origins| !origins.is_empty())
    }

    fn config(&self) -> &ProviderConfig {
        &self.inner.config
    }

    fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    fn transport(&self) -> &dyn Transport {
        self.inner.transport.as_ref()
    }

    fn credential(&self) -> &Credential {
        &self.inner.credential
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, OidcError> {
        self.inner.metadata.get().await
    }

    fn known_metadata(&self) -> Option<Arc<Metadata>> {
        self.inner.metadata.peek()
    }

    fn verifier<'a>(&'a self, metadata: &'a Metadata) -> Verifier<'a> {
        Verifier { config: &self.inner.config, metadata, keys: &self.inner.keys, now: self.inner.clock.now() }
    }

    /// Whether to send the secret by HTTP Basic: never with Entra, whose documents say the body.
    fn uses_basic(&self, metadata: &Metadata) -> bool {
        metadata.takes_basic && !self.is_entra()
    }

    /// Notes whether the token endpoint works for this application. That it refuses a code or a
    /// grant is a sign of health.
    fn note_token_answer<T>(&self, answer: &Result<T, TokenFailure>) {
        let outcome = match answer {
            Err(failure) if speaks_of_us(&failure.error) => Err(failure.error.clone()),
            _ => Ok(()),
        };
        let mut status = self.inner.token_endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        status.note(&outcome, self.inner.clock.now());
    }
}

/// Whether an error is about the provider or this application, not about one person's grant.
fn speaks_of_us(error: &OidcError) -> bool {
    match error {
        OidcError::Provider { error: said, .. } => error.refuses_the_client() || said.is_outage(),
        _ => true,
    }
}
