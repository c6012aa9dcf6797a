//! The control API over HTTP, for tests in another process: JSON under `/_control/…`.
//!
//! Refused with 403 unless the emulator was started with [`crate::Options::http_control`]. Bodies
//! must be `application/json`, which a foreign web page cannot send without asking first.

use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, Request, State as Shared};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::control::Control;
use crate::endpoint::Endpoint;
use crate::faults::{AuthorizationEdit, Fault, JsonEdit, Times, TokenEdit, TokenKind};
use crate::grants::RefreshRotation;
use crate::jwt::Signing;
use crate::keys::{KeySetShape, Rotation};
use crate::personas::{Persona, Tenant};
use crate::state::{OverageForm, State};

/// The path below which the control API is.
pub(crate) const PREFIX: &str = "/_control";

/// A JSON body, or the reason why there is none.
type Body<T> = Result<Json<T>, JsonRejection>;

/// The routes below `/_control`.
pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/_control", get(summary))
        .route("/_control/requests", get(requests).delete(clear_records))
        .route("/_control/clock", post(clock))
        .route("/_control/keys/rotate", post(rotate_keys))
        .route("/_control/keys/shape", post(key_set_shape))
        .route("/_control/keys/add", post(add_keys))
        .route("/_control/sign", post(sign))
        .route("/_control/settings", post(settings))
        .route("/_control/registration", post(registration))
        .route("/_control/personas", get(personas).post(put_persona))
        .route("/_control/personas/generate", post(generate_personas))
        .route("/_control/personas/{id}", get(persona).patch(change_persona).delete(delete_persona))
        .route("/_control/personas/{id}/revoke", post(revoke))
        .route("/_control/personas/{id}/claims", post(require_claims))
        .route("/_control/tenants", get(tenants).post(add_tenant))
        .route("/_control/faults", post(fault).delete(clear_faults))
        .route("/_control/edits/json", post(edit_json))
        .route("/_control/edits/token", post(edit_token))
        .route("/_control/edits/authorization", post(edit_authorization))
        .route("/_control/release", post(release))
        .route("/_control/delta/resync", post(resync))
}

/// Lets a request to the control API through if the emulator was started with it.
pub(crate) async fn guard(state: &State, request: Request, next: Next) -> Response {
    if state.options.http_control {
        return next.run(request).await;
    }
    let message = "The control API is off. Start the emulator with --control (Options::http_control).";
    (StatusCode::FORBIDDEN, Json(json!({ "error": message }))).into_response()
}

fn control(state: Arc<State>) -> Control {
    Control::new(state)
}

fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

fn found(found: bool) -> Response {
    if found {
        return done();
    }
    (StatusCode::NOT_FOUND, Json(json!({ "error": "no such persona" }))).into_response()
}

/// Runs `act` with the body, or answers what is wrong with it.
fn with<T>(body: Body<T>, act: impl FnOnce(T)) -> Response {
    match body {
        Ok(Json(body)) => {
            act(body);
            done()
        }
        Err(rejection) => (rejection.status(), Json(json!({ "error": rejection.body_text() }))).into_response(),
    }
}

async fn summary(Shared(state): Shared<Arc<State>>) -> Response {
    Json(control(state).summary()).into_response()
}

#[derive(Deserialize)]
struct RequestsOf {
    endpoint: Option<Endpoint>,
}

async fn requests(Shared(state): Shared<Arc<State>>, Query(of): Query<RequestsOf>) -> Response {
    let mut requests = control(state).requests();
    requests.retain(|request| of.endpoint.is_none_or(|endpoint| request.endpoint == endpoint));
    Json(requests).into_response()
}

