//! The connections of a listener: each of a client's turns has its time, and nobody keeps the others out.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use futures_util::stream::unfold;
use server::web::connections::{Limits, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

/// Long enough for whatever a test does meanwhile.
const LONG: Duration = Duration::from_secs(600);
/// What a test waits for to be over.
const SHORT: Duration = Duration::from_millis(100);
const PATIENT: Limits = Limits { connections: 100, header: LONG, body: LONG, idle: LONG, unread: LONG };

async fn listening(limits: Limits) -> SocketAddr {
    let app = Router::new()
        .route("/", get(async || "ok"))
        .route("/", post(async |body: Bytes| body))
        .route(
            "/endless",
            get(async || {
                Body::from_stream(unfold((), async |()| Some((Ok::<_, Infallible>(vec![b'x'; 1 << 16]), ()))))
            }),
        )
        .route(
            "/slow",
            get(async || {
                Body::from_stream(unfold(0, async |count: u32| {
                    tokio::time::sleep(SHORT * 3).await;
                    (count < 4).then_some((Ok::<_, Infallible>("slow\n"), count + 1))
                }))
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(serve(listener, app, limits, CancellationToken::new()));
    address
}

async fn connect(address: SocketAddr, text: &str) -> TcpStream {
    send(TcpStream::connect(address).await.expect("a connection"), text).await
}

async fn send(mut stream: TcpStream, text: &str) -> TcpStream {
    stream.write_all(text.as_bytes()).await.expect("sent");
    stream
}

/// All that still comes until the server closes the connection.
async fn rest(mut stream: TcpStream) -> String {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(suite::PATIENCE, stream.read_to_end(&mut rest)).await.expect("closed");
    // A reset is an end, too.
    let _ = end;
    String::from_utf8_lossy(&rest).into_owned()
}

/// An answered request on a connection that stays open.
async fn answered(stream: TcpStream) -> TcpStream {
    let mut stream = send(stream, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok") {
        assert_ne!(stream.read_buf(&mut answer).await.expect("an answer"), 0, "closed");
    }
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_does_not_come_to_its_end_closes_the_connection() {
    let address = listening(Limits { header: SHORT, ..PATIENT }).await;
    for beginning in ["", "G", "GET / HTTP/1.1\r\nHost: x\r\nCookie: "] {
        assert_eq!(rest(connect(address, beginning).await).await, "", "{beginning}");
    }
    // Time enough for the first request, on a busy machine too.
    let address = listening(Limits { header: SHORT * 30, ..PATIENT }).await;
    let second = send(answered(connect(address, "").await).await, "GET / HTTP/1.1\r\n").await;
    assert_eq!(rest(second).await, "", "also on a connection that has served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_closes_the_connection_however_it_trickles() {
    let address = listening(Limits { body: SHORT, ..PATIENT }).await;
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n";
    assert_eq!(rest(connect(address, head).await).await, "");
    let mut trickling = connect(address, head).await;
    let trickle = async { while trickling.write_all(b"x").await.is_ok() {} };
    tokio::time::timeout(suite::PATIENCE, trickle).await.expect("closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_a_request_is_closed() {
    let address = listening(Limits { idle: SHORT, ..PATIENT }).await;
    assert_eq!(rest(answered(connect(address, "").await).await).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_reads_closes_the_connection() {
    let address = listening(Limits { unread: SHORT, ..PATIENT }).await;
    let mut stuck = connect(address, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let closed = async {
        while stuck.write_all(b" ").await.is_ok() {
            tokio::time::sleep(SHORT).await
        }
    };
    tokio::time::timeout(suite::PATIENCE, closed).await.expect("closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_takes_long_is_not_cut() {
    let address = listening(Limits { body: SHORT, unread: SHORT, ..PATIENT }).await;
    let request = "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = rest(connect(address, request).await).await;
    assert!(answer.matches("slow\n").count() == 4 && answer.ends_with("0\r\n\r\n"), "{answer}");
}

/// A connection from this address of loopback, on which a request was answered.
async fn idle_from(from: &str, address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(format!("{from}:0").parse().expect("an address")).expect("bound");
    answered(socket.connect(address).await.expect("a connection")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_are_taken_the_address_with_most_of_them_gives_one_up() {
    let address = listening(Limits { connections: 3, ..PATIENT }).await;
    let quiet = idle_from("127.0.0.2", address).await;
    let greedy = [idle_from("127.0.0.1", address).await, idle_from("127.0.0.1", address).await];
    let newcomer = idle_from("127.0.0.3", address).await;
    let [longest, last] = greedy;
    assert_eq!(rest(longest).await, "");
    for left in [quiet, last, newcomer] {
        answered(left).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_are_being_answered_the_next_one_waits() {
    let address = listening(Limits { connections: 1, ..PATIENT }).await;
    let mut slow = connect(address, "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let mut first = [0; 1];
    slow.read_exact(&mut first).await.expect("the answer begins");
    let next = connect(address, "").await;
    let (slow, _next) = tokio::join!(rest(slow), answered(next));
    assert_eq!(slow.matches("slow\n").count(), 4);
}
