//! What was measured, as `docs/performance.md` shows it.

use std::fmt::Write as _;
use std::time::Duration;

/// Medians of one page.
#[derive(Debug)]
pub struct Rates {
    /// What the page is.
    pub name: &'static str,
    /// Answers a second of the server.
    pub server: f64,
    /// Answers a second of the bare program.
    pub bare: f64,
    /// What the ratio must reach.
    pub goal: &'static str,
}

/// 99th percentiles of one page, one request at a time.
#[derive(Debug)]
pub struct Latency {
    /// What the page is.
    pub name: String,
    /// With ten thousand users.
    pub usual: Duration,
    /// With [`Report::many_users`].
    pub many: Duration,
}

/// Everything that is reported.
#[derive(Debug)]
pub struct Report {
    /// Processor, cores and system.
    pub machine: String,
    /// How long each page was measured.
    pub method: String,
    /// Size of the binary in KiB.
    pub binary: u64,
    /// Median time from start to the first 200.
    pub start: Duration,
    /// Pages beside the bare program.
    pub rates: Vec<Rates>,
    /// Complete sign-ins a second.
    pub sign_ins: f64,
    /// Resident memory after the load, in KiB.
    pub resident: u64,
    /// How many users the large database has.
    pub many_users: u32,
    /// Pages of the list of users.
    pub latencies: Vec<Latency>,
}

/// The middle of `values`, which must not be empty.
pub fn median<T: PartialOrd + Copy>(values: &mut [T]) -> T {
    values.sort_by(|left, right| left.partial_cmp(right).unwrap_or(std::cmp::Ordering::Equal));
    values[values.len() / 2]
}

impl Report {
    /// The page, in Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "# Performance\n\nWritten by `tests/bench/run`; run it on your machine to have your numbers.\n\n{}. {}.\n\n",
            self.machine, self.method
        );
        self.write_rates(&mut text);
        self.write_facts(&mut text);
        self.write_latencies(&mut text);
        text
    }

    fn write_rates(&self, text: &mut String) {
        text.push_str(
            "## Pages\n\nBeside each page, a bare axum + askama + rusqlite handler that sends the same bytes with the least \
             work: nothing for the\nsign-in page, one look-up of the session for the profile, `COUNT(*)`, `OFFSET` and 50 rows \
             for the users. It has no\nsecurity headers, no request ids, no log and no session that could end.\n\n\
             | page | requests/s | bare | ratio | goal |\n|---|---:|---:|---:|---:|\n",
        );
        for Rates { name, server, bare, goal } in &self.rates {
            let ratio = 100.0 * server / bare;
            let _ = writeln!(text, "| {name} | {server:.0} | {bare:.0} | {ratio:.0} % | {goal} |");
        }
    }

    fn write_facts(&self, text: &mut String) {
        let (sign_ins, start) = (self.sign_ins, self.start.as_millis());
        let (resident, binary) = (mebibytes(self.resident), mebibytes(self.binary));
        let _ = write!(
            text,
            "\n## The rest\n\n| what | measured | goal |\n|---|---:|---:|\n\
             | complete sign-ins, the emulator on the same cores | {sign_ins:.0}/s | ≥ 500/s |\n\
             | start to first 200, migrations done | {start} ms | ≤ 150 ms |\n\
             | resident memory after the load | {resident:.1} MiB | ≤ 60 MiB |\n\
             | release binary, SQLite | {binary:.1} MiB | ≤ 30 MiB |\n"
        );
    }

    fn write_latencies(&self, text: &mut String) {
        let _ = write!(
            text,
            "\n## The list of users at size\n\n99th percentile in milliseconds, one request at a time from two servers in \
             turn, 50 rows a page. The list is\npaged by key, so that it stays flat: the goal is at most twice the time.\n\n\
             | page | 10,000 users | {} users | ratio |\n|---|---:|---:|---:|\n",
            self.many_users
        );
        for Latency { name, usual, many } in &self.latencies {
            let (usual, many) = (usual.as_secs_f64() * 1e3, many.as_secs_f64() * 1e3);
            let _ = writeln!(text, "| {name} | {usual:.2} | {many:.2} | {:.1} |", many / usual);
        }
    }
}

fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}
