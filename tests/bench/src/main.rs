//! `bench FILE`: measures and writes the report to `FILE`.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bench::database::Database;
use bench::http::Connection;
use bench::load::{self, Page};
use bench::programs::{self, Binaries, Program};
use bench::report::{Build, Latency, Rates, Report, median, thousands};
use bench::{people, refresh, sign_in};

/// Users in the usual measurements.
const USERS: u32 = 10_000;
/// Starts that the median is taken of.
const STARTS: usize = 7;
/// What is loaded: a database with one instance, or two.
const TARGETS: [&str; 3] = ["SQLite", "PostgreSQL", "PostgreSQL, two instances"];

/// What is measured with, and for how long.
struct Bench {
    binaries: Binaries,
    folder: tempfile::TempDir,
    /// A server where databases may be created; without one, only SQLite is measured.
    postgres: Option<String>,
    rounds: usize,
    duration: Duration,
    /// Users in the large measurement.
    many_users: u32,
    /// Answers that a percentile is taken of.
    answers: usize,
}

/// A database with the session of an administrator.
#[derive(Clone)]
struct Data {
    database: Database,
    cookie: String,
}

/// Everything that runs for one number of users.
struct Site {
    bare: Program,
    /// For SQLite one instance, for PostgreSQL two.
    instances: Vec<(Data, Vec<Program>)>,
}

/// Instances that share the load, with the cookie that they know.
struct Target {
    addresses: Vec<SocketAddr>,
    cookie: String,
}

impl Site {
    /// In the order of [`TARGETS`].
    fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        for (data, instances) in &self.instances {
            for count in 1..=instances.len() {
                let addresses = instances[..count].iter().map(|instance| instance.address).collect();
                targets.push(Target { addresses, cookie: data.cookie.clone() });
            }
        }
        targets
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let output = std::env::args().nth(1).context("usage: bench FILE")?;
    let bench = Bench::new()?;
    let report = tokio::task::LocalSet::new().run_until(bench.run()).await?;
    let text = report.markdown();
    fs::write(output, &text)?;
    print!("{text}");
    Ok(())
}

impl Bench {
    fn new() -> Result<Self> {
        let binaries = Binaries::from_environment()?;
        let postgres = binaries.server_postgres.is_some().then(|| std::env::var("TEST_DATABASE_URL"));
        Ok(Self {
            binaries,
            folder: tempfile::tempdir()?,
            postgres: postgres.transpose().context("TEST_DATABASE_URL")?,
            rounds: number("BENCH_ROUNDS", 5)?,
            duration: Duration::from_secs(number("BENCH_SECONDS", 3)?),
            many_users: number("BENCH_USERS", 1_000_000)?,
            answers: number("BENCH_ANSWERS", 500)?,
        })
    }

    async fn run(&self) -> Result<Report> {
        let mut made = Vec::new();
        let report = self.fill_and_measure(&mut made).await;
        // Whatever went wrong, a server is left as it was.
        for database in made {
            database.remove().await?;
        }
        report
    }

    /// Lists what it makes in `made`.
    async fn fill_and_measure(&self, made: &mut Vec<Database>) -> Result<Report> {
        let emulator = programs::emulator(&self.binaries).await?;
        made.push(Database::sqlite(self.folder.path(), "usual"));
        if let Some(url) = &self.postgres {
            made.push(Database::postgres(url, "usual").await?);
        }
        let (mut usual, mut many) = (Vec::new(), Vec::new());
        for database in made.clone() {
            usual.push(self.data(database, &emulator).await?);
        }
        for Data { database, cookie } in &usual {
            progress("a copy with many users");
            let database = database.copy("many").await?;
            made.push(database.clone());
            people::fill(&database, self.many_users).await?;
            many.push(Data { database, cookie: cookie.clone() });
        }
        self.measure(&emulator, &usual, &many).await
    }

    /// Fills an empty database: 2,000 people who have signed in, and many who have been known for long.
    async fn data(&self, database: Database, emulator: &Program) -> Result<Data> {
        progress("a database with the usual users");
        let server = programs::server(&self.binaries, &database, emulator).await?;
        let cookie = sign_in::cookie(server.address, emulator.address, "admin").await?;
        refresh::sign_in(server.address, emulator.address).await?;
        drop(server);
        people::fill(&database, USERS).await?;
        Ok(Data { database, cookie })
    }

