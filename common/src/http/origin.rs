//! Whether a browser's page may send events and connect to the live feed.

use http::{HeaderMap, header};

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
            || headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin")
    };
    allowed.is_empty() || allowed.iter().any(|allowed| origin == allowed.as_str()) || own()
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
}
