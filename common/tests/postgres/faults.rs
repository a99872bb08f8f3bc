//! Crashes and cut connections at any point between the two systems: nothing that was answered
//! is lost, nothing is counted twice, and both agree again by themselves.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::event::Event;
use common::period::{Period, PeriodKey};
use common::store::conformance::samples::{at, event, on_page, on_site, quiet};
use common::store::postgres::{Options, Postgres};
use common::store::roles::*;
use common::store::{Appended, StoreError, TimelineFrom};
use common::time::Timestamp;
use uuid::Uuid;

use crate::servers::{Databases, PATIENT, sql};

const NOW: &str = "2025-12-08T10:00:00Z";

/// A number below `most`, another one each time: points in time cannot be had again anyway.
fn random(most: u64) -> u64 {
    Uuid::new_v4().as_u64_pair().0 % most
}

/// Some events of two sites and a few visitors.
fn some(count: u64, who: u64) -> Vec<Event> {
    let now = at(NOW);
    (0..count)
        .map(|number| {
            let event = on_page(event("page_view", (who + number) % 7, now.plus(-(number as i64))), "/cv?theme=a");
            on_site(event, if number % 3 == 0 { "a" } else { "b" })
        })
        .collect()
}

/// Whether the store has exactly these events, and counts each once.
async fn holds(store: &Postgres, expected: &HashSet<Uuid>, now: Timestamp) {
    let recount = store.verify(now, quiet()).await.unwrap();
    assert_eq!(recount.differences, []);
    let (mut stored, mut counted) = (HashSet::new(), 0);
    for site in store.sites().await.unwrap() {
        // A transaction of the process that died may still be committed by the server in between.
        let (events, totals) = loop {
            let before = store.totals(&site, PeriodKey::of(Period::Week, now.day())).await.unwrap();
            let events = store.timeline(&site, TimelineFrom::all(0), 100_000).await.unwrap();
            let totals = store.totals(&site, PeriodKey::of(Period::Week, now.day())).await.unwrap();
            if before == totals {
                break (events, totals);
            }
        };
        let visitors: HashSet<_> = events.iter().map(|event| event.visitor).collect();
        assert_eq!((totals.events, totals.visitors), (events.len() as u64, visitors.len() as u64), "{site}");
        counted += totals.events;
        stored.extend(events.into_iter().map(|event| event.id));
    }
    assert_eq!(stored.len() as u64, counted, "an id stands for one event");
    assert!(expected.is_subset(&stored), "{} of those answered are missing", expected.difference(&stored).count());
}

/// The process dies at a random point of a batch's way: before, in, or after its transaction,
/// before or after Redis heard of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_point_is_healed() {
    let Some(databases) = Databases::fresh().await else { return };
    let now = at(NOW);
    let mut answered = HashSet::new();
    for round in 0..12 {
        let store = Arc::new(databases.open(PATIENT).await);
        let batches: Vec<Vec<Event>> = (0..6).map(|who| some(1 + random(9), who)).collect();
        let mut appends = Vec::new();
        for batch in batches {
            let store = Arc::clone(&store);
            appends.push(tokio::spawn(async move {
                let ids: Vec<Uuid> = batch.iter().map(|event| event.id).collect();
                store.append(batch, now).await.map(|_| ids)
            }));
        }
        tokio::time::sleep(Duration::from_micros(random(30_000))).await;
        for append in appends {
            append.abort();
            if let Ok(Ok(ids)) = append.await {
                answered.extend(ids);
            }
        }
        // No close: what was under way stops where it is.
        drop(store);
        if round % 3 == 2 {
            let store = databases.open(PATIENT).await;
            holds(&store, &answered, now).await;
            store.close().await;
        }
    }
}

