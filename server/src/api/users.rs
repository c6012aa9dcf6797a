//! `/api/v1/me` and `/api/v1/users`.

use app::model::UserQuery;
use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::header::LINK;
use axum::response::{IntoResponse as _, Response};
use entra::graph::Manager;
use serde::Serialize;
use store::models::User;
use store::rfc3339;
use url::form_urlencoded;
use utoipa::ToSchema;

use super::caller::{Person, Presented, UserReader};
use super::on_behalf_of;
use crate::error::AppError;
use crate::people::user_list::UserList;
use crate::state::AppState;
use crate::web::middleware::error_page::Problem;

/// A user, as synced at the last sign-in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserResource {
    /// Id in this application, a UUID.
    id: String,
    /// Tenant id; the issuer with another provider than Entra.
    realm: String,
    /// Object id in the tenant; the subject with another provider.
    subject: String,
    /// User principal name; for display, not an identity.
    upn: String,
    /// Display name; may be empty.
    name: String,
    /// E-mail address; may be empty, and not an identity.
    email: String,
    /// Given name; may be empty.
    given_name: String,
    /// Family name; may be empty.
    family_name: String,
    /// Job title; may be empty.
    job_title: String,
    /// Department; may be empty.
    department: String,
    /// `member` or `guest`.
    #[serde(rename = "type")]
    #[schema(pattern = "^(member|guest)$")]
    user_type: String,
    /// `active` or `disabled`.
    #[schema(pattern = "^(active|disabled)$")]
    status: String,
    /// Roles in this application.
    roles: Vec<String>,
    /// First sign-in (RFC 3339, UTC).
    #[schema(format = DateTime)]
    created_at: String,
    /// Last sign-in (RFC 3339, UTC).
    #[schema(format = DateTime)]
    last_sign_in_at: String,
}

impl From<User> for UserResource {
    fn from(user: User) -> Self {
        Self {
            roles: user.role_names().map(str::to_owned).collect(),
            created_at: rfc3339(user.created_at),
            last_sign_in_at: rfc3339(user.last_sign_in_at),
            id: user.id,
            realm: user.realm,
            subject: user.subject,
            upn: user.upn,
            name: user.display_name,
            email: user.email,
            given_name: user.given_name,
            family_name: user.family_name,
            job_title: user.job_title,
            department: user.department,
            user_type: user.user_type,
            status: user.status,
        }
    }
}

/// A page of users.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserPage {
    /// In the order asked for.
    items: Vec<UserResource>,
    /// Address of the next page; also in the header `Link`.
    #[schema(required)]
    next: Option<String>,
    /// Address of the page before.
    #[schema(required)]
    prev: Option<String>,
}

