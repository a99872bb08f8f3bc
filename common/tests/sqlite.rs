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
use common::store::conformance::samples::{at, event, put, site};
use common::store::roles::*;
use common::store::sqlite::Sqlite;
use common::store::{Position, Store, TimelineFrom};
use common::time::HOUR;
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
