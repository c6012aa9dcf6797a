//! What administrators do: each act is a form post that is checked, recorded and answered by 303.
//! An act that takes something away asks first, unless the form says `confirm=yes`.

use app::questions;
use axum::response::Response;
use store::models::{Grant, User};

use crate::diagnostics::examination;
use crate::diagnostics::findings::Level;
use crate::error::AppError;
use crate::people::actor;
use crate::people::acts::{self, Act};
use crate::people::erasure::{self, Inventory};
use crate::session::access::Admin;
use crate::tokens::{RefreshOutcome, refresh_grant};
use crate::web::act_request::{ActRequest, Question, target};
use crate::web::cookies::Notice;
use crate::web::reply::{RowId, redirect_with};

const HEALTH: &str = "/admin/health";

fn user_path(id: &str) -> String {
    format!("/admin/users/{id}")
}

/// `POST /admin/users/{id}/disable`; `GET` asks only.
///
/// # Errors
/// 404 for an unknown user, 400 for a form that is not from this session.
pub async fn disable_user(RowId(id): RowId, request: ActRequest<Admin>) -> Result<Response, AppError> {
    let user = request.user(&id).await?;
    if request.is_confirmed() {
        return request.run(Act::Disable { user_id: id.clone() }, &user_path(&id)).await;
    }
    request.confirm(&Question {
        title: questions::DISABLE.title,
        target: target(&user),
        lists: &[],
        consequences: questions::DISABLE.consequences,
        action: &format!("/admin/users/{id}/disable"),
        fields: &[],
        button: "Disable",
        cancel: &user_path(&id),
    })
}

/// `POST /admin/users/{id}/delete`: forgets the person; `GET` asks only.
///
/// # Errors
/// As [`disable_user`].
pub async fn erase_user(RowId(id): RowId, request: ActRequest<Admin>) -> Result<Response, AppError> {
    let user = request.user(&id).await?;
    if request.is_confirmed() {
        return request.run(Act::Erase { user_id: id.clone() }, "/admin/users").await;
    }
    let mut conn = request.state.db.conn().await?;
    let found = Inventory::of(&mut conn, &id).await?;
    drop(conn);
    let consequences = what_goes(&found, &id, request.state.config.sync.create_new_users);
    request.confirm(&Question {
        title: "Erase this user?",
        target: target(&user),
        lists: &[],
        consequences: &consequences.iter().map(String::as_str).collect::<Vec<_>>(),
        action: &format!("/admin/users/{id}/delete"),
        fields: &[],
        button: "Erase",
        cancel: &user_path(&id),
    })
}

/// The dry run of an erasure.
fn what_goes(found: &Inventory, user_id: &str, may_come_back: bool) -> Vec<String> {
    let counted = |count: usize, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    };
    let photo = if found.has_photo { "their photo" } else { "no photo" };
    vec![
        "Their profile, their claims and their place in the search are deleted.".to_owned(),
        format!(
            "So are {}, {}, {}, {}, {} and {} from Microsoft Graph.",
            counted(found.sessions, "session", "sessions"),
            counted(found.grants, "token", "tokens"),
            counted(found.groups, "group membership", "group memberships"),
            counted(found.roles, "role", "roles"),
            photo,
            counted(found.graph_parts, "other record", "other records"),
        ),
        format!(
            "The audit log keeps {} about them and replaces their name and address with {}.",
            counted(found.events, "event", "events"),
            erasure::pseudonym(user_id),
        ),
        match may_come_back {
            true => "This cannot be undone. If they sign in again, they start over as a new user.",
            false => "This cannot be undone.",
        }
        .to_owned(),
    ]
}

/// `POST /admin/users/{id}/enable`.
///
/// # Errors
/// As [`disable_user`].
pub async fn enable_user(RowId(id): RowId, request: ActRequest<Admin>) -> Result<Response, AppError> {
    let user = request.user(&id).await?;
    request.run(Act::Enable { user_id: user.id }, &user_path(&id)).await
}

/// `POST /admin/users/{id}/sign-out`: ends all their sessions.
///
/// # Errors
/// As [`disable_user`].
pub async fn sign_out_user(RowId(id): RowId, request: ActRequest<Admin>) -> Result<Response, AppError> {
    let user = request.user(&id).await?;
    if request.is_confirmed() {
        return request.run(Act::SignOut { user_id: id.clone() }, &user_path(&id)).await;
    }
    request.confirm(&Question {
        title: questions::SIGN_OUT.title,
        target: target(&user),
        lists: &[],
        consequences: questions::SIGN_OUT.consequences,
        action: &format!("/admin/users/{id}/sign-out"),
        fields: &[],
        button: "Sign out",
        cancel: &user_path(&id),
    })
}

