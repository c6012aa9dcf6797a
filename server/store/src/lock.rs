//! Locks that a transaction holds to its end. SQLite needs none: a write transaction there is alone from its begin.
//!
//! Nobody waits in a circle, since everybody takes them in this order: the rules, a user, the audit log.

use diesel::QueryResult;

use super::DbConn;

/// Who may what is being changed: by an act, by a rule, or by the settings at a start. The number after that of the
/// migrations.
#[cfg(feature = "postgres")]
const ROLE_RULES: i64 = 3_687_278_278_338;

/// `audit log` in the letters of a telephone.
#[cfg(feature = "postgres")]
const AUDIT_LOG: i64 = 28_348_564;

/// Alone: whoever holds [`role_rules_shared`] is done before, or begins after. So transactions that take roles or status
/// from people, acts, the directory and syncs alike, see what the others have left.
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

/// The row of one user: a sign-in, a refresh and an erasure of the same person come one after the other.
///
/// # Errors
/// From the database.
pub async fn user(conn: &mut DbConn, user_id: &str) -> QueryResult<()> {
    #[cfg(feature = "postgres")]
    {
        use diesel::QueryDsl as _;
        use diesel_async::RunQueryDsl as _;

        use super::schema::users;
        users::table.find(user_id).select(users::id).for_update().load::<String>(conn).await?;
    }
    let _ = (conn, user_id);
    Ok(())
}

/// The events of the audit log, against others who change them or give them their places.
///
/// # Errors
/// From the database.
pub async fn audit_log(conn: &mut DbConn) -> QueryResult<()> {
    #[cfg(feature = "postgres")]
    run(conn, &format!("SELECT pg_advisory_xact_lock({AUDIT_LOG})")).await?;
    let _ = conn;
    Ok(())
}

#[cfg(feature = "postgres")]
async fn run(conn: &mut DbConn, sql: &str) -> QueryResult<()> {
    // As plain text, in one round trip: a prepared statement would take two.
    diesel_async::SimpleAsyncConnection::batch_execute(conn, sql).await
}
