//! A PostgreSQL that takes what it is given and does not answer: requests fail in time.

use std::time::Duration;

use common::store::conformance::samples::{at, event, quiet, site};
use common::store::postgres::{Options, Postgres};
use common::store::roles::*;
use common::store::{Appended, StoreError, TimelineFrom};
use tokio::time::timeout;

use crate::servers::Databases;
use crate::servers::wire::Wire;

/// The longest that the store may wait.
const WITHIN: Duration = Duration::from_millis(300);
/// Much longer than that, and shorter than anything else the engine waits for.
const SOON: Duration = Duration::from_secs(3);
/// More than a question may take.
const LATER: Duration = Duration::from_secs(8);

async fn opened(databases: &Databases, wire: &Wire) -> Postgres {
    let options = Options { append_within: WITHIN, ..Options::PROCESS };
    databases.open_at(&wire.url, &databases.redis, options).await
}

fn is_unavailable<T: std::fmt::Debug>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Unavailable { .. }))
}

/// Wherever an append gets stuck.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_has_one_deadline() {
    let Some(databases) = Databases::fresh().await else { return };
    let wire = Wire::before(&databases.postgres).await;
    let store = opened(&databases, &wire).await;
    let now = at("2025-12-08T10:00:00Z");
    let mut sent = vec![event("scroll", 1, now)];
    // The first one makes the site and the partitions.
    while store.append(sent.clone(), now).await.is_err() {}
    for stuck in ["begin", "for no key update", "insert into analytics_events", "commit"] {
        wire.hold(stuck);
        let event = event("scroll", 1, now);
        let answer = timeout(SOON, store.append(vec![event.clone()], now)).await;
        assert!(answer.is_ok_and(|answer| is_unavailable(&answer)), "{stuck}");
        wire.release();
        // Sending it again tells, sooner or later: it is stored once, whatever became of it.
        let again = async {
            while is_unavailable(&store.append(vec![event.clone()], now).await) {
                tokio::time::sleep(WITHIN / 10).await;
            }
        };
        // It is back by itself.
        timeout(Duration::from_secs(30), again).await.unwrap();
        sent.push(event);
    }
    assert_eq!(store.timeline(&site(), TimelineFrom::all(0), 99).await.unwrap().len(), sent.len());
    assert_eq!(store.verify(now, quiet()).await.unwrap().differences, []);
    store.close().await;
}

/// A sender that got a 503 may send again with another id: a request that still waited then is not
/// stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_refused_while_waiting_is_not_stored() {
    let Some(databases) = Databases::fresh().await else { return };
    let wire = Wire::before(&databases.postgres).await;
    let store = opened(&databases, &wire).await;
    let now = at("2025-12-08T10:00:00Z");
    let [first, stuck, waiting, last] = [1, 2, 3, 4].map(|who| event("scroll", who, now));
    while store.append(vec![first.clone()], now).await.is_err() {}
    wire.hold("commit");
    let (stuck_answer, waiting_answer) = tokio::join!(store.append(vec![stuck.clone()], now), async {
        wire.reached().await;
        store.append(vec![waiting.clone()], now).await
    });
    assert!(is_unavailable(&stuck_answer) && is_unavailable(&waiting_answer));
    wire.release();
    while store.append(vec![last.clone()], now).await.is_err() {}
    let mut stored = store.timeline(&site(), TimelineFrom::all(0), 99).await.unwrap();
    // What was in the middle of its commit may be there or not.
    stored.retain(|event| event.id != stuck.id);
    stored.sort_by_key(|event| event.visitor);
    assert_eq!(stored, [first, last]);
    assert_eq!(store.append(vec![waiting], now).await.unwrap().len(), 1);
    assert_eq!(store.verify(now, quiet()).await.unwrap().differences, []);
    store.close().await;
}

/// On connections that were there before and on new ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_has_one_deadline() {
    let Some(databases) = Databases::fresh().await else { return };
    let wire = Wire::before(&databases.postgres).await;
    let store = opened(&databases, &wire).await;
    let now = at("2025-12-08T10:00:00Z");
    while store.append(vec![event("scroll", 1, now)], now).await.is_err() {}
    let site = site();
    for cut in [false, true] {
        wire.hold("");
        if cut {
            databases.disturb(2).await;
        }
        let answers = timeout(LATER, async {
            tokio::join!(store.timeline(&site, TimelineFrom::all(0), 9), store.sites(), store.check())
        });
        let (timeline, sites, check) = answers.await.unwrap();
        assert!(is_unavailable(&timeline) && is_unavailable(&sites) && is_unavailable(&check), "cut: {cut}");
        wire.release();
        timeout(LATER, async { while store.sites().await.is_err() {} }).await.unwrap();
    }
    let answers = store.append(vec![event("scroll", 1, now)], now).await;
    assert!(answers.is_err() || matches!(answers.unwrap()[..], [Appended::Stored]));
    store.close().await;
}
