//! Users: upsert by identity, look-up, and the filtered list that pages by key.

use chrono::{DateTime, NaiveDateTime};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel::upsert::excluded;

use super::session::is_live;
use super::{ADMIN, Cursor, LiveAt, user_search};
use crate::schema::{sessions, user_roles, users};
use crate::{Backend, DbConn, Prepare, RunQueryDsl, StoredTime, StoredTimeOrNull};

/// A user, as stored.
#[derive(Clone, Debug, Queryable, Selectable, Identifiable)]
#[diesel(table_name = users)]
pub struct User {
    /// UUID; in URLs.
    pub id: String,
    /// Tenant id, or issuer.
    pub realm: String,
    /// Object id, or subject.
    pub subject: String,
    /// User principal name; for display.
    pub upn: String,
    /// Display name; may be empty.
    pub display_name: String,
    /// E-mail; may be empty, never an identity.
    pub email: String,
    /// Given name; may be empty.
    pub given_name: String,
    /// Family name; may be empty.
    pub family_name: String,
    /// Job title by `CLAIM_MAPPING`; may be empty.
    pub job_title: String,
    /// Department by `CLAIM_MAPPING`; may be empty.
    pub department: String,
    /// By `BOOLEAN_CLAIM_MAPPING`.
    pub is_external: bool,
    /// `member` or `guest`.
    pub user_type: String,
    /// `active` or `disabled`.
    pub status: String,
    /// `administrator` or `directory`, whoever disabled them last; empty when nobody has.
    pub disabled_by: String,
    /// Effective roles, sorted, separated by blanks.
    pub roles: String,
    /// Claims shown on the profile: a JSON object.
    pub claims: String,
    /// First seen.
    #[diesel(deserialize_as = StoredTime)]
    pub created_at: NaiveDateTime,
    /// Last sign-in.
    #[diesel(deserialize_as = StoredTime)]
    pub last_sign_in_at: NaiveDateTime,
    /// Last sync from the provider.
    #[diesel(deserialize_as = StoredTime)]
    pub synced_at: NaiveDateTime,
    /// The last verified token that told their app roles; `None`: before this was noted.
    #[diesel(deserialize_as = StoredTimeOrNull)]
    pub roles_synced_at: Option<NaiveDateTime>,
    /// When their groups were last told; `None` with `groups_kept`: there is nothing to keep.
    #[diesel(deserialize_as = StoredTimeOrNull)]
    pub groups_synced_at: Option<NaiveDateTime>,
    /// Whether the groups could not be read since, and stay as they were for a while.
    pub groups_kept: bool,
}

/// What a sign-in writes about a user.
#[derive(Clone, Debug, Default, Insertable)]
#[diesel(table_name = users)]
pub struct NewUser {
    /// Used when the identity is new.
    pub id: String,
    /// Tenant id, or issuer.
    pub realm: String,
    /// Object id, or subject.
    pub subject: String,
    /// User principal name.
    pub upn: String,
    /// Lower case of `upn`.
    pub upn_fold: String,
    /// Display name.
    pub display_name: String,
    /// Lower case of `display_name`.
    pub name_fold: String,
    /// E-mail.
    pub email: String,
    /// Lower case of `email`.
    pub email_fold: String,
    /// Given name.
    pub given_name: String,
    /// Family name.
    pub family_name: String,
    /// Job title.
    pub job_title: String,
    /// Department.
    pub department: String,
    /// From outside the organisation.
    pub is_external: bool,
    /// `member` or `guest`.
    pub user_type: String,
    /// `active`, for a new user; an upsert leaves the status as it is.
    pub status: String,
    /// Claims for the profile.
    pub claims: String,
    /// For a new user.
    pub created_at: NaiveDateTime,
    /// This sign-in.
    pub last_sign_in_at: NaiveDateTime,
    /// This sync.
    pub synced_at: NaiveDateTime,
    /// This sync, as it tells the app roles.
    pub roles_synced_at: Option<NaiveDateTime>,
    /// When the groups were last told.
    pub groups_synced_at: Option<NaiveDateTime>,
    /// Whether this sync does not tell the groups.
    pub groups_kept: bool,
}

