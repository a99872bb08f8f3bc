//! Where a visitor came from: referrer, source, channel and campaign.

use std::borrow::Cow;

use super::channel::Signals;
use super::sources::{self, Category};
use super::{Arrival, ArrivalFields, DIRECT_SOURCE};
use crate::url::Url;

/// Whether an address, as sent, has an advertisement's click id. Its value is never kept.
#[must_use]
pub fn has_click_id(address: &str) -> bool {
    let query = address.split('#').next().and_then(|address| address.split_once('?')).map_or("", |(_, query)| query);
    query.split('&').filter_map(|pair| pair.split_once('=')).any(|(name, value)| {
        !value.is_empty() && (name.eq_ignore_ascii_case("gclid") || name.eq_ignore_ascii_case("msclkid"))
    })
}

/// Derives where a visit came from. Where the page is only a path, its host is that of the
/// request's `origin`; if it has none, a `site` that is named like a host is its own for telling
/// referrers. `origins` are others of the site.
pub(super) fn derive(
    page: Option<&Url>,
    origin: Option<&str>,
    site: &str,
    referrer: Option<&Url>,
    ad_click: bool,
    origins: &[String],
) -> Arrival {
    let of_page = page.map(|page| hostname(page.as_str())).filter(|host| !host.is_empty());
    let of_origin = || origin.map(host_of_origin).filter(|host| !host.is_empty());
    let assumed = if of_page.is_none() && page.is_some() { of_origin() } else { None };
    let own = of_page.or_else(of_origin).or_else(|| site.contains('.').then_some(site.into()));
    let is_own = |host: &str| {
        let host = without_www(host);
        own.as_ref().is_some_and(|own| without_www(own) == host)
            || origins.iter().any(|own| place_of(own).is_some_and(|(own, _)| without_www(&own) == host))
    };
    let referrer = referrer.and_then(|referrer| place_of(referrer.as_str()));
    let (host, path) = match &referrer {
        Some((host, path)) if !is_own(host) => (&**host, *path),
        _ => ("", ""),
    };

    let parameters: Vec<_> = page.map(|page| page.parameters().collect()).unwrap_or_default();
    let parameter = |name| parameters.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.trim());
    let utm_source = parameter("utm_source");
    let utm_medium = parameter("utm_medium");
    let utm_campaign = parameter("utm_campaign");
    let named = [utm_source, parameter("source"), parameter("ref")].into_iter().find(|name| !name.is_empty());
    let named_lower = named.map(str::to_lowercase).unwrap_or_default();

    let known = match &named {
        Some(_) => sources::of_word(&named_lower),
        None if host.is_empty() => None,
        None => sources::of_host(without_www(host)),
    };
    let source = match (&known, &named) {
        (Some(known), _) => known.name,
        (None, Some(named)) => named,
        (None, None) if host.is_empty() => DIRECT_SOURCE,
        (None, None) => without_www(host),
    };
    let channel = Signals {
        source: &named_lower,
        category: known.map_or(Category::None, |known| known.category),
        medium: &utm_medium.to_lowercase(),
        campaign: &utm_campaign.to_lowercase(),
        ad_click,
        direct: named.is_none() && host.is_empty(),
    }
    .channel();
    Arrival::new(&ArrivalFields {
        source,
        channel,
        referrer: &if host.is_empty() { String::new() } else { format!("{host}{path}") },
        utm_source,
        utm_medium,
        utm_campaign,
        utm_content: parameter("utm_content"),
        utm_term: parameter("utm_term"),
        hostname: assumed.as_deref().unwrap_or_default(),
    })
}

/// The host of a page, in small letters and without port and final dot; empty if it has none.
pub(in crate::measure) fn hostname(page: &str) -> Cow<'_, str> {
    let address = page.split('?').next().unwrap_or_default();
    match address.split_once("//") {
        Some((scheme, rest)) if scheme.ends_with(':') => bare(rest.split('/').next().unwrap_or_default()),
        _ => {
            // Without a scheme a port tells a host from a path.
            let first = address.split('/').next().unwrap_or_default();
            let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            if first.rsplit_once(':').is_some_and(|(_, port)| is_port(port)) { bare(first) } else { Cow::default() }
        }
    }
}

/// The host of an `Origin` or `Host` header, in the same form; empty if it names none.
fn host_of_origin(origin: &str) -> Cow<'_, str> {
    let host = origin.split_once("//").map_or(origin, |(_, host)| host);
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if origin != "null" && host.bytes().all(is_host) { bare(host) } else { Cow::default() }
}

