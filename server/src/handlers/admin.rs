//! What administrators do: each act is a form post that is checked, recorded and answered by 303.
//! An act that takes something away asks first, unless the form says `confirm=yes`.

use askama::Template as _;
use axum::Form;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse as _, Response};
use serde::Deserialize;

use super::{frame, redirect_with};
use crate::acts::{self, Act, ActResult, By};
use crate::cookies::Notice;
use crate::error::AppError;
use crate::middleware::client::ClientInfo;
use crate::middleware::request_id::RequestId;
use crate::models::{Grant, User};
use crate::pages::ConfirmPage;
use crate::state::AppState;
use crate::tokens::{RefreshOutcome, refresh_grant};
use crate::viewer::CurrentUser;

/// The fields of an act's form.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ActForm {
    csrf: String,
    confirm: String,
    role: String,
    action: String,
}

/// An act's request: who asks, from where, with which form.
pub struct ActRequest {
    state: AppState,
    viewer: CurrentUser,
    client: ClientInfo,
    request_id: String,
    headers: HeaderMap,
    form: ActForm,
}

impl ActRequest {
    fn is_confirmed(&self) -> bool {
        self.form.confirm == "yes"
    }

    /// The application, who asks, and who acts for the audit log.
    #[must_use]
    pub fn into_parts(self) -> (AppState, CurrentUser, By) {
        let by = By {
            actor: self.viewer.audit_name(),
            address: self.client.address.to_string(),
            request_id: self.request_id,
        };
        (self.state, self.viewer, by)
    }

    /// Runs the act and goes back to `path` with what came of it.
    async fn run(self, act: Act, path: &str) -> Result<Response, AppError> {
        let (state, _, by) = self.into_parts();
        let result = acts::run(&state, act.clone(), by).await?;
        Ok(redirect_with(&state, path, notice(&act, result)))
    }

    /// The page that asks first.
    fn confirm(&self, question: &Question<'_>) -> Result<Response, AppError> {
        let csrf = self.viewer.csrf_token(&self.state);
        let page = ConfirmPage {
            frame: frame(&self.headers).with_csrf(&csrf),
            title: question.title,
            target: question.target,
            target_detail: question.detail,
            consequences: question.consequences,
            action: question.action,
            fields: question.fields,
            button: question.button,
            cancel: question.cancel,
        };
        Ok(Html(page.render()?).into_response())
    }

    async fn user(&self, id: &str) -> Result<User, AppError> {
        let mut conn = self.state.db.conn().await?;
        User::find(&mut conn, id).await?.ok_or(AppError::NotFound)
    }
}

struct Question<'a> {
    title: &'a str,
    target: &'a str,
    detail: &'a str,
    consequences: &'a [&'a str],
    action: &'a str,
    fields: &'a [(&'a str, &'a str)],
    button: &'a str,
    cancel: &'a str,
}

fn notice(act: &Act, result: ActResult) -> Notice {
    match (result, act) {
        (ActResult::Unchanged, _) => Notice::NothingChanged,
        (ActResult::NotOneself, _) => Notice::NotOneself,
        (ActResult::LastAdministrator, _) => Notice::LastAdministrator,
        (ActResult::FromProvider, _) => Notice::FromProvider,
        (ActResult::Done, Act::Disable { .. }) => Notice::UserDisabled,
        (ActResult::Done, Act::Enable { .. }) => Notice::UserEnabled,
        (ActResult::Done, Act::SignOut { .. }) => Notice::UserSignedOut,
        (ActResult::Done, Act::GrantRole { .. }) => Notice::RoleGranted,
        (ActResult::Done, Act::RevokeRole { .. }) => Notice::RoleRevoked,
        (ActResult::Done, Act::EndSession { .. }) => Notice::SessionEnded,
        (ActResult::Done, Act::ForgetGrant { .. }) => Notice::GrantForgotten,
    }
}

impl axum::extract::FromRequest<AppState> for ActRequest {
    type Rejection = AppError;

    /// Checks the form's token before anything is looked at.
    async fn from_request(request: axum::extract::Request, state: &AppState) -> Result<Self, AppError> {
        use axum::extract::FromRequestParts as _;
        let (mut parts, body) = request.into_parts();
        let viewer = CurrentUser::from_request_parts(&mut parts, state).await?;
        let missing = || AppError::internal("the request has not been identified");
        let client = parts.extensions.get::<ClientInfo>().cloned().ok_or_else(missing)?;
        let RequestId(request_id) = parts.extensions.get::<RequestId>().cloned().ok_or_else(missing)?;
        let headers = parts.headers.clone();
        let request = axum::extract::Request::from_parts(parts, body);
        let Form(form) = Form::<ActForm>::from_request(request, state).await?;
        viewer.check_csrf(state, &form.csrf)?;
        Ok(Self { state: state.clone(), viewer, client, request_id, headers, form })
    }
}

fn user_path(id: &str) -> String {
    format!("/admin/users/{id}")
}

