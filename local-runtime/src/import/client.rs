//! Client addresses as logs write them: with a port, brackets or a zone, or as a list of hops.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use sha2::{Digest, Sha256};

/// `1.2.3.4`, `1.2.3.4:5`, `::1`, `[::1]`, `[::1]:5` or `fe80::1%eth0`; `for="…"` around it is
/// passed over (RFC 7239).
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let text = text.split(';').find_map(|pair| pair.trim().strip_prefix("for=")).unwrap_or(text).trim_matches('"');
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').filter(|(_, port)| port.is_empty() || is_port(port))?.0,
        None => text
            .split_once(':')
            .filter(|(v4, port)| v4.contains('.') && is_port(&text[v4.len()..]) && !port.contains(':'))
            .map_or(text, |(v4, _)| v4),
    };
    let bare = bare.split_once('%').map_or(bare, |(address, _)| address);
    bare.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// `:` and digits, which may be missing.
fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|port| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The client of a list such as `client, proxy, proxy`, read from the right because only its end
/// was written by proxies that can be believed: the first that is neither a trusted proxy nor an
/// address of a private network, which visitors from outside cannot have. A hop that cannot be
/// read ends what can be believed. One address is a list, too, and never passed over.
pub(super) fn client(list: &str, trusted: &[IpNet]) -> Option<IpAddr> {
    let mut hops = list.rsplit(',');
    let mut client = address(hops.next()?)?;
    while is_proxy(client, trusted) {
        match hops.next().map(address) {
            Some(Some(hop)) => client = hop,
            _ => break,
        }
    }
    Some(client)
}

/// Whether an address is a trusted proxy's.
pub(super) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

fn is_proxy(address: IpAddr, trusted: &[IpNet]) -> bool {
    is_private(address) || is_trusted(address, trusted)
}

/// Whether an address is one of a private network or of the machine itself.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local(),
    }
}

/// Whether `text` is a host name, or `host:port`: RFC 1123, and the underscore that people use all
/// the same.
pub(super) fn is_host(text: &str) -> bool {
    let name = text.split_once(':').filter(|(name, _)| is_port(&text[name.len()..])).map_or(text, |(name, _)| name);
    (1..=253).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

/// A host without its port, in lower case.
pub(super) fn host_name(text: &str) -> String {
    let name = text.rsplit_once(':').filter(|(name, _)| is_port(&text[name.len()..]) && !name.ends_with(':'));
    name.map_or(text, |(name, _)| name).trim_end_matches('.').to_ascii_lowercase()
}

/// The address that stands for a client's host name: one of the unique local addresses (RFC 4193),
/// which no visitor from outside can have. Like every address it is salted and hashed before it is
/// stored.
pub(super) fn address_of_name(name: &str) -> IpAddr {
    let digest: [u8; 32] = Sha256::digest(name.to_ascii_lowercase()).into();
    let mut octets = [0xfd; 16];
    octets[1..].copy_from_slice(&digest[..15]);
    Ipv6Addr::from(octets).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_what_stands_around_them() {
        for (text, read) in [
            ("198.18.0.5", "198.18.0.5"),
            ("198.18.0.5:51008", "198.18.0.5"),
            ("[2001:db8::1]:51008", "2001:db8::1"),
            ("[2001:db8::2]", "2001:db8::2"),
            ("2001:db8::3", "2001:db8::3"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:80", "fe80::1"),
            ("::ffff:198.18.0.6", "198.18.0.6"),
            ("for=\"[2001:db8::1]:4711\";proto=https", "2001:db8::1"),
            ("for=198.18.0.5", "198.18.0.5"),
        ] {
            assert_eq!(address(text), Some(read.parse().unwrap()), "{text}");
        }
        for text in
            ["", "-", "unknown", "site.example", "site.example:443", "1.2.3", "[::1", "1.2.3.4:x", "unix:", "_hidden"]
        {
            assert_eq!(address(text), None, "{text}");
        }
    }

    #[test]
    fn lists_are_read_from_the_right() {
        let trusted = ["203.0.113.0/24".parse().unwrap()];
        for (list, read) in [
            ("198.18.0.5", "198.18.0.5"),
            ("10.0.0.9", "10.0.0.9"),
            ("198.18.0.5, 10.0.0.1", "198.18.0.5"),
            ("192.0.2.1, 198.18.0.5:80, 203.0.113.7", "198.18.0.5"),
            ("unknown, 10.0.0.1", "10.0.0.1"),
            ("10.0.0.9, 203.0.113.7", "10.0.0.9"),
        ] {
            assert_eq!(client(list, &trusted), Some(read.parse().unwrap()), "{list}");
        }
        assert_eq!(client("198.18.0.5, 203.0.113.7", &[]), Some("203.0.113.7".parse().unwrap()), "not trusted");
    }

    #[test]
    fn hosts_and_their_names() {
        for host in ["site.example", "site.example:443", "localhost", "a_b.example:80", "_"] {
            assert!(is_host(host), "{host}");
        }
        for text in ["", "-", "[x]", "a b", "site.example:http", "::1"] {
            assert!(!is_host(text), "{text}");
        }
        assert_eq!(host_name("Site.EXAMPLE.:443"), "site.example");
        assert_eq!(host_name("[::1]:443"), "[::1]");
    }
}
