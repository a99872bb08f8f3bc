//! Limits that all instances share, on a real server.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::Bench;
use crate::store::postgres::live::keys;
use crate::store::postgres::live::limits::Buckets;
use crate::store::{Bucket, SharedLimits};

/// As long as a machine that is busy with other tests may take.
const PATIENT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn buckets_empty_and_say_when_to_come_back() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let buckets = Buckets::new(Arc::clone(&bench.link), true, PATIENT);
    let bucket = |key, most| Bucket { name: "events", key, most };
    let charge = async |key, most, tokens| buckets.charge(bucket(key, most), tokens).await.unwrap();
    assert_eq!(charge(1, 2, 1).await, Ok(()));
    assert_eq!(charge(1, 2, 1).await, Ok(()));
    let wait = charge(1, 2, 1).await.unwrap_err();
    assert!((29..=30).contains(&wait), "{wait}");
    let wait = charge(1, 2, 2).await.unwrap_err();
    assert!((59..=60).contains(&wait), "{wait}");
    assert_eq!(charge(2, 2, 1).await, Ok(()), "each key has its own");
    // All or none, and no more than there can be.
    assert_eq!(charge(3, 100, 1).await, Ok(()));
    assert!(charge(3, 100, 100).await.is_err());
    assert_eq!(charge(3, 100, 99).await, Ok(()));
    assert_eq!(charge(4, 100, 500).await, Ok(()));
    assert_eq!(charge(4, 100, 1).await, Err(1));
    assert_eq!(charge(4, 100, 0).await, Ok(()), "nothing is there even in an empty bucket");
    // A bucket that fills in no time never empties.
    for _ in 0..10 {
        assert_eq!(charge(5, u32::MAX, 1_000_000).await, Ok(()));
    }
    // Keys go by themselves when their buckets are full again.
    let left: i64 = bench.server.command(&["PTTL", &keys::bucket("events", 2)]).await;
    assert!((0..=30_002).contains(&left), "{left}");
    bench.server.pause();
    assert_eq!(buckets.charge(bucket(1, 2), 1).await, None, "it cannot tell");
    bench.server.resume();
}

/// Ten thousand charges of one bucket from many tasks at once: exactly as many as there are pass.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn charges_at_the_same_time_share_one_bucket() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let buckets = Arc::new(Buckets::new(Arc::clone(&bench.link), true, PATIENT));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let buckets = Arc::clone(&buckets);
        tasks.spawn(async move {
            let mut passed = 0;
            for _ in 0..20 {
                // Fills by one in six seconds.
                let bucket = Bucket { name: "events", key: 7, most: 10 };
                passed += u32::from(buckets.charge(bucket, 1).await.unwrap().is_ok());
            }
            passed
        });
    }
    let passed: u32 = tasks.join_all().await.into_iter().sum();
    assert!((10..=12).contains(&passed), "{passed}");
}

/// What a bucket with plenty owes reaches Redis, and is taken there whatever is left.
#[tokio::test]
async fn a_bucket_with_plenty_is_charged_later_and_counted_all_the_same() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let [one, two] = [(), ()].map(|()| Arc::new(Buckets::new(Arc::clone(&bench.link), true, PATIENT)));
    let bucket = Bucket { name: "events", key: 9, most: 1_000 };
    let charge = async |buckets: &Buckets, tokens| buckets.charge(bucket, tokens).await.unwrap();
    assert_eq!(charge(&one, 100).await, Ok(()), "asked: nothing was known");
    assert_eq!(charge(&two, 1).await, Ok(()));
    for _ in 0..100 {
        assert_eq!(charge(&one, 2).await, Ok(()));
    }
    // Nothing is sent yet: Redis has received the first charges only.
    let left = async || bench.server.command::<i64>(&["PTTL", &keys::bucket("events", 9)]).await;
    assert!(left().await <= 6_100, "{}", left().await);
    // More than half a bucket would be gone, so it is asked, and receives all earlier charges.
    assert!(charge(&one, 700).await.is_err());
    assert!((17_000..=18_100).contains(&left().await), "{}", left().await);
    assert_eq!(charge(&one, 600).await, Ok(()), "301 were taken, and some came back");

    // Another one is wrong for a moment, at most: what it let pass empties the bucket, no more.
    assert_eq!(charge(&two, 300).await, Ok(()));
    let sender = Arc::clone(&two);
    let sender = tokio::spawn(async move { sender.send().await });
    while charge(&two, 1).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!((59_000..=60_001).contains(&left().await), "{}", left().await);
    assert!(charge(&one, 60).await.is_err());
    sender.abort();
}

