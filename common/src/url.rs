//! Page addresses and referrers, stripped of what could tell who the visitor is.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// A `page_url` or `referrer` as it is kept: no fragment, no user info, and of the query only
/// `theme`, `ref`, `source` and `utm_*`. At most [`Url::LONGEST`] characters, none of them a
/// control character.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Url(Arc<str>);

impl Url {
    /// The most characters that a sent address may have.
    pub const LONGEST: usize = 2_048;

    /// Strips `text` and keeps the rest; `None` when it is too long or has control characters.
    /// An address that is empty after stripping is kept as an empty one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > Self::LONGEST && text.chars().count() > Self::LONGEST {
            return None;
        }
        if text.chars().any(char::is_control) {
            return None;
        }
        // What is stripped may leave something behind that is to be stripped: until nothing is, so
        // that an address which was kept once is kept as it is.
        let mut kept = strip(text.trim());
        loop {
            let again = strip(kept.trim());
            if again.len() == kept.len() {
                return Some(Self(kept.into()));
            }
            kept = Cow::Owned(again.into_owned());
        }
    }

    /// Wraps what an engine stored: text that [`Self::parse`] once returned.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same without a copy, for maps that are keyed by it.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The page that it names: its path, without scheme, host and query; `/` when it has none.
    #[must_use]
    pub fn page(&self) -> &str {
        let text = self.0.split('?').next().unwrap_or_default();
        let path = match text.find("://") {
            Some(at) => text[at + 3..].find('/').map_or("/", |slash| &text[at + 3 + slash..]),
            None => text,
        };
        if path.is_empty() { "/" } else { path }
    }

    /// The decoded value of a query parameter, the first when it stands there twice.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        let (_, query) = self.0.split_once('?')?;
        form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn strip(text: &str) -> Cow<'_, str> {
    let text = text.split('#').next().unwrap_or_default();
    let (before, query) = match text.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (text, None),
    };
    let mut kept = without_user_info(before);
    if let Some(query) = query {
        let mut separator = '?';
        for pair in query.split('&') {
            let name = pair.split('=').next().unwrap_or_default();
            if matches!(name, "theme" | "ref" | "source") || name.starts_with("utm_") {
                let kept = kept.to_mut();
                kept.push(separator);
                kept.push_str(pair);
                separator = '&';
            }
        }
    }
    kept
}

/// Drops `user:password@` of `scheme://user:password@host/…` and `//user@host/…`, and all but
/// the scheme of addresses without a host, which may be a person's (`mailto:joe@example.com`).
fn without_user_info(text: &str) -> Cow<'_, str> {
    let is_slash = |byte: &u8| matches!(byte, b'/' | b'\\');
    let scheme = text
        .find(':')
        .filter(|at| {
            text.as_bytes()[0].is_ascii_alphabetic()
                && text[..*at].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        })
        .map_or(0, |at| at + 1);
    let rest = &text.as_bytes()[scheme..];
    let slashes = rest.iter().take_while(|byte| is_slash(byte)).count();
    if slashes < 2 {
        // `localhost:8080/x` looks like a scheme; a port tells it from one.
        let port = rest.first().is_some_and(u8::is_ascii_digit) && !text.contains('@');
        return if scheme == 0 || port { text.into() } else { text[..scheme].into() };
    }
    let host = scheme + slashes;
    let end = text.as_bytes()[host..].iter().position(is_slash).map_or(text.len(), |at| host + at);
    match text[host..end].rfind('@') {
        Some(at) => format!("{}{}", &text[..host], &text[host + at + 1..]).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_identify_is_dropped() {
        for (sent, kept) in [
            ("/cv?theme=backend&token=secret#top", "/cv?theme=backend"),
            ("/cv?email=joe@example.com", "/cv"),
            ("/?ref=a&x=1&source=b&utm_campaign=c&utmx=d", "/?ref=a&source=b&utm_campaign=c"),
            ("https://joe:pw@example.com/a?b#c", "https://example.com/a"),
            ("https://joe@x@example.com/a@b", "https://example.com/a@b"),
            ("//joe@example.com/", "//example.com/"),
            ("http:\\\\joe:pw@example.com\\x", "http:\\\\example.com\\x"),
            ("mailto:joe@example.com", "mailto:"),
            ("localhost:8080/cv", "localhost:8080/cv"),
            ("android-app://com.example/", "android-app://com.example/"),
            (" /cv ", "/cv"),
            ("", ""),
            ("?theme=x", "?theme=x"),
            ("#only", ""),
        ] {
            assert_eq!(Url::parse(sent).unwrap().as_str(), kept, "{sent}");
        }
    }

    #[test]
    fn what_was_kept_is_kept_as_it_is() {
        let parts = ["/", " ", "#", "?", "a", "@", ":", "//", "\\", "theme=x", "&", "1", "mailto"];
        let mut texts = vec![String::new()];
        for _ in 0..4 {
            let longer = texts.iter().flat_map(|text| parts.iter().map(move |part| format!("{text}{part}")));
            texts = longer.collect();
            for text in &texts {
                let kept = Url::parse(text).unwrap();
                assert_eq!(Url::parse(kept.as_str()).unwrap(), kept, "{text:?}");
            }
        }
        assert_eq!(Url::parse("/cv #top").unwrap().as_str(), "/cv");
    }

    #[test]
    fn too_long_or_with_control_characters() {
        assert!(Url::parse(&"é".repeat(2_048)).is_some());
        assert!(Url::parse(&"é".repeat(2_049)).is_none());
        assert!(Url::parse("/a\0b").is_none());
        assert!(Url::parse("/a\nb").is_none());
    }

    #[test]
    fn pages_and_parameters() {
        for (sent, page) in [
            ("/cv?theme=a", "/cv"),
            ("https://example.com/cv/x?ref=1", "/cv/x"),
            ("https://example.com", "/"),
            ("https://example.com?ref=1", "/"),
            ("", "/"),
            ("about", "about"),
        ] {
            assert_eq!(Url::parse(sent).unwrap().page(), page, "{sent}");
        }
        let url = Url::parse("/cv?ref=x&theme=full%20stack+dev&theme=second").unwrap();
        assert_eq!(url.query("theme").as_deref(), Some("full stack dev"));
        assert_eq!(url.query("source"), None);
    }
}