/// `POST /admin/users/{id}/disable`.
///
/// # Errors
/// 404 for an unknown user, 400 for a form that is not from this session.
pub async fn disable_user(Path(id): Path<String>, request: ActRequest) -> Result<Response, AppError> {
    let user = request.user(&id).await?;
    if request.is_confirmed() {
        return request.run(Act::Disable { user_id: id.clone() }, &user_path(&id)).await;
    }
    request.confirm(&Question {
        title: "Disable this user?",
        target: user.name(),
        detail: &user.upn,
        consequences: &[
            "Their sessions end at once, on every device.",
            "The tokens that this application holds for them are forgotten.",
            "They cannot sign in here until somebody enables them again.",
        ],
        action: &format!("/admin/users/{id}/disable"),
        fields: &[],
        button: "Disable",
        cancel: &user_path(&id),
    })
}

/// `POST /admin/users/{id}/enable`.
///
/// # Errors
/// As [`disable_user`].
pub async fn enable_user(Path(id): Path<String>, request: ActRequest) -> Result<Response, AppError> {
    let user = request.user(&id).await?;
    request.run(Act::Enable { user_id: user.id }, &user_path(&id)).await
}

/// `POST /admin/users/{id}/sign-out`: ends all their sessions.
///
/// # Errors
/// As [`disable_user`].
pub async fn sign_out_user(Path(id): Path<String>, request: ActRequest) -> Result<Response, AppError> {
    let user = request.user(&id).await?;
    if request.is_confirmed() {
        return request.run(Act::SignOut { user_id: id.clone() }, &user_path(&id)).await;
    }
    request.confirm(&Question {
        title: "Sign this user out everywhere?",
        target: user.name(),
        detail: &user.upn,
        consequences: &[
            "Their sessions end at once, on every device.",
            "The tokens that this application holds for them are forgotten.",
            "They may sign in again.",
        ],
        action: &format!("/admin/users/{id}/sign-out"),
        fields: &[],
        button: "Sign out",
        cancel: &user_path(&id),
    })
}

/// `POST /admin/users/{id}/roles` with `role` and `action` = `grant` or `revoke`.
///
/// # Errors
/// As [`disable_user`]; 400 for an unknown role or action.
pub async fn change_role(Path(id): Path<String>, request: ActRequest) -> Result<Response, AppError> {
    let user = request.user(&id).await?;
    let role = request.form.role.clone();
    if !acts::known_roles(&request.state).contains(&role) {
        return Err(AppError::bad_request("There is no such role."));
    }
    match request.form.action.as_str() {
        "grant" => request.run(Act::GrantRole { user_id: id.clone(), role }, &user_path(&id)).await,
        "revoke" if request.is_confirmed() => {
            request.run(Act::RevokeRole { user_id: id.clone(), role }, &user_path(&id)).await
        }
        "revoke" => request.confirm(&Question {
            title: "Revoke this role?",
            target: user.name(),
            detail: &user.upn,
            consequences: &["They lose the role at their next request, also where they are signed in now."],
            action: &format!("/admin/users/{id}/roles"),
            fields: &[("role", &role), ("action", "revoke")],
            button: "Revoke",
            cancel: &user_path(&id),
        }),
        _ => Err(AppError::bad_request("The action is to be grant or revoke.")),
    }
}

/// `POST /admin/sessions/{id}/end`.
///
/// # Errors
/// 400 for a form that is not from this session.
pub async fn end_session(Path(id): Path<String>, request: ActRequest) -> Result<Response, AppError> {
    request.run(Act::EndSession { session_id: id, only_of: None }, "/admin/sessions").await
}

/// `POST /admin/grants/{id}/refresh`: refreshes the tokens now.
///
/// # Errors
/// 404 for an unknown grant.
pub async fn refresh_now(Path(id): Path<String>, request: ActRequest) -> Result<Response, AppError> {
    let state = &request.state;
    let mut conn = state.db.conn().await?;
    let grant = Grant::find(&mut conn, &id).await?.ok_or(AppError::NotFound)?;
    drop(conn);
    let notice = match refresh_grant(state, grant).await? {
        RefreshOutcome::Refreshed => Notice::GrantRefreshed,
        _ => Notice::GrantNotRefreshed,
    };
    Ok(redirect_with(state, "/admin/grants", notice))
}

/// `POST /admin/grants/{id}/forget`.
///
/// # Errors
/// 404 for an unknown grant.
pub async fn forget_grant(Path(id): Path<String>, request: ActRequest) -> Result<Response, AppError> {
    if request.is_confirmed() {
        return request.run(Act::ForgetGrant { grant_id: id }, "/admin/grants").await;
    }
    let mut conn = request.state.db.conn().await?;
    let grant = Grant::find(&mut conn, &id).await?.ok_or(AppError::NotFound)?;
    let user = User::find(&mut conn, &grant.user_id).await?.ok_or(AppError::NotFound)?;
    drop(conn);
    request.confirm(&Question {
        title: "Forget these tokens?",
        target: user.name(),
        detail: &user.upn,
        consequences: &["Nothing is fetched for them until they sign in again.", "They stay signed in."],
        action: &format!("/admin/grants/{id}/forget"),
        fields: &[],
        button: "Forget",
        cancel: "/admin/grants",
    })
}
