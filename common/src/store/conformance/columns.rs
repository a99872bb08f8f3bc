//! What fixed endpoints ask of the columns: themes and clicks.

use std::ops::Range;

use serde_json::json;

use super::Fixture;
use super::queries::service;
use super::recount::{self, RETENTION_DAYS};
use super::samples::{at, day, event, on_page, put, site, with_data};
use crate::event::Event;
use crate::measure::scan::clicks::ClickedPlace;
use crate::measure::themes::Themes;
use crate::retention::cutoff;
use crate::store::Store;
use crate::time::{DAY, SECOND, Timestamp};

async fn clicks(
    store: &dyn Store,
    page: Option<&str>,
    hours: Range<i64>,
    limit: usize,
    now: Timestamp,
) -> Vec<ClickedPlace> {
    service().clicks(store, &site(), page, hours, limit, now).await.unwrap()
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
    let week = day("2025-12-08")..day("2025-12-15");
    let themes = service().themes(store, &site(), week, 3, now).await.unwrap();
    let rows = [("a".to_owned(), 2), ("c".to_owned(), 2), ("b".to_owned(), 1)];
    assert_eq!(themes, Themes { total: 6, rows: rows.to_vec() }, "the total has what the limit cuts off");
}

/// Their columns may still be in memory, and their totals are kept for longer.
pub async fn expired_days_are_not_counted(fixture: impl Fixture) {
    let (store, service) = (fixture.store(), recount::service());
    let first = at("2025-12-01T10:00:00Z");
    put(store, &[theme("a", first), with_data(event("click", 1, first), &json!({"x": 1, "y": 1}))]).await;
    for (expired, count) in [(0, 1), (1, 0)] {
        let now = at("2025-12-11T12:00:00Z").plus(expired * DAY);
        while !store.delete_before(cutoff(RETENTION_DAYS, now), now).await.unwrap().done {}
        let month = day("2025-12-01")..day("2026-01-01");
        assert_eq!(service.themes(store, &site(), month, 20, now).await.unwrap().total, count);
        let hours = first.hour()..first.hour() + 1;
        assert_eq!(service.clicks(store, &site(), None, hours, 20, now).await.unwrap().len() as u64, count);
    }
}

pub async fn themes_span_days(fixture: impl Fixture) {
    let store = fixture.store();
    put(
        store,
        &[
            theme("old", at("2025-09-09T10:00:00Z")),
            theme("a", at("2025-12-01T10:00:00Z")),
            theme("a", at("2025-12-08T10:00:00Z")),
            theme("b", at("2025-12-08T10:00:00Z")),
        ],
    )
    .await;
    let (now, tomorrow) = (at("2025-12-08T12:00:00Z"), day("2025-12-09"));
    let themes = service().themes(store, &site(), day("2025-09-10")..tomorrow, 20, now).await.unwrap();
    assert_eq!(themes.rows, [("a".to_owned(), 2), ("b".to_owned(), 1)]);
    let themes = service().themes(store, &site(), day("2025-09-09")..tomorrow, 20, now).await.unwrap();
    assert_eq!(themes.total, 4);
}

fn click(page: &str, x: f64, y: f64, element: &str, when: Timestamp) -> Event {
    on_page(with_data(event("button_click", 1, when), &json!({"x": x, "y": y, "element": element})), page)
}

fn cell(page: &str, x: u8, y: u8, count: u64, element: &str) -> ClickedPlace {
    ClickedPlace { page: page.to_owned(), x, y, count, element: element.to_owned() }
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
    let all = clicks(store, None, hours.clone(), 100, now).await;
    assert_eq!(
        all,
        [cell("/cv", 45, 20, 2, ""), cell("/", 50, 50, 1, ""), cell("/cv", 9, 5, 1, ""), cell("/cv", 10, 5, 1, "")]
    );
    assert_eq!(clicks(store, Some("/"), hours.clone(), 100, now).await, [cell("/", 50, 50, 1, "")]);
    assert_eq!(clicks(store, Some("/cv"), hours.clone(), 1, now).await, [cell("/cv", 45, 20, 2, "")]);
    assert_eq!(clicks(store, Some("/c"), hours, 1, now).await, []);
}

pub async fn clicks_name_the_most_clicked_element(fixture: impl Fixture) {
    let store = fixture.store();
    let now = at("2025-12-08T10:00:00Z");
    let names = ["b", "a", "b", "a", "c", "", "", ""];
    put(store, &names.map(|name| click("/", 1.0, 1.0, name, now))).await;
    let later = now.plus(3_600 * SECOND);
    put(store, &[click("/", 1.0, 1.0, "c", later), click("/", 1.0, 1.0, "c", later)]).await;
    let hour = now.hour();
    assert_eq!(clicks(store, None, hour..hour + 1, 9, now).await, [cell("/", 1, 1, 8, "a")]);
    assert_eq!(clicks(store, None, hour..hour + 2, 9, now).await, [cell("/", 1, 1, 10, "c")]);
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
        let cells = clicks(store, None, hours, 9, now).await;
        assert_eq!(cells.iter().map(|cell| cell.count).sum::<u64>(), count);
    }
}
