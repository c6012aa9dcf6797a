//! Microsoft Graph v1.0, as much of it as a signed-in application reads about people.

mod delta;

use std::sync::Arc;

use axum::extract::{OriginalUri, Path, Query, State as Shared};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::grants::Access;
use crate::personas::{Group, Persona};
use crate::photo;
use crate::random;
use crate::scopes::Resource;
use crate::state::State;
use crate::sync::lock;
use crate::tokens;

/// Permissions that let read the signed-in user.
const READ_ME: &[&str] = &["User.Read", "User.ReadWrite", "User.Read.All", "User.ReadWrite.All", "Directory.Read.All"];
/// Permissions that let read all users, managers among them.
const READ_USERS: &[&str] = &["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];
/// Permissions that let read groups' names.
const READ_GROUPS: &[&str] =
    &["GroupMember.Read.All", "Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];
/// The edge of a photo in pixels unless a size is asked for.
const PHOTO_SIZE: u32 = 96;
/// Groups on a page unless `$top` says otherwise.
const GROUPS_PAGE: usize = 100;

/// The routes below `/graph`.
pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/graph/oidc/userinfo", get(userinfo).post(userinfo))
        .route("/graph/v1.0/me", get(me))
        .route("/graph/v1.0/me/{*part}", get(my_part))
        .route("/graph/v1.0/me/getMemberObjects", post(my_member_objects))
        .route("/graph/v1.0/users/delta", get(delta::users_delta))
        .route("/graph/v1.0/users", get(users))
        .route("/graph/v1.0/users/{user}", get(user))
        .route("/graph/v1.0/users/{user}/{*part}", get(user_part))
        .route("/graph/v1.0/users/{user}/getMemberObjects", post(user_member_objects))
}

/// An error of Graph: status, `code`, `message`.
#[derive(Debug)]
pub(crate) struct GraphError {
    status: StatusCode,
    code: &'static str,
    message: String,
    headers: Vec<(HeaderName, String)>,
}

impl GraphError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new() }
    }

    /// 401 with the challenge that Graph sends.
    fn unauthenticated(state: &State, message: &str) -> Self {
        let challenge = format!(
            "Bearer realm=\"\", authorization_uri=\"{}/common/oauth2/authorize\", client_id=\"00000003-0000-0000-c000-000000000000\"",
            state.base_url
        );
        Self {
            headers: vec![(header::WWW_AUTHENTICATE, challenge)],
            ..Self::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", message)
        }
    }

    /// 401 that asks for a token with `claims` (continuous access evaluation).
    fn claims_challenge(state: &State, claims: &str) -> Self {
        let challenge = format!(
            "Bearer realm=\"\", authorization_uri=\"{}/common/oauth2/authorize\", client_id=\"00000003-0000-0000-c000-000000000000\", error=\"insufficient_claims\", claims=\"{}\"",
            state.base_url,
            STANDARD.encode(claims)
        );
        Self {
            headers: vec![(header::WWW_AUTHENTICATE, challenge)],
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                "InvalidAuthenticationToken",
                "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp",
            )
        }
    }

    fn denied() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
        )
    }

    fn not_found(name: &str) -> Self {
        let message = format!(
            "Resource '{name}' does not exist or one of its queried reference-property objects are not present."
        );
        Self::new(StatusCode::NOT_FOUND, "Request_ResourceNotFound", message)
    }

    fn bad_request(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Request_BadRequest", message)
    }
}

/// One request to Graph: finds out who calls and answers in Graph's manner.
pub(crate) struct GraphCall<'a> {
    state: &'a State,
    headers: &'a HeaderMap,
}

impl<'a> GraphCall<'a> {
    fn new(state: &'a State, headers: &'a HeaderMap) -> Self {
        Self { state, headers }
    }

    fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The meaning of the bearer token (RFC 6750 section 2.1), if it is a live one for Graph.
    fn access(&self) -> Result<Access, GraphError> {
        let refused = |message: &str| GraphError::unauthenticated(self.state, message);
        let authorization = self.header(header::AUTHORIZATION).unwrap_or_default();
        let (scheme, token) = authorization.split_once(' ').unwrap_or_default();
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
            return Err(refused("Access token is empty."));
        }
        let access = lock(&self.state.grants).access(token);
        let access = access.ok_or_else(|| refused("CompactToken validation failed with reason code: 80049228."))?;
        if access.resource != Resource::Graph {
            return Err(refused("Access token validation failure. Invalid audience."));
        }
        if access.expires <= self.state.clock.unix() {
            return Err(refused("Lifetime validation failed, the token is expired."));
        }
        self.check_challenge(&access)?;
        Ok(access)
    }

    /// Answers with a claims challenge while one is set for the persona and the token does not meet it.
    fn check_challenge(&self, access: &Access) -> Result<(), GraphError> {
        let Some(sign_in) = &access.sign_in else { return Ok(()) };
        match self.state.challenge_for(sign_in) {
            Some(claims) => Err(GraphError::claims_challenge(self.state, &claims)),
            None => Ok(()),
        }
    }

    /// As [`GraphCall::access`], with one of the permissions.
    fn access_with(&self, permissions: &[&str]) -> Result<Access, GraphError> {
        let access = self.access()?;
        if has(&access, permissions) { Ok(access) } else { Err(GraphError::denied()) }
    }

    /// The signed-in persona; there is none for a token of the application itself.
    fn persona(&self, access: &Access) -> Result<Arc<Persona>, GraphError> {
        let sign_in = access
            .sign_in
            .as_ref()
            .ok_or_else(|| GraphError::bad_request("/me request is only valid with delegated authentication flow."))?;
        let persona = lock(&self.state.directory).by_oid(sign_in.persona);
        persona.ok_or_else(|| GraphError::not_found(&sign_in.persona.to_string()))
    }

    /// A user by object id or UPN, in the token's tenant.
    fn user(&self, access: &Access, name: &str) -> Result<Arc<Persona>, GraphError> {
        let directory = lock(&self.state.directory);
        let by_oid = Uuid::parse_str(name).ok().and_then(|oid| directory.by_oid(oid));
        let found = by_oid.or_else(|| directory.by_name(name).filter(|persona| persona.upn.eq_ignore_ascii_case(name)));
        found.filter(|persona| persona.tenant_id == access.tenant_id).ok_or_else(|| GraphError::not_found(name))
    }

    fn answer(&self, result: Result<Response, GraphError>) -> Response {
        let (request_id, date) = (random::uuid().to_string(), self.state.clock.now());
        let client_request_id = self.header("client-request-id").unwrap_or(&request_id).to_owned();
        let mut response = result.unwrap_or_else(|error| {
            let body = json!({ "error": {
                "code": error.code,
                "message": error.message,
                "innerError": {
                    "date": date.format("%Y-%m-%dT%H:%M:%S").to_string(),
                    "request-id": request_id,
                    "client-request-id": client_request_id,
                },
            } });
            let mut response = (error.status, Json(body)).into_response();
            for (name, value) in &error.headers {
                insert(&mut response, name.clone(), value);
            }
            response
        });
        insert(&mut response, HeaderName::from_static("request-id"), &request_id);
        insert(&mut response, HeaderName::from_static("client-request-id"), &client_request_id);
        response
    }
}