async fn clear_records(Shared(state): Shared<Arc<State>>) -> Response {
    control(state).clear_records();
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockChange {
    offset: Option<i64>,
    advance: Option<i64>,
}

async fn clock(Shared(state): Shared<Arc<State>>, body: Body<ClockChange>) -> Response {
    with(body, |change| {
        let control = control(state);
        if let Some(offset) = change.offset {
            control.set_clock_offset(offset);
        }
        control.advance_clock(change.advance.unwrap_or(0));
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RotateKeys {
    #[serde(default)]
    keep_old: bool,
    #[serde(default)]
    before_next_signing: bool,
}

async fn rotate_keys(Shared(state): Shared<Arc<State>>, body: Body<RotateKeys>) -> Response {
    with(body, |how| {
        let rotation = Rotation { keep_old: how.keep_old };
        if how.before_next_signing {
            control(state).rotate_keys_before_next_signing(rotation);
        } else {
            control(state).rotate_keys(rotation);
        }
    })
}

async fn key_set_shape(Shared(state): Shared<Arc<State>>, body: Body<KeySetShape>) -> Response {
    with(body, |shape| control(state).set_key_set_shape(shape))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Count {
    count: usize,
}

async fn add_keys(Shared(state): Shared<Arc<State>>, body: Body<Count>) -> Response {
    with(body, |add| control(state).add_keys(add.count))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToSign {
    #[serde(default)]
    header: serde_json::Map<String, Value>,
    claims: Value,
    #[serde(default)]
    signing: Signing,
}

async fn sign(Shared(state): Shared<Arc<State>>, body: Body<ToSign>) -> Response {
    match body {
        Ok(Json(to_sign)) => {
            let token = control(state).sign_jwt(Value::Object(to_sign.header), to_sign.claims, to_sign.signing);
            Json(json!({ "token": token })).into_response()
        }
        Err(rejection) => with(Err::<Json<()>, _>(rejection), |()| {}),
    }
}

/// Settings to change; what is absent stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsChange {
    refresh_rotation: Option<RefreshRotation>,
    /// Shortest and longest, in seconds.
    access_token_lifetime: Option<[i64; 2]>,
    id_token_lifetime: Option<i64>,
    overage: Option<OverageForm>,
    access_token_version: Option<u8>,
    granted_scopes: Option<Vec<String>>,
    own_app_roles: Option<Vec<String>>,
    multi_tenant: Option<bool>,
    front_channel_iss: Option<bool>,
    response_iss: Option<bool>,
    auto_sign_in: Option<Vec<String>>,
    auto_sign_in_all: Option<String>,
}

async fn settings(Shared(state): Shared<Arc<State>>, body: Body<SettingsChange>) -> Response {
    with(body, |change| change.apply(&control(state)))
}

impl SettingsChange {
    fn apply(self, control: &Control) {
        let lifetime = self.access_token_lifetime.map(|[shortest, longest]| RangeInclusive::new(shortest, longest));
        set(lifetime, |value| control.set_access_token_lifetime(value));
        set(self.refresh_rotation, |value| control.set_refresh_rotation(value));
        set(self.id_token_lifetime, |value| control.set_id_token_lifetime(value));
        set(self.overage, |value| control.set_overage_form(value));
        set(self.access_token_version, |value| control.set_access_token_version(value));
        set(self.granted_scopes, |value| control.set_granted_scopes(&texts(&value)));
        set(self.own_app_roles, |value| control.set_own_app_roles(&texts(&value)));
        set(self.multi_tenant, |value| control.set_multi_tenant(value));
        set(self.front_channel_iss, |value| control.set_front_channel_iss(value));
        set(self.response_iss, |value| control.set_response_iss(value));
        set(self.auto_sign_in, |value| control.auto_sign_in(&texts(&value)));
        set(self.auto_sign_in_all, |value| control.auto_sign_in_all(&value));
    }
}

fn set<T>(value: Option<T>, setter: impl FnOnce(T)) {
    if let Some(value) = value {
        setter(value);
    }
}

fn texts(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// The registration's parts to change; what is absent stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegistrationChange {
    redirect_uris: Option<Vec<String>>,
    front_channel_logout_urls: Option<Vec<String>>,
    add_client_secret: Option<String>,
    expire_client_secrets: Option<bool>,
    /// PEM of a certificate or public key.
    register_certificate: Option<String>,
    accept_federated_token: Option<String>,
}

async fn registration(Shared(state): Shared<Arc<State>>, body: Body<RegistrationChange>) -> Response {
    with(body, |change| change.apply(&control(state)))
}

impl RegistrationChange {
    fn apply(self, control: &Control) {
        set(self.redirect_uris, |value| control.set_redirect_uris(&texts(&value)));
        set(self.front_channel_logout_urls, |value| control.set_front_channel_logout_urls(&texts(&value)));
        set(self.expire_client_secrets, |value| control.expire_client_secrets(value));
        set(self.add_client_secret, |value| control.add_client_secret(&value));
        set(self.accept_federated_token, |value| control.accept_federated_token(&value));
        set(self.register_certificate, |value| {
            if control.register_certificate(value.as_bytes()).is_none() {
                tracing::warn!("there is no RSA key in the certificate to register");
            }
        });
    }
}

async fn personas(Shared(state): Shared<Arc<State>>) -> Response {
    Json(control(state).personas()).into_response()
}

async fn persona(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Response {
    match control(state).persona(&id) {
        Some(persona) => Json(persona).into_response(),
        None => found(false),
    }
}

async fn put_persona(Shared(state): Shared<Arc<State>>, body: Body<Persona>) -> Response {
    with(body, |mut persona| {
        if persona.oid == Uuid::nil() {
            persona.oid = crate::random::uuid();
        }
        control(state).put_persona(persona);
    })
}

/// Changes a persona by JSON merge patch.
async fn change_persona(Shared(state): Shared<Arc<State>>, Path(id): Path<String>, body: Body<Value>) -> Response {
    let control = control(state);
    let Some(persona) = control.persona(&id) else { return found(false) };
    let mut value = json!(persona);
    let patched = body.map(|Json(patch)| crate::faults::merge(&mut value, &patch));
    match (patched, serde_json::from_value::<Persona>(value)) {
        (Ok(()), Ok(persona)) => {
            control.put_persona(persona);
            done()
        }
        (Err(rejection), _) => with(Err::<Json<()>, _>(rejection), |()| {}),
        (_, Err(error)) => (StatusCode::BAD_REQUEST, Json(json!({ "error": error.to_string() }))).into_response(),
    }
}

async fn delete_persona(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Response {
    found(control(state).delete_persona(&id))
}

async fn generate_personas(Shared(state): Shared<Arc<State>>, body: Body<Count>) -> Response {
    with(body, |generate| control(state).generate_personas(generate.count))
}

#[derive(Deserialize)]
struct Revoke {
    #[serde(default)]
    access_tokens: bool,
}

async fn revoke(Shared(state): Shared<Arc<State>>, Path(id): Path<String>, Query(what): Query<Revoke>) -> Response {
    let control = control(state);
    if what.access_tokens {
        control.revoke_access_tokens(&id);
    }
    found(control.revoke(&id))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequireClaims {
    /// JSON text, or null to lift the challenge.
    claims: Option<String>,
    /// Whether only a sign-in can meet it, and no refresh.
    #[serde(default)]
    interactive: bool,
}

async fn require_claims(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<String>,
    body: Body<RequireClaims>,
) -> Response {
    match body {
        Ok(Json(RequireClaims { claims: Some(claims), interactive: true })) => {
            found(control(state).require_claims_interactively(&id, &claims))
        }
        Ok(Json(body)) => found(control(state).require_claims(&id, body.claims.as_deref())),
        Err(rejection) => with(Err::<Json<()>, _>(rejection), |()| {}),
    }
}

async fn tenants(Shared(state): Shared<Arc<State>>) -> Response {
    Json(control(state).tenants()).into_response()
}

async fn add_tenant(Shared(state): Shared<Arc<State>>, body: Body<Tenant>) -> Response {
    with(body, |tenant| control(state).add_tenant(tenant))
}

/// A rule as it is posted; without `times` it stands until it is cleared.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultRule {
    endpoint: Endpoint,
    #[serde(default)]
    times: Times,
    fault: Fault,
}

async fn fault(Shared(state): Shared<Arc<State>>, body: Body<FaultRule>) -> Response {
    with(body, |rule| match rule.times {
        Some(times) => control(state).fault_next(rule.endpoint, times, rule.fault),
        None => control(state).fault(rule.endpoint, rule.fault),
    })
}

async fn clear_faults(Shared(state): Shared<Arc<State>>) -> Response {
    control(state).clear_faults();
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRule {
    endpoint: Endpoint,
    #[serde(default)]
    times: Times,
    /// RFC 7396 merge patch.
    merge: Value,
}

async fn edit_json(Shared(state): Shared<Arc<State>>, body: Body<JsonRule>) -> Response {
    with(body, |rule| control(state).edit_json(rule.endpoint, rule.times, JsonEdit::Merge(rule.merge)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRule {
    #[serde(default)]
    token: TokenKind,
    #[serde(default)]
    times: Times,
    edit: TokenEdit,
}

async fn edit_token(Shared(state): Shared<Arc<State>>, body: Body<TokenRule>) -> Response {
    with(body, |rule| match rule.token {
        TokenKind::Id => control(state).edit_id_token(rule.times, rule.edit),
        TokenKind::Access => control(state).edit_access_token(rule.times, rule.edit),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorizationRule {
    #[serde(default)]
    times: Times,
    edit: AuthorizationEdit,
}

async fn edit_authorization(Shared(state): Shared<Arc<State>>, body: Body<AuthorizationRule>) -> Response {
    with(body, |rule| control(state).edit_authorization(rule.times, rule.edit))
}

async fn release(Shared(state): Shared<Arc<State>>) -> Response {
    control(state).release();
    done()
}

async fn resync(Shared(state): Shared<Arc<State>>) -> Response {
    control(state).force_delta_resync();
    done()
}
