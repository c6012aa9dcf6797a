//! Signing in: the HTTP side of the OpenID Connect flow in [`crate::oidc`].

use askama::Template as _;
use axum::extract::{Query, RawForm, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::{Extension, Form};
use serde::Deserialize;
use tower_sessions::Session;

use super::{frame, provider};
use crate::crypto::digest;
use crate::error::AppError;
use crate::graph_sync;
use crate::middleware::client::ClientInfo;
use crate::middleware::guard::safe_next;
use crate::middleware::request_id::RequestId;
use crate::models::{Grant, NewAuditEvent, SessionRecord, UsedTransaction, User, new_id};
use crate::oidc::{
    BeginOptions, CallbackFault, CallbackParams, OidcError, Prompt, Retry, SignIn, TRANSACTION_LIFETIME, Who,
};
use crate::pages::{Fixer, Reference, SignInFailedPage, SignInPage, SignInRequest};
use crate::session_store::{SIGNED_IN, SignedIn};
use crate::state::AppState;
use crate::transaction_cookie::{self, PendingSignIn};
use crate::user_sync::{self, Refusal, SyncInput, SyncOutcome};
use crate::viewer::{CurrentUser, MaybeUser};

/// Where the provider sends the browser back to; registered with it as the redirect URI.
pub const CALLBACK_PATH: &str = "/auth/callback";

/// What a sign-in may be asked for; the same in the page's query and in its form.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SignInFields {
    next: Option<String>,
    prompt: Option<String>,
    login_hint: Option<String>,
    domain_hint: Option<String>,
}

impl SignInFields {
    fn request(&self) -> SignInRequest<'_> {
        SignInRequest {
            next: self.next.as_deref(),
            prompt: self.prompt.as_deref(),
            login_hint: self.login_hint.as_deref(),
            domain_hint: self.domain_hint.as_deref(),
        }
    }

    /// Drops what is not ours to follow: a `next` that leads elsewhere, an unknown prompt, blanks.
    fn cleaned(self) -> Self {
        let text =
            |value: Option<String>| value.map(|v| v.trim().to_owned()).filter(|v| !v.is_empty() && v.len() <= 256);
        Self {
            next: Some(safe_next(self.next.as_deref())).filter(|next| next != "/"),
            prompt: self.prompt.filter(|prompt| Prompt::parse(prompt).is_some()),
            login_hint: text(self.login_hint),
            domain_hint: text(self.domain_hint),
        }
    }
}

