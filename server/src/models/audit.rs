//! The audit log: append-only, newest first.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::new_id;
use crate::db::DbConn;
use crate::db::schema::audit_events;

/// An event, as stored.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_events)]
pub struct AuditEvent {
    /// UUID of version 7: orders by time.
    pub id: String,
    /// When.
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
            id: new_id(),
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
        diesel::insert_into(audit_events::table).values(&row).execute(conn).await?;
        Ok(())
    }
}

fn split(who: Option<(String, String)>) -> (Option<String>, String) {
    match who {
        Some((id, name)) => (Some(id), name),
        None => (None, String::new()),
    }
}

impl AuditEvent {
    /// Up to `limit` events, newest first, before the id `before`, whose kind starts with `kind`.
    ///
    /// # Errors
    /// From the database.
    pub async fn list(conn: &mut DbConn, kind: &str, before: Option<&str>, limit: i64) -> QueryResult<Vec<Self>> {
        let mut query = audit_events::table.into_boxed();
        if !kind.is_empty() {
            // `.` follows a prefix; `/` is the next character: the range of all kinds below it.
            query = query.filter(
                audit_events::kind
                    .eq(kind.to_owned())
                    .or(audit_events::kind.ge(format!("{kind}.")).and(audit_events::kind.lt(format!("{kind}/")))),
            );
        }
        if let Some(before) = before {
            query = query.filter(audit_events::id.lt(before.to_owned()));
        }
        query.order(audit_events::id.desc()).limit(limit).select(Self::as_select()).load(conn).await
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
            .filter(audit_events::at.ge(from).and(audit_events::at.lt(to)))
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
            .filter(audit_events::at.lt(before))
            .select(audit_events::id)
            .order(audit_events::id)
            .limit(limit)
            .load(conn)
            .await?;
        diesel::delete(audit_events::table.filter(audit_events::id.eq_any(ids))).execute(conn).await
    }
}