/// `POST /admin/users/{id}/roles` with `role` and `action` = `grant` or `revoke`; `GET` asks only.
///
/// # Errors
/// As [`disable_user`]; 400 for an unknown role or action.
pub async fn change_role(RowId(id): RowId, request: ActRequest<Admin>) -> Result<Response, AppError> {
    let user = request.user(&id).await?;
    let role = request.form.get("role").to_owned();
    let mut conn = request.state.db.conn().await?;
    let known = acts::known_roles(&request.state, &mut conn).await?;
    drop(conn);
    if !known.contains(&role) {
        return Err(AppError::bad_request("There is no such role."));
    }
    match request.form.get("action") {
        "grant" if request.only_asks => request.confirm(&Question {
            title: "Grant this role?",
            target: target(&user),
            lists: &[],
            consequences: &[&format!("They have the role {role} from their next request on.")],
            action: &format!("/admin/users/{id}/roles"),
            fields: &[("role", &role), ("action", "grant")],
            button: "Grant",
            cancel: &user_path(&id),
        }),
        "grant" => request.run(Act::GrantRole { user_id: id.clone(), role }, &user_path(&id)).await,
        "revoke" if request.is_confirmed() => {
            request.run(Act::RevokeRole { user_id: id.clone(), role }, &user_path(&id)).await
        }
        "revoke" => request.confirm(&Question {
            title: questions::REVOKE.title,
            target: target(&user),
            lists: &[],
            consequences: questions::REVOKE.consequences,
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
pub async fn end_session(RowId(id): RowId, request: ActRequest<Admin>) -> Result<Response, AppError> {
    request.run(Act::EndSession { session_id: id, only_of: None }, "/admin/sessions").await
}

/// `POST /admin/grants/{id}/refresh`: refreshes the tokens now.
///
/// # Errors
/// 404 for an unknown grant.
pub async fn refresh_now(RowId(id): RowId, request: ActRequest<Admin>) -> Result<Response, AppError> {
    let state = &request.state;
    let mut conn = state.db.conn().await?;
    let grant = Grant::find(&mut conn, &id).await?.ok_or(AppError::NotFound)?;
    drop(conn);
    let user_id = grant.user_id.clone();
    let notice = match refresh_grant(state, grant).await? {
        RefreshOutcome::Refreshed => Notice::GrantRefreshed,
        _ => Notice::GrantNotRefreshed,
    };
    let detail = vec![("result", notice.code().to_owned())];
    actor::record(state, request.by(), "grant.refreshed", Some(&user_id), detail).await?;
    Ok(redirect_with(state, "/admin/grants", notice))
}

/// `POST /admin/grants/{id}/forget`.
///
/// # Errors
/// 404 for an unknown grant.
pub async fn forget_grant(RowId(id): RowId, request: ActRequest<Admin>) -> Result<Response, AppError> {
    if request.is_confirmed() {
        return request.run(Act::ForgetGrant { grant_id: id }, "/admin/grants").await;
    }
    let mut conn = request.state.db.conn().await?;
    let grant = Grant::find(&mut conn, &id).await?.ok_or(AppError::NotFound)?;
    let user = User::find(&mut conn, &grant.user_id).await?.ok_or(AppError::NotFound)?;
    drop(conn);
    request.confirm(&Question {
        title: questions::FORGET.title,
        target: target(&user),
        lists: &[],
        consequences: questions::FORGET.consequences,
        action: &format!("/admin/grants/{id}/forget"),
        fields: &[],
        button: "Delete",
        cancel: "/admin/grants",
    })
}

/// `POST /admin/health/examine`: runs the checks of `server doctor`, if they have not just been run.
///
/// # Errors
/// From the database.
pub async fn examine_now(request: ActRequest<Admin>) -> Result<Response, AppError> {
    let (state, _, by) = request.into_parts();
    let Some(examination) = examination::examine(&state).await else {
        return Ok(redirect_with(&state, HEALTH, Notice::ExaminedJustNow));
    };
    let failed = examination.findings.iter().filter(|finding| finding.level == Level::Failure).count();
    actor::record(&state, by, "health.examined", None, vec![("failed", failed.to_string())]).await?;
    Ok(redirect_with(&state, HEALTH, Notice::Examined))
}
