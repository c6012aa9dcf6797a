//! `/api/v1/audit`: the audit log for a SIEM, complete and in order.
//!
//! Ids of events order by time, and the time of an event is not that of its commit: whoever went on after the last id
//! could miss one that was committed late. So an event gets its place when it is first read here, and cursors are places.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use store::models::{AuditEvent, is_id};
use store::{Conn, DbError, to_end, write_transaction};
use url::form_urlencoded;
use utoipa::ToSchema;

use super::caller::AuditReader;
use crate::error::AppError;
use crate::observe::audit_log::AuditRecord;
use crate::state::AppState;
use crate::web::middleware::error_page::Problem;

/// Events of a page, and at most.
const PER_PAGE: (i64, i64) = (200, 1000);

/// A part of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditFeed {
    /// In the order of the log.
    items: Vec<AuditRecord>,
    /// Address of the next page; `null` when these are the latest events.
    #[schema(required)]
    next: Option<String>,
    /// Goes on after these events, now or later: for the parameter `after`.
    after: String,
}

/// The audit log from its begin, or on after an event: for administrators, and for programs with the app role
/// `AuditLog.Read.All`.
///
/// Keep `after` of the last answer and go on with it: no event is missed and none comes twice, however many instances
/// write at the same time. Events of one instant may come in another order than that of their times.
///
/// # Errors
/// 400 for a parameter that makes no sense, 403 without the role, 503 without the database.
#[utoipa::path(
    get,
    path = "/api/v1/audit",
    tag = "Audit log",
    params(
        ("after" = Option<String>, Query, description = "From `after` of an answer, or the id of an event; empty: from the begin"),
        ("per_page" = Option<u32>, Query, description = "1 to 1000; 200 by default"),
    ),
    responses(
        (status = 200, description = "Events, oldest first", body = AuditFeed),
        (status = "4XX", description = "A bad parameter, no good access token, or no right to read the audit log",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(
    _reader: AuditReader,
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Json<AuditFeed>, AppError> {
    let Query { after, per_page } = Query::parse(query.as_deref().unwrap_or_default())?;
    let mut conn = state.db.conn().await?;
    let after = place_of(&state, &mut conn, &after).await?;
    // One more tells whether there is a next page.
    let wanted = per_page + 1;
    let mut events = AuditEvent::list_in_feed(&mut conn, after, wanted).await?;
    drop(conn);
    let missing = wanted - i64::try_from(events.len()).unwrap_or_default();
    if missing > 0 && place(&state, missing).await? > 0 {
        let mut conn = state.db.conn().await?;
        events = AuditEvent::list_in_feed(&mut conn, after, wanted).await?;
    }
    let has_next = i64::try_from(events.len()).unwrap_or_default() == wanted;
    events.truncate(usize::try_from(per_page).unwrap_or_default());
    let after = events.last().map_or(after, |(place, _)| *place).to_string();
    let next = has_next.then(|| {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("after", &after)
            .append_pair("per_page", &per_page.to_string())
            .finish();
        state.config.public_url.with_path(&format!("/api/v1/audit?{query}"))
    });
    let items = events.into_iter().map(|(_, event)| event.into()).collect();
    Ok(Json(AuditFeed { items, next, after }))
}

/// Gives events without a place theirs; how many.
async fn place(state: &AppState, limit: i64) -> Result<usize, DbError> {
    let state = state.clone();
    to_end(async move {
        let mut conn = state.db.conn().await?;
        Ok(write_transaction!(conn, async |conn| AuditEvent::place_in_feed(conn, limit).await)?)
    })
    .await
}

/// What was asked for.
struct Query {
    after: String,
    per_page: i64,
}

impl Query {
    fn parse(text: &str) -> Result<Self, AppError> {
        let mut query = Self { after: String::new(), per_page: PER_PAGE.0 };
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match name.as_ref() {
                "after" => query.after = value.into_owned(),
                "per_page" => {
                    let number = value.parse().ok().filter(|number| (1..=PER_PAGE.1).contains(number));
                    let refused = || AppError::bad_request("The parameter per_page is to be a number from 1 to 1000.");
                    query.per_page = number.ok_or_else(refused)?;
                }
                _ => {}
            }
        }
        Ok(query)
    }
}

/// A cursor is a place; an event's id stands for the place of the event.
async fn place_of(state: &AppState, conn: &mut Conn, after: &str) -> Result<i64, AppError> {
    if !is_id(after) {
        let place = if after.is_empty() { Some(0) } else { after.parse().ok().filter(|place: &i64| *place >= 0) };
        return place
            .ok_or_else(|| AppError::bad_request("The parameter after is neither a cursor nor an event's id."));
    }
    let unknown = || AppError::bad_request("There is no event with this id, or no longer: start again without after.");
    let id = after.to_ascii_lowercase();
    loop {
        if let Some(place) = AuditEvent::find_place(conn, &id).await?.ok_or_else(unknown)? {
            return Ok(place);
        }
        // Known from elsewhere, and read by nobody here yet.
        place(state, PER_PAGE.1).await?;
    }
}
