//! The audit log: append-only, newest first for people, and in the order of its commits for other systems.
//!
//! The database itself refuses to change, replace or delete events (`migrations/*/2026-12-01-000003_audit_log` and `…-000004_audit_log_holes`), but for
//! those past their retention, and for the names of people who were erased.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;
use diesel::dsl::max;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::user::escape_like;
use super::{event_id, first_event_id};
use crate::committed;
use crate::schema::{audit_events, audit_horizon, audit_settings};
use crate::{Backend, DbConn, Prepare, RunQueryDsl, StoredTime, lock};

/// Recorded by the database when `AUDIT_RETENTION` gets shorter. It keeps these events for ten years, so that whoever
/// deletes what the shorter time no longer protects leaves this behind.
const RETENTION_LOWERED: &str = "audit.retention_lowered";

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
    /// What the application did by itself, to `subject` (id and name) if to anybody.
    #[must_use]
    pub fn by_system(
        kind: &'static str,
        subject: Option<(String, String)>,
        detail: Vec<(&'static str, String)>,
    ) -> Self {
        let actor = Some(("system".to_owned(), "system".to_owned()));
        Self { kind, actor, subject, detail, ..Self::default() }
    }

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
        committed::inserted(&row);
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

    /// How many events are by or on the person with this id.
    ///
    /// # Errors
    /// From the database.
    pub async fn count_by_person(conn: &mut DbConn, user_id: &str) -> QueryResult<i64> {
        let is_theirs = audit_events::actor_id.eq(user_id).or(audit_events::subject_id.eq(user_id));
        audit_events::table.filter(is_theirs).count().get_result(conn).await
    }

    /// All events by or on the person with this id, oldest first.
    ///
    /// # Errors
    /// From the database.
    pub async fn list_by_person(conn: &mut DbConn, user_id: &str) -> QueryResult<Vec<Self>> {
        let is_theirs = audit_events::actor_id.eq(user_id).or(audit_events::subject_id.eq(user_id));
        audit_events::table.filter(is_theirs).order(audit_events::id).select(Self::as_select()).load(conn).await
    }

    /// All events with one of `texts` somewhere in their facts, letters of ASCII in any case. Reads the whole log.
    ///
    /// # Errors
    /// From the database.
    pub async fn list_that_mention(conn: &mut DbConn, texts: impl Iterator<Item = &str>) -> QueryResult<Vec<Self>> {
        let mut query = audit_events::table.filter(false.into_sql::<Bool>()).into_boxed();
        for text in texts {
            // As it stands in JSON, without the quotes around it.
            let json = serde_json::Value::from(text.to_ascii_lowercase()).to_string();
            let pattern = format!("%{}%", escape_like(json.trim_matches('"')));
            query = query.or_filter(lower(audit_events::detail).like(pattern).escape('\\'));
        }
        query.order(audit_events::id).select(Self::as_select()).load(conn).await
    }

    /// All events of one of these kinds.
    ///
    /// # Errors
    /// From the database.
    pub async fn list_by_kinds(conn: &mut DbConn, kinds: &[&str]) -> QueryResult<Vec<Self>> {
        audit_events::table.filter(audit_events::kind.eq_any(kinds)).select(Self::as_select()).load(conn).await
    }

    /// The facts: name and value.
    #[must_use]
    pub fn facts(&self) -> Vec<(String, String)> {
        serde_json::from_str::<BTreeMap<String, String>>(&self.detail).unwrap_or_default().into_iter().collect()
    }

    /// Puts `text` for the value of each fact that `is_meant`; says whether there was one.
    pub fn replace_facts(&mut self, text: &str, is_meant: impl Fn(&str, &str) -> bool) -> bool {
        let mut facts = self.facts();
        let mut has_changed = false;
        for (name, value) in &mut facts {
            if value != text && is_meant(name, value) {
                text.clone_into(value);
                has_changed = true;
            }
        }
        if has_changed {
            self.detail = serde_json::json!(facts.into_iter().collect::<BTreeMap<_, _>>()).to_string();
        }
        has_changed
    }

    /// Whether it names other people, addresses or facts than `other`.
    #[must_use]
    pub fn names_differ(&self, other: &Self) -> bool {
        let named =
            |event: &Self| [&event.actor_name, &event.subject_name, &event.address, &event.detail].map(String::clone);
        named(self) != named(other)
    }

    /// Writes names, address and facts. The database takes it for the pseudonym of somebody erased alone.
    ///
    /// # Errors
    /// From the database.
    pub async fn save_names(&self, conn: &mut DbConn) -> QueryResult<usize> {
        diesel::update(audit_events::table.find(&self.id))
            .set((
                audit_events::actor_name.eq(&self.actor_name),
                audit_events::subject_name.eq(&self.subject_name),
                audit_events::address.eq(&self.address),
                audit_events::detail.eq(&self.detail),
            ))
            .prepared()
            .execute(conn)
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

    /// Deletes up to `limit` events from before `before`, if the database lets them go (see [`Self::keep_for`]).
    ///
    /// # Errors
    /// From the database.
    pub async fn purge(conn: &mut DbConn, before: NaiveDateTime, limit: i64) -> QueryResult<usize> {
        let horizon = audit_horizon::table.select(audit_horizon::deletable_before).single_value();
        let ids: Vec<String> = audit_events::table
            .filter(audit_events::id.lt(first_event_id(before)))
            .filter(audit_events::at.nullable().lt(horizon))
            .filter(audit_events::kind.ne(RETENTION_LOWERED))
            .select(audit_events::id)
            .order(audit_events::id)
            .limit(limit)
            .load(conn)
            .await?;
        diesel::delete(audit_events::table.filter(audit_events::id.eq_any(ids))).execute(conn).await
    }

    /// Tells the database for how long it refuses to delete an event. It records by itself that the time got shorter.
    ///
    /// # Errors
    /// From the database.
    pub async fn keep_for(conn: &mut DbConn, retention: std::time::Duration) -> QueryResult<()> {
        let seconds = i64::try_from(retention.as_secs()).unwrap_or(i64::MAX);
        diesel::update(audit_settings::table.filter(audit_settings::retention_seconds.ne(seconds)))
            .set(audit_settings::retention_seconds.eq(seconds))
            .execute(conn)
            .await?;
        Ok(())
    }

    /// Up to `limit` events that have a place after `after`, in their order, each with its place.
    ///
    /// # Errors
    /// From the database.
    pub async fn list_in_feed(conn: &mut DbConn, after: i64, limit: i64) -> QueryResult<Vec<(i64, Self)>> {
        audit_events::table
            .filter(audit_events::seq.gt(after))
            .order(audit_events::seq)
            .limit(limit)
            .select((audit_events::seq.assume_not_null(), Self::as_select()))
            .load(conn)
            .await
    }

    /// Gives up to `limit` events without a place the next ones, oldest first; says how many. What another transaction
    /// has not committed yet cannot be seen here: it gets a later place, so that nobody who reads on misses it. To be run
    /// in a transaction.
    ///
    /// # Errors
    /// From the database.
    pub async fn place_in_feed(conn: &mut DbConn, limit: i64) -> QueryResult<usize> {
        lock::audit_log(conn).await?;
        let placed = diesel::sql_query(format!(
            "UPDATE audit_events SET seq = next.place + (SELECT last_seq FROM audit_settings) \
             FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM \
             (SELECT id FROM audit_events WHERE seq IS NULL ORDER BY id LIMIT {limit}) AS unread) AS next \
             WHERE audit_events.id = next.id"
        ));
        let placed = placed.execute(conn).await?;
        if placed > 0 {
            let highest = audit_events::table.filter(audit_events::seq.is_not_null()).select(max(audit_events::seq));
            let highest: Option<i64> = highest.get_result(conn).await?;
            diesel::update(audit_settings::table)
                .set(audit_settings::last_seq.eq(highest.unwrap_or_default()))
                .execute(conn)
                .await?;
        }
        Ok(placed)
    }

    /// The place of the event with this id: `None` when there is no such event, `Some(None)` when it has none yet.
    ///
    /// # Errors
    /// From the database.
    pub async fn find_place(conn: &mut DbConn, id: &str) -> QueryResult<Option<Option<i64>>> {
        audit_events::table.find(id).select(audit_events::seq).first(conn).await.optional()
    }
}
