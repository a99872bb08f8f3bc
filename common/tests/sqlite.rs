//! The conformance suite on the embedded engine, and what is true of its files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "sqlite/files.rs"]
mod files;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use common::metrics::Metrics;
use common::store::conformance::Fixture;
use common::store::conformance::cases::recount;
use common::store::conformance::samples::{at, event, on_page, put, quiet, site, visitor};
use common::store::roles::*;
use common::store::sqlite::Sqlite;
use common::store::{Position, Store, TimelineFrom};
use common::time::{HOUR, Timestamp};
use common::visitor::VisitorId;
use proptest::test_runner::{Config, RngSeed};
use tempfile::TempDir;

struct File {
    folder: TempDir,
    store: Sqlite,
}

impl File {
    fn path(folder: &TempDir) -> PathBuf {
        folder.path().join("new folder").join("analytics.db")
    }
}

async fn open(path: PathBuf) -> Sqlite {
    Sqlite::open(&path, Arc::new(Metrics::new().unwrap())).await.unwrap()
}

async fn fresh() -> Option<File> {
    let folder = tempfile::tempdir().unwrap();
    let store = open(File::path(&folder)).await;
    Some(File { folder, store })
}

#[async_trait]
impl Fixture for File {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    async fn another(&self) -> Box<dyn Store> {
        Box::new(open(Self::path(&self.folder)).await)
    }

    async fn reopen(&mut self) {
        self.store.close().await;
        self.store = open(Self::path(&self.folder)).await;
    }

    async fn corrupt(&self) {
        let connection = rusqlite::Connection::open(Self::path(&self.folder)).unwrap();
        connection
            .execute_batch(
                "update totals set events = events + 1, letters = 7;
                 delete from totals where bucket & 3 = 2;
                 insert into totals select site, bucket + 40000, 1, 1, 1, 1, 1, 1 from totals;
                 delete from visitors;
                 delete from presence;",
            )
            .unwrap();
    }
}

common::store_conformance!(fresh);

/// A store whose counters change behind its back.
struct Damaged(File);

#[async_trait]
impl Fixture for Damaged {
    fn store(&self) -> &dyn Store {
        self.0.store()
    }

    async fn another(&self) -> Box<dyn Store> {
        self.0.another().await
    }

    async fn reopen(&mut self) {
        self.0.reopen().await;
    }

    async fn corrupt(&self) {
        self.0.corrupt().await;
    }

    async fn disturb(&self, _way: u8) {
        self.0.corrupt().await;
    }
}

/// The damage shows after one event and one disturbance, in whatever long sequence it was found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_property_shows_the_shortest_sequence_and_can_be_repeated() {
    let config = Config { rng_seed: RngSeed::Fixed(7), ..Config::default() };
    let damaged = async || fresh().await.map(Damaged);
    let shown = recount(damaged, config.clone()).unwrap_err().to_string();
    assert!(shown.contains("PROPTEST_RNG_SEED=7"), "{shown}");
    assert_eq!(shown.matches("Disturb(").count(), 1, "{shown}");
    assert_eq!(shown.matches("Append(").count(), 1, "{shown}");
    assert_eq!(shown.matches("Sent {").count(), 1, "{shown}");
    assert_eq!(recount(damaged, config).unwrap_err().to_string(), shown);
}

/// docs/live.md promises it of every engine; the others know older events too.
#[tokio::test]
async fn the_latest_hundred_thousand_events_can_be_resumed_after() {
    let file = fresh().await.unwrap();
    let (first, last) =
        (event("page_view", 1, at("2025-12-08T10:00:00Z")), event("scroll", 1, at("2025-12-08T10:00:01Z")));
    put(&file.store, &[first.clone(), last]).await;
    let connection = rusqlite::Connection::open(File::path(&file.folder)).unwrap();
    let mut known = Vec::new();
    for newest in [100_000, 100_001] {
        // The events between would take long to store.
        connection.execute("update events set position = ?1 where position > 1", [newest]).unwrap();
        known.push(file.store.position(&site(), first.id).await.unwrap());
    }
    assert_eq!(known, [Some(Position(1)), None]);
}

/// A log of months would fill the file with visitors who left long ago.
#[tokio::test]
async fn only_visitors_of_the_last_hour_are_noted_as_present() {
    let file = fresh().await.unwrap();
    let now = at("2025-12-08T10:00:00Z");
    let events = [(1, 0), (2, HOUR), (3, HOUR + 1)].map(|(who, ago)| event("page_view", who, now.plus(-ago)));
    file.store.append(events.to_vec(), now).await.unwrap();
    let connection = rusqlite::Connection::open(File::path(&file.folder)).unwrap();
    let mut find = connection.prepare("select last_seen from presence order by last_seen").unwrap();
    let seen: Vec<i64> = find.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(seen, [now.plus(-HOUR).millis(), now.millis()]);
}

#[tokio::test]
async fn visitors_are_current_before_the_table_has_them() {
    let file = fresh().await.unwrap();
    let now = at("2025-12-08T10:00:00Z");
    for (who, later) in [(1, 0), (2, 1), (1, 2)] {
        file.store.append(vec![event("page_view", who, now.plus(later))], now.plus(later)).await.unwrap();
    }
    let connection = rusqlite::Connection::open(File::path(&file.folder)).unwrap();
    let noted: i64 = connection.query_row("select count(*) from presence", [], |row| row.get(0)).unwrap();
    assert_eq!(noted, 1, "it follows once a second");
    let another = file.another().await;
    for store in [&file.store as &dyn Store, &*another] {
        assert_eq!(store.realtime(&site(), now.plus(2), HOUR).await.unwrap().current_visitors, 2);
    }
}

