//! The place behind an event, in the order of an export.

use std::fmt;

use common::event::Event;
use common::site::Site;
use common::time::Timestamp;
use uuid::Uuid;

/// Names an event by what orders it: `SITE/CREATED_AT/ID`, all three as the line has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Its site.
    pub site: Site,
    /// Its time.
    pub created_at: Timestamp,
    /// Its id.
    pub id: Uuid,
}

impl Cursor {
    /// The place behind this event.
    #[must_use]
    pub fn behind(event: &Event) -> Self {
        Self { site: event.site.clone(), created_at: event.created_at, id: event.id }
    }

    /// Parses `SITE/CREATED_AT/ID`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let cursor = Self {
            site: Site::parse(parts.next()?)?,
            created_at: Timestamp::parse(parts.next()?)?,
            id: Uuid::try_parse(parts.next()?).ok()?,
        };
        parts.next().is_none().then_some(cursor)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.site, self.created_at, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_they_are_written() {
        let text = "cv.example/2025-12-08T10:15:30.125Z/3f2504e0-4f89-41d3-9a0c-0305e82c3301";
        assert_eq!(Cursor::parse(text).unwrap().to_string(), text);
        for bad in ["", "cv.example", "cv.example/x/y", "CV/2025-12-08T10:15:30Z/z", &format!("{text}/"), "//"] {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }
}
