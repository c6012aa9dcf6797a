//! Signing out: by the person, and by the provider's word.

use askama::Template as _;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::{Extension, Form, Json};
use cookie::SameSite;
use entra::oidc::{EndSession, OidcError};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;
use store::models::{EndedAtProvider, Grant, NewAuditEvent};
use store::{DbError, to_end};
use tower_sessions::Session;

use crate::error::AppError;
use crate::observe::client::ClientInfo;
use crate::observe::metrics;
use crate::observe::request_id::RequestId;
use crate::paths::SIGNED_OUT;
use crate::session::access::Everyone;
use crate::session::current_user::CurrentUser;
use crate::session::session_cookie;
use crate::sign_in::provider_logout::{self, Notification, Outcome};
use crate::state::AppState;
use crate::tokens;
use crate::web::cookies;
use crate::web::pages::{SignInRequest, SignedOutPage};
use crate::web::reply::{frame, provider};

const NO_STORE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// The form of a sign-out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SignOutForm {
    csrf: String,
}

/// `POST /auth/sign-out`: ends the session here first, then at the provider
/// (OIDC RP-Initiated Logout 1.0, section 2).
///
/// # Errors
/// When the database does not answer, or the form is not from this session.
pub async fn sign_out(
    Everyone(viewer): Everyone,
    State(state): State<AppState>,
    session: Session,
    Extension(client): Extension<ClientInfo>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    form: Result<Form<SignOutForm>, axum::extract::rejection::FormRejection>,
) -> Result<Response, AppError> {
    let Some(viewer) = viewer else {
        return Ok(Redirect::to(SIGNED_OUT).into_response());
    };
    let csrf = form.map(|Form(form)| form.csrf).unwrap_or_default();
    viewer.check_csrf(&state, &csrf)?;
    session.flush().await?;
    let id_token = forget_after_last(&state, &viewer, &client, request_id).await?;
    let end_session = EndSession {
        post_logout_redirect_uri: state.config.public_url.with_path(SIGNED_OUT),
        login_hint: viewer.signed_in.login_hint.clone(),
        id_token,
    };
    let target = state.oidc.end_session_url(end_session).await;
    let target = target.as_ref().map_or(SIGNED_OUT, |url| url.as_str());
    Ok(leave(&state, target))
}

/// 303 out of a session that is over: the browser forgets what pages stored (Clear Site Data, section 3.1).
///
/// Not `"cookies"`, which would take those of every application of the domain along: the session's own cookie is removed
/// by name. Not `"cache"`, for which browsers search all they have, for seconds: pages are never kept (`no-store`).
pub fn leave(state: &AppState, target: &str) -> Response {
    let mut response = ([("clear-site-data", "\"storage\"")], Redirect::to(target)).into_response();
    let https = state.config.public_url.is_https();
    cookies::remove(response.headers_mut(), session_cookie::name(https).to_owned(), https, SameSite::Lax);
    response
}

/// Records the sign-out, and forgets the person's grants when it was their last session. Returns
/// the ID token as a hint for the provider.
async fn forget_after_last(
    state: &AppState,
    viewer: &CurrentUser,
    client: &ClientInfo,
    request_id: String,
) -> Result<Option<SecretString>, AppError> {
    let who = viewer.audit_name();
    let event = NewAuditEvent {
        kind: "sign_out",
        actor: Some(who.clone()),
        subject: Some(who.clone()),
        address: client.address.to_string(),
        request_id,
        ..NewAuditEvent::default()
    };
    let state = state.clone();
    to_end(async move {
        let mut conn = state.db.conn().await?;
        let grants = Grant::list_by_user(&mut conn, &who.0).await?;
        let hint = grants
            .first()
            .and_then(|grant| tokens::open(&state.config.tokens.keys, grant).ok())
            .and_then(|tokens| tokens.id_token);
        event.insert(&mut conn, state.shared_now()).await?;
        Grant::delete_without_session(&mut conn, &who.0, state.live_at()).await?;
        Ok::<_, DbError>(hint)
    })
    .await
    .map_err(AppError::from)
}