fn bare(host: &str) -> Cow<'_, str> {
    let host = match host.rsplit_once(':') {
        // Colons within brackets are those of an IPv6 address.
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) { host.to_ascii_lowercase().into() } else { host.into() }
}

fn without_www(host: &str) -> &str {
    host.strip_prefix("www.").filter(|rest| rest.contains('.')).unwrap_or(host)
}

/// The host of an address, in lower case without port, and its path; nothing if it has no host.
fn place_of(address: &str) -> Option<(Cow<'_, str>, &str)> {
    let is_slash = |letter: char| matches!(letter, '/' | '\\');
    let rest = match address.find(':') {
        Some(colon) if address[colon + 1..].starts_with(is_slash) => &address[colon + 1..],
        _ => address,
    };
    let authority = rest.trim_start_matches(is_slash);
    if authority.len() < rest.len() && rest.len() - authority.len() < 2 {
        return None;
    }
    let end =
        authority.find(|letter: char| is_slash(letter) || letter == '?' || letter == '#').unwrap_or(authority.len());
    let (host, rest) = authority.split_at(end);
    let bare = authority.len() == address.len();
    let host = match host.rsplit_once('@') {
        // Without a scheme it is a person's address.
        Some(_) if bare => return None,
        Some((_, host)) => host,
        None => host,
    };
    let host = match host.rfind(':') {
        // Colons within brackets are those of an IPv6 address.
        Some(colon) if !host[colon..].contains(']') => &host[..colon],
        _ => host,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    // Without a scheme only what has a dot is a host, and no path of the site itself.
    if host.is_empty() || (bare && !host.contains('.')) {
        return None;
    }
    let path = rest.split(['?', '#']).next().filter(|path| !path.is_empty()).unwrap_or("/");
    let host =
        if host.bytes().any(|byte| byte.is_ascii_uppercase()) { host.to_ascii_lowercase().into() } else { host.into() };
    Some((host, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(page: &str, referrer: &str, host: Option<&str>) -> Arrival {
        let referrer = Some(referrer).filter(|referrer| !referrer.is_empty()).map(Url::from_stored);
        let origins = ["https://cv.example".to_owned()];
        derive(Some(&Url::from_stored(page)), host, "", referrer.as_ref(), has_click_id(page), &origins)
    }

    /// Source, channel and referrer.
    fn told(page: &str, referrer: &str) -> String {
        let arrival = arrival(page, referrer, None);
        let fields = arrival.fields();
        [fields.source, fields.channel, fields.referrer].join("|")
    }

    #[test]
    fn referrers() {
        for (referrer, expected) in [
            ("", "Direct / None|Direct|"),
            ("https://www.google.com/", "Google|Organic Search|www.google.com/"),
            ("https://www.google.co.uk/search?q=secret", "Google|Organic Search|www.google.co.uk/search"),
            ("https://chatgpt.com/", "ChatGPT|AI Assistants|chatgpt.com/"),
            ("https://l.facebook.com/l.php?u=x", "Facebook|Organic Social|l.facebook.com/l.php"),
            ("https://WWW.A.example:8443/Path/x#y", "a.example|Referral|www.a.example/Path/x"),
            ("https://blog.a.example", "blog.a.example|Referral|blog.a.example/"),
            ("android-app://com.google.android.gm/", "Gmail|Email|com.google.android.gm/"),
            ("//b.example/x", "b.example|Referral|b.example/x"),
            ("b.example/x", "b.example|Referral|b.example/x"),
            ("/before", "Direct / None|Direct|"),
            ("about:blank", "Direct / None|Direct|"),
            ("mailto:joe@example.com", "Direct / None|Direct|"),
            ("https://", "Direct / None|Direct|"),
            ("https://[2001:db8::1]:8080/x", "[2001:db8::1]|Referral|[2001:db8::1]/x"),
            ("https://www.com/", "www.com|Referral|www.com/"),
        ] {
            assert_eq!(told("/cv", referrer), expected, "{referrer}");
        }
    }

    #[test]
    fn the_site_itself_is_no_referrer() {
        for (page, referrer) in [
            ("https://shop.example/a", "https://shop.example/b"),
            ("https://shop.example/a", "https://www.Shop.example:8443/b"),
            ("https://www.shop.example/a", "http://shop.example/"),
            ("/a", "https://cv.example/b"),
            ("https://other.example/", "https://www.cv.example/b"),
        ] {
            assert_eq!(told(page, referrer), "Direct / None|Direct|", "{page} {referrer}");
        }
        assert_eq!(told("https://shop.example/", "https://a.shop.example/"), "a.shop.example|Referral|a.shop.example/");
        assert_eq!(told("https://a.shop.example/", "https://shop.example/"), "shop.example|Referral|shop.example/");
    }

    #[test]
    fn a_path_is_a_page_of_the_host_that_sends_it() {
        let source = |page, host| arrival(page, "https://shop.example/b", host).fields().source.to_owned();
        assert_eq!(source("/a", Some("https://shop.example:8443")), "Direct / None");
        assert_eq!(source("/a", Some("shop.example")), "Direct / None");
        assert_eq!(source("/a", Some("null")), "shop.example");
        assert_eq!(source("https://other.example/a", Some("https://shop.example")), "shop.example");
        assert_eq!(source("/a", None), "shop.example");
    }

    #[test]
    fn hosts_of_pages() {
        for (page, host) in [
            ("https://cv.example/a", "cv.example"),
            ("https://CV.example.:8443?ref=x", "cv.example"),
            ("http://[2001:db8::1]:8080/a", "[2001:db8::1]"),
            ("localhost:8080/a", "localhost"),
            ("/a", ""),
            ("/a?utm_source=//b.example", ""),
            ("cv?ref=https://b.example", ""),
            ("data:", ""),
            ("", ""),
        ] {
            assert_eq!(hostname(page), host, "{page}");
        }
    }

    #[test]
    fn where_the_page_is_a_path_the_request_says_its_host() {
        let host = |page, origin| arrival(page, "", origin).fields().hostname.to_owned();
        assert_eq!(host("/a", Some("https://Shop.example:8443")), "shop.example");
        assert_eq!(host("/a", Some("localhost:8080")), "localhost");
        assert_eq!(host("/a", Some("null")), "");
        assert_eq!(host("/a", Some("a b")), "");
        assert_eq!(host("/a", None), "");
        assert_eq!(host("https://shop.example/a", Some("https://cdn.example")), "", "the page says it itself");
    }

    #[test]
    fn campaigns_go_before_referrers() {
        let google = "https://www.google.com/";
        for (page, expected) in [
            ("/?utm_source=News&utm_medium=email", "News|Email|www.google.com/"),
            ("/?utm_source=GOOGLE&utm_medium=CPC", "Google|Paid Search|www.google.com/"),
            ("/?ref=c&source=b&utm_source=a", "a|Referral|www.google.com/"),
            ("/?ref=c&source=b", "b|Referral|www.google.com/"),
            ("/?ref=c&utm_source=&source=%20", "c|Referral|www.google.com/"),
            ("/?ref=ProductHunt", "Product Hunt|Organic Social|www.google.com/"),
            ("/?utm_source=chatgpt.com", "ChatGPT|AI Assistants|www.google.com/"),
            ("/?utm_source=%3D1%2B1", "=1+1|Referral|www.google.com/"),
            ("/?utm_medium=email", "Google|Organic Search|www.google.com/"),
            ("/?gclid=abc", "Google|Paid Search|www.google.com/"),
            ("/?a=1&msclkid=abc#x", "Google|Paid Search|www.google.com/"),
            ("/?gclid=&x=1", "Google|Organic Search|www.google.com/"),
            ("/#?gclid=1", "Google|Organic Search|www.google.com/"),
        ] {
            assert_eq!(told(page, google), expected, "{page}");
        }
        assert_eq!(told("/?gclid=abc", ""), "Direct / None|Paid Search|");
    }

    #[test]
    fn campaigns_are_kept_as_they_are_and_click_ids_are_not() {
        let page = "/?utm_source=Ab&utm_medium=C%20d&utm_campaign=%C3%A9&utm_content=1+2&utm_term=t&gclid=secret";
        let arrival = arrival(page, "", None);
        let fields = arrival.fields();
        assert_eq!((fields.utm_source, fields.utm_medium, fields.utm_campaign), ("Ab", "C d", "é"));
        assert_eq!((fields.utm_content, fields.utm_term), ("1 2", "t"));
        assert!(!arrival.to_stored().contains("secret"));
    }
}
