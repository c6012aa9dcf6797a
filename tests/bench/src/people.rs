//! People in a database, by the thousand.

use std::fmt::Write as _;
use std::pin::pin;

use anyhow::Result;
use futures_util::SinkExt as _;

use crate::database::{Database, postgres};

/// Rows that travel to PostgreSQL together.
const ROWS: u32 = 5_000;

/// What one of them is called, and is.
struct Person {
    id: String,
    upn: String,
    name: String,
    kind: &'static str,
    status: &'static str,
    seen: String,
}

impl Person {
    /// One in ten is a guest, one in fifty disabled; ids, names and times are scattered over all numbers.
    fn new(number: u32) -> Self {
        let scattered = number.wrapping_mul(2_654_435_761);
        Self {
            id: format!("{scattered:08x}-0000-4000-8000-{number:012x}"),
            upn: format!("person{scattered:08x}@contoso.example"),
            name: format!("Person {number} of Department {}", scattered % 97),
            kind: if number.is_multiple_of(10) { "guest" } else { "member" },
            status: if number.is_multiple_of(50) { "disabled" } else { "active" },
            seen: format!(
                "2026-{:02}-{:02} 08:{:02}:{:02}.000000",
                1 + scattered % 10,
                1 + scattered % 28,
                number % 60,
                scattered % 60
            ),
        }
    }
}

const COLUMNS: &str = "id, realm, subject, upn, upn_fold, display_name, name_fold, email, email_fold, user_type, status, \
                       created_at, last_sign_in_at, synced_at";
const REALM: &str = "11111111-2222-4333-8444-555555555555";

/// Fills the table of users up to `count`.
pub async fn fill(database: &Database, count: u32) -> Result<()> {
    let present = u32::try_from(database.count("SELECT COUNT(*) FROM users").await?)?;
    let people = (present..count).map(Person::new);
    match database {
        Database::Sqlite(path) => fill_sqlite(&mut rusqlite::Connection::open(path)?, people),
        Database::Postgres(url) => fill_postgres(url, people).await,
    }
}

fn fill_sqlite(database: &mut rusqlite::Connection, people: impl Iterator<Item = Person>) -> Result<()> {
    database.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000")?;
    let transaction = database.transaction()?;
    let values = format!("?1, '{REALM}', ?1, ?2, ?2, ?3, lower(?3), ?2, ?2, ?4, ?5, ?6, ?6, ?6");
    let mut insert = transaction.prepare(&format!("INSERT INTO users ({COLUMNS}) VALUES ({values})"))?;
    for Person { id, upn, name, kind, status, seen } in people {
        insert.execute((id, upn, name, kind, status, seen))?;
    }
    drop(insert);
    transaction.commit()?;
    database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}

async fn fill_postgres(url: &str, people: impl Iterator<Item = Person>) -> Result<()> {
    let client = postgres(url).await?;
    // The index of the search is made faster at once than row by row.
    let search = "SELECT indexdef FROM pg_indexes WHERE indexname = 'users_search'";
    let search: Option<String> = client.query_opt(search, &[]).await?.map(|row| row.get(0));
    client.batch_execute("DROP INDEX IF EXISTS users_search").await?;
    let mut sink = pin!(client.copy_in::<_, bytes::Bytes>(&format!("COPY users ({COLUMNS}) FROM STDIN")).await?);
    let (mut rows, mut waiting) = (String::new(), 0);
    for Person { id, upn, name, kind, status, seen } in people {
        let fold = name.to_lowercase();
        let _ = writeln!(
            rows,
            "{id}\t{REALM}\t{id}\t{upn}\t{upn}\t{name}\t{fold}\t{upn}\t{upn}\t{kind}\t{status}\t{seen}\t{seen}\t{seen}"
        );
        waiting += 1;
        if waiting == ROWS {
            sink.send(std::mem::take(&mut rows).into()).await?;
            waiting = 0;
        }
    }
    sink.send(rows.into()).await?;
    sink.finish().await?;
    client.batch_execute(&search.unwrap_or_default()).await?;
    // What autovacuum would do within the next minutes, in the middle of the measurement.
    for statement in ["VACUUM ANALYZE", "CHECKPOINT"] {
        client.batch_execute(statement).await?;
    }
    Ok(())
}
