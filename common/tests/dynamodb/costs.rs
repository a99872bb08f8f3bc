//! What events and questions cost, in request units, as the service reports them.

use common::event::{Event, EventData};
use common::event_type::EventType;
use common::measure::facts::Facts;
use common::period::{Period, PeriodKey};
use common::site::Site;
use common::store::TimelineFrom;
use common::store::dynamodb::{Consumed, DynamoDb};
use common::store::roles::*;
use common::time::{DAY, SECOND, Timestamp};
use common::url::Url;
use uuid::Uuid;

use crate::proxy::Proxy;
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

/// Event 2, totals 2, and 2 once for the visitor, however long the visit takes. The visitor is read once, and
/// the site once an hour.
#[tokio::test]
async fn a_page_view_takes_less_than_five_write_units() {
    let Some(table) = Table::fresh().await else { return };
    let store = warm(&table).await;
    for (who, seconds, read) in [(10, 5, 0.2), (11, 30, 0.1), (12, 90, 0.1)] {
        let used = visit(&store, who, 10, seconds, "/cv").await;
        assert_eq!(used.write, 4.2, "a view every {seconds} s: {used:?}");
        assert_eq!(used.read, read, "a view every {seconds} s: {used:?}");
    }
}

#[tokio::test]
async fn dimensions_cost_nothing() {
    let Some(table) = Table::fresh().await else { return };
    let store = warm(&table).await;
    // With the first view of an hour the site is read.
    visit(&store, 10, 1, 1, "/").await;
    let without = visit(&store, 11, 10, 30, "/").await;
    let with = visit(&store, 12, 10, 30, "/cv?theme=backend&utm_source=newsletter&utm_campaign=spring").await;
    assert_eq!(with, without);
}

#[tokio::test]
async fn a_batch_costs_far_less_an_event() {
    let Some(table) = Table::fresh().await else { return };
    let store = warm(&table).await;
    let events: Vec<Event> =
        (0..500).map(|n| view(n, n % 50 + 100, start().plus(n as i64 * 100), "/cv?theme=backend")).collect();
    let used = used(&store, store.append(events, start().plus(60 * SECOND))).await;
    assert!(used.write / 500.0 <= 2.4, "{used:?}");
}

#[tokio::test]
async fn a_known_visitor_is_not_read_again() {
    let Some(table) = Table::fresh().await else { return };
    let store = warm(&table).await;
    visit(&store, 10, 2, 1, "/cv").await;
    let at = start().plus(9_602 * SECOND);
    assert_eq!(
        used(&store, store.append(vec![view(1_099, 10, at, "/cv")], at)).await,
        Consumed { read: 0.0, write: 4.0 }
    );
    // A duplicate costs as much: the service charges a cancelled transaction, and reports nothing.
    assert_eq!(used(&store, store.append(vec![view(1_099, 10, at, "/cv")], at)).await.read, 0.0);
}

/// A month of busy days, and a busy last minute.
async fn busy(store: &DynamoDb) {
    for day in 0..31 {
        let at = start().plus(-day * DAY);
        let events = (0..40).map(|n| view(day as u64 * 1_000 + n, n, at.plus(n as i64 * 1_000), "/cv")).collect();
        store.append(events, start()).await.unwrap();
    }
}

#[tokio::test]
async fn totals_take_half_a_read_unit() {
    let Some(table) = Table::fresh().await else { return };
    let store = warm(&table).await;
    let site = Site::default();
    busy(&store).await;
    // A process that only reads, as most functions.
    let reading = table.open().await;
    reading.kept_since().await.unwrap();
    for period in Period::ALL {
        let used = used(&reading, reading.totals(&site, PeriodKey::of(period, start().day()))).await;
        assert_eq!(used, Consumed { read: 0.5, write: 0.0 }, "{period:?}");
    }
    // All days of a month are one query.
    let month = start().day().plus(-30)..start().day().plus(1);
    assert_eq!(used(&reading, reading.daily(&site, month)).await.read, 0.5);
    // A process that has just written reads at twice the price, to see what it wrote.
    store.kept_since().await.unwrap();
    let month = used(&store, store.totals(&site, PeriodKey::of(Period::Month, start().day()))).await;
    assert_eq!(month.read, 1.0);
}

#[tokio::test]
async fn who_is_there_takes_half_a_unit_for_twenty_events_of_the_window() {
    let Some(table) = Table::fresh().await else { return };
    let store = warm(&table).await;
    let site = Site::default();
    busy(&store).await;
    let reading = table.open().await;
    reading.kept_since().await.unwrap();
    let now = start().plus(200 * SECOND);
    // Two shards of about 20 events, and the totals of today.
    assert_eq!(used(&reading, reading.realtime(&site, now, 300 * SECOND)).await.read, 1.5);
    let later = now.plus(600 * SECOND);
    assert_eq!(used(&reading, reading.realtime(&site, later, 300 * SECOND)).await.read, 1.5, "without events");
}

/// A day is read in pages of as many events as are wanted, or 1 MB, of both shards at once.
#[tokio::test]
async fn a_page_of_the_timeline_is_a_request_a_shard() {
    let Some(table) = Table::fresh().await else { return };
    let Some(endpoint) = table.endpoint() else { return };
    let store = warm(&table).await;
    let events: Vec<Event> = (0..3_000).map(|n| view(n, n % 50, start().plus(n as i64 * 1_000), "/cv")).collect();
    for events in events.chunks(1_000) {
        store.append(events.to_vec(), start()).await.unwrap();
    }
    let proxy = Proxy::before(endpoint).await;
    let reading = table.open_through(Some(proxy.url())).await;
    reading.kept_since().await.unwrap();
    let before = proxy.seen();
    let page = reading.timeline(&Site::default(), TimelineFrom::all(0), 2_000).await.unwrap();
    assert!(page.iter().eq(events.iter().rev().take(2_000)));
    assert_eq!(proxy.seen() - before, 2);
}
