//! Statements that are prepared once. Diesel prepares each `INSERT` with values and each `UPDATE` anew, as it cannot know
//! whether their SQL is the same the next time: for SQLite that is most of the work, for PostgreSQL a second round trip.

use diesel::QueryResult;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};

use super::Backend;

/// A statement whose SQL has few variants. See [`Prepare::prepared`].
#[derive(Clone, Copy, Debug)]
pub struct Prepared<Q>(Q);

/// Says of a statement that it is worth keeping.
pub trait Prepare: Sized {
    /// Keeps the statement prepared, by its SQL, for as long as the connection lives. Not for statements with lists of
    /// values, of which each length would be kept.
    fn prepared(self) -> Prepared<Self> {
        Prepared(self)
    }
}

impl<Q: QueryFragment<Backend>> Prepare for Q {}

impl<Q: QueryFragment<Backend>> QueryFragment<Backend> for Prepared<Q> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, Backend>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }

    fn is_safe_to_cache_prepared(&self, _backend: &Backend) -> QueryResult<bool> {
        Ok(true)
    }
}

/// None that is known when this is compiled: it goes by its SQL.
impl<Q> QueryId for Prepared<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Prepared<Q> {
    type SqlType = Q::SqlType;
}

impl<Q, Conn> diesel::RunQueryDsl<Conn> for Prepared<Q> {}