impl NewUser {
    /// Takes names and addresses that this sign-in does not tell from what is known: the directory sync has told them.
    pub fn keep_untold(&mut self, known: &User) {
        for (told, known) in [
            (&mut self.display_name, &known.display_name),
            (&mut self.email, &known.email),
            (&mut self.given_name, &known.given_name),
            (&mut self.family_name, &known.family_name),
        ] {
            if told.is_empty() {
                told.clone_from(known);
            }
        }
        self.name_fold = self.display_name.to_lowercase();
        self.email_fold = self.email.to_lowercase();
    }

    /// As [`Self::keep_untold`] for everything that a refreshed token may leave out (OpenID Connect Core 1.0, section
    /// 12.2), and for the last sign-in, which a refresh is not.
    pub fn keep_all_untold(&mut self, known: &User, tells_upn: bool, tells_guest: bool) {
        self.keep_untold(known);
        for (told, known) in [(&mut self.job_title, &known.job_title), (&mut self.department, &known.department)] {
            if told.is_empty() {
                told.clone_from(known);
            }
        }
        if !tells_upn {
            self.upn.clone_from(&known.upn);
            self.upn_fold = known.upn.to_lowercase();
        }
        if !tells_guest {
            self.user_type.clone_from(&known.user_type);
        }
        self.last_sign_in_at = known.last_sign_in_at;
    }

    /// Inserts the user, or updates what the provider masters on the row with this identity.
    /// Two first sign-ins at once make one row: the unique index decides.
    ///
    /// # Errors
    /// From the database.
    pub async fn upsert(&self, conn: &mut DbConn) -> QueryResult<User> {
        diesel::insert_into(users::table)
            .values(self)
            .on_conflict((users::realm, users::subject))
            .do_update()
            .set((
                users::upn.eq(excluded(users::upn)),
                users::upn_fold.eq(excluded(users::upn_fold)),
                users::display_name.eq(excluded(users::display_name)),
                users::name_fold.eq(excluded(users::name_fold)),
                users::email.eq(excluded(users::email)),
                users::email_fold.eq(excluded(users::email_fold)),
                users::given_name.eq(excluded(users::given_name)),
                users::family_name.eq(excluded(users::family_name)),
                users::job_title.eq(excluded(users::job_title)),
                users::department.eq(excluded(users::department)),
                users::is_external.eq(excluded(users::is_external)),
                users::user_type.eq(excluded(users::user_type)),
                users::claims.eq(excluded(users::claims)),
                users::last_sign_in_at.eq(excluded(users::last_sign_in_at)),
                users::synced_at.eq(excluded(users::synced_at)),
                users::roles_synced_at.eq(excluded(users::roles_synced_at)),
                users::groups_synced_at.eq(excluded(users::groups_synced_at)),
                users::groups_kept.eq(excluded(users::groups_kept)),
            ))
            .returning(User::as_returning())
            .prepared()
            .get_result(conn)
            .await
    }
}

/// Which users a list shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UserFilter {
    /// Words, each of which must occur in UPN, name or e-mail, or be the object id.
    pub q: String,
    /// `active` or `disabled`.
    pub status: Option<String>,
    /// An effective role.
    pub role: Option<String>,
    /// `member` or `guest`.
    pub user_type: Option<String>,
    /// The only tenant whose people it shows.
    pub realm: Option<String>,
}

/// Which part of the list is shown.
#[derive(Clone, Debug)]
pub struct UserWindow {
    /// `upn`, `name`, `email`, `last_sign_in` or `created`; anything else is `upn`.
    pub sort: &'static str,
    /// Descending order.
    pub descending: bool,
    /// Rows after this one.
    pub after: Option<Cursor>,
    /// Rows before this one; wins over `after`.
    pub before: Option<Cursor>,
    /// The last rows.
    pub end: bool,
    /// How many rows.
    pub limit: u32,
}

impl UserWindow {
    /// Whether the rows are read from their end, and come reversed.
    fn is_backward(&self) -> bool {
        self.end || self.before.is_some()
    }

    fn cursor(&self) -> Option<&Cursor> {
        if self.end {
            return None;
        }
        self.before.as_ref().or(self.after.as_ref())
    }
}

/// A query for users.
pub type UserQuery<'a> = users::BoxedQuery<'a, Backend>;

impl User {
    /// The user with this id.
    ///
    /// # Errors
    /// From the database.
    pub async fn find(conn: &mut DbConn, id: &str) -> QueryResult<Option<Self>> {
        users::table.find(id).select(Self::as_select()).first(conn).await.optional()
    }

