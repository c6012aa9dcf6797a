//! Lists as files: the same filters as on the page, every row, streamed.

use app::model::{AuditQuery, UserQuery};
use app::query::sort_name;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use futures_util::{Stream, stream};
use store::models::{AuditEvent, AuditFilter, User, UserFilter, UserWindow};
use store::{Conn, rfc3339};

use crate::admin::backend::audit_filter;
use crate::error::AppError;
use crate::people::actor::{self, ActError, By};
use crate::people::user_list::user_filter;
use crate::session::access::{Admin, SessionGuard as _};
use crate::state::AppState;
use crate::web::csv_export::{Record, download};

/// Rows read at a time: what is in memory, and how long a connection is held.
const BATCH: u32 = 500;

const USER_HEADER: [&str; 12] = [
    "id",
    "user_name",
    "name",
    "email",
    "status",
    "type",
    "roles",
    "tenant",
    "object_id",
    "first_seen",
    "last_sign_in",
    "last_synced",
];

/// `GET /admin/users.csv`: the users that fit the filters of the list, in its order.
///
/// # Errors
/// 503 when the database does not answer.
pub async fn users(
    admin: Admin,
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Response, AppError> {
    let query = UserQuery::parse(query.as_deref().unwrap_or_default());
    record(&state, admin.by(), "users.exported", query.to_query_string()).await?;
    let window = UserWindow {
        sort: sort_name(query.sort),
        descending: query.descending,
        after: None,
        before: None,
        end: false,
        limit: BATCH,
    };
    let name = file_name(&state, "users");
    download(&name, &USER_HEADER, user_batches(Reader { state, by: admin.by() }, user_filter(&query), window))
}

const AUDIT_HEADER: [&str; 10] =
    ["id", "at", "action", "actor_id", "actor", "target_id", "target", "address", "request_id", "detail"];

/// `GET /admin/audit.csv`: the events that fit the filters of the log, newest first.
///
/// # Errors
/// 503 when the database does not answer.
pub async fn audit(
    admin: Admin,
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Response, AppError> {
    let query = AuditQuery::parse(query.as_deref().unwrap_or_default());
    record(&state, admin.by(), "audit.exported", query.to_query_string()).await?;
    let name = file_name(&state, "audit");
    download(&name, &AUDIT_HEADER, event_batches(Reader { state, by: admin.by() }, audit_filter(&query)))
}

/// `users-2026-11-25.csv`.
fn file_name(state: &AppState, what: &str) -> String {
    format!("{what}-{}.csv", state.shared_now().date())
}

/// An export takes personal data out of the application: who took which part is recorded first.
async fn record(state: &AppState, by: By, kind: &'static str, filters: String) -> Result<(), AppError> {
    let filters = if filters.is_empty() { "none".to_owned() } else { filters };
    Ok(actor::record(state, by, kind, None, vec![("filters", filters)]).await?)
}

/// Who reads an export, for as long as it takes.
#[derive(Clone)]
struct Reader {
    state: AppState,
    by: By,
}

impl Reader {
    /// A connection for the next batch, if they still may read it. Asked once more at the end of the last one, so that
    /// nobody gets a complete file who was disabled on the way.
    async fn conn(&self) -> Result<Conn, ActError> {
        let mut conn = self.state.db.conn().await?;
        self.by.still_may(&mut conn, self.state.live_at()).await?;
        Ok(conn)
    }
}

/// Pages of the list by key, each read when the one before has been sent; a connection is held only
/// while one is read.
fn user_batches(
    reader: Reader,
    filter: UserFilter,
    window: UserWindow,
) -> impl Stream<Item = Result<Vec<Record>, ActError>> + Send + 'static {
    stream::try_unfold(Some(window), move |window| {
        let (reader, filter) = (reader.clone(), filter.clone());
        async move {
            let mut conn = reader.conn().await?;
            let Some(window) = window else {
                return Ok(None);
            };
            let mut users = User::list(&mut conn, &filter, &window).await?;
            let has_more = users.len() > BATCH as usize;
            users.truncate(BATCH as usize);
            let after = users.last().filter(|_| has_more).map(|user| user.cursor(window.sort));
            let next = after.map(|after| UserWindow { after: Some(after), ..window });
            Ok(Some((users.into_iter().map(user_record).collect(), next)))
        }
    })
}

/// The same for the log.
fn event_batches(
    reader: Reader,
    filter: AuditFilter,
) -> impl Stream<Item = Result<Vec<Record>, ActError>> + Send + 'static {
    stream::try_unfold((None::<String>, true), move |(before, has_more)| {
        let (reader, filter) = (reader.clone(), filter.clone());
        async move {
            let mut conn = reader.conn().await?;
            if !has_more {
                return Ok(None);
            }
            let events = AuditEvent::list(&mut conn, &filter, before.as_deref(), i64::from(BATCH)).await?;
            let next = (events.last().map(|event| event.id.clone()), events.len() == BATCH as usize);
            Ok(Some((events.into_iter().map(event_record).collect(), next)))
        }
    })
}

fn event_record(event: AuditEvent) -> Record {
    vec![
        event.id,
        rfc3339(event.at),
        event.kind,
        event.actor_id.unwrap_or_default(),
        event.actor_name,
        event.subject_id.unwrap_or_default(),
        event.subject_name,
        event.address,
        event.request_id,
        event.detail,
    ]
}

fn user_record(user: User) -> Record {
    vec![
        user.id,
        user.upn,
        user.display_name,
        user.email,
        user.status,
        user.user_type,
        user.roles,
        user.realm,
        user.subject,
        rfc3339(user.created_at),
        rfc3339(user.last_sign_in_at),
        rfc3339(user.synced_at),
    ]
}
