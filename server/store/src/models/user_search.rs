//! Searching users without reading all of them: first the few whom the index finds, then the list among them.
//!
//! Both databases index trigrams, SQLite with FTS5 and PostgreSQL with `pg_trgm`. Where matches are many, the list in its
//! own order meets a page of them soon, and the index is of no use; so it is asked for [`FEW`] at most.
//! On PostgreSQL without `pg_trgm` (it takes the right to create the extension, which is a trusted one) everything works
//! the same, and a search that finds nobody reads every user.

use diesel::prelude::*;

use crate::schema::users;
use crate::{DbConn, RunQueryDsl};

/// At most this many words are searched for; the rest of a pasted text is ignored.
const MAX_WORDS: usize = 8;

/// Up to so many matches are looked up by their ids; more are found while the list is read.
const FEW: usize = 2000;

/// Characters of a trigram: shorter words are not in the index.
const TRIGRAM: usize = 3;

/// The words of a search, in lower case.
pub(super) fn words(q: &str) -> impl Iterator<Item = String> {
    q.split_whitespace().take(MAX_WORDS).map(str::to_lowercase)
}

/// How a word of `q` is looked for in names and addresses: anywhere; at their beginning, when no word is long enough for
/// the index.
pub(super) fn pattern(q: &str) -> fn(&str) -> String {
    match words(q).any(|word| is_long(&word)) {
        true => |word| format!("%{word}%"),
        false => |word| format!("{word}%"),
    }
}

fn is_long(word: &str) -> bool {
    word.chars().count() >= TRIGRAM
}

/// The ids of all users whom the index finds for `q`, a superset of those who match; `None` when they are many, or when
/// nothing is searched for.
///
/// # Errors
/// From the database.
pub(super) async fn candidates(conn: &mut DbConn, q: &str) -> QueryResult<Option<Vec<String>>> {
    let (long, short): (Vec<String>, Vec<String>) = words(q).partition(|word| is_long(word));
    let mut ids = match (long.as_slice(), short.as_slice()) {
        ([], []) => return Ok(None),
        ([], [short, ..]) => beginning_with(conn, short).await?,
        (long, _) => containing(conn, long).await?,
    };
    if ids.len() > FEW {
        return Ok(None);
    }
    // An object id is in no name.
    let subjects = users::table.filter(users::subject.eq_any(words(q))).select(users::id);
    ids.extend(subjects.load::<String>(conn).await?);
    Ok(Some(ids))
}

/// One or two letters: names and addresses that begin with them.
async fn beginning_with(conn: &mut DbConn, word: &str) -> QueryResult<Vec<String>> {
    let (from, to) = (word.to_owned(), format!("{word}\u{10ffff}"));
    let mut ids = Vec::new();
    macro_rules! extend {
        ($column:expr) => {
            let query = users::table.filter($column.ge(from.clone()).and($column.lt(to.clone())));
            ids.extend(query.select(users::id).limit(limit()).load::<String>(conn).await?);
        };
    }
    extend!(users::upn_fold);
    extend!(users::name_fold);
    extend!(users::email_fold);
    Ok(ids)
}

fn limit() -> i64 {
    i64::try_from(FEW).unwrap_or(i64::MAX) + 1
}

/// The index holds single trigrams: all of them must be there. That they follow each other is seen afterwards.
#[cfg(feature = "sqlite")]
async fn containing(conn: &mut DbConn, words: &[String]) -> QueryResult<Vec<String>> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = diesel::sql_types::Text)]
        user_id: String,
    }
    let found: Vec<Found> = diesel::sql_query(
        "SELECT user_id FROM user_search_keys WHERE key IN \
         (SELECT rowid FROM user_search WHERE user_search MATCH ? LIMIT ?)",
    )
    .bind::<diesel::sql_types::Text, _>(trigrams(words))
    .bind::<diesel::sql_types::BigInt, _>(limit())
    .load(conn)
    .await?;
    Ok(found.into_iter().map(|found| found.user_id).collect())
}

/// The words as a query of FTS5: each trigram quoted, so that none is an operator.
#[cfg(feature = "sqlite")]
fn trigrams(words: &[String]) -> String {
    let mut found = std::collections::BTreeSet::new();
    for word in words {
        let letters: Vec<char> = word.chars().collect();
        found.extend(letters.windows(TRIGRAM).map(|trigram| trigram.iter().collect::<String>().replace('"', "\"\"")));
    }
    found.into_iter().map(|trigram| format!("\"{trigram}\"")).collect::<Vec<_>>().join(" AND ")
}

#[cfg(feature = "postgres")]
async fn containing(conn: &mut DbConn, words: &[String]) -> QueryResult<Vec<String>> {
    use super::user::{escape_like, told_by};
    let mut query: users::BoxedQuery<'_, crate::Backend> = users::table.into_boxed();
    for word in words {
        query = query.filter(told_by(format!("%{}%", escape_like(word))));
    }
    query.select(users::id).limit(limit()).load(conn).await
}