    async fn measure(&self, emulator: &Program, usual: &[Data], many: &[Data]) -> Result<Report> {
        let starts = self.start_times(usual, emulator).await?;
        let mut site = self.site(usual, emulator, "usual").await?;
        let mut rates = self.page_rates(&site).await?;
        let large = self.site(many, emulator, "many").await?;
        rates.push(self.large_rates(&large).await?);
        let latencies = self.latencies(&site, &large).await?;
        drop(large);
        rates.push(self.mixed_rates(&site).await?);
        rates.push(self.sign_in_rates(&site, emulator.address).await?);
        let residents = residents(&site)?;
        rates.push(refresh_rates(&mut site).await?);
        Ok(Report {
            machine: machine()?,
            method: self.method(),
            targets: TARGETS[..rates[0].server.len()].to_vec(),
            rates,
            builds: self.builds(&starts, &residents)?,
            many_users: self.many_users,
            latencies,
            parts: std::env::var_os("BENCH_PARTS").map(fs::read_to_string).transpose()?,
        })
    }

    fn method(&self) -> String {
        let (connections, rounds, seconds) = (load::CONNECTIONS, self.rounds, self.duration.as_secs());
        format!(
            "{connections} connections, the load on the same cores; medians of {rounds} rounds of {seconds} s, interleaved; \
             every answer is checked for status and content"
        )
    }

    fn builds(&self, starts: &[Duration], residents: &[u64]) -> Result<Vec<Build>> {
        let binaries = [Some(&self.binaries.server), self.binaries.server_postgres.as_ref()];
        let builds = binaries.into_iter().flatten().zip(TARGETS).zip(starts.iter().zip(residents));
        builds
            .map(|((binary, database), (start, resident))| {
                let binary = fs::metadata(binary)?.len() / 1024;
                Ok(Build { database, binary, start: *start, resident: *resident })
            })
            .collect()
    }

    /// Starts what serves `data`: the bare program a copy of the SQLite database, for which it has the pages of the server.
    async fn site(&self, data: &[Data], emulator: &Program, name: &str) -> Result<Site> {
        progress("starting a site");
        let copy = data[0].database.copy(&format!("{name}-bare")).await?;
        let mut instances = Vec::new();
        for data in data {
            let count = if matches!(data.database, Database::Sqlite(_)) { 1 } else { 2 };
            let mut running = Vec::new();
            for _ in 0..count {
                running.push(programs::server(&self.binaries, &data.database, emulator).await?);
            }
            instances.push((data.clone(), running));
        }
        let (data, running) = &instances[0];
        self.save_pages(running[0].address, &data.cookie).await?;
        let Database::Sqlite(copy) = copy else { anyhow::bail!("the first database is SQLite") };
        let bare = programs::bare(&self.binaries, &copy, self.folder.path(), &data.cookie).await?;
        Ok(Site { bare, instances })
    }

    /// What the bare program sends: the server's own pages.
    async fn save_pages(&self, address: SocketAddr, cookie: &str) -> Result<()> {
        for (file, page) in [("sign-in.html", SIGN_IN), ("profile.html", PROFILE), ("users.html", USER_LIST)] {
            let mut connection = Connection::open(address).await?;
            let page = page.with(cookie);
            let answer = connection.send(&page.request(address)).await?;
            ensure!(answer.status == 200, "{} answered {}", page.path, answer.status);
            fs::write(self.folder.path().join(file), answer.body)?;
        }
        Ok(())
    }

    async fn start_times(&self, data: &[Data], emulator: &Program) -> Result<Vec<Duration>> {
        let mut medians = Vec::new();
        for Data { database, .. } in data {
            let mut times = Vec::new();
            for _ in 0..STARTS {
                times.push(programs::server(&self.binaries, database, emulator).await?.start);
            }
            medians.push(median(&mut times));
        }
        Ok(medians)
    }

