//! The schema and those that meet it: several at once, and older ones than it.

use common::period::Period;
use common::store::conformance::samples::{at, event, key, put, quiet, site, visitor};
use common::store::roles::*;
use common::store::{TimelineFrom, Totals};

use crate::servers::{Databases, PATIENT, sql};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_start_at_once() {
    let Some(databases) = Databases::fresh().await else { return };
    let open = || databases.open(PATIENT);
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

mod embedded {
    refinery::embed_migrations!("src/store/postgres/migrations");
}

/// A database as release 0.1.0 leaves it, without data.
async fn release_0_1_0(databases: &Databases) {
    let (mut client, connection) = tokio_postgres::connect(&databases.postgres, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let mut runner = embedded::migrations::runner().set_target(refinery::Target::Version(3));
    runner.set_migration_table_name("analytics_migrations");
    runner.run_async(&mut client).await.unwrap();
}

/// Days before February 25 were dropped; all visitors of January are gone, and their number is left.
const DATA_OF_0_1_0: &str = "
    insert into analytics_sites (name, position, expired) values ('default', 60, 56);
    insert into analytics_meta (name, value)
        select name, day - date '1970-01-01' from (values
            ('kept_since', date '2026-02-25'), ('day_counters_since', date '2026-01-01'),
            ('long_counters_since', date '2025-12-01'), ('visitors_since', date '2026-02-01')) f (name, day);
    create table analytics_events_20260227 partition of analytics_events
        for values from ('2026-02-27 00:00+00') to ('2026-02-28 00:00+00');
    create table analytics_events_20260301 partition of analytics_events
        for values from ('2026-03-01 00:00+00') to ('2026-03-02 00:00+00');
    create table analytics_events_20260302 partition of analytics_events
        for values from ('2026-03-02 00:00+00') to ('2026-03-03 00:00+00');
    insert into analytics_events (position, created_at, site, id, visitor, event_type) values
        (57, '2026-02-27 10:00+00', 1, gen_random_uuid(), '$1', 'page_view'),
        (58, '2026-03-01 23:00+00', 1, gen_random_uuid(), '$3', 'scroll'),
        (59, '2026-03-02 10:00+00', 1, gen_random_uuid(), '$1', 'page_view'),
        (60, '2026-03-02 11:00+00', 1, gen_random_uuid(), '$1', 'page_view');
    insert into analytics_visitors (site, day, visitor) values (1, '2026-02-23', '$1'), (1, '2026-02-24', '$2');
    insert into analytics_counters (site, day, dimension, value, n) values
        (1, '2025-12-31', 0, '', 5), (1, '2025-12-31', 1, 'page_view', 5),
        (1, '2026-01-15', 0, '', 46), (1, '2026-01-15', 1, 'page_view', 40), (1, '2026-01-15', 1, 'letter_generate', 6),
        (1, '2026-01-15', 3, 'motivation', 4), (1, '2026-01-15', 3, 'anti_motivation', 1), (1, '2026-01-15', 2, 'dark', 3),
        (1, '2026-02-23', 0, '', 3), (1, '2026-02-24', 0, '', 2),
        (1, '2026-02-27', 0, '', 1), (1, '2026-02-27', 1, 'page_view', 1), (1, '2026-03-01', 0, '', 1),
        (1, '2026-03-02', 0, '', 2), (1, '2026-03-02', 1, 'page_view', 2);
    insert into analytics_uniques (site, bucket, n) values
        (1, (date '2026-01-01' - date '1970-01-01') * 4 + 2, 41), (1, (date '2026-01-15' - date '1970-01-01') * 4, 30)";

/// Totals and visitors are taken over, also of periods whose events were dropped in part or as a
/// whole, and go on exactly.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_release_0_1_0_is_migrated() {
    let Some(databases) = Databases::fresh().await else { return };
    release_0_1_0(&databases).await;
    let data = (1..=3).fold(DATA_OF_0_1_0.to_owned(), |data, who| {
        data.replace(&format!("${who}"), &uuid::Uuid::from_bytes(*visitor(who).as_bytes()).to_string())
    });
    sql(&databases.postgres, &data).await;
    let store = databases.open(PATIENT).await;
    let totals = async |period, day| store.totals(&site(), key(period, day)).await.unwrap();
    let figures = async |period, day| {
        let totals = totals(period, day).await;
        (totals.events, totals.visitors)
    };
    let january = Totals { events: 46, page_views: 40, letters: 6, motivation: 4, anti_motivation: 1, visitors: 41 };
    assert_eq!(totals(Period::Month, "2026-01-01").await, january);
    assert_eq!(totals(Period::Day, "2026-01-15").await, Totals { visitors: 30, ..january });
    assert_eq!(figures(Period::Day, "2025-12-31").await, (0, 0), "days of then are not answered any more");
    assert_eq!(figures(Period::Month, "2025-12-31").await, (5, 0));
    let now = at("2026-03-02T12:00:00Z");
    for (period, day, expected) in [
        (Period::Day, "2026-02-23", (3, 1)),
        (Period::Day, "2026-02-27", (1, 1)),
        (Period::Week, "2026-02-23", (7, 3)),
        (Period::Month, "2026-02-01", (6, 2)),
        (Period::Month, "2026-03-01", (3, 2)),
        (Period::Week, "2026-03-02", (2, 1)),
    ] {
        assert_eq!(figures(period, day).await, expected, "{period:?} {day}");
    }
    assert_eq!(store.verify(now, quiet()).await.unwrap().differences, []);
    // A visitor of a dropped day is not new to the week and the month.
    put(&store, &[event("scroll", 2, at("2026-02-28T12:00:00Z"))]).await;
    assert_eq!(figures(Period::Week, "2026-02-23").await, (8, 3));
    assert_eq!(figures(Period::Month, "2026-02-01").await, (7, 2));
    assert_eq!(store.verify(now, quiet()).await.unwrap().differences, []);
    store.rebuild(now, quiet()).await.unwrap();
    assert_eq!(figures(Period::Month, "2026-02-01").await, (7, 2));
    store.close().await;
}

/// A newer release has migrated already: this one goes on, and leaves its marks alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_is_fine() {
    let Some(databases) = Databases::fresh().await else { return };
    databases.open(PATIENT).await.close().await;
    sql(
        &databases.postgres,
        "insert into analytics_migrations (version, name, applied_on, checksum)
         values (99, 'of_a_newer_release', '2030-01-01T00:00:00Z', '1');
         alter table analytics_events add column country text;
         alter table analytics_sites add column note text not null default '';
         create table analytics_of_a_newer_release (n int)",
    )
    .await;
    let store = databases.open(PATIENT).await;
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
    let store = databases.open(PATIENT).await;
    let now = at("2025-12-08T10:00:00Z");
    put(&store, &[event("scroll", 1, now)]).await;
    assert_eq!(store.timeline(&site(), TimelineFrom::all(0), 9).await.unwrap().len(), 1);
    sql(
        &databases.postgres,
        "alter table analytics_events add column country text;
         alter table analytics_event_ids add column country text;
         alter table analytics_totals add column note text",
    )
    .await;
    put(&store, &[event("scroll", 1, now), event("scroll", 2, at("2025-12-20T10:00:00Z"))]).await;
    assert_eq!(store.timeline(&site(), TimelineFrom::all(0), 9).await.unwrap().len(), 3);
    store.close().await;
}
