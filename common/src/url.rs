//! Page addresses and referrers: stripped of what could tell who the visitor is, in one normal
//! form.

mod normal;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use self::normal::{Origin, origin};

/// A `page_url` or `referrer` as it is kept: no fragment, no user info, of the query only
/// `theme`, `ref`, `source` and `utm_*`, and the path in normal form. Addresses without a host,
/// such as `data:` and `mailto:`, keep their scheme only. At most [`Url::LONGEST`] characters,
/// none of them a control character.
///
/// The normal form of a path is that of the URL standard (dot segments resolved, other characters
/// than those of paths percent-encoded), and besides: repeated slashes are one, escapes are in
/// capitals, escaped letters, digits, `-`, `.`, `_` and `~` are decoded, parameters
/// (`;name=value`) are dropped, and no slash ends it but for `/` itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Url(Arc<str>);

impl Url {
    /// The most characters that are kept.
    pub const LONGEST: usize = 2_048;

    /// Keeps of `text` what may be kept. What is longer than [`Self::LONGEST`] after that loses its
    /// tail. An address of which nothing is left is an empty one.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut text = Cow::Borrowed(text);
        loop {
            let whole = normal::form(&text);
            let is_absolute =
                whole.starts_with('/') || whole.split('?').next().is_some_and(|path| path.contains("://"));
            // A page has a slash more than a relative address.
            let kept = normal::cut(&whole, Self::LONGEST - usize::from(!is_absolute));
            // With a tail cut off, or without a leading slash, it may read differently now:
            // `./data:x` became `data:x`.
            if is_absolute && kept.len() == whole.len() || kept == text {
                return Self(kept.into());
            }
            text = Cow::Owned(kept.to_owned());
        }
    }

    /// Wraps what an engine stored: text that [`Self::new`] once returned.
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
    pub fn page(&self) -> Cow<'_, str> {
        let text = self.0.split('?').next().unwrap_or_default();
        match origin(text) {
            (Origin::Opaque { .. }, _) => text.into(),
            (Origin::Host { .. }, path) if path.starts_with('/') => path.into(),
            (Origin::None, path) if path.starts_with('/') => path.into(),
            (_, path) => format!("/{path}").into(),
        }
    }

    /// The names and values of the query's parameters, decoded, in order.
    pub fn parameters(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let query = self.0.split_once('?').map(|(_, query)| query.as_bytes());
        query.into_iter().flat_map(form_urlencoded::parse)
    }

    /// The decoded value of a query parameter, the first when it stands there twice.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        self.parameters().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
