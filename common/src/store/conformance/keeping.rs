//! What is kept, for how long, and whether it is right.

use serde_json::json;

use super::Fixture;
use super::samples::{at, day, event, key, on_page, on_site, put, quiet, site, with_data};
use crate::event::Event;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Appended, BlockKind, CLAIM, Secret, SecretName, Store, TimelineFrom, Waited};
use crate::time::{DAY, Day, Timestamp};

pub async fn the_first_secret_wins(mut fixture: impl Fixture) {
    let now = at("2025-12-08T10:00:00Z");
    let secret = |byte| Secret { bytes: [byte; 32], expires: Some(now.plus(DAY)) };
    let store = fixture.store();
    let salt = SecretName::Salt(day("2025-12-08"));
    let (a, b) = tokio::join!(store.secret(salt, secret(1), now), store.secret(salt, secret(2), now));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(a, b);
    let other = store.secret(SecretName::Salt(day("2025-12-09")), secret(3), now).await.unwrap();
    assert_eq!(other, secret(3));
    let forever = Secret { bytes: [4; 32], expires: None };
    assert_eq!(store.secret(SecretName::Pseudonyms, forever, now).await.unwrap(), forever);
    fixture.reopen().await;
    let store = fixture.store();
    assert_eq!(store.secret(salt, secret(5), now).await.unwrap(), a);
    let later = now.plus(1_000 * DAY);
    assert_eq!(store.secret(SecretName::Pseudonyms, secret(6), later).await.unwrap(), forever);
}

pub async fn secrets_expire(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T10:00:00Z");
    let salt = SecretName::Salt(day("2025-12-08"));
    let secret = |byte, from: Timestamp| Secret { bytes: [byte; 32], expires: Some(from.plus(2 * DAY)) };
    store.secret(salt, secret(1, now), now).await.unwrap();
    assert_eq!(store.destroy_secrets(now.plus(2 * DAY - 1)).await.unwrap(), 0);
    // Expired and not yet destroyed is as good as destroyed.
    let then = now.plus(2 * DAY);
    assert_eq!(store.secret(salt, secret(2, then), then).await.unwrap(), secret(2, then));
    assert_eq!(store.destroy_secrets(then).await.unwrap(), 0);
    assert_eq!(store.destroy_secrets(then.plus(2 * DAY)).await.unwrap(), 1);
}

async fn clean(store: &dyn Store, cutoff: Day, now: Timestamp) -> u64 {
    let mut deleted = 0;
    for _ in 0..10_000 {
        let step = store.delete_before(cutoff, now).await.unwrap();
        deleted += step.deleted;
        if step.done {
            return deleted;
        }
    }
    panic!("cleanup does not come to an end");
}

pub async fn a_cleanup_is_claimed_once_a_day(mut fixture: impl Fixture) {
    let now = at("2025-12-08T02:00:00Z");
    let (a, b) = tokio::join!(fixture.store().claim_cleanup(now), fixture.store().claim_cleanup(now));
    assert_ne!(a.unwrap(), b.unwrap(), "one of two gets it");
    fixture.reopen().await;
    let store = fixture.store();
    assert!(!store.claim_cleanup(now.plus(CLAIM - 1)).await.unwrap());
    // Who claimed it did not come to its end.
    assert!(store.claim_cleanup(now.plus(CLAIM)).await.unwrap());
    store.cleaned(now.plus(CLAIM + 5)).await.unwrap();
    assert!(!store.claim_cleanup(now.plus(2 * CLAIM)).await.unwrap());
    assert!(!store.claim_cleanup(at("2025-12-08T23:59:59.999Z")).await.unwrap());
    assert!(store.claim_cleanup(at("2025-12-09T00:00:00Z")).await.unwrap());
}

/// One event of each kind a day, by two visitors, over `days` days that end with `last`.
fn many_days(last: Day, days: i32) -> Vec<Event> {
    (0..days)
        .flat_map(|number| {
            let when = last.plus(-number).start().plus(3_600_000);
            let click = with_data(event("click", 1, when), &json!({"x": 1, "y": 2}));
            [
                on_page(event("page_view", 1, when), &format!("/cv?theme=t{}", number % 3)),
                click,
                event("letter_generate", 2, when),
            ]
        })
        .collect()
}