    /// The users with these ids, by UPN; ids of nobody are passed over.
    ///
    /// # Errors
    /// From the database.
    pub async fn list_by_ids(conn: &mut DbConn, ids: &[String]) -> QueryResult<Vec<Self>> {
        let query = users::table.filter(users::id.eq_any(ids));
        query.order((users::upn_fold, users::id)).select(Self::as_select()).load(conn).await
    }

    /// The user with this identity.
    ///
    /// # Errors
    /// From the database.
    pub async fn find_by_identity(conn: &mut DbConn, realm: &str, subject: &str) -> QueryResult<Option<Self>> {
        users::table
            .filter(users::realm.eq(realm).and(users::subject.eq(subject)))
            .select(Self::as_select())
            .first(conn)
            .await
            .optional()
    }

    /// Up to `limit` users whose groups are kept and were last told before `before`.
    ///
    /// # Errors
    /// From the database.
    pub async fn list_with_lapsed_groups(
        conn: &mut DbConn,
        before: NaiveDateTime,
        limit: i64,
    ) -> QueryResult<Vec<Self>> {
        users::table
            .filter(sql::<Bool>("groups_kept").and(users::groups_synced_at.lt(before)))
            .limit(limit)
            .select(Self::as_select())
            .load(conn)
            .await
    }

    /// Notes that there is nothing to keep of their groups any more.
    ///
    /// # Errors
    /// From the database.
    pub async fn forget_groups(conn: &mut DbConn, id: &str) -> QueryResult<()> {
        let none = users::groups_synced_at.eq(None::<NaiveDateTime>);
        diesel::update(users::table.find(id)).set(none).prepared().execute(conn).await?;
        Ok(())
    }

    /// The users of `realm` with these subjects, in no order.
    ///
    /// # Errors
    /// From the database.
    pub async fn list_by_subjects(conn: &mut DbConn, realm: &str, subjects: &[&str]) -> QueryResult<Vec<Self>> {
        users::table
            .filter(users::realm.eq(realm).and(users::subject.eq_any(subjects)))
            .select(Self::as_select())
            .load(conn)
            .await
    }

    /// Up to `limit` users of `realm` by subject after `after`.
    ///
    /// # Errors
    /// From the database.
    pub async fn list_of_realm(conn: &mut DbConn, realm: &str, after: &str, limit: i64) -> QueryResult<Vec<Self>> {
        users::table
            .filter(users::realm.eq(realm).and(users::subject.gt(after)))
            .order(users::subject)
            .limit(limit)
            .select(Self::as_select())
            .load(conn)
            .await
    }

    /// How many active users `realm` has.
    ///
    /// # Errors
    /// From the database.
    pub async fn count_active(conn: &mut DbConn, realm: &str) -> QueryResult<i64> {
        users::table.filter(users::realm.eq(realm).and(users::status.eq("active"))).count().get_result(conn).await
    }

    /// Disables the user on behalf of an administrator, also where the directory had done so: it will not enable them
    /// again then. Says whether anything changed.
    ///
    /// # Errors
    /// From the database.
    pub async fn disable(conn: &mut DbConn, id: &str) -> QueryResult<bool> {
        let disabled_here = users::status.eq("disabled").and(users::disabled_by.eq("administrator"));
        let changed = diesel::update(users::table.filter(users::id.eq(id).and(diesel::dsl::not(disabled_here))))
            .set((users::status.eq("disabled"), users::disabled_by.eq("administrator")))
            .prepared()
            .execute(conn)
            .await?;
        Ok(changed > 0)
    }

    /// Enables the user, whoever disabled them; says whether it changed.
    ///
    /// # Errors
    /// From the database.
    pub async fn enable(conn: &mut DbConn, id: &str) -> QueryResult<bool> {
        let changed = diesel::update(users::table.filter(users::id.eq(id).and(users::status.ne("active"))))
            .set((users::status.eq("active"), users::disabled_by.eq("")))
            .prepared()
            .execute(conn)
            .await?;
        Ok(changed > 0)
    }

    /// Whether what the directory tells of them is another than in `other`.
    #[must_use]
    pub fn differs_from(&self, other: &Self) -> bool {
        let told = |user: &Self| {
            [&user.upn, &user.display_name, &user.email, &user.given_name, &user.family_name, &user.status]
                .map(String::clone)
        };
        told(self) != told(other) || self.disabled_by != other.disabled_by
    }

