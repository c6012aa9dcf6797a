//! The one client for all outgoing calls: no redirects, bounded in time and size, `https` except to loopback.
//!
//! Everything that the server calls is named by the settings or by the provider's metadata, which an attacker might
//! reach; so whatever comes back is taken for hostile until it has been read within its limits.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, Request, Response, StatusCode};
use reqwest::redirect::Policy;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::time::Instant;
use url::{Host, Url};

use crate::config::HttpConfig;
use crate::crypto;

/// The most bytes of an answer that needs no more: 1 MiB.
pub const DEFAULT_LIMIT: usize = 1024 * 1024;

/// The histogram of all calls, in seconds, by `host` and by `status`, which is `error` without a complete answer.
pub const DURATION_METRIC: &str = "http_client_request_duration_seconds";

const USER_AGENT: &str = concat!("entra-starter/", env!("CARGO_PKG_VERSION"));

/// A host that is up answers a connection request well within this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Connections kept open to one host for the next call.
const IDLE_CONNECTIONS: usize = 32;

/// The pause before the first repetition; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Why there is no complete response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpError {
    /// What went wrong.
    pub kind: HttpErrorKind,
    /// Whether the request may have reached the server: what must not happen twice must then not be repeated.
    pub sent: bool,
    detail: String,
}

/// What can go wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpErrorKind {
    /// The client could not be set up.
    Setup,
    /// Not called: neither `https` nor loopback, or no URL at all.
    RefusedUrl,
    /// No connection: name, network or certificate.
    Connect,
    /// No complete answer in time.
    Timeout,
    /// More bytes than the caller takes.
    TooLarge,
    /// The exchange broke off, or was no HTTP.
    Other,
}

impl HttpErrorKind {
    fn text(self) -> &'static str {
        match self {
            Self::Setup => "the client could not be set up",
            Self::RefusedUrl => "https is required, except to loopback",
            Self::Connect => "no connection",
            Self::Timeout => "no complete answer in time",
            Self::TooLarge => "the answer is too large",
            Self::Other => "the exchange failed",
        }
    }
}

impl HttpError {
    /// An error of `kind`; `detail` says more, without secrets, and may be empty.
    #[must_use]
    pub fn new(kind: HttpErrorKind, sent: bool, detail: impl Into<String>) -> Self {
        Self { kind, sent, detail: detail.into() }
    }

    /// What `error`, met while calling `host`, amounts to. The URL is left out: its query may hold a secret.
    fn from_exchange(host: &str, error: &reqwest::Error) -> Self {
        let kind = if error.is_timeout() {
            HttpErrorKind::Timeout
        } else if error.is_connect() {
            HttpErrorKind::Connect
        } else {
            HttpErrorKind::Other
        };
        let mut cause = error.source();
        while let Some(deeper) = cause.and_then(std::error::Error::source) {
            cause = Some(deeper);
        }
        let reason = cause.map(ToString::to_string).unwrap_or_default();
        Self::new(kind, !error.is_connect(), format!("{host}: {reason}"))
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.kind.text())?;
        if self.detail.is_empty() { Ok(()) } else { write!(formatter, " ({})", self.detail) }
    }
}

impl std::error::Error for HttpError {}

/// Makes outgoing calls. Cloning is cheap; clones share their connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: reqwest::Client,
    timeout: Duration,
    retries: u32,
    first_pause: Duration,
    extra_certificates: Arc<[Vec<u8>]>,
    add_trace: fn(&mut HeaderMap),
}

impl HttpClient {
    /// A client for `config`, with the proxy that the environment names (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`).
    ///
    /// # Errors
    /// [`HttpErrorKind::Setup`] when `EXTRA_CA_FILE` or the proxy is not usable.
    pub fn new(config: &HttpConfig) -> Result<Self, HttpError> {
        Self::with_proxy(config, &Proxy::from_environment())
    }

