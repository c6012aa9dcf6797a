//! Who makes this request: from the session to the user, and what they may see.
//!
//! One query a request with a session, none without: session and user together, by the digest of
//! the cookie, so that a disable, a lost role or an ended session is felt at the next request on
//! every instance. tower-sessions loads its own data only where a handler asks it to.

use axum::extract::{Request, State};
use axum::http::Extensions;
use axum::http::header::ACCEPT;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use chrono::NaiveDateTime;
use store::DbError;
use store::models::{SessionRecord, User};
use tower_sessions::Session;
use url::form_urlencoded;

use crate::error::AppError;
use crate::error::accept::is_program;
use crate::observe::client::ClientInfo;
use crate::observe::request_id::{Actor, RequestId};
use crate::session::guard::{Access, access};
use crate::session::store::{SignInDetails, hash};
use crate::state::AppState;

/// `last_seen_at` is written at most this often.
const TOUCH_EVERY: chrono::Duration = chrono::Duration::minutes(1);
const CSRF: &str = "csrf";

/// The signed-in person of this request. Handlers get them from a guard ([`crate::session::access`]).
#[derive(Clone, Debug)]
pub struct CurrentUser {
    /// Who.
    pub user: User,
    /// By which session.
    pub session: SessionRecord,
    /// What the session knows of its sign-in.
    pub signed_in: SignInDetails,
    /// Whether Graph had a photo of them.
    pub has_photo: bool,
    /// The client's address now.
    pub address: String,
    /// The id of this request.
    pub request_id: String,
}

impl CurrentUser {
    /// Whoever is signed in, if they hold `role`, for a guard.
    ///
    /// # Errors
    /// 401 when nobody is signed in, 403 without the role.
    pub fn of(parts: &Parts, role: Option<&'static str>) -> Result<Self, AppError> {
        let user = parts.extensions.get::<Self>().ok_or(AppError::Unauthorized)?;
        require(&user.user, role)?;
        Ok(user.clone())
    }

    /// The token for the hidden field `csrf` of this session's forms.
    #[must_use]
    pub fn csrf_token(&self, state: &AppState) -> String {
        state.config.tokens.keys.token_for(CSRF, &self.session.id)
    }

    /// Accepts a form only with this session's token (besides the check of its origin).
    ///
    /// # Errors
    /// [`AppError::Forbidden`].
    pub fn check_csrf(&self, state: &AppState, token: &str) -> Result<(), AppError> {
        if state.config.tokens.keys.verify_token(CSRF, &self.session.id, token) {
            return Ok(());
        }
        Err(AppError::bad_request("The form is too old. Reload the page and try again."))
    }

    /// Id and UPN, for the audit log.
    #[must_use]
    pub fn audit_name(&self) -> (String, String) {
        (self.user.id.clone(), self.user.upn.clone())
    }
}

/// Middleware: finds the person behind the session and lets the request through, or not.
///
/// # Errors
/// 401 or a redirect to the sign-in page for anonymous people, 403 without the role, 503 when the
/// database does not answer.
pub async fn authenticate(
    State(state): State<AppState>,
    session: Session,
    mut request: Request,
    next: Next,
) -> Result<Response, AppError> {
    let current = find_current(&state, &session, request.extensions()).await?;
    if let (Some(current), Some(actor)) = (&current, request.extensions().get::<Actor>()) {
        actor.is(&current.user.id);
    }
    let needed = access(request.uri().path(), &state.config.login_exempt_paths);
    match (&current, needed) {
        (_, Access::Public) | (Some(_), Access::SignedIn) => {}
        (Some(current), Access::Role(role)) => require(&current.user, Some(role))?,
        (None, _) => return Ok(ask_to_sign_in(&request)),
    }
    if let Some(current) = current {
        request.extensions_mut().insert(current);
    }
    Ok(next.run(request).await)
}

fn require(user: &User, role: Option<&'static str>) -> Result<(), AppError> {
    match role.filter(|role| !user.has_role(role)) {
        Some(role) => Err(AppError::forbidden(format!("the role {role} is missing"))),
        None => Ok(()),
    }
}

async fn find_current(
    state: &AppState,
    session: &Session,
    extensions: &Extensions,
) -> Result<Option<CurrentUser>, AppError> {
    let Some(id) = session.id() else {
        return Ok(None);
    };
    let mut conn = state.db.read().await?;
    let found = SessionRecord::find_live_with_user(&mut conn, &hash(id), state.live_at()).await?;
    drop(conn);
    let Some((record, user, has_photo)) = found.filter(|(_, user, _)| state.admits(user).is_ok()) else {
        return Ok(None);
    };
    let Some(signed_in) = SignInDetails::of(&record) else {
        return Ok(None);
    };
    let now = state.shared_now();
    if now - record.last_seen_at >= TOUCH_EVERY
        && let Err(error) = touch(state, &record.id, now).await
    {
        // Pages that only read are served also where nothing can be written: a full disk, a standby.
        tracing::warn!(%error, "the last use of a session could not be written");
    }
    let missing = || AppError::internal("the request has not been identified");
    let client = extensions.get::<ClientInfo>().ok_or_else(missing)?;
    let RequestId(request_id) = extensions.get::<RequestId>().cloned().ok_or_else(missing)?;
    let address = client.address.to_string();
    Ok(Some(CurrentUser { user, session: record, signed_in, has_photo, address, request_id }))
}

async fn touch(state: &AppState, session_id: &str, now: NaiveDateTime) -> Result<(), DbError> {
    let mut conn = state.db.conn().await?;
    SessionRecord::touch(&mut conn, session_id, now).await?;
    Ok(())
}

/// A browser goes to the sign-in page and comes back to where it wanted to be; a program gets 401.
fn ask_to_sign_in(request: &Request) -> Response {
    if is_program(request.uri().path(), request.headers().get_all(ACCEPT)) {
        return AppError::Unauthorized.into_response();
    }
    let wanted = match request.method().is_safe() {
        true => request.uri().path_and_query().map_or("/", |wanted| wanted.as_str()),
        // What was posted is lost with the session: come back to the start rather than to a 405.
        false => "/",
    };
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", wanted).finish();
    Redirect::to(&format!("/auth/sign-in?{query}")).into_response()
}
