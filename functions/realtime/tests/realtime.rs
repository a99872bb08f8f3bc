//! What happens now, and what happened today.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use common::testing::{TestApp, store_event};
use common::time::Timestamp;
use serde_json::json;

#[tokio::test]
async fn now_and_today() {
    let test = TestApp::start(&[], realtime::router, "2025-12-08T12:00:00Z").await;
    let none = json!({});
    for (who, event_type, at) in [
        (1, "page_view", "2025-12-07T23:59:59Z"),
        (1, "page_view", "2025-12-08T11:54:00Z"),
        (2, "letter_generate", "2025-12-08T11:55:01Z"),
        (2, "scroll", "2025-12-08T11:59:00Z"),
    ] {
        store_event(&test.app, who, event_type, "/", &none, at).await;
    }
    let data = json!({"current_visitors": 1, "unique_today": 2, "total_events": 3, "letters_today": 1, "timestamp": 1_765_195_200});
    assert_eq!(test.get("/realtime").await.body, json!({"success": true, "data": data}));
    test.source.set(Timestamp::parse("2025-12-08T12:04:00Z").unwrap());
    assert_eq!(test.get("/realtime").await.body["data"]["current_visitors"], 0, "the window slides without new events");
    test.source.set(Timestamp::parse("2025-12-09T00:00:00Z").unwrap());
    assert_eq!(test.get("/realtime").await.body["data"]["total_events"], 0, "a new day begins at midnight UTC");
    assert_eq!(test.get("/realtime?site=NO").await.body["code"], "INVALID_SITE");
}

#[tokio::test]
async fn the_window_is_configured() {
    let vars = [("ANALYTICS_ACTIVE_WINDOW_SECONDS", "60")];
    let test = TestApp::start(&vars, realtime::router, "2025-12-08T12:00:00Z").await;
    store_event(&test.app, 1, "scroll", "/", &json!({}), "2025-12-08T11:59:00Z").await;
    store_event(&test.app, 2, "scroll", "/", &json!({}), "2025-12-08T11:59:01Z").await;
    assert_eq!(test.get("/realtime").await.body["data"]["current_visitors"], 1);
}