/// The person on whose behalf the call is made.
///
/// # Errors
/// 403 with an application's own token: there is no person.
#[utoipa::path(
    get,
    path = "/api/v1/me",
    tag = "Users",
    responses(
        (status = 200, description = "The person", body = UserResource),
        (status = "4XX", description = "No good access token, or not for a person known here", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub async fn me(Person(user): Person) -> Json<UserResource> {
    Json(user.into())
}

/// A manager, as Microsoft Graph tells.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Manager)]
pub struct ManagerResource {
    /// Object id in the directory.
    id: String,
    /// Display name; may be empty.
    name: String,
}

/// The answer about a manager.
#[derive(Debug, Serialize, ToSchema)]
pub struct ManagerAnswer {
    /// `null` when the person has none.
    #[schema(required)]
    manager: Option<ManagerResource>,
}

/// The manager of the person on whose behalf the call is made, read from Microsoft Graph on their behalf.
///
/// # Errors
/// 401 when the provider wants to see them, 503 when it or Graph does not answer.
#[utoipa::path(
    get,
    path = "/api/v1/me/manager",
    tag = "Users",
    responses(
        (status = 200, description = "The manager", body = ManagerAnswer),
        (status = "4XX", description = "No good access token, or no permission of Graph's", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub async fn my_manager(
    _: Person,
    State(state): State<AppState>,
    presented: Presented,
) -> Result<Json<ManagerAnswer>, AppError> {
    let (graph, token) = on_behalf_of::graph(&state, &presented).await?;
    let manager = graph.manager(&token).await.map_err(|error| on_behalf_of::graph_refusal(&error))?;
    let resource =
        |manager: Manager| ManagerResource { id: manager.id, name: manager.display_name.unwrap_or_default() };
    Ok(Json(ManagerAnswer { manager: manager.map(resource) }))
}

/// The users, in pages: for administrators, and for programs with the app role `Users.Read.All`. A program reads the
/// people of its own tenant, unless `API_CROSS_TENANT_APPS` lists it.
///
/// # Errors
/// 400 for a parameter that makes no sense, 403 without the role, 503 without the database.
#[utoipa::path(
    get,
    path = "/api/v1/users",
    tag = "Users",
    params(
        ("q" = Option<String>, Query, description = "Words that occur in UPN, name or e-mail, or an object id"),
        ("status" = Option<String>, Query, description = "`active` or `disabled`"),
        ("type" = Option<String>, Query, description = "`member` or `guest`"),
        ("role" = Option<String>, Query, description = "A role in this application"),
        ("sort" = Option<String>, Query, description = "`upn`, `name`, `email`, `last_sign_in` or `created`"),
        ("dir" = Option<String>, Query, description = "`asc` or `desc`"),
        ("per_page" = Option<u32>, Query, description = "10 to 200; 50 by default"),
        ("after" = Option<String>, Query, description = "From a `next` link: opaque"),
        ("before" = Option<String>, Query, description = "From a `prev` link: opaque"),
        ("end" = Option<String>, Query, description = "`1`: the last page"),
    ),
    responses(
        (status = 200, description = "A page of users; `Link` (RFC 8288) leads to the next and the one before",
            body = UserPage),
        (status = "4XX", description = "A bad parameter, no good access token, or no right to read the users",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(
    UserReader { tenant }: UserReader,
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Response, AppError> {
    let query = checked(query.as_deref().unwrap_or_default())?;
    let list = UserList::of(&query).ok_or(AppError::bad_request("The cursor belongs to another list or order."))?;
    let mut conn = state.db.conn().await?;
    let window = list.within(tenant.as_deref()).window(&mut conn).await?;
    let link =
        |query: UserQuery| state.config.public_url.with_path(&format!("/api/v1/users?{}", query.to_query_string()));
    let page = UserPage {
        items: window.users.into_iter().map(UserResource::from).collect(),
        next: window.next.map(|cursor| link(query.page_after(&cursor))),
        prev: window.prev.map(|cursor| link(query.page_before(&cursor))),
    };
    let mut response = Json(&page).into_response();
    if let Some(header) = link_header(&page) {
        response.headers_mut().insert(LINK, header);
    }
    Ok(response)
}

/// Where a page of the site falls back and says so, a program is told what is wrong.
fn checked(text: &str) -> Result<UserQuery, AppError> {
    let query = UserQuery::parse(text);
    if query.notices.is_empty() {
        return Ok(query);
    }
    let makes_no_sense = |name: &str, value: &str| {
        let alone = form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
        !UserQuery::parse(&alone).notices.is_empty()
    };
    let name = form_urlencoded::parse(text.as_bytes()).find(|(name, value)| makes_no_sense(name, value));
    Err(AppError::bad_request(match name {
        Some((name, _)) => format!("The parameter {name} has a value that is not allowed."),
        None => "Only one of the parameters after, before and end is allowed.".to_owned(),
    }))
}

/// RFC 8288, section 3.
fn link_header(page: &UserPage) -> Option<axum::http::HeaderValue> {
    let links = [("next", &page.next), ("prev", &page.prev)];
    let links =
        links.into_iter().filter_map(|(relation, link)| Some(format!("<{}>; rel=\"{relation}\"", link.as_ref()?)));
    let links: Vec<String> = links.collect();
    axum::http::HeaderValue::try_from(links.join(", ")).ok().filter(|value| !value.is_empty())
}
