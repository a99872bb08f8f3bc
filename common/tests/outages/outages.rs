//! Each way in which Redis can fail.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::metrics::Metrics;
use common::site::Site;
use common::store::conformance::samples::{event, on_site, quiet};
use common::store::postgres::Postgres;
use common::store::roles::*;
use futures_util::StreamExt as _;

use crate::servers::sql;
use crate::{Bench, PATIENCE, PATIENT};

/// Fails after a minute instead of waiting for ever.
async fn timely<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_and_started_empty() {
    let Some(mut bench) = Bench::start().await else { return };
    bench.append(50).await;
    bench.check().await;
    bench.healed().await;
    bench.redis.kill();
    for _ in 0..5 {
        timely(bench.append(10)).await;
        bench.degraded().await;
        bench.check().await;
    }
    assert_eq!(bench.metrics.redis_breaker_open.get(), 1);
    assert_eq!(bench.store.version(), None, "no answer is kept: other instances' commits may come late");
    bench.redis.run().await;
    bench.well().await;
    bench.append(10).await;
    bench.well().await;
    assert_eq!(bench.metrics.redis_breaker_open.get(), 0);
    assert_eq!(bench.metrics.outages_total.with_label_values(&["redis"]).get(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn away_from_the_start() {
    let Some(mut bench) = Bench::start().await else { return };
    bench.redis.kill();
    bench.reopen().await;
    assert!(bench.is_degraded());
    timely(bench.append(20)).await;
    bench.check().await;
    bench.redis.run().await;
    bench.well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen() {
    let Some(mut bench) = Bench::start().await else { return };
    bench.append(50).await;
    bench.projected().await;
    let rebuilt = bench.metrics.redis_rebuilds_total.get();
    bench.redis.pause();
    // The test in `latency` measures whether appends wait for the timeout.
    for _ in 0..20 {
        timely(bench.append(1)).await;
    }
    bench.check().await;
    bench.degraded().await;
    bench.redis.resume();
    bench.well().await;
    assert_eq!(bench.metrics.redis_rebuilds_total.get(), rebuilt, "only when they were new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_for_a_while() {
    let Some(mut bench) = Bench::start().await else { return };
    bench.append(50).await;
    bench.redis.command::<()>(&["CLIENT", "PAUSE", "3000", "ALL"]).await;
    timely(bench.append(10)).await;
    bench.degraded().await;
    bench.check().await;
    bench.well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_cut() {
    let Some(mut bench) = Bench::start().await else { return };
    bench.append(7).await;
    // A rebuild whose last reply is lost is complete, and not counted.
    bench.projected().await;
    let rebuilt = bench.metrics.redis_rebuilds_total.get();
    for _ in 0..10 {
        bench.append(7).await;
        bench.redis.command::<()>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
        bench.redis.command::<u64>(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        timely(bench.append(5)).await;
        bench.check().await;
    }
    bench.well().await;
    assert_eq!(bench.metrics.redis_rebuilds_total.get(), rebuilt, "only when they were new");
}

/// Keys of a period that were evicted do not begin with 0: the next event finds out. The process sees no
/// eviction: that a key was deleted is in no counter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evicted_unseen() {
    let Some(mut bench) = Bench::start().await else { return };
    bench.append(50).await;
    bench.projected().await;
    let rebuilt = bench.metrics.redis_rebuilds_total.get();
    bench.evict("").await;
    bench.append(5).await;
    bench.rebuilt(rebuilt + 2).await;
    bench.well().await;
}

/// Keys of a day that gets no more events: that the server has evicted some is all that tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evicted_of_a_day_that_is_over() {
    let Some(mut bench) = Bench::start().await else { return };
    bench.append(80).await;
    bench.projected().await;
    let rebuilt = bench.metrics.redis_rebuilds_total.get();
    for (name, value) in [("maxmemory-policy", "volatile-ttl"), ("maxmemory-samples", "64")] {
        bench.redis.command::<()>(&["CONFIG", "SET", name, value]).await;
    }
    // Key by key, those that expire first.
    let yesterday = "analytics:{a}:stats:day:2025-12-30:total_events";
    timely(async {
        while bench.redis.command::<bool>(&["EXISTS", yesterday]).await {
            let less = bench.used_memory().await - 1;
            bench.redis.command::<()>(&["CONFIG", "SET", "maxmemory", &less.to_string()]).await;
        }
    })
    .await;
    bench.redis.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    bench.rebuilt(rebuilt + 2).await;
    bench.well().await;
    assert_eq!(bench.metrics.outages_total.with_label_values(&["redis"]).get(), 0, "it was there all the time");
}

/// Keys are deleted while no instance runs, with events afterwards, and without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evicted_while_stopped() {
    let Some(mut bench) = Bench::start().await else { return };
    bench.append(50).await;
    bench.projected().await;
    for (evicted, events) in [("", 5), (":month:", 0)] {
        bench.store.close().await;
        bench.evict(evicted).await;
        bench.redis.command::<u64>(&["DEL", "analytics:{a}:realtime:visitors"]).await;
        bench.reopen().await;
        if events > 0 {
            bench.append(events).await;
        }
        bench.rebuilt(2).await;
        bench.well().await;
    }
}

/// Emptied again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushed() {
    let Some(mut bench) = Bench::start().await else { return };
    for _ in 0..5 {
        bench.append(20).await;
        bench.redis.command::<()>(&["FLUSHALL"]).await;
        bench.check().await;
        bench.append(5).await;
        bench.check().await;
        bench.redis.command::<()>(&["FLUSHALL"]).await;
        bench.append(5).await;
        bench.check().await;
    }
    bench.well().await;
    bench.redis.command::<()>(&["FLUSHALL"]).await;
    // Without questions or events too.
    bench.projected().await;
    bench.well().await;
}

/// Of many sites, those that were used last are the first that an emptied Redis has again. One does not wait
/// for the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushed_with_many_sites() {
    const SITES: usize = 200;
    let Some(bench) = Bench::start().await else { return };
    let name = |number: usize| format!("s{number}.example");
    let view = |number: usize| on_site(event("page_view", 1, bench.now), &name(number));
    let position = async |number: usize| bench.watermark(&Site::parse(&name(number)).unwrap()).await;
    bench.store.append((0..SITES).map(view).collect(), bench.now).await.unwrap();
    let used = [150, 7];
    for number in used {
        bench.store.append(vec![view(number)], bench.now).await.unwrap();
    }
    let started = Instant::now();
    while position(used[0]).await != 2 || position(used[1]).await != 2 || bench.metrics.redis_sites_behind.get() > 0 {
        assert!(started.elapsed() < PATIENCE, "not all sites are there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    bench.redis.command::<()>(&["CONFIG", "SET", "notify-keyspace-events", "K$"]).await;
    let mut written = redis::Client::open(bench.redis.url()).unwrap().get_async_pubsub().await.unwrap();
    written.psubscribe("__keyspace@0__:analytics:{s*}:watermark").await.unwrap();
    bench.redis.command::<()>(&["FLUSHALL"]).await;
    let mut written = written.into_on_message();
    let (mut before, mut missing) = (0, BTreeSet::from(used.map(name)));
    while !missing.is_empty() {
        let message = timely(written.next()).await.unwrap();
        let (_, site) = message.get_channel_name().split_once('{').unwrap();
        let (site, _) = site.split_once('}').unwrap();
        before += usize::from(!missing.remove(site));
    }
    // Those that are found to be missing first may be under way before it is known that all are.
    assert!(before < SITES / 10, "{before} other sites came first");
    for number in used {
        let views = format!("analytics:{{{}}}:stats:day:2025-12-31:page_views", name(number));
        let views: String = bench.redis.command(&["GET", &views]).await;
        assert_eq!(views, "2", "it is whole");
    }
}

/// What was saved some time ago is behind, and nothing has to be rebuilt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn started_from_an_older_copy() {
    let Some(mut bench) = Bench::start().await else { return };
    bench.append(50).await;
    bench.projected().await;
    let rebuilt = bench.metrics.redis_rebuilds_total.get();
    bench.redis.command::<()>(&["SAVE"]).await;
    bench.append(50).await;
    bench.redis.kill();
    bench.redis.run().await;
    bench.check().await;
    bench.append(10).await;
    bench.check().await;
    bench.well().await;
    assert_eq!(bench.metrics.redis_rebuilds_total.get(), rebuilt, "only when they were new");
}

/// A process that was started while Redis was away has seen no watermark.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn back_from_an_older_copy_after_a_restart() {
    let Some(mut bench) = Bench::start().await else { return };
    bench.append(50).await;
    for _ in 0..3 {
        bench.redis.command::<()>(&["SAVE"]).await;
        bench.append(50).await;
        bench.redis.kill();
        bench.reopen().await;
        bench.redis.run().await;
        bench.check().await;
        bench.well().await;
    }
}

/// Under `allkeys-…` any key may be evicted at any time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evicting() {
    let Some(mut bench) = Bench::start().await else { return };
    bench.append(50).await;
    bench.projected().await;
    let used = bench.used_memory().await;
    bench.redis.command::<()>(&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]).await;
    bench.redis.command::<()>(&["CONFIG", "SET", "maxmemory", &(used + 1_000_000).to_string()]).await;
    let junk = "x".repeat(20_000);
    for round in 0..20 {
        for number in 0..10 {
            bench.redis.command::<()>(&["SET", &format!("junk:{round}:{number}"), &junk]).await;
        }
        timely(bench.append(5)).await;
    }
    bench.check().await;
    bench.redis.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    // Some keys are missing until all are built anew.
    let rebuilds = bench.metrics.redis_rebuilds_total.get();
    let started = Instant::now();
    while bench.metrics.redis_rebuilds_total.get() < rebuilds + 2 {
        assert!(started.elapsed() < PATIENCE, "it is not rebuilt");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bench.well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room() {
    let Some(mut bench) = Bench::start().await else { return };
    bench.append(50).await;
    bench.projected().await;
    let rebuilt = bench.metrics.redis_rebuilds_total.get();
    bench.redis.command::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    timely(bench.append(5)).await;
    bench.degraded().await;
    bench.check().await;
    bench.redis.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    bench.well().await;
    assert_eq!(bench.metrics.redis_rebuilds_total.get(), rebuilt, "only when they were new");
}

/// A database that was restored from an older copy has fewer events than Redis has counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ahead_of_postgresql() {
    let Some(mut bench) = Bench::start().await else { return };
    bench.append(40).await;
    bench.projected().await;
    let mark: String = bench.redis.command(&["GET", "analytics:{a}:watermark"]).await;
    let (store, _) = mark.split_once(':').unwrap();
    bench.store.close().await;
    bench.redis.command::<()>(&["SET", "analytics:{a}:watermark", &format!("{store}:-:1000000")]).await;
    bench.redis.command::<()>(&["INCRBY", "analytics:{a}:stats:day:2025-12-31:total_events", "7"]).await;
    bench.reopen().await;
    bench.check().await;
    bench.append(10).await;
    bench.well().await;
}

/// Another database's figures are not taken for this one's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filled_from_another_database() {
    let Some(mut bench) = Bench::start().await else { return };
    let Some(other) = bench.beside().await else { return };
    bench.append(40).await;
    bench.well().await;
    bench.store.close().await;
    let mut stranger = other;
    stranger.store.close().await;
    std::mem::swap(&mut stranger.redis, &mut bench.redis);
    stranger.reopen().await;
    stranger.append(11).await;
    stranger.check().await;
    stranger.well().await;
    stranger.store.close().await;
    std::mem::swap(&mut stranger.redis, &mut bench.redis);
    bench.reopen().await;
    bench.check().await;
    bench.well().await;
}

