//! `bench FILE`: measures and writes the report to `FILE`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bench::http::Connection;
use bench::load::{self, Page};
use bench::programs::{self, Binaries, Program};
use bench::report::{Latency, Rates, Report, median};
use bench::{seed, sign_in};

/// Users in the usual measurements.
const USERS: u32 = 10_000;
/// Starts that the median is taken of.
const STARTS: usize = 7;

/// A folder with the databases and pages of this run.
struct Bench {
    binaries: Binaries,
    folder: tempfile::TempDir,
    rounds: usize,
    duration: Duration,
    /// Users in the large measurement.
    many_users: u32,
    /// Answers that a percentile is taken of.
    answers: usize,
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
        Ok(Self {
            binaries: Binaries::from_environment()?,
            folder: tempfile::tempdir()?,
            rounds: number("BENCH_ROUNDS", 5)?,
            duration: Duration::from_secs(number("BENCH_SECONDS", 3)?),
            many_users: number("BENCH_USERS", 1_000_000)?,
            answers: number("BENCH_ANSWERS", 500)?,
        })
    }

    async fn run(&self) -> Result<Report> {
        let emulator = programs::emulator(&self.binaries).await?;
        let server = self.server(&emulator).await?;
        let cookie = sign_in::cookie(server.address, emulator.address, "admin").await?;
        drop(server);
        seed::users(&self.database(), USERS)?;

        let start = self.start_time(&emulator).await?;
        let server = self.server(&emulator).await?;
        let rates = self.rates(&server, &cookie).await?;
        let sign_ins = self.sign_ins(server.address, emulator.address).await?;
        let resident = server.resident()?;
        drop(server);
        let latencies = self.latencies(&emulator, &cookie).await?;
        Ok(Report {
            machine: machine()?,
            method: self.method(),
            many_users: self.many_users,
            binary: fs::metadata(&self.binaries.server)?.len() / 1024,
            start,
            rates,
            sign_ins,
            resident,
            latencies,
        })
    }

    fn method(&self) -> String {
        let (connections, rounds, seconds) = (load::CONNECTIONS, self.rounds, self.duration.as_secs());
        format!(
            "{connections} connections, the load on the same cores; medians of {rounds} rounds of {seconds} s, interleaved; \
             every answer is checked for status and content"
        )
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    async fn server(&self, emulator: &Program) -> Result<Program> {
        programs::server(&self.binaries, &self.database(), emulator).await
    }

    /// Each page of two servers whose databases differ in the number of users alone.
    async fn latencies(&self, emulator: &Program, cookie: &str) -> Result<Vec<Latency>> {
        let large = self.folder.path().join("large.db");
        seed::copy(&self.database(), &large)?;
        seed::users(&large, self.many_users)?;
        let usual = self.server(emulator).await?;
        let many = programs::server(&self.binaries, &large, emulator).await?;
        let mut latencies = Vec::new();
        let (usual_paths, many_paths) = (paths(usual.address, cookie).await?, paths(many.address, cookie).await?);
        for ((name, usual_path), (_, many_path)) in usual_paths.into_iter().zip(many_paths) {
            let page = |path| Page { name: "list", path, cookie: cookie.into(), marker: "" };
            let questions = [(usual.address, page(usual_path)), (many.address, page(many_path))];
            let [usual, many] = load::p99s(questions, self.answers).await?;
            latencies.push(Latency { name, usual, many });
        }
        Ok(latencies)
    }

    async fn start_time(&self, emulator: &Program) -> Result<Duration> {
        let mut times = Vec::new();
        for _ in 0..STARTS {
            times.push(self.server(emulator).await?.start);
        }
        Ok(median(&mut times))
    }

    /// Each page beside the bare program, round by round.
    async fn rates(&self, server: &Program, cookie: &str) -> Result<Vec<Rates>> {
        let pages = pages(cookie);
        self.save_pages(server.address, &pages).await?;
        let copy = self.folder.path().join("bare.db");
        fs::copy(self.database(), &copy)?;
        let bare = programs::bare(&self.binaries, &copy, self.folder.path(), cookie).await?;
        let mut rates = Vec::new();
        for (page, goal) in pages {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..self.rounds {
                theirs.push(load::rate(bare.address, &page, self.duration).await?);
                ours.push(load::rate(server.address, &page, self.duration).await?);
            }
            rates.push(Rates { name: page.name, server: median(&mut ours), bare: median(&mut theirs), goal });
        }
        Ok(rates)
    }

    /// What the bare program sends: the server's own pages.
    async fn save_pages(&self, address: SocketAddr, pages: &[(Page, &str)]) -> Result<()> {
        for (file, (page, _)) in ["sign-in.html", "profile.html", "users.html"].iter().zip(pages) {
            let mut connection = Connection::open(address).await?;
            let answer = connection.send(&page.request(address)).await?;
            ensure!(answer.status == 200, "{} answered {}", page.path, answer.status);
            fs::write(self.folder.path().join(file), answer.body)?;
        }
        Ok(())
    }

    async fn sign_ins(&self, server: SocketAddr, provider: SocketAddr) -> Result<f64> {
        let mut rates = Vec::new();
        for _ in 0..self.rounds {
            rates.push(sign_in::rate(server, provider, self.duration).await?);
        }
        Ok(median(&mut rates))
    }
}

/// The measured pages and the goals of their ratios.
fn pages(cookie: &str) -> [(Page, &'static str); 3] {
    let page = |name, path: &str, cookie: &str, marker| Page { name, path: path.into(), cookie: cookie.into(), marker };
    [
        (page("sign-in page", "/auth/sign-in", "", "Sign in with Microsoft"), "≥ 50 %"),
        (page("profile", "/profile", cookie, "admin@contoso.example"), "≥ 50 %"),
        (page("users, 50 of 10,000", "/admin/users", cookie, "@contoso.example"), "≥ 100 %"),
    ]
}

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
        let page = Page { name: "users", path: path.clone(), cookie: cookie.into(), marker: "" };
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
