//! The connections of a listener: how many there are, and how long a client may keep the server waiting.
//!
//! Whoever opens connections and says nothing costs a descriptor each, of which a process has a few. So each of a
//! client's turns has its time: to send the header of a request, its body, to begin the next one, to read the answer.
//! A connection that is over time is closed. When there are as many as there may be, a new one takes the place of
//! the one that has kept the server waiting longest, of the address that has most of these: one that opens hundreds
//! is then in its own way, and everybody else is served. While a request is being answered its
//! connection stays, however long that takes.
//!
//! hyper serves the connections. Its own timeout for headers (hyper-util's server builder and axum-server pass it on)
//! counts from the end of the last answer, so that it would close idle connections as early, and it has none for the
//! rest; `tower-http`'s timeouts begin when a request has its header.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::observe::metrics;
use crate::web::middleware::rate_limit::network;

/// Descriptors for everything but connections and what their requests call: SQLite's files, background refreshes,
/// listeners, logs.
const KEPT: usize = 80;
/// More connections than this are a queue that should form elsewhere.
const MOST: usize = 16_384;
/// How often the connections are looked at; less than a second is added to each time.
const LOOK: Duration = Duration::from_millis(500);
/// The most bytes of a request's header that are kept, and of an answer that waits to be read.
const BUFFER: usize = 64 * 1024;

/// What a listener grants its clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// Time for the header of a request, from the connection or its first byte on.
    pub header: Duration,
    /// Time for the body of a request, from its header on.
    pub body: Duration,
    /// Time until the next request begins. Longer than the minute after which reverse proxies close a connection
    /// that they do not use, so that they never send a request on one that is being closed here.
    pub idle: Duration,
    /// Time in which nothing is read of an answer. However long an answer is, it may be read slowly.
    pub unread: Duration,
}

impl Limits {
    /// For the public listener: as many connections as the process's descriptors allow (`RLIMIT_NOFILE`), since each
    /// request may need one more for a call of its own.
    #[must_use]
    pub fn of_process() -> Self {
        let descriptors = descriptors();
        let kept = KEPT.min(descriptors / 2);
        Self {
            connections: ((descriptors - kept) / 2).clamp(1, MOST),
            header: Duration::from_secs(9),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            unread: Duration::from_secs(30),
        }
    }

    /// For the listener of operators' monitoring.
    #[must_use]
    pub fn of_monitoring() -> Self {
        Self { connections: 16, ..Self::of_process() }
    }
}

/// The soft limit of open files, as Linux tells it (`proc_pid_limits(5)`); elsewhere the fewest that a system gives.
fn descriptors() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let soft = limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next());
    soft.map_or(256, |soft| soft.parse().unwrap_or(usize::MAX))
}

/// Serves `app` until `shutdown`, and then until the last request under way is answered.
pub async fn serve(listener: TcpListener, app: Router, limits: Limits, shutdown: CancellationToken) {
    let connections = Arc::new(Connections::new(limits));
    let served = async {
        connections.accept(listener, app, &shutdown).await;
        connections.tasks.close();
        connections.tasks.wait().await;
    };
    tokio::select! {
        () = served => {}
        () = connections.close_overdue() => {}
    }
}

/// The connections of one listener.
struct Connections {
    limits: Limits,
    open: Mutex<HashMap<u64, Open>>,
    closed: Notify,
    tasks: TaskTracker,
}

struct Open {
    client: Arc<Client>,
    task: AbortHandle,
}

