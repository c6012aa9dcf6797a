//! One request to the token endpoint: authenticated, sent once, its answer read with care
//! (RFC 6749, sections 4.1.3, 5 and 6).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Request, Response, StatusCode};
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
    CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse,
};
use openidconnect::{
    AsyncHttpClient, AuthType, AuthUrl, ClientId, EmptyAdditionalClaims, EndpointNotSet, EndpointSet, ErrorResponse,
    IssuerUrl, JsonWebKeySet, RequestTokenError, TokenUrl,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::credential::{ClientProof, JWT_BEARER};
use super::error::{Endpoint, MetadataFault, OidcError};
use super::metadata::Metadata;
use super::provider_error::{ProviderError, plain_text};
use super::tokens::TokenAnswer;
use super::transport::{Transport, retry_after};
use crate::http::HttpError;

/// The most bytes that a token response may have.
const MAX_ANSWER: usize = 1024 * 1024;

/// `openidconnect`'s client with this server's own token and error responses.
pub(crate) type RelyingParty = openidconnect::Client<
    EmptyAdditionalClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    Refusal,
    TokenAnswer,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
    EndpointNotSet,
>;

/// The relying party that `metadata` describes. Keys stay out of it: they have a cache of their own.
///
/// # Errors
/// [`OidcError::Metadata`], which cannot happen with checked metadata.
pub(crate) fn relying_party(client_id: &str, metadata: &Metadata) -> Result<RelyingParty, OidcError> {
    let issuer = IssuerUrl::new(metadata.issuer.clone()).map_err(|_| MetadataFault::Missing("issuer"))?;
    let client = openidconnect::Client::new(ClientId::new(client_id.to_owned()), issuer, JsonWebKeySet::default());
    Ok(client
        .set_auth_uri(AuthUrl::from_url(metadata.authorization_endpoint.clone()))
        .set_token_uri(TokenUrl::from_url(metadata.token_endpoint.clone())))
}

/// `client` with what proves who it is, and the parameters that go along.
///
/// A secret goes into the header or the body as the provider takes it; Entra takes both, and the
/// body is what Microsoft documents.
pub(crate) fn authenticated(
    client: RelyingParty,
    proof: ClientProof,
    basic: bool,
) -> (RelyingParty, Vec<(&'static str, String)>) {
    match proof {
        ClientProof::Secret(secret) => {
            let place = if basic { AuthType::BasicAuth } else { AuthType::RequestBody };
            (client.set_client_secret(secret).set_auth_type(place), Vec::new())
        }
        ClientProof::Assertion(assertion) => {
            let extra = vec![("client_assertion_type", JWT_BEARER.to_owned()), ("client_assertion", assertion)];
            (client.set_auth_type(AuthType::RequestBody), extra)
        }
    }
}

/// The body of an error response, whatever its members.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Refusal(Map<String, Value>);

impl fmt::Debug for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Refusal")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the token endpoint refused")
    }
}

impl ErrorResponse for Refusal {}

/// Sends one request, once, and remembers how it was answered.
pub(crate) struct SendOnce<'a> {
    transport: &'a dyn Transport,
    now: DateTime<Utc>,
    seen: Mutex<Option<(StatusCode, Option<Duration>)>>,
}

impl<'a> SendOnce<'a> {
    pub(crate) fn new(transport: &'a dyn Transport, now: DateTime<Utc>) -> Self {
        Self { transport, now, seen: Mutex::new(None) }
    }

    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
        let response = self.transport.send(request, MAX_ANSWER).await?;
        let wait = retry_after(response.headers(), self.now);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((response.status(), wait));
        Ok(response)
    }

    /// Posts a form that asks for tokens, for grants that `openidconnect` does not know.
    pub(crate) async fn redeem(&self, endpoint: &str, form: String) -> Result<TokenAnswer, TokenFailure> {
        let request = Request::post(endpoint)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.into_bytes())
            .map_err(|error| self.explain(RequestTokenError::Other(error.to_string())))?;
        let response = self.send(request).await.map_err(|error| self.explain(RequestTokenError::Request(error)))?;
        let body = response.body();
        if response.status().is_success() {
            let mut json = serde_json::Deserializer::from_slice(body);
            let answer = serde_path_to_error::deserialize(&mut json);
            return answer.map_err(|error| self.explain(RequestTokenError::Parse(error, body.clone())));
        }
        Err(self.explain(match serde_json::from_slice(body) {
            Ok(refusal) => RequestTokenError::ServerResponse(refusal),
            Err(_) => RequestTokenError::Other("an error that is no JSON".to_owned()),
        }))
    }

    /// What `error` means, given the answer's status.
    pub(crate) fn explain(&self, error: RequestTokenError<HttpError, Refusal>) -> TokenFailure {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let status = seen.map(|(status, _)| status);
        let wait = seen.and_then(|(_, wait)| wait);
        let error = match status {
            Some(status) if is_overloaded(status) => {
                let said = refusal(&error);
                OidcError::Unavailable {
                    endpoint: Endpoint::Token,
                    detail: overload_text(status, said.as_ref()),
                    retry_after: wait,
                    said: said.map(Box::new),
                }
            }
            _ => token_error(error),
        };
        TokenFailure { is_throttled: status == Some(StatusCode::TOO_MANY_REQUESTS), error }
    }
}

impl<'c> AsyncHttpClient<'c> for SendOnce<'_> {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: Request<Vec<u8>>) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// Why the token endpoint brought no tokens.
pub(crate) struct TokenFailure {
    pub(crate) error: OidcError,
    /// Whether it answered 429.
    pub(crate) is_throttled: bool,
}

impl From<OidcError> for TokenFailure {
    fn from(error: OidcError) -> Self {
        Self { error, is_throttled: false }
    }
}

/// Statuses that say nothing about the request, only about the moment.
fn is_overloaded(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

fn overload_text(status: StatusCode, refusal: Option<&ProviderError>) -> String {
    match refusal {
        Some(refusal) => format!("HTTP status {status}: {refusal}"),
        None => format!("HTTP status {status}"),
    }
}

/// The OAuth error in the answer, also where it came with status 200.
fn refusal(error: &RequestTokenError<HttpError, Refusal>) -> Option<ProviderError> {
    match error {
        RequestTokenError::ServerResponse(Refusal(body)) => ProviderError::from_body(body),
        RequestTokenError::Parse(_, body) => ProviderError::from_body(&serde_json::from_slice(body).ok()?),
        RequestTokenError::Request(_) | RequestTokenError::Other(_) => None,
    }
}

fn token_error(error: RequestTokenError<HttpError, Refusal>) -> OidcError {
    if let Some(refusal) = refusal(&error) {
        return OidcError::Provider { endpoint: Endpoint::Token, error: Box::new(refusal) };
    }
    match error {
        RequestTokenError::Request(error) => OidcError::no_response(Endpoint::Token, &error),
        RequestTokenError::Parse(error, _) => {
            OidcError::TokenResponse(parse_text(&error.inner().to_string(), &error.path().to_string()))
        }
        RequestTokenError::ServerResponse(_) => OidcError::TokenResponse("an error without `error`".to_owned()),
        RequestTokenError::Other(text) => OidcError::TokenResponse(plain_text(&text)),
    }
}

/// Which member was wrong. The parser's own words can quote values, which may be tokens.
fn parse_text(words: &str, path: &str) -> String {
    match words.strip_prefix("missing field ") {
        Some(field) => format!("missing field {}", field.split(" at ").next().unwrap_or_default()),
        None => format!("not as expected at `{path}`"),
    }
}
