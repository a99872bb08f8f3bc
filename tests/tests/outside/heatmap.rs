//! Clicks, grouped by where they were.

use serde_json::{Value, json};
use tests::clock::seconds_from_now;
use tests::server::Server;
use tests::{list, number, text, uuid};

fn click(page: &str, data: Value) -> Value {
    json!({"event_type": "button_click", "visitor_id": uuid(), "page_url": page, "event_data": data})
}

fn cells(rows: &Value) -> Vec<(f64, f64, u64, &str)> {
    let place = |row: &Value, axis: &str| row[axis].as_f64().unwrap();
    list(rows)
        .iter()
        .map(|row| (place(row, "x"), place(row, "y"), number(&row["count"]), text(&row["page_url"])))
        .collect()
}

#[tokio::test]
async fn grouped_by_rounded_position() {
    let server = Server::new().await;
    server
        .store_all(&[
            click("/cv", json!({"x": 45.2, "y": 20, "element": "cta"})),
            click("/cv?theme=backend", json!({"x": 44.8, "y": 20.4, "element": "cta"})),
            click("https://cv.example/cv#top", json!({"x": 45, "y": 19.6, "element": "logo"})),
            click("/cv", json!({"x": 80, "y": 90})),
            click("/cv", json!({"x": 80.3, "y": 90})),
            click("/about", json!({"x": 45, "y": 20})),
            click("/cv", json!({"x": "45", "y": 20})),
            click("/cv", json!({"x": 45})),
            click("/cv", json!({})),
            json!({"event_type": "click", "visitor_id": uuid(), "page_url": "/about", "event_data": {"x": 0, "y": 100}}),
            json!({"event_type": "hover", "visitor_id": uuid(), "page_url": "/cv", "event_data": {"x": 45, "y": 20}}),
        ])
        .await;

    for name in ["page_url", "page"] {
        let map = server.ask(&format!("/heatmap?{name}=/cv")).await;
        assert_eq!(cells(&map["data"]), [(45.0, 20.0, 3, "/cv"), (80.0, 90.0, 2, "/cv")], "{map}");
        assert_eq!(map["data"][0]["element"], "cta", "the one clicked most often there");
        assert_eq!(map["meta"]["page_url"], "/cv");
        assert_eq!((number(&map["meta"]["hours"]), number(&map["meta"]["count"])), (24, 2));
    }
    let all = server.ask("/heatmap").await;
    assert_eq!(number(&all["meta"]["count"]), 4, "{all}");
    assert_eq!(cells(&all["data"]).iter().map(|cell| cell.2).sum::<u64>(), 7);
    assert_eq!(cells(&server.data("/heatmap?page_url=/nowhere").await), []);
}

/// Pixels of screens of all sizes make no picture: positions are percentages.
#[tokio::test]
async fn pixels_are_no_positions() {
    let server = Server::new().await;
    server
        .store_all(&[
            click("/cv", json!({"x": 960, "y": 540})),
            click("/cv", json!({"x": -1, "y": 50})),
            click("/cv", json!({"x": 1e300, "y": 50})),
            click("/cv", json!({"x": 100, "y": 0})),
        ])
        .await;
    assert_eq!(cells(&server.data("/heatmap").await), [(100.0, 0.0, 1, "/cv")]);
}

#[tokio::test]
async fn only_the_asked_for_hours() {
    let server = Server::new().await;
    let mut old = click("/cv", json!({"x": 10, "y": 10}));
    old["timestamp"] = json!(seconds_from_now(-3 * 3600).to_string());
    server.store_all(&[old, click("/cv", json!({"x": 20, "y": 20}))]).await;
    assert_eq!(cells(&server.data("/heatmap?hours=1").await), [(20.0, 20.0, 1, "/cv")]);
    assert_eq!(list(&server.data("/heatmap?hours=5").await).len(), 2);
    assert_eq!(list(&server.data("/heatmap?hours=168").await).len(), 2);
}
