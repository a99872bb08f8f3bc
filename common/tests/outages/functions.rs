//! Functions: nothing goes on between two calls, and Redis has limits and nothing else.

use common::store::Bucket;
use common::store::postgres::Options;
use common::store::roles::*;

use crate::servers::sql;
use crate::{Bench, PATIENT};

const FUNCTION: Options = Options { limit_within: PATIENT.limit_within, ..Options::FUNCTION };

/// A function answers from PostgreSQL, whatever becomes of Redis; what it stores is projected by the
/// next process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_do_without_redis() {
    let Some(mut bench) = Bench::with(FUNCTION).await else { return };
    let (limits, bucket) = (bench.store.limits().unwrap(), Bucket { name: "events", key: 5, most: 100 });
    let shared = async || loop {
        if let Some(charged) = limits.charge(bucket, 1).await {
            break assert_eq!(charged, Ok(()));
        }
    };
    tokio::time::timeout(crate::PATIENCE, shared()).await.unwrap();
    bench.append(20).await;
    bench.check().await;
    bench.redis.kill();
    bench.append(20).await;
    bench.check().await;
    assert_eq!(limits.charge(bucket, 1).await, None);
    assert!(bench.is_degraded(), "limits are not shared");
    bench.redis.run().await;
    // A probe a second at most.
    tokio::time::timeout(crate::PATIENCE, shared()).await.unwrap();
    assert!(!bench.is_degraded());
    bench.append(20).await;
    bench.check().await;
    bench.reopen().await;
    bench.well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_connections_are_replaced() {
    let Some(mut bench) = Bench::with(FUNCTION).await else { return };
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
    bench.reopen().await;
    bench.well().await;
}

/// Two environments of a function share what there is, and neither works after its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn environments_take_turns() {
    let Some(mut bench) = Bench::with(FUNCTION).await else { return };
    for _ in 0..5 {
        bench.append(5).await;
        let other = bench.another(FUNCTION).await;
        let first = std::mem::replace(&mut bench.store, other);
        bench.append(5).await;
        bench.check().await;
        bench.store = first;
        bench.check().await;
    }
    bench.reopen().await;
    bench.well().await;
}
