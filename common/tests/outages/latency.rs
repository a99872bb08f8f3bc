//! How long appends take while Redis is away.

use std::time::{Duration, Instant};

use common::store::Store;

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

fn p99(took: &[Duration]) -> Duration {
    took[took.len() * 99 / 100]
}

/// After the first second an outage adds nothing that the clock could see: at most twice as
/// long, of which the best of a few attempts counts, since the machine does other things too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_does_not_slow_appends_down() {
    let Some(mut bench) = Bench::alone().await else { return };
    measured(&mut bench, Duration::from_secs(1)).await;
    for frozen in [false, true] {
        let before = p99(&measured(&mut bench, Duration::from_secs(3)).await);
        if frozen {
            bench.redis.pause()
        } else {
            bench.redis.kill()
        }
        let first = measured(&mut bench, Duration::from_secs(1)).await;
        println!("p99 of an append before: {before:?}; slowest of the first second: {:?}", first.last().unwrap());
        let mut best = Duration::MAX;
        for _ in 0..5 {
            let after = p99(&measured(&mut bench, Duration::from_secs(2)).await);
            println!("p99 of an append while redis is away (frozen: {frozen}): {after:?}");
            best = best.min(after);
            if best <= 2 * before {
                break;
            }
        }
        assert!(bench.is_degraded());
        assert!(best <= 2 * before, "{before:?} {best:?}");
        assert!(*first.last().unwrap() < Duration::from_secs(1), "{first:?}");
        if frozen {
            bench.redis.resume()
        } else {
            bench.redis.run().await
        }
        bench.healed().await;
    }
    bench.check().await;
}
