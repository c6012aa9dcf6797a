//! The audit log: append-only, newest first.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::{event_id, first_event_id};
use crate::db::schema::audit_events;
use crate::db::{Backend, DbConn, Prepare, RunQueryDsl, StoredTime};

/// An event, as stored.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_events)]
pub struct AuditEvent {
    /// UUID of version 7, made from the time of the event: its order is the order of time.
    pub id: String,
    /// When.
    #[diesel(deserialize_as = StoredTime)]
    pub at: NaiveDateTime,
    /// What: `sign_in.succeeded`.
    pub kind: String,
    /// Who did it.
    pub actor_id: Option<String>,
    /// Their name then; `system` for jobs, `command line` for commands.
    pub actor_name: String,
    /// On whom.
    pub subject_id: Option<String>,
    /// Their name then.
    pub subject_name: String,
    /// Client address.
    pub address: String,
    /// Request id.
    pub request_id: String,
    /// Further facts: a JSON object of texts, never a secret.
    pub detail: String,
}

/// An event to append.
#[derive(Clone, Debug, Default)]
pub struct NewAuditEvent {
    /// What: `sign_in.succeeded`.
    pub kind: &'static str,
    /// Who did it: id and name.
    pub actor: Option<(String, String)>,
    /// On whom: id and name.
    pub subject: Option<(String, String)>,
    /// Client address.
    pub address: String,
    /// Request id.
    pub request_id: String,
    /// Further facts: name and value.
    pub detail: Vec<(&'static str, String)>,
}

impl NewAuditEvent {
    /// Appends it.
    ///
    /// # Errors
    /// From the database.
    pub async fn insert(self, conn: &mut DbConn, now: NaiveDateTime) -> QueryResult<()> {
        let (actor_id, actor_name) = split(self.actor);
        let (subject_id, subject_name) = split(self.subject);
        let detail: serde_json::Map<String, serde_json::Value> =
            self.detail.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let row = AuditEvent {
            id: event_id(now),
            at: now,
            kind: self.kind.to_owned(),
            actor_id,
            actor_name,
            subject_id,
            subject_name,
            address: self.address,
            request_id: self.request_id,
            detail: serde_json::Value::Object(detail).to_string(),
        };
        diesel::insert_into(audit_events::table).values(&row).prepared().execute(conn).await?;
        Ok(())
    }
}

/// Before and after of what an event changed: `member → guest`.
#[must_use]
pub fn changed_from(before: &str, after: &str) -> String {
    let shown = |value: &str| if value.is_empty() { "nothing".to_owned() } else { value.to_owned() };
    format!("{} → {}", shown(before), shown(after))
}

fn split(who: Option<(String, String)>) -> (Option<String>, String) {
    match who {
        Some((id, name)) => (Some(id), name),
        None => (None, String::new()),
    }
}

/// Which events a list shows.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Exactly this kind.
    pub kind: Option<String>,
    /// Who did it: an id, or a name as it was then, in any case.
    pub actor: Option<String>,
    /// On whom, in the same way.
    pub subject: Option<String>,
    /// Not before.
    pub from: Option<NaiveDateTime>,
    /// Before.
    pub to: Option<NaiveDateTime>,
}

diesel::define_sql_function! {
    /// Lower case, of ASCII letters at least.
    fn lower(text: diesel::sql_types::Text) -> diesel::sql_types::Text;
}

/// A query for events.
pub type EventQuery = audit_events::BoxedQuery<'static, Backend>;

/// Each filter is an index whose last column is the id, and a time is a range of ids: no list reads
/// more than its page, however long the log is.
fn filtered(filter: &AuditFilter) -> EventQuery {
    let mut query = audit_events::table.into_boxed();
    if let Some(kind) = &filter.kind {
        query = query.filter(audit_events::kind.eq(kind.clone()));
    }
    if let Some(actor) = &filter.actor {
        query = match is_id(actor) {
            true => query.filter(audit_events::actor_id.eq(actor.to_ascii_lowercase())),
            false => query.filter(lower(audit_events::actor_name).eq(lower(actor.clone()))),
        };
    }
    if let Some(subject) = &filter.subject {
        query = match is_id(subject) {
            true => query.filter(audit_events::subject_id.eq(subject.to_ascii_lowercase())),
            false => query.filter(lower(audit_events::subject_name).eq(lower(subject.clone()))),
        };
    }
    if let Some(from) = filter.from {
        query = query.filter(audit_events::id.ge(first_event_id(from)));
    }
    if let Some(to) = filter.to {
        query = query.filter(audit_events::id.lt(first_event_id(to)));
    }
    query
}

fn is_id(text: &str) -> bool {
    uuid::Uuid::parse_str(text).is_ok()
}

impl AuditEvent {
    /// Up to `limit` events that fit, newest first, before the id `before`.
    ///
    /// # Errors
    /// From the database.
    pub async fn list(
        conn: &mut DbConn,
        filter: &AuditFilter,
        before: Option<&str>,
        limit: i64,
    ) -> QueryResult<Vec<Self>> {
        Self::page(filter, before, limit).select(Self::as_select()).load(conn).await
    }

    /// The query of [`Self::list`].
    #[must_use]
    pub fn page(filter: &AuditFilter, before: Option<&str>, limit: i64) -> EventQuery {
        let mut query = filtered(filter);
        if let Some(before) = before {
            query = query.filter(audit_events::id.lt(before.to_owned()));
        }
        query.order(audit_events::id.desc()).limit(limit)
    }

    /// Up to `limit` events on a user, newest first.
    ///
    /// # Errors
    /// From the database.
    pub async fn list_by_subject(conn: &mut DbConn, subject_id: &str, limit: i64) -> QueryResult<Vec<Self>> {
        audit_events::table
            .filter(audit_events::subject_id.eq(subject_id))
            .order(audit_events::id.desc())
            .limit(limit)
            .select(Self::as_select())
            .load(conn)
            .await
    }

    /// How many events of exactly this kind there were in `[from, to)`.
    ///
    /// # Errors
    /// From the database.
    pub async fn count_kind(conn: &mut DbConn, kind: &str, from: NaiveDateTime, to: NaiveDateTime) -> QueryResult<i64> {
        audit_events::table
            .filter(audit_events::kind.eq(kind))
            .filter(audit_events::id.ge(first_event_id(from)).and(audit_events::id.lt(first_event_id(to))))
            .count()
            .get_result(conn)
            .await
    }

    /// Deletes up to `limit` events from before `before`.
    ///
    /// # Errors
    /// From the database.
    pub async fn purge(conn: &mut DbConn, before: NaiveDateTime, limit: i64) -> QueryResult<usize> {
        let ids: Vec<String> = audit_events::table
            .filter(audit_events::id.lt(first_event_id(before)))
            .select(audit_events::id)
            .order(audit_events::id)
            .limit(limit)
            .load(conn)
            .await?;
        diesel::delete(audit_events::table.filter(audit_events::id.eq_any(ids))).execute(conn).await
    }
}
