//! The user info endpoint, for providers whose ID tokens say little about the person (OpenID Connect
//! Core 1.0, section 5.3).

use http::Request;
use http::header::{ACCEPT, AUTHORIZATION};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use url::Url;

use super::OidcClient;
use super::claims::Claims;
use super::error::{Endpoint, OidcError};
use super::jwt::parse_object;
use super::metadata::Metadata;

/// The most bytes that a user info response may have.
const MAX_USER_INFO: usize = 256 * 1024;

/// Claims of a user info response that never count: they are about a token, not about the person.
const TOKEN_CLAIMS: [&str; 13] =
    ["acr", "acrs", "amr", "at_hash", "aud", "auth_time", "azp", "exp", "iat", "iss", "nonce", "sid", "tid"];

impl OidcClient {
    /// Adds to verified claims what they lack of the person's profile, as a sign-in does.
    ///
    /// # Errors
    /// [`OidcError::UserInfoSubject`] if the answer is about somebody else, and no metadata. No answer is no error, but
    /// the claims are then [`Claims::is_partial`].
    pub async fn with_user_info(
        &self,
        claims: Claims,
        scopes: &[String],
        access_token: &SecretString,
    ) -> Result<Claims, OidcError> {
        let metadata = self.metadata().await?;
        self.add_user_info(&metadata, scopes, access_token.expose_secret(), claims.into_raw()).await
    }

    /// The claims of a verified ID token, with what it lacks of the person's profile.
    ///
    /// # Errors
    /// [`OidcError::UserInfoSubject`] if the answer is about somebody else. No answer is no error.
    pub(super) async fn add_user_info(
        &self,
        metadata: &Metadata,
        scopes: &[String],
        access_token: &str,
        mut claims: Map<String, Value>,
    ) -> Result<Claims, OidcError> {
        if let Some(endpoint) = self.user_info_to_ask(metadata, &claims, scopes) {
            match self.user_info(endpoint, access_token, claims.get("sub")).await? {
                Some(profile) => add_profile(&mut claims, profile),
                None => return Ok(Claims::partial(claims)),
            }
        }
        Ok(Claims::new(claims))
    }

    /// Where to ask for the profile: only with other providers than Entra, and only if the scopes
    /// asked for something that the ID token lacks (section 5.4).
    fn user_info_to_ask<'a>(
        &self,
        metadata: &'a Metadata,
        claims: &Map<String, Value>,
        scopes: &[String],
    ) -> Option<&'a Url> {
        let lacks = |scope: &str, claim: &str| scopes.iter().any(|asked| asked == scope) && !claims.contains_key(claim);
        let is_needed = lacks("profile", "name") || lacks("email", "email");
        metadata.userinfo_endpoint.as_ref().filter(|_| is_needed && !self.is_entra())
    }

    /// The profile of `sub`. An answer about somebody else is a fault (section 5.3.2); no answer is
    /// only a poorer profile.
    async fn user_info(
        &self,
        endpoint: &Url,
        access_token: &str,
        sub: Option<&Value>,
    ) -> Result<Option<Map<String, Value>>, OidcError> {
        match self.ask_user_info(endpoint, access_token).await {
            Ok(profile) if sub.is_some() && profile.get("sub") == sub => Ok(Some(profile)),
            Ok(_) => Err(OidcError::UserInfoSubject),
            Err(error) => {
                tracing::warn!(%error, "the user info endpoint does not tell the profile");
                Ok(None)
            }
        }
    }

    async fn ask_user_info(&self, endpoint: &Url, access_token: &str) -> Result<Map<String, Value>, OidcError> {
        let unavailable = |detail: String| OidcError::Unavailable {
            endpoint: Endpoint::UserInfo,
            detail,
            retry_after: None,
            said: None,
        };
        let request = Request::get(endpoint.as_str())
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, format!("Bearer {access_token}"))
            .body(Vec::new())
            .map_err(|_| unavailable("the access token is not fit for a header".to_owned()))?;
        let response = self.transport().send(request, MAX_USER_INFO).await;
        let response = response.map_err(|error| OidcError::no_response(Endpoint::UserInfo, &error))?;
        if !response.status().is_success() {
            return Err(unavailable(format!("HTTP status {}", response.status())));
        }
        parse_object(response.body()).map_err(|_| unavailable("not a JSON object".to_owned()))
    }
}

/// Adds what the user info response says about the person; the ID token's words win.
fn add_profile(claims: &mut Map<String, Value>, profile: Map<String, Value>) {
    for (name, value) in profile {
        if !TOKEN_CLAIMS.contains(&name.as_str()) {
            claims.entry(name).or_insert(value);
        }
    }
}
