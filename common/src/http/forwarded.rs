//! Addresses in the headers of proxies: the one parser for the local runtime and for Lambda.

use std::net::IpAddr;

use http::HeaderMap;

use crate::config::AddressHeader;

impl AddressHeader {
    const fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
            Self::XRealIp => "x-real-ip",
            Self::CfConnectingIp => "cf-connecting-ip",
        }
    }

    /// The addresses that the header names, nearest first; `None` for one that is not named, such
    /// as `unknown`. Headers that hold one address never have a second hop: each proxy is expected
    /// to replace them, so anything before the last is what a client sent.
    pub(super) fn hops(self, headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
        let values = headers.get_all(self.name()).iter().rev().map(|value| value.to_str().unwrap_or_default());
        let hops = values.flat_map(|value| rsplit(value, b',')).map(move |hop| match self {
            Self::Forwarded => address(rsplit(hop, b';').find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                name.trim().eq_ignore_ascii_case("for").then_some(value)
            })?),
            _ => address(hop),
        });
        let most = match self {
            Self::XForwardedFor | Self::Forwarded => usize::MAX,
            Self::XRealIp | Self::CfConnectingIp => 1,
        };
        hops.take(most)
    }
}

/// Reads `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`, each with or without a port, a zone or
/// quotes. `None` for anything else, such as `unknown`, `_hidden` or `-`.
#[must_use]
pub fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).trim();
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        // More than one colon is IPv6, which has a port only with brackets.
        None => match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (text, None),
        },
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok() || port.starts_with('_');
    if !port.is_none_or(is_port) {
        return None;
    }
    let host = host.split_once('%').map_or(host, |(host, _zone)| host);
    host.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Splits at separators that are not within quotes, from the right: what a client sent stands
/// left, and a quote that it left open must not swallow what proxies appended.
fn rsplit(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let mut quoted = false;
        let bytes = text.as_bytes();
        for at in (0..bytes.len()).rev() {
            if bytes[at] == b'"' && (at == 0 || bytes[at - 1] != b'\\') {
                quoted = !quoted;
            } else if bytes[at] == separator && !quoted {
                rest = Some(&text[..at]);
                return Some(&text[at + 1..]);
            }
        }
        Some(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_proxies_write_them() {
        for (text, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            (" 192.0.2.1\t", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("\"192.0.2.1:4711\"", "192.0.2.1"),
            ("192.0.2.1:_port", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:DB8:0:0::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:443", "fe80::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
        ] {
            assert_eq!(address(text), expected.parse().ok(), "{text}");
        }
        for none in [
            "",
            "-",
            "unknown",
            "_hidden",
            "_SEVKISEK",
            "localhost",
            "example.com:80",
            "192.0.2",
            "192.0.2.1:",
            "192.0.2.1:99999",
            "192.0.2.1:x",
            "192.0.2.1 192.0.2.2",
            "[2001:db8::1",
            "[2001:db8::1]4711",
            "[]",
            "\"",
            "[192.0.2.1]x",
            ":80",
            "%eth0",
            "0x7f.1",
        ] {
            assert_eq!(address(none), None, "{none}");
        }
    }

    fn hops(header: AddressHeader, values: &[&str]) -> Vec<Option<String>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header.name(), value.parse().unwrap());
        }
        header.hops(&headers).map(|hop| hop.map(|address| address.to_string())).collect()
    }

    fn some(addresses: &[&str]) -> Vec<Option<String>> {
        addresses.iter().map(|address| (*address != "-").then(|| (*address).to_owned())).collect()
    }

    #[test]
    fn lists_are_read_from_the_right() {
        let hops = |values: &[&str]| hops(AddressHeader::XForwardedFor, values);
        assert_eq!(
            hops(&["192.0.2.1, [2001:db8::2]:80", "192.0.2.3:9"]),
            some(&["192.0.2.3", "2001:db8::2", "192.0.2.1"])
        );
        assert_eq!(hops(&["192.0.2.1, unknown,"]), some(&["-", "-", "192.0.2.1"]));
        assert_eq!(hops(&[]), some(&[]));
    }

    /// The examples of RFC 7239, and what clients may put before them.
    #[test]
    fn forwarded_is_read_by_its_grammar() {
        let hops = |values: &[&str]| hops(AddressHeader::Forwarded, values);
        assert_eq!(hops(&["for=\"_gazonk\""]), some(&["-"]));
        assert_eq!(hops(&["For=\"[2001:db8:cafe::17]:4711\""]), some(&["2001:db8:cafe::17"]));
        assert_eq!(hops(&["for=192.0.2.60;proto=http;by=203.0.113.43"]), some(&["192.0.2.60"]));
        assert_eq!(hops(&["by=203.0.113.43 ; FOR = \"192.0.2.60:80\" ;proto=http"]), some(&["192.0.2.60"]));
        assert_eq!(hops(&["for=192.0.2.43, for=198.51.100.17"]), some(&["198.51.100.17", "192.0.2.43"]));
        assert_eq!(hops(&["for=192.0.2.43", "for=\"[2001:db8::1]\""]), some(&["2001:db8::1", "192.0.2.43"]));
        assert_eq!(hops(&["proto=https"]), some(&["-"]), "it names no client");
        assert_eq!(hops(&["for=192.0.2.1;host=\"a,b;for=192.0.2.2\""]), some(&["192.0.2.1"]), "in quotes");
        for forged in ["for=\"", "\"", "for=\\\"", "for=192.0.2.1;x=\"", ";;,,=", "for=\"192.0.2.1"] {
            let appended = format!("{forged}, for=\"[2001:db8::1]:7\", for=198.51.100.17");
            assert_eq!(hops(&[&appended])[..2], some(&["198.51.100.17", "2001:db8::1"]), "{forged}");
        }
    }

    #[test]
    fn headers_of_one_address_have_one_hop() {
        for header in [AddressHeader::XRealIp, AddressHeader::CfConnectingIp] {
            assert_eq!(hops(header, &["192.0.2.1"]), some(&["192.0.2.1"]));
            assert_eq!(hops(header, &["198.51.100.1", "192.0.2.1:80"]), some(&["192.0.2.1"]));
            assert_eq!(hops(header, &["unknown"]), some(&["-"]));
        }
    }
}
