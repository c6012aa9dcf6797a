//! Two instances on one PostgreSQL for a while: 10,000 grants due in one minute, then people who click about while the
//! provider fails one token call in ten. Started by `tests/soak`, which says what it needs; writes its findings to
//! standard output. A figure that must be zero and is not, or one that grows, makes it fail.

use std::error::Error;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use entra_emulator::{Endpoint, Fault, RefreshRotation};
use store::RunQueryDsl;
use store::schema::grants;
use suite::{Browser, Instance, TestApp, db_grants};

const GRANTS: usize = 10_000;
const PEOPLE: usize = 20;
/// By how much an instance may grow between a quarter of the time, when it is warm, and the end: memory by this share and
/// this many KiB, which the allocator takes and gives back as it likes; descriptors by as many as a page needs at once.
const MEMORY_SHARE: u64 = 4;
const MEMORY_KIB: u64 = 8 * 1024;
const DESCRIPTORS: u64 = 16;
/// Connections of an instance's pool; `docs/security.md` lists all such limits.
const POOL: u64 = 16;
/// How long the provider takes for a token call.
const ANSWER: Fault = Fault::Delay { milliseconds: 100 };

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    if suite::serve_if_instance() {
        return Ok(());
    }
    let minutes: u64 = std::env::args().nth(1).map_or(Ok(15), |minutes| minutes.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        bursts().await?;
        soak(Duration::from_secs(minutes * 60)).await
    })
}