pub async fn old_days_go(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T02:00:00Z");
    put(store, &many_days(now.day(), 100)).await;
    let cutoff = now.day().plus(-90);
    assert_eq!(clean(store, cutoff, now).await, 27);
    let last = store.timeline(&site(), TimelineFrom::all(270), 10).await.unwrap();
    assert_eq!(last.len(), 3);
    assert!(last.iter().all(|event| event.created_at.day() == cutoff));
    let totals = store.totals(&site(), key(Period::Day, "2025-12-08")).await.unwrap();
    assert_eq!((totals.events, totals.visitors), (3, 2));
    assert_eq!(store.kept_since().await.unwrap(), Some(cutoff));
    // What is gone is gone for every question that reads events, and forgotten as a duplicate.
    let returned = many_days(cutoff.plus(-1), 1);
    put(store, &returned).await;
}

pub async fn cleanup_is_idempotent(mut fixture: impl Fixture) {
    let now = at("2025-12-08T02:00:00Z");
    put(fixture.store(), &many_days(now.day(), 95)).await;
    let cutoff = now.day().plus(-90);
    // Any number of steps may be cut off by a crash.
    let first = fixture.store().delete_before(cutoff, now).await.unwrap();
    fixture.reopen().await;
    let store = fixture.store();
    assert_eq!(first.deleted + clean(store, cutoff, now).await, 12);
    assert_eq!(clean(store, cutoff, now).await, 0);
    assert_eq!(clean(store, cutoff.plus(-5), now).await, 0);
    assert_eq!(store.kept_since().await.unwrap(), Some(cutoff), "an earlier cutoff brings nothing back");
}

pub async fn positions_are_not_given_again(mut fixture: impl Fixture) {
    let now = at("2025-12-08T02:00:00Z");
    let old = event("scroll", 1, now);
    put(fixture.store(), std::slice::from_ref(&old)).await;
    let before = fixture.store().position(&site(), old.id).await.unwrap().unwrap();
    let later = now.plus(200 * DAY);
    assert_eq!(clean(fixture.store(), later.day(), later).await, 1);
    fixture.reopen().await;
    let store = fixture.store();
    let new = event("scroll", 1, later);
    put(store, std::slice::from_ref(&new)).await;
    assert!(store.position(&site(), new.id).await.unwrap().unwrap() > before);
}

pub async fn long_counters_outlive_events(fixture: impl Fixture) {
    let store = fixture.store();
    let then = at("2025-01-06T10:00:00Z");
    put(store, &[event("page_view", 1, then)]).await;
    let figures = async |period| store.totals(&site(), key(period, "2025-01-06")).await.unwrap().events;
    let now = then.plus(91 * DAY);
    clean(store, now.day().plus(-30), now).await;
    assert_eq!((figures(Period::Day).await, figures(Period::Week).await, figures(Period::Month).await), (0, 1, 1));
    let now = then.plus(400 * DAY);
    clean(store, now.day().plus(-30), now).await;
    assert_eq!((figures(Period::Week).await, figures(Period::Month).await), (0, 0));
}

/// Weeks and months that lose days, and those that lose all, count the visitors that they had.
pub async fn visitors_outlive_their_events(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-10T02:00:00Z");
    put(store, &many_days(now.day(), 60)).await;
    let keys = ["2025-10-20", "2025-10-31", "2025-11-01", "2025-11-30", "2025-12-01", "2025-12-10"];
    let visitors = async || {
        let mut visitors = Vec::new();
        for key in keys.iter().flat_map(|day| [key(Period::Week, day), key(Period::Month, day)]) {
            visitors.push((key, store.totals(&site(), key).await.unwrap().visitors));
        }
        visitors
    };
    let before = visitors().await;
    assert!(before.iter().all(|(_, visitors)| *visitors == 2), "{before:?}");
    for kept in [40, 20, 3] {
        clean(store, now.day().plus(-kept), now).await;
        assert_eq!(visitors().await, before, "{kept} days kept");
    }
}

pub async fn cleanups_are_remembered(mut fixture: impl Fixture) {
    assert_eq!(fixture.store().last_cleaned().await.unwrap(), None);
    let now = at("2025-12-08T02:00:00Z");
    fixture.store().cleaned(now).await.unwrap();
    fixture.reopen().await;
    assert_eq!(fixture.store().last_cleaned().await.unwrap(), Some(now));
}

pub async fn runs_of_a_wrong_clock_do_not_count(mut fixture: impl Fixture) {
    let now = at("2025-12-08T02:00:00Z");
    let ahead = now.plus(365 * DAY);
    assert!(fixture.store().claim_cleanup(ahead).await.unwrap());
    fixture.reopen().await;
    let store = fixture.store();
    assert!(store.claim_cleanup(now).await.unwrap(), "a claim of next year is no claim");
    assert!(!store.claim_cleanup(now.plus(-1_000)).await.unwrap(), "clocks that differ a little share claims");
    store.cleaned(ahead).await.unwrap();
    assert!(store.claim_cleanup(now.plus(CLAIM)).await.unwrap(), "nor is a success of next year one of today");
    assert!(store.claim_cleanup(now.plus(DAY)).await.unwrap());
}

