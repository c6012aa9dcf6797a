//! Grants: the sealed tokens of a person for a resource, and the leases under which they are
//! refreshed. Every write raises `version`, so that a result that comes too late finds another
//! version and is thrown away.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::{LiveAt, SessionRecord, User};
use crate::schema::{grants, users};
use crate::{DbConn, Prepare, RunQueryDsl, StoredTime};

/// A grant, as stored.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = grants)]
pub struct Grant {
    /// UUID.
    pub id: String,
    /// Whose it is.
    pub user_id: String,
    /// `graph`, or `provider` without Graph.
    pub resource: String,
    /// Scopes, separated by blanks.
    pub scopes: String,
    /// `live` or `needs_sign_in`.
    pub state: String,
    /// The tokens, sealed for this row.
    pub sealed: Vec<u8>,
    /// Whether there is a refresh token.
    pub has_refresh_token: bool,
    /// End of the access token.
    #[diesel(deserialize_as = StoredTime)]
    pub expires_at: NaiveDateTime,
    /// When the background refresh may take it.
    pub due_at: Option<NaiveDateTime>,
    /// Raised by every write.
    pub version: i64,
    /// Until when somebody refreshes it.
    pub leased_until: Option<NaiveDateTime>,
    /// Failed refreshes in a row.
    pub failures: i32,
    /// The last failure in words.
    pub last_error: String,
    /// The claims challenge that the next token must meet: JSON; empty without one.
    pub challenge: String,
    /// Last successful refresh.
    pub refreshed_at: Option<NaiveDateTime>,
    /// The sign-in that began it.
    #[diesel(deserialize_as = StoredTime)]
    pub created_at: NaiveDateTime,
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Grant")
            .field("id", &self.id)
            .field("state", &self.state)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// A grant to store at sign-in.
#[derive(Clone, Insertable)]
#[diesel(table_name = grants)]
pub struct NewGrant {
    /// UUID, used when the person has no grant for the resource; else the row keeps its id.
    pub id: String,
    /// Whose it is.
    pub user_id: String,
    /// `graph` or `provider`.
    pub resource: String,
    /// Scopes, separated by blanks.
    pub scopes: String,
    /// `live`.
    pub state: String,
    /// The tokens, sealed for this row.
    pub sealed: Vec<u8>,
    /// Whether there is a refresh token.
    pub has_refresh_token: bool,
    /// End of the access token.
    pub expires_at: NaiveDateTime,
    /// When the background refresh may take it.
    pub due_at: Option<NaiveDateTime>,
    /// 1 for a new row.
    pub version: i64,
    /// The sign-in.
    pub created_at: NaiveDateTime,
}

/// What a successful refresh writes.
#[derive(Clone)]
pub struct RefreshedGrant {
    /// The new tokens, sealed for the row.
    pub sealed: Vec<u8>,
    /// Whether there is a refresh token.
    pub has_refresh_token: bool,
    /// Scopes, separated by blanks.
    pub scopes: String,
    /// End of the new access token.
    pub expires_at: NaiveDateTime,
    /// When it is due again.
    pub due_at: Option<NaiveDateTime>,
    /// Now.
    pub now: NaiveDateTime,
}

/// What a failed refresh writes.
#[derive(Clone, Debug)]
pub struct GrantFailure {
    /// `live` to try again, `needs_sign_in` when only the person can help.
    pub state: &'static str,
    /// The failure in words.
    pub error: String,
    /// When to try again; `None` never.
    pub due_at: Option<NaiveDateTime>,
    /// The claims challenge to keep for the next token, if it is another one than the grant has.
    pub challenge: Option<String>,
}

/// Grants of one kind, each with an index of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantFilter {
    /// Tokens are there.
    Live,
    /// The last refresh failed.
    Retrying,
    /// There is nothing to refresh them with.
    Expiring,
    /// Only the person can help.
    NeedsSignIn,
}

