//! Clicked places.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use common::testing::{TestApp, store_event};
use serde_json::json;

#[tokio::test]
async fn places_of_a_page() {
    let test = TestApp::start(&[], heatmap::router, "2025-12-08T12:30:00Z").await;
    for (page, data, at) in [
        ("/cv?theme=a", json!({"x": 45.2, "y": 20, "button": "cta"}), "2025-12-08T12:10:00Z"),
        ("https://x.example/cv", json!({"x": 45, "y": 20.4}), "2025-12-08T12:20:00Z"),
        ("/", json!({"x": 1, "y": 1}), "2025-12-08T12:20:00Z"),
        ("/cv", json!({"x": 9, "y": 9}), "2025-12-08T11:59:59Z"),
        ("/cv", json!({"x": 9, "y": 9}), "2025-12-01T12:59:59Z"),
    ] {
        store_event(&test.app, 1, "click", page, &data, at).await;
    }
    // One page, however it is written.
    for spelling in ["//cv", "/%63v/", "/./cv", "/cv;jsessionid=1", "https://x.example/cv%3Fy", "cv"] {
        let page = test.get(&format!("/heatmap?hours=1&page={spelling}")).await.body;
        assert_eq!(page["meta"], json!({"page_url": "/cv", "hours": 1, "count": 1}), "{spelling}");
    }
    let cta = json!({"x": 45, "y": 20, "count": 2, "page_url": "/cv", "element": "cta"});
    let hour = test.get("/heatmap?page_url=/cv&hours=1").await.body;
    assert_eq!(hour, json!({"success": true, "data": [cta], "meta": {"page_url": "/cv", "hours": 1, "count": 1}}));
    assert_eq!(test.get("/heatmap?page=%2Fcv%3Fx&hours=2").await.body["meta"]["count"], 2);
    let week = test.get("/heatmap?hours=168&page_url=/cv").await.body;
    assert_eq!(week["data"][1], json!({"x": 9, "y": 9, "count": 1, "page_url": "/cv", "element": null}));
    let all = test.get("/heatmap").await.body;
    assert_eq!((all["data"].as_array().unwrap().len(), &all["meta"]["page_url"]), (3, &json!(null)));
    for query in ["hours=0", "hours=169", "hours=x"] {
        assert_eq!(test.get(&format!("/heatmap?{query}")).await.body["code"], "INVALID_HOURS");
    }
}