/// What many buckets owe is charged by few calls.
#[tokio::test]
async fn many_buckets_are_charged_together() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let buckets = Arc::new(Buckets::new(Arc::clone(&bench.link), true, PATIENT));
    let all: Vec<Bucket> = (0..150_u128)
        .map(|key| Bucket { name: if key % 3 == 0 { "reads" } else { "events" }, key, most: 60 })
        .collect();
    for bucket in &all {
        assert_eq!(buckets.charge(*bucket, 10).await, Some(Ok(())), "asked: nothing was known");
        assert!(buckets.charge_at_once(*bucket, 10));
    }
    let calls = async || {
        let stats: String = bench.server.command(&["INFO", "commandstats"]).await;
        let calls = stats.split_once("cmdstat_evalsha:calls=").and_then(|(_, rest)| rest.split_once(','));
        calls.unwrap().0.parse::<u32>().unwrap()
    };
    let before = calls().await;
    let sender = Arc::clone(&buckets);
    let sender = tokio::spawn(async move { sender.send().await });
    for bucket in &all {
        // A token comes back a second, and a full bucket's key goes.
        let key = keys::bucket(bucket.name, bucket.key);
        let charged = async { while bench.server.command::<i64>(&["PTTL", &key]).await <= 10_001 {} };
        tokio::time::timeout(Duration::from_secs(9), charged).await.unwrap();
    }
    assert_eq!(calls().await - before, 2, "one for each name");
    sender.abort();
}

/// A request does not wait for a slow Redis, even before the timeout at which Redis counts as away; its
/// charges arrive later.
#[tokio::test]
async fn a_slow_redis_delays_no_charge_and_is_charged_later() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let buckets = Arc::new(Buckets::new(Arc::clone(&bench.link), true, Duration::from_millis(1)));
    let bucket = |key| Bucket { name: "events", key, most: 60 };
    bench.server.pause();
    for key in 0..3 {
        assert_eq!(buckets.charge(bucket(key), 30).await, None, "it cannot tell in time");
    }
    for key in 3..10 {
        assert_eq!(buckets.charge(bucket(key), 30).now_or_never(), Some(None), "after three it is not waited for");
    }
    assert!(!bench.link.is_open(), "none has waited until it is given up");
    let spent = buckets.charge(bucket(0), 60).await;
    assert!(matches!(spent, Some(Err(29..=30))), "what was taken is not there twice: {spent:?}");
    bench.server.resume();
    let sender = Arc::clone(&buckets);
    let sender = tokio::spawn(async move { sender.send().await });
    for key in 0..10 {
        let key = keys::bucket("events", key);
        let charged = async { while bench.server.command::<i64>(&["PTTL", &key]).await <= 0 {} };
        tokio::time::timeout(Duration::from_secs(20), charged).await.unwrap();
    }
    sender.abort();
}

#[tokio::test]
async fn without_a_background_buckets_are_always_asked() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let buckets = Buckets::new(Arc::clone(&bench.link), false, PATIENT);
    let bucket = Bucket { name: "events", key: 9, most: 1_000_000 };
    for n in 1..=3_u32 {
        assert_eq!(buckets.charge(bucket, 100_000).await, Some(Ok(())));
        let left: i64 = bench.server.command(&["PTTL", &keys::bucket("events", 9)]).await;
        assert!(left > i64::from(n) * 6_000 - 1_000, "{left}");
    }
}
