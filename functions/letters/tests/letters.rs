//! Letters by type and day.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use common::site::Site;
use common::testing::{TestApp, store_event};
use common::time::Day;
use serde_json::json;

#[tokio::test]
async fn every_day_so_far_has_an_entry() {
    let test = TestApp::start(&[], letters::router, "2025-12-10T12:00:00Z").await;
    for (kind, at) in [
        ("motivation", "2025-12-08T10:00:00Z"),
        ("motivation", "2025-12-10T10:00:00Z"),
        ("anti_motivation", "2025-12-10T10:00:00Z"),
    ] {
        store_event(&test.app, 1, "letter_generate", "/letters", &json!({"letter_type": kind}), at).await;
    }
    let body = test.get("/letters?period=week").await.body;
    let expected = json!({
        "period": "week", "period_key": "2025-W50", "total": 3, "motivation": 2, "anti_motivation": 1,
        "unique_visitors": 1, "conversion_rate": 3.0,
        "history": [
            {"date": "2025-12-08", "count": 1}, {"date": "2025-12-09", "count": 0}, {"date": "2025-12-10", "count": 2},
        ],
    });
    assert_eq!(body["data"], expected);
    assert_eq!(test.get("/letters").await.body["data"]["history"], json!([{"date": "2025-12-10", "count": 2}]));
    let month = test.get("/letters?period=month").await.body;
    assert_eq!(month["data"]["history"].as_array().unwrap().len(), 10);
    assert_eq!(test.get("/letters?period=year").await.body["code"], "INVALID_PERIOD");
}

/// A day of this month that had expired when a log of it was imported.
#[tokio::test]
async fn imported_days_have_their_letters() {
    let start = || TestApp::start(&[("ANALYTICS_RETENTION_DAYS", "7")], letters::router, "2025-12-20T12:00:00Z");
    let (log, test) = (start().await, start().await);
    for (app, kind, at) in [
        (&log.app, "motivation", "2025-12-03T10:00:00Z"),
        (&log.app, "anti_motivation", "2025-12-03T10:00:00Z"),
        (&test.app, "motivation", "2025-12-19T10:00:00Z"),
    ] {
        store_event(app, 1, "letter_generate", "/letters", &json!({"letter_type": kind}), at).await;
    }
    let (day, site) = (Day::parse("2025-12-03").unwrap(), Site::default());
    test.app.measure.import_day(&*log.app.store, &*test.app.store, &site, day).await.unwrap();
    let month = test.get("/letters?period=month").await.body["data"].clone();
    let found = ["total", "motivation", "anti_motivation", "unique_visitors"].map(|name| month[name].clone());
    assert_eq!(found, [3, 2, 1, 2].map(|n| json!(n)));
    let counts: Vec<_> =
        month["history"].as_array().unwrap().iter().map(|day| day["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
}
