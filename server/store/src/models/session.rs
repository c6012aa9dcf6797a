//! Sessions: the cookie's value is looked up by its digest, everything else by the row's id.

use chrono::NaiveDateTime;
use diesel::dsl::exists;
use diesel::prelude::*;

use super::User;
use super::graph_cache::PHOTO;
use crate::schema::{graph_cache, sessions, users};
use crate::{DbConn, Prepare, RunQueryDsl, StoredTime};

/// A session, as the admin pages see it.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub struct SessionRecord {
    /// UUID; in URLs and logs.
    pub id: String,
    /// Whose it is.
    pub user_id: String,
    /// The provider's session id.
    pub sid: Option<String>,
    /// Client address at its begin.
    pub address: String,
    /// User agent at its begin.
    pub user_agent: String,
    /// What tower-sessions keeps: JSON.
    pub data: String,
    /// Begin.
    #[diesel(deserialize_as = StoredTime)]
    pub created_at: NaiveDateTime,
    /// Last request, to the minute.
    #[diesel(deserialize_as = StoredTime)]
    pub last_seen_at: NaiveDateTime,
    /// Absolute end.
    #[diesel(deserialize_as = StoredTime)]
    pub expires_at: NaiveDateTime,
}

/// A session to insert.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = sessions)]
pub struct NewSession {
    /// UUID.
    pub id: String,
    /// SHA-256 of the cookie's value.
    pub id_hash: Vec<u8>,
    /// Whose it is.
    pub user_id: String,
    /// The provider's session id.
    pub sid: Option<String>,
    /// Client address.
    pub address: String,
    /// User agent.
    pub user_agent: String,
    /// What tower-sessions keeps: JSON.
    pub data: String,
    /// Begin.
    pub created_at: NaiveDateTime,
    /// Begin, again.
    pub last_seen_at: NaiveDateTime,
    /// Absolute end.
    pub expires_at: NaiveDateTime,
}

impl NewSession {
    /// Inserts it; says whether it was inserted (`false`: the digest or id exists).
    ///
    /// # Errors
    /// From the database.
    pub async fn insert(&self, conn: &mut DbConn) -> QueryResult<bool> {
        let inserted =
            diesel::insert_into(sessions::table).values(self).on_conflict_do_nothing().prepared().execute(conn).await?;
        Ok(inserted > 0)
    }
}

/// What makes a session live: not past its absolute end, seen since the idle limit.
#[derive(Clone, Copy, Debug)]
pub struct LiveAt {
    /// Now.
    pub now: NaiveDateTime,
    /// Now less the idle time-out.
    pub seen_since: NaiveDateTime,
}

/// Which sessions the provider says are over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndedAtProvider {
    /// Those that began in one session of the provider's.
    Session {
        /// Only of people of this realm, where the provider says so.
        realm: Option<String>,
        /// The provider's session id.
        sid: String,
    },
    /// All of one person.
    Person {
        /// Tenant id, or issuer.
        realm: String,
        /// Object id, or subject.
        subject: String,
    },
}

/// The condition of a session that is live at a [`LiveAt`].
macro_rules! is_live {
    ($live:expr) => {
        sessions::expires_at.gt($live.now).and(sessions::last_seen_at.gt($live.seen_since))
    };
}
pub(super) use is_live;

impl SessionRecord {
    /// The live session with this digest.
    ///
    /// # Errors
    /// From the database.
    pub async fn find_live(conn: &mut DbConn, id_hash: &[u8], live: LiveAt) -> QueryResult<Option<Self>> {
        sessions::table
            .filter(sessions::id_hash.eq(id_hash).and(is_live!(live)))
            .select(Self::as_select())
            .first(conn)
            .await
            .optional()
    }

    /// The live session with this digest, its user and whether there is a photo of them, in one query.
    ///
    /// # Errors
    /// From the database.
    pub async fn find_live_with_user(
        conn: &mut DbConn,
        id_hash: &[u8],
        live: LiveAt,
    ) -> QueryResult<Option<(Self, User, bool)>> {
        let photo = graph_cache::table
            .filter(graph_cache::user_id.eq(users::id).and(graph_cache::part.eq(PHOTO)))
            .filter(graph_cache::content_type.ne(""));
        sessions::table
            .inner_join(users::table)
            .filter(sessions::id_hash.eq(id_hash).and(is_live!(live)))
            .select((Self::as_select(), User::as_select(), exists(photo)))
            .first(conn)
            .await
            .optional()
    }

    /// Whose live session has this row id.
    ///
    /// # Errors
    /// From the database.
    pub async fn find_live_user(conn: &mut DbConn, id: &str, live: LiveAt) -> QueryResult<Option<User>> {
        sessions::table
            .inner_join(users::table)
            .filter(sessions::id.eq(id).and(is_live!(live)))
            .select(User::as_select())
            .first(conn)
            .await
            .optional()
    }

    /// Writes what tower-sessions keeps, if the session still exists: a save never brings an
    /// ended session back.
    ///
    /// # Errors
    /// From the database.
    pub async fn save_data(conn: &mut DbConn, id_hash: &[u8], data: &str) -> QueryResult<usize> {
        diesel::update(sessions::table.filter(sessions::id_hash.eq(id_hash)))
            .set(sessions::data.eq(data))
            .prepared()
            .execute(conn)
            .await
    }

