//! Discovery: the provider's metadata, checked, kept and refreshed (OpenID Connect Discovery 1.0).
//!
//! Nothing is fetched until somebody needs it, so the server starts while the provider is down.
//! A document is used only if its issuer is the one the settings name and its endpoints may be
//! called: `https`, or loopback when the provider itself is on loopback. With Entra ID the
//! authorization, token, key and end-session endpoints must be on the authority's own host: all of
//! Microsoft's clouds do so, and a document that says otherwise could send secrets elsewhere.

use std::sync::Arc;

use futures_util::FutureExt as _;
use http::StatusCode;
use serde_json::{Map, Value};
use url::Url;

use super::cache::{Cache, Kept};
use super::error::{Endpoint, MetadataFault, OidcError};
use super::provider_error::{ProviderError, plain_text};
use super::status::SourceStatus;
use super::transport::{Transport, get_json, retry_after};
use crate::clock::Clock;
use crate::config::{ProviderKind, Tenant};
use crate::http::is_loopback;

/// The most bytes that a metadata document may have.
const MAX_DOCUMENT: usize = 256 * 1024;

/// What Entra's shared endpoints write in place of the tenant.
const TENANT_PLACEHOLDER: &str = "{tenantid}";

/// The metadata of the provider, as far as it is used.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    /// The issuer, with `{tenantid}` in it when several tenants share it.
    pub(crate) issuer: String,
    pub(crate) authorization_endpoint: Url,
    pub(crate) token_endpoint: Url,
    pub(crate) jwks_uri: Url,
    pub(crate) userinfo_endpoint: Option<Url>,
    pub(crate) end_session_endpoint: Option<Url>,
    /// The origins of those endpoints to which browsers are sent, other than the issuer's own, separated by blanks.
    pub(crate) further_origins: String,
    /// Whether client secrets are taken in the `Authorization` header.
    pub(crate) takes_basic: bool,
    /// Whether every authorization response has an `iss` (RFC 9207, section 3).
    pub(crate) sends_issuer: bool,
}

impl Metadata {
    /// The issuer of tokens for `tenant`.
    pub(crate) fn issuer_for(&self, tenant: &str) -> String {
        self.issuer.replace(TENANT_PLACEHOLDER, tenant)
    }

    /// Reads a document and checks it against the settings.
    ///
    /// # Errors
    /// [`MetadataFault`], which names the member.
    pub(crate) fn read(document: &[u8], provider: &ProviderKind) -> Result<Self, MetadataFault> {
        let members: Map<String, Value> = serde_json::from_slice(document).map_err(|_| MetadataFault::Malformed)?;
        let issuer = checked_issuer(&members, provider)?;
        let endpoint = |field| required_endpoint(&members, field, provider);
        let authorization_endpoint = endpoint("authorization_endpoint")?;
        let end_session_endpoint = optional_endpoint(&members, "end_session_endpoint", provider)?;
        Ok(Self {
            further_origins: further_origins(&issuer, [Some(&authorization_endpoint), end_session_endpoint.as_ref()]),
            issuer,
            authorization_endpoint,
            token_endpoint: endpoint("token_endpoint")?,
            jwks_uri: endpoint("jwks_uri")?,
            userinfo_endpoint: optional_endpoint(&members, "userinfo_endpoint", provider)?,
            end_session_endpoint,
            takes_basic: takes_basic(&members),
            sends_issuer: members.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
        })
    }
}

