//! Messages on the wire.

use axum::extract::ws::Utf8Bytes;
use common::event::{Event, EventData};
use common::identity::Pseudonyms;
use common::time::Timestamp;
use common::url::Url;
use common::visitor::Pseudonym;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a client may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Asked {
    /// The figures of now.
    RefreshStats,
    /// A sign of life.
    Ping,
    /// What was missed since.
    Resume {
        /// The last event that was seen.
        after: Uuid,
    },
}

/// What a client may ask, in words.
pub(super) const RULE: &str = r#"a message must be the JSON text {"type":"refresh_stats"}, {"type":"ping"} or {"type":"resume","after":"<event id>"}"#;

impl Asked {
    /// Parses a message; `None` when it breaks [`RULE`].
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// An event as it is shown to any client.
#[derive(Serialize)]
struct Seen<'a> {
    r#type: &'a str,
    id: Uuid,
    visitor_id: Pseudonym,
    timestamp: Timestamp,
    page_url: Option<&'a Url>,
    data: &'a EventData,
}

/// The message of a stored event.
pub(super) fn event(event: &Event, pseudonyms: &Pseudonyms) -> Utf8Bytes {
    to_text(&Seen {
        r#type: event.event_type.name(),
        id: event.id,
        visitor_id: pseudonyms.of(event),
        timestamp: event.created_at,
        page_url: event.page_url.as_ref(),
        data: &event.data,
    })
}

#[derive(Serialize)]
struct Figures<'a, D> {
    r#type: &'a str,
    data: D,
}

/// `initial_stats` with the figures of now.
pub(super) fn initial_stats(data: impl Serialize) -> Utf8Bytes {
    to_text(&Figures { r#type: "initial_stats", data })
}

/// `heartbeat` with the figures of now.
pub(super) fn heartbeat(data: impl Serialize) -> Utf8Bytes {
    to_text(&Figures { r#type: "heartbeat", data })
}

/// `pong`.
pub(super) fn pong(now: Timestamp) -> Utf8Bytes {
    format!(r#"{{"type":"pong","time":{}}}"#, now.seconds()).into()
}

/// `gap`.
pub(super) const fn gap() -> Utf8Bytes {
    Utf8Bytes::from_static(r#"{"type":"gap"}"#)
}

/// `error`, saying what is wrong and what is allowed.
pub(super) fn error(error: &str) -> Utf8Bytes {
    serde_json::json!({"type": "error", "error": error}).to_string().into()
}

/// Serialising our own types cannot fail: their keys are strings and their numbers finite.
fn to_text(message: &impl Serialize) -> Utf8Bytes {
    serde_json::to_string(message).unwrap_or_else(|error| panic!("a message is no JSON: {error}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_may_ask() {
        assert_eq!(Asked::parse(r#"{"type":"ping"}"#), Some(Asked::Ping));
        assert_eq!(Asked::parse(r#"{"type":"refresh_stats","more":[1]}"#), Some(Asked::RefreshStats));
        let resume = Asked::parse(r#"{"after":"3f2504e0-4f89-41d3-9a0c-0305e82c3301","type":"resume"}"#);
        assert!(matches!(resume, Some(Asked::Resume { after }) if !after.is_nil()));
        for bad in [
            "",
            "null",
            "[]",
            "{}",
            "ping",
            r#"{"type":"PING"}"#,
            r#"{"type":"resume"}"#,
            r#"{"type":"resume","after":"x"}"#,
            r#"{"type":"resume","after":5}"#,
            r#"{"type":"ping"} x"#,
        ] {
            assert_eq!(Asked::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_the_server_says() {
        assert_eq!(gap().as_str(), r#"{"type":"gap"}"#);
        assert_eq!(pong(Timestamp::from_millis(1_999)).as_str(), r#"{"type":"pong","time":1}"#);
        assert_eq!(error("no \"x\"").as_str(), r#"{"type":"error","error":"no \"x\""}"#);
        assert_eq!(heartbeat(1).as_str(), r#"{"type":"heartbeat","data":1}"#);
    }
}
