//! Signing out at the provider, and being told by it that somebody has (OpenID Connect
//! RP-Initiated Logout 1.0, Back-Channel Logout 1.0; Microsoft identity platform, "Single sign-out").

use chrono::{DateTime, Duration, Utc};
use openidconnect::JsonWebKey as _;
use openidconnect::core::CoreJwsSigningAlgorithm;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use super::OidcClient;
use super::error::{OidcError, TokenFault};
use super::id_token::check_kind;
use super::jwk::RsaKey;
use super::jwt::UnverifiedToken;

/// The member of `events` that makes a token a logout token.
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// How long to remember a logout token: longer than one passes the check of its `iat`.
const REMEMBER_LOGOUT: Duration = Duration::hours(2);

/// The longest `id_token_hint` that is sent: it travels in the URL.
const MAX_HINT: usize = 4096;

/// What signing out at the provider takes.
#[derive(Clone, Debug, Default)]
pub struct EndSession {
    /// Where the provider sends the browser afterwards: absolute, as registered.
    pub post_logout_redirect_uri: String,
    /// [`SignIn::login_hint`](super::SignIn::login_hint): spares people the question which account.
    pub login_hint: Option<String>,
    /// The newest ID token: tells other providers than Entra which session.
    pub id_token: Option<SecretString>,
}

/// The provider says that somebody has signed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutToken {
    /// The realm of the person's identity.
    pub realm: String,
    /// The person; every session of theirs ends if `sid` is absent. Absent itself where Entra names
    /// nobody by object id.
    pub subject: Option<String>,
    /// The provider's session.
    pub sid: Option<String>,
    /// The token's id: to be taken once.
    pub jti: String,
    /// How long to remember `jti`: afterwards the token is refused by its age.
    pub remember_until: DateTime<Utc>,
}

impl OidcClient {
    /// Where to send the browser to sign out at the provider; `None` if the provider offers no such
    /// place or is not to be had, so that signing out here never depends on it.
    pub async fn end_session_url(&self, request: EndSession) -> Option<Url> {
        let metadata = self.metadata().await.ok()?;
        let mut url = metadata.end_session_endpoint.clone()?;
        let client_id = self.config().client_id.as_str();
        let parameters = match self.is_entra() {
            true => vec![("logout_hint", request.login_hint.as_deref())],
            false => vec![("client_id", Some(client_id)), ("id_token_hint", id_token_hint(&request))],
        };
        let parameters = parameters.into_iter().filter_map(|(name, value)| Some((name, value?)));
        url.query_pairs_mut()
            .append_pair("post_logout_redirect_uri", &request.post_logout_redirect_uri)
            .extend_pairs(parameters);
        Some(url)
    }

    /// Whether `issuer`, from a front-channel logout request, is the provider's. Makes no call: with
    /// no metadata at hand nobody has signed in here either.
    #[must_use]
    pub fn is_our_issuer(&self, issuer: &str) -> bool {
        self.known_metadata().is_some_and(|metadata| self.is_issuer(&metadata, issuer))
    }

    /// Checks a back-channel logout token (section 2.6). The caller takes each `jti` once.
    ///
    /// # Errors
    /// [`OidcError`] if it is no such token for this application.
    pub async fn verify_logout_token(&self, text: &str) -> Result<LogoutToken, OidcError> {
        let token = UnverifiedToken::parse(text)?;
        check_kind(&token, &["logout+jwt", "jwt"])?;
        check_logout_claims(&token)?;
        let metadata = self.metadata().await?;
        let verifier = self.verifier(&metadata);
        let issuer = verifier.check_issuer(&token)?;
        verifier.check_audience(&token)?;
        verifier.check_issued(&token)?;
        if token.optional_time("exp")?.is_some_and(|expires| expires <= verifier.oldest_expiry()) {
            return Err(TokenFault::Expired.into());
        }
        let key = verifier.find_key(&token, &issuer).await?;
        check_signature(&token, &key)?;
        Ok(LogoutToken {
            realm: verifier.realm(&token)?,
            subject: verifier.subject(&token)?,
            sid: token.optional_text("sid")?.map(str::to_owned),
            jti: token.required_text("jti")?.to_owned(),
            remember_until: self.clock().now() + REMEMBER_LOGOUT,
        })
    }
}

/// The ID token, unless it is too long for a URL.
fn id_token_hint(request: &EndSession) -> Option<&str> {
    let hint = request.id_token.as_ref().map(|token| token.expose_secret());
    hint.filter(|hint| hint.len() <= MAX_HINT)
}

/// What makes a logout token one, and no ID token.
fn check_logout_claims(token: &UnverifiedToken<'_>) -> Result<(), TokenFault> {
    let event = token.claims.get("events").and_then(Value::as_object).and_then(|events| events.get(LOGOUT_EVENT));
    if !event.is_some_and(Value::is_object) {
        return Err(TokenFault::Event);
    }
    if token.claims.contains_key("nonce") {
        return Err(TokenFault::UnwantedNonce);
    }
    match (token.optional_text("sub")?, token.optional_text("sid")?) {
        (None, None) => Err(TokenFault::Missing("sub")),
        _ => Ok(()),
    }
}

/// The RS256 signature of a token that is no ID token.
pub(crate) fn check_signature(token: &UnverifiedToken<'_>, key: &RsaKey) -> Result<(), TokenFault> {
    let algorithm = CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256;
    key.verify_signature(&algorithm, token.signing_input.as_bytes(), &token.signature)
        .map_err(|_| TokenFault::Signature)
}
