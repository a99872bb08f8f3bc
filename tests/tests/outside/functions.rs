//! The eight Lambda binaries, invoked as the platform does: they answer what the local runtime
//! answers from the same store.

use serde_json::{Value, json};
use tests::home::Home;
use tests::lambda::{Function, body, http_event};
use tests::{API, BROWSER, uuid};

async fn get(home: &Home, name: &str, path: &str) -> Value {
    let mut function = Function::start(home, name).await;
    let answer = function.invoke(http_event("GET", &format!("{API}{path}"), &json!({}), None)).await;
    body(&answer.unwrap(), 200)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_functions_answer_what_the_local_runtime_answers() {
    let home = Home::new();
    let visitor = uuid();
    let mut track = Function::start(&home, "track").await;
    for event in [
        json!({"event_type": "page_view", "page_url": "/cv?theme=backend", "visitor_id": visitor}),
        json!({"event_type": "letter_generate", "event_data": {"letter_type": "motivation"}, "visitor_id": visitor}),
        json!({"event_type": "click", "page_url": "/cv", "event_data": {"x": 10, "y": 20}, "visitor_id": visitor}),
    ] {
        let event = http_event("POST", &format!("{API}/event"), &json!({}), Some(&event.to_string()));
        let answer = track.invoke(event).await.unwrap();
        assert_eq!(body(&answer, 201)["data"]["outcome"], "stored");
    }
    drop(track);

    let mut answers = Vec::new();
    for (name, path) in [
        ("stats", "/stats?period=month"),
        ("themes", "/themes"),
        ("letters", "/letters?period=week"),
        ("timeline", "/timeline?limit=2"),
        ("heatmap", "/heatmap?page_url=%2Fcv"),
    ] {
        answers.push((path, get(&home, name, path).await));
    }
    let realtime = get(&home, "realtime", "/realtime").await;
    assert_eq!((&realtime["data"]["total_events"], &realtime["data"]["current_visitors"]), (&json!(3), &json!(1)));

    let server = home.serve().await;
    for (path, answer) in answers {
        assert_eq!(server.ask(path).await, answer, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_says_who_it_is_and_headers_do_not() {
    let home = Home::new();
    let mut track = Function::start(&home, "track").await;
    for forwarded in ["203.0.113.1", "203.0.113.2"] {
        let headers = json!({"user-agent": BROWSER, "x-forwarded-for": forwarded, "x-request-id": "forged"});
        let event = http_event("POST", &format!("{API}/event"), &headers, Some(r#"{"event_type":"page_view"}"#));
        let answer = track.invoke(event).await.unwrap();
        assert_eq!(answer["statusCode"], 201, "{answer}");
        assert_eq!(answer["headers"]["x-request-id"], "8476a536-e9f4-11e8-9739-2dfe598c3fcd");
    }
    assert_eq!(get(&home, "stats", "/stats").await["data"]["unique_visitors"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_answers() {
    let home = Home::new();
    let mut track = Function::start(&home, "track").await;
    for (method, path, content, status, code) in [
        ("POST", "/event", None, 400, "INVALID_JSON"),
        ("POST", "/event", Some("{}"), 400, "INVALID_EVENT"),
        ("GET", "/event", None, 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/nothing", None, 404, "NOT_FOUND"),
    ] {
        let answer = track.invoke(http_event(method, &format!("{API}{path}"), &json!({}), content)).await;
        assert_eq!(body(&answer.unwrap(), status)["code"], code, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cleanup_takes_the_scheduled_event() {
    let home = Home::new();
    let mut cleanup = Function::start(&home, "cleanup").await;
    let event = json!({
        "version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": "Scheduled Event",
        "source": "aws.events", "account": "123456789012", "time": "2025-10-08T02:00:00Z",
        "region": "eu-west-3", "resources": [], "detail": {},
    });
    let report = cleanup.invoke(event).await.unwrap();
    assert_eq!((&report["deleted"], report["cutoff"].as_str().unwrap().len()), (&json!(0), 10), "{report}");
}