impl GrantFilter {
    /// As the indices have it: a partial index is used for its very words only.
    fn condition(self) -> diesel::expression::SqlLiteral<diesel::sql_types::Bool> {
        diesel::dsl::sql(match self {
            Self::Live => "grants.state = 'live'",
            Self::Retrying => "grants.failures > 0 AND grants.state = 'live'",
            Self::Expiring => "NOT grants.has_refresh_token AND grants.state = 'live'",
            Self::NeedsSignIn => "grants.state = 'needs_sign_in'",
        })
    }
}

impl NewGrant {
    /// Stores the grant in place of the person's grant `existing`, or as a new one. The sealed
    /// tokens must be sealed for the id that the row will have.
    ///
    /// # Errors
    /// From the database; a unique violation when two sign-ins race, which a retry resolves.
    pub async fn store(&self, conn: &mut DbConn, existing: Option<&Grant>) -> QueryResult<()> {
        let Some(existing) = existing else {
            diesel::insert_into(grants::table).values(self).prepared().execute(conn).await?;
            return Ok(());
        };
        diesel::update(grants::table.find(&existing.id))
            .set((
                grants::scopes.eq(&self.scopes),
                grants::state.eq(&self.state),
                grants::sealed.eq(&self.sealed),
                grants::has_refresh_token.eq(self.has_refresh_token),
                grants::expires_at.eq(self.expires_at),
                grants::due_at.eq(self.due_at),
                grants::version.eq(grants::version + 1),
                grants::leased_until.eq(None::<NaiveDateTime>),
                grants::failures.eq(0),
                grants::last_error.eq(""),
                grants::challenge.eq(""),
            ))
            .prepared()
            .execute(conn)
            .await?;
        Ok(())
    }
}

impl Grant {
    /// The grant with this id.
    ///
    /// # Errors
    /// From the database.
    pub async fn find(conn: &mut DbConn, id: &str) -> QueryResult<Option<Self>> {
        grants::table.find(id).select(Self::as_select()).first(conn).await.optional()
    }

    /// The grant of a person for a resource.
    ///
    /// # Errors
    /// From the database.
    pub async fn find_by_user(conn: &mut DbConn, user_id: &str, resource: &str) -> QueryResult<Option<Self>> {
        grants::table
            .filter(grants::user_id.eq(user_id).and(grants::resource.eq(resource)))
            .select(Self::as_select())
            .first(conn)
            .await
            .optional()
    }

    /// The grants of a person.
    ///
    /// # Errors
    /// From the database.
    pub async fn list_by_user(conn: &mut DbConn, user_id: &str) -> QueryResult<Vec<Self>> {
        grants::table
            .filter(grants::user_id.eq(user_id))
            .order(grants::resource)
            .select(Self::as_select())
            .load(conn)
            .await
    }

    /// Up to `limit` grants with their users, by id after `after`, in one state or in any.
    ///
    /// # Errors
    /// From the database.
    pub async fn list(
        conn: &mut DbConn,
        state: Option<GrantFilter>,
        after: &str,
        limit: i64,
    ) -> QueryResult<Vec<(Self, User)>> {
        let mut query = grants::table.inner_join(users::table).filter(grants::id.gt(after.to_owned())).into_boxed();
        if let Some(state) = state {
            query = query.filter(state.condition());
        }
        query.order(grants::id).limit(limit).select((Self::as_select(), User::as_select())).load(conn).await
    }

    /// Up to `limit` ids of grants, in order, after `after`.
    ///
    /// # Errors
    /// From the database.
    pub async fn ids(conn: &mut DbConn, after: &str, limit: i64) -> QueryResult<Vec<String>> {
        grants::table.filter(grants::id.gt(after)).order(grants::id).limit(limit).select(grants::id).load(conn).await
    }

    /// Replaces the sealed text if it is still the one that was read; `false` when it is not. The
    /// version stays, since nothing about the grant has changed.
    ///
    /// # Errors
    /// From the database.
    pub async fn reseal(&self, conn: &mut DbConn, sealed: Vec<u8>) -> QueryResult<bool> {
        let same = grants::id.eq(&self.id).and(grants::sealed.eq(&self.sealed));
        let written =
            diesel::update(grants::table.filter(same)).set(grants::sealed.eq(sealed)).prepared().execute(conn).await?;
        Ok(written > 0)
    }