impl Connections {
    fn new(limits: Limits) -> Self {
        Self { limits, open: Mutex::default(), closed: Notify::new(), tasks: TaskTracker::new() }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn accept(self: &Arc<Self>, listener: TcpListener, app: Router, shutdown: &CancellationToken) {
        let accepting = async {
            for id in 0.. {
                let (stream, peer) = self.next(&listener).await;
                self.make_room().await;
                self.begin(id, stream, peer, app.clone(), shutdown.clone());
            }
        };
        tokio::select! {
            () = accepting => {}
            () = shutdown.cancelled() => {}
        }
    }

    async fn next(&self, listener: &TcpListener) -> (TcpStream, SocketAddr) {
        loop {
            match listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    // Out of descriptors in spite of the bound, as something else of the process uses them.
                    tracing::error!(%error, "a connection could not be accepted");
                    self.close_longest_waiting();
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }

    /// Waits until there may be one more connection. Where all are being answered, the next ones queue in the system.
    async fn make_room(&self) {
        while self.open().len() >= self.limits.connections {
            if !self.close_longest_waiting() {
                let _ = tokio::time::timeout(LOOK, self.closed.notified()).await;
            }
        }
    }

    fn begin(self: &Arc<Self>, id: u64, stream: TcpStream, peer: SocketAddr, app: Router, shutdown: CancellationToken) {
        let client = Arc::new(Client::new(peer.ip()));
        let closing = Closing { connections: self.clone(), id };
        let connection = connection(stream, peer, client.clone(), app, shutdown);
        // Locked before the task can end and take itself out of the map.
        let mut open = self.open();
        let task = self.tasks.spawn(async move {
            let _closing = closing;
            connection.await;
        });
        open.insert(id, Open { client, task: task.abort_handle() });
    }

    /// Closes the connection that has kept the server waiting longest, of the address with most of these.
    fn close_longest_waiting(&self) -> bool {
        let mut open = self.open();
        let mut waiting: HashMap<IpAddr, (usize, Instant, u64)> = HashMap::new();
        for (id, Open { client, .. }) in open.iter() {
            let Some(since) = client.turn().waits_since() else {
                continue;
            };
            let (count, longest, of) = waiting.entry(client.address).or_insert((0, since, *id));
            *count += 1;
            if since < *longest {
                (*longest, *of) = (since, *id);
            }
        }
        let first = waiting.into_values().max_by_key(|(count, since, _)| (*count, std::cmp::Reverse(*since)));
        let Some(closed) = first.and_then(|(_, _, id)| open.remove(&id)) else {
            return false;
        };
        closed.task.abort();
        metrics::connection_closed("full");
        true
    }

    async fn close_overdue(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            let now = Instant::now();
            for Open { task, .. } in self.open().values().filter(|open| open.client.turn().is_over(&self.limits, now)) {
                task.abort();
                metrics::connection_closed("slow");
            }
        }
    }
}

/// Whether a connection failed before it was accepted, which is no trouble of ours.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Takes a connection out of the map when its task ends, however it does.
struct Closing {
    connections: Arc<Connections>,
    id: u64,
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.connections.open().remove(&self.id);
        self.connections.closed.notify_one();
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    client: Arc<Client>,
    app: Router,
    shutdown: CancellationToken,
) {
    let watched = TokioIo::new(Watched { stream, client: client.clone() });
    let service = service_fn(move |request: http::Request<Incoming>| {
        client.begins(Step::Answer);
        let (asking, asked) = (client.clone(), client.clone());
        let mut request = request.map(|body| Body::new(Asked { body, client: asking }));
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = app.clone().oneshot(request);
        async move {
            let Ok(response) = answer.await;
            Ok::<_, Infallible>(response.map(|body| Answered { body, client: asked }))
        }
    });
    let serving =
        http1::Builder::new().header_read_timeout(None).max_buf_size(BUFFER).serve_connection(watched, service);
    let mut serving = pin!(serving.with_upgrades());
    // What goes wrong on a connection is the client's doing, and nothing to report.
    tokio::select! {
        _ = serving.as_mut() => {}
        () = shutdown.cancelled() => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
}

/// Whose turn it is on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The client's: the header of a request.
    Header,
    /// The client's: the body.
    Body,
    /// The application's.
    Answer,
    /// The client's: to begin the next request.
    Idle,
}

#[derive(Clone, Copy, Debug)]
struct Turn {
    step: Step,
    since: Instant,
    /// Since when an answer, or its end, waits to be read.
    unread_since: Option<Instant>,
}

impl Turn {
    /// Since when the client keeps the server waiting.
    fn waits_since(&self) -> Option<Instant> {
        let since = (self.step != Step::Answer).then_some(self.since);
        [since, self.unread_since].into_iter().flatten().min()
    }

    fn is_over(&self, limits: &Limits, now: Instant) -> bool {
        let most = match self.step {
            Step::Header => limits.header,
            Step::Body => limits.body,
            Step::Idle => limits.idle,
            Step::Answer => Duration::MAX,
        };
        let is_unread = self.unread_since.is_some_and(|since| now.duration_since(since) > limits.unread);
        is_unread || now.duration_since(self.since) > most
    }
}

/// The other end of a connection.
struct Client {
    address: IpAddr,
    turn: Mutex<Turn>,
}

impl Client {
    fn new(address: IpAddr) -> Self {
        let turn = Turn { step: Step::Header, since: Instant::now(), unread_since: None };
        Self { address: network(address), turn: Mutex::new(turn) }
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begins(&self, step: Step) {
        let mut turn = self.turn();
        (turn.step, turn.since) = (step, Instant::now());
    }

    /// Something was received: between requests it is the beginning of the next one.
    fn sent(&self) {
        if self.turn().step == Step::Idle {
            self.begins(Step::Header);
        }
    }

    /// Whether the application waits for more of the body. The time goes on from the header, so that no byte now and
    /// then buys more of it.
    fn owes_body(&self, owes: bool) {
        let mut turn = self.turn();
        match (turn.step, owes) {
            (Step::Answer, true) => turn.step = Step::Body,
            (Step::Body, false) => turn.step = Step::Answer,
            _ => {}
        }
    }

    fn reads(&self, is_stuck: bool) {
        let mut turn = self.turn();
        turn.unread_since = is_stuck.then(|| turn.unread_since.unwrap_or_else(Instant::now));
    }
}

/// The stream of a connection, which tells what the client does.
struct Watched {
    stream: TcpStream,
    client: Arc<Client>,
}

impl Watched {
    fn written<T>(&self, polled: Poll<T>) -> Poll<T> {
        self.client.reads(polled.is_pending());
        polled
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.client.sent();
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.written(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The body of a request, which tells when the application waits for it.
struct Asked {
    body: Incoming,
    client: Arc<Client>,
}

impl HttpBody for Asked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.client.owes_body(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.client.owes_body(false);
    }
}

/// The body of an answer, which tells when the connection has all of it.
struct Answered {
    body: Body,
    client: Arc<Client>,
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.client.begins(Step::Idle);
    }
}
