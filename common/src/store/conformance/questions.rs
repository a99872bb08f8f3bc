//! Questions: what the answers are made of, and in which order.

use serde_json::json;

use super::Fixture;
use super::samples::{at, day, event, key, on_page, on_site, put, quiet, site, with_data};
use crate::event::Event;
use crate::period::Period;
use crate::site::Site;
use crate::store::{ClickCell, Ranking, Realtime, Span, TimelineFrom, Totals};
use crate::tally::{Dimension, MOST_VALUES, OTHER};
use crate::time::{SECOND, Timestamp};

const WINDOW: i64 = 300 * SECOND;

pub async fn unknown_sites_are_empty(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T10:00:00Z");
    put(store, &[event("page_view", 1, now)]).await;
    let nowhere = Site::parse("nowhere").unwrap();
    let today = key(Period::Day, "2025-12-08");
    assert_eq!(store.realtime(&nowhere, now, WINDOW).await.unwrap(), Realtime::default());
    assert_eq!(store.totals(&nowhere, today).await.unwrap(), Totals::default());
    let ranking = store.ranking(&nowhere, Dimension::Theme, Span::Period(today), 5).await.unwrap();
    assert_eq!(ranking, Ranking::default());
    let days = day("2025-12-07")..day("2025-12-09");
    let daily = store.daily(&nowhere, Dimension::All, "", days).await.unwrap();
    assert_eq!(daily, [(day("2025-12-07"), 0), (day("2025-12-08"), 0)]);
    assert_eq!(store.timeline(&nowhere, TimelineFrom::all(0), 5).await.unwrap(), []);
    assert_eq!(store.heatmap(&nowhere, None, 0..i64::MAX, 5).await.unwrap(), []);
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

fn theme(name: &str, when: Timestamp) -> Event {
    with_data(event("cv_theme_change", 1, when), &json!({"theme": name}))
}

pub async fn themes_are_ranked(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T10:00:00Z");
    let mut events: Vec<Event> = ["b", "a", "c", "é", "c"].iter().map(|name| theme(name, now)).collect();
    events.push(on_page(event("page_view", 2, now), "/cv?theme=a"));
    events.push(on_page(event("scroll", 2, now), "/cv?theme=b"));
    put(store, &events).await;
    let ranking =
        store.ranking(&site(), Dimension::Theme, Span::Period(key(Period::Week, "2025-12-08")), 3).await.unwrap();
    let rows = [("a".to_owned(), 2), ("c".to_owned(), 2), ("b".to_owned(), 1)];
    assert_eq!(ranking, Ranking { total: 6, rows: rows.to_vec() }, "the total has what the limit cuts off");
}

pub async fn rankings_span_days(fixture: impl Fixture) {
    let store = fixture.store();
    put(
        store,
        &[
            theme("old", at("2025-09-08T10:00:00Z")),
            theme("a", at("2025-12-01T10:00:00Z")),
            theme("a", at("2025-12-08T10:00:00Z")),
            theme("b", at("2025-12-08T10:00:00Z")),
        ],
    )
    .await;
    let ranking = store.ranking(&site(), Dimension::Theme, Span::Since(day("2025-09-09")), 20).await.unwrap();
    assert_eq!(ranking.rows, [("a".to_owned(), 2), ("b".to_owned(), 1)]);
    let ranking = store.ranking(&site(), Dimension::Theme, Span::Since(day("2025-09-08")), 20).await.unwrap();
    assert_eq!(ranking.total, 4);
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
    let daily = store.daily(&site(), Dimension::EventType, "letter_generate", days).await.unwrap();
    let counts: Vec<_> = daily.iter().map(|(day, count)| (day.to_string(), *count)).collect();
    let expected = [("2025-12-06", 1), ("2025-12-07", 0), ("2025-12-08", 2), ("2025-12-09", 0)];
    assert_eq!(counts, expected.map(|(day, count)| (day.to_owned(), count)));
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

/// In the earlier service nobody ever left under steady traffic: one expiry stood for all.
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

fn click(page: &str, x: f64, y: f64, element: &str, when: Timestamp) -> Event {
    on_page(with_data(event("button_click", 1, when), &json!({"x": x, "y": y, "element": element})), page)
}

fn cell(page: &str, x: u8, y: u8, count: u64, element: &str) -> ClickCell {
    ClickCell { page: page.to_owned(), x, y, count, element: element.to_owned() }
}

pub async fn clicks_are_grouped_by_place(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T10:00:00Z");
    put(
        store,
        &[
            click("/cv?theme=a", 45.2, 20.0, "", now),
            click("https://x.example/cv", 44.6, 20.4, "", now),
            click("/cv", 10.0, 5.0, "", now),
            click("/cv", 9.0, 5.0, "", now),
            click("/", 50.0, 50.0, "", now),
            click("/cv", 960.0, 540.0, "", now),
            event("button_click", 1, now),
        ],
    )
    .await;
    let hours = now.hour()..now.hour() + 1;
    let all = store.heatmap(&site(), None, hours.clone(), 100).await.unwrap();
    assert_eq!(
        all,
        [cell("/cv", 45, 20, 2, ""), cell("/", 50, 50, 1, ""), cell("/cv", 9, 5, 1, ""), cell("/cv", 10, 5, 1, "")]
    );
    assert_eq!(store.heatmap(&site(), Some("/"), hours.clone(), 100).await.unwrap(), [cell("/", 50, 50, 1, "")]);
    assert_eq!(store.heatmap(&site(), Some("/cv"), hours.clone(), 1).await.unwrap(), [cell("/cv", 45, 20, 2, "")]);
    assert_eq!(store.heatmap(&site(), Some("/c"), hours, 1).await.unwrap(), []);
}

pub async fn clicks_name_the_most_clicked_element(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T10:00:00Z");
    let names = ["b", "a", "b", "a", "c", "", "", ""];
    put(store, &names.map(|name| click("/", 1.0, 1.0, name, now))).await;
    let later = now.plus(3_600 * SECOND);
    put(store, &[click("/", 1.0, 1.0, "c", later), click("/", 1.0, 1.0, "c", later)]).await;
    let hour = now.hour();
    assert_eq!(store.heatmap(&site(), None, hour..hour + 1, 9).await.unwrap(), [cell("/", 1, 1, 8, "a")]);
    assert_eq!(store.heatmap(&site(), None, hour..hour + 2, 9).await.unwrap(), [cell("/", 1, 1, 10, "c")]);
}

pub async fn heatmaps_are_cut_by_hour(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T10:59:59Z");
    put(
        store,
        &[
            click("/", 1.0, 1.0, "", now),
            click("/", 1.0, 1.0, "", now.plus(1_000)),
            click("/", 1.0, 1.0, "", now.plus(-7_200_000)),
        ],
    )
    .await;
    let hour = now.hour();
    for (hours, count) in [(hour..hour + 1, 1), (hour..hour + 2, 2), (hour - 2..hour + 1, 2), (hour - 1..hour, 0)] {
        let cells = store.heatmap(&site(), None, hours, 9).await.unwrap();
        assert_eq!(cells.iter().map(|cell| cell.count).sum::<u64>(), count);
    }
}

pub async fn distinct_values_are_bounded(mut fixture: impl Fixture) {
    let now = at("2025-12-08T10:00:00Z");
    let names: Vec<String> = (0..MOST_VALUES + 20).map(|number| format!("t{number}")).collect();
    for names in names.chunks(2_000) {
        put(fixture.store(), &names.iter().map(|name| theme(name, now)).collect::<Vec<_>>()).await;
    }
    fixture.reopen().await;
    let store = fixture.store();
    let tomorrow = now.plus(24 * 3_600 * SECOND);
    put(store, &[theme("late", now), theme("t7", now), theme("late", tomorrow)]).await;
    let today = Span::Period(key(Period::Day, "2025-12-08"));
    let ranking = store.ranking(&site(), Dimension::Theme, today, 3).await.unwrap();
    let rows = [(OTHER.to_owned(), 21), ("t7".to_owned(), 2), ("t0".to_owned(), 1)];
    assert_eq!(ranking, Ranking { total: MOST_VALUES as u64 + 22, rows: rows.to_vec() });
    let month = Span::Period(key(Period::Month, "2025-12-08"));
    let ranking = store.ranking(&site(), Dimension::Theme, month, MOST_VALUES * 2).await.unwrap();
    assert_eq!(ranking.rows.len(), MOST_VALUES + 2, "another day has room of its own");
    let recount = store.verify(tomorrow, quiet()).await.unwrap();
    assert_eq!(recount.differences, []);
}

pub async fn click_targets_are_bounded(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T10:00:00Z");
    for start in (0..MOST_VALUES + 20).step_by(2_000) {
        let end = (start + 2_000).min(MOST_VALUES + 20);
        let clicks: Vec<Event> =
            (start..end).map(|number| click("/", 1.0, 1.0, &format!("e{number:05}"), now)).collect();
        put(store, &clicks).await;
    }
    let cells = store.heatmap(&site(), None, now.hour()..now.hour() + 1, 9).await.unwrap();
    assert_eq!(cells, [cell("/", 1, 1, MOST_VALUES as u64, "e00000"), cell(OTHER, 1, 1, 20, "")]);
}

pub async fn sites_do_not_mix(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T10:00:00Z");
    put(
        store,
        &[
            on_site(theme("a", now), "a.example"),
            on_site(click("/", 1.0, 1.0, "", now), "a.example"),
            on_site(theme("b", now), "b.example"),
        ],
    )
    .await;
    let (a, b) = (Site::parse("a.example").unwrap(), Site::parse("b.example").unwrap());
    assert_eq!(store.sites().await.unwrap(), [a.clone(), b.clone()]);
    assert_eq!(store.realtime(&b, now, WINDOW).await.unwrap().total_events, 1);
    assert_eq!(store.heatmap(&b, None, 0..i64::MAX, 9).await.unwrap(), []);
    assert_eq!(store.timeline(&a, TimelineFrom::all(0), 9).await.unwrap().len(), 2);
    let ranking = store.ranking(&a, Dimension::Theme, Span::Since(day("2025-12-01")), 9).await.unwrap();
    assert_eq!(ranking.rows, [("a".to_owned(), 1)]);
}
