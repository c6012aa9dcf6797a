//! On-behalf-of: an access token that a client presented to this application's API, exchanged for one of another API
//! for the same person (Microsoft identity platform, "OAuth 2.0 On-Behalf-Of flow"; RFC 7523, section 2.1).

use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded::Serializer;

use super::OidcClient;
use super::credential::{ClientProof, JWT_BEARER};
use super::metadata::Metadata;
use super::refresh::{RefreshError, classify, unavailable};
use super::token_endpoint::{SendOnce, TokenFailure};
use super::tokens::{TokenAnswer, TokenSet};

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

impl OidcClient {
    /// Exchanges `assertion`, a verified access token for this application's API, for one with `scopes` of another
    /// resource (`<resource>/.default` for all that was consented to). Only Entra ID does this.
    ///
    /// # Errors
    /// [`RefreshError`]: with [`RefreshError::InteractionRequired`] the client must get the person's consent or a
    /// fresh sign-in; its `claims` go back to the client.
    pub async fn on_behalf_of(&self, assertion: &SecretString, scopes: &[String]) -> Result<TokenSet, RefreshError> {
        let metadata = self.metadata().await.map_err(unavailable)?;
        let answer = self.redeem_assertion(&metadata, assertion, scopes).await;
        self.note_token_answer(&answer);
        Ok(answer.map_err(classify)?.into_set(scopes, self.clock().now()))
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
