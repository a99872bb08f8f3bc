//! Origins as browsers send them in the header `Origin`.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::Uri;

/// Reads an origin of `ANALYTICS_ALLOWED_ORIGINS` in the form in which browsers send it: in small
/// letters, without a default port and without a trailing slash.
///
/// # Errors
/// What is wrong with one that no browser sends.
pub(super) fn origin(text: &str) -> Result<String, &'static str> {
    let lower = text.to_ascii_lowercase();
    let default_port: u16 = match lower.split_once("://").map(|(scheme, _)| scheme) {
        Some("https") => 443,
        Some("http") => 80,
        _ => return Err("must begin with https:// or http://"),
    };
    if lower.contains('*') {
        return Err("has a wildcard; list each origin by itself");
    }
    if lower.contains(['#', '@', '\\']) {
        return Err("must be scheme, host and port only");
    }
    let uri: Uri =
        lower.parse().map_err(|_| "must be scheme, host and port only, other letters as punycode (xn--…)")?;
    if uri.path() != "/" || uri.query().is_some() {
        return Err("must be scheme, host and port only, without a path");
    }
    let authority = uri.authority().ok_or("has no host")?;
    let host = host(authority.host()).ok_or("has a host that no browser sends")?;
    let port = match authority.as_str().strip_prefix(authority.host()).and_then(|rest| rest.strip_prefix(':')) {
        None | Some("") => default_port,
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or("has a port that is not 1 to 65535")?,
    };
    let scheme = if lower.starts_with("https") { "https" } else { "http" };
    Ok(if port == default_port { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{port}") })
}

/// A name or an address in its one spelling.
fn host(text: &str) -> Option<String> {
    if let Some(v6) = text.strip_prefix('[') {
        return v6.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(|address| format!("[{address}]"));
    }
    let labels = text.strip_suffix('.').unwrap_or(text).split('.');
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    // A last label that is a number makes it an address.
    let is_address = labels.clone().next_back()?.bytes().all(|byte| byte.is_ascii_digit());
    let is_host = labels.clone().all(is_label) && (!is_address || text.parse::<Ipv4Addr>().is_ok());
    is_host.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_origin_has_one_form() {
        for (configured, sent) in [
            ("https://example.com", "https://example.com"),
            ("HTTPS://Example.COM", "https://example.com"),
            ("https://example.com/", "https://example.com"),
            ("https://example.com:443", "https://example.com"),
            ("https://example.com:0443/", "https://example.com"),
            ("https://example.com:", "https://example.com"),
            ("http://example.com:80", "http://example.com"),
            ("http://example.com:443", "http://example.com:443"),
            ("https://example.com:8443/", "https://example.com:8443"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://my_host", "http://my_host"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
            ("http://127.0.0.1:80", "http://127.0.0.1"),
            ("http://[0:0:0:0:0:0:0:1]:3000", "http://[::1]:3000"),
            ("https://[2001:DB8::1]", "https://[2001:db8::1]"),
        ] {
            assert_eq!(origin(configured).as_deref(), Ok(sent), "{configured}");
        }
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        for never in [
            "example.com",
            "//example.com",
            "ftp://example.com",
            "https:example.com",
            "https://",
            "https:///",
            "https://*.example.com",
            "https://*",
            "*",
            "null",
            "https://.example.com",
            "https://a..example.com",
            "https://example.com/app",
            "https://example.com//",
            "https://example.com?x",
            "https://example.com/?x",
            "https://example.com#x",
            "https://joe:pw@example.com",
            "https://example.com example.org",
            "https://example.com;https://example.org",
            "https://exa mple.com",
            "https://bücher.example",
            "https://example.com:port",
            "https://example.com:0",
            "https://example.com:65536",
            "https://example.com:443:443",
            "http://127.1",
            "http://256.0.0.1",
            "http://[::1",
            "http://[::zz]",
            "\"https://example.com\"",
        ] {
            assert!(origin(never).is_err(), "{never}");
        }
    }
}