/// The origins of `endpoints` besides the issuer's, each once.
fn further_origins<'a>(issuer: &str, endpoints: impl IntoIterator<Item = Option<&'a Url>>) -> String {
    let own = Url::parse(issuer).ok().map(|url| url.origin());
    let mut origins: Vec<String> = Vec::new();
    for origin in endpoints.into_iter().flatten().map(Url::origin).filter(|origin| Some(origin) != own.as_ref()) {
        let origin = origin.ascii_serialization();
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    origins.join(" ")
}

/// Where the metadata of `provider` is.
///
/// # Errors
/// [`MetadataFault::Endpoint`] if the settings' text is no URL.
pub(crate) fn discovery_url(provider: &ProviderKind) -> Result<Url, MetadataFault> {
    let (base, query) = base_and_query(provider);
    let not_a_url = MetadataFault::Endpoint { field: "issuer", why: "it is not a URL" };
    let mut url = Url::parse(&format!("{base}/.well-known/openid-configuration")).map_err(|_| not_a_url)?;
    url.set_query(query);
    Ok(url)
}

/// The issuer that the metadata must have: exactly the setting's, or with Entra ID
/// `authority/tenant/v2.0`, where `tenant` is `{tenantid}` for the shared endpoints.
pub(crate) fn expected_issuer(provider: &ProviderKind) -> String {
    match provider {
        ProviderKind::Generic { issuer } => issuer.clone(),
        ProviderKind::Entra { authority, tenant } => {
            let segment = match tenant {
                Tenant::Single(tenant) => tenant.as_str(),
                Tenant::Multi { .. } => TENANT_PLACEHOLDER,
            };
            format!("{}/{segment}/v2.0", split_query(authority).0)
        }
    }
}

/// What a transaction is bound to: the URL below which the provider's metadata is. It holds the
/// tenant segment, as a code must be redeemed where it was got (AADSTS700005).
pub(crate) fn provider_key(provider: &ProviderKind) -> String {
    base_and_query(provider).0
}

fn base_and_query(provider: &ProviderKind) -> (String, Option<&str>) {
    match provider {
        ProviderKind::Generic { issuer } => {
            let (base, query) = split_query(issuer);
            (base.trim_end_matches('/').to_owned(), query)
        }
        ProviderKind::Entra { authority, tenant } => {
            let segment = match tenant {
                Tenant::Single(tenant) => tenant,
                Tenant::Multi { endpoint, .. } => endpoint,
            };
            let (base, query) = split_query(authority);
            (format!("{}/{segment}/v2.0", base.trim_end_matches('/')), query)
        }
    }
}

/// A setting such as `https://login.microsoftonline.com?appid=…`: custom signing keys need the query.
fn split_query(setting: &str) -> (&str, Option<&str>) {
    match setting.split_once('?') {
        Some((base, query)) => (base.trim_end_matches('/'), Some(query)),
        None => (setting, None),
    }
}

fn checked_issuer(members: &Map<String, Value>, provider: &ProviderKind) -> Result<String, MetadataFault> {
    let found = members.get("issuer").and_then(Value::as_str);
    let found = found.ok_or(MetadataFault::Missing("issuer"))?;
    let expected = expected_issuer(provider);
    if found == expected {
        return Ok(expected);
    }
    let found = plain_text(found);
    Err(MetadataFault::Issuer { expected, found })
}

fn required_endpoint(
    members: &Map<String, Value>,
    field: &'static str,
    provider: &ProviderKind,
) -> Result<Url, MetadataFault> {
    optional_endpoint(members, field, provider)?.ok_or(MetadataFault::Missing(field))
}

fn optional_endpoint(
    members: &Map<String, Value>,
    field: &'static str,
    provider: &ProviderKind,
) -> Result<Option<Url>, MetadataFault> {
    let text = match members.get(field) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text,
        Some(_) => return Err(MetadataFault::Missing(field)),
    };
    let refused = |why| MetadataFault::Endpoint { field, why };
    let url = Url::parse(text).map_err(|_| refused("it is not a URL"))?;
    check_endpoint(&url, field, provider).map_err(refused)?;
    Ok(Some(url))
}

/// Whether `url` may be called as `field` of `provider`; the error says why not.
fn check_endpoint(url: &Url, field: &str, provider: &ProviderKind) -> Result<(), &'static str> {
    let home = Url::parse(&base_and_query(provider).0).map_err(|_| "the provider's address is not a URL")?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("it has user information or a fragment");
    }
    let is_local = is_loopback(url.host());
    if is_local && !is_loopback(home.host()) {
        return Err("it is on loopback and the provider is not");
    }
    if url.scheme() != "https" && !(url.scheme() == "http" && is_local) {
        return Err("it is not https");
    }
    let is_entra = matches!(provider, ProviderKind::Entra { .. });
    if is_entra && field != "userinfo_endpoint" && url.host() != home.host() {
        return Err("it is not on the authority's host");
    }
    Ok(())
}

