//! One visitor's data: found, and erased as if the visitor had never come.

use std::time::Duration;

use serde_json::json;

use super::Fixture;
use super::recount::{self, RETENTION_DAYS, service, totals};
use super::samples::{at, day, event, key, on_page, on_site, put, quiet, site, visitor, with_data};
use crate::event::Event;
use crate::measure::service::Service;
use crate::period::{Period, PeriodKey};
use crate::retention::cutoff;
use crate::store::visitors::ERASED_AT_ONCE;
use crate::store::{Appended, BlockKind, News, Position, Store, TimelineFrom};
use crate::time::{DAY, HOUR, Timestamp};
use crate::visitor_data::Erased;

const NOW: &str = "2026-01-03T12:00:00Z";
/// The visitor who is erased.
const GONE: u64 = 1;

/// Events of a visit, among them one of each kind that is counted by itself.
fn visit(who: u64, when: Timestamp) -> [Event; 4] {
    let letter = json!({"letter_type": "motivation"});
    [
        on_page(event("page_view", who, when), &format!("/visitor/{who}?theme=t{who}")),
        with_data(on_page(event("click", who, when.plus(1_000)), "/cv"), &json!({"x": who, "y": 2, "element": "a"})),
        with_data(event("letter_generate", who, when.plus(2_000)), &letter),
        with_data(event("custom1", who, when.plus(2_000)), &json!({"k": format!("value {who}")})),
    ]
}

/// Visits on today, open and closed days, in weeks of two months and years: of the visitor who is erased, of
/// one who comes on the same days, and of one who comes on other days.
fn visits(now: Timestamp) -> Vec<Event> {
    let days = [(GONE, [0, 1, 2, 4, 5, 9].as_slice()), (2, &[0, 1, 4, 9]), (3, &[3, 6])];
    let visits = days.into_iter().flat_map(|(who, days)| days.iter().map(move |ago| (who, *ago)));
    visits.flat_map(|(who, ago)| visit(who, now.plus(-ago * DAY - who as i64 * 60_000))).collect()
}

fn is_gone(event: &Event) -> bool {
    event.visitor == visitor(GONE) && event.site == site()
}

async fn erase(service: &Service, store: &dyn Store, now: Timestamp) -> Erased {
    let mut erased = Erased::default();
    service.erase(store, &site(), visitor(GONE), now, &mut erased).await.unwrap();
    erased
}

/// Compares every answer with a recount of the events that remain.
async fn compare(service: &Service, store: &dyn Store, all: &[Event], now: Timestamp) {
    let left: Vec<Event> = all.iter().filter(|event| !is_gone(event)).cloned().collect();
    for period in Period::ALL {
        for event in all {
            let key = PeriodKey::of(period, event.created_at.day());
            let within = |event: &&Event| {
                event.site == site() && (key.first_day()..=key.last_day()).contains(&event.created_at.day())
            };
            let expected = totals(&left.iter().filter(within).collect::<Vec<_>>());
            assert_eq!(store.totals(&site(), key).await.unwrap(), expected, "{key}");
        }
    }
    let mut timeline: Vec<Event> = left.iter().filter(|event| event.site == site()).cloned().collect();
    timeline.sort_by_key(|event| std::cmp::Reverse((event.created_at, event.id)));
    assert_eq!(store.timeline(&site(), TimelineFrom::all(0), 1_000).await.unwrap(), timeline);
    let mut committed: Vec<_> = store.committed_after(&site(), Position(0), 1_000).await.unwrap();
    committed.sort_by_key(|committed| std::cmp::Reverse((committed.event.created_at, committed.event.id)));
    assert_eq!(committed.into_iter().map(|committed| committed.event).collect::<Vec<_>>(), timeline);
    recount::fixed_questions(service, store, &left, now).await;
    recount::queries(service, store, &left, now).await;
    recount::segments(store, &left, now).await;
    assert_eq!(store.verify(now, quiet()).await.unwrap().differences, []);
    assert_eq!(service.compare_derived(store, false, now, quiet()).await.unwrap().differences, []);
}

