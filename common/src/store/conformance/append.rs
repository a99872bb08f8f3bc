//! Appending: durable, once, and within bounds.

use serde_json::json;

use super::Fixture;
use super::samples::{at, event, key, on_page, on_site, put, site, with_data};
use crate::measure::facts::Facts;
use crate::period::Period;
use crate::site::Site;
use crate::store::{Appended, StoreError, TimelineFrom};
use crate::url::Url;

pub async fn stored_events_come_back_whole(fixture: impl Fixture) {
    let mut whole = with_data(
        on_page(event("signup.done", 1, at("2025-12-08T10:00:00.123Z")), "https://x.example/é?theme=a&ref=b"),
        &json!({"text": "é\u{0}\"\\\u{1f600}", "big": 9_007_199_254_740_993_u64, "list": [1.5, null, true, {}]}),
    );
    whole.referrer = Some(Url::new("https://search.example/"));
    whole.facts = Facts::from_stored(Some("Search\tOrganic Search"), Some("FR\t\t\tfr"));
    let bare = event("page_view", 2, at("2025-12-08T10:00:00.124Z"));
    put(fixture.store(), &[whole.clone(), bare.clone()]).await;
    assert_eq!(fixture.store().timeline(&site(), TimelineFrom::all(0), 10).await.unwrap(), [bare, whole]);
}

pub async fn an_id_is_stored_once(fixture: impl Fixture) {
    let store = fixture.store();
    let first = event("page_view", 1, at("2025-12-08T10:00:00Z"));
    let mut other = event("scroll", 2, at("2025-12-08T11:00:00Z"));
    other.id = first.id;
    let now = at("2025-12-08T12:00:00Z");
    let again = vec![first.clone(), other.clone()];
    assert_eq!(store.append(again.clone(), now).await.unwrap(), [Appended::Stored, Appended::Duplicate]);
    assert_eq!(store.append(again, now).await.unwrap(), [Appended::Duplicate, Appended::Duplicate]);
    let totals = store.totals(&site(), key(Period::Day, "2025-12-08")).await.unwrap();
    assert_eq!((totals.events, totals.page_views, totals.visitors), (1, 1, 1));
    assert_eq!(store.timeline(&site(), TimelineFrom::all(0), 10).await.unwrap(), [first]);
}

pub async fn ids_are_compared_within_a_site(fixture: impl Fixture) {
    let here = event("page_view", 1, at("2025-12-08T10:00:00Z"));
    let there = on_site(here.clone(), "other.example");
    let answers = fixture.store().append(vec![here, there], at("2025-12-08T10:00:00Z")).await.unwrap();
    assert_eq!(answers, [Appended::Stored, Appended::Stored]);
}

pub async fn the_same_event_from_many_at_once_is_stored_once(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T10:00:00Z");
    let same = event("page_view", 1, now);
    let append = || store.append(vec![same.clone(), event("scroll", 1, now)], now);
    let (a, b, c, d) = tokio::join!(append(), append(), append(), append());
    let stored = [a, b, c, d].into_iter().filter(|answer| answer.as_ref().unwrap()[0] != Appended::Duplicate).count();
    assert_eq!(stored, 1);
    let totals = store.totals(&site(), key(Period::Month, "2025-12-08")).await.unwrap();
    assert_eq!((totals.events, totals.page_views, totals.visitors), (5, 1, 1));
}

/// Where the engine can tell.
pub async fn the_size_grows_with_what_is_stored(fixture: impl Fixture) {
    let now = at("2025-12-08T10:00:00Z");
    let Some(before) = fixture.store().used_bytes().await.unwrap() else { return };
    let events: Vec<_> = (0..100)
        .map(|number| {
            // What cannot be compressed.
            let text: String = (0..200).map(|_| uuid::Uuid::new_v4().simple().to_string()).collect();
            with_data(event("signup", number, now), &json!({ "text": text }))
        })
        .collect();
    put(fixture.store(), &events).await;
    let grown = fixture.store().used_bytes().await.unwrap().unwrap() - before;
    assert!((500_000..50_000_000).contains(&grown), "by {grown} bytes");
}

pub async fn everything_survives_a_restart(mut fixture: impl Fixture) {
    let now = at("2025-12-08T10:00:00Z");
    let first = event("page_view", 1, now);
    put(fixture.store(), &[first.clone(), event("click", 2, now)]).await;
    fixture.reopen().await;
    let store = fixture.store();
    let answers = store.append(vec![first, event("scroll", 2, now), event("scroll", 3, now)], now).await.unwrap();
    assert_eq!(answers, [Appended::Duplicate, Appended::Stored, Appended::Stored]);
    let realtime = store.realtime(&site(), now, 300_000).await.unwrap();
    assert_eq!((realtime.total_events, realtime.unique_today, realtime.current_visitors), (4, 3, 3));
}

pub async fn sites_are_bounded(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T10:00:00Z");
    let events = (0..=Site::MOST).map(|number| on_site(event("scroll", 1, now), &format!("s{number}"))).collect();
    let answers: Vec<Appended> = store.append(events, now).await.unwrap();
    assert!(answers[..Site::MOST].iter().all(|answer| *answer == Appended::Stored));
    assert_eq!(answers[Site::MOST], Appended::TooManySites);
    assert_eq!(store.sites().await.unwrap().len(), Site::MOST);
    let known = store.append(vec![on_site(event("scroll", 1, now), "s7")], now).await.unwrap();
    assert_eq!(known, [Appended::Stored], "sites that are known go on");
    let late = |name: &str| on_site(event("scroll", 1, now), name);
    assert_eq!(store.append(vec![late("mine")], now).await.unwrap(), [Appended::TooManySites]);
    let mine = late("mine").site;
    for _ in 0..2 {
        store.admit_sites(&[mine.clone()].into()).await.unwrap();
        assert_eq!(store.append(vec![late("mine")], now).await.unwrap(), [Appended::Stored], "an admitted one fits");
    }
    assert_eq!(store.append(vec![late("another")], now).await.unwrap(), [Appended::TooManySites]);
    assert_eq!(store.sites().await.unwrap().len(), Site::MOST + 1);
}

pub async fn an_empty_batch_is_fine(fixture: impl Fixture) {
    assert_eq!(fixture.store().append(Vec::new(), at("2025-12-08T10:00:00Z")).await.unwrap(), []);
}

pub async fn a_closed_store_is_unavailable(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T10:00:00Z");
    put(store, &[event("scroll", 1, now)]).await;
    store.close().await;
    assert!(matches!(store.append(vec![event("scroll", 1, now)], now).await, Err(StoreError::Unavailable { .. })));
    assert!(matches!(store.realtime(&site(), now, 1).await, Err(StoreError::Unavailable { .. })));
    assert!(matches!(store.check().await, Err(StoreError::Unavailable { .. })));
    store.close().await;
}

pub async fn versions_change_with_what_is_stored(fixture: impl Fixture) {
    let store = fixture.store();
    if store.version().is_none() {
        return;
    }
    let before = store.version();
    put(store, &[event("scroll", 1, at("2025-12-08T10:00:00Z"))]).await;
    assert_ne!(store.version(), before);
}
