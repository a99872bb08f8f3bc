//! Questions: what the answers are made of, and in which order.

use serde_json::json;

use super::Fixture;
use super::samples::{at, day, event, key, on_site, put, site, with_data};
use crate::event::Event;
use crate::period::Period;
use crate::site::Site;
use crate::store::{Realtime, TimelineFrom, Totals};
use crate::time::SECOND;

const WINDOW: i64 = 300 * SECOND;

pub async fn unknown_sites_are_empty(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T10:00:00Z");
    put(store, &[event("page_view", 1, now)]).await;
    let nowhere = Site::parse("nowhere").unwrap();
    let today = key(Period::Day, "2025-12-08");
    assert_eq!(store.realtime(&nowhere, now, WINDOW).await.unwrap(), Realtime::default());
    assert_eq!(store.totals(&nowhere, today).await.unwrap(), Totals::default());
    let days = day("2025-12-07")..day("2025-12-09");
    let daily = store.daily(&nowhere, days).await.unwrap();
    assert_eq!(daily, [(day("2025-12-07"), Totals::default()), (day("2025-12-08"), Totals::default())]);
    assert_eq!(store.timeline(&nowhere, TimelineFrom::all(0), 5).await.unwrap(), []);
}

pub async fn periods_are_those_of_the_event(fixture: impl Fixture) {
    let store = fixture.store();
    put(
        store,
        &[
            event("page_view", 1, at("2025-11-30T23:59:59.999Z")),
            event("page_view", 1, at("2025-12-01T00:00:00Z")),
            event("scroll", 2, at("2025-12-07T23:59:59.999Z")),
            event("page_view", 2, at("2025-12-08T00:00:00Z")),
        ],
    )
    .await;
    let mut figures = Vec::new();
    for (period, date) in [
        (Period::Day, "2025-12-08"),
        (Period::Day, "2025-12-01"),
        (Period::Week, "2025-12-01"),
        (Period::Week, "2025-11-30"),
        (Period::Month, "2025-12-31"),
        (Period::Month, "2025-11-01"),
    ] {
        let totals = store.totals(&site(), key(period, date)).await.unwrap();
        figures.push((totals.events, totals.page_views, totals.visitors));
    }
    assert_eq!(figures, [(1, 1, 1), (1, 1, 1), (2, 1, 2), (1, 1, 1), (3, 2, 2), (1, 1, 1)]);
}

pub async fn weeks_across_new_year(fixture: impl Fixture) {
    let store = fixture.store();
    put(
        store,
        &[
            event("page_view", 1, at("2025-12-28T12:00:00Z")),
            event("page_view", 1, at("2025-12-29T12:00:00Z")),
            event("page_view", 1, at("2026-01-04T12:00:00Z")),
            event("page_view", 1, at("2026-01-05T12:00:00Z")),
        ],
    )
    .await;
    let week = key(Period::Week, "2026-01-01");
    assert_eq!(week.to_string(), "2026-W01");
    let totals = store.totals(&site(), week).await.unwrap();
    assert_eq!((totals.events, totals.visitors), (2, 1), "one visitor in one week of two months and two years");
    for month in ["2025-12-01", "2026-01-01"] {
        let totals = store.totals(&site(), key(Period::Month, month)).await.unwrap();
        assert_eq!((totals.events, totals.visitors), (2, 1));
    }
}

pub async fn uniques_are_exact_across_weeks_and_months(fixture: impl Fixture) {
    let store = fixture.store();
    // Visitor n comes on every n-th day of six weeks, some days twice.
    let first = day("2025-11-17");
    let events: Vec<Event> = (0..42)
        .flat_map(|number| (1..=7).filter(move |who| number % who == 0).map(move |who| (number, who)))
        .flat_map(|(number, who)| {
            let when = first.plus(number as i32).start().plus(who as i64 * 1_000);
            [event("page_view", who, when), event("scroll", who, when)]
        })
        .collect();
    put(store, &events).await;
    for number in 0..42 {
        let today = first.plus(number);
        for period in Period::ALL {
            let key = crate::period::PeriodKey::of(period, today);
            let expected: std::collections::HashSet<_> = events
                .iter()
                .filter(|event| (key.first_day()..=key.last_day()).contains(&event.created_at.day()))
                .map(|event| event.visitor)
                .collect();
            assert_eq!(store.totals(&site(), key).await.unwrap().visitors, expected.len() as u64, "{key}");
        }
    }
}

pub async fn days_without_events_are_zeros(fixture: impl Fixture) {
    let store = fixture.store();
    put(
        store,
        &[
            event("letter_generate", 1, at("2025-12-06T10:00:00Z")),
            event("letter_generate", 1, at("2025-12-08T10:00:00Z")),
            event("letter_generate", 2, at("2025-12-08T11:00:00Z")),
        ],
    )
    .await;
    let days = day("2025-12-06")..day("2025-12-10");
    let daily = store.daily(&site(), days).await.unwrap();
    let counts: Vec<_> = daily.iter().map(|(day, of)| (day.to_string(), of.letters, of.visitors)).collect();
    let expected = [("2025-12-06", 1, 1), ("2025-12-07", 0, 0), ("2025-12-08", 2, 2), ("2025-12-09", 0, 0)];
    assert_eq!(counts, expected.map(|(day, letters, visitors)| (day.to_owned(), letters, visitors)));
}

