//! Who sent a request: address, user agent, visitor, wishes.

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName, header};

use crate::App;
use crate::collect::Sender;
use crate::config::Config;
use crate::http::is_allowed_origin;
use crate::measure::facts::Headers;
use crate::outcome::{Code, Refusal};
use crate::visitor::VisitorId;

/// The most bytes of a user agent that are read.
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

/// The client's address: the peer's, or, when the peer is a trusted proxy, the last one that is
/// not a trusted proxy in the header that proxies are configured to name it in. What stands
/// further left may have been made up by the client. `None` when the peer is not known.
#[must_use]
pub fn client_address(extensions: &Extensions, headers: &HeaderMap, config: &Config) -> Option<IpAddr> {
    let peer = peer_address(extensions)?;
    if !is_trusted(peer, config) {
        return Some(peer);
    }
    let mut client = peer;
    for hop in config.client_address_header.hops(headers) {
        // A hop that cannot be read ends what can be believed.
        let Some(hop) = hop else { break };
        client = hop;
        if !is_trusted(client, config) {
            break;
        }
    }
    Some(client)
}

/// The address at the other end of the connection, if it is known.
fn peer_address(extensions: &Extensions) -> Option<IpAddr> {
    let peer = extensions.get().map(|PeerAddress(peer)| *peer);
    let peer = peer.or_else(|| extensions.get().map(|ConnectInfo::<SocketAddr>(peer)| peer.ip()))?;
    Some(peer.to_canonical())
}

fn is_trusted(address: IpAddr, config: &Config) -> bool {
    config.trusted_proxies.iter().any(|network| network.contains(&address))
}

/// The headers in which proxies say whom they forward for.
static FORWARDED: [HeaderName; 4] = [
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("cf-connecting-ip"),
];

const X_VISITOR_ID: HeaderName = HeaderName::from_static("x-visitor-id");
const SEC_GPC: HeaderName = HeaderName::from_static("sec-gpc");

/// Says once, in the log and in a gauge, that a proxy stands before the server which
/// `ANALYTICS_TRUSTED_PROXIES` does not list. A peer with a public address is
/// no proxy of the operator: clients may send these headers too.
fn warn_of_untrusted_proxy(peer: IpAddr, headers: &HeaderMap, app: &App) {
    let peer = peer.to_canonical();
    if is_private(peer) && FORWARDED.iter().any(|name| headers.contains_key(name)) && !is_trusted(peer, &app.config) {
        app.untrusted_proxy.call_once(|| {
            app.metrics.untrusted_proxy.set(1);
            tracing::warn!(
                "requests are forwarded by a proxy that ANALYTICS_TRUSTED_PROXIES does not list: \
                 all visitors behind it count as one and share one rate limit; list the proxy's network"
            );
        });
    }
}

/// Whether a peer may be a proxy, so that many clients share its address: a trusted one, or one in a
/// private network.
#[must_use]
pub fn may_be_proxy(peer: IpAddr, config: &Config) -> bool {
    let peer = peer.to_canonical();
    is_private(peer) || is_trusted(peer, config)
}

/// Loopback, link-local and private networks, those of carriers and containers (RFC 6598) included.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let is_shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || is_shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

impl FromRequestParts<App> for Sender {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let headers = &parts.headers;
        if let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>() {
            warn_of_untrusted_proxy(peer.ip(), headers, app);
        }
        // Proxies name cities in UTF-8.
        let text = |name: &HeaderName| headers.get(name).and_then(|value| str::from_utf8(value.as_bytes()).ok());
        let trusted = peer_address(&parts.extensions).is_some_and(|peer| is_trusted(peer, &app.config));
        Ok(Self {
            address: client_address(&parts.extensions, headers, &app.config),
            user_agent: headers.get(header::USER_AGENT).and_then(|value| user_agent(value.as_bytes())),
            visitor: headers.get(X_VISITOR_ID).map(|value| {
                value
                    .to_str()
                    .ok()
                    .and_then(VisitorId::parse)
                    .ok_or_else(|| Refusal::new(Code::InvalidEvent, "the header X-Visitor-Id must be a UUID"))
            }),
            session: session(headers),
            foreign_origin: !is_allowed_origin(headers, &app.config.allowed_origins),
            opt_out: text(&header::DNT) == Some("1") || text(&SEC_GPC) == Some("1"),
            headers: Headers::read(text, trusted),
        })
    }
}

fn user_agent(bytes: &[u8]) -> Option<std::sync::Arc<str>> {
    let bytes = &bytes[..bytes.len().min(LONGEST_USER_AGENT)];
    // `from_utf8_lossy` alone looks at each byte of what is UTF-8.
    let text = str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed);
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
        client_by("X-Forwarded-For", peer, forwarded, trusted)
    }

    fn client_by(header: &'static str, peer: &str, values: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header.to_ascii_lowercase().parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
        }
        let trusted = trusted.join(",");
        let variables = [("ANALYTICS_TRUSTED_PROXIES", &*trusted), ("ANALYTICS_CLIENT_ADDRESS_HEADER", header)];
        let config = Config::from_vars(variables.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
        let mut extensions = Extensions::new();
        extensions.insert(PeerAddress(peer.parse().unwrap()));
        client_address(&extensions, &headers, &config).unwrap().to_string()
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
    fn networks_of_ones_own() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.1.1",
            "100.64.0.1",
            "::1",
            "fd00::1",
            "fe80::1",
        ] {
            assert!(is_private(private.parse().unwrap()), "{private}");
        }
        for public in ["198.51.100.1", "100.128.0.1", "172.32.0.1", "2001:db8::1"] {
            assert!(!is_private(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn ports_brackets_and_mapped_addresses() {
        let trusted = &["10.0.0.0/8", "::1/128"];
        assert_eq!(client("10.0.0.1", &["2.2.2.2:4711"], trusted), "2.2.2.2");
        assert_eq!(client("::1", &["[2001:db8::1]:4711"], trusted), "2001:db8::1");
        assert_eq!(client("::ffff:10.0.0.1", &["::ffff:2.2.2.2"], trusted), "2.2.2.2");
    }
    #[test]
    fn the_configured_header_is_the_only_one() {
        let trusted = &["10.0.0.0/8"];
        assert_eq!(
            client_by("Forwarded", "10.0.0.1", &["for=1.1.1.1, for=\"2.2.2.2:80\", for=10.0.0.2"], trusted),
            "2.2.2.2"
        );
        for header in ["X-Real-IP", "CF-Connecting-IP"] {
            assert_eq!(client_by(header, "10.0.0.1", &["2.2.2.2:80"], trusted), "2.2.2.2");
            assert_eq!(client_by(header, "10.0.0.1", &["2.2.2.2", "10.0.0.9"], trusted), "10.0.0.9", "one hop");
            assert_eq!(client_by(header, "10.0.0.1", &["unknown"], trusted), "10.0.0.1");
            assert_eq!(client_by(header, "192.0.2.1", &["2.2.2.2"], trusted), "192.0.2.1", "it is no proxy of ours");
        }
    }
}
