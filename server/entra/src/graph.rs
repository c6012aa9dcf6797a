//! Microsoft Graph, as far as this application reads it: the person, their photo, manager and groups.
//!
//! Calls are made on behalf of one person with their access token, delta queries with one of the application's own. The
//! token goes to the configured origin alone; nothing is followed elsewhere. When Graph asks to slow down, no call goes out
//! until the time is over.

mod challenge;
mod delta;
mod model;
mod pacing;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;
use uuid::Uuid;

pub use self::delta::{DeltaPage, DeltaPosition, DirectoryUser};
pub use self::model::{Group, Manager, Me, Photo};

use self::model::{DirectoryObject, Page, image_type};
use self::pacing::Pacing;
use crate::clock::Clock;
use crate::http::{HttpClient, HttpError, HttpErrorKind};
use crate::oidc::transport::{Transport, retry_after};
use crate::plain::plain_json;

/// The most bytes that a JSON answer may have.
const MAX_JSON: usize = 4 * 1024 * 1024;

/// The largest photo that is taken.
const MAX_PHOTO: usize = 4 * 1024 * 1024;

/// The most pages of groups that are read: with 999 a page, far beyond what a directory allows.
const MAX_PAGES: usize = 100;

/// Why Graph brought nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// The access token is not accepted. With `claims` the person must sign in with that challenge;
    /// without, one refresh may help. Never to be repeated as it is.
    #[error("Graph does not accept the access token")]
    Unauthorized {
        /// The claims challenge: a JSON object.
        claims: Option<String>,
    },
    /// The person or this application may not read it.
    #[error("Graph refuses access")]
    Forbidden,
    /// Too many calls.
    #[error("Graph asks to wait {} s", retry_after.as_secs())]
    Throttled {
        /// For how long no call is made.
        retry_after: Duration,
    },
    /// No answer, or one about the moment alone.
    #[error("Graph does not answer: {detail}")]
    Unavailable {
        /// What was seen.
        detail: String,
    },
    /// What is known of a delta query is too old: it begins anew (Microsoft Graph, "Use delta query to track changes").
    #[error("Graph wants the delta query to begin anew")]
    ResyncRequired,
    /// An answer that must not be used.
    #[error("unexpected answer of Graph: {detail}")]
    Unexpected {
        /// What was wrong.
        detail: &'static str,
    },
}

impl GraphError {
    /// A stable code for logs and for the status of jobs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unauthorized { .. } => "graph.unauthorized",
            Self::Forbidden => "graph.forbidden",
            Self::Throttled { .. } => "graph.throttled",
            Self::Unavailable { .. } => "graph.unavailable",
            Self::ResyncRequired => "graph.resync_required",
            Self::Unexpected { .. } => "graph.unexpected",
        }
    }
}

/// A client of Microsoft Graph v1.0. Cheap to clone; clones share what they know about waiting.
#[derive(Clone)]
pub struct GraphClient {
    inner: Arc<Inner>,
}

struct Inner {
    base: Url,
    transport: Arc<dyn Transport>,
    clock: Clock,
    pacing: Pacing,
}

impl GraphClient {
    /// A client of the Graph at `graph_url` (`GRAPH_URL`), which calls out through `http`.
    #[must_use]
    pub fn new(graph_url: Url, http: HttpClient, clock: Clock) -> Self {
        Self::with_transport(graph_url, Arc::new(http), clock)
    }

    /// As [`GraphClient::new`], with another way out.
    #[must_use]
    pub fn with_transport(graph_url: Url, transport: Arc<dyn Transport>, clock: Clock) -> Self {
        let pacing = Pacing::new(clock.clone());
        Self { inner: Arc::new(Inner { base: graph_url, transport, clock, pacing }) }
    }

    /// The person whose token it is (`GET /me`). Their id must be `expected_oid`: an answer about
    /// somebody else is dropped.
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn me(&self, access_token: &SecretString, expected_oid: &str) -> Result<Me, GraphError> {
        let response = self.get(&self.address(&format!("me?$select={}", Me::FIELDS))?, access_token, MAX_JSON).await?;
        let me: Me = read_json(&expect_found(response)?)?;
        match me.id.eq_ignore_ascii_case(expected_oid) {
            true => Ok(me),
            false => Err(GraphError::Unexpected { detail: "`id` is that of another person" }),
        }
    }

    /// Their photo (`GET /me/photo/$value`); `None` if they have none. JPEG, PNG, GIF and WebP are
    /// told by their first bytes; everything else, SVG above all, is refused.
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn photo(&self, access_token: &SecretString) -> Result<Option<Photo>, GraphError> {
        let response = self.get(&self.address("me/photo/$value")?, access_token, MAX_PHOTO).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let bytes = expect_found(response)?.into_body();
        match image_type(&bytes) {
            Some(content_type) => Ok(Some(Photo { content_type, bytes })),
            None => Err(GraphError::Unexpected { detail: "the photo is no image that is shown" }),
        }
    }

