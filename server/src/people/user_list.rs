//! The list of users that a query asks for, in windows: for the admin page and for the API.

use app::model::UserQuery;
use app::query::{sort_name, status_name, type_name};
use diesel::QueryResult;
use store::DbConn;
use store::models::{Cursor, LiveAt, User, UserFilter, UserWindow};

/// Which users, in which order, from where on.
#[derive(Clone, Debug)]
pub struct UserList {
    filter: UserFilter,
    window: UserWindow,
}

/// A window of users, each as `T`, and the cursors of those beside it.
#[derive(Clone, Debug)]
pub struct Window<T> {
    /// In the list's order.
    pub users: Vec<T>,
    /// Ends the window, if there is one after it.
    pub next: Option<String>,
    /// Begins the window, if there is one before it.
    pub prev: Option<String>,
}

impl UserList {
    /// The list; `None` when its cursor is none of ours, or belongs to another order.
    #[must_use]
    pub fn of(query: &UserQuery) -> Option<Self> {
        let list = Self::or_first_page(query);
        let asked = query.after.is_some() || query.before.is_some();
        let understood = list.window.after.is_some() || list.window.before.is_some();
        (asked == understood).then_some(list)
    }

    /// The list; from its first page on when the cursor is not understood.
    #[must_use]
    pub fn or_first_page(query: &UserQuery) -> Self {
        let sort = sort_name(query.sort);
        let cursor = |text: &Option<String>| text.as_deref().and_then(|text| Cursor::decode(text, sort));
        Self {
            filter: user_filter(query),
            window: UserWindow {
                sort,
                descending: query.descending,
                after: cursor(&query.after),
                before: cursor(&query.before),
                end: query.end,
                limit: query.per_page.clamp(1, 200),
            },
        }
    }

    /// Only people of this tenant, if one is given.
    #[must_use]
    pub fn within(mut self, tenant: Option<&str>) -> Self {
        self.filter.realm = tenant.map(str::to_owned);
        self
    }

    /// Which users.
    #[must_use]
    pub fn filter(&self) -> &UserFilter {
        &self.filter
    }

    /// The users of the window.
    ///
    /// # Errors
    /// From the database.
    pub async fn window(&self, conn: &mut DbConn) -> QueryResult<Window<User>> {
        let users = User::list(conn, &self.filter, &self.window).await?;
        Ok(self.cut(users, |user| user))
    }

    /// The users of the window, each with how many sessions of theirs are `live`.
    ///
    /// # Errors
    /// From the database.
    pub async fn window_with_sessions(&self, conn: &mut DbConn, live: LiveAt) -> QueryResult<Window<(User, i64)>> {
        let users = User::list_with_sessions(conn, &self.filter, &self.window, live).await?;
        Ok(self.cut(users, |(user, _)| user))
    }

    /// Takes away the row that only tells that there are more, and puts the others into the list's order.
    fn cut<T>(&self, mut rows: Vec<T>, user: impl Fn(&T) -> &User) -> Window<T> {
        let window = &self.window;
        let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let is_backward = window.end || window.before.is_some();
        if is_backward {
            rows.reverse();
        }
        let (has_prev, has_next) = match is_backward {
            true => (has_more, !window.end),
            false => (window.after.is_some(), has_more),
        };
        let at =
            |row: Option<&T>, exists: bool| row.filter(|_| exists).map(|row| user(row).cursor(window.sort).encode());
        Window { next: at(rows.last(), has_next), prev: at(rows.first(), has_prev), users: rows }
    }
}

/// The filters of the list, for the table.
#[must_use]
pub fn user_filter(query: &UserQuery) -> UserFilter {
    UserFilter {
        q: query.q.replace('\0', ""),
        status: query.status.map(|status| status_name(status).to_owned()),
        role: query.role.clone(),
        user_type: query.user_type.map(|user_type| type_name(user_type).to_owned()),
        realm: None,
    }
}
