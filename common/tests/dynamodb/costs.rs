//! What events and questions cost, in request units, as the service tells.

use common::event::{Event, EventData};
use common::event_type::EventType;
use common::measure::facts::Facts;
use common::period::{Period, PeriodKey};
use common::site::Site;
use common::store::dynamodb::{Consumed, DynamoDb};
use common::store::roles::*;
use common::time::{DAY, SECOND, Timestamp};
use common::url::Url;
use uuid::Uuid;

use crate::table::Table;

fn start() -> Timestamp {
    Timestamp::parse("2025-12-08T10:00:00Z").unwrap()
}

/// A page view whose id begins with its time, as those of the tracker do.
fn view(number: u64, who: u64, at: Timestamp, url: &str) -> Event {
    Event {
        id: Uuid::from_u64_pair((at.millis() as u64) << 16 | 0x7000, 1 << 63 | number),
        site: Site::default(),
        visitor: Uuid::from_u64_pair(0xfeed, who).into(),
        event_type: EventType::PageView,
        data: EventData::EMPTY,
        page_url: Some(Url::new(url)),
        referrer: Some(Url::new("https://search.example/")),
        created_at: at,
        facts: Facts::default(),
    }
}

/// What something uses.
async fn used<T>(store: &DynamoDb, work: impl Future<Output = common::store::Result<T>>) -> Consumed {
    let before = store.consumed();
    work.await.unwrap();
    let after = store.consumed();
    Consumed { read: after.read - before.read, write: after.write - before.write }
}

/// A store that has its number and knows its site.
async fn warm(table: &Table) -> DynamoDb {
    let store = table.open().await;
    store.append(vec![view(1, 1, start().plus(-DAY), "/")], start()).await.unwrap();
    store
}

/// A visit: page views one after the other, so many seconds apart; answers units an event. Each
/// visitor comes after the one before, as the clock has it.
async fn visit(store: &DynamoDb, who: u64, events: u64, seconds: i64, url: &str) -> Consumed {
    let mut all = Consumed::default();
    for number in 0..events {
        let at = start().plus((who as i64 * 960 + number as i64 * seconds) * SECOND);
        let one = used(store, store.append(vec![view(who * 100 + number, who, at, url)], at)).await;
        all = Consumed { read: all.read + one.read, write: all.write + one.write };
    }
    Consumed { read: all.read / events as f64, write: all.write / events as f64 }
}

#[tokio::test]
async fn a_page_view_takes_at_most_six_write_units() {
    let Some(table) = Table::fresh().await else { return };
    let store = warm(&table).await;
    for (who, seconds, expected) in [(10, 5, 4.4), (11, 30, 5.2), (12, 55, 6.0)] {
        let used = visit(&store, who, 10, seconds, "/cv").await;
        assert_eq!(used.write, expected, "a view every {seconds} s: {used:?}");
        assert!(used.write <= 6.0);
        assert_eq!(used.read, 0.1, "the visitor is asked for once");
    }
}

#[tokio::test]
async fn a_further_dimension_takes_two_more() {
    let Some(table) = Table::fresh().await else { return };
    let store = warm(&table).await;
    // The theme is there already: the first of a day takes two more for its place.
    visit(&store, 10, 1, 1, "/cv?theme=backend").await;
    let without = visit(&store, 11, 10, 30, "/cv").await;
    let with = visit(&store, 12, 10, 30, "/cv?theme=backend").await;
    assert_eq!(with.write - without.write, 2.0, "{with:?} {without:?}");
}

#[tokio::test]
async fn a_batch_costs_far_less_an_event() {
    let Some(table) = Table::fresh().await else { return };
    let store = warm(&table).await;
    let events: Vec<Event> =
        (0..500).map(|n| view(n, n % 50 + 100, start().plus(n as i64 * 100), "/cv?theme=backend")).collect();
    let used = used(&store, store.append(events, start().plus(60 * SECOND))).await;
    assert!(used.write / 500.0 <= 2.6, "{used:?}");
}

#[tokio::test]
async fn a_visitor_who_is_known_is_not_asked_for_again() {
    let Some(table) = Table::fresh().await else { return };
    let store = warm(&table).await;
    visit(&store, 10, 2, 1, "/cv").await;
    let at = start().plus(9_602 * SECOND);
    assert_eq!(
        used(&store, store.append(vec![view(1_099, 10, at, "/cv")], at)).await,
        Consumed { read: 0.0, write: 4.0 }
    );
    // A duplicate costs what it would have cost: the service tells nothing for a transaction
    // that it cancels, and charges it all the same.
    assert_eq!(used(&store, store.append(vec![view(1_099, 10, at, "/cv")], at)).await.read, 0.0);
}

#[tokio::test]
async fn figures_take_at_most_two_read_units() {
    let Some(table) = Table::fresh().await else { return };
    let store = warm(&table).await;
    let site = Site::default();
    // A month of days with all kinds of totals, and a busy last minute.
    for day in 0..31 {
        let at = start().plus(-day * DAY);
        let events = (0..40).map(|n| view(day as u64 * 1_000 + n, n, at.plus(n as i64 * 1_000), "/cv")).collect();
        store.append(events, start()).await.unwrap();
    }
    // One that only asks, as functions do.
    let asking = table.open().await;
    asking.kept_since().await.unwrap();
    let now = start().plus(330 * SECOND);
    let realtime = used(&asking, asking.realtime(&site, now, 300 * SECOND)).await;
    let mut stats = Vec::new();
    for period in Period::ALL {
        stats.push(used(&asking, asking.totals(&site, PeriodKey::of(period, start().day()))).await.read);
    }
    assert_eq!(realtime, Consumed { read: 2.0, write: 0.0 });
    assert_eq!(stats, [0.5, 0.5, 0.5]);
    store.kept_since().await.unwrap();
    // One that has just written asks for twice the price, to see what it wrote.
    let month = used(&store, store.totals(&site, PeriodKey::of(Period::Month, start().day()))).await;
    assert_eq!(month.read, 1.0);
}