/// Whether to send the secret by HTTP Basic: the default, and what is listed first-class; `post`
/// only where the list leaves Basic out.
fn takes_basic(members: &Map<String, Value>) -> bool {
    let Some(methods) = members.get("token_endpoint_auth_methods_supported").and_then(Value::as_array) else {
        return true;
    };
    let lists = |method: &str| methods.iter().any(|listed| listed.as_str() == Some(method));
    lists("client_secret_basic") || !lists("client_secret_post")
}

/// Fetches the metadata when it is needed, and keeps it.
pub(crate) struct MetadataSource {
    provider: ProviderKind,
    transport: Arc<dyn Transport>,
    clock: Clock,
    cache: Cache<Metadata>,
}

impl MetadataSource {
    pub(crate) fn new(provider: ProviderKind, transport: Arc<dyn Transport>, clock: Clock) -> Self {
        let cache = Cache::new(Endpoint::Metadata, clock.clone());
        Self { provider, transport, clock, cache }
    }

    /// The metadata. After an hour it is fetched anew beside this call; if that fails, the last
    /// good one serves for a day.
    ///
    /// # Errors
    /// When there is none and it cannot be fetched.
    pub(crate) async fn get(self: &Arc<Self>) -> Result<Arc<Metadata>, OidcError> {
        match self.cache.kept() {
            Kept::Fresh(metadata) => Ok(metadata),
            Kept::Stale(metadata) => {
                self.refresh_beside();
                Ok(metadata)
            }
            Kept::Nothing => self.cache.fetch(self.cache.fetches(), self.fetch().map(Some)).await,
        }
    }

    /// The metadata if it is at hand.
    pub(crate) fn peek(&self) -> Option<Arc<Metadata>> {
        match self.cache.kept() {
            Kept::Fresh(metadata) | Kept::Stale(metadata) => Some(metadata),
            Kept::Nothing => None,
        }
    }

    pub(crate) fn status(&self) -> SourceStatus {
        self.cache.status()
    }

    fn refresh_beside(self: &Arc<Self>) {
        if self.cache.may_stay_stale() {
            return;
        }
        let source = Arc::clone(self);
        let seen = self.cache.fetches();
        tokio::spawn(async move { source.cache.fetch(seen, source.fetch().map(Some)).await });
    }

    async fn fetch(&self) -> Result<Metadata, OidcError> {
        let url = discovery_url(&self.provider)?;
        let document =
            get_document(self.transport.as_ref(), &url, MAX_DOCUMENT, Endpoint::Metadata, &self.clock).await?;
        Ok(Metadata::read(&document, &self.provider)?)
    }
}

/// The body of a document that the provider publishes.
///
/// # Errors
/// The provider's words if it answers with an OAuth error (an unknown tenant, for instance),
/// otherwise [`OidcError::Unavailable`].
pub(crate) async fn get_document(
    transport: &dyn Transport,
    url: &Url,
    limit: usize,
    endpoint: Endpoint,
    clock: &Clock,
) -> Result<Vec<u8>, OidcError> {
    let unavailable =
        |detail: String, retry_after| OidcError::Unavailable { endpoint, detail, retry_after, said: None };
    let request = get_json(url.as_str()).map_err(|error| unavailable(error.to_string(), None))?;
    let response = transport.send_idempotent(request, limit).await;
    let response = response.map_err(|error| OidcError::no_response(endpoint, &error))?;
    let (parts, body) = response.into_parts();
    if parts.status == StatusCode::OK {
        return Ok(body);
    }
    let refusal = serde_json::from_slice(&body).ok().and_then(|body| ProviderError::from_body(&body));
    match refusal {
        Some(error) if parts.status.is_client_error() => Err(OidcError::Provider { endpoint, error: Box::new(error) }),
        _ => Err(unavailable(format!("HTTP status {}", parts.status), retry_after(&parts.headers, clock.now()))),
    }
}
