//! What an event may be: each limit from both sides.

use serde_json::{Value, json};
use tests::clock::seconds_from_now;
use tests::http::request;
use tests::server::Server;
use tests::{API, list, number, text, uuid};

fn with(field: &str, value: impl Into<Value>) -> Value {
    let mut event = json!({"event_type": "scroll", "visitor_id": uuid()});
    event[field] = value.into();
    event
}

fn nested(levels: usize) -> Value {
    (1..levels).fold(json!({}), |inner, _| json!({"a": inner}))
}

/// An object of so many bytes of JSON.
fn wide(bytes: usize) -> Value {
    json!({"k": "x".repeat(bytes - r#"{"k":""}"#.len())})
}

#[tokio::test]
async fn within_the_limits() {
    let server = Server::new().await;
    for event in [
        with("event_type", "a"),
        with("event_type", "a".repeat(50)),
        with("event_data", nested(32)),
        with("event_data", wide(8 * 1024)),
        with("page_url", format!("/{}", "x".repeat(2_047))),
        with("page_url", format!("/{}", "é".repeat(2_047))),
        with("referrer", format!("/{}", "x".repeat(2_047))),
        with("timestamp", seconds_from_now(-24 * 3600 + 60).to_string()),
        with("timestamp", seconds_from_now(4 * 60).to_string()),
        with("timestamp", seconds_from_now(-60).strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()),
        with("site", "a".repeat(63)),
        with("page_url", Value::Null),
        with("event_data", Value::Null),
        with("something_else", "is passed over"),
    ] {
        let answer = server.event(&event).await;
        assert_eq!(answer.status, 201, "{event}: {}", answer.text());
    }
}

/// One field that is too long or malformed never costs the event.
#[tokio::test]
async fn long_and_malformed_fields_are_mended() {
    let server = Server::new().await;
    let long = |start: &str, end: &str| format!("{start}{}{end}", "C".repeat(3_000));
    let cases = [
        (with("page_url", long("/", "")).to_string(), format!("/{}", "C".repeat(2_047))),
        (with("page_url", long("/cv?token=", "&theme=x#top")).to_string(), "/cv?theme=x".to_owned()),
        (with("page_url", format!("/{}", "é".repeat(2_048))).to_string(), format!("/{}", "%C3%A9".repeat(341))),
        (with("page_url", "/a\u{0}b\nc").to_string(), "/a%00bc".to_owned()),
        (with("page_url", "/party-X").to_string().replace('X', "\\ud83d"), "/party-%EF%BF%BD".to_owned()),
        (format!("\u{feff}{}", with("page_url", "/marked")), "/marked".to_owned()),
    ];
    for (body, page) in &cases {
        let answer = server.send(request("POST", format!("{API}/event")).body(body.clone())).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let timeline = server.data("/timeline?limit=1").await;
        assert_eq!(text(&timeline[0]["page_url"]), page);
    }
    let batch: Vec<&str> = cases.iter().map(|(body, _)| body.trim_start_matches('\u{feff}')).collect();
    let answer = server
        .send(request("POST", format!("{API}/events")).body(format!("\u{feff}[{}]", batch.join(","))))
        .await
        .json();
    assert_eq!(answer["data"]["stored"], cases.len(), "{answer}");
}

#[tokio::test]
async fn beyond_the_limits() {
    let server = Server::new().await;
    let cases = [
        (json!({"visitor_id": uuid()}), "INVALID_EVENT", "event_type"),
        (with("event_type", ""), "INVALID_EVENT", "event_type"),
        (with("event_type", "Page View"), "INVALID_EVENT", "event_type"),
        (with("event_type", "1st"), "INVALID_EVENT", "event_type"),
        (with("event_type", "a".repeat(51)), "INVALID_EVENT", "event_type"),
        (with("event_type", 5), "INVALID_EVENT", "event_type"),
        (with("event_type", Value::Null), "INVALID_EVENT", "event_type"),
        (with("event_data", json!([1])), "INVALID_EVENT", "event_data"),
        (with("event_data", "{}"), "INVALID_EVENT", "event_data"),
        (with("event_data", nested(33)), "INVALID_EVENT", "32"),
        (with("event_data", wide(8 * 1024 + 1)), "INVALID_EVENT", "event_data"),
        (with("page_url", 1), "INVALID_EVENT", "page_url"),
        (with("referrer", json!({})), "INVALID_EVENT", "referrer"),
        (with("visitor_id", "joe"), "INVALID_EVENT", "visitor_id"),
        (with("visitor_id", 7), "INVALID_EVENT", "visitor_id"),
        (with("event_id", "7"), "INVALID_EVENT", "event_id"),
        (with("event_id", json!([])), "INVALID_EVENT", "event_id"),
        (with("site", "A B"), "INVALID_SITE", "site"),
        (with("site", ""), "INVALID_SITE", "site"),
        (with("site", 1), "INVALID_SITE", "site"),
        (with("timestamp", "yesterday"), "INVALID_EVENT", "timestamp"),
        (with("timestamp", 1_733_655_600), "INVALID_EVENT", "timestamp"),
        (with("timestamp", seconds_from_now(-24 * 3600 - 60).to_string()), "INVALID_EVENT", "24"),
        (with("timestamp", seconds_from_now(6 * 60).to_string()), "INVALID_EVENT", "5"),
        (with("timestamp", "1970-01-01T00:00:00Z"), "INVALID_EVENT", "24"),
        (with("timestamp", "9999-12-31T23:59:59Z"), "INVALID_EVENT", "5"),
    ];
    for (event, code, word) in &cases {
        let what: String = event.to_string().chars().take(200).collect();
        let error = server.event(event).await.refused(&what, 400, code);
        assert!(error.contains(word), "{what}: {error:?} does not name {word}");
    }

    let batch: Vec<_> = cases.iter().map(|(event, ..)| event.clone()).collect();
    let answer = server.send(tests::http::post("/events", &json!(batch))).await.json();
    let rejected = list(&answer["data"]["rejected"]);
    assert_eq!(rejected.len(), cases.len(), "{answer}");
    for (index, (_, code, _)) in cases.iter().enumerate() {
        assert_eq!((number(&rejected[index]["index"]), &rejected[index]["code"]), (index as u64, &json!(code)));
    }
    assert_eq!(number(&server.data("/realtime").await["total_events"]), 0);
}

/// Nesting beyond any limit is refused where it is met, at no cost for others.
#[tokio::test]
async fn endless_nesting() {
    let server = Server::new().await;
    let visitor = uuid();
    for inner in ["[".repeat(20_000), r#"{"a":"#.repeat(10_000)] {
        let body = format!(r#"{{"event_type":"scroll","visitor_id":"{visitor}","event_data":{{"a":{inner}}}}}"#);
        let post = tests::http::request("POST", format!("{}/event", tests::API)).body(body);
        let answer = server.send(post).await;
        answer.refused_somehow("endless nesting");
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
    server.store(&with("event_type", "scroll")).await;
}