/// Connections are cut and Redis is emptied at random points under load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disturbances_under_load_are_healed() {
    let Some(databases) = Databases::fresh().await else { return };
    let now = at(NOW);
    let store = Arc::new(databases.open(PATIENT).await);
    let done = Arc::new(AtomicBool::new(false));
    let mut senders = Vec::new();
    for who in 0..4 {
        let (store, done) = (Arc::clone(&store), Arc::clone(&done));
        senders.push(tokio::spawn(async move {
            let mut stored = HashSet::new();
            while !done.load(Ordering::Relaxed) {
                let batch = some(5, who);
                let mut again = false;
                let answers = loop {
                    match store.append(batch.clone(), now).await {
                        Ok(answers) => break answers,
                        Err(StoreError::Unavailable { .. }) => again = true,
                        Err(error) => panic!("{error:?}"),
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                };
                for (event, answer) in batch.iter().zip(answers) {
                    let fresh = matches!(answer, Appended::Stored);
                    assert!(fresh || again && answer == Appended::Duplicate, "{answer:?} to what was sent once");
                    stored.insert(event.id);
                }
            }
            stored
        }));
    }
    for _ in 0..25 {
        tokio::time::sleep(Duration::from_millis(random(120))).await;
        databases.disturb(random(4) as u8).await;
    }
    done.store(true, Ordering::Relaxed);
    let mut stored = HashSet::new();
    for sender in senders {
        stored.extend(sender.await.unwrap());
    }
    assert!(!stored.is_empty());
    holds(&store, &stored, now).await;
    let whole: u64 = store.verify(now, quiet()).await.unwrap().events;
    assert_eq!(whole, stored.len() as u64, "nothing that was not answered, for all were sent until they were");
    store.close().await;
}

/// A function that was frozen finds its connections dead, and works all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_survives_dropped_connections() {
    let Some(databases) = Databases::fresh().await else { return };
    let now = at(NOW);
    let store = databases.open(Options::FUNCTION).await;
    let mut stored = HashSet::new();
    for round in 0..4 {
        let batch = some(5, round);
        stored.extend(batch.iter().map(|event| event.id));
        let answers = store.append(batch, now).await.unwrap();
        assert!(answers.iter().all(|answer| matches!(answer, Appended::Stored)), "{answers:?}");
        databases.disturb(3).await;
        assert_eq!(store.sites().await.unwrap().len(), 2);
        databases.disturb(round as u8).await;
    }
    let week = PeriodKey::of(Period::Week, now.day());
    let mut counted = 0;
    for site in store.sites().await.unwrap() {
        counted += store.totals(&site, week).await.unwrap().events;
    }
    assert_eq!(counted, stored.len() as u64, "whichever instance answers");
    store.close().await;
    let store = databases.open(PATIENT).await;
    holds(&store, &stored, now).await;
    store.close().await;
}

/// For a moment the address leads to a standby, which only reads: connections that were made then are
/// not kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_a_standby_are_not_kept() {
    let Some(databases) = Databases::fresh().await else { return };
    let now = at(NOW);
    let store = databases.open(PATIENT).await;
    store.append(some(5, 0), now).await.unwrap();
    // Sessions keep what they began with.
    databases.set_read_only(true).await;
    databases.disturb(2).await;
    let refused = store.append(some(5, 1), now).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    assert!(store.check().await.is_err());
    databases.set_read_only(false).await;
    store.append(some(5, 2), now).await.unwrap();
    store.check().await.unwrap();
    store.close().await;
}

/// A disk without room and a damaged page, as PostgreSQL reports them: events are refused and readiness
/// says so, questions are answered, and it goes on by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_write_is_not_ready() {
    let Some(databases) = Databases::fresh().await else { return };
    let now = at(NOW);
    let store = databases.open(PATIENT).await;
    let first = some(5, 0);
    let mut stored: HashSet<Uuid> = first.iter().map(|event| event.id).collect();
    store.append(first, now).await.unwrap();
    for code in ["53100", "XX001"] {
        sql(
            &databases.postgres,
            &format!(
                "create or replace function refuse() returns trigger language plpgsql as
                     $$ begin raise 'no' using errcode = '{code}'; end $$;
                 create trigger refuse before insert on analytics_events for each statement execute function refuse()"
            ),
        )
        .await;
        let refused = some(5, 1);
        assert!(store.append(refused.clone(), now).await.is_err(), "{code}");
        assert!(store.check().await.is_err(), "{code}");
        assert_eq!(store.sites().await.unwrap().len(), 2, "{code}");
        sql(&databases.postgres, "drop trigger refuse on analytics_events").await;
        // Sent again, it is stored once.
        store.append(refused.clone(), now).await.unwrap();
        store.check().await.unwrap();
        stored.extend(refused.iter().map(|event| event.id));
        holds(&store, &stored, now).await;
    }
    store.close().await;
}
