//! Migrations, embedded and run under a lock, so that any number of instances may start at once.

use diesel::migration::{Migration, MigrationSource};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{Backend, Database, DbError};

/// The migrations of this build's database.
#[cfg(feature = "sqlite")]
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");
/// The migrations of this build's database.
#[cfg(feature = "postgres")]
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// Brings the schema up to date; returns the names of the migrations that it ran.
///
/// # Errors
/// [`DbError::Unavailable`] without a connection, [`DbError::Migration`] with the reason otherwise.
pub async fn run(database: &Database) -> Result<Vec<String>, DbError> {
    let conn = database.conn().await?;
    let applied = with_lock(conn, |harness| {
        let applied = harness.run_pending_migrations(MIGRATIONS)?;
        Ok(applied.iter().map(ToString::to_string).collect())
    });
    applied.await.map_err(|error| DbError::Migration(error.to_string()))
}

/// Names of the migrations that this program holds and the database lacks.
///
/// # Errors
/// As [`run`].
pub async fn pending(database: &Database) -> Result<Vec<String>, DbError> {
    let conn = database.conn().await?;
    let pending = with_lock(conn, |harness| {
        let pending = harness.pending_migrations(MIGRATIONS)?;
        Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
    });
    pending.await.map_err(|error| DbError::Migration(error.to_string()))
}

/// Undoes every migration, newest first: for the test that proves each `down.sql`.
///
/// # Errors
/// As [`run`].
pub async fn revert_all(database: &Database) -> Result<usize, DbError> {
    let conn = database.conn().await?;
    let reverted = with_lock(conn, |harness| Ok(harness.revert_all_migrations(MIGRATIONS)?.len()));
    reverted.await.map_err(|error| DbError::Migration(error.to_string()))
}

/// Names of the embedded migrations, oldest first.
#[must_use]
pub fn names() -> Vec<String> {
    let migrations: Vec<Box<dyn Migration<Backend>>> = MIGRATIONS.migrations().unwrap_or_default();
    let mut names: Vec<String> = migrations.iter().map(|migration| migration.name().to_string()).collect();
    names.sort();
    names
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A connection as Diesel's own migrations want it: blocking.
#[cfg(feature = "sqlite")]
type SyncConn = diesel::SqliteConnection;
/// A connection as Diesel's own migrations want it: blocking.
#[cfg(feature = "postgres")]
type SyncConn = diesel_async::async_connection_wrapper::AsyncConnectionWrapper<super::Conn>;

/// SQLite: the whole run is one immediate transaction, so that a second process waits for it.
#[cfg(feature = "sqlite")]
async fn with_lock<T: Send + 'static>(
    mut conn: super::Conn,
    work: impl FnOnce(&mut SyncConn) -> Result<T, BoxError> + Send + 'static,
) -> Result<T, BoxError> {
    conn.write(|conn| Ok(conn.immediate_transaction(|conn| work(conn).map_err(Failed))))
        .await?
        .map_err(|Failed(error)| error)
}

/// Carries any error out of a Diesel transaction.
#[cfg(feature = "sqlite")]
struct Failed(BoxError);

#[cfg(feature = "sqlite")]
impl From<diesel::result::Error> for Failed {
    fn from(error: diesel::result::Error) -> Self {
        Self(error.into())
    }
}

/// PostgreSQL: an advisory lock of the session; unlocked by hand since the connection is pooled.
#[cfg(feature = "postgres")]
async fn with_lock<T: Send + 'static>(
    conn: super::Conn,
    work: impl FnOnce(&mut SyncConn) -> Result<T, BoxError> + Send + 'static,
) -> Result<T, BoxError> {
    use diesel::RunQueryDsl as _;

    /// `entra-starter` in the letters of a telephone, so that no other program takes it by chance.
    const LOCK: i64 = 3_687_278_278_337;

    tokio::task::spawn_blocking(move || {
        let mut conn = SyncConn::from(conn);
        diesel::sql_query("SET statement_timeout = 0").execute(&mut conn)?;
        diesel::sql_query(format!("SELECT pg_advisory_lock({LOCK})")).execute(&mut conn)?;
        let result = work(&mut conn);
        diesel::sql_query(format!("SELECT pg_advisory_unlock({LOCK})")).execute(&mut conn)?;
        diesel::sql_query("SET statement_timeout = '30s'").execute(&mut conn)?;
        result
    })
    .await?
}
