//! The schema and those that meet it: several at once, and older ones than it.

use common::period::Period;
use common::store::TimelineFrom;
use common::store::conformance::samples::{at, day, event, key, put, site};
use common::store::postgres::Options;
use common::store::roles::*;

use crate::servers::{Databases, sql};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_start_at_once() {
    let Some(databases) = Databases::fresh().await else { return };
    let open = || databases.open(Options::PROCESS);
    let (a, b, c, d) = tokio::join!(open(), open(), open(), open());
    let now = at("2025-12-08T10:00:00Z");
    for store in [a, b, c, d] {
        put(&store, &[event("scroll", 1, now)]).await;
        store.close().await;
    }
    let store = open().await;
    assert_eq!(store.timeline(&site(), TimelineFrom::all(0), 9).await.unwrap().len(), 4);
    store.close().await;
}

/// Release 0.1.0 archived how many visitors a period had before it dropped days of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archived_numbers_of_visitors_are_taken_over() {
    let Some(databases) = Databases::fresh().await else { return };
    let store = databases.open(Options::PROCESS).await;
    let now = at("2026-03-10T10:00:00Z");
    put(&store, &[event("scroll", 1, now)]).await;
    store.close().await;
    let february = key(Period::Month, "2026-02-01");
    let (kept_since, bucket) = (day("2026-03-01").number(), february.bucket());
    sql(
        &databases.postgres,
        &format!(
            "drop table analytics_visitors, analytics_uniques;
             delete from analytics_migrations where version = 3;
             insert into analytics_meta (name, value) values ('kept_since', {kept_since});
             insert into analytics_sketches (site, bucket, sketch, estimate)
                 select id, {bucket}, 'HYLL', 41 from analytics_sites"
        ),
    )
    .await;
    let store = databases.open(Options::PROCESS).await;
    assert_eq!(store.totals(&site(), february).await.unwrap().visitors, 41);
    assert_eq!(store.totals(&site(), key(Period::Month, "2026-03-01")).await.unwrap().visitors, 1);
    store.close().await;
}

/// A newer release has migrated already: this one goes on, and leaves its marks alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_is_fine() {
    let Some(databases) = Databases::fresh().await else { return };
    databases.open(Options::PROCESS).await.close().await;
    sql(
        &databases.postgres,
        "insert into analytics_migrations (version, name, applied_on, checksum)
         values (99, 'of_a_newer_release', '2030-01-01T00:00:00Z', '1');
         alter table analytics_events add column country text;
         alter table analytics_sites add column note text not null default '';
         create table analytics_of_a_newer_release (n int)",
    )
    .await;
    let store = databases.open(Options::PROCESS).await;
    let now = at("2025-12-08T10:00:00Z");
    let new = event("scroll", 1, now);
    put(&store, std::slice::from_ref(&new)).await;
    assert_eq!(store.timeline(&site(), TimelineFrom::all(0), 9).await.unwrap(), [new]);
    store.close().await;
}

/// Statements prepared before the newer release migrated go on working.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_may_grow_under_a_running_engine() {
    let Some(databases) = Databases::fresh().await else { return };
    let store = databases.open(Options::PROCESS).await;
    let now = at("2025-12-08T10:00:00Z");
    put(&store, &[event("scroll", 1, now)]).await;
    assert_eq!(store.timeline(&site(), TimelineFrom::all(0), 9).await.unwrap().len(), 1);
    sql(
        &databases.postgres,
        "alter table analytics_events add column country text;
         alter table analytics_event_ids add column country text;
         alter table analytics_counters add column note text",
    )
    .await;
    put(&store, &[event("scroll", 1, now), event("scroll", 2, at("2025-12-20T10:00:00Z"))]).await;
    assert_eq!(store.timeline(&site(), TimelineFrom::all(0), 9).await.unwrap().len(), 3);
    store.close().await;
}
