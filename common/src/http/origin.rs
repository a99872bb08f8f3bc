//! Whether a browser's page may send events and connect to the live feed.

use http::{HeaderMap, HeaderName, header};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether the `Origin` of a request is allowed: any is when `allowed` is empty; otherwise those
/// listed there, and the server's own, as `Host` or the browser's `Sec-Fetch-Site` tells. A request
/// without `Origin` is allowed: either it is not a browser's, or the browser saw no need to send it.
#[must_use]
pub fn is_allowed_origin(headers: &HeaderMap, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let own = || {
        let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        authority.zip(host).is_some_and(|((_, authority), host)| authority.eq_ignore_ascii_case(host))
            || headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "same-origin")
    };
    allowed.is_empty() || allowed.iter().any(|allowed| origin == allowed.as_str()) || own()
}

/// Whether a browser's page may follow the live feed. As [`is_allowed_origin`], but the server's own
/// origin is allowed only by an address or as `localhost`: a page that has its name resolve to this
/// server (DNS rebinding) has the same origin and the same `Host`, and every browser calls it so. Other
/// names have to be listed.
#[must_use]
pub fn may_follow(headers: &HeaderMap, allowed: &[String]) -> bool {
    let listed = |origin: &str| allowed.iter().any(|allowed| allowed == origin);
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
    let is_sure = |origin: &str| origin.split_once("://").is_some_and(|(_, authority)| is_address(authority));
    is_allowed_origin(headers, allowed)
        && (allowed.is_empty() || origin.is_none_or(|origin| listed(origin) || is_sure(origin)))
}

/// Whether a host is an address or `localhost`, with a port or not.
fn is_address(authority: &str) -> bool {
    let host = authority.parse::<http::uri::Authority>().map(|authority| authority.host().to_owned());
    host.is_ok_and(|host| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_origins_and_the_servers_own() {
        let allowed = |headers: &[(&'static str, &str)], list: &[&str]| {
            let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            let list: Vec<_> = list.iter().map(|origin| (*origin).to_owned()).collect();
            is_allowed_origin(&HeaderMap::from_iter(headers), &list)
        };
        let list = &["https://cv.example"];
        assert!(allowed(&[("origin", "https://evil.example")], &[]));
        assert!(allowed(&[], list));
        assert!(allowed(&[("origin", "https://cv.example")], list));
        assert!(allowed(&[("origin", "http://own.example:80"), ("host", "own.example:80")], list));
        assert!(allowed(&[("origin", "https://own.example"), ("sec-fetch-site", "same-origin")], list));
        for origin in ["https://evil.example", "http://cv.example", "null", "https://cv.example.evil.example", ""] {
            assert!(!allowed(&[("origin", origin), ("host", "own.example")], list), "{origin}");
            assert!(!allowed(&[("origin", origin), ("sec-fetch-site", "cross-site")], list), "{origin}");
        }
    }

    #[test]
    fn names_that_may_have_been_made_to_resolve_here_must_be_listed() {
        let follow = |origin: &str, list: &[&str]| {
            let host = origin.split_once("://").map_or("", |(_, host)| host);
            let headers = [("origin", origin), ("host", host), ("sec-fetch-site", "same-origin")];
            let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            let list: Vec<_> = list.iter().map(|origin| (*origin).to_owned()).collect();
            may_follow(&HeaderMap::from_iter(headers), &list)
        };
        let list = &["https://stats.example"];
        for origin in ["https://stats.example", "http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost:8080"] {
            assert!(follow(origin, list), "{origin}");
        }
        for origin in ["http://rebound.example", "http://127.0.0.1.rebound.example:8080", "null"] {
            assert!(!follow(origin, list), "{origin}");
            assert!(follow(origin, &[]), "any, when none is listed");
        }
        assert!(may_follow(&HeaderMap::new(), &["https://stats.example".to_owned()]), "no browser");
    }
}