    async fn page_rates(&self, site: &Site) -> Result<Vec<Rates>> {
        Ok(vec![
            self.rates("sign-in page", site, SIGN_IN, "≥ 50 %").await?,
            self.rates("profile", site, PROFILE, "≥ 50 %").await?,
            self.rates("users, 50 of 10,000", site, USER_LIST, "≥ 100 %").await?,
        ])
    }

    async fn large_rates(&self, site: &Site) -> Result<Rates> {
        self.rates(&format!("users, 50 of {}", thousands(self.many_users)), site, USER_LIST, "≥ 100 %").await
    }

    /// A page beside the bare program.
    async fn rates(&self, name: &str, site: &Site, page: Question, goal: &'static str) -> Result<Rates> {
        progress(name);
        let mut targets = site.targets();
        // The bare program knows the session of the SQLite database.
        targets.insert(0, Target { addresses: vec![site.bare.address], cookie: targets[0].cookie.clone() });
        let ask =
            async |target: &Target| load::rate(&target.addresses, &[page.with(&target.cookie)], self.duration).await;
        let mut server = self.medians(&targets, ask).await?;
        let bare = Some(server.remove(0));
        Ok(Rates { name: name.into(), bare, server, goal })
    }

    async fn mixed_rates(&self, site: &Site) -> Result<Rates> {
        progress("mixed requests");
        let ask = async |target: &Target| {
            load::rate(&target.addresses, &MIX.map(|page| page.with(&target.cookie)), self.duration).await
        };
        let server = self.medians(&site.targets(), ask).await?;
        Ok(Rates { name: "mixed".into(), bare: None, server, goal: "" })
    }

    async fn sign_in_rates(&self, site: &Site, provider: SocketAddr) -> Result<Rates> {
        progress("complete sign-ins");
        let sign_in = async |target: &Target| sign_in::rate(&target.addresses, provider, self.duration).await;
        let server = self.medians(&site.targets(), sign_in).await?;
        Ok(Rates { name: "complete sign-ins".into(), bare: None, server, goal: "≥ 500" })
    }

    /// What `measure` finds at each target, all of them in turn in every round.
    async fn medians(&self, targets: &[Target], measure: impl AsyncFn(&Target) -> Result<f64>) -> Result<Vec<f64>> {
        let mut rates = vec![Vec::new(); targets.len()];
        for _ in 0..self.rounds {
            for (target, rates) in targets.iter().zip(&mut rates) {
                rates.push(measure(target).await?);
            }
        }
        Ok(rates.into_iter().map(|mut rates| median(&mut rates)).collect())
    }

    /// Each list of two sites that differ in the number of users alone.
    async fn latencies(&self, usual: &Site, many: &Site) -> Result<Vec<Latency>> {
        let mut latencies: Vec<Latency> = Vec::new();
        for ((data, usual), (_, many)) in usual.instances.iter().zip(&many.instances) {
            let (usual, many, cookie) = (usual[0].address, many[0].address, &data.cookie);
            let paths = paths(usual, cookie).await?.into_iter().zip(paths(many, cookie).await?);
            for (row, ((name, usual_path), (_, many_path))) in paths.enumerate() {
                progress(&name);
                let page = |path| Page { path, cookie: cookie.clone(), marker: "" };
                let times = load::p99s([(usual, page(usual_path)), (many, page(many_path))], self.answers).await?;
                match latencies.get_mut(row) {
                    Some(latency) => latency.times.push(times),
                    None => latencies.push(Latency { name, times: vec![times] }),
                }
            }
        }
        Ok(latencies)
    }
}

/// Of the instance that had the load of one, for each database.
fn residents(site: &Site) -> Result<Vec<u64>> {
    site.instances.iter().map(|(_, instances)| instances[0].resident()).collect()
}

/// With all instances of a database, then with one; in the order of [`TARGETS`]. The others are ended.
async fn refresh_rates(site: &mut Site) -> Result<Rates> {
    progress("refreshes");
    let mut server = Vec::new();
    for (data, instances) in &mut site.instances {
        let first = server.len();
        while !instances.is_empty() {
            server.insert(first, refresh::rate(&data.database).await?);
            instances.pop();
        }
    }
    Ok(Rates { name: "refreshes, at most 250 an instance".into(), bare: None, server, goal: "" })
}

