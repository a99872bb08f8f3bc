//! What is measured.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// A site's slug: 1 to 63 of `a-z`, `0-9`, `.`, `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Site(Arc<str>);

impl Site {
    /// What a slug may be, for error messages.
    pub const RULE: &'static str = "1 to 63 of the characters a-z, 0-9, '.' and '-'";
    /// The same as a regular expression, for documentation.
    pub const PATTERN: &'static str = "^[a-z0-9.-]{1,63}$";
    /// How many sites a store takes when none are listed in the configuration.
    pub const MOST: usize = 1_000;

    /// Parses a slug; `None` when it breaks [`Self::RULE`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let valid = (1..=63).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'));
        valid.then(|| Self(text.into()))
    }

    /// The slug.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The site of events and questions that name none.
impl Default for Site {
    fn default() -> Self {
        Self("default".into())
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs() {
        for good in ["a", "default", "cv.example.com", "9-x", &"a".repeat(63)] {
            assert!(Site::parse(good).is_some(), "{good}");
        }
        for bad in ["", "A", "a b", "a/b", "é", "a_b", &"a".repeat(64)] {
            assert!(Site::parse(bad).is_none(), "{bad}");
        }
    }
}
