//! As much of an HTTP/1.1 client as the load needs: kept-alive connections, whole answers.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A kept-alive connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, borrowed from the connection's buffer.
pub struct Answer<'a> {
    /// The status code.
    pub status: u16,
    /// Status line and headers.
    pub head: &'a [u8],
    /// The body; with its chunk sizes if it came in chunks.
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// The values of the header `name` (lower case).
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let lines = std::str::from_utf8(self.head).unwrap_or_default().lines();
        lines.filter_map(move |line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.body).into_owned()
    }
}

impl Connection {
    /// Connects to `address`.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(128 * 1024) })
    }

    /// Sends `request`, a complete one, and reads the whole answer.
    pub async fn send(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            if let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            self.read().await?;
        };
        let status = std::str::from_utf8(&self.buffer[9..12])?.parse().context("status")?;
        // 204 No Content (RFC 9110, section 15.3.5).
        let end = if status == 204 { head } else { self.read_body(head).await? };
        let (head, body) = (&self.buffer[..head], &self.buffer[head..end]);
        Ok(Answer { status, head, body })
    }

    /// Reads on until the body that starts at `start` is complete; returns its end.
    async fn read_body(&mut self, start: usize) -> Result<usize> {
        if let Some(length) = content_length(&self.buffer[..start]) {
            while self.buffer.len() < start + length {
                self.read().await?;
            }
            return Ok(start + length);
        }
        while !self.buffer.ends_with(b"0\r\n\r\n") {
            self.read().await?;
        }
        Ok(self.buffer.len())
    }

    async fn read(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the connection was closed in the middle of an answer");
        }
        Ok(())
    }
}

fn content_length(head: &[u8]) -> Option<usize> {
    let name = memmem::find(head, b"ontent-length: ").or_else(|| memmem::find(head, b"ontent-Length: "))?;
    let digits = head[name + 15..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')))
}
