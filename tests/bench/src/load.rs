//! Requests as fast as they are answered, each answer checked.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use memchr::memmem::Finder;

use crate::http::Connection;

/// Connections that ask at the same time.
pub const CONNECTIONS: usize = 32;

/// A request and how its answer is told from a wrong one.
#[derive(Clone, Debug)]
pub struct Page {
    /// Path with query.
    pub path: String,
    /// The `Cookie` header; may be empty.
    pub cookie: String,
    /// What every right answer contains.
    pub marker: &'static str,
}

impl Page {
    /// The bytes of the request to `address`.
    pub fn request(&self, address: SocketAddr) -> Vec<u8> {
        let cookie = if self.cookie.is_empty() { String::new() } else { format!("Cookie: {}\r\n", self.cookie) };
        let (path, port) = (&self.path, address.port());
        format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nAccept: text/html\r\n{cookie}\r\n").into_bytes()
    }
}

/// Answers a second over `duration`: of all instances together, each connection to one of them and asking for the pages
/// in turn.
pub async fn rate(instances: &[SocketAddr], pages: &[Page], duration: Duration) -> Result<f64> {
    let begin = Instant::now();
    let end = begin + duration;
    let mut workers = tokio::task::JoinSet::new();
    for (number, address) in instances.iter().cycle().take(CONNECTIONS).enumerate() {
        // Not all connections ask for the same page at the same time.
        let mut pages = pages.to_vec();
        let first = number % pages.len();
        pages.rotate_left(first);
        workers.spawn_local(ask_until(*address, pages, end));
    }
    let mut answers = 0;
    while let Some(done) = workers.join_next().await {
        answers += done??;
    }
    Ok(f64::from(answers) / begin.elapsed().as_secs_f64())
}

async fn ask_until(address: SocketAddr, pages: Vec<Page>, end: Instant) -> Result<u32> {
    let question = |page| (page, Page::request(page, address), Finder::new(page.marker));
    let questions: Vec<(&Page, Vec<u8>, Finder<'_>)> = pages.iter().map(question).collect();
    let mut connection = Connection::open(address).await?;
    let mut answers = 0;
    for (page, request, marker) in questions.iter().cycle() {
        if Instant::now() >= end {
            break;
        }
        let answer = connection.send(request).await?;
        ensure!(answer.status == 200, "{} answered {}", page.path, answer.status);
        ensure!(marker.find(answer.body).is_some(), "{} has no {:?}", page.path, page.marker);
        answers += 1;
    }
    Ok(answers)
}

/// The 99th percentiles of `count` answers each, one at a time, from two servers in turn: what else the machine does meets
/// both alike.
pub async fn p99s(questions: [(SocketAddr, Page); 2], count: usize) -> Result<[Duration; 2]> {
    let [left, right] = questions;
    let (mut left, mut right) = (Asked::new(left, count).await?, Asked::new(right, count).await?);
    for _ in 0..count {
        left.ask().await?;
        right.ask().await?;
    }
    Ok([left.p99(), right.p99()])
}

/// A page of one server and how long its answers took.
struct Asked {
    page: Page,
    request: Vec<u8>,
    connection: Connection,
    times: Vec<Duration>,
}

impl Asked {
    async fn new((address, page): (SocketAddr, Page), count: usize) -> Result<Self> {
        let connection = Connection::open(address).await?;
        Ok(Self { request: page.request(address), page, connection, times: Vec::with_capacity(count) })
    }

    async fn ask(&mut self) -> Result<()> {
        let begin = Instant::now();
        let answer = self.connection.send(&self.request).await?;
        self.times.push(begin.elapsed());
        ensure!(answer.status == 200, "{} answered {}", self.page.path, answer.status);
        Ok(())
    }

    fn p99(mut self) -> Duration {
        self.times.sort();
        self.times[(self.times.len() * 99).div_ceil(100) - 1]
    }
}
