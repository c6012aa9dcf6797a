//! HTTP/1.1 by hand, for requests and answers that stop half-way.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use crate::{Browser, TestApp};

/// A connection of its own to the application. Nothing is read before it is asked for.
pub struct Wire {
    stream: TcpStream,
    head: String,
}

impl Wire {
    /// Connects as `browser`, with its session.
    ///
    /// # Panics
    /// When nothing listens there, or nobody is signed in.
    pub async fn open(app: &TestApp, browser: &Browser) -> Self {
        let address: Url = app.address("").parse().expect("a URL");
        let host = format!("localhost:{}", address.port().expect("a port"));
        let stream = TcpStream::connect(&host).await.expect("somebody listens");
        let cookie = browser.cookie("id").expect("a session");
        let head = format!("Host: {host}\r\nCookie: id={cookie}\r\nConnection: close\r\n");
        Self { stream, head }
    }

    /// Sends a `GET`.
    pub async fn get(&mut self, path: &str) {
        let head = format!("GET {path} HTTP/1.1\r\n{}\r\n", self.head);
        self.send(&head).await;
    }

    /// Sends the head of a form post alone, and waits until the application asks for the body: it knows who it is then.
    pub async fn begin_post(&mut self, path: &str, body: &str) {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\n{}Sec-Fetch-Site: same-origin\r\nExpect: 100-continue\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n",
            self.head
        );
        self.send(&head).await;
        let asked = self.read_to("\r\n\r\n").await;
        assert!(asked.starts_with("HTTP/1.1 100 "), "{path}: {asked}");
    }

    /// Sends `text`.
    ///
    /// # Panics
    /// When the connection is gone.
    pub async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.expect("the connection holds");
    }

    /// Reads up to and with `end`.
    ///
    /// # Panics
    /// When the connection ends before.
    pub async fn read_to(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        while !text.ends_with(end.as_bytes()) {
            text.push(self.stream.read_u8().await.expect("more to read"));
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Reads all that still comes.
    pub async fn rest(mut self) -> String {
        let mut text = Vec::new();
        // However it ends: what is asked is what came before.
        let _ = self.stream.read_to_end(&mut text).await;
        String::from_utf8_lossy(&text).into_owned()
    }
}
