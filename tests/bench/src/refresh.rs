//! People with grants, and how fast those are refreshed in the background when all are due at once.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::database::Database;
use crate::http::Connection;
use crate::sign_in::cookie;

/// Grants in a measurement.
const GRANTS: u32 = 2_000;
/// People who sign in at the same time to have them.
const AT_ONCE: u32 = 16;
/// Nothing else is due then.
const MARK: &str = "2026-01-01 00:00:00";

/// Refreshes a second of all instances on `database`, which has the grants of [`sign_in`].
pub async fn rate(database: &Database) -> Result<f64> {
    let all = database.count("SELECT COUNT(*) FROM grants WHERE state = 'live'").await?;
    ensure!(all >= i64::from(GRANTS), "{all} grants");
    database.execute(&format!("UPDATE grants SET due_at = '{MARK}' WHERE state = 'live'")).await?;
    // An instance may look for what is due a moment later: its first refresh begins the measurement.
    let (left, begun) = (left_below(database, all).await?, Instant::now());
    left_below(database, 1).await?;
    let lost = database.count("SELECT COUNT(*) FROM grants WHERE state <> 'live'").await?;
    ensure!(lost == 0, "{lost} grants were lost");
    Ok(f64::from(u32::try_from(left)?) / begun.elapsed().as_secs_f64())
}

async fn left_below(database: &Database, count: i64) -> Result<i64> {
    let begun = Instant::now();
    let query = format!("SELECT COUNT(*) FROM grants WHERE due_at = '{MARK}'");
    loop {
        let left = database.count(&query).await?;
        if left < count {
            return Ok(left);
        }
        ensure!(begun.elapsed() < Duration::from_secs(300), "{left} grants were not refreshed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Signs 2,000 people in at `server`: each has a session, a grant and an event in the audit log then.
pub async fn sign_in(server: SocketAddr, provider: SocketAddr) -> Result<()> {
    let body = format!("{{\"count\":{GRANTS}}}");
    let request = format!(
        "POST /_control/personas/generate HTTP/1.1\r\nHost: {provider}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let status = Connection::open(provider).await?.send(request.as_bytes()).await?.status;
    ensure!(status < 300, "the emulator answered {status}");
    let mut people = tokio::task::JoinSet::new();
    for first in 1..=AT_ONCE {
        people.spawn_local(async move {
            for number in (first..=GRANTS).step_by(AT_ONCE as usize) {
                cookie(server, provider, &format!("user{number:05}")).await?;
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    while let Some(done) = people.join_next().await {
        done??;
    }
    Ok(())
}
