//! Who a request comes from: its network address, also behind trusted proxies, and its user agent.
//!
//! Forwarded headers are whatever the sender wrote, so they count only when the peer is one of
//! `TRUSTED_PROXIES`, and only from the right: each trusted proxy appended the address it saw
//! (RFC 9700 section 4.13, RFC 7239). `X-Forwarded-For` wins over `Forwarded`; a proxy that sets
//! the second one must drop the first.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request};
use axum::http::header::{FORWARDED, USER_AGENT};
use axum::http::{HeaderMap, HeaderName};
use entra::plain::plain;
use ipnet::IpNet;

/// The de-facto header: client and proxies, separated by commas, the nearest last.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The most characters that are kept of a user agent.
const USER_AGENT_LENGTH: usize = 256;

/// Who sent a request, as far as the network tells; an extension of every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientInfo {
    /// Address of the client: of the peer, or what a trusted proxy says it forwards for.
    pub address: IpAddr,
    /// `User-Agent`, at most 256 characters, without control characters; may be empty.
    pub user_agent: String,
}

impl ClientInfo {
    /// Reads the peer's address and the headers of `request`.
    #[must_use]
    pub fn of(request: &Request, proxies: &TrustedProxies) -> Self {
        Self {
            address: client_address(peer(request), request.headers(), proxies),
            user_agent: user_agent(request.headers()),
        }
    }
}

/// The peers whose forwarded headers count: `TRUSTED_PROXIES`. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// Trusts the addresses in `networks`.
    #[must_use]
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks.into())
    }

    /// Whether `address` is a trusted proxy's.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The other end of the connection; loopback when there is none, as in tests.
#[must_use]
pub(crate) fn peer(request: &Request) -> IpAddr {
    let connection = request.extensions().get::<ConnectInfo<SocketAddr>>();
    connection.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ConnectInfo(peer)| peer.ip().to_canonical())
}

/// The first address from the right that is no trusted proxy's. An entry that is no address ends
/// the search at the proxy that reported it.
fn client_address(peer: IpAddr, headers: &HeaderMap, proxies: &TrustedProxies) -> IpAddr {
    let mut address = peer;
    let mut hops = hops(headers);
    while proxies.contains(address) {
        match hops.next().flatten() {
            Some(hop) => address = hop,
            None => break,
        }
    }
    address
}

/// The forwarded addresses, the nearest first; `None` is an entry that is no address.
fn hops(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let is_plain = headers.contains_key(X_FORWARDED_FOR);
    let values = headers.get_all(if is_plain { X_FORWARDED_FOR } else { FORWARDED });
    let entries = values.iter().rev().flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
    entries.map(move |entry| parse_node(if is_plain { entry } else { forwarded_for(entry)? }))
}

/// The node of one `Forwarded` element: `192.0.2.1` of `for=192.0.2.1;proto=https` (RFC 7239 section 4).
fn forwarded_for(element: &str) -> Option<&str> {
    element
        .split(';')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(name, value)| name.trim().eq_ignore_ascii_case("for").then_some(value))
}

/// An address with or without a port, quotes and brackets (RFC 7239 section 6).
fn parse_node(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse().ok();
    let address = address.or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()));
    address.map(|address| address.to_canonical())
}

fn user_agent(headers: &HeaderMap) -> String {
    let Some(value) = headers.get(USER_AGENT) else {
        return String::new();
    };
    match value.to_str().ok().filter(|text| is_tidy(text)) {
        Some(text) => text.to_owned(),
        None => tidied(&String::from_utf8_lossy(value.as_bytes())),
    }
}

/// What nearly every user agent is: there is nothing to do.
fn is_tidy(text: &str) -> bool {
    text.len() <= USER_AGENT_LENGTH && !text.contains('\t')
}

