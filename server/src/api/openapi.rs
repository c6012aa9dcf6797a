//! `/api/openapi.json`: what the API offers (`OpenAPI` 3.1), made from the handlers and their types.

use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use utoipa::OpenApi as _;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, Info, OpenApi, Server};

use super::caller::{READ_AUDIT_LOG, READ_USERS};
use super::{audit, users};
use crate::config::{ApiConfig, PublicUrl};

/// The name of the security scheme.
const SCHEME: &str = "access_token";

#[derive(utoipa::OpenApi)]
#[openapi(paths(users::me, users::my_manager, users::list, audit::list))]
struct Paths;

/// The document, written out.
#[must_use]
pub fn document(public_url: &PublicUrl, api: &ApiConfig) -> Bytes {
    Bytes::from(described(public_url, api).to_json().unwrap_or_default())
}

fn described(public_url: &PublicUrl, api: &ApiConfig) -> OpenApi {
    let mut document = Paths::openapi();
    document.info = Info::new(app::brand::TITLE, "1");
    document.servers = Some(vec![Server::new(public_url.origin())]);
    document.security = Some(vec![SecurityRequirement::new(SCHEME, Vec::<String>::new())]);
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(format!(
            "An access token of the sign-in provider for {}: on behalf of a person with the scope {}, or of a program \
             by itself with the app roles {READ_USERS} or {READ_AUDIT_LOG} (the claim idtyp must say app).",
            api.audiences.join(" or "),
            api.scope,
        )))
        .build();
    document.components.get_or_insert_with(Components::new).add_security_scheme(SCHEME, SecurityScheme::Http(scheme));
    document
}

/// `GET /api/openapi.json`: public, as it says nothing that the source does not.
pub async fn serve(document: Bytes) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")];
    (headers, document).into_response()
}
