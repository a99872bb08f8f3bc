//! The figures of a period.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use common::site::Site;
use common::testing::{TestApp, store_event};
use common::time::{Day, Timestamp};
use serde_json::json;

#[tokio::test]
async fn days_weeks_and_months() {
    let test = TestApp::start(&[], stats::router, "2025-12-08T12:00:00Z").await;
    let none = json!({});
    for (who, event_type, at) in [
        (1, "page_view", "2025-12-01T10:00:00Z"),
        (1, "page_view", "2025-12-08T10:00:00Z"),
        (2, "page_view", "2025-12-08T10:00:00Z"),
        (2, "letter_generate", "2025-12-08T10:00:00Z"),
    ] {
        store_event(&test.app, who, event_type, "/", &none, at).await;
    }
    for (query, key, events, views, letters, visitors, rate) in [
        ("", "2025-12-08", 3, 2, 1, 2, 0.5),
        ("?period=week", "2025-W50", 3, 2, 1, 2, 0.5),
        ("?period=month", "2025-12", 4, 3, 1, 2, 0.5),
        ("?period=day&date=2025-12-01", "2025-12-01", 1, 1, 0, 1, 0.0),
        ("?date=2025-12-07", "2025-12-07", 0, 0, 0, 0, 0.0),
        ("?period=week&date=2024-12-30", "2025-W01", 0, 0, 0, 0, 0.0),
    ] {
        let data = test.get(&format!("/stats{query}")).await.body["data"].clone();
        let found = (
            &data["period_key"],
            &data["total_events"],
            &data["page_views"],
            &data["letters_generated"],
            &data["unique_visitors"],
        );
        assert_eq!(found, (&json!(key), &json!(events), &json!(views), &json!(letters), &json!(visitors)), "{query}");
        assert_eq!(data["conversion_rate"], json!(rate), "{query}");
    }
}

#[tokio::test]
async fn answers_that_are_kept_are_right() {
    let test = TestApp::start(&[], stats::router, "2025-12-08T12:00:00Z").await;
    for events in 1..=3 {
        store_event(&test.app, 1, "scroll", "/", &json!({}), "2025-12-08T10:00:00Z").await;
        for _ in 0..2 {
            assert_eq!(test.get("/stats").await.body["data"]["total_events"], events);
        }
    }
}

/// Days of a log that had expired when it was imported.
#[tokio::test]
async fn imported_days_count_in_their_week_and_month() {
    let [log, test] = [(), ()].map(|()| TestApp::start(&[], stats::router, "2025-12-08T12:00:00Z"));
    let (log, test) = (log.await, test.await);
    let letter = json!({"letter_type": "motivation"});
    for (who, event_type, data, at) in [
        (1, "page_view", json!({}), "2025-08-05T10:00:00Z"),
        (2, "page_view", json!({}), "2025-08-05T11:00:00Z"),
        (2, "scroll", json!({}), "2025-08-05T11:00:01Z"),
        (3, "page_view", json!({}), "2025-08-12T10:00:00Z"),
        (3, "letter_generate", letter, "2025-08-12T10:01:00Z"),
    ] {
        store_event(&log.app, who, event_type, "/", &data, at).await;
    }
    for day in ["2025-08-05", "2025-08-12"] {
        let (day, site) = (Day::parse(day).unwrap(), Site::default());
        test.app.measure.import_day(&*log.app.store, &*test.app.store, &site, day).await.unwrap();
    }
    for (query, events, views, letters, visitors) in [
        ("?period=month&date=2025-08-31", 5, 3, 1, 3),
        ("?period=week&date=2025-08-05", 3, 2, 0, 2),
        ("?period=week&date=2025-08-12", 2, 1, 1, 1),
        ("?period=week&date=2025-08-19", 0, 0, 0, 0),
    ] {
        let data = test.get(&format!("/stats{query}")).await.body["data"].clone();
        let found =
            ["total_events", "page_views", "letters_generated", "unique_visitors"].map(|name| data[name].clone());
        assert_eq!(found, [events, views, letters, visitors].map(|n| json!(n)), "{query}");
    }
}

/// A log of a day whose events were counted when they were stored, and expired without a summary.
#[tokio::test]
async fn a_log_of_days_that_were_counted_adds_nothing() {
    let [log, test] = [(), ()].map(|()| TestApp::start(&[], stats::router, "2025-12-08T12:00:00Z"));
    let (log, test) = (log.await, test.await);
    for app in [&log.app, &test.app] {
        store_event(app, 1, "page_view", "/", &json!({}), "2025-08-05T10:00:00Z").await;
    }
    let (day, site) = (Day::parse("2025-08-05").unwrap(), Site::default());
    let now = Timestamp::parse("2025-12-08T12:00:00Z").unwrap();
    while !test.app.store.delete_before(Day::parse("2025-09-09").unwrap(), now).await.unwrap().done {}
    test.app.measure.import_day(&*log.app.store, &*test.app.store, &site, day).await.unwrap();
    let data = test.get("/stats?period=month&date=2025-08-31").await.body["data"].clone();
    assert_eq!([&data["total_events"], &data["unique_visitors"]], [1, 1]);
}