    /// Notes a request.
    ///
    /// # Errors
    /// From the database.
    pub async fn touch(conn: &mut DbConn, id: &str, now: NaiveDateTime) -> QueryResult<usize> {
        diesel::update(sessions::table.filter(sessions::id.eq(id)))
            .set(sessions::last_seen_at.eq(now))
            .prepared()
            .execute(conn)
            .await
    }

    /// Live sessions of a user, newest first.
    ///
    /// # Errors
    /// From the database.
    pub async fn list_by_user(conn: &mut DbConn, user_id: &str, live: LiveAt) -> QueryResult<Vec<Self>> {
        sessions::table
            .filter(sessions::user_id.eq(user_id).and(is_live!(live)))
            .order(sessions::created_at.desc())
            .select(Self::as_select())
            .load(conn)
            .await
    }

    /// Up to `limit` live sessions with their users, last seen first, after the key of `after`.
    ///
    /// # Errors
    /// From the database.
    pub async fn list(
        conn: &mut DbConn,
        live: LiveAt,
        after: Option<(NaiveDateTime, String)>,
        limit: i64,
    ) -> QueryResult<Vec<(Self, User)>> {
        let mut query = sessions::table.inner_join(users::table).filter(is_live!(live)).into_boxed();
        if let Some((seen, id)) = after {
            query = query
                .filter(sessions::last_seen_at.le(seen).and(sessions::last_seen_at.lt(seen).or(sessions::id.lt(id))));
        }
        query
            .order((sessions::last_seen_at.desc(), sessions::id.desc()))
            .limit(limit)
            .select((Self::as_select(), User::as_select()))
            .load(conn)
            .await
    }

    /// How many sessions a user has, those past their time as well.
    ///
    /// # Errors
    /// From the database.
    pub async fn count_by_user(conn: &mut DbConn, user_id: &str) -> QueryResult<i64> {
        sessions::table.filter(sessions::user_id.eq(user_id)).count().get_result(conn).await
    }

    /// How many sessions are live.
    ///
    /// # Errors
    /// From the database.
    pub async fn count_live(conn: &mut DbConn, live: LiveAt) -> QueryResult<i64> {
        sessions::table.filter(is_live!(live)).count().get_result(conn).await
    }

    /// Ends the session with this digest; returns its user.
    ///
    /// # Errors
    /// From the database.
    pub async fn delete_by_hash(conn: &mut DbConn, id_hash: &[u8]) -> QueryResult<usize> {
        diesel::delete(sessions::table.filter(sessions::id_hash.eq(id_hash))).execute(conn).await
    }

    /// Ends the session with this row id; with `user_id`, only if it is theirs. Returns its user.
    ///
    /// # Errors
    /// From the database.
    pub async fn delete(conn: &mut DbConn, id: &str, user_id: Option<&str>) -> QueryResult<Option<String>> {
        let owner: Option<String> =
            sessions::table.filter(sessions::id.eq(id)).select(sessions::user_id).first(conn).await.optional()?;
        let Some(owner) = owner.filter(|owner| user_id.is_none_or(|user_id| user_id == owner)) else {
            return Ok(None);
        };
        let deleted = diesel::delete(sessions::table.filter(sessions::id.eq(id))).execute(conn).await?;
        Ok((deleted > 0).then_some(owner))
    }

    /// Ends all sessions of a user.
    ///
    /// # Errors
    /// From the database.
    pub async fn delete_by_user(conn: &mut DbConn, user_id: &str) -> QueryResult<usize> {
        diesel::delete(sessions::table.filter(sessions::user_id.eq(user_id))).execute(conn).await
    }

    /// Ends the sessions that are over at the provider; returns their users, each once.
    ///
    /// # Errors
    /// From the database.
    pub async fn delete_ended_at_provider(conn: &mut DbConn, ended: &EndedAtProvider) -> QueryResult<Vec<String>> {
        let mut query = diesel::delete(sessions::table).into_boxed();
        query = match ended {
            EndedAtProvider::Session { realm: None, sid } => query.filter(sessions::sid.eq(sid)),
            EndedAtProvider::Session { realm: Some(realm), sid } => {
                let people = users::table.filter(users::realm.eq(realm)).select(users::id);
                query.filter(sessions::sid.eq(sid)).filter(sessions::user_id.eq_any(people))
            }
            EndedAtProvider::Person { realm, subject } => {
                let person = users::realm.eq(realm).and(users::subject.eq(subject));
                query.filter(sessions::user_id.eq_any(users::table.filter(person).select(users::id)))
            }
        };
        let mut user_ids: Vec<String> = query.returning(sessions::user_id).get_results(conn).await?;
        user_ids.sort_unstable();
        user_ids.dedup();
        Ok(user_ids)
    }

    /// Deletes up to `limit` sessions that are over.
    ///
    /// # Errors
    /// From the database.
    pub async fn purge(conn: &mut DbConn, live: LiveAt, limit: i64) -> QueryResult<usize> {
        let over = sessions::expires_at.le(live.now).or(sessions::last_seen_at.le(live.seen_since));
        let ids: Vec<String> = sessions::table.filter(over).select(sessions::id).limit(limit).load(conn).await?;
        diesel::delete(sessions::table.filter(sessions::id.eq_any(ids))).execute(conn).await
    }
}
