//! How long appends take while Redis is away.

use std::time::{Duration, Instant};

use common::store::roles::*;

use crate::Bench;

/// How long each of many appends took, from eight senders at once for a while.
async fn measured(bench: &mut Bench, during: Duration) -> Vec<Duration> {
    let mut took = Vec::new();
    let started = Instant::now();
    while started.elapsed() < during {
        let events = bench.made(8);
        let appends = events.chunks(1).map(|event| async {
            let started = Instant::now();
            bench.store.append(event.to_vec(), bench.now).await.unwrap();
            started.elapsed()
        });
        took.extend(futures_util::future::join_all(appends).await);
        bench.events.extend(events);
    }
    took.sort();
    took
}

/// How long a call of Redis may take before it counts as failed: what an append would take that
/// waits for it.
const WAIT: Duration = Duration::from_millis(250);

/// No append waits for a Redis that is away. By how much appends slow down is a figure, which
/// `make bench` has; this only tells whether they wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_does_not_slow_appends_down() {
    let Some(mut bench) = Bench::alone().await else { return };
    let before = measured(&mut bench, Duration::from_secs(1)).await;
    // On a machine that does other things at the same time everything takes longer.
    let most = before[before.len() / 2] + WAIT;
    for frozen in [false, true] {
        if frozen {
            bench.redis.pause()
        } else {
            bench.redis.kill()
        }
        let took = measured(&mut bench, Duration::from_secs(2)).await;
        bench.degraded().await;
        let median = took[took.len() / 2];
        assert!(median < most, "half of the appends took {median:?} and more, frozen: {frozen}");
        if frozen {
            bench.redis.resume()
        } else {
            bench.redis.run().await
        }
        bench.healed().await;
    }
    bench.check().await;
}