pub async fn waiting_runs_are_remembered(mut fixture: impl Fixture) {
    assert_eq!(fixture.store().waited().await.unwrap(), None);
    let waited = Waited { day: day("2025-12-08"), runs: 2 };
    fixture.store().note_waited(Some(waited)).await.unwrap();
    fixture.reopen().await;
    assert_eq!(fixture.store().waited().await.unwrap(), Some(waited));
    fixture.store().note_waited(None).await.unwrap();
    assert_eq!(fixture.store().waited().await.unwrap(), None);
}

pub async fn the_days_of_events_are_known(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T10:00:00Z");
    let later = now.plus(9 * DAY);
    assert_eq!(store.event_days(later).await.unwrap(), None);
    put(store, &[event("scroll", 1, now)]).await;
    assert_eq!(store.event_days(later).await.unwrap(), Some(day("2025-12-08")..=day("2025-12-08")));
    let other = Site::parse("other.example").unwrap();
    put(store, &[Event { site: other, ..event("scroll", 1, now.plus(-40 * DAY)) }]).await;
    put(store, &[event("scroll", 2, now.plus(2 * DAY)), event("scroll", 2, now.plus(-3 * DAY))]).await;
    assert_eq!(store.event_days(later).await.unwrap(), Some(day("2025-10-29")..=day("2025-12-10")));
    assert_eq!(store.event_days(now).await.unwrap(), Some(day("2025-10-29")..=day("2025-12-08")));
    clean(store, day("2025-12-06"), now).await;
    assert_eq!(store.event_days(later).await.unwrap(), Some(day("2025-12-08")..=day("2025-12-10")));
}

/// A run a year ahead deletes everything, and must not hide what comes afterwards.
pub async fn events_after_a_run_of_a_wrong_clock_are_seen(mut fixture: impl Fixture) {
    let now = at("2025-12-08T10:00:00Z");
    put(fixture.store(), &many_days(now.day().plus(-2), 10)).await;
    let ahead = now.plus(365 * DAY);
    clean(fixture.store(), ahead.day().plus(-90), ahead).await;
    fixture.reopen().await;
    let store = fixture.store();
    let later = event("page_view", 5, now);
    put(store, std::slice::from_ref(&later)).await;
    crate::retention::distrust_future(store, now).await.unwrap();
    assert_eq!(store.kept_since().await.unwrap(), Some(now.day()));
    assert_eq!(store.timeline(&site(), TimelineFrom::all(0), 9).await.unwrap(), std::slice::from_ref(&later));
    assert!(store.position(&site(), later.id).await.unwrap().is_some());
    assert_eq!(store.totals(&site(), key(Period::Day, "2025-12-08")).await.unwrap().events, 1);
    assert_eq!(store.append(vec![later], now).await.unwrap(), [Appended::Duplicate]);
    // What is recorded rightly stays.
    crate::retention::distrust_future(store, now).await.unwrap();
    let kept = now.day().plus(-3);
    clean(store, kept, now).await;
    crate::retention::distrust_future(store, now).await.unwrap();
    assert!(store.kept_since().await.unwrap() >= Some(kept));
}

pub async fn counts_are_verified(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T02:00:00Z");
    put(store, &many_days(now.day(), 40)).await;
    let recount = store.verify(now, quiet()).await.unwrap();
    assert_eq!((recount.events, recount.different, recount.differences.len()), (120, 0, 0));
    assert!(recount.aggregates > 100);
    fixture.corrupt().await;
    let recount = store.verify(now, quiet()).await.unwrap();
    assert!(recount.different > 0);
    assert_eq!(recount.differences.len() as u64, recount.different.min(100));
    assert!(recount.differences.iter().all(|difference| difference.expected != difference.found));
}

pub async fn counts_are_rebuilt(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T02:00:00Z");
    let events = many_days(now.day(), 40);
    put(store, &events).await;
    let month = key(Period::Month, "2025-12-08");
    let before = store.totals(&site(), month).await.unwrap();
    fixture.corrupt().await;
    assert_ne!(store.totals(&site(), month).await.unwrap(), before);
    assert!(store.rebuild(now, quiet()).await.unwrap().different > 0);
    assert_eq!(store.totals(&site(), month).await.unwrap(), before);
    assert_eq!(store.verify(now, quiet()).await.unwrap().different, 0);
    // Appending goes on where the recount ended.
    let more = event("page_view", 1, now);
    let answers = store.append(vec![more, events[0].clone(), event("scroll", 9, now)], now).await.unwrap();
    assert_eq!(answers, [Appended::Stored, Appended::Duplicate, Appended::Stored]);
    assert_eq!(store.verify(now, quiet()).await.unwrap().different, 0);
}

