//! Locks that a transaction holds to its end. SQLite needs none: a write transaction there is alone from its begin.

use diesel::QueryResult;

use super::DbConn;

/// Who may what is being changed: by an act, by a rule, or by the settings at a start. The number after that of the
/// migrations.
#[cfg(feature = "postgres")]
const ROLE_RULES: i64 = 3_687_278_278_338;

/// Alone: whoever holds [`role_rules_shared`] is done before, or begins after.
///
/// # Errors
/// From the database.
pub async fn role_rules(conn: &mut DbConn) -> QueryResult<()> {
    #[cfg(feature = "postgres")]
    run(conn, &format!("SELECT pg_advisory_xact_lock({ROLE_RULES})")).await?;
    let _ = conn;
    Ok(())
}

/// Together with others who derive one person's roles from the rules: the rules stay as they are meanwhile.
///
/// # Errors
/// From the database.
pub async fn role_rules_shared(conn: &mut DbConn) -> QueryResult<()> {
    #[cfg(feature = "postgres")]
    run(conn, &format!("SELECT pg_advisory_xact_lock_shared({ROLE_RULES})")).await?;
    let _ = conn;
    Ok(())
}

#[cfg(feature = "postgres")]
async fn run(conn: &mut DbConn, sql: &str) -> QueryResult<()> {
    // As plain text, in one round trip: a prepared statement would take two.
    diesel_async::SimpleAsyncConnection::batch_execute(conn, sql).await
}
