//! Events as items, and aliases of events.

use aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

use super::item::{Item, number, read_number, read_text, sort_key, text, ttl};
use super::keys::{self, Key};
use crate::event::{Event, EventData};
use crate::event_type::EventType;
use crate::measure::facts::Facts;
use crate::site::Site;
use crate::store::{Committed, Position};
use crate::time::{DAY, Timestamp};
use crate::url::Url;

/// The event's position.
const POSITION: &str = "o";
/// The event's own time; an alias has none.
const CREATED_AT: &str = "c";
/// What was derived from the request that brought the event.
const ARRIVAL: &str = "fa";
const CLIENT: &str = "fc";
/// The sort key of the event of an alias.
const TARGET: &str = "w";

/// The items of an event: itself, or its alias and itself. The first lies where the id leads, and
/// must not exist yet.
pub(super) fn items(event: &Event, position: Position, retention: i64) -> Vec<(Key, Item)> {
    let by_id = keys::by_id(&event.site, event.id);
    let at_id = keys::is_at_id(event.id, event.created_at);
    let key = if at_id { by_id.clone() } else { keys::by_time(&event.site, event.id, event.created_at) };
    // The day after the last on which it is kept.
    let gone = event.created_at.day().start().plus((retention + 1) * DAY);
    let mut item = key.attributes();
    item.extend([
        (POSITION.to_owned(), number(position.0)),
        (CREATED_AT.to_owned(), number(event.created_at.millis())),
        ("v".to_owned(), AttributeValue::B(event.visitor.as_bytes().to_vec().into())),
        ttl(gone),
    ]);
    let event_type = match event.event_type.number() {
        Some(at) => number(at),
        None => text(event.event_type.name()),
    };
    item.insert("t".to_owned(), event_type);
    for (name, url) in [("u", &event.page_url), ("r", &event.referrer)] {
        if let Some(url) = url {
            item.insert(name.to_owned(), text(url.as_str()));
        }
    }
    let [arrival, client] = event.facts.stored();
    for (name, value) in [("d", event.data.stored()), (ARRIVAL, arrival), (CLIENT, client)] {
        if let Some(value) = value {
            item.insert(name.to_owned(), text(value));
        }
    }
    if at_id {
        return vec![(key, item)];
    }
    let mut alias = by_id.attributes();
    alias.extend([(POSITION.to_owned(), number(position.0)), (TARGET.to_owned(), text(&key.sk)), ttl(gone)]);
    vec![(by_id, alias), (key, item)]
}

/// Whether the item is an event, not an alias.
pub(super) fn is_event(item: &Item) -> bool {
    item.contains_key(CREATED_AT)
}

pub(super) fn position(item: &Item) -> Option<Position> {
    read_number(item, POSITION).map(Position)
}

/// The time of an event, also by its alias.
pub(super) fn time(item: &Item) -> Option<Timestamp> {
    let of_target = || keys::read_event(read_text(item, TARGET)?).map(|(time, _)| time);
    read_number(item, CREATED_AT).or_else(of_target).map(Timestamp::from_millis)
}

/// The event of an item; `None` when it is an alias or no event at all.
pub(super) fn read(site: &Site, item: &Item) -> Option<Committed> {
    let created_at = Timestamp::from_millis(read_number(item, CREATED_AT)?);
    let (_, id) = keys::read_event(sort_key(item))?;
    let visitor: [u8; 16] = item.get("v")?.as_b().ok()?.as_ref().try_into().ok()?;
    let event_type = match item.get("t")? {
        AttributeValue::N(at) => EventType::from_number(at.parse().ok()?)?,
        other => EventType::parse(other.as_s().ok()?)?,
    };
    let url = |name| read_text(item, name).map(Url::from_stored);
    Some(Committed {
        position: position(item)?,
        event: Event {
            id,
            site: site.clone(),
            visitor: Uuid::from_bytes(visitor).into(),
            event_type,
            data: EventData::from_stored(read_text(item, "d").map(str::to_owned)),
            page_url: url("u"),
            referrer: url("r"),
            created_at,
            facts: Facts::from_stored(read_text(item, ARRIVAL), read_text(item, CLIENT)),
        },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::dynamodb::item::{LARGEST, size};

    fn event(id: Uuid) -> Event {
        Event {
            id,
            site: Site::default(),
            visitor: Uuid::from_u128(7).into(),
            event_type: EventType::PageView,
            data: EventData::EMPTY,
            page_url: Some(Url::new("/cv?theme=backend")),
            referrer: Some(Url::new("https://search.example/")),
            created_at: Timestamp::parse("2025-12-08T10:00:00Z").unwrap(),
            facts: Facts::default(),
        }
    }

    fn id_of(at: &str) -> Uuid {
        let time = Timestamp::parse(at).unwrap().millis() as u64;
        Uuid::from_u64_pair(time << 16 | 0x7abc, 0x8000_0000_0000_0001)
    }

    #[test]
    fn events_come_back_whole() {
        let mut whole = event(id_of("2025-12-08T10:00:01Z"));
        whole.data = EventData::new(json!({"é": [1]}).as_object().unwrap()).unwrap();
        whole.event_type = EventType::parse("signup").unwrap();
        whole.facts = Facts::from_stored(Some("Google"), Some("FR\t\t\tfr"));
        for event in [whole, event(id_of("2024-01-01T00:00:00Z")), event(Uuid::max()), event(Uuid::nil())] {
            let items = items(&event, Position(5), 90);
            let (_, last) = items.last().unwrap();
            assert_eq!(read(&event.site, last), Some(Committed { position: Position(5), event: event.clone() }));
            assert_eq!(items[0].0, keys::by_id(&event.site, event.id));
            assert_eq!(items.len() == 1, is_event(&items[0].1));
        }
    }

    /// The budget of writes counts on it.
    #[test]
    fn a_page_view_is_small_and_no_event_is_too_large() {
        let mut event = event(id_of("2025-12-08T10:00:01Z"));
        assert!(size(&items(&event, Position(u64::MAX), 365)[0].1) < 220);
        event.page_url = Some(Url::new(&format!("?ref={}", "\u{10ffff}".repeat(Url::LONGEST))));
        event.referrer = event.page_url.clone();
        let data = json!({"k": "x".repeat(EventData::LARGEST - 8)});
        event.data = EventData::new(data.as_object().unwrap()).unwrap();
        assert!(items(&event, Position(u64::MAX), 365).iter().all(|(_, item)| size(item) < LARGEST / 10));
    }

    #[test]
    fn what_is_no_event_reads_as_none() {
        let (_, item) = items(&event(id_of("2025-12-08T10:00:01Z")), Position(5), 90).remove(0);
        for name in ["c", "v", "t", "o", "sk"] {
            let mut broken = item.clone();
            broken.remove(name);
            assert_eq!(read(&Site::default(), &broken), None, "{name}");
            broken.insert(name.to_owned(), text("\u{1f600} garbage that is long enough to be cut anywhere"));
            assert_eq!(read(&Site::default(), &broken), None, "{name}");
        }
    }
}
