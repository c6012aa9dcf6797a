//! `server healthcheck`: asks the running server on this machine for `/healthz`, for containers that hold neither a
//! shell nor `curl`.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Container runtimes give up after as long by themselves.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Whether the server that listens on `address` lives.
///
/// # Errors
/// When nothing listens, or what answers does not say 200 within three seconds.
pub fn ask(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&reachable(address), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut status_line = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut status_line)?;
    match &status_line {
        b"HTTP/1.1 200" => Ok(()),
        other => Err(io::Error::other(format!("/healthz answers {}", String::from_utf8_lossy(other)))),
    }
}

/// Whoever listens on all addresses is asked on the loopback one.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A server that answers one request with `answer`; returns its port.
    fn server(answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a request");
            let mut request = [0; 64];
            assert!(stream.read(&mut request).expect("a request") > 0);
            stream.write_all(answer.as_bytes()).expect("sent");
        });
        port
    }

    #[test]
    fn a_server_on_every_address_is_asked_on_loopback() {
        let port = server("HTTP/1.1 200 OK\r\n\r\nok\n");
        ask(SocketAddr::from(([0, 0, 0, 0], port))).expect("well");
        assert_eq!(reachable("[::]:3000".parse().expect("an address")), "[::1]:3000".parse().expect("an address"));
    }

    #[test]
    fn whatever_does_not_say_200_is_unwell() {
        for answer in ["HTTP/1.1 503 Service Unavailable\r\n\r\n", "HTTP", ""] {
            ask(SocketAddr::from(([127, 0, 0, 1], server(answer)))).expect_err(answer);
        }
    }
}
