//! The second path of events, which block lists do not know.

use serde_json::{Value, json};
use tests::answer::Answer;
use tests::home::Home;
use tests::http::{Request, get, request};
use tests::lambda::{Front, Function};
use tests::server::Server;
use tests::{API, BROWSER, uuid};

/// As a beacon sends it.
fn beacon(path: &str, body: &Value) -> Request {
    request("POST", path)
        .header("content-type", "text/plain;charset=UTF-8")
        .header("user-agent", BROWSER)
        .body(body.to_string())
}

fn event() -> Value {
    json!({"event_type": "page_view", "event_id": uuid(), "page_url": "/cv"})
}

fn may_be_embedded(answer: &Answer) -> bool {
    answer.header("cross-origin-resource-policy") == Some("cross-origin")
}

#[tokio::test]
async fn it_takes_what_the_apis_own_paths_take() {
    for (variable, path) in [("", "/mcv/notes"), ("/hello", "/hello")] {
        let server = Home::new().env("ANALYTICS_COLLECT_PATH", variable).serve().await;
        let one = event();
        assert_eq!(server.send(beacon(path, &one)).await.status, 201);
        assert_eq!(server.send(beacon(&format!("{API}/event"), &one)).await.status, 200, "a duplicate");
        assert_eq!(server.send(beacon(&format!("{path}/event"), &one)).await.status, 200, "a duplicate");
        let batch = json!([one, event(), {"event_type": "No"}]);
        let answer = server.send(beacon(path, &batch)).await.json();
        assert_eq!((&answer["data"]["stored"], &answer["data"]["duplicate"]), (&json!(1), &json!(1)));
        assert_eq!(answer["data"]["rejected"][0]["code"], "INVALID_EVENT");
        let again = server.send(beacon(&format!("{path}/events"), &batch)).await.json();
        assert_eq!(again["data"]["duplicate"], 2);
        let stats = server.send(get(format!("{API}/stats"))).await.json();
        assert_eq!(stats["data"]["page_views"], 2);
        let elsewhere = if variable.is_empty() { "/hello" } else { "/mcv/notes" };
        server.send(beacon(elsewhere, &one)).await.refused(elsewhere, 404, "NOT_FOUND");
    }
}

#[tokio::test]
async fn its_failures_are_those_of_the_api() {
    let server = Home::new().env("ANALYTICS_RATE_LIMIT", "6").serve().await;
    server.send(request("PUT", "/mcv/notes")).await.refused("PUT", 405, "METHOD_NOT_ALLOWED");
    server.send(beacon("/mcv/notes", &json!({}))).await.refused("no type", 400, "INVALID_EVENT");
    server.send(request("POST", "/mcv/notes").body("[")).await.refused("half an array", 400, "INVALID_JSON");
    server.send(request("POST", "/mcv/notes").body("")).await.refused("nothing", 400, "INVALID_JSON");
    let long = json!({"event_type": "a", "more": "x".repeat(65_536)});
    server.send(beacon("/mcv/notes", &long)).await.refused("one of 64 KiB", 413, "PAYLOAD_TOO_LARGE");
    let batch = Value::Array((0..5).map(|_| event()).collect());
    server.send(beacon("/mcv/notes", &batch)).await.refused("more than is left", 429, "RATE_LIMITED");
}

/// For a browser of the site's owner; proxies that pass events on pass it on, too.
#[tokio::test]
async fn it_has_the_recorder_of_outlines() {
    let server = Server::new().await;
    let recorder = server.send(get("/mcv/notes").header("origin", "https://cv.example")).await;
    assert_eq!((recorder.status, recorder.header("content-type")), (200, Some("text/javascript; charset=utf-8")));
    assert_eq!(recorder.header("access-control-allow-origin"), Some("*"), "as modules need it");
    assert!(recorder.text().contains("outline"), "{}", recorder.text());
}

/// Pages with COEP, which embed only what allows it.
#[tokio::test]
async fn any_page_may_embed_answers_to_events_and_the_script() {
    let server = Server::new().await;
    for path in
        ["/mcv/notes", "/mcv/notes/event", "/mcv/notes/events", &format!("{API}/event"), &format!("{API}/events")]
    {
        let origin = |request: Request| request.header("origin", "https://cv.example");
        for asked in [
            beacon(path, &event()),
            beacon(path, &json!({})),
            request("POST", path).body("no json"),
            get(path),
            request("OPTIONS", path).header("access-control-request-method", "POST"),
        ] {
            let answer = server.send(origin(asked)).await;
            assert!(may_be_embedded(&answer), "{path}: {} {:?}", answer.status, answer.headers);
        }
    }
    for path in ["/script.js", "/mcv.js"] {
        let script = server.send(get(path)).await;
        assert!(script.status == 200 && may_be_embedded(&script), "{path}: {:?}", script.headers);
        let known = server.send(get(path).header("if-none-match", script.header("etag").unwrap())).await;
        assert!(known.status == 304 && may_be_embedded(&known), "{path}: {:?}", known.headers);
    }
    assert!(!may_be_embedded(&server.send(get(format!("{API}/stats"))).await), "figures are no one else's");
}

#[tokio::test]
async fn the_script_sends_where_the_server_takes() {
    let home = Home::new().env("ANALYTICS_COLLECT_PATH", "/hello/there").env("ANALYTICS_SCRIPT_NAME", "hello.js");
    let server = home.serve().await;
    for path in ["/hello.js", "/mcv.js", "/script.js"] {
        let script = server.send(get(path)).await.text();
        assert!(script.contains("hello/there") && !script.contains("mcv/notes"), "{path}");
    }
}

#[tokio::test]
async fn the_function_takes_events_there_too() {
    let home = Home::new().env("ANALYTICS_COLLECT_PATH", "/hello");
    let mut track = Function::start(&home, "track").await;
    for front in [Front::HttpApi, Front::FunctionUrl] {
        let answer = track.send(front, &beacon("/hello", &json!([event()]))).await;
        assert_eq!(answer["statusCode"], 200, "{answer}");
        assert_eq!(answer["headers"]["cross-origin-resource-policy"], "cross-origin", "{answer}");
    }
}

/// An age counts by the server's clock, and stands above a time.
#[tokio::test]
async fn an_events_age_says_when_it_was() {
    let server = Server::new().await;
    let aged = |age: Value| json!({"event_type": "aged", "age_ms": age, "timestamp": "2001-01-01T00:00:00Z"});
    for (age, status) in [
        (json!(90_000), 201),
        (json!(0.5), 201),
        (json!(-1), 201),
        (json!(86_400_000), 201),
        (json!(86_400_001_i64), 400),
        (json!(-300_001), 400),
        (json!("90000"), 400),
    ] {
        assert_eq!(server.send(beacon(&format!("{API}/event"), &aged(age.clone()))).await.status, status, "{age}");
    }
    let timeline = server.send(get(format!("{API}/timeline"))).await.json();
    let times: Vec<_> = timeline["data"].as_array().unwrap().iter().map(|event| event["created_at"].clone()).collect();
    assert_eq!(times.len(), 4, "{times:?}");
}
