//! How `/profile` fares while an instance deletes a million sessions that are over (`docs/requirements.tsv` F-30). Started
//! by `tests/purge`, which says what it needs; writes its findings to standard output.

use std::error::Error;
use std::time::{Duration, Instant};

use diesel::prelude::*;
#[cfg(feature = "postgres")]
use diesel_async::SimpleAsyncConnection as _;
use store::RunQueryDsl;
use store::schema::sessions;
use suite::{Browser, Instance, TestApp};

/// How often the page is asked for when nothing is deleted.
const PAGES: usize = 3_000;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    if suite::serve_if_instance() {
        return Ok(());
    }
    let count: u64 = std::env::args().nth(1).map_or(Ok(1_000_000), |count| count.parse())?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(count))
}

fn say(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{line}");
}

async fn measure(count: u64) -> Result<()> {
    let app = TestApp::builder().running_clock().start().await;
    let session = app.sign_in("member1").await.cookie("id").ok_or("no session")?;
    app.settle().await;
    say(&format!(
        "{count} sessions that are over, {}",
        if cfg!(feature = "postgres") { "PostgreSQL" } else { "SQLite" }
    ));
    fill(&app, count).await?;
    // Its jobs begin with it.
    let instance = Instance::start(&app, &[]).await;
    let browser = instance.browser();
    browser.set_cookie("id", &session);
    let (mut during, started) = (Vec::new(), Instant::now());
    while is_any_left(&app).await? {
        for _ in 0..100 {
            during.push(page(&browser).await?);
        }
    }
    say(&format!("deleted in {:.1} s", started.elapsed().as_secs_f64()));
    let mut after = Vec::new();
    for _ in 0..PAGES {
        after.push(page(&browser).await?);
    }
    let (during, after) = (say_times("while deleting", during)?, say_times("afterwards", after)?);
    say(&format!("p99 while deleting is {:.1} times that afterwards", during.as_secs_f64() / after.as_secs_f64()));
    Ok(())
}

async fn page(browser: &Browser) -> Result<Duration> {
    let started = Instant::now();
    let status = browser.get("/profile").await.status;
    (status == 200).then(|| started.elapsed()).ok_or_else(|| format!("/profile answers {status}").into())
}

/// Says the median and the 99th percentile, and returns the latter.
fn say_times(what: &str, mut times: Vec<Duration>) -> Result<Duration> {
    times.sort();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().ok_or("too few pages");
    let (median, high) = (at(50)?, at(99)?);
    say(&format!("/profile {what}: p50 {median:.2?}, p99 {high:.2?} ({} pages)", times.len()));
    Ok(high)
}

async fn is_any_left(app: &TestApp) -> Result<bool> {
    let mut conn = app.state.db.conn().await?;
    let over = sessions::expires_at.lt(app.state.shared_now());
    let first = sessions::table.filter(over).select(sessions::id).limit(1);
    let found: Vec<String> = first.load(&mut conn).await?;
    Ok(!found.is_empty())
}

/// Other people, to whom the sessions belong.
const PEOPLE: u64 = 1_000;

/// Copies the session as often as that for other people, each with an id of its own and over for an hour.
async fn fill(app: &TestApp, count: u64) -> Result<()> {
    suite::db_fill(app, usize::try_from(PEOPLE)?).await;
    let each = count.div_ceil(PEOPLE);
    let numbers =
        format!("WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {each})");
    let (id, hash, over) = if cfg!(feature = "postgres") {
        (
            "gen_random_uuid()::text",
            "decode(md5(people.id || n::text), 'hex')",
            "timezone('utc', now()) - interval '1 hour'",
        )
    } else {
        ("lower(hex(randomblob(16)))", "randomblob(32)", "strftime('%Y-%m-%d %H:%M:%f', 'now', '-1 hour')")
    };
    let kept = "sid, address, user_agent, data, created_at, last_seen_at";
    let sql = format!(
        "{numbers} INSERT INTO sessions (id, id_hash, user_id, {kept}, expires_at)
         SELECT {id}, {hash}, people.id, {kept}, {over}
         FROM numbers CROSS JOIN (SELECT id FROM users WHERE realm = 'realm') AS people
         CROSS JOIN (SELECT {kept} FROM sessions LIMIT 1) AS one"
    );
    let mut conn = app.state.db.conn().await?;
    // PostgreSQL stops what takes half a minute.
    let sql =
        if cfg!(feature = "postgres") { format!("SET statement_timeout = 0; {sql}; ANALYZE sessions") } else { sql };
    Ok(conn.batch_execute(&sql).await?)
}