/// Stores of earlier versions have an index of milliseconds.
#[tokio::test]
async fn a_store_with_the_index_of_before_has_that_of_seconds_once_opened() {
    let mut file = fresh().await.unwrap();
    let start = at("2025-12-08T10:00:00Z");
    let events = [400, 0, 1_000, 999, 399].map(|millis| event("page_view", 1, start.plus(millis)));
    put(&file.store, &events).await;
    file.store.close().await;
    let connection = rusqlite::Connection::open(File::path(&file.folder)).unwrap();
    connection
        .execute_batch(
            "drop index events_second;
             create index events_created_at on events (site, created_at);
             drop table records;
             drop table texts;
             create table strings (id integer primary key, day integer not null, value text not null, unique (day, value));
             delete from meta where name in ('present_until', 'text_key');
             delete from refinery_schema_history where version >= 5;",
        )
        .unwrap();
    drop(connection);

    file.reopen().await;
    let connection = rusqlite::Connection::open(File::path(&file.folder)).unwrap();
    let mut find =
        connection.prepare("select name from sqlite_master where name like 'events_%' order by name").unwrap();
    let indexes: Vec<String> = find.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(indexes, ["events_id", "events_second"]);

    let newest = TimelineFrom::Newest { until: start.plus(999), offset: 0 };
    let page = file.store.timeline(&site(), newest, 10).await.unwrap();
    let times: Vec<i64> = page.iter().map(|event| event.created_at.millis() - start.millis()).collect();
    assert_eq!(times, [999, 400, 399, 0]);
    assert_eq!(file.store.event_days(start).await.unwrap(), Some(start.day()..=start.day()));
    assert_eq!(file.store.event_days(start.plus(-1)).await.unwrap(), None);
}

/// A row has the visitor's id, or the position of one of the same day that has it.
fn kinds_of_visitors(file: &File) -> Vec<String> {
    let connection = rusqlite::Connection::open(File::path(&file.folder)).unwrap();
    let mut find = connection.prepare("select typeof(visitor) from events order by position").unwrap();
    find.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

async fn visitors(store: &Sqlite) -> Vec<VisitorId> {
    let events = store.timeline(&site(), TimelineFrom::all(0), 1_000).await.unwrap();
    events.iter().map(|event| event.visitor).collect()
}

#[tokio::test]
async fn events_of_a_visitors_day_hold_the_id_once() {
    let mut file = fresh().await.unwrap();
    let (day, other) = (at("2025-12-08T10:00:00Z"), at("2025-12-09T10:00:00Z"));
    let of = |who: u64, when: Timestamp| event("page_view", who, when);
    put(&file.store, &[of(1, day), of(1, day.plus(1)), of(2, day.plus(2)), of(1, other), of(1, day.plus(3))]).await;
    assert_eq!(kinds_of_visitors(&file), ["blob", "integer", "blob", "blob", "integer"]);
    // After a start the writer knows no visitors.
    file.reopen().await;
    put(&file.store, &[of(1, day.plus(4)), of(1, day.plus(5))]).await;
    assert_eq!(kinds_of_visitors(&file)[5..], ["blob", "integer"]);
    let expected = [1, 1, 1, 1, 2, 1, 1].map(visitor);
    assert_eq!(visitors(&file.store).await, expected);
    assert_eq!(file.store.verify(other, quiet()).await.unwrap().different, 0);
}

#[tokio::test]
async fn no_event_refers_to_what_has_expired() {
    let file = fresh().await.unwrap();
    let (day, now) = (at("2025-12-08T10:00:00Z"), at("2025-12-20T10:00:00Z"));
    let view = |when: Timestamp| on_page(event("page_view", 1, when), "/cv");
    put(&file.store, &[view(day), view(day.plus(1))]).await;
    while !file.store.delete_before(day.day().plus(1), now).await.unwrap().done {}
    put(&file.store, &[view(day.plus(2))]).await;
    assert_eq!((kinds_of_visitors(&file), visitors(&file.store).await), (vec!["blob".to_owned()], vec![visitor(1)]));
    let stored = file.store.timeline(&site(), TimelineFrom::all(0), 10).await.unwrap().pop().unwrap();
    assert_eq!(stored.page_url.as_ref().map(|url| url.as_str()), Some("/cv"));
}

#[tokio::test]
async fn an_erasure_in_steps_finds_all_events() {
    let file = fresh().await.unwrap();
    let start = at("2025-12-08T10:00:00Z");
    let events: Vec<_> =
        (0..2_500).map(|number| event("page_view", 1 + number % 10 / 9, start.plus(number as i64))).collect();
    for batch in events.chunks(500) {
        put(&file.store, batch).await;
    }
    let mut erased = 0;
    loop {
        match file.store.erase_events(&site(), visitor(1), start.day(), start).await.unwrap() {
            0 => break,
            step => erased += step,
        }
    }
    assert_eq!(erased, 2_250);
    assert_eq!(visitors(&file.store).await, vec![visitor(2); 250]);
    file.store.forget_visitor(&site(), visitor(1)).await.unwrap();
    assert_eq!(file.store.verify(start, quiet()).await.unwrap().different, 0);
}
