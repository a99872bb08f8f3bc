//! A PostgreSQL that was restored from a copy, which Redis was not: its positions are given again,
//! to other events, and Redis must not take them for those that it has counted.

use std::time::{Duration, Instant};

use common::store::News;
use common::store::conformance::samples::{event, on_site};
use common::store::roles::*;

use crate::instances::heard;
use crate::{Bench, PATIENCE, PATIENT};

/// Where nothing listens.
const NOWHERE: &str = "redis://127.0.0.1:1";

impl Bench {
    /// Appends 40 events, makes a copy of them, and opens the store again.
    async fn copied(&mut self) -> String {
        self.append(40).await;
        self.store.close().await;
        let copy = self.databases.copy().await;
        self.reopen().await;
        copy
    }

    /// Waits until the store has looked around twice: then it knows which events are the last ones.
    async fn looked_twice(&self) {
        let started = Instant::now();
        let look = self.metrics.redis_operation_duration_seconds.with_label_values(&["look"]);
        // A look asks Redis five times at most.
        while look.get_sample_count() < 12 {
            assert!(started.elapsed() < PATIENCE, "it does not look");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Goes back to a copy that was made when there were so many events.
    async fn restore(&mut self, copy: &str, events: usize) {
        self.databases.restore(copy).await;
        self.events.truncate(events);
    }

    /// Appends other events than have ever been there, until that succeeds.
    async fn append_others(&mut self, count: usize) {
        let events: Vec<_> = (0..count)
            .map(|number| {
                let event = event("page_view", 50 + number as u64 % 5, self.now);
                on_site(event, if number % 5 == 0 { "b" } else { "a" })
            })
            .collect();
        while self.store.append(events.clone(), self.now).await.is_err() {}
        self.events.extend(events);
    }
}

/// Redis has counted 60 events; the copy has 40 of them, and 30 others since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overtaken_while_redis_was_away() {
    let Some(mut bench) = Bench::start().await else { return };
    let copy = bench.copied().await;
    bench.append(20).await;
    bench.well().await;
    bench.store.close().await;
    bench.restore(&copy, 40).await;
    let (databases, options) = (&bench.databases, PATIENT);
    bench.store = databases.open_at(&databases.postgres, NOWHERE, options).await;
    bench.append_others(30).await;
    bench.store.close().await;
    bench.reopen().await;
    bench.check().await;
    bench.well().await;
    assert_eq!(bench.metrics.redis_rebuilds_total.get(), 2, "of both sites");
}

/// The process goes on, and the first thing that it commits in the copy overtakes Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overtaken_at_once() {
    let Some(mut bench) = Bench::start().await else { return };
    let copy = bench.copied().await;
    bench.append(20).await;
    bench.well().await;
    bench.restore(&copy, 40).await;
    bench.append_others(30).await;
    bench.check().await;
    bench.well().await;
    bench.append_others(5).await;
    bench.well().await;
}

/// As many events were lost as came since: only which ones they are tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caught_up_exactly() {
    let Some(mut bench) = Bench::start().await else { return };
    let copy = bench.copied().await;
    bench.append(20).await;
    bench.check().await;
    bench.restore(&copy, 40).await;
    bench.append_others(20).await;
    bench.check().await;
    bench.append_others(20).await;
    bench.check().await;
    bench.well().await;
}

/// The live feed says that events are missing before it goes on, whether fewer, as many or more have
/// come than were lost, and whichever instance stores them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_has_a_gap() {
    for others in [10, 20, 30] {
        let Some(mut bench) = Bench::start().await else { return };
        let copy = bench.copied().await;
        let two = bench.another(PATIENT).await;
        let mut feeds = [bench.store.subscribe(), two.subscribe()];
        bench.append(20).await;
        for feed in &mut feeds {
            assert_eq!(heard(feed, 20).await.len(), 20);
        }
        bench.restore(&copy, 40).await;
        bench.append_others(others).await;
        for feed in &mut feeds {
            let mut missing = Vec::new();
            while missing.len() < 2 {
                match tokio::time::timeout(PATIENCE, feed.recv()).await.unwrap().unwrap() {
                    News::Gap(site) => missing.push(site.to_string()),
                    News::Committed(committed) => {
                        let told = committed.iter().all(|it| missing.contains(&it.event.site.to_string()));
                        assert!(told, "{others} others: {committed:?}");
                    }
                }
            }
            missing.sort();
            assert_eq!(missing, ["a", "b"]);
        }
        // From then on it has all, after what was stored meanwhile.
        bench.append_others(5).await;
        let after = &bench.events[40 + others..];
        for feed in &mut feeds {
            let mut ids = Vec::new();
            // The two sites have no order between them.
            while after.iter().any(|event| !ids.contains(&event.id)) {
                let news = tokio::time::timeout(PATIENCE, feed.recv()).await.unwrap().unwrap();
                ids.extend(news.committed().iter().map(|committed| committed.event.id));
            }
            for event in after {
                assert_eq!(ids.iter().filter(|id| **id == event.id).count(), 1);
            }
        }
    }
}

/// A server that was only started again has all that it had: nothing is rebuilt, and the feed goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moved_and_whole() {
    let Some(mut bench) = Bench::start().await else { return };
    let copy = bench.copied().await;
    bench.check().await;
    bench.looked_twice().await;
    let mut feed = bench.store.subscribe();
    // Another database with the same events.
    bench.restore(&copy, 40).await;
    bench.append_others(10).await;
    let mut ids = Vec::new();
    while ids.len() < 10 {
        match tokio::time::timeout(PATIENCE, feed.recv()).await.unwrap().unwrap() {
            News::Committed(committed) => ids.extend(committed.iter().map(|committed| committed.event.id)),
            News::Gap(site) => panic!("nothing is missing of {site}"),
        }
    }
    ids.sort();
    let mut others: Vec<_> = bench.events[40..].iter().map(|event| event.id).collect();
    others.sort();
    assert_eq!(ids, others);
    bench.check().await;
    bench.well().await;
    bench.reopen().await;
    bench.append_others(10).await;
    bench.well().await;
    assert_eq!(bench.metrics.redis_rebuilds_total.get(), 0);
}