/// Two stores on one Redis would each rebuild what the other one wrote, for ever. The one that came
/// first keeps it; the other one does without until that has gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shared_with_another_store() {
    let Some(mut bench) = Bench::start().await else { return };
    let Some(mut other) = bench.beside().await else { return };
    bench.append(30).await;
    bench.projected().await;
    let rebuilt = bench.metrics.redis_rebuilds_total.get();
    other.store.close().await;
    other.metrics = Arc::new(Metrics::new().unwrap());
    let (postgres, redis) = (&other.databases.postgres, bench.redis.url());
    other.store = Postgres::open(postgres, &redis, PATIENT, Arc::clone(&other.metrics)).await.unwrap();
    other.append(20).await;
    other.check().await;
    bench.append(10).await;
    bench.well().await;
    assert_eq!(bench.metrics.redis_rebuilds_total.get(), rebuilt, "only when they were new");
    assert_eq!(other.store.degraded(), ["redis"]);
    bench.store.close().await;
    other.healed().await;
    std::mem::swap(&mut bench.redis, &mut other.redis);
    other.append(10).await;
    other.well().await;
}

/// The store's process dies between its commit and its call of Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_a_commit() {
    let Some(mut bench) = Bench::start().await else { return };
    bench.append(30).await;
    bench.redis.pause();
    timely(bench.append(10)).await;
    bench.store.close().await;
    bench.redis.resume();
    bench.reopen().await;
    bench.check().await;
    bench.well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_connections_are_cut() {
    let Some(mut bench) = Bench::start().await else { return };
    for _ in 0..5 {
        bench.append(10).await;
        sql(
            &bench.databases.postgres,
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
        )
        .await;
        // Sending again is always safe.
        let events = bench.made(10);
        let started = Instant::now();
        while bench.store.append(events.clone(), bench.now).await.is_err() {
            assert!(started.elapsed() < PATIENCE);
        }
        bench.events.extend(events);
        bench.check().await;
    }
    bench.well().await;
}

