//! What Microsoft Graph said last about a user, with its age.

use chrono::NaiveDateTime;
use diesel::dsl::{case_when, sql};
use diesel::prelude::*;
use diesel::sql_types::{Binary, Bool};

use crate::schema::graph_cache;
use crate::{DbConn, Prepare, RunQueryDsl, StoredTime};

pub(super) const PHOTO: &str = "photo";
const MANAGER: &str = "manager";

/// Whether the bytes that are bound between these two are part of a body.
#[cfg(feature = "sqlite")]
const IS_IN_BODY: (&str, &str) = ("instr(body, ", ") > 0");
/// Whether the bytes that are bound between these two are part of a body.
#[cfg(feature = "postgres")]
const IS_IN_BODY: (&str, &str) = ("position(", " IN body) > 0");

/// One part of what Graph knows about a user.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = graph_cache)]
pub struct GraphCache {
    /// Whose data it is.
    pub user_id: String,
    /// `me`, `manager` or `photo`.
    pub part: String,
    /// Media type of `body`; empty when Graph has nothing.
    pub content_type: String,
    /// JSON, or an image.
    pub body: Vec<u8>,
    /// Why the last fetch failed, in words; empty when it did not.
    pub problem: String,
    /// The last successful fetch; the first try while there was none.
    #[diesel(deserialize_as = StoredTime)]
    pub fetched_at: NaiveDateTime,
    /// The last try.
    #[diesel(deserialize_as = StoredTime)]
    pub tried_at: NaiveDateTime,
}

impl GraphCache {
    /// Writes the part, over what was there.
    ///
    /// # Errors
    /// From the database.
    pub async fn put(&self, conn: &mut DbConn) -> QueryResult<usize> {
        diesel::insert_into(graph_cache::table)
            .values(self)
            .on_conflict((graph_cache::user_id, graph_cache::part))
            .do_update()
            .set(self)
            .prepared()
            .execute(conn)
            .await
    }

    /// Notes why a part could not be fetched `now`, and leaves its content as it is.
    ///
    /// # Errors
    /// From the database.
    pub async fn note_problem(
        conn: &mut DbConn,
        user_id: &str,
        part: &str,
        problem: &str,
        now: NaiveDateTime,
    ) -> QueryResult<usize> {
        diesel::update(graph_cache::table.find((user_id, part)))
            .set((graph_cache::problem.eq(problem), graph_cache::tried_at.eq(now)))
            .prepared()
            .execute(conn)
            .await
    }

    /// One part.
    ///
    /// # Errors
    /// From the database.
    pub async fn find(conn: &mut DbConn, user_id: &str, part: &str) -> QueryResult<Option<Self>> {
        graph_cache::table.find((user_id, part)).select(Self::as_select()).first(conn).await.optional()
    }

    /// All parts; the photo, which is large and has a route of its own, without its bytes.
    ///
    /// # Errors
    /// From the database.
    pub async fn list(conn: &mut DbConn, user_id: &str) -> QueryResult<Vec<Self>> {
        use graph_cache::{body, content_type, fetched_at, part, problem, tried_at};
        let text = case_when(part.ne(PHOTO), body).otherwise(Vec::new());
        graph_cache::table
            .filter(graph_cache::user_id.eq(user_id))
            .select((graph_cache::user_id, part, content_type, text, problem, fetched_at, tried_at))
            .load(conn)
            .await
    }

    /// Deletes all parts.
    ///
    /// # Errors
    /// From the database.
    pub async fn delete_by_user(conn: &mut DbConn, user_id: &str) -> QueryResult<usize> {
        diesel::delete(graph_cache::table.filter(graph_cache::user_id.eq(user_id))).execute(conn).await
    }

    /// Deletes what names this person as the manager of others. They are asked for anew when they are wanted.
    ///
    /// # Errors
    /// From the database.
    pub async fn delete_where_manager(conn: &mut DbConn, object_id: &str) -> QueryResult<usize> {
        let names_them = sql::<Bool>(IS_IN_BODY.0).bind::<Binary, _>(object_id.as_bytes().to_vec()).sql(IS_IN_BODY.1);
        diesel::delete(graph_cache::table.filter(graph_cache::part.eq(MANAGER)).filter(names_them)).execute(conn).await
    }

    /// Whether it is told in words: all but the photo.
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.part != PHOTO
    }

    /// Whether it is a photo, instead of the answer that there is none.
    #[must_use]
    pub fn is_photo(&self) -> bool {
        self.part == PHOTO && !self.content_type.is_empty()
    }
}