fn insert(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn has(access: &Access, permissions: &[&str]) -> bool {
    permissions.iter().any(|permission| access.permissions.iter().any(|known| known == permission))
}

/// `/graph/oidc/userinfo` (OIDC Core section 5.3).
async fn userinfo(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    let call = GraphCall::new(&state, &headers);
    call.answer((|| {
        let access = call.access_with(&["openid"])?;
        let persona = call.persona(&access)?;
        let mut claims = Map::new();
        claims.insert("sub".to_owned(), tokens::subject(&state, &persona).into());
        if has(&access, &["profile"]) {
            claims.insert("name".to_owned(), persona.name.clone().into());
            claims.insert("given_name".to_owned(), persona.given_name.clone().into());
            claims.insert("family_name".to_owned(), persona.family_name.clone().into());
            claims.insert("picture".to_owned(), format!("{}/v1.0/me/photo/$value", state.graph_url()).into());
        }
        if let Some(email) = persona.email.as_ref().filter(|_| has(&access, &["email"])) {
            claims.insert("email".to_owned(), email.clone().into());
        }
        Ok(Json(Value::Object(claims)).into_response())
    })())
}

/// The query options that the emulator understands, in the words of the `OData` protocol.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Options {
    #[serde(rename = "$select")]
    select: Option<String>,
    #[serde(rename = "$top")]
    top: Option<usize>,
    #[serde(rename = "$skiptoken")]
    skip_token: Option<String>,
    #[serde(rename = "$deltatoken")]
    delta_token: Option<String>,
    #[serde(rename = "$count")]
    count: Option<bool>,
}

async fn me(Shared(state): Shared<Arc<State>>, Query(options): Query<Options>, headers: HeaderMap) -> Response {
    let call = GraphCall::new(&state, &headers);
    call.answer((|| {
        let persona = call.persona(&call.access_with(READ_ME)?)?;
        Ok(Json(user_entity(&state, &persona, &options)).into_response())
    })())
}

async fn user(
    Shared(state): Shared<Arc<State>>,
    Path(name): Path<String>,
    Query(options): Query<Options>,
    headers: HeaderMap,
) -> Response {
    let call = GraphCall::new(&state, &headers);
    call.answer((|| {
        let access = call.access_with(READ_USERS)?;
        let persona = call.user(&access, &name)?;
        Ok(Json(user_entity(&state, &persona, &options)).into_response())
    })())
}

fn user_entity(state: &State, persona: &Persona, options: &Options) -> Value {
    let mut entity = user_object(persona, options.select.as_deref());
    entity.insert("@odata.context".to_owned(), format!("{}/v1.0/$metadata#users/$entity", state.graph_url()).into());
    Value::Object(entity)
}

/// A user as Graph tells of one: the default properties, or those of `$select`.
fn user_object(persona: &Persona, select: Option<&str>) -> Map<String, Value> {
    let all = json!({
        "id": persona.oid,
        "displayName": persona.name,
        "givenName": persona.given_name,
        "surname": persona.family_name,
        "userPrincipalName": persona.upn,
        "mail": persona.email,
        "jobTitle": persona.job_title,
        "department": persona.department,
        "mobilePhone": null,
        "officeLocation": null,
        "preferredLanguage": null,
        "businessPhones": [],
        "accountEnabled": persona.enabled,
        "userType": if persona.guest { "Guest" } else { "Member" },
    });
    let Value::Object(mut all) = all else { return Map::new() };
    match select {
        Some(select) => {
            let names: Vec<&str> = select.split(',').map(str::trim).collect();
            all.retain(|name, _| name == "id" || names.contains(&name.as_str()));
        }
        // Not among the default properties of `GET /users` and `GET /me`.
        None => all.retain(|name, _| !["accountEnabled", "userType", "department"].contains(&name.as_str())),
    }
    all
}

async fn my_part(
    Shared(state): Shared<Arc<State>>,
    Path(part): Path<String>,
    OriginalUri(uri): OriginalUri,
    Query(options): Query<Options>,
    headers: HeaderMap,
) -> Response {
    let call = GraphCall::new(&state, &headers);
    call.answer((|| {
        let permissions = if part == "manager" { READ_USERS } else { READ_ME };
        let access = call.access_with(permissions)?;
        let persona = call.persona(&access)?;
        user_part_of(&call, &access, &persona, &part, &Asked { uri: &uri, options: &options })
    })())
}