/// Figures that another program has changed do not show in answers, and `rebuild` repairs them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong() {
    let Some(mut bench) = Bench::start().await else { return };
    bench.append(60).await;
    bench.projected().await;
    for command in [
        &["INCR", "analytics:{a}:stats:day:2025-12-31:total_events"][..],
        &["PFADD", "analytics:{b}:visitors:unique:month:2025-12", "a stranger"],
        &["ZINCRBY", "analytics:{a}:themes:top", "2", "t2"],
        &["ZPOPMIN", "analytics:{a}:realtime:visitors"],
        &["DEL", "analytics:{a}:themes:day:2025-12-31"],
    ] {
        bench.redis.command::<redis::Value>(command).await;
    }
    bench.check().await;
    bench.store.rebuild(bench.now, quiet()).await.unwrap();
    bench.well().await;
    // A key of another type is found when it is written to.
    bench.redis.command::<()>(&["DEL", "analytics:{a}:realtime:visitors"]).await;
    bench.redis.command::<()>(&["HSET", "analytics:{a}:realtime:visitors", "a", "b"]).await;
    bench.append(20).await;
    bench.well().await;
}

/// A rebuild while events come in counts each of them once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebuilt_while_events_come_in() {
    let Some(mut bench) = Bench::start().await else { return };
    bench.append(500).await;
    for _ in 0..10 {
        bench.redis.command::<()>(&["FLUSHALL"]).await;
        for _ in 0..20 {
            bench.append(3).await;
        }
    }
    bench.well().await;
    assert!(bench.metrics.redis_rebuilds_total.get() >= 2);
    // A flush in the middle of a rebuild leaves no half of one.
    for _ in 0..30 {
        bench.redis.command::<()>(&["FLUSHALL"]).await;
        bench.append(1).await;
        tokio::task::yield_now().await;
    }
    bench.well().await;
}

/// New sites appear while Redis is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_sites_during_an_outage() {
    let Some(mut bench) = Bench::start().await else { return };
    bench.redis.kill();
    bench.append(20).await;
    let stranger = on_site(event("page_view", 1, bench.now), "c");
    bench.store.append(vec![stranger], bench.now).await.unwrap();
    bench.redis.run().await;
    bench.projected().await;
    let third: String = bench.redis.command(&["GET", "analytics:{c}:stats:day:2025-12-31:page_views"]).await;
    assert_eq!(third, "1");
}
