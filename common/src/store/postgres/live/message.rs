//! Messages between instances: events as they are committed.
//!
//! A message is `<store> <instance> <from> <to> `, all text, and then the events after `from` up to
//! `to` as JSON; or nothing, when they are too large, and are to be read from PostgreSQL.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::{Event, EventData};
use crate::event_type::EventType;
use crate::measure::facts::Facts;
use crate::site::Site;
use crate::store::{Committed, Position};
use crate::time::Timestamp;
use crate::url::Url;

/// The most bytes of a message with events in it.
const LARGEST: usize = 256 * 1024;

/// A message from another instance.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) from: u64,
    pub(super) to: u64,
    /// `None` when they have to be read.
    pub(super) events: Option<Vec<Committed>>,
}

/// An event on its way; names are short because they are repeated.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    p: u64,
    i: Uuid,
    v: Uuid,
    #[serde(borrow)]
    t: Cow<'a, str>,
    at: i64,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    d: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    u: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    r: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    fa: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    fc: Option<Cow<'a, str>>,
}

/// Writes a message; without `events`, or when they are too large, it names only the range.
pub(super) fn write(store: &str, instance: Uuid, from: u64, to: u64, events: Option<&[Committed]>) -> Vec<u8> {
    let mut message = format!("{store} {} {from} {to} ", instance.simple()).into_bytes();
    if let Some(events) = events {
        let head = message.len();
        let wire = events.iter().map(wire).collect::<Vec<_>>();
        if serde_json::to_writer(&mut message, &wire).is_err() || message.len() > LARGEST {
            message.truncate(head);
        }
    }
    message
}

fn wire(committed: &Committed) -> Wire<'_> {
    let event = &committed.event;
    let [arrival, client] = event.facts.stored();
    Wire {
        p: committed.position.0,
        i: event.id,
        v: Uuid::from_bytes(*event.visitor.as_bytes()),
        t: event.event_type.name().into(),
        at: event.created_at.millis(),
        d: event.data.stored().map(Cow::Borrowed),
        u: event.page_url.as_ref().map(|url| url.as_str().into()),
        r: event.referrer.as_ref().map(|url| url.as_str().into()),
        fa: arrival.map(Cow::Borrowed),
        fc: client.map(Cow::Borrowed),
    }
}

/// Reads a message about `site`, unless it is of another store, or one's own, or garbage. Of a
/// message whose events cannot be read the range is left.
pub(super) fn read(store: &str, instance: Uuid, site: &Site, message: &[u8]) -> Option<Message> {
    let mut parts = message.splitn(5, |byte| *byte == b' ');
    if parts.next()? != store.as_bytes() || parts.next()? == instance.simple().to_string().as_bytes() {
        return None;
    }
    let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u64>().ok();
    let (from, to) = (number()?, number()?);
    if from >= to {
        return None;
    }
    let events = parts.next().filter(|json| !json.is_empty()).and_then(|json| {
        let wire: Vec<Wire<'_>> = serde_json::from_slice(json).ok()?;
        let events = wire.into_iter().map(|wire| committed(site, wire)).collect::<Option<Vec<_>>>()?;
        let in_order = events.is_sorted_by(|a, b| a.position < b.position);
        let within = events.iter().all(|event| (from + 1..=to).contains(&event.position.0));
        (in_order && within).then_some(events)
    });
    Some(Message { from, to, events })
}

fn committed(site: &Site, wire: Wire<'_>) -> Option<Committed> {
    Some(Committed {
        position: Position(wire.p),
        event: Event {
            id: wire.i,
            site: site.clone(),
            visitor: wire.v.into(),
            event_type: EventType::parse(&wire.t)?,
            data: EventData::from_stored(wire.d.map(Cow::into_owned)),
            page_url: wire.u.map(|url| Url::from_stored(&url)),
            referrer: wire.r.map(|url| Url::from_stored(&url)),
            created_at: Timestamp::from_millis(wire.at),
            facts: Facts::from_stored(wire.fa.as_deref(), wire.fc.as_deref()),
        },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn event(position: u64, data: &str) -> Committed {
        let fields = json!({"text": data});
        Committed {
            position: Position(position),
            event: Event {
                id: Uuid::from_u128(u128::from(position)),
                site: Site::default(),
                visitor: Uuid::from_u128(7).into(),
                event_type: EventType::parse("signup.done").unwrap(),
                data: EventData::new(fields.as_object().unwrap()).unwrap(),
                page_url: Some(Url::new("/cv?theme=é")),
                referrer: None,
                created_at: Timestamp::from_millis(1_765_188_000_123),
                facts: Facts::from_stored(None, Some("FR\t\t\tfr")),
            },
        }
    }

    const ME: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    #[test]
    fn events_arrive_whole() {
        let events = vec![event(8, "a\u{0}\"é"), event(9, "")];
        let message = write("store", OTHER, 7, 9, Some(&events));
        let read = read("store", ME, &Site::default(), &message).unwrap();
        assert_eq!(read, Message { from: 7, to: 9, events: Some(events) });
    }

    #[test]
    fn own_messages_and_those_of_other_stores_are_not_read() {
        let message = write("store", ME, 7, 9, None);
        assert_eq!(read("store", ME, &Site::default(), &message), None);
        assert_eq!(read("other", OTHER, &Site::default(), &message), None);
        assert_eq!(read("store", OTHER, &Site::default(), &message), Some(Message { from: 7, to: 9, events: None }));
    }

    #[test]
    fn large_batches_name_their_range() {
        let events: Vec<_> = (1..=400).map(|position| event(position, &"x".repeat(1_000))).collect();
        let message = write("store", OTHER, 0, 400, Some(&events));
        assert!(message.len() < 200);
        assert_eq!(read("store", ME, &Site::default(), &message).unwrap().events, None);
    }

    #[test]
    fn events_that_lie_about_their_place_are_read_again() {
        for events in [vec![event(9, "")], vec![event(8, ""), event(7, "")], vec![event(7, ""), event(7, "")]] {
            let message = write("store", OTHER, 6, 8, Some(&events));
            assert_eq!(read("store", ME, &Site::default(), &message).unwrap().events, None);
        }
    }

    proptest! {
        #[test]
        fn garbage_is_no_message(garbage in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(read("store", ME, &Site::default(), &garbage), None);
            let mut tail = b"store x 1 2 ".to_vec();
            tail.extend(&garbage);
            let read = read("store", ME, &Site::default(), &tail).unwrap();
            prop_assert!(read.events.is_none_or(|events| events.is_empty()));
        }
    }
}