    fn with_proxy(config: &HttpConfig, proxy: &Proxy) -> Result<Self, HttpError> {
        let extra_certificates = extra_certificates(config)?;
        Ok(Self {
            client: build(config, &extra_certificates, proxy)?,
            timeout: config.timeout,
            retries: config.retries,
            first_pause: FIRST_PAUSE,
            extra_certificates: extra_certificates.into(),
            add_trace: |_| {},
        })
    }

    /// The same client, which has `add` put the header of the current trace into each request (W3C Trace Context).
    #[must_use]
    pub fn with_trace(self, add: fn(&mut HeaderMap)) -> Self {
        Self { add_trace: add, ..self }
    }

    /// The certificates of `EXTRA_CA_FILE`, each as DER.
    #[must_use]
    pub fn extra_certificates(&self) -> &[Vec<u8>] {
        &self.extra_certificates
    }

    /// Sends `request` once. The response may have any status, redirects among them; its body has at most `limit`
    /// bytes, counted after decompression.
    ///
    /// # Errors
    /// [`HttpError`] when there is no complete response within `HTTP_TIMEOUT`.
    pub async fn send(&self, request: Request<Vec<u8>>, limit: usize) -> Result<Response<Vec<u8>>, HttpError> {
        self.exchange(request, limit, Instant::now() + self.timeout).await
    }

    /// As [`HttpClient::send`], for requests that do no harm when they arrive twice: up to `HTTP_RETRIES` repetitions
    /// after lost connections and the statuses 429, 502, 503 and 504, all within `HTTP_TIMEOUT`.
    ///
    /// The pauses double and vary; a `Retry-After` in seconds (RFC 9110, section 10.2.3) is honoured. One that does
    /// not fit into the time left is the caller's to honour, with the response in hand.
    ///
    /// # Errors
    /// The [`HttpError`] of the last try.
    pub async fn send_idempotent(
        &self,
        request: Request<Vec<u8>>,
        limit: usize,
    ) -> Result<Response<Vec<u8>>, HttpError> {
        let deadline = Instant::now() + self.timeout;
        let mut repetitions = 0;
        loop {
            let result = self.exchange(request.clone(), limit, deadline).await;
            let pause = self.pause(&result, repetitions);
            match pause.filter(|pause| Instant::now() + *pause < deadline) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return result,
            }
            repetitions += 1;
        }
    }

    async fn exchange(
        &self,
        request: Request<Vec<u8>>,
        limit: usize,
        deadline: Instant,
    ) -> Result<Response<Vec<u8>>, HttpError> {
        let mut request = checked(request)?;
        *request.timeout_mut() = Some(deadline.saturating_duration_since(Instant::now()));
        let host = request.url().host_str().unwrap_or_default().to_owned();
        (self.add_trace)(request.headers_mut());
        let started = Instant::now();
        let outcome = self.complete(request, &host, limit).await;
        let status =
            outcome.as_ref().map_or_else(|_| "error".to_owned(), |response| response.status().as_u16().to_string());
        metrics::histogram!(DURATION_METRIC, "host" => host, "status" => status)
            .record(started.elapsed().as_secs_f64());
        outcome
    }

    async fn complete(
        &self,
        request: reqwest::Request,
        host: &str,
        limit: usize,
    ) -> Result<Response<Vec<u8>>, HttpError> {
        let response = self.client.execute(request).await;
        let response = response.map_err(|error| HttpError::from_exchange(host, &error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut complete = Response::new(read(response, host, limit).await?);
        *complete.status_mut() = status;
        *complete.headers_mut() = headers;
        Ok(complete)
    }

    /// How long to wait before the next try; `None` if there is none.
    fn pause(&self, result: &Result<Response<Vec<u8>>, HttpError>, repetitions: u32) -> Option<Duration> {
        if repetitions >= self.retries {
            return None;
        }
        let back_off = jittered(self.first_pause.saturating_mul(2_u32.saturating_pow(repetitions)));
        match result {
            Ok(response) => is_passing(response.status()).then(|| retry_after(response.headers(), back_off))?,
            Err(error) => is_lost(error.kind).then_some(back_off),
        }
    }
}

/// Whether the same request may well succeed soon.
fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

fn is_lost(kind: HttpErrorKind) -> bool {
    matches!(kind, HttpErrorKind::Connect | HttpErrorKind::Timeout | HttpErrorKind::Other)
}

/// The seconds of `Retry-After`, or `otherwise` without that header; `None` if it is anything but seconds.
fn retry_after(headers: &HeaderMap, otherwise: Duration) -> Option<Duration> {
    match headers.get(RETRY_AFTER) {
        None => Some(otherwise),
        Some(value) => value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs),
    }
}

