//! Lost answers, a busy service, conflicts with other processes: the totals stay exact.

use std::sync::Arc;
use std::time::Duration;

use common::event::Event;
use common::metrics::Metrics;
use common::period::{Period, PeriodKey};
use common::source::{Source, System};
use common::store::conformance::samples::{at, event, on_page, quiet, site};
use common::store::dynamodb::DynamoDb;
use common::store::roles::*;
use common::store::{Appended, StoreError, TimelineFrom};
use common::time::{SECOND, Timestamp};
use tokio::time::timeout;

use crate::proxy::{Fault, Proxy};
use crate::table::Table;

/// How long anything may take on a slow and busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn now() -> Timestamp {
    at("2025-12-08T10:00:00Z")
}

/// A store behind a proxy; nothing when there is no service, or one that needs TLS.
async fn behind() -> Option<(Table, Proxy, DynamoDb)> {
    let table = Table::fresh().await?;
    let proxy = Proxy::before(table.endpoint()?).await;
    let store = table.open_through(Some(proxy.url())).await;
    Some((table, proxy, store))
}

async fn exact(store: &DynamoDb, events: u64, visitors: u64) {
    let totals = store.totals(&site(), PeriodKey::of(Period::Month, now().day())).await.unwrap();
    assert_eq!((totals.events, totals.visitors), (events, visitors));
    let stored = store.timeline(&site(), TimelineFrom::all(0), 1_000).await.unwrap();
    assert_eq!(stored.len() as u64, events);
    assert_eq!(store.verify(now(), quiet()).await.unwrap().differences, []);
}

fn views(visitors: u64, count: u64) -> Vec<Event> {
    (0..count).map(|number| on_page(event("page_view", number % visitors, now()), "/cv?theme=a")).collect()
}

#[tokio::test]
async fn a_lost_answer_counts_nothing_twice() {
    let Some(table) = Table::fresh().await else { return };
    let Some(endpoint) = table.endpoint() else { return };
    let proxy = Proxy::before(endpoint).await;
    let metrics = Arc::new(Metrics::new().unwrap());
    let store = table.open_with(Some(proxy.url()), Arc::clone(&metrics)).await;
    let mut feed = store.subscribe();
    let events = views(2, 3);
    store.append(vec![event("scroll", 9, now())], now()).await.unwrap();
    feed.recv().await.unwrap();
    proxy.plan("TransactWriteItems", &[Fault::LoseAnswer, Fault::LoseAnswer]);
    assert_eq!(
        store.append(events.clone(), now()).await.unwrap(),
        [Appended::Stored, Appended::Stored, Appended::Stored],
        "what was stored is ours"
    );
    assert!(proxy.is_done());
    let heard = feed.recv().await.unwrap();
    assert_eq!(heard.committed().iter().map(|committed| committed.event.clone()).collect::<Vec<_>>(), events);
    assert_eq!(metrics.visitors_total.get(), 3, "visitors new to their day");
    exact(&store, 4, 3).await;
}

#[tokio::test]
async fn a_batch_that_was_half_stored_is_completed() {
    let Some((table, _proxy, store)) = behind().await else { return };
    let events = views(7, 120);
    let half: Vec<Event> = events.iter().step_by(2).cloned().collect();
    table.open().await.append(half, now()).await.unwrap();
    let answers = store.append(events.clone(), now()).await.unwrap();
    for (number, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer == Appended::Duplicate, number % 2 == 0, "{number}");
    }
    exact(&store, 120, 7).await;
}

#[tokio::test]
async fn a_busy_service_is_asked_again() {
    let Some((_table, proxy, store)) = behind().await else { return };
    proxy.plan("TransactWriteItems", &[Fault::Throttle, Fault::Conflict, Fault::Conflict, Fault::Throttle]);
    assert_eq!(store.append(views(1, 2), now()).await.unwrap(), [Appended::Stored, Appended::Stored]);
    assert!(proxy.is_done());
    exact(&store, 2, 1).await;
}

