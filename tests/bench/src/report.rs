//! What was measured, as `docs/performance.md` shows it.

use std::fmt::Write as _;
use std::time::Duration;

/// Medians of one kind of request, in answers a second.
#[derive(Debug)]
pub struct Rates {
    /// What is asked for.
    pub name: String,
    /// Of the bare program, where it can do it.
    pub bare: Option<f64>,
    /// Of the server: one for each of [`Report::targets`].
    pub server: Vec<f64>,
    /// What the server must reach on SQLite.
    pub goal: &'static str,
}

/// 99th percentiles of one page, one request at a time.
#[derive(Debug)]
pub struct Latency {
    /// What the page is.
    pub name: String,
    /// For each database: with ten thousand users, and with [`Report::many_users`].
    pub times: Vec<[Duration; 2]>,
}

/// What is told of each build.
#[derive(Debug)]
pub struct Build {
    /// Its database.
    pub database: &'static str,
    /// Size of the binary in KiB.
    pub binary: u64,
    /// Median time from start to the first 200.
    pub start: Duration,
    /// Resident memory after the load, in KiB.
    pub resident: u64,
}

/// Everything that is reported.
#[derive(Debug)]
pub struct Report {
    /// Processor, cores and system.
    pub machine: String,
    /// How long each page was measured.
    pub method: String,
    /// What was loaded: a database and the number of instances on it.
    pub targets: Vec<&'static str>,
    /// Pages beside the bare program, then what it cannot do.
    pub rates: Vec<Rates>,
    /// One for each database.
    pub builds: Vec<Build>,
    /// How many users the large database has.
    pub many_users: u32,
    /// Lists at both sizes.
    pub latencies: Vec<Latency>,
    /// What the benches of single parts print.
    pub parts: Option<String>,
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
            "# Performance\n\nWritten by `tests/bench/run`; run it on your machine to have your numbers. [Profiles](profiles.md) \
             says where the time goes.\n\n{}. {}.\n\n",
            self.machine, self.method
        );
        self.write_rates(&mut text);
        self.write_builds(&mut text);
        self.write_latencies(&mut text);
        if let Some(parts) = &self.parts {
            let _ = write!(
                text,
                "\n## Single parts\n\n`cargo bench -p suite`, on one thread. The whole page is an answer of the router in the same \
                 process, without a\nconnection.\n\n```text\n{}\n```\n",
                parts.trim()
            );
        }
        text
    }

    fn write_rates(&self, text: &mut String) {
        text.push_str(
            "## Requests a second\n\nBeside the pages, a bare axum + askama + rusqlite handler that sends the same bytes with \
             the least work: nothing for\nthe sign-in page, one look-up of the session for the profile, `COUNT(*)`, `OFFSET` \
             and 50 rows for the users. It has no\nsecurity headers, no request ids, no log and no session that could end. \
             PostgreSQL is on the same cores, as are the\nload, a second instance and the provider: two instances share what \
             one has to itself. Of ten mixed requests, five are for the\nprofile, three for the users, and one each for \
             sessions and the audit log.\n\n",
        );
        let rows = self.rates.iter().map(|rates| {
            let cell = |rate: &f64| match rates.bare {
                Some(bare) => format!("{rate:.0} ({:.0} %)", 100.0 * rate / bare),
                None => format!("{rate:.0}"),
            };
            let bare = rates.bare.map(|rate| format!("{rate:.0}")).unwrap_or_default();
            let mut row = vec![rates.name.clone(), bare];
            row.extend(rates.server.iter().map(cell));
            row.push(rates.goal.into());
            row
        });
        write_table(text, &[&["", "bare"], self.targets.as_slice(), &["goal (SQLite)"]].concat(), rows);
    }

    fn write_builds(&self, text: &mut String) {
        text.push_str("\n## The process\n\n");
        let row = |name: &str, value: &dyn Fn(&Build) -> String, goal: &str| {
            let values = self.builds.iter().map(value);
            [name.to_owned()].into_iter().chain(values).chain([goal.to_owned()]).collect::<Vec<_>>()
        };
        let rows = [
            row("start to first 200, migrations done", &|build| format!("{} ms", build.start.as_millis()), "≤ 150 ms"),
            row("resident memory after all of the load", &|build| mebibytes(build.resident), "≤ 60 MiB"),
            row("release binary", &|build| mebibytes(build.binary), "≤ 30 MiB"),
        ];
        let databases: Vec<&str> = self.builds.iter().map(|build| build.database).collect();
        write_table(text, &[&[""], databases.as_slice(), &["goal"]].concat(), rows.into_iter());
    }

    fn write_latencies(&self, text: &mut String) {
        let _ = write!(
            text,
            "\n## Lists at size\n\n99th percentile in milliseconds with 10,000 and with {} users, one request at a time from both \
             in turn, 50 rows a page.\nThe list is paged by key, so that it stays flat: the goal is at most twice the time.\n\n",
            thousands(self.many_users)
        );
        let mut head = vec!["page".to_owned()];
        for build in &self.builds {
            head.extend([format!("{}: 10,000", build.database), thousands(self.many_users), "ratio".to_owned()]);
        }
        let rows = self.latencies.iter().map(|latency| {
            let mut row = vec![latency.name.clone()];
            for [usual, many] in &latency.times {
                let (usual, many) = (usual.as_secs_f64() * 1e3, many.as_secs_f64() * 1e3);
                row.extend([format!("{usual:.2}"), format!("{many:.2}"), format!("{:.1}", many / usual)]);
            }
            row
        });
        write_table(text, &head.iter().map(String::as_str).collect::<Vec<_>>(), rows);
    }
}

/// A table whose first column is text and whose others are numbers.
fn write_table(text: &mut String, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let _ = writeln!(text, "| {} |\n|---{}|", head.join(" | "), "|---:".repeat(head.len() - 1));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
}

fn mebibytes(kibibytes: u64) -> String {
    format!("{:.1} MiB", kibibytes as f64 / 1024.0)
}

/// With a comma before the last three digits of every group.
pub fn thousands(number: u32) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", thousands(number / 1000), number % 1000),
    }
}