pub async fn kept_periods_are_verified_after_cleanup(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-10T02:00:00Z");
    put(store, &many_days(now.day(), 100)).await;
    for cutoff in [now.day().plus(-90), now.day().plus(-45)] {
        let half = store.delete_before(cutoff, now).await.unwrap();
        assert_eq!(store.verify(now, quiet()).await.unwrap().differences, [], "in the middle of a run, {half:?}");
        clean(store, cutoff, now).await;
        assert_eq!(store.verify(now, quiet()).await.unwrap().differences, []);
        let november = store.totals(&site(), key(Period::Month, "2025-11-01")).await.unwrap();
        assert_eq!((november.events, november.visitors), (90, 2), "a rebuild keeps what it cannot recount");
        store.rebuild(now, quiet()).await.unwrap();
    }
}

pub async fn sites_without_events_give_up_their_places(fixture: impl Fixture) {
    let (store, other) = (fixture.store(), fixture.another().await);
    let start = at("2025-12-08T10:00:00Z");
    let on = |name: &str, when| on_site(event("scroll", 1, when), name);
    let invented: Vec<Event> = (0..Site::MOST).map(|number| on(&format!("s{number}"), start)).collect();
    put(&*other, &invented).await;
    // Each process knows where the sites are, and that there is no room for more.
    put(store, &[on("s7", start)]).await;
    for process in [store, &*other] {
        assert_eq!(process.append(vec![on("mine", start)], start).await.unwrap(), [Appended::TooManySites]);
    }
    let site = |name: &str| on(name, start).site;
    let before = store.position(&site("s7"), invented[7].id).await.unwrap().unwrap();
    for day in 0..2 {
        assert!(!store.remove_site(&site("s7"), start.plus(day * DAY)).await.unwrap(), "its events are kept");
    }

    let now = start.plus(200 * DAY);
    clean(store, now.day().plus(-90), now).await;
    let month = PeriodKey::of(Period::Month, start.day());
    assert_eq!(store.totals(&site("s3"), month).await.unwrap().events, 1);
    store.put_block(&site("s3"), BlockKind::Totals, start.day(), vec![7; 9]).await.unwrap();
    let mut removed = 0;
    for day in 0..2 {
        for number in 0..10 {
            let site = site(&format!("s{number}"));
            removed += usize::from(store.remove_site(&site, now.plus(day * DAY)).await.unwrap());
        }
    }
    assert_eq!(removed, 10);
    assert_eq!(store.sites().await.unwrap().len(), Site::MOST - 10);
    assert!(!store.remove_site(&site("s7"), now).await.unwrap(), "it is not there");
    assert_eq!(store.totals(&site("s3"), month).await.unwrap().events, 0);
    let totals =
        async || store.blocks(&site("s3"), BlockKind::Totals, day("2000-01-01")..now.day()).await.unwrap().len();
    assert_eq!(totals().await, 1, "blocks are found by the name");
    for kind in [BlockKind::Totals, BlockKind::Summary] {
        store.delete_blocks(kind, now.day()).await.unwrap();
    }
    assert_eq!(totals().await, 0);

    let now = now.plus(2 * DAY);
    let [mine, again, yours] = ["mine", "s7", "yours"].map(|name| on(name, now));
    put(store, std::slice::from_ref(&mine)).await;
    // The other process still has the place of the site that was removed.
    put(&*other, std::slice::from_ref(&again)).await;
    while other.append(vec![yours.clone()], now).await.unwrap() == [Appended::TooManySites] {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(store.sites().await.unwrap().len(), Site::MOST - 7);
    for event in [mine, again.clone(), yours] {
        let today = store.totals(&event.site, PeriodKey::of(Period::Day, now.day())).await.unwrap();
        assert_eq!((today.events, today.visitors), (1, 1), "{}", event.site);
        let timeline = store.timeline(&event.site, TimelineFrom::all(0), 10).await.unwrap();
        assert_eq!(timeline, [event]);
    }
    let feed = store.committed_after(&site("s7"), before, 10).await.unwrap();
    assert_eq!(feed.into_iter().map(|committed| committed.event).collect::<Vec<_>>(), [again], "positions go on");
    assert_eq!(store.verify(now, quiet()).await.unwrap().differences, []);
    other.close().await;
}