    /// Writes what the directory tells of the user: names, addresses and status.
    ///
    /// # Errors
    /// From the database.
    pub async fn save_from_directory(&self, conn: &mut DbConn, now: NaiveDateTime) -> QueryResult<()> {
        diesel::update(users::table.find(&self.id))
            .set((
                users::upn.eq(&self.upn),
                users::upn_fold.eq(self.upn.to_lowercase()),
                users::display_name.eq(&self.display_name),
                users::name_fold.eq(self.display_name.to_lowercase()),
                users::email.eq(&self.email),
                users::email_fold.eq(self.email.to_lowercase()),
                users::given_name.eq(&self.given_name),
                users::family_name.eq(&self.family_name),
                users::status.eq(&self.status),
                users::disabled_by.eq(&self.disabled_by),
                users::synced_at.eq(now),
            ))
            .prepared()
            .execute(conn)
            .await?;
        Ok(())
    }

    /// Deletes the user, and what is stored about them with it; says whether there was one.
    ///
    /// # Errors
    /// From the database.
    pub async fn delete(conn: &mut DbConn, id: &str) -> QueryResult<bool> {
        Ok(diesel::delete(users::table.find(id)).execute(conn).await? > 0)
    }

    /// Up to `limit` users who have not been here since `since`, the longest away first. Active administrators are none
    /// of them: an account for emergencies sleeps for years.
    ///
    /// # Errors
    /// From the database.
    pub async fn list_unseen(conn: &mut DbConn, since: NaiveDateTime, limit: i64) -> QueryResult<Vec<Self>> {
        unseen(since).order((users::last_sign_in_at, users::id)).limit(limit).select(Self::as_select()).load(conn).await
    }

    /// How many those of [`Self::list_unseen`] are without its limit.
    ///
    /// # Errors
    /// From the database.
    pub async fn count_unseen(conn: &mut DbConn, since: NaiveDateTime) -> QueryResult<i64> {
        unseen(since).count().get_result(conn).await
    }

    /// Whether the user with this id is one of [`Self::list_unseen`].
    ///
    /// # Errors
    /// From the database.
    pub async fn is_unseen(conn: &mut DbConn, id: &str, since: NaiveDateTime) -> QueryResult<bool> {
        let count: i64 = unseen(since).filter(users::id.eq(id.to_owned())).count().get_result(conn).await?;
        Ok(count > 0)
    }

    /// How many active users hold `role`, other than the user `except`.
    ///
    /// # Errors
    /// From the database.
    pub async fn count_others_with_role(conn: &mut DbConn, role: &str, except: &str) -> QueryResult<i64> {
        let holders = user_roles::table.filter(user_roles::role.eq(role)).select(user_roles::user_id);
        users::table
            .filter(users::id.eq_any(holders))
            .filter(users::status.eq("active").and(users::id.ne(except)))
            .count()
            .get_result(conn)
            .await
    }

    /// How many users fit; `None` when a search finds so many among so many that counting takes long.
    ///
    /// # Errors
    /// From the database.
    pub async fn count(conn: &mut DbConn, filter: &UserFilter) -> QueryResult<Option<i64>> {
        let among = user_search::candidates(conn, &filter.q).await?;
        if among.is_none() && !filter.q.trim().is_empty() {
            let some = users::table.select(users::id).limit(COUNTED + 1).load::<String>(conn).await?;
            if some.len() > usize::try_from(COUNTED).unwrap_or(usize::MAX) {
                return Ok(None);
            }
        }
        filtered(filter, among).count().get_result(conn).await.map(Some)
    }

    /// One more row than `window.limit` if there are more, in the order of the window, or from its
    /// end backwards for `before` and `end`: reverse them then.
    ///
    /// # Errors
    /// From the database.
    pub async fn list(conn: &mut DbConn, filter: &UserFilter, window: &UserWindow) -> QueryResult<Vec<Self>> {
        let among = user_search::candidates(conn, &filter.q).await?;
        Self::page(filter, among, window).select(Self::as_select()).load(conn).await
    }