async fn user_part(
    Shared(state): Shared<Arc<State>>,
    Path((name, part)): Path<(String, String)>,
    OriginalUri(uri): OriginalUri,
    Query(options): Query<Options>,
    headers: HeaderMap,
) -> Response {
    let call = GraphCall::new(&state, &headers);
    call.answer((|| {
        let access = call.access_with(READ_USERS)?;
        let persona = call.user(&access, &name)?;
        user_part_of(&call, &access, &persona, &part, &Asked { uri: &uri, options: &options })
    })())
}

/// What a collection's next link is built from.
struct Asked<'a> {
    uri: &'a Uri,
    options: &'a Options,
}

fn user_part_of(
    call: &GraphCall<'_>,
    access: &Access,
    persona: &Persona,
    part: &str,
    asked: &Asked<'_>,
) -> Result<Response, GraphError> {
    match part.split('/').collect::<Vec<_>>().as_slice() {
        ["photo"] => photo_metadata(call, persona),
        ["photo", "$value"] => photo_value(persona, PHOTO_SIZE),
        ["photos", size, "$value"] => {
            let (width, _) = size.split_once('x').ok_or_else(|| GraphError::bad_request("Invalid photo size."))?;
            photo_value(persona, width.parse().map_err(|_| GraphError::bad_request("Invalid photo size."))?)
        }
        ["manager"] => manager(call, persona, asked.options),
        ["transitiveMemberOf" | "memberOf"] => groups(call, access, persona, asked),
        ["transitiveMemberOf" | "memberOf", "microsoft.graph.group"] => groups(call, access, persona, asked),
        _ => Err(GraphError::bad_request(&format!("Resource not found for the segment '{part}'."))),
    }
}

fn photo_metadata(call: &GraphCall<'_>, persona: &Persona) -> Result<Response, GraphError> {
    require_photo(persona)?;
    let size = PHOTO_SIZE;
    let body = json!({
        "@odata.context": format!("{}/v1.0/$metadata#users('{}')/photo/$entity", call.state.graph_url(), persona.oid),
        "@odata.mediaContentType": "image/png",
        "id": format!("{size}x{size}"),
        "width": size,
        "height": size,
    });
    Ok(Json(body).into_response())
}

fn photo_value(persona: &Persona, size: u32) -> Result<Response, GraphError> {
    require_photo(persona)?;
    let body = photo::png(persona.oid, size);
    let etag = format!("\"{}-{size}\"", persona.oid.simple());
    Ok(([(header::CONTENT_TYPE, "image/png".to_owned()), (header::ETAG, etag)], body).into_response())
}

fn require_photo(persona: &Persona) -> Result<(), GraphError> {
    if persona.photo {
        return Ok(());
    }
    Err(GraphError::new(StatusCode::NOT_FOUND, "ImageNotFound", "The photo wasn't found."))
}

fn manager(call: &GraphCall<'_>, persona: &Persona, options: &Options) -> Result<Response, GraphError> {
    let manager = persona.manager.as_ref().and_then(|id| lock(&call.state.directory).by_id(id));
    let manager = manager.ok_or_else(|| GraphError::not_found("manager"))?;
    let mut entity = user_object(&manager, options.select.as_deref());
    entity.insert("@odata.type".to_owned(), "#microsoft.graph.user".into());
    let context = format!("{}/v1.0/$metadata#directoryObjects/$entity", call.state.graph_url());
    entity.insert("@odata.context".to_owned(), context.into());
    Ok(Json(Value::Object(entity)).into_response())
}