fn tidied(text: &str) -> String {
    plain(text).chars().take(USER_AGENT_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn proxies() -> TrustedProxies {
        let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().expect("a network"));
        TrustedProxies::new(networks.to_vec())
    }

    fn address(peer: &str, headers: &[(&str, &str)]) -> String {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).expect("a request");
        let peer: IpAddr = peer.parse().expect("an address");
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer, 50_000)));
        ClientInfo::of(&request, &proxies()).address.to_string()
    }

    #[test]
    fn s_11_forwarded_headers_of_a_stranger_change_nothing() {
        for name in ["x-forwarded-for", "forwarded", "x-real-ip", "client-ip"] {
            assert_eq!(address("203.0.113.9", &[(name, "for=192.0.2.1")]), "203.0.113.9", "{name}");
            assert_eq!(address("203.0.113.9", &[(name, "192.0.2.1")]), "203.0.113.9", "{name}");
        }
    }

    #[test]
    fn s_11_the_rightmost_untrusted_hop_is_the_client() {
        let xff = "x-forwarded-for";
        for (value, client) in [
            ("192.0.2.1", "192.0.2.1"),
            // The client wrote the first entry itself, the proxy appended what it saw.
            ("127.0.0.1, 192.0.2.1", "192.0.2.1"),
            ("198.51.100.7, 192.0.2.1, 10.9.9.9", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("10.2.3.4, 10.3.4.5", "10.2.3.4"),
            // What is no address ends the search at the last proxy that can be named.
            ("192.0.2.1, unknown", "10.0.0.1"),
            ("192.0.2.1, unknown, 10.5.5.5", "10.5.5.5"),
            ("", "10.0.0.1"),
            (",,,", "10.0.0.1"),
        ] {
            assert_eq!(address("10.0.0.1", &[(xff, value)]), client, "{value}");
        }
        assert_eq!(address("10.0.0.1", &[(xff, "198.51.100.7"), (xff, "192.0.2.1")]), "192.0.2.1");
    }

    #[test]
    fn s_11_forwarded_is_read_where_there_is_no_x_forwarded_for() {
        for (value, client) in [
            ("for=192.0.2.1;proto=https;by=10.0.0.1", "192.0.2.1"),
            ("proto=https;For=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("for=198.51.100.7, for=192.0.2.1", "192.0.2.1"),
            ("for=_hidden", "10.0.0.1"),
            ("proto=https", "10.0.0.1"),
        ] {
            assert_eq!(address("10.0.0.1", &[("forwarded", value)]), client, "{value}");
        }
        let both = [("forwarded", "for=198.51.100.7"), ("x-forwarded-for", "192.0.2.1")];
        assert_eq!(address("10.0.0.1", &both), "192.0.2.1");
    }

    #[test]
    fn a_mapped_peer_is_recognised_as_a_proxy() {
        assert_eq!(address("::ffff:10.0.0.1", &[("x-forwarded-for", "192.0.2.1")]), "192.0.2.1");
    }

    #[test]
    fn without_a_connection_the_client_is_loopback() {
        let client = ClientInfo::of(&Request::new(Body::empty()), &proxies());
        assert_eq!((client.address.to_string().as_str(), client.user_agent.as_str()), ("127.0.0.1", ""));
    }

    #[test]
    fn the_user_agent_is_bounded_and_without_control_characters() {
        let long = format!("Mozilla\t5.0{}", "x".repeat(5_000));
        let request = Request::builder().header(USER_AGENT, long).body(Body::empty()).expect("a request");
        let user_agent = ClientInfo::of(&request, &proxies()).user_agent;
        assert!(user_agent.starts_with("Mozilla5.0x"));
        assert_eq!(user_agent.chars().count(), USER_AGENT_LENGTH);
    }

    #[test]
    fn a_user_agent_may_hold_any_letters() {
        for (given, kept) in
            [("Mozilla/5.0 (X11)", "Mozilla/5.0 (X11)"), ("a\tb", "ab"), ("Bröwser\t1\u{85}", "Bröwser1")]
        {
            let request = Request::builder().header(USER_AGENT, given).body(Body::empty()).expect("a request");
            assert_eq!(ClientInfo::of(&request, &proxies()).user_agent, kept);
        }
    }
}
