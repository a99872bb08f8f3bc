//! Up to where a site's events were applied to its keys: `<store>:<the event there, or ->:<position>`.
//!
//! A position stands for everything before it. The event's id tells a database that was restored
//! from a copy, and has given the same positions to other events.

use redis::Value;
use uuid::Uuid;

/// The watermark of one site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Watermark {
    pub(super) position: u64,
    /// The event at the position, if it was known.
    pub(super) last: Option<Uuid>,
}

impl Watermark {
    /// Reads a watermark, unless it is missing, damaged or another store's.
    pub(super) fn read(value: &Value, store: &str) -> Option<Self> {
        let Value::BulkString(text) = value else { return None };
        let (rest, position) = std::str::from_utf8(text).ok()?.rsplit_once(':')?;
        let (owner, last) = rest.rsplit_once(':')?;
        let position = position.parse().ok().filter(|_| owner == store)?;
        Some(Self { position, last: last.parse().ok() })
    }

    /// As it is written.
    pub(super) fn text(self, store: &str) -> String {
        format!("{store}:{}:{}", last_text(self.last), self.position)
    }
}

/// An event, or that it is not known.
pub(super) fn last_text(last: Option<Uuid>) -> String {
    last.map_or_else(|| "-".to_owned(), |last| last.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watermarks_of_other_stores_are_none() {
        let last = Some(Uuid::from_u128(7));
        for watermark in [Watermark { position: 9, last }, Watermark { position: 0, last: None }] {
            let value = Value::BulkString(watermark.text("s").into_bytes());
            assert_eq!(Watermark::read(&value, "s"), Some(watermark));
            assert_eq!(Watermark::read(&value, "t"), None);
        }
        for text in [&b"s:12"[..], b"s:-:", b"s:-:-1", b"\xff:1", b""] {
            assert_eq!(Watermark::read(&Value::BulkString(text.to_vec()), "s"), None, "{text:?}");
        }
        assert_eq!(Watermark::read(&Value::Nil, "s"), None);
    }
}