pub async fn what_is_stored_of_a_visitor_is_found(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at(NOW);
    let all = visits(now);
    put(store, &all).await;
    put(store, &[on_site(event("scroll", GONE, now), "other")]).await;
    let days = store.visit_days(&site(), visitor(GONE)).await.unwrap();
    assert_eq!(days, [9, 5, 4, 2, 1, 0].map(|ago| now.day().plus(-ago)));
    assert_eq!(store.visit_days(&site(), visitor(9)).await.unwrap(), []);
    assert_eq!(store.visit_days(&crate::site::Site::parse("no").unwrap(), visitor(GONE)).await.unwrap(), []);
    let (mut found, mut after) = (Vec::new(), None);
    for day in &days {
        loop {
            let events = store.visitor_events(&site(), visitor(GONE), *day, after, 3).await.unwrap();
            let Some(last) = events.last() else { break };
            after = Some((last.created_at, last.id));
            found.extend(events);
        }
    }
    let mut expected: Vec<Event> = all.into_iter().filter(is_gone).collect();
    expected.sort_by_key(|event| (event.created_at, event.id));
    assert_eq!(found, expected, "with all fields, oldest first");
    assert_eq!(store.visitor_events(&site(), visitor(GONE), now.day().plus(-3), None, 3).await.unwrap(), []);
}

pub async fn an_erasure_leaves_nothing(mut fixture: impl Fixture) {
    let now = at(NOW);
    let mut all = visits(now);
    all.push(on_site(event("page_view", GONE, now), "other"));
    let (ours, others) = (service(), service());
    let store = fixture.store();
    put(store, &all).await;
    // Both have columns of all days in memory, and blocks are stored.
    for service in [&ours, &others] {
        recount::queries(service, store, &all, now).await;
    }
    ours.summarise(store, now).await.unwrap();
    let erased = erase(&ours, store, now).await;
    assert_eq!((erased.events, erased.days), (24, 6));
    assert_eq!((erased.first_day, erased.last_day), (Some(now.day().plus(-9)), Some(now.day())));
    compare(&ours, store, &all, now).await;
    // Another process may use what it knows for five seconds.
    tokio::time::sleep(if store.version().is_none() { Duration::from_secs(5) } else { Duration::ZERO }).await;
    compare(&others, store, &all, now).await;
    assert_eq!(store.visit_days(&site(), visitor(GONE)).await.unwrap(), []);
    for kind in BlockKind::DERIVED {
        let of_only_visitor = now.day().plus(-5);
        let blocks = store.blocks(&site(), kind, of_only_visitor..of_only_visitor.plus(1)).await.unwrap();
        assert_eq!(blocks, [], "a day without events has nothing: {kind:?}");
    }
    assert_eq!(erase(&ours, store, now).await, Erased::default(), "again, there is nothing");
    ours.summarise(store, now).await.unwrap();
    fixture.reopen().await;
    compare(&service(), fixture.store(), &all, now).await;
    // What is there can be rebuilt, and more can come.
    fixture.store().rebuild(now, quiet()).await.unwrap();
    all.push(event("page_view", 4, now.plus(-HOUR)));
    put(fixture.store(), &all[all.len() - 1..]).await;
    compare(&ours, fixture.store(), &all, now).await;
}

/// Wherever an erasure broke off, the next one does the rest.
pub async fn an_erasure_is_completed(mut fixture: impl Fixture) {
    let now = at(NOW);
    let all = visits(now);
    put(fixture.store(), &all).await;
    let others = service();
    recount::queries(&others, fixture.store(), &all, now).await;
    others.summarise(fixture.store(), now).await.unwrap();
    let days = fixture.store().visit_days(&site(), visitor(GONE)).await.unwrap();
    others.days.begin_erasure(fixture.store(), &site(), &days).await.unwrap();
    let mut erased = 0;
    for day in &days[..4] {
        erased += fixture.store().erase_events(&site(), visitor(GONE), *day, now).await.unwrap();
    }
    assert_eq!(erased, 16);
    assert_eq!(fixture.store().verify(now, quiet()).await.unwrap().differences, [], "half of it is consistent");
    fixture.reopen().await;
    let rest = erase(&service(), fixture.store(), now).await;
    assert_eq!((rest.events, rest.days), (8, 2));
    compare(&service(), fixture.store(), &all, now).await;
}

pub async fn visitors_who_come_again_are_new(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at(NOW);
    let service = service();
    put(store, &visit(GONE, now.plus(-HOUR))).await;
    put(store, &visit(2, now.plus(-HOUR))).await;
    assert_eq!(erase(&service, store, now).await.events, 4);
    let again = event("page_view", GONE, now);
    put(store, std::slice::from_ref(&again)).await;
    for period in Period::ALL {
        let totals = store.totals(&site(), key(period, "2026-01-03")).await.unwrap();
        assert_eq!((totals.events, totals.visitors), (5, 2), "{period:?}");
    }
    assert_eq!(store.realtime(&site(), now, 300_000).await.unwrap().current_visitors, 1);
    assert_eq!(store.visit_days(&site(), visitor(GONE)).await.unwrap(), [day("2026-01-03")]);
    assert_eq!(store.verify(now, quiet()).await.unwrap().differences, []);
}

