//! Days go whatever becomes of Redis, and weeks and months count their visitors as before.

use std::collections::BTreeMap;

use common::event::Event;
use common::period::{Period, PeriodKey};
use common::store::conformance::samples::{at, event, put, site};
use common::store::{Admin as _, Store, StoreError};
use common::time::{Day, Timestamp};

use crate::servers::wire::Wire;
use crate::servers::{Databases, PATIENT, sql};

/// Nothing listens there.
const NO_REDIS: &str = "redis://127.0.0.1:1/";
/// How many days have events.
const DAYS: i32 = 120;

fn now() -> Timestamp {
    at("2026-03-10T02:00:00Z")
}

/// Each day one visitor who comes every day, and one of that day only.
fn events() -> Vec<Event> {
    let of_day = |ago: i32| {
        let when = now().day().plus(-ago).start().plus(3_600_000);
        [event("page_view", 1, when), event("page_view", 1_000 + ago.unsigned_abs() as u64, when)]
    };
    (0..DAYS).flat_map(of_day).collect()
}

async fn clean(store: &dyn Store, cutoff: Day) {
    while !store.delete_before(cutoff, now()).await.unwrap().done {}
}

/// The distinct visitors of all weeks and months that have events.
async fn visitors(store: &dyn Store) -> BTreeMap<PeriodKey, u64> {
    let mut visitors = BTreeMap::new();
    for ago in 0..DAYS {
        for period in [Period::Week, Period::Month] {
            let key = PeriodKey::of(period, now().day().plus(-ago));
            visitors.insert(key, store.totals(&site(), key).await.unwrap().visitors);
        }
    }
    visitors
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_go_without_redis_and_visitors_stay_counted() {
    let Some(databases) = Databases::fresh().await else { return };
    let store = databases.open_at(&databases.postgres, NO_REDIS, PATIENT).await;
    put(&store, &events()).await;
    let mut expected = visitors(&store).await;
    assert_eq!(expected[&PeriodKey::of(Period::Month, now().day().plus(-30))], 29, "28 days of February");
    for kept in [90, 61, 45, 3] {
        clean(&store, now().day().plus(-kept)).await;
        assert_eq!(visitors(&store).await, expected, "{kept} days kept");
    }
    // The month has lost its first days: who came on them is still not new to it.
    put(&store, &[event("page_view", 1, now()), event("page_view", 1_009, now()), event("page_view", 7, now())]).await;
    *expected.get_mut(&PeriodKey::of(Period::Month, now().day())).unwrap() += 1;
    *expected.get_mut(&PeriodKey::of(Period::Week, now().day())).unwrap() += 2;
    assert_eq!(visitors(&store).await, expected);
    // Of months in which nothing can change any more, only numbers are left.
    sql(
        &databases.postgres,
        "do $$ begin
             assert (select array_agg(distinct month order by month) from analytics_visitors)
                 = array[date '2026-02-01', date '2026-03-01'];
         end $$",
    )
    .await;
    store.close().await;
}

/// A dump holds all tables until it is complete. Cleanup does not queue for them, behind which events
/// would have to wait, and goes on when it is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cleanup_keeps_out_of_the_way_of_a_dump() {
    let Some(databases) = Databases::fresh().await else { return };
    let wire = Wire::before(&databases.postgres).await;
    let store = databases.open_at(&wire.url, NO_REDIS, PATIENT).await;
    put(&store, &events()[..40]).await;
    let (dump, connection) = tokio_postgres::connect(&databases.postgres, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    dump.batch_execute("begin; lock table analytics_events in access share mode").await.unwrap();
    wire.look_out("set local lock_timeout");
    let cutoff = now().day().plus(-5);
    let step = store.delete_before(cutoff, now()).await;
    assert!(matches!(step, Err(StoreError::Unavailable { .. })), "{step:?}");
    assert!(!wire.has_come(), "it does not queue for a lock");
    put(&store, &[event("page_view", 1, now())]).await;
    dump.batch_execute("rollback").await.unwrap();
    clean(&store, cutoff).await;
    assert!(wire.has_come());
    store.close().await;
}