fn say(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn must_be_zero(what: &str, count: u64) -> Result<()> {
    say(&format!("  {what}: {count}"));
    (count == 0).then_some(()).ok_or_else(|| format!("{what} must be 0").into())
}

/// Grants due in one minute, and all at once, with two instances and with one.
async fn bursts() -> Result<()> {
    let app = TestApp::builder().running_clock().start().await;
    app.emulator.control().set_access_token_lifetime(7200..=7200);
    app.emulator.control().set_refresh_rotation(RefreshRotation::Strict);
    db_grants(&app, GRANTS).await;
    app.emulator.control().fault(Endpoint::Token, ANSWER);
    say(&format!("{GRANTS} grants, strict rotation, token calls of 100 ms"));
    for (what, instances, spread) in [
        ("due over one minute, two instances", 2, 60),
        ("all due, one instance", 1, 0),
        ("all due, two instances", 2, 0),
    ] {
        burst(&app, what, instances, spread).await?;
    }
    Ok(())
}

async fn burst(app: &TestApp, what: &str, instances: usize, spread: i32) -> Result<()> {
    let mut running = Vec::new();
    for _ in 0..instances {
        running.push(Instance::start(app, &[]).await);
    }
    app.emulator.control().clear_records();
    let begun = app.state.shared_now();
    let mut conn = app.state.db.conn().await?;
    // Each has one more minute to live when it becomes due: whatever waits longer has lapsed.
    let due = format!("timezone('utc', now()) + interval '1 second' * random() * {spread}");
    let sql =
        format!("UPDATE grants SET due_at = {due}; UPDATE grants SET expires_at = due_at + interval '60 seconds'");
    diesel_async::SimpleAsyncConnection::batch_execute(&mut *conn, &sql).await?;
    let started = Instant::now();
    loop {
        let left: i64 = grants::table
            .filter(grants::refreshed_at.is_null().or(grants::refreshed_at.lt(begun)))
            .filter(grants::state.eq("live"))
            .count()
            .get_result(&mut conn)
            .await?;
        if left == 0 || started.elapsed() > Duration::from_secs(300) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let took = started.elapsed();
    let lost: i64 = grants::table.filter(grants::state.ne("live")).count().get_result(&mut conn).await?;
    let late: i64 = grants::table
        .filter(grants::refreshed_at.is_null().or(grants::refreshed_at.lt(begun)))
        .count()
        .get_result(&mut conn)
        .await?;
    let calls = app.emulator.control().requests_of(Endpoint::Token);
    let refused = calls.iter().filter(|call| call.status != Some(200)).count();
    let per_second = u128::try_from(GRANTS)? * 1000 / took.as_millis().max(1);
    say(&format!("{what}: {:.1} s, {per_second} a second, {} calls", took.as_secs_f64(), calls.len()));
    must_be_zero("calls beyond one for each grant", u64::try_from(calls.len().abs_diff(GRANTS))?)?;
    must_be_zero("calls refused", u64::try_from(refused)?)?;
    must_be_zero("grants lost", u64::try_from(lost)?)?;
    if spread > 0 {
        must_be_zero("grants lapsed", u64::try_from(late)? + u64::from(took > Duration::from_secs(120)))?;
    }
    Ok(())
}

/// People on both instances, with tokens of a minute, while the provider flaps.
async fn soak(time: Duration) -> Result<()> {
    let app = TestApp::builder().running_clock().start().await;
    app.emulator.control().set_access_token_lifetime(20..=60);
    let instances = [Watched::start(&app, "first").await, Watched::start(&app, "second").await];
    app.emulator.control().generate_personas(PEOPLE);
    let mut people: Vec<(Browser, &str)> = Vec::new();
    for number in 1..=PEOPLE {
        let instance = &instances[number % 2].instance;
        let browser = instance.browser();
        browser.sign_in(&format!("user{number:05}")).await.assert_status(303);
        people.push((browser, instance.origin()));
    }
    say(&format!("{} minutes, {PEOPLE} people, two instances, one token call in ten fails", time.as_secs() / 60));
    report(&instances, "start").await?;
    let mut warm: Option<[Size; 2]> = None;
    let (started, mut signed_out, mut pages, mut failed) = (Instant::now(), 0_u64, 0_u64, 0_u64);
    let (mut seen, mut said) = (app.emulator.control().count(Endpoint::Token), 0);
    while started.elapsed() < time {
        for (browser, _) in &people {
            match browser.get("/profile").await.status {
                200 => pages += 1,
                303 => signed_out += 1,
                _ => failed += 1,
            }
        }
        let calls = app.emulator.control().count(Endpoint::Token);
        if calls >= seen + 10 {
            let faults = [Fault::respond(503, ""), Fault::Close, Fault::LoseAnswer, Fault::retry_after(429, "1")];
            let fault = faults[usize::try_from(calls / 10)? % faults.len()].clone();
            app.emulator.control().fault_next(Endpoint::Token, 1, fault);
            seen = calls;
        }
        if started.elapsed().as_secs() / 60 > said {
            said = started.elapsed().as_secs() / 60;
            app.emulator.control().clear_records();
            seen = app.emulator.control().count(Endpoint::Token);
            report(&instances, &format!("minute {said}")).await?;
        }
        if warm.is_none() && started.elapsed() > time / 4 {
            warm = Some(report(&instances, "warm").await?);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let now = app.state.shared_now() - chrono::Duration::minutes(1);
    let mut conn = app.state.db.conn().await?;
    let stuck: i64 = grants::table.filter(grants::leased_until.lt(now)).count().get_result(&mut conn).await?;
    let lost: i64 = grants::table.filter(grants::state.ne("live")).count().get_result(&mut conn).await?;
    drop(conn);
    let end = report(&instances, "end").await?;
    say(&format!("pages: {pages}"));
    must_be_zero("unexpected sign-outs", signed_out)?;
    must_be_zero("pages that failed", failed)?;
    must_be_zero("stuck leases", u64::try_from(stuck)?)?;
    must_be_zero("grants lost", u64::try_from(lost)?)?;
    for (instance, (warm, end)) in instances.iter().zip(warm.iter().flatten().zip(&end)) {
        end.within_bounds_of(warm).map_err(|what| format!("the {} instance grows: {what}", instance.name))?;
    }
    Ok(())
}

/// An instance whose size is looked at.
struct Watched {
    name: &'static str,
    instance: Instance,
    metrics: String,
}

impl Watched {
    async fn start(app: &TestApp, name: &'static str) -> Self {
        let address = format!("127.0.0.1:{}", suite::free_port());
        let instance = Instance::start(app, &[("METRICS_ADDR", &address)]).await;
        Self { name, instance, metrics: format!("http://{address}") }
    }

    async fn size(&self) -> Result<Size> {
        let folder = format!("/proc/{}", self.instance.id());
        let status = std::fs::read_to_string(format!("{folder}/status"))?;
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
        let metrics = Browser::new(&self.metrics).get("/metrics").await.body;
        let connections = |line: &str| {
            line.strip_prefix("database_connections{")?.split_once(r#"state="size"} "#)?.1.parse::<u64>().ok()
        };
        Ok(Size {
            memory: memory.ok_or("no VmRSS")?.parse()?,
            descriptors: u64::try_from(std::fs::read_dir(format!("{folder}/fd"))?.count())?,
            connections: metrics.lines().filter_map(connections).sum(),
        })
    }
}

/// How much an instance holds: KiB resident, descriptors, and connections to the database.
struct Size {
    memory: u64,
    descriptors: u64,
    connections: u64,
}

impl Size {
    fn within_bounds_of(&self, warm: &Self) -> std::result::Result<(), String> {
        let most = warm.memory + warm.memory / MEMORY_SHARE + MEMORY_KIB;
        if self.memory > most {
            return Err(format!("{} KiB resident, at most {most} expected", self.memory));
        }
        let most = warm.descriptors + DESCRIPTORS;
        if self.descriptors > most {
            return Err(format!("{} descriptors, at most {most} expected", self.descriptors));
        }
        if self.connections > POOL {
            return Err(format!("{} connections, at most {POOL} expected", self.connections));
        }
        Ok(())
    }
}

/// Says and returns the sizes of the instances.
async fn report(instances: &[Watched; 2], when: &str) -> Result<[Size; 2]> {
    let sizes = [instances[0].size().await?, instances[1].size().await?];
    for (instance, Size { memory, descriptors, connections }) in instances.iter().zip(&sizes) {
        let name = instance.name;
        say(&format!("  {when}: {name} instance: {memory} KiB, {descriptors} descriptors, {connections} connections"));
    }
    Ok(sizes)
}
