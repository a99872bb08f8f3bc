//! Who sent a request: address, user agent, visitor, wishes.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use http::request::Parts;
use http::{HeaderMap, header};
use ipnet::IpNet;

use crate::App;
use crate::collect::Sender;
use crate::outcome::{Code, Refusal};
use crate::visitor::VisitorId;

/// The most bytes of a user agent that anybody looks at.
const LONGEST_USER_AGENT: usize = 512;

/// The address at the other end of the connection, where the server knows it by other means
/// than axum's `ConnectInfo`: in Lambda, the platform's source address.
#[derive(Clone, Copy)]
pub struct PeerAddress(pub IpAddr);

/// Never shows the address.
impl std::fmt::Debug for PeerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PeerAddress")
    }
}

/// The client's address: the peer's, or, when the peer is a trusted proxy, the last address of
/// `X-Forwarded-For` that is not one. What stands further left is hearsay.
#[must_use]
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let mut client = peer.to_canonical();
    if trusted.is_empty() {
        return client;
    }
    let mut hops = headers
        .get_all("x-forwarded-for")
        .iter()
        .rev()
        .flat_map(|value| value.to_str().unwrap_or_default().rsplit(','))
        .map(|hop| address_of_hop(hop.trim()));
    while is_trusted(client) {
        match hops.next() {
            // A hop that cannot be read ends what can be believed.
            Some(Some(hop)) => client = hop,
            _ => break,
        }
    }
    client
}

/// `1.2.3.4`, `1.2.3.4:5`, `::1`, `[::1]` or `[::1]:5`.
fn address_of_hop(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let address: Option<IpAddr> = bare.parse().ok();
    address.or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip())).map(|address| address.to_canonical())
}

impl FromRequestParts<App> for Sender {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let headers = &parts.headers;
        let peer = parts
            .extensions
            .get::<PeerAddress>()
            .map(|peer| peer.0)
            .or_else(|| parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip()));
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        Ok(Self {
            address: peer.map(|peer| client_address(peer, headers, &app.config.trusted_proxies)),
            user_agent: headers.get(header::USER_AGENT).and_then(|value| user_agent(value.as_bytes())),
            visitor: headers.get("x-visitor-id").map(|value| {
                value
                    .to_str()
                    .ok()
                    .and_then(VisitorId::parse)
                    .ok_or_else(|| Refusal::new(Code::InvalidEvent, "the header X-Visitor-Id must be a UUID"))
            }),
            session: session(headers),
            opt_out: text("dnt") == Some("1") || text("sec-gpc") == Some("1"),
        })
    }
}

fn user_agent(bytes: &[u8]) -> Option<std::sync::Arc<str>> {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST_USER_AGENT)]);
    let text = text.trim();
    (!text.is_empty()).then(|| text.into())
}

/// The cookie is set by the measured site, which may put anything in it; only a UUID counts.
fn session(headers: &HeaderMap) -> Option<VisitorId> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().strip_prefix("maicivy_session="))
        .find_map(VisitorId::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn forwarded_addresses_count_only_from_trusted_proxies() {
        assert_eq!(client("198.18.0.1", &["203.0.113.9"], &[]), "198.18.0.1");
        assert_eq!(client("198.18.0.1", &["203.0.113.9"], &["10.0.0.0/8"]), "198.18.0.1");
        assert_eq!(client("10.0.0.1", &["203.0.113.9"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &[], &["10.0.0.0/8"]), "10.0.0.1");
    }

    #[test]
    fn they_are_read_from_the_right() {
        let trusted = &["10.0.0.0/8"];
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 2.2.2.2, 10.0.0.2"], trusted), "2.2.2.2");
        assert_eq!(client("10.0.0.1", &["1.1.1.1", "2.2.2.2"], trusted), "2.2.2.2");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, junk, 10.0.0.2"], trusted), "10.0.0.2");
        assert_eq!(client("10.0.0.1", &["10.0.0.3"], trusted), "10.0.0.3");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses() {
        let trusted = &["10.0.0.0/8", "::1/128"];
        assert_eq!(client("10.0.0.1", &["2.2.2.2:4711"], trusted), "2.2.2.2");
        assert_eq!(client("::1", &["[2001:db8::1]:4711"], trusted), "2001:db8::1");
        assert_eq!(client("::ffff:10.0.0.1", &["::ffff:2.2.2.2"], trusted), "2.2.2.2");
    }
}
