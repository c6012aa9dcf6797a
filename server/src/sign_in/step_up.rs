//! Step-up: routes that need a fresher or a stronger sign-in than the session has.
//!
//! ```
//! use std::time::Duration;
//!
//! use server::session::access::SignedIn;
//! use server::sign_in::step_up::Need;
//! use server::state::AppState;
//! use server::web::group::{Group, Routes};
//!
//! fn payroll(state: &AppState) -> Routes {
//!     let need = Need::fresh_sign_in(Duration::from_secs(15 * 60)).and_auth_context("c1");
//!     Group::new().get("/payroll", async |_: SignedIn| "salaries").step_up(state, need).guarded(state)
//! }
//! ```
//!
//! Whoever lacks what is needed signs in again with that wish (`max_age` and `prompt=login`, OpenID Connect Core
//! 1.0, section 3.1.2.1; an authentication context, Microsoft identity platform, "Developer guide to Conditional
//! Access authentication context"), the verified ID token proves it, and they come back. A program gets the challenge
//! of RFC 9470. Nothing is repeated by itself: a token that lacks the proof ends on the page that says so.
//!
//! A form post is taken up again as a `GET` of the same address with the form's fields, without `csrf` and `confirm`,
//! as the query: such a route answers `GET` with the question whether to do it. Its fields must be no secrets.

use std::time::Duration;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, WWW_AUTHENTICATE};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Redirect, Response};
use chrono::{DateTime, Utc};
use url::form_urlencoded;

use crate::config::AdminActsConfig;
use crate::error::AppError;
use crate::error::accept::is_program;
use crate::session::current_user::CurrentUser;
use crate::session::guard::safe_next;
use crate::session::store::SignInDetails;
use crate::state::AppState;

/// The largest form that is taken up again; larger ones are begun anew.
const MAX_FORM: usize = 16 * 1024;

/// Fields that belong to one session or one moment.
const NOT_RESUMED: [&str; 2] = ["csrf", "confirm"];

/// What a request needs of the sign-in behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Need {
    max_age: Option<Duration>,
    auth_context: Option<String>,
}

impl Need {
    /// A sign-in that is at most `max_age` old. One of unknown age does not do.
    #[must_use]
    pub fn fresh_sign_in(max_age: Duration) -> Self {
        Self { max_age: Some(max_age), auth_context: None }
    }

    /// A sign-in that proved an authentication context, such as one that asks for multi-factor authentication: an
    /// Entra context (`c1`), or a value of `acr` with another provider.
    #[must_use]
    pub fn auth_context(context: impl Into<String>) -> Self {
        Self { max_age: None, auth_context: Some(context.into()) }
    }

    /// Both: this, and an authentication context.
    #[must_use]
    pub fn and_auth_context(self, context: impl Into<String>) -> Self {
        Self { auth_context: Some(context.into()), ..self }
    }

    /// Whether `signed_in` is enough at the time `now`.
    #[must_use]
    pub fn is_met(&self, signed_in: &SignInDetails, now: DateTime<Utc>) -> bool {
        let age = signed_in.authenticated_at().map(|at| (now - at).to_std().unwrap_or_default());
        let is_fresh = self.max_age.is_none_or(|most| age.is_some_and(|age| age <= most));
        let is_strong = self.auth_context.as_ref().is_none_or(|context| signed_in.auth_contexts.contains(context));
        is_fresh && is_strong
    }

    /// The sign-in page that asks for it and leads to `next` afterwards.
    #[must_use]
    pub fn sign_in_path(&self, next: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("next", next);
        if let Some(age) = self.max_age {
            query.append_pair("max_age", &age.as_secs().to_string());
        }
        if let Some(context) = &self.auth_context {
            query.append_pair("auth_context", context);
        }
        format!("/auth/sign-in?{}", query.finish())
    }

    /// 401 with what is needed (RFC 9470, section 3).
    fn challenge(&self) -> Response {
        let mut challenge = "Bearer error=\"insufficient_user_authentication\"".to_owned();
        if let Some(context) = self.auth_context.as_ref().filter(|context| !context.contains(['"', '\\'])) {
            challenge.push_str(&format!(", acr_values=\"{context}\""));
        }
        if let Some(age) = self.max_age {
            challenge.push_str(&format!(", max_age=\"{}\"", age.as_secs()));
        }
        let mut response = AppError::Unauthorized.into_response();
        if let Ok(challenge) = challenge.parse() {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl From<&AdminActsConfig> for Need {
    fn from(config: &AdminActsConfig) -> Self {
        Self { max_age: config.sign_in_max_age, auth_context: config.auth_context.clone() }
    }
}

/// `routes`, for people whose sign-in meets `need`. The routes need a sign-in anyway.
pub fn require(state: &AppState, need: Need, routes: Router<AppState>) -> Router<AppState> {
    routes.route_layer(from_fn_with_state((state.clone(), need), check))
}

async fn check(
    State((state, need)): State<(AppState, Need)>,
    request: Request,
    next: Next,
) -> Result<Response, AppError> {
    let viewer = request.extensions().get::<CurrentUser>().ok_or(AppError::Unauthorized)?;
    if need.is_met(&viewer.signed_in, state.shared_now().and_utc()) {
        return Ok(next.run(request).await);
    }
    if is_program(request.uri().path(), request.headers().get_all(ACCEPT)) {
        return Ok(need.challenge());
    }
    let wanted = resume_at(request).await;
    Ok(Redirect::to(&need.sign_in_path(&wanted)).into_response())
}

/// Where to go on: the page, or the question that a form post is taken up with.
async fn resume_at(request: Request) -> String {
    if request.method().is_safe() {
        return safe_next(request.uri().path_and_query().map(|wanted| wanted.as_str()));
    }
    let path = request.uri().path().to_owned();
    let form = to_bytes(request.into_body(), MAX_FORM).await.unwrap_or_default();
    match safe_next(Some(&with_fields(&path, &form))) {
        // Too long to travel along: the form is begun anew.
        home if home == "/" => safe_next(Some(&path)),
        next => next,
    }
}

fn with_fields(path: &str, form: &Bytes) -> String {
    let fields = form_urlencoded::parse(form).filter(|(name, _)| !NOT_RESUMED.contains(&name.as_ref()));
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}
