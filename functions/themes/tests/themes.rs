//! The most viewed themes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use common::testing::{TestApp, store_event};
use serde_json::json;

#[tokio::test]
async fn most_viewed_first() {
    let test = TestApp::start(&[("ANALYTICS_RETENTION_DAYS", "30")], themes::router, "2025-12-08T12:00:00Z").await;
    assert_eq!(test.get("/themes").await.body, json!({"success": true, "data": []}));
    for (theme, at) in [
        ("old", "2025-11-07T10:00:00Z"),
        ("b", "2025-11-08T10:00:00Z"),
        ("b", "2025-12-08T10:00:00Z"),
        ("a", "2025-12-08T10:00:00Z"),
    ] {
        store_event(&test.app, 1, "page_view", &format!("/cv?theme={theme}"), &json!({}), at).await;
    }
    let theme = |theme: &str, views: u64, percentage: f64| json!({"theme": theme, "views": views, "count": views, "percentage": percentage});
    assert_eq!(test.get("/themes").await.body["data"], json!([theme("b", 2, 200.0 / 3.0), theme("a", 1, 100.0 / 3.0)]));
    assert_eq!(test.get("/themes?period=day").await.body["data"], json!([theme("a", 1, 50.0), theme("b", 1, 50.0)]));
    assert_eq!(test.get("/themes?limit=1&period=week").await.body["data"], json!([theme("a", 1, 50.0)]));
    for (query, code) in [("limit=0", "INVALID_LIMIT"), ("limit=21", "INVALID_LIMIT"), ("period=all", "INVALID_PERIOD")]
    {
        assert_eq!(test.get(&format!("/themes?{query}")).await.body["code"], code);
    }
}
