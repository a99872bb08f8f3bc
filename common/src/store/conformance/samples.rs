//! Events to test with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use uuid::Uuid;

use crate::event::{Event, EventData};
use crate::event_type::EventType;
use crate::measure::facts::Facts;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Appended, Progress, Store};
use crate::time::{Day, Timestamp};
use crate::url::Url;
use crate::visitor::VisitorId;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// Progress that is reported to nothing.
#[must_use]
pub fn quiet() -> Progress {
    Arc::new(|_, _| {})
}

#[must_use]
pub fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

#[must_use]
pub fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

#[must_use]
pub fn key(period: Period, text: &str) -> PeriodKey {
    PeriodKey::of(period, day(text))
}

#[must_use]
pub fn site() -> Site {
    Site::default()
}

#[must_use]
pub fn visitor(number: u64) -> VisitorId {
    Uuid::from_u64_pair(0xfeed, number).into()
}

/// An event of a visitor at an instant, with an id that no other sample has.
#[must_use]
pub fn event(event_type: &str, who: u64, when: Timestamp) -> Event {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Event {
        id: Uuid::from_u64_pair(0x0190_0000_0000_7000, number),
        site: site(),
        visitor: visitor(who),
        event_type: EventType::parse(event_type).unwrap(),
        data: EventData::EMPTY,
        page_url: None,
        referrer: None,
        created_at: when,
        facts: Facts::default(),
    }
}

#[must_use]
pub fn with_data(mut event: Event, data: &Value) -> Event {
    event.data = EventData::new(data.as_object().unwrap()).unwrap();
    event
}

#[must_use]
pub fn on_page(mut event: Event, url: &str) -> Event {
    event.page_url = Some(Url::new(url));
    event
}

#[must_use]
pub fn on_site(mut event: Event, name: &str) -> Event {
    event.site = Site::parse(name).unwrap();
    event
}

/// Appends events that must all be stored, as of the latest of them.
pub async fn put(store: &dyn Store, events: &[Event]) {
    let now = events.iter().map(|event| event.created_at).max().unwrap();
    for answer in store.append(events.to_vec(), now).await.unwrap() {
        assert!(matches!(answer, Appended::Stored), "{answer:?}");
    }
}
