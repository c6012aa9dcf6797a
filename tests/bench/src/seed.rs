//! People in the database, by the thousand.

use std::path::Path;

use anyhow::Result;
use rusqlite::Connection;

/// Copies a database that nobody uses.
pub fn copy(database: &Path, to: &Path) -> Result<()> {
    Connection::open(database)?.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    std::fs::copy(database, to)?;
    Ok(())
}

/// Fills the table of users up to `count`: one in ten a guest, one in fifty disabled.
pub fn users(database: &Path, count: u32) -> Result<()> {
    let mut database = Connection::open(database)?;
    database.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000")?;
    let transaction = database.transaction()?;
    let present: u32 = transaction.query_row("SELECT COUNT(*) FROM users", [], |row| row.get(0))?;
    let mut insert = transaction.prepare(
        "INSERT INTO users (id, realm, subject, upn, upn_fold, display_name, name_fold, email, email_fold, user_type,
             status, created_at, last_sign_in_at, synced_at)
         VALUES (?1, '11111111-2222-4333-8444-555555555555', ?1, ?2, ?2, ?3, lower(?3), ?2, ?2, ?4, ?5, ?6, ?6, ?6)",
    )?;
    for number in present..count {
        let scattered = number.wrapping_mul(2_654_435_761);
        let id = format!("{scattered:08x}-0000-4000-8000-{number:012x}");
        let upn = format!("person{scattered:08x}@contoso.example");
        let name = format!("Person {number} of Department {}", scattered % 97);
        let kind = if number % 10 == 0 { "guest" } else { "member" };
        let status = if number % 50 == 0 { "disabled" } else { "active" };
        let day = format!(
            "2026-{:02}-{:02} 08:{:02}:{:02}.000000",
            1 + scattered % 10,
            1 + scattered % 28,
            number % 60,
            scattered % 60
        );
        insert.execute((id, upn, name, kind, status, day))?;
    }
    drop(insert);
    transaction.commit()?;
    database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}