/// `GET /auth/signed-out`: where the provider sends the browser back to. Whatever comes along in the
/// query, a `state` that nobody asked for too, is not looked at.
///
/// # Errors
/// When the page cannot be rendered.
pub async fn signed_out_page(
    _: Everyone,
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Result<Response, AppError> {
    let name = state.oidc.provider_name();
    let page = SignedOutPage {
        frame: frame(&headers),
        provider: provider(&state, &name),
        // After a sign-out, single sign-on would let the same person in at once.
        request: SignInRequest {
            prompt: Some("select_account").filter(|_| state.oidc.is_entra()),
            ..SignInRequest::default()
        },
    };
    Ok(Html(page.render()?).into_response())
}

/// Parameters of a front-channel logout.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct FrontChannelParams {
    iss: Option<String>,
    sid: Option<String>,
}

/// `GET /auth/front-channel-logout` (OIDC Front-Channel Logout 1.0, section 2).
///
/// The provider's sign-out page loads it in a hidden frame. The session's cookie never gets here,
/// so the session is found by `sid`; an unknown one, or another issuer's, changes nothing.
///
/// # Errors
/// When the database does not answer.
pub async fn front_channel_logout(
    _: Everyone,
    State(state): State<AppState>,
    Extension(client): Extension<ClientInfo>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    query: Result<Query<FrontChannelParams>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, AppError> {
    let params = query.map(|Query(params)| params).unwrap_or_default();
    let is_ours = params.iss.as_deref().is_none_or(|iss| state.oidc.is_our_issuer(iss));
    if let Some(sid) = params.sid.filter(|sid| is_ours && !sid.is_empty()) {
        let notification = Notification {
            kind: "sign_out.front_channel",
            ended: EndedAtProvider::Session { realm: None, sid },
            once: None,
            address: client.address.to_string(),
            request_id,
        };
        provider_logout::carry_out(&state, notification).await?;
    }
    Ok((NO_STORE, Html("<!doctype html><title>Signed out</title>")).into_response())
}

/// The form of a back-channel logout.
#[derive(Deserialize)]
pub struct BackChannelForm {
    logout_token: String,
}

/// `POST /auth/back-channel-logout` (OIDC Back-Channel Logout 1.0, sections 2.5 to 2.8).
///
/// The provider itself calls, without a browser: the token's signature says that it is the
/// provider. 200 when the sessions are over, also when there were none; 400 with an OAuth error
/// for everything that is no good logout token, or one that was here before.
///
/// # Errors
/// When the database does not answer: the provider may try again then.
pub async fn back_channel_logout(
    _: Everyone,
    State(state): State<AppState>,
    Extension(client): Extension<ClientInfo>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    form: Result<Form<BackChannelForm>, axum::extract::rejection::FormRejection>,
) -> Result<Response, AppError> {
    let address = client.address.to_string();
    let token = match form {
        Ok(Form(form)) => state.oidc.verify_logout_token(&form.logout_token).await,
        Err(_) => return Ok(logout_refused("the body is no form with one logout_token, or too large")),
    };
    let token = match token {
        Ok(token) => token,
        Err(error) => return refuse_logout(&state, &error, address, request_id).await,
    };
    let Some(notification) = Notification::of_token(token, address, request_id) else {
        return Ok(logout_refused("the token names no session and nobody known by it"));
    };
    match provider_logout::carry_out(&state, notification).await? {
        Outcome::Done => Ok((StatusCode::OK, NO_STORE).into_response()),
        Outcome::Replayed => Ok(logout_refused("the token was used before")),
    }
}

/// Counts the refusal, records the first one of an hour, and answers.
async fn refuse_logout(
    state: &AppState,
    error: &OidcError,
    address: String,
    request_id: String,
) -> Result<Response, AppError> {
    tracing::warn!(reason = error.reason(), %error, "a logout token was refused");
    metrics::logout_token_refused(error.reason());
    let event = NewAuditEvent {
        kind: "sign_out.refused",
        address,
        request_id,
        detail: vec![("reason", error.reason().to_owned())],
        ..NewAuditEvent::default()
    };
    let now = state.shared_now();
    if let Some(event) = state.row_budgets.logout_tokens.admit(event, now) {
        let mut conn = state.db.conn().await?;
        event.insert(&mut conn, now).await?;
    }
    Ok(logout_refused(error.reason()))
}

/// 400 with an error as of a token endpoint (section 2.8; RFC 6749, section 5.2).
fn logout_refused(description: &str) -> Response {
    let error = json!({ "error": "invalid_request", "error_description": description });
    (StatusCode::BAD_REQUEST, NO_STORE, Json(error)).into_response()
}