    /// How many grants are in this state.
    ///
    /// # Errors
    /// From the database.
    pub async fn count(conn: &mut DbConn, state: GrantFilter) -> QueryResult<i64> {
        grants::table.filter(state.condition()).count().get_result(conn).await
    }

    /// Up to `limit` grants that are due and free, with their people, longest due first; none of the realms `resting`.
    ///
    /// # Errors
    /// From the database.
    pub async fn list_due(
        conn: &mut DbConn,
        now: NaiveDateTime,
        resting: Vec<String>,
        limit: i64,
    ) -> QueryResult<Vec<(Self, User)>> {
        grants::table
            .inner_join(users::table)
            .filter(grants::due_at.le(now))
            .filter(grants::leased_until.is_null().or(grants::leased_until.le(now)))
            .filter(diesel::dsl::not(users::realm.eq_any(resting)))
            .order(grants::due_at)
            .limit(limit)
            .select((Self::as_select(), User::as_select()))
            .load(conn)
            .await
    }

    /// When the next grant is due; `None` when none will be.
    ///
    /// # Errors
    /// From the database.
    pub async fn next_due(conn: &mut DbConn) -> QueryResult<Option<NaiveDateTime>> {
        grants::table.filter(grants::due_at.is_not_null()).select(diesel::dsl::min(grants::due_at)).first(conn).await
    }

