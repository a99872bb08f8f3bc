//! Where a page of the timeline ended.

use std::fmt;

use common::event::Event;
use common::time::Timestamp;
use uuid::Uuid;

/// The last event of a page: its time and its id. Written as 44 hexadecimal digits, and read
/// back only in this form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub Timestamp, pub Uuid);

impl Cursor {
    /// What is written, as a regular expression; its first digits are milliseconds, before the year 9774.
    pub const PATTERN: &'static str = "^[0-9a-d][0-9a-f]{43}$";

    /// Goes on with the event before this one.
    #[must_use]
    pub fn behind(event: &Event) -> Self {
        Self(event.created_at, event.id)
    }

    /// Parses what `Display` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 44 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let (millis, id) = text.split_at(12);
        let millis = i64::from_str_radix(millis, 16).ok()?;
        let at = Timestamp::from_millis(millis);
        (at.millis() == millis).then_some(Self(at, Uuid::try_parse(id).ok()?))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}{}", self.0.millis(), self.1.simple())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_they_are_written_and_not_otherwise() {
        let cursor = Cursor(Timestamp::from_millis(1_765_188_930_125), Uuid::from_u128(7));
        let text = cursor.to_string();
        assert_eq!(Cursor::parse(&text), Some(cursor));
        for bad in ["", "x", &text[1..], &text.to_uppercase(), &format!("{text}0"), &"f".repeat(44), &"é".repeat(22)] {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }
}
