//! Access tokens for this application's own API, as clients present them.
//!
//! Sources: RFC 6750; RFC 9068; Microsoft identity platform, "Access tokens", "Access token claims
//! reference" and "Protected web API: verify scopes and app roles".

use super::OidcClient;
use super::claims::{Claims, texts};
use super::error::{OidcError, TokenFault};
use super::id_token::check_kind;
use super::jwt::UnverifiedToken;
use super::logout::check_signature;
use crate::config::IdentityKey;

/// Who calls the API, on whose behalf.
#[derive(Clone, Debug)]
pub struct ApiCaller {
    /// The person; for an application's own token, its service principal.
    pub identity: IdentityKey,
    /// What the token allows.
    pub permissions: Permissions,
    /// Everything that it says.
    pub claims: Claims,
}

/// What an access token allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permissions {
    /// On behalf of a person: scopes, among them the one that is needed.
    Delegated(Vec<String>),
    /// Of an application by itself: app roles (`idtyp` is `app`).
    Application(Vec<String>),
}

impl OidcClient {
    /// Checks an access token that a client presents to this application's API: one for one of `audiences`, which, if
    /// it speaks for a person, allows `scope`.
    ///
    /// # Errors
    /// [`OidcError::Token`] if it does not fit, with [`TokenFault::Scope`] if nothing but the scope
    /// is missing; another [`OidcError`] if that cannot be told.
    pub async fn verify_access_token(
        &self,
        text: &str,
        audiences: &[String],
        scope: &str,
    ) -> Result<ApiCaller, OidcError> {
        let token = UnverifiedToken::parse(text)?;
        check_kind(&token, &["jwt", "at+jwt"])?;
        let metadata = self.metadata().await?;
        let verifier = self.verifier(&metadata);
        let issuer = verifier.check_issuer(&token)?;
        check_audience(&token, audiences)?;
        verifier.check_lifetime(&token)?;
        let key = verifier.find_key(&token, &issuer).await?;
        check_signature(&token, &key)?;
        let identity = verifier.identity(&token)?;
        let permissions = permissions(&token)?;
        match &permissions {
            Permissions::Delegated(scopes) if !scopes.iter().any(|given| given == scope) => {
                Err(TokenFault::Scope.into())
            }
            _ => Ok(ApiCaller { identity, permissions, claims: Claims::new(token.claims) }),
        }
    }
}

fn check_audience(token: &UnverifiedToken<'_>, ours: &[String]) -> Result<(), TokenFault> {
    let audiences = token.audiences()?;
    let is_ours = |audience: &&str| ours.iter().any(|ours| ours == audience);
    match !audiences.is_empty() && audiences.iter().all(is_ours) {
        true => Ok(()),
        false => Err(TokenFault::Audience),
    }
}

/// Scopes are in `scp` with Entra, in `scope` elsewhere (RFC 9068, section 2.2.3). A token without
/// them is an application's own only if it says so: ID tokens have `roles`, too.
fn permissions(token: &UnverifiedToken<'_>) -> Result<Permissions, TokenFault> {
    let scopes = token.optional_text("scp")?.or(token.optional_text("scope")?);
    let is_application = token.optional_text("idtyp")? == Some("app");
    match (scopes, is_application) {
        (Some(scopes), false) => Ok(Permissions::Delegated(scopes.split_whitespace().map(str::to_owned).collect())),
        (None, true) => Ok(Permissions::Application(token.claims.get("roles").map(texts).unwrap_or_default())),
        _ => Err(TokenFault::NoPermissions),
    }
}