/// Between half of `pause` and all of it, so that many who failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let [random] = crypto::random_bytes().unwrap_or([u8::MAX]);
    pause / 2 + pause.mul_f64(f64::from(random) / f64::from(u8::MAX) / 2.0)
}

/// `request` as the client takes it, if it may be sent at all.
fn checked(request: Request<Vec<u8>>) -> Result<reqwest::Request, HttpError> {
    let refusal = |detail: &str| HttpError::new(HttpErrorKind::RefusedUrl, false, detail);
    let request = reqwest::Request::try_from(request).map_err(|_| refusal("not a URL"))?;
    match is_allowed(request.url()) {
        true => Ok(request),
        false => Err(refusal(request.url().host_str().unwrap_or_default())),
    }
}

/// Whether `host` is this machine: `localhost`, `127.0.0.0/8` or `[::1]`.
#[must_use]
pub fn is_loopback(host: Option<Host<&str>>) -> bool {
    match host {
        Some(Host::Domain(domain)) => domain.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn is_allowed(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url.host()))
}

/// The body, as long as it has at most `limit` bytes. It arrives decompressed, so that a small answer cannot grow
/// without bound.
async fn read(mut response: reqwest::Response, host: &str, limit: usize) -> Result<Vec<u8>, HttpError> {
    let too_large = || HttpError::new(HttpErrorKind::TooLarge, true, format!("{host}: more than {limit} bytes"));
    let announced = usize::try_from(response.content_length().unwrap_or_default());
    if announced.map_or(true, |announced| announced > limit) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| HttpError::from_exchange(host, &error))?;
        match chunk {
            None => return Ok(body),
            Some(chunk) if chunk.len() > limit - body.len() => return Err(too_large()),
            Some(chunk) => body.extend_from_slice(&chunk),
        }
    }
}

fn set_up_error(name: &str, reason: &dyn fmt::Display) -> HttpError {
    HttpError::new(HttpErrorKind::Setup, false, format!("{name}: {reason}"))
}