    /// [`Self::list`], and how many live sessions each of them has.
    ///
    /// # Errors
    /// From the database.
    pub async fn list_with_sessions(
        conn: &mut DbConn,
        filter: &UserFilter,
        window: &UserWindow,
        live: LiveAt,
    ) -> QueryResult<Vec<(Self, i64)>> {
        let among = user_search::candidates(conn, &filter.q).await?;
        let theirs = sessions::table.filter(sessions::user_id.eq(users::id).and(is_live!(live)));
        let count = theirs.count().single_value().assume_not_null();
        Self::page(filter, among, window).select((Self::as_select(), count)).load(conn).await
    }

    /// The query of [`Self::list`], `among` the users with these ids.
    #[must_use]
    pub fn page<'a>(filter: &'a UserFilter, among: Option<Vec<String>>, window: &UserWindow) -> UserQuery<'a> {
        let query = filtered(filter, among);
        let query = match window.sort {
            "name" => by_text(query, users::name_fold, window),
            "email" => by_text(query, users::email_fold, window),
            "last_sign_in" => by_time(query, users::last_sign_in_at, window),
            "created" => by_time(query, users::created_at, window),
            _ => by_text(query, users::upn_fold, window),
        };
        query.limit(i64::from(window.limit) + 1)
    }

    /// The cursor of this row in the order `sort`.
    #[must_use]
    pub fn cursor(&self, sort: &str) -> Cursor {
        let key = match sort {
            "name" => self.display_name.to_lowercase(),
            "email" => self.email.to_lowercase(),
            "last_sign_in" => self.last_sign_in_at.and_utc().timestamp_micros().to_string(),
            "created" => self.created_at.and_utc().timestamp_micros().to_string(),
            _ => self.upn.to_lowercase(),
        };
        Cursor { order: sort.to_owned(), key, id: self.id.clone() }
    }

    /// The effective roles.
    pub fn role_names(&self) -> impl Iterator<Item = &str> {
        self.roles.split(' ').filter(|role| !role.is_empty())
    }

    /// When their app roles were last told.
    #[must_use]
    pub fn roles_told_at(&self) -> NaiveDateTime {
        // What was synced before this was noted came with the last sign-in.
        self.roles_synced_at.unwrap_or(self.last_sign_in_at)
    }

    /// When their groups were last told; `None` when they never were, or so long ago that they count no more.
    #[must_use]
    pub fn groups_told_at(&self) -> Option<NaiveDateTime> {
        // What was synced before this was noted came with the last sign-in.
        let noted = self.groups_synced_at;
        if self.groups_kept { noted } else { noted.or(Some(self.last_sign_in_at)) }
    }

    /// Whether `subject` of `realm` is their identity.
    #[must_use]
    pub fn is(&self, realm: &str, subject: &str) -> bool {
        self.realm == realm && self.subject == subject
    }

    /// Whether the user may sign in.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status == "active"
    }

    /// Whether the user holds `role`.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.role_names().any(|held| held == role)
    }

    /// The display name, or the UPN without one.
    #[must_use]
    pub fn name(&self) -> &str {
        if self.display_name.is_empty() { &self.upn } else { &self.display_name }
    }
}

/// Where a search finds many, they are counted among at most so many users.
const COUNTED: i64 = 20_000;

fn filtered(filter: &UserFilter, among: Option<Vec<String>>) -> UserQuery<'_> {
    let mut query = users::table.into_boxed();
    if let Some(ids) = among {
        query = query.filter(users::id.eq_any(ids));
    }
    match filter.status.as_deref() {
        // Spelled out: SQLite does not look into parameters when it asks whether an index of some rows will do.
        Some("disabled") => query = query.filter(sql::<Bool>("users.status = 'disabled'")),
        Some(status) => query = query.filter(users::status.eq(status)),
        None => {}
    }
    if let Some(user_type) = &filter.user_type {
        query = query.filter(users::user_type.eq(user_type));
    }
    if let Some(role) = &filter.role {
        let holders = user_roles::table.filter(user_roles::role.eq(role)).select(user_roles::user_id);
        query = query.filter(users::id.eq_any(holders));
    }
    if let Some(realm) = &filter.realm {
        query = query.filter(in_realm(realm));
    }
    let pattern = user_search::pattern(&filter.q);
    for word in user_search::words(&filter.q) {
        query = query.filter(told_by(pattern(&escape_like(&word))).or(users::subject.eq(word)));
    }
    query
}

