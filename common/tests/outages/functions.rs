//! Where nothing goes on between two calls.

use std::time::Duration;

use common::store::postgres::Options;

use crate::Bench;
use crate::servers::sql;

/// What was missed is repaired by the next call, and a connection that was dropped is replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_next_repairs() {
    let Some(mut bench) = Bench::with(Options::FUNCTION).await else { return };
    bench.append(20).await;
    bench.check().await;
    assert!(!bench.is_degraded());
    bench.redis.kill();
    bench.append(20).await;
    bench.check().await;
    assert!(bench.is_degraded());
    bench.redis.run().await;
    // A probe a second at most.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    bench.append(20).await;
    bench.check().await;
    bench.well().await;
    bench.redis.command::<()>(&["FLUSHALL"]).await;
    bench.check().await;
    bench.append(20).await;
    bench.check().await;
    bench.well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_connections_are_replaced() {
    let Some(mut bench) = Bench::with(Options::FUNCTION).await else { return };
    for _ in 0..3 {
        bench.append(5).await;
        sql(
            &bench.databases.postgres,
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
        )
        .await;
        bench.redis.command::<()>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
        bench.append(5).await;
        bench.check().await;
    }
    bench.append(1).await;
    bench.well().await;
}

/// Two environments of a function share what there is, and neither works after its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn environments_take_turns() {
    let Some(mut bench) = Bench::with(Options::FUNCTION).await else { return };
    for _ in 0..5 {
        bench.append(5).await;
        let other = bench.another(Options::FUNCTION).await;
        let first = std::mem::replace(&mut bench.store, other);
        bench.append(5).await;
        bench.check().await;
        bench.store = first;
        bench.check().await;
    }
    bench.well().await;
    assert_eq!(bench.metrics.redis_rebuilds_total.get(), 0);
}