fn extra_certificates(config: &HttpConfig) -> Result<Vec<Vec<u8>>, HttpError> {
    let Some(path) = &config.extra_ca_file else {
        return Ok(Vec::new());
    };
    let content = std::fs::read(path).map_err(|error| set_up_error("EXTRA_CA_FILE", &error.kind()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    let certificates = certificates.map_err(|error| set_up_error("EXTRA_CA_FILE", &error))?;
    Ok(certificates.iter().map(|certificate| certificate.to_vec()).collect())
}

#[expect(clippy::disallowed_methods, reason = "the one builder that the rule sends others to")]
fn build(config: &HttpConfig, extra_certificates: &[Vec<u8>], proxy: &Proxy) -> Result<reqwest::Client, HttpError> {
    let unusable = |error: reqwest::Error| {
        let reason = error.source().map(ToString::to_string).unwrap_or_default();
        set_up_error("EXTRA_CA_FILE", &reason)
    };
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT.min(config.timeout))
        .timeout(config.timeout)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .no_proxy();
    for certificate in extra_certificates {
        builder = builder.add_root_certificate(reqwest::Certificate::from_der(certificate).map_err(unusable)?);
    }
    if let Some(proxy) = proxy.build()? {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(unusable)
}

/// The way out that the environment prescribes. Only `https` takes it: `http` goes to loopback alone.
#[derive(Default)]
struct Proxy {
    address: Option<String>,
    exempt: String,
}

impl Proxy {
    fn from_environment() -> Self {
        let variable = |names: &[&str]| {
            let values = names.iter().filter_map(|name| std::env::var(name).ok());
            values.map(|value| value.trim().to_owned()).find(|value| !value.is_empty())
        };
        Self {
            address: variable(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
            exempt: variable(&["NO_PROXY", "no_proxy"]).unwrap_or_default(),
        }
    }

    fn build(&self) -> Result<Option<reqwest::Proxy>, HttpError> {
        let Some(address) = &self.address else {
            return Ok(None);
        };
        let proxy = proxy_url(address).and_then(|url| reqwest::Proxy::https(url).ok());
        let proxy = proxy.ok_or_else(|| set_up_error("HTTPS_PROXY or ALL_PROXY", &"must be http://host:port"))?;
        let exempt = format!("localhost,127.0.0.0/8,::1,{}", self.exempt);
        Ok(Some(proxy.no_proxy(reqwest::NoProxy::from_string(&exempt))))
    }
}

/// `address`, by custom without a scheme, as a URL; `None` for what the client would pass over in silence.
fn proxy_url(address: &str) -> Option<Url> {
    let with_scheme = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let url = Url::parse(&with_scheme).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(url)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::Write as _;
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::body::{Body, Bytes};
    use axum::response::Redirect;
    use axum::routing::get;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use futures_util::stream;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;

    use super::*;

    /// Longer than anything takes that is not meant to run into it.
    const TIMEOUT: Duration = Duration::from_secs(600);

    fn client(timeout: Duration) -> HttpClient {
        with_proxy(timeout, &Proxy::default())
    }

    fn with_proxy(timeout: Duration, proxy: &Proxy) -> HttpClient {
        let config = HttpConfig { timeout, retries: 3, extra_ca_file: None };
        let client = HttpClient::with_proxy(&config, proxy).expect("a client");
        HttpClient { first_pause: Duration::from_millis(2), ..client }
    }

    async fn listen() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        (listener, address)
    }

    async fn serve(router: Router) -> SocketAddr {
        let (listener, address) = listen().await;
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    fn request(url: impl fmt::Display) -> Request<Vec<u8>> {
        Request::get(url.to_string()).body(Vec::new()).expect("a request")
    }

    /// A router that answers `/` with what `answer` makes of the number of earlier calls, and the counter.
    fn counting<A>(answer: A) -> (Router, Arc<AtomicUsize>)
    where
        A: Fn(usize) -> axum::response::Response + Clone + Send + Sync + 'static,
    {
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = calls.clone();
        let handler = get(move || async move { answer(counter.fetch_add(1, Ordering::SeqCst)) });
        (Router::new().route("/", handler), calls)
    }

    fn answer(status: u16, headers: &[(&'static str, &'static str)]) -> axum::response::Response {
        let builder = axum::response::Response::builder().status(status);
        let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
        builder.body(Body::from("body")).expect("a response")
    }

    #[tokio::test]
    async fn a_response_comes_back_whole() {
        let seen = get(|headers: HeaderMap| async move { headers["user-agent"].to_str().expect("text").to_owned() });
        let address = serve(Router::new().route("/", seen)).await;
        let response = client(TIMEOUT).send(request(format!("http://{address}")), 100).await.expect("a response");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
        assert_eq!(String::from_utf8_lossy(response.body()), USER_AGENT);
        assert!(USER_AGENT.starts_with("entra-starter/"));
    }

    #[tokio::test]
    async fn l_13_redirects_are_not_followed() {
        let (target, calls) = counting(|_| answer(200, &[]));
        let target = serve(target).await;
        let redirect = get(move || async move { Redirect::to(&format!("http://{target}/")) });
        let address = serve(Router::new().route("/", redirect)).await;
        let response = client(TIMEOUT).send_idempotent(request(format!("http://{address}")), 100).await;
        assert_eq!(response.expect("a response").status(), StatusCode::SEE_OTHER);
        assert_eq!(calls.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn l_13_http_is_refused_except_to_loopback() {
        for url in ["http://example.com/", "http://192.0.2.1/", "http://localhost.example.com/", "http://0.0.0.0/"] {
            let error = client(TIMEOUT).send_idempotent(request(url), 100).await.expect_err(url);
            assert_eq!((error.kind, error.sent), (HttpErrorKind::RefusedUrl, false), "{url}");
        }
        assert!(is_allowed(&Url::parse("http://[::1]:1/").expect("a URL")));
        assert!(is_allowed(&Url::parse("https://example.com/").expect("a URL")));
        assert!(!is_allowed(&Url::parse("file:///etc/passwd").expect("a URL")));
        let relative = client(TIMEOUT).send(request("/path"), 100).await.expect_err("refused");
        assert_eq!(relative.kind, HttpErrorKind::RefusedUrl);
    }

    #[tokio::test]
    async fn f_03_a_slow_drip_is_cut_by_time() {
        let drip = get(|| async {
            let bytes = stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Ok::<_, Infallible>(Bytes::from_static(b"x")), ()))
            });
            Body::from_stream(bytes)
        });
        let address = serve(Router::new().route("/", drip)).await;
        for idempotent in [false, true] {
            // Time enough to connect on any machine: what is cut is the body.
            let (client, request) = (client(Duration::from_secs(3)), request(format!("http://{address}")));
            let result = match idempotent {
                true => client.send_idempotent(request, DEFAULT_LIMIT).await,
                false => client.send(request, DEFAULT_LIMIT).await,
            };
            let error = result.expect_err("cut");
            assert_eq!((error.kind, error.sent), (HttpErrorKind::Timeout, true));
        }
    }

    #[tokio::test]
    async fn f_02_a_server_that_never_answers_costs_one_timeout_with_all_repetitions() {
        let (listener, address) = listen().await;
        let client = client(Duration::from_secs(3));
        let error = client.send_idempotent(request(format!("http://{address}")), 100).await.expect_err("cut");
        assert_eq!((error.kind, error.sent), (HttpErrorKind::Timeout, true));
        let listener = listener.into_std().expect("a listener");
        assert!(listener.accept().is_ok());
        assert!(listener.accept().is_err(), "the first try took all of the time, and no second one began");
    }

    /// `count` pieces of 64 KiB, and how many were asked for.
    fn long_body(count: usize) -> (Router, Arc<AtomicUsize>) {
        let pieces = Arc::new(AtomicUsize::new(0));
        let counter = pieces.clone();
        let handler = get(move || async move {
            let bytes = stream::unfold(0, move |index| {
                counter.store(index, Ordering::SeqCst);
                let piece = (index < count).then(|| Bytes::from(vec![b'x'; 64 * 1024]));
                std::future::ready(piece.map(|piece| (Ok::<_, Infallible>(piece), index + 1)))
            });
            Body::from_stream(bytes)
        });
        (Router::new().route("/", handler), pieces)
    }

    #[tokio::test]
    async fn f_03_a_body_of_50_mb_is_cut_by_size() {
        let (router, pieces) = long_body(800);
        let address = serve(router).await;
        let result = client(TIMEOUT).send_idempotent(request(format!("http://{address}")), DEFAULT_LIMIT).await;
        assert_eq!(result.expect_err("cut").kind, HttpErrorKind::TooLarge);
        assert!(pieces.load(Ordering::SeqCst) < 800);
    }

    #[tokio::test]
    async fn f_03_an_announced_size_is_believed_before_a_byte_is_read() {
        let large = get(|| async { vec![0_u8; 101] });
        let address = serve(Router::new().route("/", large)).await;
        let url = format!("http://{address}");
        let error = client(TIMEOUT).send(request(&url), 100).await.expect_err("cut");
        assert_eq!((error.kind, error.sent), (HttpErrorKind::TooLarge, true));
        assert_eq!(client(TIMEOUT).send(request(&url), 101).await.expect("fits").body().len(), 101);
    }

    fn zipped(length: usize) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&vec![0; length]).expect("writes");
        encoder.finish().expect("writes")
    }

    #[tokio::test]
    async fn f_03_a_gzip_bomb_is_cut_by_what_it_unpacks_to() {
        let bomb = zipped(8 * DEFAULT_LIMIT);
        assert!(bomb.len() < DEFAULT_LIMIT);
        let serve_zipped = |body: Vec<u8>| get(|| async { ([("content-encoding", "gzip")], body) });
        let router = Router::new().route("/bomb", serve_zipped(bomb)).route("/fits", serve_zipped(zipped(500_000)));
        let address = serve(router).await;
        let client = client(TIMEOUT);
        let error = client.send(request(format!("http://{address}/bomb")), DEFAULT_LIMIT).await.expect_err("cut");
        assert_eq!(error.kind, HttpErrorKind::TooLarge);
        let response = client.send(request(format!("http://{address}/fits")), DEFAULT_LIMIT).await.expect("fits");
        assert_eq!(response.body().len(), 500_000);
    }

    #[tokio::test]
    async fn passing_statuses_are_tried_again_as_often_as_configured() {
        for status in [429, 502, 503, 504] {
            let (router, calls) = counting(move |_| answer(status, &[]));
            let address = serve(router).await;
            let response = client(TIMEOUT).send_idempotent(request(format!("http://{address}")), 100).await;
            assert_eq!(response.expect("the last response").status(), status);
            assert_eq!(calls.load(Ordering::SeqCst), 4, "{status}");
        }
    }

    #[tokio::test]
    async fn a_server_that_recovers_is_reached() {
        let (router, calls) = counting(|earlier| answer(if earlier < 2 { 503 } else { 200 }, &[]));
        let address = serve(router).await;
        let response = client(TIMEOUT).send_idempotent(request(format!("http://{address}")), 100).await;
        assert_eq!(response.expect("a response").status(), StatusCode::OK);
        assert_eq!(calls.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn other_statuses_and_single_sends_are_not_repeated() {
        let (router, calls) = counting(|_| answer(500, &[]));
        let address = serve(router).await;
        let url = format!("http://{address}");
        client(TIMEOUT).send_idempotent(request(&url), 100).await.expect("a response");
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        let (router, calls) = counting(|_| answer(503, &[]));
        let address = serve(router).await;
        client(TIMEOUT).send(request(format!("http://{address}")), 100).await.expect("a response");
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn f_05_retry_after_is_honoured_when_it_fits_and_left_to_the_caller_when_not() {
        let (router, calls) = counting(|earlier| answer(if earlier == 0 { 503 } else { 200 }, &[("retry-after", "1")]));
        let address = serve(router).await;
        let start = Instant::now();
        let response = client(TIMEOUT).send_idempotent(request(format!("http://{address}")), 100).await;
        assert_eq!(response.expect("a response").status(), StatusCode::OK);
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        assert!(start.elapsed() >= Duration::from_secs(1));
        for router in [
            counting(|_| answer(429, &[("retry-after", "3600")])),
            counting(|_| answer(429, &[("retry-after", "Fri, 31 Dec 2199 23:59:59 GMT")])),
        ] {
            let (router, calls) = router;
            let address = serve(router).await;
            let response = client(TIMEOUT).send_idempotent(request(format!("http://{address}")), 100).await;
            assert!(response.expect("a response").headers().contains_key("retry-after"));
            assert_eq!(calls.load(Ordering::SeqCst), 1);
        }
    }

    #[tokio::test]
    async fn f_06_a_refused_connection_was_not_sent() {
        let (listener, address) = listen().await;
        drop(listener);
        let error =
            client(TIMEOUT).send(request(format!("http://{address}/?code=s3cr3t")), 100).await.expect_err("none");
        assert_eq!((error.kind, error.sent), (HttpErrorKind::Connect, false));
        let text = error.to_string();
        assert!(text.contains("127.0.0.1") && !text.contains("s3cr3t"), "{text}");
    }

    #[tokio::test]
    async fn f_06_a_connection_that_breaks_off_was_sent_and_only_the_idempotent_call_is_repeated() {
        let (listener, address) = listen().await;
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let _ = stream.read(&mut [0; 1024]).await;
            }
        });
        let url = format!("http://{address}");
        let error = client(TIMEOUT).send(request(&url), 100).await.expect_err("none");
        assert_eq!((error.kind, error.sent), (HttpErrorKind::Other, true));
        assert_eq!(connections.load(Ordering::SeqCst), 1);
        client(TIMEOUT).send_idempotent(request(&url), 100).await.expect_err("none");
        assert_eq!(connections.load(Ordering::SeqCst), 5);
    }

    /// A proxy that notes the first line of each request and hangs up.
    async fn proxy() -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
        let (listener, address) = listen().await;
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut bytes = [0; 1024];
                let length = stream.read(&mut bytes).await.unwrap_or_default();
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                let _ = sender.send(text.lines().next().unwrap_or_default().to_owned());
            }
        });
        (address, receiver)
    }

    #[tokio::test]
    async fn https_takes_the_proxy_unless_the_host_is_exempt_or_loopback() {
        let (address, mut seen) = proxy().await;
        let settings = Proxy { address: Some(address.to_string()), exempt: "exempt.invalid".to_owned() };
        let client = with_proxy(TIMEOUT, &settings);
        let (listener, closed) = listen().await;
        drop(listener);
        let port = closed.port();
        for url in [
            format!("https://127.0.0.1:{port}/"),
            format!("https://localhost:{port}/"),
            format!("http://localhost:{port}/"),
            format!("https://[::1]:{port}/"),
            "https://exempt.invalid/".to_owned(),
        ] {
            let error = client.send(request(&url), 100).await.expect_err("none");
            assert_eq!(error.kind, HttpErrorKind::Connect, "{url}: {error}");
            assert!(seen.try_recv().is_err(), "{url}");
        }
        client.send(request("https://login.invalid/"), 100).await.expect_err("none");
        assert_eq!(seen.recv().await.expect("a request"), "CONNECT login.invalid:443 HTTP/1.1");
    }

    /// Serves TLS as `localhost` and answers every request with `ok`.
    async fn serve_tls() -> SocketAddr {
        let key = rustls_pki_types::PrivateKeyDer::from_pem_slice(TEST_KEY.as_bytes()).expect("a key");
        let certificate = CertificateDer::from_pem_slice(TEST_CERTIFICATE.as_bytes()).expect("a certificate");
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = versions.expect("versions").with_no_client_auth().with_single_cert(vec![certificate], key);
        let acceptor = TlsAcceptor::from(Arc::new(config.expect("a configuration")));
        let (listener, address) = listen().await;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let _ = stream.read(&mut [0; 1024]).await;
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                }
            }
        });
        address
    }

    #[tokio::test]
    async fn f_06_certificates_are_verified_with_those_of_the_extra_ca_file() {
        let port = serve_tls().await.port();
        let (by_name, by_address) = (format!("https://localhost:{port}/"), format!("https://127.0.0.1:{port}/"));
        let error = client(TIMEOUT).send(request(&by_name), 100).await.expect_err("unknown issuer");
        assert_eq!((error.kind, error.sent), (HttpErrorKind::Connect, false), "{error}");
        // What is logged says that it was the certificate, not the network.
        assert!(error.to_string().contains("certificate"), "{error}");

        let path = std::env::temp_dir().join(crypto::random_token().expect("randomness"));
        std::fs::write(&path, TEST_CERTIFICATE).expect("writes");
        let config = HttpConfig { timeout: TIMEOUT, retries: 0, extra_ca_file: Some(path.clone()) };
        let client = HttpClient::with_proxy(&config, &Proxy::default()).expect("a client");
        std::fs::remove_file(path).expect("removes");
        assert_eq!(client.extra_certificates().len(), 1);
        assert_eq!(client.send(request(&by_name), 100).await.expect("trusted").body(), b"ok");
        let error = client.send(request(&by_address), 100).await.expect_err("another name");
        assert_eq!((error.kind, error.sent), (HttpErrorKind::Connect, false), "{error}");
    }

    #[test]
    fn what_cannot_be_set_up_is_an_error() {
        let config = HttpConfig { timeout: TIMEOUT, retries: 0, extra_ca_file: Some("/nonexistent/ca.pem".into()) };
        let error = HttpClient::new(&config).expect_err("unreadable");
        assert_eq!(error.kind, HttpErrorKind::Setup);
        assert!(error.to_string().contains("EXTRA_CA_FILE"), "{error}");
        let config = HttpConfig { extra_ca_file: None, ..config };
        for address in ["nonsense://proxy", "socks5://localhost:1080", "http://"] {
            let proxy = Proxy { address: Some(address.to_owned()), exempt: String::new() };
            let error = HttpClient::with_proxy(&config, &proxy).expect_err(address);
            assert!(error.to_string().contains("HTTPS_PROXY"), "{error}");
        }
    }

    #[test]
    fn pauses_double_and_vary_within_their_half() {
        let pause = Duration::from_millis(800);
        for _ in 0..200 {
            let varied = jittered(pause);
            assert!(varied >= pause / 2 && varied <= pause, "{varied:?}");
        }
        let (client, lost) = (client(TIMEOUT), Err(HttpError::new(HttpErrorKind::Connect, false, "")));
        for repetitions in 0..3 {
            let longest = client.first_pause * 2_u32.pow(repetitions);
            let varied = client.pause(&lost, repetitions).expect("another try");
            assert!(varied >= longest / 2 && varied <= longest, "{varied:?}");
        }
        assert_eq!(client.pause(&lost, 3), None);
    }

    /// Made for these tests alone, for the name `localhost`.
    const TEST_CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBkzCCATigAwIBAgIUHpclaHN7yDlv/FnAKrNrKrGbo2kwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDIzMzYzNVoYDzIxMjYxMDMx