pub async fn erased_ids_are_stored_again(mut fixture: impl Fixture) {
    let now = at(NOW);
    let service = service();
    // The second comes late: an engine may list it elsewhere.
    let events = [event("page_view", GONE, now), event("page_view", GONE, now.plus(-HOUR))];
    fixture.store().append(events.to_vec(), now).await.unwrap();
    let mut before = Vec::new();
    for event in &events {
        before.extend(fixture.store().position(&site(), event.id).await.unwrap());
    }
    erase(&service, fixture.store(), now).await;
    assert_eq!(fixture.store().position(&site(), events[0].id).await.unwrap(), None);
    fixture.reopen().await;
    let store = fixture.store();
    assert_eq!(store.append(events.to_vec(), now).await.unwrap(), [Appended::Stored; 2]);
    assert_eq!(store.append(events.to_vec(), now).await.unwrap(), [Appended::Duplicate; 2]);
    let committed = store.committed_after(&site(), Position(0), 10).await.unwrap();
    assert_eq!(committed.len(), 2, "each once");
    let last = before.into_iter().max().unwrap();
    assert!(committed.iter().all(|committed| committed.position > last), "positions are not given again");
}

pub async fn what_has_expired_stays_counted(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at(NOW);
    let service = service();
    // Twenty days: the week before the cutoff, the month and the year are half expired.
    let all: Vec<Event> =
        (0..20).flat_map(|ago| [GONE, 2].map(|who| event("scroll", who, now.plus(-ago * DAY)))).collect();
    put(store, &all).await;
    let cutoff = cutoff(RETENTION_DAYS, now);
    while !store.delete_before(cutoff, now).await.unwrap().done {}
    let figures = async |period, day| {
        let totals = store.totals(&site(), key(period, day)).await.unwrap();
        (totals.events, totals.visitors)
    };
    assert_eq!((cutoff, figures(Period::Month, "2025-12-24").await), (day("2025-12-24"), (34, 2)));
    let erased = erase(&service, store, now).await;
    assert_eq!((erased.events, erased.first_day), (11, Some(cutoff)));
    // 15 to 31 December, of which 8 days are kept; the week of 22 December has two days that are not.
    assert_eq!(figures(Period::Month, "2025-12-24").await, (26, 2));
    assert_eq!(figures(Period::Week, "2025-12-24").await, (9, 2));
    assert_eq!(figures(Period::Week, "2025-12-30").await, (6, 1));
    assert_eq!(figures(Period::Month, "2026-01-01").await, (3, 1));
    assert_eq!(figures(Period::Day, "2025-12-24").await, (1, 1));
    assert_eq!(store.visit_days(&site(), visitor(GONE)).await.unwrap(), [], "the days of before are forgotten, too");
    assert_eq!(store.verify(now, quiet()).await.unwrap().differences, []);
}

/// What has been delivered may be kept by subscribers to be delivered again.
pub async fn the_feed_has_a_gap(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at(NOW);
    put(store, &visit(GONE, now)).await;
    let mut feed = store.subscribe();
    erase(&service(), store, now).await;
    let heard = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            if let News::Gap(of) = feed.recv().await.unwrap() {
                return of;
            }
        }
    });
    assert_eq!(heard.await.unwrap(), site());
}

/// More than one step erases.
pub async fn many_events_are_erased(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at(NOW);
    let count = ERASED_AT_ONCE + 30;
    let all: Vec<Event> = (0..count).map(|number| event("scroll", GONE, now.plus(-(number as i64) * 1_000))).collect();
    for some in all.chunks(500) {
        put(store, some).await;
    }
    put(store, &visit(2, now)).await;
    let erased = erase(&service(), store, now).await;
    assert_eq!((erased.events, erased.days), (count as u64, 1));
    let totals = store.totals(&site(), key(Period::Month, "2026-01-03")).await.unwrap();
    assert_eq!((totals.events, totals.visitors), (4, 1));
    assert_eq!(store.verify(now, quiet()).await.unwrap().differences, []);
}