/// `GET /auth/sign-in`.
///
/// # Errors
/// When the page cannot be rendered.
pub async fn sign_in_page(
    State(state): State<AppState>,
    headers: HeaderMap,
    query: Result<Query<SignInFields>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, AppError> {
    let fields = query.map(|Query(fields)| fields).unwrap_or_default().cleaned();
    let problem = (!state.oidc.status().is_ready() && has_failed(&state)).then_some(
        "The sign-in service does not answer right now. You can try; it usually works again within a minute.",
    );
    let personas: Vec<&str> = state.dev_personas.iter().map(String::as_str).collect();
    let name = state.oidc.provider_name();
    let page = SignInPage {
        frame: frame(&headers),
        provider: provider(&state, &name),
        request: fields.request(),
        problem,
        personas: &personas,
    };
    Ok(Html(page.render()?).into_response())
}

fn has_failed(state: &AppState) -> bool {
    let status = state.oidc.status();
    status.metadata.last_failure.is_some() || status.keys.last_failure.is_some()
}

/// `POST /auth/sign-in`: sends the browser to the provider (OIDC Core 3.1.2.1).
///
/// # Errors
/// When the page cannot be rendered or sealing fails; a provider that is down gets a page.
pub async fn begin(
    State(state): State<AppState>,
    MaybeUser(viewer): MaybeUser,
    Extension(RequestId(request_id)): Extension<RequestId>,
    headers: HeaderMap,
    form: Result<Form<SignInFields>, axum::extract::rejection::FormRejection>,
) -> Result<Response, AppError> {
    let Form(fields) = form?;
    let fields = fields.cleaned();
    let options = BeginOptions {
        prompt: fields.prompt.as_deref().and_then(Prompt::parse),
        login_hint: fields.login_hint.clone(),
        domain_hint: fields.domain_hint.clone(),
        no_grant_stored: !has_grant(&state, viewer.as_ref()).await?,
        ..BeginOptions::new(state.config.public_url.with_path(CALLBACK_PATH))
    };
    let begun = match state.oidc.begin(options).await {
        Ok(begun) => begun,
        Err(error) => return failed_page(&state, &headers, &request_id, &error, &fields),
    };
    let pending = PendingSignIn {
        transaction: begun.transaction,
        next: fields.next.unwrap_or_else(|| "/".to_owned()),
        old_session: viewer.map(|viewer| viewer.session.id),
    };
    let mut response = Redirect::to(begun.url.as_str()).into_response();
    transaction_cookie::put(response.headers_mut(), &headers, &state.config, &pending).map_err(AppError::internal)?;
    Ok(response)
}

async fn has_grant(state: &AppState, viewer: Option<&CurrentUser>) -> Result<bool, AppError> {
    let Some(viewer) = viewer else {
        return Ok(false);
    };
    let mut conn = state.db.conn().await?;
    let grants = Grant::list_by_user(&mut conn, &viewer.user.id).await?;
    Ok(grants.iter().any(|grant| grant.has_refresh_token && grant.state == "live"))
}

/// Everything about the callback request besides its parameters.
#[derive(Clone)]
struct Caller {
    session: Session,
    viewer: Option<CurrentUser>,
    client: ClientInfo,
    request_id: String,
    headers: HeaderMap,
}

/// `GET /auth/callback`: the authorization response in the query.
///
/// # Errors
/// When the database does not answer or a page cannot be rendered.
pub async fn callback_query(
    State(state): State<AppState>,
    session: Session,
    MaybeUser(viewer): MaybeUser,
    Extension(client): Extension<ClientInfo>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, AppError> {
    let caller = Caller { session, viewer, client, request_id, headers };
    finish(state, caller, query.unwrap_or_default()).await
}

/// `POST /auth/callback`: the authorization response as a form (OAuth 2.0 Form Post Response Mode).
///
/// # Errors
/// When the database does not answer or a page cannot be rendered.
pub async fn callback_form(
    State(state): State<AppState>,
    session: Session,
    MaybeUser(viewer): MaybeUser,
    Extension(client): Extension<ClientInfo>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    headers: HeaderMap,
    form: Result<RawForm, axum::extract::rejection::RawFormRejection>,
) -> Result<Response, AppError> {
    let RawForm(body) = form?;
    let body = String::from_utf8(body.to_vec()).unwrap_or_default();
    let caller = Caller { session, viewer, client, request_id, headers };
    finish(state, caller, body).await
}

/// Takes the authorization response. A good one begins a session and answers 303; everything else
/// is explained in place.
///
/// # Errors
/// When the database does not answer or a page cannot be rendered.
async fn finish(state: AppState, caller: Caller, parameters: String) -> Result<Response, AppError> {
    let params = match CallbackParams::parse(&parameters) {
        Ok(params) => params,
        Err(error) => return refuse(&state, &caller, &error, &SignInFields::default()).await,
    };
    let Some(oauth_state) = params.state().map(str::to_owned) else {
        return refuse(&state, &caller, &bad_state(), &SignInFields::default()).await;
    };
    let Some(pending) = transaction_cookie::get(&caller.headers, &state.config, &oauth_state) else {
        return used_or_unknown(&state, &caller, &oauth_state).await;
    };
    let fields = SignInFields { next: Some(pending.next.clone()), ..SignInFields::default() };
    if pending.transaction.is_expired(state.clock.now()) || !use_up(&state, &oauth_state, &pending.next).await? {
        return used_or_unknown(&state, &caller, &oauth_state).await;
    }
    let mut response = match state.oidc.finish(pending.transaction, params).await {
        Ok(sign_in) => signed_in(&state, &caller, sign_in, &oauth_state, &pending.next, pending.old_session).await?,
        Err(error) => refuse(&state, &caller, &error, &fields).await?,
    };
    transaction_cookie::remove(response.headers_mut(), &state.config, &oauth_state);
    Ok(response)
}

fn bad_state() -> OidcError {
    OidcError::Callback(CallbackFault::State)
}

/// A state serves once (RFC 9700, section 4.7.1): `false` when it has served.
async fn use_up(state: &AppState, oauth_state: &str, next: &str) -> Result<bool, AppError> {
    let used = UsedTransaction {
        state_hash: digest(oauth_state.as_bytes()),
        session_id: None,
        next: next.to_owned(),
        expires_at: state.clock.now_utc() + TRANSACTION_LIFETIME * 2,
    };
    let mut conn = state.db.conn().await?;
    Ok(used.insert(&mut conn).await?)
}

/// A reload of the callback by the very session that it began goes on; everybody else is refused.
async fn used_or_unknown(state: &AppState, caller: &Caller, oauth_state: &str) -> Result<Response, AppError> {
    let mut conn = state.db.conn().await?;
    let used = UsedTransaction::find(&mut conn, &digest(oauth_state.as_bytes())).await?;
    drop(conn);
    if let (Some(used), Some(viewer)) = (used, &caller.viewer)
        && used.session_id.as_deref() == Some(viewer.session.id.as_str())
    {
        return Ok(Redirect::to(&used.next).into_response());
    }
    refuse(state, caller, &bad_state(), &SignInFields::default()).await
}

/// From a verified sign-in to a session.
async fn signed_in(
    state: &AppState,
    caller: &Caller,
    sign_in: SignIn,
    oauth_state: &str,
    next: &str,
    old_session: Option<String>,
) -> Result<Response, AppError> {
    let groups = user_sync::resolve_groups(state, &sign_in).await;
    let input = SyncInput { sign_in, groups, client: caller.client.clone(), request_id: caller.request_id.clone() };
    let sign_in = input.sign_in.clone();
    match user_sync::sync(state, input).await.map_err(AppError::from)? {
        SyncOutcome::Refused(refusal) => refused_page(&caller.headers, &caller.request_id, refusal, next),
        SyncOutcome::SignedIn { user, .. } => {
            let session_id = begin_session(state, caller, &sign_in, &user, old_session).await?;
            let mut conn = state.db.conn().await?;
            UsedTransaction::set_session(&mut conn, &digest(oauth_state.as_bytes()), &session_id).await?;
            graph_sync::spawn(state, &user, sign_in.tokens.access_token.clone());
            Ok(Redirect::to(next).into_response())
        }
    }
}

/// A new session with a new id; the browser's old one ends (`docs/requirements.tsv` K-08).
async fn begin_session(
    state: &AppState,
    caller: &Caller,
    sign_in: &SignIn,
    user: &User,
    old_session: Option<String>,
) -> Result<String, AppError> {
    // Not `flush`: it keeps the record's id, and the next save would use it again.
    caller.session.clear().await;
    caller.session.cycle_id().await?;
    if let Some(old) = old_session {
        let mut conn = state.db.conn().await?;
        SessionRecord::delete(&mut conn, &old, None).await?;
    }
    let session_id = new_id();
    let signed_in = SignedIn {
        session_id: session_id.clone(),
        user_id: user.id.clone(),
        sid: sign_in.sid.clone(),
        login_hint: sign_in.login_hint.clone(),
        auth_time: sign_in.auth_time,
        auth_context: sign_in.auth_context.clone(),
        address: caller.client.address.to_string(),
        user_agent: caller.client.user_agent.clone(),
        expires_at: state.clock.now() + state.config.session.absolute_timeout,
    };
    caller.session.insert(SIGNED_IN, signed_in).await?;
    caller.session.save().await?;
    Ok(session_id)
}

/// Explains a refused sign-in and records it.
async fn refuse(
    state: &AppState,
    caller: &Caller,
    error: &OidcError,
    fields: &SignInFields,
) -> Result<Response, AppError> {
    tracing::warn!(reason = error.reason(), %error, "a sign-in was refused");
    let event = NewAuditEvent {
        kind: "sign_in.failed",
        address: caller.client.address.to_string(),
        request_id: caller.request_id.clone(),
        detail: failure_detail(error),
        ..NewAuditEvent::default()
    };
    let mut conn = state.db.conn().await?;
    event.insert(&mut conn, state.clock.now_utc()).await?;
    drop(conn);
    failed_page(state, &caller.headers, &caller.request_id, error, fields)
}

fn failure_detail(error: &OidcError) -> Vec<(&'static str, String)> {
    let mut detail = vec![("reason", error.reason().to_owned())];
    if let Some(provider) = error.provider_error() {
        let ids = [("trace_id", &provider.trace_id), ("correlation_id", &provider.correlation_id)];
        detail.extend(ids.into_iter().filter_map(|(name, id)| Some((name, id.clone()?))));
        detail.extend(provider.aadsts.map(|code| ("code", format!("AADSTS{code}"))));
    }
    detail
}

/// The sign-in-failed page: what happened, who can fix it, what to do, ids to copy.
fn failed_page(
    state: &AppState,
    headers: &HeaderMap,
    request_id: &str,
    error: &OidcError,
    fields: &SignInFields,
) -> Result<Response, AppError> {
    let advice = error.advice();
    let provider_error = error.provider_error();
    let code =
        provider_error.map(|error| error.aadsts.map_or_else(|| error.error.clone(), |code| format!("AADSTS{code}")));
    let timestamp = state.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let text = |pick: fn(&crate::oidc::ProviderError) -> &Option<String>| {
        provider_error.and_then(|error| pick(error).as_deref()).unwrap_or_default()
    };
    let mut request = fields.request();
    if advice.retry == Retry::OtherAccount {
        request.prompt = Some("select_account");
    }
    let page = SignInFailedPage {
        frame: frame(headers),
        title: advice.title,
        what: advice.what_happened,
        fixer: fixer(advice.who, error.is_outage()),
        remedy: advice.what_to_do,
        request,
        reference: Reference {
            request_id,
            trace_id: text(|error| &error.trace_id),
            correlation_id: text(|error| &error.correlation_id),
            code: code.as_deref().unwrap_or_default(),
            timestamp: &timestamp,
        },
    };
    let status = match error {
        error if error.is_outage() => StatusCode::SERVICE_UNAVAILABLE,
        error if error.is_denied() => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_REQUEST,
    };
    Ok((status, Html(page.render()?)).into_response())
}

fn fixer(who: Who, passes: bool) -> Fixer {
    match who {
        _ if passes => Fixer::Time,
        Who::You => Fixer::You,
        Who::Administrator => Fixer::Administrator,
        Who::Developer => Fixer::Developer,
    }
}

/// The provider knows the person, this application does not let them in.
fn refused_page(headers: &HeaderMap, request_id: &str, refusal: Refusal, next: &str) -> Result<Response, AppError> {
    let (title, what) = match refusal {
        Refusal::Disabled => {
            ("Your account is disabled here", "An administrator of this application has disabled your account.")
        }
        Refusal::Unknown => {
            ("You have no account here", "This application admits only people whom an administrator has added.")
        }
        Refusal::Guest => (
            "Guests cannot sign in here",
            "This application admits only members of the organisation, and your account is a guest's.",
        ),
    };
    let page = SignInFailedPage {
        frame: frame(headers),
        title,
        what,
        fixer: Fixer::Administrator,
        remedy: "Ask an administrator of this application, and give them the request id. If you have another account, sign in with that.",
        request: SignInRequest { next: Some(next), prompt: Some("select_account"), ..SignInRequest::default() },
        reference: Reference { request_id, code: refusal.reason(), ..Reference::default() },
    };
    Ok((StatusCode::FORBIDDEN, Html(page.render()?)).into_response())
}
