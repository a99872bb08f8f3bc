//! Letters by type and day.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use common::testing::{TestApp, store_event};
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