MjMzNjM1WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAT3FdMMdCYOgrZZftneRqbgZDmnpArtkdd0kNLqF4fAQFNZh6pFjW4g
WPoIT4av5+SJ0gYUwj0I+L5/nKjUx499o2YwZDAdBgNVHQ4EFgQU5S6L5KXK5Njh
V/e4VETwn7SkFsQwHwYDVR0jBBgwFoAU5S6L5KXK5NjhV/e4VETwn7SkFsQwFAYD
VR0RBA0wC4IJbG9jYWxob3N0MAwGA1UdEwEB/wQCMAAwCgYIKoZIzj0EAwIDSQAw
RgIhAKrUUbSSe2yYATcUEte9En0l4815HZZ2H5NGeYsrRsNRAiEA+jo2LKO4Vw6R
X+XE7s55Oigg3Yoo4zZ9v8vJyVb4cxQ=
-----END CERTIFICATE-----
";

    /// Its key.
    const TEST_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgpMHyk+NEiN4yNEr/
JAzixdyDh/8Tro5ZWYMwT0GdQvKhRANCAAT3FdMMdCYOgrZZftneRqbgZDmnpArt
kdd0kNLqF4fAQFNZh6pFjW4gWPoIT4av5+SJ0gYUwj0I+L5/nKjUx499
-----END PRIVATE KEY-----
";
}
