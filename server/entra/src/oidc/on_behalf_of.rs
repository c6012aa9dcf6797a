//! On-behalf-of: an access token that a client presented to this application's API, exchanged for one of another API
//! for the same person (Microsoft identity platform, "OAuth 2.0 On-Behalf-Of flow"; RFC 7523, section 2.1).
//!
//! What was got is kept in memory until it expires.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded::Serializer;

use super::OidcClient;
use super::credential::{ClientProof, JWT_BEARER};
use super::metadata::Metadata;
use super::refresh::{RefreshError, classify, unavailable};
use super::token_endpoint::{SendOnce, TokenFailure};
use super::tokens::TokenAnswer;
use crate::crypto::digest;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

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

/// Exchanges on behalf of callers, by the digest of what was presented and of the scopes.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    kept: Mutex<HashMap<Vec<u8>, Exchanged>>,
}

impl Exchanges {
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

impl OidcClient {
    /// Exchanges `assertion`, a verified access token for this application's API, for one with `scopes` of another
    /// resource (`<resource>/.default` for all that was consented to). Only Entra ID does this. A token that was got
    /// before serves until a minute before its end, and a refusal for a minute.
    ///
    /// # Errors
    /// [`RefreshError`]: with [`RefreshError::InteractionRequired`] the client must get the person's consent or a
    /// fresh sign-in; its `claims` go back to the client.
    pub async fn on_behalf_of(
        &self,
        assertion: &SecretString,
        scopes: &[String],
    ) -> Result<SecretString, RefreshError> {
        let key = digest([assertion.expose_secret(), scopes.join(" ").as_str()].join(" ").as_bytes());
        let now = self.clock().now();
        if let Some(kept) = self.inner.exchanges.get(&key, now) {
            return kept.outcome;
        }
        let exchanged = self.exchange(assertion, scopes).await;
        let until = match &exchanged {
            Ok((_, expires_at)) => *expires_at - MARGIN,
            Err(error) => now + if is_an_answer(error) { REFUSED } else { chrono::Duration::zero() },
        };
        if let Err(error) = &exchanged {
            tracing::warn!(reason = error.reason(), %error, "no token on behalf of a caller");
        }
        let outcome = exchanged.map(|(token, _)| token);
        self.inner.exchanges.put(key, Exchanged { outcome: outcome.clone(), until }, now);
        outcome
    }

    async fn exchange(
        &self,
        assertion: &SecretString,
        scopes: &[String],
    ) -> Result<(SecretString, DateTime<Utc>), RefreshError> {
        let metadata = self.metadata().await.map_err(unavailable)?;
        let answer = self.redeem_assertion(&metadata, assertion, scopes).await;
        self.note_token_answer(&answer);
        let tokens = answer.map_err(classify)?.into_set(scopes, self.clock().now());
        Ok((tokens.access_token, tokens.expires_at))
    }

    async fn redeem_assertion(
        &self,
        metadata: &Metadata,
        assertion: &SecretString,
        scopes: &[String],
    ) -> Result<TokenAnswer, TokenFailure> {
        let proof = self.credential().proof(&metadata.token_endpoint).await?;
        let form = form(&self.config().client_id, &proof, assertion, scopes);
        let sender = SendOnce::new(self.transport(), self.clock().now());
        sender.redeem(metadata.token_endpoint.as_str(), form).await
    }
}

/// Whether the provider has judged the exchange, so that it would say the same again.
fn is_an_answer(error: &RefreshError) -> bool {
    !matches!(error, RefreshError::Throttled { .. } | RefreshError::Unavailable { .. })
}

fn form(client_id: &str, proof: &ClientProof, assertion: &SecretString, scopes: &[String]) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", GRANT_TYPE)
        .append_pair("client_id", client_id)
        .append_pair("requested_token_use", "on_behalf_of")
        .append_pair("assertion", assertion.expose_secret())
        .append_pair("scope", &scopes.join(" "));
    match proof {
        ClientProof::Secret(secret) => form.append_pair("client_secret", secret.secret()),
        ClientProof::Assertion(proof) => {
            form.append_pair("client_assertion_type", JWT_BEARER).append_pair("client_assertion", proof)
        }
    };
    form.finish()
}