#[tokio::test]
async fn a_service_that_stays_busy_is_unavailable_and_nothing_is_lost() {
    let Some((table, proxy, store)) = behind().await else { return };
    proxy.plan("TransactWriteItems", &[Fault::Throttle; 200]);
    let events = views(1, 2);
    assert!(matches!(store.append(events.clone(), now()).await, Err(StoreError::Unavailable { .. })));
    assert!(proxy.seen() < 60, "delays grow");
    let store = table.open().await;
    assert_eq!(store.append(events, now()).await.unwrap(), [Appended::Stored, Appended::Stored]);
    exact(&store, 2, 1).await;
}

/// Commits whose answers never came are in the feed once the service answers again, before whatever
/// comes later, whether or not they are sent again.
#[tokio::test]
async fn what_was_committed_without_an_answer_is_in_the_feed() {
    let Some((_table, proxy, store)) = behind().await else { return };
    let mut feed = store.subscribe();
    store.append(vec![event("scroll", 9, now())], now()).await.unwrap();
    feed.recv().await.unwrap();
    let events = views(2, 3);
    let mut heard = Vec::new();
    for (number, event) in events.iter().enumerate() {
        proxy.fail("TransactWriteItems", Fault::LoseAnswer);
        let unknown = store.append(vec![event.clone()], now()).await;
        assert!(matches!(unknown, Err(StoreError::Unavailable { .. })), "{unknown:?}");
        proxy.heal();
        match number {
            0 => assert_eq!(store.append(vec![event.clone()], now()).await.unwrap(), [Appended::Duplicate]),
            1 => assert_eq!(store.append(views(1, 1), now()).await.unwrap(), [Appended::Stored]),
            _ => {}
        }
        let news = timeout(PATIENCE, feed.recv()).await.expect("it is in the feed").unwrap();
        assert_eq!(news.committed().iter().map(|it| it.event.id).collect::<Vec<_>>(), [event.id], "{number}");
        heard.extend(news.committed().to_vec());
        if number == 1 {
            heard.extend(feed.recv().await.unwrap().committed().to_vec());
        }
    }
    assert!(heard.is_sorted_by_key(|committed| committed.position));
    assert_eq!(store.committed_after(&site(), heard[0].position, 9).await.unwrap(), heard[1..]);
    exact(&store, 5, 3).await;
}

