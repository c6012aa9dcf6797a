//! Access tokens of the application's own, without a person: client credentials (RFC 6749, section 4.4; Microsoft
//! identity platform, "OAuth 2.0 client credentials flow"). They are kept until shortly before they expire.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Duration, Utc};
use openidconnect::Scope;
use secrecy::SecretString;

use super::OidcClient;
use super::error::OidcError;
use super::metadata::Metadata;
use super::token_endpoint::{SendOnce, TokenFailure, authenticated, relying_party};
use super::tokens::TokenAnswer;
use crate::config::{ProviderKind, Tenant};

/// A token that expires sooner than this is not used for another call.
const MARGIN: Duration = Duration::minutes(5);

/// Tokens with their ends, by tenant and scope.
type Known = HashMap<(String, String), (SecretString, DateTime<Utc>)>;

/// The tokens that are good.
#[derive(Default)]
pub(crate) struct AppTokens(Mutex<Known>);

impl AppTokens {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OidcClient {
    /// The tenants of the settings in which the application may have tokens of its own; none with another provider.
    #[must_use]
    pub fn tenants(&self) -> Vec<String> {
        self.config().kind.tenants()
    }

    /// An access token of the application's own in `tenant` (a GUID of the settings) for `scope`, such as
    /// `https://graph.microsoft.com/.default`. One that was had before serves as long as it is good.
    ///
    /// # Errors
    /// Why the provider gives none.
    pub async fn app_token(&self, tenant: &str, scope: &str) -> Result<SecretString, OidcError> {
        let key = (tenant.to_owned(), scope.to_owned());
        let now = self.clock().now();
        if let Some((token, expires_at)) = self.inner.app_tokens.lock().get(&key)
            && *expires_at - now > MARGIN
        {
            return Ok(token.clone());
        }
        let metadata = in_tenant(self.metadata().await?.as_ref(), &self.config().kind, tenant);
        let answer = self.own_tokens(&metadata, Some(scope)).await;
        self.note_token_answer(&answer);
        let set = answer.map_err(|failure| failure.error)?.into_set(&[scope.to_owned()], now);
        self.inner.app_tokens.lock().insert(key, (set.access_token.clone(), set.expires_at));
        Ok(set.access_token)
    }

    /// Forgets the tokens for `tenant`: the resource does not take them.
    pub fn forget_app_tokens(&self, tenant: &str) {
        self.inner.app_tokens.lock().retain(|(known, _), _| known != tenant);
    }

    /// Asks the token endpoint of `metadata` for tokens of the application's own.
    pub(crate) async fn own_tokens(
        &self,
        metadata: &Metadata,
        scope: Option<&str>,
    ) -> Result<TokenAnswer, TokenFailure> {
        let proof = self.credential().proof(&metadata.token_endpoint).await?;
        let client = relying_party(&self.config().client_id, metadata)?;
        let (client, extra) = authenticated(client, proof, self.uses_basic(metadata));
        let mut request = client.exchange_client_credentials();
        request = request.add_scopes(scope.map(|scope| Scope::new(scope.to_owned())));
        for (name, value) in extra {
            request = request.add_extra_param(name, value);
        }
        let sender = SendOnce::new(self.transport(), self.clock().now());
        request.request_async(&sender).await.map_err(|error| sender.explain(error))
    }
}

/// `metadata` with the token endpoint of `tenant`: a shared one gives no tokens of the application's own.
fn in_tenant(metadata: &Metadata, kind: &ProviderKind, tenant: &str) -> Metadata {
    let mut metadata = metadata.clone();
    if let ProviderKind::Entra { tenant: Tenant::Multi { endpoint, .. }, .. } = kind {
        let (shared, own) = (format!("/{endpoint}/"), format!("/{tenant}/"));
        let path = metadata.token_endpoint.path().replacen(&shared, &own, 1);
        metadata.token_endpoint.set_path(&path);
    }
    metadata
}