/// What is under way, for whoever waits.
fn progress(what: &str) {
    eprintln!("{what}");
}

/// A page without whoever asks for it.
#[derive(Clone, Copy)]
struct Question {
    path: &'static str,
    marker: &'static str,
    is_anonymous: bool,
}

impl Question {
    fn with(self, cookie: &str) -> Page {
        let cookie = if self.is_anonymous { "" } else { cookie };
        Page { path: self.path.into(), cookie: cookie.into(), marker: self.marker }
    }
}

const SIGN_IN: Question = Question { path: "/auth/sign-in", marker: "Sign in with Microsoft", is_anonymous: true };
const PROFILE: Question = Question { path: "/profile", marker: "admin@contoso.example", is_anonymous: false };
const USER_LIST: Question = Question { path: "/admin/users", marker: "@contoso.example", is_anonymous: false };
const SESSIONS: Question = Question { path: "/admin/sessions", marker: "@contoso.example", is_anonymous: false };
const AUDIT: Question = Question { path: "/admin/audit", marker: "@contoso.example", is_anonymous: false };
const MIX: [Question; 10] =
    [PROFILE, USER_LIST, PROFILE, SESSIONS, PROFILE, USER_LIST, PROFILE, AUDIT, PROFILE, USER_LIST];

/// First, middle and last page, each sort, each filter, searches, the other lists: name and path.
async fn paths(address: SocketAddr, cookie: &str) -> Result<Vec<(String, String)>> {
    let mut paths: Vec<(String, String)> = vec![
        ("first page".into(), "/admin/users".into()),
        ("middle page".into(), middle_page(address, cookie).await?),
        ("last page".into(), "/admin/users?end=1".into()),
    ];
    for sort in ["upn", "name", "email", "last_sign_in", "created"] {
        paths.push((format!("by {sort}"), format!("/admin/users?sort={sort}")));
        paths.push((format!("by {sort}, descending"), format!("/admin/users?sort={sort}&dir=desc")));
        paths.push((format!("by {sort}, last page"), format!("/admin/users?sort={sort}&end=1")));
    }
    for filter in ["status=active", "status=disabled", "type=guest", "role=admin"] {
        paths.push((format!("`{filter}`"), format!("/admin/users?{filter}")));
        paths.push((format!("`{filter}`, last page"), format!("/admin/users?{filter}&end=1")));
    }
    for search in ["contoso", "person00", "department+13", "nobody+at+all", "zq", "nobody&sort=created&dir=desc"] {
        paths.push((format!("`q={search}`"), format!("/admin/users?q={search}")));
    }
    for list in ["sessions", "groups", "grants", "audit"] {
        paths.push((list.into(), format!("/admin/{list}")));
    }
    Ok(paths)
}

/// The page half-way in order of user names: those of [`seed::users`] are spread evenly.
async fn middle_page(address: SocketAddr, cookie: &str) -> Result<String> {
    let mut connection = Connection::open(address).await?;
    let mut path = "/admin/users?per_page=200".to_owned();
    loop {
        let page = Page { path: path.clone(), cookie: cookie.into(), marker: "" };
        let text = connection.send(&page.request(address)).await?.text();
        if text.contains("person8") {
            return Ok(path.replace("per_page=200", "per_page=50"));
        }
        path = next_link(&text).with_context(|| format!("no next page after {path}"))?;
    }
}

fn next_link(html: &str) -> Option<String> {
    let anchor = html.split("<a ").find(|rest| rest.split('>').next().unwrap_or_default().contains("rel=\"next\""))?;
    Some(anchor.split_once("href=\"")?.1.split('"').next()?.replace("&amp;", "&"))
}

fn machine() -> Result<String> {
    let cores = std::thread::available_parallelism()?;
    let information = fs::read_to_string(Path::new("/proc/cpuinfo"))?;
    let model = information.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    Ok(format!("Measured on {cores} cores of {}", model.trim_start_matches(['\t', ' ', ':'])))
}

fn number<T: std::str::FromStr>(variable: &str, default: T) -> Result<T> {
    match std::env::var(variable) {
        Ok(text) => text.parse().ok().with_context(|| format!("{variable} must be a number")),
        Err(_) => Ok(default),
    }
}