    /// The row, unless somebody has written since it was read: every write raises the version.
    #[diesel::dsl::auto_type(no_type_alias)]
    fn unchanged<'a>(&'a self) -> _ {
        let id: &'a str = &self.id;
        let version: i64 = self.version;
        grants::table.filter(grants::id.eq(id).and(grants::version.eq(version)))
    }

    /// Leases the grant until `until` by compare-and-swap; `false` when somebody else was faster.
    ///
    /// # Errors
    /// From the database.
    pub async fn lease(&mut self, conn: &mut DbConn, until: NaiveDateTime) -> QueryResult<bool> {
        let leased = diesel::update(self.unchanged())
            .set((grants::version.eq(grants::version + 1), grants::leased_until.eq(until)))
            .prepared()
            .execute(conn)
            .await?;
        if leased > 0 {
            self.version += 1;
        }
        Ok(leased > 0)
    }

    /// Writes a refresh's result if the lease still holds; `false` when it does not: the result
    /// is to be thrown away.
    ///
    /// # Errors
    /// From the database.
    pub async fn refreshed(&self, conn: &mut DbConn, result: RefreshedGrant) -> QueryResult<bool> {
        let written = diesel::update(self.unchanged())
            .set((
                grants::sealed.eq(result.sealed),
                grants::has_refresh_token.eq(result.has_refresh_token),
                grants::scopes.eq(result.scopes),
                grants::state.eq("live"),
                grants::expires_at.eq(result.expires_at),
                grants::due_at.eq(result.due_at),
                grants::version.eq(grants::version + 1),
                grants::leased_until.eq(None::<NaiveDateTime>),
                grants::failures.eq(0),
                grants::last_error.eq(""),
                grants::challenge.eq(""),
                grants::refreshed_at.eq(Some(result.now)),
            ))
            .prepared()
            .execute(conn)
            .await?;
        Ok(written > 0)
    }

    /// Writes tokens of which only the refresh token is new, and frees the grant; `false` when the lease does not hold.
    ///
    /// # Errors
    /// From the database.
    pub async fn rotated(&self, conn: &mut DbConn, sealed: Vec<u8>) -> QueryResult<bool> {
        let fields = (
            grants::sealed.eq(sealed),
            grants::version.eq(grants::version + 1),
            grants::leased_until.eq(None::<NaiveDateTime>),
        );
        Ok(diesel::update(self.unchanged()).set(fields).prepared().execute(conn).await? > 0)
    }

    /// Frees the grant as it is, if the lease still holds.
    ///
    /// # Errors
    /// From the database.
    pub async fn release(&self, conn: &mut DbConn) -> QueryResult<()> {
        let fields = (grants::version.eq(grants::version + 1), grants::leased_until.eq(None::<NaiveDateTime>));
        diesel::update(self.unchanged()).set(fields).prepared().execute(conn).await.map(drop)
    }

    /// Writes a refresh's failure if the lease still holds; `false` when it does not.
    ///
    /// # Errors
    /// From the database.
    pub async fn failed(&self, conn: &mut DbConn, failure: GrantFailure) -> QueryResult<bool> {
        let written = diesel::update(self.unchanged())
            .set((
                grants::state.eq(failure.state),
                grants::due_at.eq(failure.due_at),
                grants::version.eq(grants::version + 1),
                grants::leased_until.eq(None::<NaiveDateTime>),
                grants::failures.eq(grants::failures + 1),
                grants::last_error.eq(failure.error),
                grants::challenge.eq(failure.challenge.unwrap_or_else(|| self.challenge.clone())),
            ))
            .prepared()
            .execute(conn)
            .await?;
        Ok(written > 0)
    }

    /// Takes the access token back that Graph answered with `challenge`: the next one must meet it, and is due now.
    /// `false` when the grant has changed meanwhile, or a refresh is under way.
    ///
    /// # Errors
    /// From the database.
    pub async fn challenge(&mut self, conn: &mut DbConn, challenge: &str, now: NaiveDateTime) -> QueryResult<bool> {
        let unchanged = grants::id.eq(&self.id).and(grants::version.eq(self.version));
        let written = diesel::update(grants::table.filter(unchanged))
            .set((
                grants::challenge.eq(challenge),
                grants::expires_at.eq(now),
                grants::due_at.eq(self.has_refresh_token.then_some(now)),
                grants::version.eq(grants::version + 1),
            ))
            .prepared()
            .execute(conn)
            .await?;
        if written > 0 {
            self.version += 1;
            challenge.clone_into(&mut self.challenge);
        }
        Ok(written > 0)
    }

    /// Forgets the grant; with `user_id`, only if it is theirs. Returns its user.
    ///
    /// # Errors
    /// From the database.
    pub async fn delete(conn: &mut DbConn, id: &str) -> QueryResult<Option<String>> {
        let owner: Option<String> = grants::table.find(id).select(grants::user_id).first(conn).await.optional()?;
        diesel::delete(grants::table.find(id)).execute(conn).await?;
        Ok(owner)
    }

    /// Forgets all grants of a person.
    ///
    /// # Errors
    /// From the database.
    pub async fn delete_by_user(conn: &mut DbConn, user_id: &str) -> QueryResult<usize> {
        diesel::delete(grants::table.filter(grants::user_id.eq(user_id))).execute(conn).await
    }

    /// Forgets all grants of a person who has no live session left.
    ///
    /// # Errors
    /// From the database.
    pub async fn delete_without_session(conn: &mut DbConn, user_id: &str, live: LiveAt) -> QueryResult<usize> {
        if SessionRecord::list_by_user(conn, user_id, live).await?.is_empty() {
            return Self::delete_by_user(conn, user_id).await;
        }
        Ok(0)
    }

    /// Forgets up to `limit` grants whose person has had no session since `before`: none is left,
    /// and the last sign-in was before.
    ///
    /// # Errors
    /// From the database.
    pub async fn delete_idle(conn: &mut DbConn, before: NaiveDateTime, limit: i64) -> QueryResult<usize> {
        use crate::schema::sessions;
        let with_session = sessions::table.select(sessions::user_id);
        let idle_users = users::table
            .filter(users::last_sign_in_at.lt(before))
            .filter(diesel::dsl::not(users::id.eq_any(with_session)))
            .select(users::id);
        let ids: Vec<String> =
            grants::table.filter(grants::user_id.eq_any(idle_users)).select(grants::id).limit(limit).load(conn).await?;
        diesel::delete(grants::table.filter(grants::id.eq_any(ids))).execute(conn).await
    }
}
