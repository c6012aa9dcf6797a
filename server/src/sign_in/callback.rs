//! Signing in: the HTTP side of the OpenID Connect flow in [`entra::oidc`].

use askama::Template as _;
use axum::extract::{Query, RawForm, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::{Extension, Form};
use entra::crypto::digest;
use entra::oidc::{BeginOptions, CallbackFault, CallbackParams, OidcError, RequestFault, SignIn, TRANSACTION_LIFETIME};
use store::models::{Grant, NewAuditEvent, SessionRecord, UsedTransaction, User, new_id};
use tower_sessions::Session;

use crate::error::AppError;
use crate::observe::client::ClientInfo;
use crate::observe::metrics;
use crate::observe::request_id::RequestId;
use crate::paths::CALLBACK;
use crate::people::sync::{self, SyncError, SyncInput, SyncOutcome};
use crate::session::access::Everyone;
use crate::session::current_user::CurrentUser;
use crate::session::store::{SIGNED_IN, SignInDetails};
use crate::sign_in::failed::{failed_page, failure_detail, refused_page};
use crate::sign_in::fields::SignInFields;
use crate::sign_in::transaction_cookie::{self, PendingSignIn};
use crate::state::AppState;
use crate::tokens::consent::page_scopes_of;
use crate::tokens::graph_sync;
use crate::web::middleware::security_headers::FederatedForms;
use crate::web::pages::SignInPage;
use crate::web::reply::{frame, provider};

/// Where an administrator who has approved the permissions at Entra goes on.
const APPROVED: &str = "/auth/sign-in?approved=yes";

const OTHER_ISSUER: &str =
    "The link that brought you here is for signing in with another provider than this application's.";

/// `GET /auth/sign-in`; also where another site begins a sign-in (OIDC Core section 4).
///
/// The page starts nothing by itself, so that nobody is signed in unawares:
/// what was asked for goes along when the person presses the button.
///
/// # Errors
/// 400 when the sign-in is to be with another provider, and when the page cannot be rendered.
pub async fn sign_in_page(
    _: Everyone,
    State(state): State<AppState>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    headers: HeaderMap,
    query: Result<Query<SignInFields>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, AppError> {
    let fields = query.map(|Query(fields)| fields).unwrap_or_default().cleaned(&state.config.public_url);
    if let Some(issuer) = fields.issuer() {
        match state.oidc.signs_in_for(issuer).await {
            Ok(true) => {}
            Ok(false) => return Err(AppError::bad_request(OTHER_ISSUER)),
            Err(error) => return failed_page(&state, &headers, &request_id, &error, &fields, false),
        }
    }
    let problem = (!state.oidc.status().is_ready() && has_failed(&state)).then_some(
        "The sign-in service does not answer right now. You can try; it usually works again within a minute.",
    );
    let personas: Vec<&str> = state.dev_personas.iter().map(String::as_str).collect();
    let name = state.oidc.provider_name();
    let page = SignInPage {
        frame: frame(&headers),
        provider: provider(&state, &name),
        intro: fields.intro(),
        request: fields.request(),
        problem,
        personas: &personas,
    };
    let mut response = Html(page.render()?).into_response();
    if fields.names_an_organisation() {
        response.extensions_mut().insert(FederatedForms);
    }
    Ok(response)
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
    Everyone(viewer): Everyone,
    State(state): State<AppState>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    headers: HeaderMap,
    form: Result<Form<SignInFields>, axum::extract::rejection::FormRejection>,
) -> Result<Response, AppError> {
    let Form(fields) = form?;
    let mut fields = fields.cleaned(&state.config.public_url);
    if let Some(viewer) = viewer.as_ref().filter(|_| fields.is_for_the_viewer()) {
        fields.suggest(viewer.signed_in.login_hint.as_deref().unwrap_or(&viewer.user.upn));
    }
    let stored = stored_grants(&state, viewer.as_ref()).await?;
    let attempt = Attempt {
        fields,
        challenge: None,
        stored,
        old_session: viewer.map(|viewer| viewer.session.id),
        is_retry: false,
    };
    send_to_provider(&state, &headers, &request_id, attempt).await
}

/// A sign-in about to be begun.
struct Attempt {
    fields: SignInFields,
    /// A claims challenge that the provider has just made; else one that waits in a grant goes along.
    challenge: Option<String>,
    /// The grants of whoever is signed in already.
    stored: Vec<Grant>,
    old_session: Option<String>,
    /// Whether the provider has asked for it, in answer to an earlier one.
    is_retry: bool,
}

/// 303 to the provider, with the transaction in a cookie.
async fn send_to_provider(
    state: &AppState,
    headers: &HeaderMap,
    request_id: &str,
    attempt: Attempt,
) -> Result<Response, AppError> {
    let Attempt { fields, challenge, stored, old_session, is_retry } = attempt;
    let redirect_uri = state.config.public_url.with_path(CALLBACK);
    let claims = challenge.or_else(|| kept_challenge(&stored));
    let no_grant_stored = !has_refresh_token(&stored);
    let mut options = BeginOptions { claims, no_grant_stored, ..fields.options(redirect_uri) };
    options.further_scopes.extend(kept_scopes(state, &stored).into_iter().filter(|kept| fields.scope() != Some(kept)));
    let mut begun = state.oidc.begin(options.clone()).await;
    if matches!(begun, Err(OidcError::Request(RequestFault::TooLong))) && options.claims.is_some() {
        // Nobody is to be locked out by a long challenge: a refresh, which is a post, can pass it on as well.
        begun = state.oidc.begin(BeginOptions { claims: None, ..options }).await;
    }
    let begun = match begun {
        Ok(begun) => begun,
        Err(error) => return failed_page(state, headers, request_id, &error, &fields, old_session.is_some()),
    };
    let pending = PendingSignIn { transaction: begun.transaction, fields, old_session, is_retry };
    let mut response = Redirect::to(begun.url.as_str()).into_response();
    transaction_cookie::put(response.headers_mut(), headers, &state.config, pending).map_err(AppError::internal)?;
    Ok(response)
}

/// The grants of whoever is signed in already.
async fn stored_grants(state: &AppState, viewer: Option<&CurrentUser>) -> Result<Vec<Grant>, AppError> {
    let Some(viewer) = viewer else {
        return Ok(Vec::new());
    };
    let mut conn = state.db.conn().await?;
    Ok(Grant::list_by_user(&mut conn, &viewer.user.id).await?)
}

fn has_refresh_token(grants: &[Grant]) -> bool {
    grants.iter().any(|grant| grant.has_refresh_token && grant.state == "live")
}

/// The claims challenge that waits for this sign-in.
fn kept_challenge(grants: &[Grant]) -> Option<String> {
    grants.iter().map(|grant| &grant.challenge).find(|challenge| !challenge.is_empty()).cloned()
}

/// The permissions beyond the settings' that pages asked for, so that a sign-in in between does not lose them.
fn kept_scopes(state: &AppState, grants: &[Grant]) -> Vec<String> {
    let granted = grants.iter().flat_map(|grant| grant.scopes.split(' '));
    page_scopes_of(granted, &state.config.provider.scopes).map(str::to_owned).collect()
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
    Everyone(viewer): Everyone,
    State(state): State<AppState>,
    session: Session,
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
    Everyone(viewer): Everyone,
    State(state): State<AppState>,
    session: Session,
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
    if params.is_admin_consent() {
        return Ok(Redirect::to(APPROVED).into_response());
    }
    let Some(oauth_state) = params.state().map(str::to_owned) else {
        return refuse(&state, &caller, &bad_state(), &SignInFields::default()).await;
    };
    let Some(pending) = transaction_cookie::get(&caller.headers, &state.config, &oauth_state) else {
        return used_or_unknown(&state, &caller, &oauth_state).await;
    };
    let is_expired = pending.transaction.is_expired(state.clock.now());
    let session_id = new_id();
    if is_expired || !use_up(&state, &oauth_state, &session_id, pending.fields.next()).await? {
        return used_or_unknown(&state, &caller, &oauth_state).await;
    }
    let PendingSignIn { transaction, fields, old_session, is_retry } = pending;
    let mut response = match state.oidc.finish(transaction, params).await {
        Ok(sign_in) => signed_in(&state, &caller, sign_in, session_id, &fields, old_session).await?,
        Err(error) if !is_retry && is_to_be_asked(&state, &fields, &error) => {
            ask_the_person(&state, &caller, &error, fields, old_session).await?
        }
        Err(error) => refuse(&state, &caller, &error, &fields).await?,
    };
    transaction_cookie::remove(response.headers_mut(), &state.config, &oauth_state);
    Ok(response)
}

/// Whether one more sign-in by itself is of use: the provider's challenge is to be passed on, or it was asked for a
/// silent answer and, being Entra, says that it needs the person (Microsoft identity platform, "Handle errors").
fn is_to_be_asked(state: &AppState, fields: &SignInFields, error: &OidcError) -> bool {
    let was_silent = fields.is_silent() && state.oidc.is_entra();
    error.asks_for_the_person() && (was_silent || error.has_challenge())
}

/// The provider could not answer without the person, or wants them to meet a claims challenge: one more sign-in,
/// interactive and with that challenge, and never another one by itself (AADSTS50196).
async fn ask_the_person(
    state: &AppState,
    caller: &Caller,
    error: &OidcError,
    fields: SignInFields,
    old_session: Option<String>,
) -> Result<Response, AppError> {
    tracing::info!(reason = error.reason(), %error, "the provider asks for the person: one interactive sign-in");
    let stored = stored_grants(state, caller.viewer.as_ref()).await?;
    let attempt = Attempt {
        fields: fields.interactive(),
        challenge: error.provider_error().and_then(|error| error.claims.clone()),
        stored,
        old_session,
        is_retry: true,
    };
    send_to_provider(state, &caller.headers, &caller.request_id, attempt).await
}

fn bad_state() -> OidcError {
    OidcError::Callback(CallbackFault::State)
}

/// A state serves once (RFC 9700, section 4.7.1), for the session that is to begin: `false` when it has served.
async fn use_up(state: &AppState, oauth_state: &str, session_id: &str, next: &str) -> Result<bool, AppError> {
    let used = UsedTransaction {
        state_hash: digest(oauth_state.as_bytes()),
        session_id: Some(session_id.to_owned()),
        next: next.to_owned(),
        expires_at: state.shared_now() + TRANSACTION_LIFETIME * 2,
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
    session_id: String,
    fields: &SignInFields,
    old_session: Option<String>,
) -> Result<Response, AppError> {
    let next = fields.next();
    let groups = sync::resolve_groups(state, &sign_in).await;
    let input = SyncInput { sign_in, groups, client: caller.client.clone(), request_id: caller.request_id.clone() };
    let sign_in = input.sign_in.clone();
    match sync::sync(state, input).await.map_err(AppError::from)? {
        SyncOutcome::Refused(refusal) => {
            metrics::sign_in(refusal.reason());
            refused_page(&caller.headers, &caller.request_id, refusal, next)
        }
        SyncOutcome::SignedIn { user, .. } => {
            begin_session(state, caller, &sign_in, &user, session_id, old_session).await?;
            let fetching = graph_sync::spawn(state, &user);
            if let Some(fetching) = fetching.filter(|_| fields.scope().is_some()) {
                // What the new permission is for is to be there when the person comes back to the page.
                let _ = tokio::time::timeout(graph_sync::FIRST_WAIT, fetching).await;
            }
            metrics::sign_in("signed_in");
            Ok(Redirect::to(next).into_response())
        }
    }
}

/// A new session with a new id; the browser's old one ends.
async fn begin_session(
    state: &AppState,
    caller: &Caller,
    sign_in: &SignIn,
    user: &User,
    session_id: String,
    old_session: Option<String>,
) -> Result<(), AppError> {
    if caller.session.id().is_some() {
        // Not `flush`: it keeps the record's id, and the next save would use it again.
        caller.session.clear().await;
        caller.session.cycle_id().await?;
    }
    if let Some(old) = old_session {
        let mut conn = state.db.conn().await?;
        SessionRecord::delete(&mut conn, &old, None).await?;
    }
    let signed_in = SignInDetails {
        session_id,
        user_id: user.id.clone(),
        sid: sign_in.sid.clone(),
        login_hint: sign_in.login_hint.clone(),
        auth_time: sign_in.auth_time.unwrap_or_else(|| state.shared_now().and_utc()),
        auth_time_is_known: sign_in.auth_time.is_some(),
        auth_contexts: sign_in.auth_contexts.clone(),
        auth_methods: sign_in.auth_methods.clone(),
        address: caller.client.address.to_string(),
        user_agent: caller.client.user_agent.clone(),
        expires_at: state.shared_now().and_utc() + state.config.session.absolute_timeout,
    };
    caller.session.insert(SIGNED_IN, signed_in).await?;
    Ok(caller.session.save().await?)
}

/// Explains a refused sign-in. It is recorded if the browser has a sign-in under way that began here, or somebody is
/// signed in with it: what carries nothing of ours is a line in the log and a metric.
async fn refuse(
    state: &AppState,
    caller: &Caller,
    error: &OidcError,
    fields: &SignInFields,
) -> Result<Response, AppError> {
    tracing::warn!(reason = error.reason(), %error, "a sign-in was refused");
    metrics::sign_in(error.reason());
    if caller.viewer.is_some() || transaction_cookie::is_there(&caller.headers, &state.config) {
        record_refusal(state, caller, error).await?;
    }
    failed_page(state, &caller.headers, &caller.request_id, error, fields, caller.viewer.is_some())
}

async fn record_refusal(state: &AppState, caller: &Caller, error: &OidcError) -> Result<(), AppError> {
    let now = state.shared_now();
    let event = NewAuditEvent {
        kind: "sign_in.failed",
        address: caller.client.address.to_string(),
        request_id: caller.request_id.clone(),
        detail: failure_detail(error),
        ..NewAuditEvent::default()
    };
    if let Some(event) = state.row_budgets.sign_ins.admit(event, now) {
        let mut conn = state.db.conn().await?;
        event.insert(&mut conn, now).await?;
    }
    Ok(())
}

impl From<SyncError> for AppError {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Database(error) => error.into(),
            error => Self::internal(error),
        }
    }
}
