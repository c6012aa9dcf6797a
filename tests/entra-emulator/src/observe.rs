//! The layer around every endpoint: records the request, lets faults and edits have their way.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use crate::call::Call;
use crate::control;
use crate::endpoint::Endpoint;
use crate::errors::EntraError;
use crate::faults::{Fault, Releases};
use crate::gzip;
use crate::pages;
use crate::server::HangUp;
use crate::state::State;

/// Longer requests are refused.
const MAX_REQUEST: usize = 1024 * 1024;
/// Size of the pieces of a huge body.
const PIECE: usize = 64 * 1024;

/// Serves one request. The control API is neither recorded nor disturbed.
pub(crate) async fn observe(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    if request.uri().path().starts_with(control::http::PREFIX) {
        return control::http::guard(&state, request, next).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_REQUEST).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let endpoint = Endpoint::of(parts.uri.path());
    // Before anybody can see that the request is here, and let it go on.
    let releases = state.faults.releases();
    let number = state.recorder.record(endpoint, &parts, &body, state.clock.unix());
    let call = Call::new(&parts.uri, parts.headers.clone(), &body);
    let mut response = if token_in_query(parts.uri.query()) {
        // Tokens in URLs end up in logs (RFC 9700 section 4.3.2); here they are an error.
        (StatusCode::BAD_REQUEST, Json(json!({ "error": "access_token in the query" }))).into_response()
    } else {
        let genuine = Genuine { state: &state, endpoint, request: Request::from_parts(parts, Body::from(body)), next };
        answer(&state, endpoint, &call, genuine, releases).await
    };
    state.recorder.answered(number, response.status().as_u16());
    if let Ok(date) = HeaderValue::from_str(&httpdate(&state)) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

fn token_in_query(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair.starts_with("access_token=")))
}

/// The `Date` header by the emulator's clock (RFC 9110 section 5.6.7).
fn httpdate(state: &State) -> String {
    state.clock.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The answer that would be given without faults.
struct Genuine<'a> {
    state: &'a State,
    endpoint: Endpoint,
    request: Request,
    next: Next,
}

impl Genuine<'_> {
    /// Calls the handler and applies the edits of its JSON.
    async fn run(self) -> Response {
        let response = self.next.run(self.request).await;
        let is_json = content_type(&response).is_some_and(|value| value.contains("json"));
        if !is_json {
            return response;
        }
        let edits = self.state.faults.take_json_edits(self.endpoint);
        if edits.is_empty() {
            return response;
        }
        let (parts, body) = whole(response).await;
        let mut value: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        for edit in &edits {
            edit.apply(&mut value);
        }
        rebuilt(parts, Body::from(value.to_string()))
    }
}

fn content_type(response: &Response) -> Option<&str> {
    response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok())
}

/// A response's head, and its body as one piece.
async fn whole(response: Response) -> (axum::http::response::Parts, Bytes) {
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    (parts, body)
}

/// A response with another body; its length is told anew.
fn rebuilt(mut parts: axum::http::response::Parts, body: Body) -> Response {
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, body)
}

async fn answer(state: &State, endpoint: Endpoint, call: &Call, genuine: Genuine<'_>, releases: Releases) -> Response {
    let Some(fault) = state.faults.take_fault(endpoint) else { return genuine.run().await };
    match fault {
        Fault::Respond { status, headers, body } => with_headers((status_of(status), body).into_response(), &headers),
        Fault::Aadsts { code, claims } => aadsts(state, endpoint, call, code, claims),
        Fault::Huge { megabytes } => huge(megabytes),
        Fault::GzipBomb { megabytes } => gzip_bomb(megabytes),
        Fault::Hang => {
            releases.first().await;
            genuine.run().await
        }
        Fault::Delay { milliseconds } => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            genuine.run().await
        }
        Fault::Drip { milliseconds } => drip(genuine.run().await, Duration::from_millis(milliseconds)).await,
        Fault::Truncate => truncate(genuine.run().await).await,
        Fault::ResetMidBody => reset_mid_body(genuine.run().await).await,
        Fault::Close => hang_up(),
        Fault::LoseAnswer => {
            genuine.run().await;
            hang_up()
        }
        Fault::Headers { headers } => with_headers(genuine.run().await, &headers),
    }
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Replaces headers; an empty value removes one.
fn with_headers(mut response: Response, headers: &[(String, String)]) -> Response {
    for (name, value) in headers {
        let Ok(name) = name.parse::<HeaderName>() else { continue };
        response.headers_mut().remove(&name);
        if let Some(value) = HeaderValue::from_str(value).ok().filter(|value| !value.is_empty()) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// Entra's error in the form that the endpoint gives it.
fn aadsts(state: &State, endpoint: Endpoint, call: &Call, code: u32, claims: Option<String>) -> Response {
    let mut error = EntraError::new(code);
    if let Some(claims) = claims {
        error = error.claims(claims);
    }
    let ids = state.ids(call.client_request_id());
    match (endpoint, call.get("redirect_uri")) {
        (Endpoint::Authorize, Some(redirect_uri)) if !error.is_page() => {
            let mut parameters = error.redirect_parameters(&ids);
            parameters.extend(call.get("state").map(|value| ("state".to_owned(), value.to_owned())));
            let query = serde_urlencoded::to_string(&parameters).unwrap_or_default();
            crate::authorize::found(&format!("{redirect_uri}?{query}"))
        }
        (Endpoint::Authorize | Endpoint::Logout, _) => pages::error(&error.description(&ids)),
        _ => error.token_response(&ids),
    }
}

fn huge(megabytes: usize) -> Response {
    let count = megabytes.saturating_mul(1024 * 1024) / PIECE;
    let piece = Bytes::from(vec![b' '; PIECE]);
    let pieces = stream::iter((0..count).map(move |_| Ok::<_, io::Error>(piece.clone())));
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(pieces)).into_response()
}

fn gzip_bomb(megabytes: usize) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_ENCODING, "gzip")];
    (headers, gzip::spaces(megabytes.saturating_mul(1024 * 1024))).into_response()
}

async fn drip(response: Response, pause: Duration) -> Response {
    let (parts, body) = whole(response).await;
    let bytes = stream::unfold((body, 0_usize), move |(body, position)| async move {
        let byte = Bytes::copy_from_slice(body.get(position..=position)?);
        tokio::time::sleep(pause).await;
        Some((Ok::<_, io::Error>(byte), (body, position + 1)))
    });
    rebuilt(parts, Body::from_stream(bytes))
}

async fn truncate(response: Response) -> Response {
    let (parts, body) = whole(response).await;
    let half = body.slice(..body.len() / 2);
    rebuilt(parts, Body::from(half))
}

/// Announces the whole length, sends half and breaks off.
async fn reset_mid_body(response: Response) -> Response {
    let (mut parts, body) = whole(response).await;
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let half = body.slice(..body.len() / 2);
    let pieces = stream::once(async { Ok(half) }).chain(stream::once(async {
        // Long enough for the first half to leave the buffers.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    }));
    Response::from_parts(parts, Body::from_stream(pieces))
}

fn hang_up() -> Response {
    let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
    response.extensions_mut().insert(HangUp);
    response
}
