//! The live feed: everything once, in the order of commits.

use std::sync::atomic::{AtomicBool, Ordering};

use uuid::Uuid;

use super::Fixture;
use super::samples::{at, event, on_site, put, site};
use crate::event::Event;
use crate::site::Site;
use crate::store::{Position, Store};
use crate::time::HOUR;

async fn after(store: &dyn Store, position: Position, limit: usize) -> Vec<Uuid> {
    let committed = store.committed_after(&site(), position, limit).await.unwrap();
    assert!(committed.is_sorted_by_key(|committed| committed.position));
    committed.into_iter().map(|committed| committed.event.id).collect()
}

pub async fn commits_are_heard_in_order(fixture: impl Fixture) {
    let store = fixture.store();
    let mut feed = store.subscribe();
    let now = at("2025-12-08T10:00:00Z");
    // A late event is heard when it is committed, not at its own time.
    let events = [event("scroll", 1, now), event("scroll", 2, now.plus(-1_000)), on_site(event("scroll", 3, now), "b")];
    for event in &events {
        put(store, std::slice::from_ref(event)).await;
    }
    let mut heard = Vec::new();
    while heard.len() < events.len() {
        heard.extend(feed.recv().await.unwrap().committed().iter().cloned());
    }
    assert!(heard[0].position < heard[1].position, "in order of position within a site");
    assert_eq!(heard.into_iter().map(|committed| committed.event).collect::<Vec<Event>>(), events);
}

pub async fn duplicates_are_not_heard(fixture: impl Fixture) {
    let store = fixture.store();
    let mut feed = store.subscribe();
    let now = at("2025-12-08T10:00:00Z");
    let (first, second) = (event("scroll", 1, now), event("scroll", 1, now));
    store.append(vec![first.clone(), first.clone()], now).await.unwrap();
    store.append(vec![first.clone(), second.clone()], now).await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < 2 {
        heard.extend(feed.recv().await.unwrap().committed().iter().map(|committed| committed.event.id));
    }
    assert_eq!(heard, [first.id, second.id]);
}

pub async fn positions_grow(mut fixture: impl Fixture) {
    let now = at("2025-12-08T10:00:00Z");
    let (first, second) = (event("scroll", 1, now), event("scroll", 1, now.plus(-5_000)));
    put(fixture.store(), std::slice::from_ref(&first)).await;
    fixture.reopen().await;
    let store = fixture.store();
    put(store, std::slice::from_ref(&second)).await;
    let (a, b) = (store.position(&site(), first.id).await.unwrap(), store.position(&site(), second.id).await.unwrap());
    assert!(a.is_some() && a < b, "{a:?} {b:?}");
    assert_eq!(store.position(&site(), Uuid::nil()).await.unwrap(), None);
    assert_eq!(store.position(&Site::parse("other").unwrap(), first.id).await.unwrap(), None);
}

pub async fn a_feed_is_resumed_without_gap_or_repeat(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T10:00:00Z");
    let events: Vec<Event> = (0..20).map(|number| event("scroll", number, now.plus(-(number as i64)))).collect();
    for pair in events.chunks(2) {
        put(store, pair).await;
        put(store, &[on_site(event("scroll", 1, now), "b")]).await;
    }
    let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
    let fifth = store.position(&site(), ids[4]).await.unwrap().unwrap();
    assert_eq!(after(store, fifth, 100).await, ids[5..]);
    assert_eq!(after(store, fifth, 3).await, ids[5..8]);
    let last = store.position(&site(), ids[19]).await.unwrap().unwrap();
    assert_eq!(after(store, last, 100).await, [] as [Uuid; 0]);
    let latest = store.latest_position(&site()).await.unwrap();
    assert!(latest >= last);
    let late = event("scroll", 1, now.plus(-HOUR));
    put(store, std::slice::from_ref(&late)).await;
    assert_eq!(after(store, latest, 100).await, [late.id]);
}

/// What is read while events are committed is the beginning of the feed: a reader that continues
/// after the last event of it misses none.
pub async fn reads_while_events_are_committed_have_no_holes(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T10:00:00Z");
    // Some ids begin with the time, others do not: engines may keep them in different places.
    let append = async |writer: u64| {
        for number in 0..50 {
            let mut event = event("scroll", writer, now.plus(-number));
            if number % 3 > 0 {
                let time = event.created_at.millis() as u64;
                event.id = Uuid::from_u64_pair(time << 16 | 0x7000, event.id.as_u64_pair().1);
            }
            put(store, &[event]).await;
        }
    };
    let done = AtomicBool::new(false);
    let read = async || {
        let mut reads = Vec::new();
        while !done.load(Ordering::Acquire) {
            reads.push(after(store, Position(0), 1_000).await);
        }
        reads
    };
    let write = async {
        tokio::join!(append(1), append(2));
        done.store(true, Ordering::Release);
    };
    let ((), first, second) = tokio::join!(write, read(), read());
    let all = after(store, Position(0), 1_000).await;
    assert_eq!(all.len(), 100);
    for read in first.iter().chain(&second) {
        let hole = read.iter().zip(&all).position(|(read, one)| read != one);
        assert_eq!(hole, None, "a hole in the first {}", read.len());
    }
}
