//! Access tokens for this application's own API, as clients present them (RFC 6750; Microsoft
//! identity platform, "Access tokens" and "Protected web API: verify scopes and app roles").

use super::OidcClient;
use super::claims::Claims;
use super::error::{OidcError, TokenFault};
use super::id_token::check_kind;
use super::jwt::UnverifiedToken;
use super::logout::check_signature;
use crate::config::IdentityKey;

/// What an access token must be for.
#[derive(Clone, Debug)]
pub struct ApiAudience {
    /// Any one of these must be its only audience (`API_AUDIENCE`).
    pub audiences: Vec<String>,
    /// What it must allow (`API_SCOPE`).
    pub scope: String,
}

/// Who calls the API, on whose behalf.
#[derive(Clone, Debug)]
pub struct ApiCaller {
    /// The person.
    pub identity: IdentityKey,
    /// What the token allows.
    pub scopes: Vec<String>,
    /// The token's claims.
    pub claims: Claims,
}

impl OidcClient {
    /// Checks an access token that a client presents to this application's API. Tokens of
    /// applications without a person (`roles` instead of `scp`) are refused.
    ///
    /// # Errors
    /// [`OidcError::Token`] if it does not fit, [`OidcError::Unavailable`] if that cannot be told.
    pub async fn verify_access_token(&self, text: &str, api: &ApiAudience) -> Result<ApiCaller, OidcError> {
        let token = UnverifiedToken::parse(text)?;
        check_kind(&token, &["jwt", "at+jwt"])?;
        let metadata = self.metadata().await?;
        let verifier = self.verifier(&metadata);
        let issuer = verifier.check_issuer(&token)?;
        check_audience(&token, &api.audiences)?;
        verifier.check_lifetime(&token)?;
        let key = verifier.find_key(&token, &issuer).await?;
        check_signature(&token, &key)?;
        let identity = verifier.identity(&token)?;
        let scopes = scopes(&token)?;
        if !scopes.contains(&api.scope) {
            return Err(TokenFault::Scope.into());
        }
        Ok(ApiCaller { identity, scopes, claims: Claims::new(token.claims) })
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

/// `scp` with Entra, `scope` elsewhere (RFC 9068, section 2.2.3).
fn scopes(token: &UnverifiedToken<'_>) -> Result<Vec<String>, TokenFault> {
    let listed = token.optional_text("scp")?.or(token.optional_text("scope")?);
    Ok(listed.unwrap_or_default().split_whitespace().map(str::to_owned).collect())
}