    /// Their manager (`GET /me/manager`); `None` if they have none.
    ///
    /// # Errors
    /// [`GraphError`]; reading managers can need more permissions than `User.Read`.
    pub async fn manager(&self, access_token: &SecretString) -> Result<Option<Manager>, GraphError> {
        let address = self.address(&format!("me/manager?$select={}", Manager::FIELDS))?;
        let response = self.get(&address, access_token, MAX_JSON).await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(None),
            _ => read_json(&expect_found(response)?).map(Some),
        }
    }

    /// All groups that they belong to, also through other groups (`GET /me/transitiveMemberOf`).
    /// Either all pages or an error, so that half a list never takes anybody's rights away.
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn transitive_member_of(&self, access_token: &SecretString) -> Result<Vec<Group>, GraphError> {
        let mut groups = Vec::new();
        let mut next = Some(self.address("me/transitiveMemberOf?$select=id,displayName&$top=999")?);
        for _ in 0..MAX_PAGES {
            let Some(address) = next else {
                return Ok(groups);
            };
            let response = self.get(&address, access_token, MAX_JSON).await?;
            let page: Page<DirectoryObject> = read_json(&expect_found(response)?)?;
            groups.extend(page.value.into_iter().filter_map(DirectoryObject::into_group));
            next = page.next.map(|link| self.own_address(&link)).transpose()?;
        }
        Err(GraphError::Unexpected { detail: "too many pages" })
    }

    /// The address of a resource of v1.0.
    fn address(&self, path: &str) -> Result<Url, GraphError> {
        let base = self.inner.base.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}/v1.0/{path}"))
            .map_err(|_| GraphError::Unexpected { detail: "GRAPH_URL is not a URL" })
    }

    /// The address of a next page, which must be on Graph's own origin: the token goes along.
    fn own_address(&self, link: &str) -> Result<Url, GraphError> {
        let elsewhere = GraphError::Unexpected { detail: "the next page is on another origin" };
        match Url::parse(link) {
            Ok(url) if url.origin() == self.inner.base.origin() && url.username().is_empty() => Ok(url),
            _ => Err(elsewhere),
        }
    }

    /// One call, unless Graph has asked to wait; what its status says about the call as such.
    async fn get(&self, address: &Url, token: &SecretString, limit: usize) -> Result<Response<Vec<u8>>, GraphError> {
        self.inner.pacing.check()?;
        let call_id = Uuid::new_v4().to_string();
        let request = request(address, token, &call_id)?;
        let response = self.inner.transport.send(request, limit).await;
        let response = response.map_err(|error| no_response(&error))?;
        self.note(&response, &call_id, address);
        match response.status() {
            StatusCode::UNAUTHORIZED => Err(GraphError::Unauthorized { claims: challenge::claims(response.headers()) }),
            StatusCode::FORBIDDEN => Err(GraphError::Forbidden),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                let asked = retry_after(response.headers(), self.inner.clock.now());
                Err(self.inner.pacing.pause(response.status(), asked))
            }
            status if status.is_server_error() => {
                Err(GraphError::Unavailable { detail: format!("HTTP status {status}") })
            }
            _ => {
                self.inner.pacing.resume();
                Ok(response)
            }
        }
    }

    /// Logs a call that failed, with the ids that Microsoft's support asks for.
    fn note(&self, response: &Response<Vec<u8>>, call_id: &str, address: &Url) {
        let status = response.status();
        if status.is_success() || status == StatusCode::NOT_FOUND {
            return;
        }
        let request_id = response.headers().get("request-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
        tracing::warn!(
            status = status.as_u16(),
            path = address.path(),
            client_request_id = call_id,
            request_id,
            "Microsoft Graph did not answer as hoped"
        );
    }
}

fn no_response(error: &HttpError) -> GraphError {
    match error.kind {
        HttpErrorKind::TooLarge => GraphError::Unexpected { detail: "the answer is too large" },
        _ => GraphError::Unavailable { detail: error.to_string() },
    }
}

fn request(address: &Url, token: &SecretString, call_id: &str) -> Result<Request<Vec<u8>>, GraphError> {
    Request::get(address.as_str())
        .header(ACCEPT, "application/json, image/*")
        .header(AUTHORIZATION, format!("Bearer {}", token.expose_secret()))
        .header("client-request-id", call_id)
        .header("return-client-request-id", "true")
        // Lists in as few pages as Graph gives.
        .header("prefer", "odata.maxpagesize=999")
        .body(Vec::new())
        .map_err(|_| GraphError::Unexpected { detail: "the access token is not fit for a header" })
}

fn expect_found(response: Response<Vec<u8>>) -> Result<Response<Vec<u8>>, GraphError> {
    match response.status() {
        StatusCode::OK => Ok(response),
        _ => Err(GraphError::Unexpected { detail: "another status than 200" }),
    }
}

fn read_json<T: DeserializeOwned>(response: &Response<Vec<u8>>) -> Result<T, GraphError> {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.to_ascii_lowercase().contains("json") {
        return Err(GraphError::Unexpected { detail: "not JSON" });
    }
    let read = serde_json::from_slice(response.body()).and_then(|mut body: Value| {
        plain_json(&mut body);
        serde_json::from_value(body)
    });
    read.map_err(|_| GraphError::Unexpected { detail: "JSON of another shape" })
}
