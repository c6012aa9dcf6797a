//! The database: one connection type for SQLite and PostgreSQL, its pool, its errors, migrations, rows and queries.
//!
//! [`models`] has a file for each table; [`schema`] is Diesel's, [`migrate`] runs what `migrations/` holds, [`lock`] has
//! every lock beyond a row's, [`rule`] reads the rules that give roles, [`config`] says where the data is.
//!
//! Queries are written once, against [`DbConn`]. Two rules:
//!
//! - Writes of more than one statement go through [`write_transaction!`](crate::write_transaction),
//!   which takes SQLite's write lock at its begin, so that two writers queue instead of failing.
//! - Whoever may be cancelled (a handler whose client goes away) runs them inside [`to_end`]:
//!   a transaction dropped half-way would return its connection to the pool still open.

#[cfg(all(feature = "sqlite", feature = "postgres"))]
compile_error!("choose one database: `--no-default-features --features postgres` leaves SQLite out");
#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
compile_error!("choose a database: `--features sqlite` or `--features postgres`");

mod clock;
mod committed;
pub mod config;
pub mod lock;
pub mod migrate;
pub mod models;
mod pool;
mod prepared;
pub mod rule;
#[rustfmt::skip]
pub mod schema;
#[cfg(feature = "sqlite")]
mod sqlite;
mod stored_time;

use std::future::Future;

pub use clock::{DatabaseClock, rfc3339};
pub use committed::{on_audit_event, told_after_commit};
pub use pool::{Conn, Database, WAIT};
pub use prepared::{Prepare, Prepared};
#[cfg(feature = "sqlite")]
pub use sqlite::{RunQueryDsl, immediate_transaction};
pub use stored_time::{StoredTime, StoredTimeOrNull};

/// How queries and transactions are run.
#[cfg(feature = "postgres")]
pub use diesel_async::{AsyncConnection, RunQueryDsl};

/// The connection type of this build.
#[cfg(feature = "sqlite")]
pub type DbConn = sqlite::Connection;
/// The connection type of this build.
#[cfg(feature = "postgres")]
pub type DbConn = diesel_async::AsyncPgConnection;

/// Diesel's backend of this build.
#[cfg(feature = "sqlite")]
pub type Backend = diesel::sqlite::Sqlite;
/// Diesel's backend of this build.
#[cfg(feature = "postgres")]
pub type Backend = diesel::pg::Pg;

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// No connection could be had, or it broke: worth another try later (HTTP 503).
    #[error("the database does not answer: {0}")]
    Unavailable(String),
    /// The query failed.
    #[error("the query failed: {0}")]
    Query(diesel::result::Error),
    /// A migration failed, or the schema is newer than this program.
    #[error("the migration failed: {0}")]
    Migration(String),
    /// The task that ran the work to its end panicked.
    #[error("the work on the database was interrupted")]
    Interrupted,
}

impl From<diesel::result::Error> for DbError {
    fn from(error: diesel::result::Error) -> Self {
        use diesel::result::{DatabaseErrorKind, Error};
        let error = match error {
            // SQLite rolls back by itself when a commit finds the disk full; that nothing is left to roll back is no news.
            Error::RollbackErrorOnCommit { commit_error, .. } => *commit_error,
            other => other,
        };
        match &error {
            Error::DatabaseError(DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand, _)
            | Error::BrokenTransactionManager => Self::Unavailable(error.to_string()),
            Error::DatabaseError(DatabaseErrorKind::Unknown, information)
                if is_passing_trouble(information.message()) =>
            {
                Self::Unavailable(error.to_string())
            }
            _ => Self::Query(error),
        }
    }
}

/// Texts of SQLite and PostgreSQL for trouble that passes: locks, disk, shutdown, no slots left.
fn is_passing_trouble(message: &str) -> bool {
    const TEXTS: [&str; 8] = [
        "database is locked",
        "disk is full",
        "disk I/O error",
        "readonly database",
        "shutting down",
        "terminating connection",
        "too many clients",
        "connection closed",
    ];
    TEXTS.iter().any(|text| message.contains(text))
}

/// Runs `work` in a task of its own and waits for it, so that it comes to its end even when the
/// caller is dropped.
///
/// # Errors
/// What `work` fails with, or [`DbError::Interrupted`] when it panics.
pub async fn to_end<T, E>(work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<DbError> + Send + 'static,
{
    match tokio::spawn(work).await {
        Ok(result) => result,
        Err(_) => Err(DbError::Interrupted.into()),
    }
}

/// Runs an async closure `async |conn| …` in one write transaction on `$conn`; its `Err` rolls back.
#[cfg(feature = "sqlite")]
#[macro_export]
macro_rules! write_transaction {
    ($conn:expr, $work:expr) => {
        $crate::told_after_commit($crate::immediate_transaction(&mut *$conn, $work)).await
    };
}

/// Runs an async closure `async |conn| …` in one write transaction on `$conn`; its `Err` rolls back.
#[cfg(feature = "postgres")]
#[macro_export]
macro_rules! write_transaction {
    ($conn:expr, $work:expr) => {
        $crate::told_after_commit($crate::AsyncConnection::transaction(&mut *$conn, $work)).await
    };
}