/// A page of groups; the next link is opaque and absolute.
fn groups(call: &GraphCall<'_>, access: &Access, persona: &Persona, asked: &Asked<'_>) -> Result<Response, GraphError> {
    let top = asked.options.top.unwrap_or(GROUPS_PAGE);
    if !(1..=999).contains(&top) {
        return Err(GraphError::bad_request("Invalid page size specified. Must be between 1 and 999 inclusive."));
    }
    let start = match &asked.options.skip_token {
        None => 0,
        Some(token) => decode_skip(token).ok_or_else(|| GraphError::bad_request("Invalid skip token."))?,
    };
    let readable = has(access, READ_GROUPS);
    let page: Vec<Value> =
        persona.groups.iter().skip(start).take(top).map(|group| group_object(group, readable)).collect();
    let mut body = Map::new();
    let context = format!("{}/v1.0/$metadata#directoryObjects", call.state.graph_url());
    body.insert("@odata.context".to_owned(), context.into());
    if asked.options.count == Some(true) {
        body.insert("@odata.count".to_owned(), persona.groups.len().into());
    }
    let end = start + page.len();
    if end < persona.groups.len() {
        let path = asked.uri.path();
        let link = format!("{}{path}?$top={top}&$skiptoken={}", call.state.base_url, encode_skip(end));
        body.insert("@odata.nextLink".to_owned(), link.into());
    }
    body.insert("value".to_owned(), page.into());
    Ok(Json(Value::Object(body)).into_response())
}

/// A group; without the permission to read groups, Graph leaves everything but the id null.
fn group_object(group: &Group, readable: bool) -> Value {
    let name = readable.then_some(&group.name);
    json!({
        "@odata.type": "#microsoft.graph.group",
        "id": group.id,
        "displayName": name,
        "description": null,
        "mail": null,
        "securityEnabled": readable.then_some(true),
        "mailEnabled": readable.then_some(false),
        "groupTypes": [],
    })
}

fn encode_skip(position: usize) -> String {
    URL_SAFE_NO_PAD.encode(format!("skip:{position}"))
}

fn decode_skip(token: &str) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    text.strip_prefix("skip:")?.parse().ok()
}

async fn my_member_objects(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    let call = GraphCall::new(&state, &headers);
    call.answer((|| {
        let persona = call.persona(&call.access_with(READ_ME)?)?;
        Ok(member_objects(&state, &persona))
    })())
}

async fn user_member_objects(
    Shared(state): Shared<Arc<State>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let call = GraphCall::new(&state, &headers);
    call.answer((|| {
        let access = call.access_with(READ_USERS)?;
        let persona = call.user(&access, &name)?;
        Ok(member_objects(&state, &persona))
    })())
}

fn member_objects(state: &State, persona: &Persona) -> Response {
    let ids: Vec<Uuid> = persona.groups.iter().map(|group| group.id).collect();
    let context = format!("{}/v1.0/$metadata#Collection(Edm.String)", state.graph_url());
    Json(json!({ "@odata.context": context, "value": ids })).into_response()
}

/// `GET /users`: a page of the tenant's users.
async fn users(Shared(state): Shared<Arc<State>>, Query(options): Query<Options>, headers: HeaderMap) -> Response {
    let call = GraphCall::new(&state, &headers);
    call.answer((|| {
        let access = call.access_with(READ_USERS)?;
        let top = options.top.unwrap_or(GROUPS_PAGE).clamp(1, 999);
        let start = options.skip_token.as_deref().and_then(decode_skip).unwrap_or(0);
        let all: Vec<Arc<Persona>> = {
            let directory = lock(&state.directory);
            directory.personas().filter(|persona| persona.tenant_id == access.tenant_id).cloned().collect()
        };
        let page = all.iter().skip(start).take(top);
        let page: Vec<Value> = page.map(|persona| user_object(persona, options.select.as_deref()).into()).collect();
        let end = start + page.len();
        let mut body =
            json!({ "@odata.context": format!("{}/v1.0/$metadata#users", state.graph_url()), "value": page });
        if let Some(members) = body.as_object_mut().filter(|_| end < all.len()) {
            let link = format!("{}/v1.0/users?$top={top}&$skiptoken={}", state.graph_url(), encode_skip(end));
            members.insert("@odata.nextLink".to_owned(), link.into());
        }
        Ok(Json(body).into_response())
    })())
}
