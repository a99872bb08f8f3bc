//! Two that meet at one point: what has gone wrong once by chance is made to happen there.

use std::sync::Arc;

use common::period::{Period, PeriodKey};
use common::store::conformance::samples::{at, event, put, quiet, site};
use common::store::postgres::Options;
use common::store::roles::*;

use crate::servers::wire::Wire;
use crate::servers::{Databases, redis, sql};

const NOW: &str = "2025-12-08T10:00:00Z";
/// Where nobody listens.
const NOWHERE: &str = "redis://127.0.0.1:1";
/// The question how far sites were committed.
const POSITIONS: &str = "select name, position from analytics_sites";

/// An event that is committed after a repair has found no more of them, and before it asks how
/// far the site was committed, is not taken for one of a day that was dropped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_committed_during_a_repair_is_not_passed_over() {
    let Some(databases) = Databases::fresh().await else { return };
    let now = at(NOW);
    // It commits, and never tells Redis.
    let mute = databases.open_at(&databases.postgres, NOWHERE, Options::FUNCTION).await;
    let wire = Wire::before(&databases.postgres).await;
    // The site's mark, so that it is repaired and not rebuilt.
    let first = databases.open(Options::FUNCTION).await;
    put(&first, &[event("scroll", 1, now)]).await;
    first.close().await;
    put(&mute, &[event("scroll", 2, now)]).await;
    // This one knows from the start that an event is missing, and repairs when it is asked.
    let store = Arc::new(databases.open_at(&wire.url, &databases.redis, Options::FUNCTION).await);
    wire.hold(POSITIONS);
    let key = PeriodKey::of(Period::Day, now.day());
    let asking = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.totals(&site(), key).await }
    });
    wire.reached().await;
    put(&mute, &[event("scroll", 3, now)]).await;
    wire.release();
    assert_eq!(asking.await.unwrap().unwrap().events, 3);
    assert_eq!(store.degraded(), [""; 0], "redis has all three");
    assert_eq!(store.verify(now, quiet()).await.unwrap().differences, []);
    store.close().await;
    mute.close().await;
}

/// A site that somebody builds anew from figures that are wrong is not believed by a rebuild that
/// mends these figures meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_does_not_believe_what_began_before_it() {
    let Some(databases) = Databases::fresh().await else { return };
    let now = at(NOW);
    let [wire, other] = [Wire::before(&databases.postgres).await, Wire::before(&databases.postgres).await];
    let store = Arc::new(databases.open_at(&other.url, &databases.redis, Options::FUNCTION).await);
    put(&*store, &[event("scroll", 1, now), event("scroll", 2, now)]).await;
    sql(&databases.postgres, "update analytics_counters set n = n + 5").await;
    let () = ::redis::cmd("FLUSHDB").query_async(&mut redis(&databases.redis).await).await.unwrap();
    // It finds Redis empty, and has read the wrong figures when it comes to the visitors.
    wire.hold("declare visitors");
    let early = databases.open_at(&wire.url, &databases.redis, Options::PROCESS).await;
    wire.reached().await;
    other.look_out("pg_try_advisory_lock");
    let rebuilding = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.rebuild(now, quiet()).await }
    });
    // The figures are right by now, the marks are gone, and it is somebody else's turn.
    other.reached().await;
    wire.release();
    assert_eq!(rebuilding.await.unwrap().unwrap().different, 2);
    let totals = store.totals(&site(), PeriodKey::of(Period::Day, now.day())).await.unwrap();
    assert_eq!((totals.events, totals.visitors), (2, 2));
    assert_eq!(store.verify(now, quiet()).await.unwrap().differences, []);
    early.close().await;
    store.close().await;
}
