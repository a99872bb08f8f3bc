//! One visitor's data: exported, and erased.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use common::testing::{TestAnswer, TestApp, store_event};
use serde_json::{Value, json};
use uuid::Uuid;

const NOW: &str = "2025-12-08T12:00:00Z";
const ADMIN: &str = "0123456789abcdef";

async fn start() -> TestApp {
    let vars = [("ANALYTICS_READ_AUTH", "token"), ("ANALYTICS_ADMIN_TOKEN", ADMIN)];
    TestApp::start(&vars, cleanup::router, NOW).await
}

async fn ask(test: &TestApp, path: &str, body: impl ToString) -> TestAnswer {
    test.post(path, &[("authorization", &format!("Bearer {ADMIN}"))], None, &body.to_string()).await
}

fn visitor(who: u128) -> String {
    Uuid::from_u128(who).to_string()
}

#[tokio::test]
async fn all_events_are_exported_page_by_page() {
    let test = start().await;
    for number in 0..230 {
        let at = format!("2025-12-0{}T10:{:02}:{:02}Z", 1 + number % 3, number / 60, number % 60);
        store_event(&test.app, 1, "click", &format!("/page/{number}"), &json!({"x": number}), &at).await;
        store_event(&test.app, 2, "scroll", "/", &json!({}), &at).await;
    }
    let (mut events, mut cursor, mut pages) = (Vec::new(), Value::Null, Vec::new());
    loop {
        let asked = json!({"visitor_id": visitor(1), "cursor": cursor});
        let answer = ask(&test, "/visitor/export", asked).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.body["data"]["days"], json!(["2025-12-01", "2025-12-02", "2025-12-03"]));
        pages.push(answer.body["meta"]["count"].as_u64().unwrap());
        events.extend(answer.body["data"]["events"].as_array().unwrap().clone());
        cursor = answer.body["meta"]["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(pages, [100, 100, 30]);
    assert!(events.iter().all(|event| event["visitor_id"] == visitor(1)), "of this visitor");
    assert!(events.is_sorted_by_key(|event| event["created_at"].as_str().unwrap().to_owned()), "oldest first");
    let mut numbers: Vec<i64> = events.iter().map(|event| event["event_data"]["x"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..230).collect::<Vec<_>>(), "each once");
    let first = &events[0];
    assert_eq!((&first["event_type"], &first["page_url"]), (&json!("button_click"), &json!("/page/0")));
}

#[tokio::test]
async fn what_is_erased_is_reported_once() {
    let test = start().await;
    for at in ["2025-12-01T10:00:00Z", "2025-12-08T10:00:00Z", "2025-12-08T11:00:00Z"] {
        store_event(&test.app, 1, "scroll", "/", &json!({}), at).await;
        store_event(&test.app, 2, "scroll", "/", &json!({}), at).await;
    }
    let asked = json!({"site": "default", "visitor_id": visitor(1)});
    let answer = ask(&test, "/visitor/erase", &asked).await;
    let data = json!({"events": 3, "days": 2, "first_day": "2025-12-01", "last_day": "2025-12-08"});
    assert_eq!((answer.status.as_u16(), &answer.body["data"]), (200, &data));
    let nothing = json!({"events": 0, "days": 0, "first_day": null, "last_day": null});
    for asked in [asked, json!({"visitor_id": visitor(9)}), json!({"visitor_id": visitor(2), "site": "other"})] {
        assert_eq!(ask(&test, "/visitor/erase", &asked).await.body["data"], nothing, "{asked}");
        let exported = ask(&test, "/visitor/export", &asked).await;
        assert_eq!(exported.body["data"], json!({"days": [], "events": []}), "{asked}");
        assert_eq!(exported.body["meta"], json!({"count": 0, "next_cursor": null}));
    }
    let others = ask(&test, "/visitor/export", json!({"visitor_id": visitor(2)})).await;
    assert_eq!(others.body["meta"]["count"], 3);
}

#[tokio::test]
async fn only_admins_of_the_site_may_and_mistakes_are_named() {
    let test = start().await;
    for path in ["/visitor/erase", "/visitor/export"] {
        let asked = json!({"visitor_id": visitor(1)}).to_string();
        assert_eq!(test.post(path, &[], None, &asked).await.status, 401, "{path}");
        let answer = test.post(path, &[("authorization", "Bearer wrong")], None, &asked).await;
        assert_eq!(answer.status, 401, "{path}");
        for (body, code) in [
            (String::new(), "INVALID_JSON"),
            ("{".to_owned(), "INVALID_JSON"),
            ("[]".to_owned(), "INVALID_JSON"),
            ("{}".to_owned(), "INVALID_JSON"),
            (json!({"visitor_id": 7}).to_string(), "INVALID_JSON"),
            (json!({"visitor_id": visitor(1), "all": true}).to_string(), "INVALID_JSON"),
            (json!({"visitor_id": "x"}).to_string(), "INVALID_VISITOR"),
            (json!({"visitor_id": visitor(1), "site": "No Site"}).to_string(), "INVALID_SITE"),
        ] {
            let answer = ask(&test, path, &body).await;
            assert_eq!((answer.status.as_u16(), &answer.body["code"]), (400, &json!(code)), "{path} {body}");
            assert!(!answer.text.contains(&visitor(1)), "it is not repeated: {}", answer.text);
        }
    }
    for cursor in ["", "x", "1.x", "x.3f2504e0-4f89-41d3-9a0c-0305e82c3301"] {
        let answer = ask(&test, "/visitor/export", json!({"visitor_id": visitor(1), "cursor": cursor})).await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (400, &json!("INVALID_CURSOR")), "{cursor}");
    }
}
