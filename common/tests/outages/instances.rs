//! Several instances on the same stores.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use common::event::Event;
use common::identity::Identity;
use common::site::Site;
use common::source::{Source, System};
use common::store::conformance::samples::quiet;
use common::store::postgres::{Options, Postgres};
use common::store::roles::*;
use common::store::{Appended, Bucket, Committed, News, Secret, SecretName};
use common::time::DAY;
use futures_util::FutureExt as _;
use tokio::sync::broadcast;
use uuid::Uuid;

use crate::{Bench, PATIENCE, PATIENT, check, healed};

/// Receives this many events, and asserts that no more follow.
pub(crate) async fn heard(feed: &mut broadcast::Receiver<News>, count: usize) -> Vec<Committed> {
    let mut heard = Vec::new();
    while heard.len() < count {
        heard.extend(tokio::time::timeout(PATIENCE, feed.recv()).await.unwrap().unwrap().committed().iter().cloned());
    }
    let more = tokio::time::timeout(Duration::from_millis(300), feed.recv()).await;
    assert!(more.is_err(), "{more:?}");
    heard
}

/// Waits until another instance's current visitors include what all have stored; then all of its
/// answers must be right.
async fn known(store: &Postgres, bench: &Bench) {
    let started = std::time::Instant::now();
    for site in ["a", "b"].map(|name| Site::parse(name).unwrap()) {
        let current = async |store: &Postgres| store.realtime(&site, bench.now, crate::WINDOW).await.unwrap();
        let fresh = bench.another(Options::FUNCTION).await;
        while current(store).await != current(&fresh).await {
            assert!(started.elapsed() < PATIENCE, "{site}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    check(store, &bench.events, bench.now).await;
}

fn once_and_in_order(heard: &[Committed], events: &[Event]) {
    let mut last = HashMap::<Site, u64>::new();
    for Committed { position, event } in heard {
        let before = last.insert(event.site.clone(), position.0).unwrap_or(0);
        assert_eq!(before + 1, position.0, "{}", event.site);
    }
    let mut ids: Vec<Uuid> = heard.iter().map(|committed| committed.event.id).collect();
    let mut sent: Vec<Uuid> = events.iter().map(|event| event.id).collect();
    ids.sort();
    sent.sort();
    assert_eq!(ids, sent);
}

/// Appends to each of the stores in turn, all at the same time.
async fn append_to_all(bench: &mut Bench, stores: &[&Postgres], count: usize) {
    let events = bench.made(count);
    let now = bench.now;
    let appends = stores.iter().enumerate().map(|(number, store)| {
        let mine: Vec<Event> = events.iter().skip(number).step_by(stores.len()).cloned().collect();
        async move {
            for part in mine.chunks(3) {
                for answer in store.append(part.to_vec(), now).await.unwrap() {
                    assert!(matches!(answer, Appended::Stored), "{answer:?}");
                }
            }
        }
    });
    futures_util::future::join_all(appends).await;
    bench.events.extend(events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_listener_receives_every_event_once_and_in_order() {
    let Some(mut bench) = Bench::start().await else { return };
    let (two, three) = (bench.another(PATIENT).await, bench.another(PATIENT).await);
    let one = bench.another(PATIENT).await;
    let stores = [&one, &two, &three];
    let mut feeds = stores.map(|store| store.subscribe());
    append_to_all(&mut bench, &stores, 300).await;
    for feed in &mut feeds {
        once_and_in_order(&heard(feed, 300).await, &bench.events);
    }
    for store in stores {
        known(store, &bench).await;
    }
    bench.well().await;
}

/// The feed goes on by way of PostgreSQL while Redis is away, and by messages afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_survives_an_outage() {
    let Some(mut bench) = Bench::start().await else { return };
    let (one, two) = (bench.another(PATIENT).await, bench.another(PATIENT).await);
    let stores = [&one, &two];
    let mut feeds = stores.map(|store| store.subscribe());
    append_to_all(&mut bench, &stores, 40).await;
    bench.redis.kill();
    append_to_all(&mut bench, &stores, 40).await;
    bench.redis.run().await;
    append_to_all(&mut bench, &stores, 40).await;
    bench.redis.pause();
    append_to_all(&mut bench, &stores, 40).await;
    bench.redis.resume();
    append_to_all(&mut bench, &stores, 40).await;
    for feed in &mut feeds {
        once_and_in_order(&heard(feed, 200).await, &bench.events);
    }
    for store in stores {
        healed(store).await;
        known(store, &bench).await;
    }
    bench.well().await;
}

/// The clock of one instance is ahead for a request by more than a year: no answer of any is wrong
/// afterwards, and Redis has what it should.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_ahead_is_forgotten() {
    let Some(mut bench) = Bench::start().await else { return };
    bench.now = System.now();
    let two = bench.another(PATIENT).await;
    bench.append(40).await;
    bench.projected().await;
    let (ahead, events) = (bench.now.plus(400 * DAY), bench.made(3));
    bench.store.append(events.clone(), ahead).await.unwrap();
    bench.events.extend(events);
    for site in ["a", "b"].map(|name| Site::parse(name).unwrap()) {
        two.realtime(&site, ahead, crate::WINDOW).await.unwrap();
    }
    bench.append(10).await;
    known(&two, &bench).await;
    bench.well().await;
}

/// Answers that an instance has kept are old when another process has rebuilt the figures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_elsewhere_makes_answers_old() {
    let Some(mut bench) = Bench::start().await else { return };
    bench.append(20).await;
    let two = bench.another(PATIENT).await;
    let kept = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(version) = two.version() {
                break version;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let kept = kept.await.unwrap();
    let recounted = bench.store.rebuild(bench.now, quiet()).await.unwrap();
    assert_eq!(recounted.differences, []);
    let older = async {
        while two.version() == Some(kept) {
            tokio::time::sleep(Duration::from_millis(20)).await
        }
    };
    tokio::time::timeout(PATIENCE, older).await.expect("kept answers are old");
}

/// Batches that are too large for a message are read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_batches_are_heard_too() {
    let Some(bench) = Bench::start().await else { return };
    let two = bench.another(PATIENT).await;
    let mut feed = two.subscribe();
    let fields = serde_json::json!({"text": "x".repeat(4_000)});
    let events: Vec<Event> = bench
        .made(200)
        .into_iter()
        .map(|event| common::store::conformance::samples::with_data(event, &fields))
        .collect();
    bench.store.append(events.clone(), bench.now).await.unwrap();
    once_and_in_order(&heard(&mut feed, 200).await, &events);
}

/// An instance dies between its commit and its call of Redis: another one notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_leaves_behind_another_repairs() {
    let Some(mut bench) = Bench::start().await else { return };
    let two = bench.another(PATIENT).await;
    append_to_all(&mut bench, &[&two], 30).await;
    bench.projected().await;
    // As a crash right after a commit leaves it: Redis stands where it stood before.
    bench.redis.command::<()>(&["SAVE"]).await;
    append_to_all(&mut bench, &[&two], 10).await;
    bench.store.close().await;
    bench.redis.kill();
    bench.redis.run().await;
    healed(&two).await;
    let started = std::time::Instant::now();
    loop {
        let mark: String = bench.redis.command(&["GET", "analytics:{a}:watermark"]).await;
        let count = bench.events.iter().filter(|event| event.site.as_str() == "a").count();
        if mark.ends_with(&format!(":{count}")) {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{mark} of {count}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    known(&two, &bench).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_salts_and_claims_are_shared() {
    let Some(bench) = Bench::start().await else { return };
    let two = Arc::new(bench.another(PATIENT).await);
    let one = Arc::new(bench.another(PATIENT).await);
    let bucket = Bucket { name: "events", key: 5, most: 3 };
    let (first, second) = (one.limits().unwrap(), two.limits().unwrap());
    assert_eq!(first.charge(bucket, 1).await, Some(Ok(())));
    assert_eq!(second.charge(bucket, 2).await, Some(Ok(())));
    assert!(matches!(first.charge(bucket, 1).await, Some(Err(15..=20))));
    assert!(matches!(second.charge(bucket, 1).await, Some(Err(15..=20))));

    let salt = |byte| Secret { bytes: [byte; 32], expires: Some(bench.now.plus(1_000)) };
    let name = SecretName::Salt(bench.now.day());
    let a = one.secret(name, salt(1), bench.now).await.unwrap();
    assert_eq!(two.secret(name, salt(2), bench.now).await.unwrap(), a);

    // Addresses make the same keys in all processes, and another day others.
    let keys = [Arc::clone(&one), Arc::clone(&two)].map(|store| Identity::new(store, Arc::new(System)));
    let tomorrow = bench.now.plus(86_400_000);
    let mut made = Vec::new();
    for identity in &keys {
        made.push(identity.bucket_key(b"client", bench.now).await.unwrap());
        made.push(identity.bucket_key(b"client", tomorrow).await.unwrap());
    }
    assert_eq!(made[..2], made[2..]);
    assert_ne!(made[0], made[1]);
    assert_ne!(made[0], keys[0].bucket_key(b"other", bench.now).await.unwrap());

    let claims = tokio::join!(one.claim_cleanup(bench.now), two.claim_cleanup(bench.now));
    assert_ne!(claims.0.unwrap(), claims.1.unwrap());
}

/// Without Redis there is no shared count: the answer is `None` at once, and each process limits
/// by its own buckets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_cannot_tell_during_an_outage() {
    let Some(mut bench) = Bench::with(PATIENT).await else { return };
    let limits = bench.store.limits().unwrap();
    let bucket = Bucket { name: "events", key: 5, most: 1 };
    assert_eq!(limits.charge(bucket, 1).await, Some(Ok(())));
    bench.redis.kill();
    assert_eq!(limits.charge(bucket, 1).await, None);
    for _ in 0..1_000 {
        assert_eq!(limits.charge(bucket, 1).now_or_never(), Some(None), "nothing is waited for");
    }
    bench.redis.run().await;
    healed(&bench.store).await;
    assert_eq!(limits.charge(bucket, 1).await, Some(Ok(())));
}