/// A request that waits too long for those before it is refused, and not stored afterwards.
#[tokio::test]
async fn a_request_refused_while_waiting_is_not_stored() {
    let Some((_table, proxy, store)) = behind().await else { return };
    store.append(views(1, 1), now()).await.unwrap();
    proxy.fail("TransactWriteItems", Fault::Throttle);
    let seen = proxy.seen();
    let waits = async {
        while proxy.seen() == seen {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        store.append(views(1, 1), now()).await
    };
    let begins = async {
        let answer = store.append(views(1, 1), now()).await;
        // The second one would be stored now.
        proxy.heal();
        answer
    };
    let (first, second) = tokio::join!(begins, waits);
    assert!(matches!(first, Err(StoreError::Unavailable { .. })), "{first:?}");
    assert!(matches!(second, Err(StoreError::Unavailable { .. })), "{second:?}");
    store.append(views(1, 1), now()).await.unwrap();
    exact(&store, 2, 1).await;
}

/// The clock of one process is minutes ahead: what others store afterwards has later positions all the
/// same.
#[tokio::test]
async fn a_clock_that_is_ahead_hides_no_events() {
    let Some(table) = Table::fresh().await else { return };
    let (ahead, right) = (table.open().await, table.open().await);
    let clock = || System.now();
    // It has its number: from what is recorded at the start it could not tell.
    right.append(vec![event("scroll", 3, clock())], clock()).await.unwrap();
    let early = event("scroll", 1, clock().plus(200 * SECOND));
    ahead.append(vec![early.clone()], clock().plus(200 * SECOND)).await.unwrap();
    let place = ahead.position(&site(), early.id).await.unwrap().unwrap();
    let late = event("scroll", 2, clock());
    right.append(vec![late.clone()], clock()).await.unwrap();
    for store in [&ahead, &right] {
        let after = store.committed_after(&site(), place, 9).await.unwrap();
        let after: Vec<_> = after.into_iter().map(|committed| committed.event).collect();
        assert_eq!(after, std::slice::from_ref(&late));
    }
}

/// Keys that may read and not write, a table without room, and one that is gone: events are refused at
/// once and questions answered; readiness says so, until it is over.
#[tokio::test]
async fn a_table_that_takes_no_writes_is_not_ready() {
    let Some(table) = Table::fresh().await else { return };
    let Some(endpoint) = table.endpoint() else { return };
    let proxy = Proxy::before(endpoint).await;
    let metrics = Arc::new(Metrics::new().unwrap());
    let store = table.open_with(Some(proxy.url()), Arc::clone(&metrics)).await;
    store.append(views(1, 2), now()).await.unwrap();
    for (fault, stored) in [(Fault::Deny, 2), (Fault::Full, 3), (Fault::Gone, 4)] {
        store.check().await.unwrap();
        proxy.fail("TransactWriteItems", fault);
        let seen = proxy.seen();
        assert!(store.append(views(1, 1), now()).await.is_err(), "{fault:?}");
        assert!(proxy.seen() < seen + 3, "trying again is of no use");
        assert!(store.check().await.is_err(), "{fault:?}");
        let totals = store.totals(&site(), PeriodKey::of(Period::Day, now().day())).await.unwrap();
        assert_eq!(totals.events, stored, "{fault:?}");
        proxy.heal();
        assert_eq!(store.append(views(1, 1), now()).await.unwrap(), [Appended::Stored]);
        store.check().await.unwrap();
    }
    exact(&store, 5, 1).await;
    assert_eq!(metrics.outages_total.with_label_values(&["dynamodb"]).get(), 2, "one that is full answers");
}

/// Connections stay and say nothing.
#[tokio::test]
async fn a_silent_service_is_given_up() {
    let Some((_table, proxy, store)) = behind().await else { return };
    store.append(views(1, 1), now()).await.unwrap();
    proxy.fail("TransactWriteItems", Fault::Silent);
    let events = views(1, 1);
    let refused = store.append(events.clone(), now()).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    assert!(store.check().await.is_err());
    proxy.heal();
    assert_eq!(store.append(events, now()).await.unwrap(), [Appended::Stored]);
    exact(&store, 2, 1).await;
}

#[tokio::test]
async fn what_stays_unprocessed_is_deleted_later() {
    let Some((_table, proxy, store)) = behind().await else { return };
    store.append(views(1, 5), now()).await.unwrap();
    proxy.plan("BatchWriteItem", &[Fault::Unprocessed; 4]);
    let later = now().plus(100 * common::time::DAY);
    let mut deleted = 0;
    loop {
        let step = store.delete_before(later.day(), later).await.unwrap();
        deleted += step.deleted;
        if step.done {
            break;
        }
    }
    assert!(proxy.is_done());
    assert_eq!(deleted, 5);
    assert_eq!(store.timeline(&site(), TimelineFrom::all(0), 9).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_at_once_count_exactly() {
    let Some(table) = Table::fresh().await else { return };
    let mut tasks = Vec::new();
    let events = Arc::new(views(9, 40));
    for process in 0..4_usize {
        let store = table.open().await;
        let events = Arc::clone(&events);
        tasks.push(tokio::spawn(async move {
            let mut stored = 0;
            // Each sends all of them, one by one, in an order of its own.
            for step in 0..events.len() {
                let one = events[(step * 7 + process * 11) % events.len()].clone();
                let answer = store.append(vec![one], now()).await.unwrap();
                stored += usize::from(answer[0] != Appended::Duplicate);
            }
            stored
        }));
    }
    let mut stored = 0;
    for task in tasks {
        stored += task.await.unwrap();
    }
    assert_eq!(stored, 40);
    exact(&table.open().await, 40, 9).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_wait_while_figures_are_rebuilt() {
    let Some(table) = Table::fresh().await else { return };
    let (rebuilding, appending) = (table.open().await, table.open().await);
    rebuilding.append(views(3, 5), now()).await.unwrap();
    appending.append(views(3, 5), now()).await.unwrap();
    let appended = tokio::spawn(async move {
        for event in views(4, 20) {
            appending.append(vec![event], now()).await.unwrap();
        }
    });
    for _ in 0..3 {
        assert_eq!(rebuilding.rebuild(now(), quiet()).await.unwrap().differences, []);
    }
    appended.await.unwrap();
    exact(&rebuilding, 30, 4).await;
}

/// The request that unlocks the days is executed, its answer is lost, and an event of another process
/// is counted in an item that only the lock had made, before the request is sent again.
#[tokio::test]
async fn a_lost_answer_to_a_rebuild_undoes_no_append() {
    let Some((table, proxy, store)) = behind().await else { return };
    store.append(views(3, 5), now()).await.unwrap();
    let other = table.open().await;
    let tomorrow = now().plus(common::time::DAY);
    proxy.plan("TransactWriteItems", &[Fault::None, Fault::LoseAnswer]);
    proxy.meanwhile(async move {
        let answer = other.append(vec![event("page_view", 9, tomorrow)], tomorrow).await.unwrap();
        assert_eq!(answer, [Appended::Stored]);
    });
    assert_eq!(store.rebuild(now(), quiet()).await.unwrap().differences, []);
    assert!(proxy.is_done(), "a transaction locks, another unlocks");
    exact(&store, 6, 4).await;
}

/// Totals that many processes wrote side by side become one small item again.
#[tokio::test]
async fn totals_of_past_days_are_merged() {
    let Some(table) = Table::fresh().await else { return };
    let store = table.open().await;
    store.append(views(3, 5), now()).await.unwrap();
    let of_the_day = async || {
        let items = table.items().await.into_iter();
        items.filter(|item| item.pk() == "t#default" && item.sk().starts_with("0020430#")).collect::<Vec<_>>()
    };
    let first = of_the_day().await.remove(0);
    for shard in ["3", "f"] {
        table.copy(&first, &first.sk().replace("#0", &format!("#{shard}"))).await;
    }
    let month = PeriodKey::of(Period::Month, now().day());
    let before = store.totals(&site(), month).await.unwrap();
    assert_eq!((before.events, before.page_views, before.visitors), (15, 15, 9));
    let tomorrow = now().plus(common::time::DAY);
    store.delete_before(now().day().plus(-30), tomorrow).await.unwrap();
    assert_eq!(of_the_day().await.len(), 3, "late events may still come");
    let later = now().plus(2 * common::time::DAY);
    for _ in 0..2 {
        assert!(store.delete_before(now().day().plus(-30), later).await.unwrap().done);
        assert_eq!(of_the_day().await.len(), 1);
        assert_eq!(store.totals(&site(), month).await.unwrap(), before);
    }
}

/// Expired events that the service has deleted by itself, before any cleanup, are no difference.
#[tokio::test]
async fn what_the_service_deleted_is_not_missed() {
    let Some(table) = Table::fresh().await else { return };
    let store = table.open().await;
    store.append(views(1, 3), now()).await.unwrap();
    let later = now().plus(91 * common::time::DAY);
    store.append(vec![event("scroll", 1, later)], later).await.unwrap();
    for item in table.items().await {
        let expired = item.ttl().is_some_and(|ttl| ttl <= later.seconds());
        if expired && item.pk().starts_with("e#") {
            table.delete(&item).await;
        }
    }
    let recount = store.verify(later, quiet()).await.unwrap();
    assert_eq!((recount.events, recount.differences), (1, vec![]));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unavailable() {
    let Some(table) = Table::fresh().await else { return };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let url = common::config::DynamoDbUrl::parse(&format!("{}?endpoint={nowhere}", table.name)).unwrap();
    let metrics = Arc::new(common::metrics::Metrics::new().unwrap());
    // It is not tried for ever: this ends.
    let opened = DynamoDb::open(&url, 90, metrics).await;
    assert!(matches!(opened, Err(StoreError::Unavailable { .. })), "{opened:?}");
}
