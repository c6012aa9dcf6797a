//! Discovery: the OpenID Connect metadata document and the key set, as Entra's v2.0 endpoints serve them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::errors::EntraError;
use crate::state::{Authority, PERSONAL_TENANT_ID, State};

/// How long Entra lets its metadata be cached.
const CACHE: HeaderValue = HeaderValue::from_static("max-age=86400, private");

/// Serves `/{tenant}/v2.0/.well-known/openid-configuration`.
pub(crate) async fn metadata(Shared(state): Shared<Arc<State>>, Path(tenant): Path<String>) -> Response {
    match state.authority(&tenant) {
        Ok(authority) => cached(document(&state, authority)),
        Err(error) => not_found(&state, &error),
    }
}

/// Serves `/{tenant}/discovery/v2.0/keys`.
///
/// On the shared authorities each key's `issuer` is the template, and one further key signs for
/// personal accounts alone (Microsoft: validate the signing key issuer).
pub(crate) async fn keys(Shared(state): Shared<Arc<State>>, Path(tenant): Path<String>) -> Response {
    let authority = match state.authority(&tenant) {
        Ok(authority) => authority,
        Err(error) => return not_found(&state, &error),
    };
    let personal_issuer = state.issuer(PERSONAL_TENANT_ID);
    let personal = authority.is_shared().then_some(personal_issuer.as_str());
    let issuer = issuer(&state, authority);
    let key_set = state.keys.key_set(&issuer, personal);
    cached(key_set)
}

/// The issuer of an authority: the template of the shared ones.
pub(crate) fn issuer(state: &State, authority: Authority) -> String {
    match authority {
        Authority::Tenant(id) => state.issuer(id),
        Authority::Common | Authority::Organizations => state.issuer("{tenantid}"),
    }
}

fn cached(body: Value) -> Response {
    ([(header::CACHE_CONTROL, CACHE)], Json(body)).into_response()
}

fn not_found(state: &State, error: &EntraError) -> Response {
    let ids = state.ids(None);
    let mut response = error.token_response(&ids);
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

/// The document. What Entra leaves out is left out here too: no `revocation_endpoint`, no
/// introspection, PAR or back-channel logout, neither `code_challenge_methods_supported` nor
/// `authorization_response_iss_parameter_supported` (unless [`crate::Control::set_response_iss`] puts it in).
fn document(state: &State, authority: Authority) -> Value {
    let tenant = format!("{}/{authority}", state.base_url);
    let graph = state.graph_url();
    let region = (!authority.is_shared()).then_some("EU");
    let mut document = json!({
        "token_endpoint": format!("{tenant}/oauth2/v2.0/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": format!("{tenant}/discovery/v2.0/keys"),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": issuer(state, authority),
        "request_uri_parameter_supported": false,
        "userinfo_endpoint": format!("{graph}/oidc/userinfo"),
        "authorization_endpoint": format!("{tenant}/oauth2/v2.0/authorize"),
        "device_authorization_endpoint": format!("{tenant}/oauth2/v2.0/devicecode"),
        "http_logout_supported": true,
        "frontchannel_logout_supported": true,
        "end_session_endpoint": format!("{tenant}/oauth2/v2.0/logout"),
        "claims_supported": [
            "sub", "iss", "cloud_instance_name", "cloud_instance_host_name", "cloud_graph_host_name",
            "msgraph_host", "aud", "exp", "iat", "auth_time", "acr", "nonce", "preferred_username", "name",
            "tid", "ver", "at_hash", "c_hash", "email",
        ],
        "kerberos_endpoint": format!("{tenant}/kerberos"),
        "tenant_region_scope": region,
        "cloud_instance_name": "microsoftonline.com",
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": "graph.microsoft.com",
        "rbac_url": "https://pas.windows.net",
    });
    if let Some(members) = document.as_object_mut().filter(|_| state.settings().response_iss) {
        members.insert("authorization_response_iss_parameter_supported".to_owned(), true.into());
    }
    document
}
