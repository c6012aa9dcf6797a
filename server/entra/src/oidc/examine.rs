//! Questions to the provider about itself and about this application's registration, for
//! `server doctor`. Nobody is signed in, and nothing is stored.

use std::borrow::Cow;

use chrono::{DateTime, Duration, Utc};
use http::header::{DATE, LOCATION};
use http::{HeaderMap, Response};

use super::OidcClient;
use super::authorize::{BeginOptions, Prompt};
use super::error::{Endpoint, OidcError};
use super::metadata::discovery_url;
use super::transport::get_json;

/// The most bytes read of a page of the provider.
const MAX_PAGE: usize = 1024 * 1024;

/// Entra's code for a redirect URI that the registration lacks. It stands in a page for people, so
/// there is no OAuth error to go by.
const NOT_REGISTERED: &str = "AADSTS50011";

/// What the authorization endpoint makes of the redirect URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectUriAnswer {
    /// It answers there.
    Registered,
    /// It says that the registration lacks it.
    NotRegistered,
    /// It shows a page of its own, which may mean anything.
    Unclear,
}

impl OidcClient {
    /// Reads metadata and keys, and returns the issuer.
    ///
    /// # Errors
    /// What failed.
    pub async fn examine_metadata(&self) -> Result<String, OidcError> {
        let metadata = self.metadata().await?;
        self.inner.keys.warm_up(&metadata.jwks_uri).await?;
        Ok(metadata.issuer.clone())
    }

    /// By how much this machine's clock is ahead of the provider's, in whole seconds; `None` if the
    /// provider does not tell the time.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn examine_clock(&self) -> Result<Option<Duration>, OidcError> {
        let url = discovery_url(&self.config().kind)?;
        let response = self.get(url.as_str(), Endpoint::Metadata).await?;
        Ok(date(response.headers()).map(|theirs| self.clock().now() - theirs))
    }

    /// Proves at the token endpoint who this application is, by asking for tokens of its own
    /// (RFC 6749, section 4.4) for `scope`. A client that may not have them has proven it too.
    ///
    /// # Errors
    /// What the provider has against the credential or the client.
    pub async fn examine_credential(&self, scope: Option<&str>) -> Result<(), OidcError> {
        let metadata = self.metadata().await?;
        match self.own_tokens(&metadata, scope).await.map_err(|failure| failure.error) {
            Ok(_) => Ok(()),
            Err(OidcError::Provider { error, .. }) if is_about_the_grant(&error.error, self.is_entra()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Asks the authorization endpoint for a silent sign-in, which nobody is there to complete: it
    /// answers at the redirect URI only if that is registered.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn examine_redirect_uri(&self, redirect_uri: &str) -> Result<RedirectUriAnswer, OidcError> {
        let options = BeginOptions { prompt: Some(Prompt::None), ..BeginOptions::new(redirect_uri) };
        let begun = self.begin(options).await?;
        let response = self.get(begun.url.as_str(), Endpoint::Authorization).await?;
        Ok(redirect_uri_answer(&response, redirect_uri))
    }

    async fn get(&self, url: &str, endpoint: Endpoint) -> Result<Response<Vec<u8>>, OidcError> {
        let unavailable = |error: http::Error| OidcError::Unavailable {
            endpoint,
            detail: error.to_string(),
            retry_after: None,
            said: None,
        };
        let request = get_json(url).map_err(unavailable)?;
        let response = self.transport().send_idempotent(request, MAX_PAGE).await;
        response.map_err(|error| OidcError::no_response(endpoint, &error))
    }
}

/// Whether an error speaks of what was asked for, not of who asked. Entra says
/// `unauthorized_client` of an application that the tenant does not know.
fn is_about_the_grant(error: &str, is_entra: bool) -> bool {
    match error {
        "invalid_scope" | "invalid_grant" | "unsupported_grant_type" => true,
        "unauthorized_client" => !is_entra,
        _ => false,
    }
}

fn redirect_uri_answer(response: &Response<Vec<u8>>, redirect_uri: &str) -> RedirectUriAnswer {
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let body: Cow<'_, str> = String::from_utf8_lossy(response.body());
    let posts_there = body.contains(&format!("action=\"{redirect_uri}\""));
    match location {
        Some(location) if location.starts_with(redirect_uri) => RedirectUriAnswer::Registered,
        _ if posts_there => RedirectUriAnswer::Registered,
        _ if body.contains(NOT_REGISTERED) => RedirectUriAnswer::NotRegistered,
        _ => RedirectUriAnswer::Unclear,
    }
}

fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let date = headers.get(DATE)?.to_str().ok()?;
    Some(DateTime::parse_from_rfc2822(date).ok()?.with_timezone(&Utc))
}