/// People of one tenant. SQLite knows no statistics: it would take them by their identities and sort them all, where the
/// order's own index finds a page of them soon.
fn in_realm(realm: &str) -> Box<dyn BoxableExpression<users::table, Backend, SqlType = Bool> + '_> {
    let column = if cfg!(feature = "sqlite") { "+users.realm" } else { "users.realm" };
    Box::new(sql::<diesel::sql_types::Text>(column).eq(realm))
}

/// Names and addresses like `pattern`.
pub(super) fn told_by(pattern: String) -> Box<dyn BoxableExpression<users::table, Backend, SqlType = Bool>> {
    let like = (pattern.clone(), pattern.clone(), pattern);
    Box::new(
        users::upn_fold
            .like(like.0)
            .escape('\\')
            .or(users::name_fold.like(like.1).escape('\\'))
            .or(users::email_fold.like(like.2).escape('\\')),
    )
}

fn unseen(since: NaiveDateTime) -> UserQuery<'static> {
    let seen = sessions::table.filter(sessions::last_seen_at.ge(since)).select(sessions::user_id);
    let admins = user_roles::table.filter(user_roles::role.eq(ADMIN)).select(user_roles::user_id);
    users::table
        .filter(users::last_sign_in_at.lt(since))
        .filter(users::id.ne_all(seen))
        .filter(users::status.ne("active").or(users::id.ne_all(admins)))
        .into_boxed()
}

/// Whether somebody's user name, name or address is `text`, in any case.
///
/// # Errors
/// From the database.
pub async fn is_known_as(conn: &mut DbConn, text: &str) -> QueryResult<bool> {
    let text = text.to_lowercase();
    let is_theirs = users::upn_fold.eq(&text).or(users::name_fold.eq(&text)).or(users::email_fold.eq(&text));
    let count: i64 = users::table.filter(is_theirs).count().get_result(conn).await?;
    Ok(count > 0)
}

/// Makes `%` and `_` mean themselves in a `LIKE` pattern.
pub(super) fn escape_like(word: &str) -> String {
    word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// Orders by `$column` and starts at the cursor. `key >= k AND (key > k OR id > i)` lets both
/// databases start in the index, where `key > k OR (key = k AND id > i)` would scan.
macro_rules! windowed {
    ($query:ident, $column:ident, $window:ident, $parse:expr) => {{
        let ascending = $window.descending == $window.is_backward();
        let cursor = $window.cursor().and_then(|cursor| Some(($parse(&cursor.key)?, cursor.id.clone())));
        let query = match cursor {
            Some((key, id)) if ascending => {
                $query.filter($column.ge(key.clone()).and($column.gt(key).or(users::id.gt(id))))
            }
            Some((key, id)) => $query.filter($column.le(key.clone()).and($column.lt(key).or(users::id.lt(id)))),
            None => $query,
        };
        if ascending {
            query.order(($column.asc(), users::id.asc()))
        } else {
            query.order(($column.desc(), users::id.desc()))
        }
    }};
}

fn by_text<'a, C>(query: UserQuery<'a>, column: C, window: &UserWindow) -> UserQuery<'a>
where
    C: Column<Table = users::table, SqlType = diesel::sql_types::Text>
        + diesel::expression::ValidGrouping<(), IsAggregate = diesel::expression::is_aggregate::No>
        + AppearsOnTable<users::table>
        + diesel::query_builder::QueryFragment<Backend>
        + diesel::query_builder::QueryId
        + Copy
        + Send
        + 'static,
{
    windowed!(query, column, window, |key: &str| Some(key.to_owned()))
}

fn by_time<'a, C>(query: UserQuery<'a>, column: C, window: &UserWindow) -> UserQuery<'a>
where
    C: Column<Table = users::table, SqlType = diesel::sql_types::Timestamp>
        + diesel::expression::ValidGrouping<(), IsAggregate = diesel::expression::is_aggregate::No>
        + AppearsOnTable<users::table>
        + diesel::query_builder::QueryFragment<Backend>
        + diesel::query_builder::QueryId
        + Copy
        + Send
        + 'static,
{
    windowed!(query, column, window, |key: &str| {
        let micros = key.parse().ok()?;
        Some(DateTime::from_timestamp_micros(micros)?.naive_utc())
    })
}
