//! The way back from the provider: the answer is checked against its transaction, the code redeemed
//! once, and a sign-in made of what is verified (OpenID Connect Core 1.0, section 3.1; RFC 9207;
//! RFC 9700).

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use openidconnect::{AuthorizationCode, OAuth2TokenResponse, PkceCodeVerifier};
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use super::OidcClient;
use super::authorize::redirect_url;
use super::callback::CallbackParams;
use super::claims::{Claims, texts};
use super::claims_request::claims_request;
use super::error::{CallbackFault, Endpoint, OidcError, TokenFault};
use super::jwt::is_guid;
use super::metadata::{Metadata, provider_key};
use super::token_endpoint::{SendOnce, TokenFailure, authenticated, relying_party};
use super::tokens::{TokenAnswer, TokenSet};
use super::transaction::Transaction;
use crate::config::IdentityKey;

/// A person who has signed in: everything in it is verified.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// Who it is.
    pub identity: IdentityKey,
    /// What the provider says about them.
    pub claims: Claims,
    /// Their tokens.
    pub tokens: TokenSet,
    /// The provider's session, for front-channel and back-channel logout.
    pub sid: Option<String>,
    /// Entra's opaque hint for later sign-ins and for signing out.
    pub login_hint: Option<String>,
    /// When they signed in at the provider: by its word, or because this very sign-in asked them to do it anew.
    pub auth_time: Option<DateTime<Utc>>,
    /// The authentication contexts that the token proves: `acrs` with Entra ID, else `acr`.
    pub auth_contexts: Vec<String>,
    /// How they proved who they are, if the provider says so (`amr`, RFC 8176).
    pub auth_methods: Vec<String>,
}

impl OidcClient {
    /// Finishes a sign-in: checks that the answer belongs to `transaction`, redeems its code once,
    /// and verifies the ID token before anything of it is used.
    ///
    /// The caller must have used `transaction` up, so that no answer is taken twice.
    ///
    /// # Errors
    /// [`OidcError`]: what did not fit. A code that was sent to the provider is not sent again.
    pub async fn finish(&self, transaction: Transaction, callback: CallbackParams) -> Result<SignIn, OidcError> {
        self.check_transaction(&transaction, &callback)?;
        let metadata = self.metadata().await?;
        self.check_response_issuer(&metadata, &callback)?;
        let code = code_of(&callback)?;
        let answer = self.redeem(&metadata, &transaction, code).await;
        self.note_token_answer(&answer);
        let answer = answer.map_err(|failure| failure.error)?;
        self.sign_in(&metadata, &transaction, answer).await
    }

    fn check_transaction(&self, transaction: &Transaction, callback: &CallbackParams) -> Result<(), CallbackFault> {
        let state = callback.state().ok_or(CallbackFault::MissingState)?;
        if !bool::from(state.as_bytes().ct_eq(transaction.state().as_bytes())) {
            return Err(CallbackFault::State);
        }
        if transaction.is_expired(self.clock().now()) {
            return Err(CallbackFault::Expired);
        }
        match transaction.provider == provider_key(&self.config().kind) {
            true => Ok(()),
            false => Err(CallbackFault::OtherProvider),
        }
    }

    /// Whether people sign in here with `issuer`, which a third party names (OIDC Core section 4).
    ///
    /// # Errors
    /// [`OidcError`] when the provider's metadata is not to be had.
    pub async fn signs_in_for(&self, issuer: &str) -> Result<bool, OidcError> {
        Ok(self.is_issuer(&*self.metadata().await?, issuer))
    }

    /// `iss` against mix-up (RFC 9207, section 2.4), on answers with a code and with an error alike.
    fn check_response_issuer(&self, metadata: &Metadata, callback: &CallbackParams) -> Result<(), CallbackFault> {
        match callback.iss.as_deref() {
            None if metadata.sends_issuer => Err(CallbackFault::MissingIssuer),
            None => Ok(()),
            Some(issuer) if self.is_issuer(metadata, issuer) => Ok(()),
            Some(_) => Err(CallbackFault::Issuer),
        }
    }

    /// Whether `issuer` is the provider's, with any tenant in a template's place.
    pub(super) fn is_issuer(&self, metadata: &Metadata, issuer: &str) -> bool {
        let tenant = metadata
            .issuer
            .split_once("{tenantid}")
            .and_then(|(before, after)| issuer.strip_prefix(before)?.strip_suffix(after))
            .filter(|tenant| is_guid(tenant));
        match tenant {
            Some(tenant) => metadata.issuer_for(tenant) == issuer,
            None => metadata.issuer == issuer,
        }
    }

    async fn redeem(
        &self,
        metadata: &Metadata,
        transaction: &Transaction,
        code: String,
    ) -> Result<TokenAnswer, TokenFailure> {
        let proof = self.credential().proof(&metadata.token_endpoint).await?;
        let client = relying_party(&self.config().client_id, metadata)?;
        let (client, extra) = authenticated(client, proof, self.uses_basic(metadata));
        let redirect = redirect_url(&transaction.redirect_uri)?;
        let mut request = client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(transaction.pkce_verifier.clone()))
            .set_redirect_uri(Cow::Owned(redirect));
        if let Some(claims) = claims_request(&self.config().kind, None, None).map_err(OidcError::from)? {
            request = request.add_extra_param("claims", claims);
        }
        for (name, value) in extra {
            request = request.add_extra_param(name, value);
        }
        let sender = SendOnce::new(self.transport(), self.clock().now());
        request.request_async(&sender).await.map_err(|error| sender.explain(error))
    }

    /// Verifies the answer and makes a sign-in of it.
    async fn sign_in(
        &self,
        metadata: &Metadata,
        transaction: &Transaction,
        answer: TokenAnswer,
    ) -> Result<SignIn, OidcError> {
        let access_token = answer.access_token().secret().clone();
        let id_token = answer.raw_id_token().ok_or(TokenFault::Absent)?;
        let verifier = self.verifier(metadata);
        let verified = verifier.verify(id_token, &transaction.expectation(&access_token)).await?;
        let complete = self.add_user_info(metadata, &transaction.scopes, &access_token, verified.claims).await?;
        let claims = complete.raw();
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(SignIn {
            identity: verified.identity,
            sid: text("sid"),
            login_hint: text("login_hint"),
            auth_time: transaction.signed_in_at(verified.auth_time),
            auth_contexts: verifier.auth_contexts(claims),
            auth_methods: claims.get("amr").map(texts).unwrap_or_default(),
            claims: complete,
            tokens: answer.into_set(&transaction.scopes, self.clock().now()),
        })
    }
}

/// The code to redeem, unless the answer is an error or ambiguous.
fn code_of(callback: &CallbackParams) -> Result<String, OidcError> {
    match (&callback.code, callback.provider_error()) {
        (Some(_), Some(_)) => Err(CallbackFault::CodeAndError.into()),
        (None, Some(error)) => Err(OidcError::Provider { endpoint: Endpoint::Authorization, error: Box::new(error) }),
        (None, None) => Err(CallbackFault::MissingCode.into()),
        (Some(code), None) => Ok(code.clone()),
    }
}
