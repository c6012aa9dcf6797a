//! Whom a search of users may be for, while it is typed: what the island of the search field asks.

use app::model::UserQuery;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use store::models::User;

use crate::error::AppError;
use crate::people::user_list::UserList;
use crate::session::access::Admin;
use crate::state::AppState;

/// As many as are read at a glance.
const FEW: u32 = 8;

/// `GET /admin/users/suggestions?q=`: the first people whom the list would show for `q`, as `text/plain`. Each is a line of
/// their UPN, a tab and their name; nobody when `q` is empty.
///
/// # Errors
/// 503 when the database does not answer.
pub async fn users(_: Admin, State(state): State<AppState>, RawQuery(query): RawQuery) -> Result<Response, AppError> {
    let UserQuery { q, .. } = UserQuery::parse(query.as_deref().unwrap_or_default());
    if q.trim().is_empty() {
        return Ok(String::new().into_response());
    }
    let list = UserList::or_first_page(&UserQuery { q, per_page: FEW, ..UserQuery::default() });
    let mut conn = state.db.conn().await?;
    let found = list.window(&mut conn).await?;
    Ok(found.users.iter().map(line).collect::<String>().into_response())
}

fn line(user: &User) -> String {
    // A name comes from the provider, and may hold anything.
    let word = |text: &str| text.replace(char::is_control, " ");
    format!("{}\t{}\n", word(&user.upn), word(user.name()))
}