pub async fn letters_by_type(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T10:00:00Z");
    let letter = |kind| with_data(event("letter_generated", 1, now), &json!({"letter_type": kind}));
    put(
        store,
        &[letter("motivation"), letter("anti_motivation"), letter("motivation"), event("letter_generate", 2, now)],
    )
    .await;
    let totals = store.totals(&site(), key(Period::Day, "2025-12-08")).await.unwrap();
    assert_eq!((totals.letters, totals.motivation, totals.anti_motivation), (4, 2, 1));
    assert!((totals.conversion_rate() - 2.0).abs() < f64::EPSILON);
}

/// In the earlier service visitors never left under steady traffic, because all shared one expiry.
pub async fn the_active_window_slides(fixture: impl Fixture) {
    let store = fixture.store();
    let start = at("2025-12-08T10:00:00Z");
    put(store, &[event("page_view", 1, start), event("page_view", 2, start)]).await;
    let mut seen = Vec::new();
    for minute in 0..=6 {
        let now = start.plus(minute * 60 * SECOND);
        put(store, &[event("page_view", 1, now)]).await;
        seen.push(store.realtime(&site(), now, WINDOW).await.unwrap().current_visitors);
    }
    assert_eq!(seen, [2, 2, 2, 2, 2, 1, 1], "visitor 2 leaves after five minutes, whatever visitor 1 does");
    let ahead = start.plus(60 * 60 * SECOND);
    put(store, &[event("page_view", 3, ahead.plus(4 * 60 * SECOND))]).await;
    assert_eq!(store.realtime(&site(), ahead, WINDOW).await.unwrap().current_visitors, 1, "a clock ahead of ours");
    put(store, &[event("page_view", 4, ahead.plus(8 * 60 * 60 * SECOND))]).await;
    assert_eq!(store.realtime(&site(), ahead, WINDOW).await.unwrap().current_visitors, 1, "an old log, moved to today");
}

pub async fn late_events_do_not_make_visitors_current(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T10:00:00Z");
    let late = event("page_view", 1, at("2025-12-08T09:55:00Z"));
    store
        .append(vec![event("page_view", 2, now), late, event("page_view", 2, at("2025-12-07T10:00:00Z"))], now)
        .await
        .unwrap();
    let realtime = store.realtime(&site(), now, WINDOW).await.unwrap();
    let expected = Realtime { current_visitors: 1, unique_today: 2, total_events: 2, letters_today: 0 };
    assert_eq!(realtime, expected);
}

pub async fn timelines_are_sorted(fixture: impl Fixture) {
    let store = fixture.store();
    let times = ["10:00:02Z", "10:00:00Z", "10:00:01Z", "10:00:01Z", "09:00:00Z"];
    let mut events: Vec<Event> = times
        .iter()
        .enumerate()
        .map(|(who, time)| event("scroll", who as u64, at(&format!("2025-12-08T{time}"))))
        .collect();
    put(store, &events).await;
    events.sort_by_key(|event| std::cmp::Reverse((event.created_at, event.id)));
    let all = store.timeline(&site(), TimelineFrom::all(0), 100).await.unwrap();
    assert_eq!(all, events);
    let until = TimelineFrom::Newest { until: events[1].created_at, offset: 1 };
    assert_eq!(store.timeline(&site(), until, 2).await.unwrap(), events[2..4]);
    let some = store.timeline(&site(), TimelineFrom::all(1), 2).await.unwrap();
    assert_eq!(some, events[1..3]);
    assert_eq!(store.timeline(&site(), TimelineFrom::all(5), 2).await.unwrap(), []);
}

pub async fn timelines_page_without_gaps(fixture: impl Fixture) {
    let store = fixture.store();
    let start = at("2025-12-08T10:00:00Z");
    let events: Vec<Event> = (0..25).map(|number| event("scroll", 1, start.plus(number / 4))).collect();
    put(store, &events).await;
    let mut seen = Vec::new();
    let mut from = TimelineFrom::all(0);
    loop {
        let page = store.timeline(&site(), from, 4).await.unwrap();
        let Some(last) = page.last() else { break };
        from = TimelineFrom::Below(last.created_at, last.id);
        seen.extend(page);
        // Newer events arrive between two pages, and change nothing below.
        put(store, &[event("scroll", 2, start.plus(1_000))]).await;
    }
    let mut expected = events;
    expected.sort_by_key(|event| std::cmp::Reverse((event.created_at, event.id)));
    assert_eq!(seen, expected);
}

pub async fn sites_do_not_mix(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T10:00:00Z");
    put(
        store,
        &[
            on_site(event("page_view", 1, now), "a.example"),
            on_site(event("page_view", 2, now), "a.example"),
            on_site(event("page_view", 1, now), "b.example"),
        ],
    )
    .await;
    let (a, b) = (Site::parse("a.example").unwrap(), Site::parse("b.example").unwrap());
    assert_eq!(store.sites().await.unwrap(), [a.clone(), b.clone()]);
    assert_eq!(store.realtime(&b, now, WINDOW).await.unwrap().total_events, 1);
    assert_eq!(store.timeline(&a, TimelineFrom::all(0), 9).await.unwrap().len(), 2);
    assert_eq!(store.totals(&a, key(Period::Day, "2025-12-08")).await.unwrap().visitors, 2);
}
