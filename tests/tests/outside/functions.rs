//! The Lambda binaries, invoked as the platform does: they answer what the local runtime
//! answers from the same store, whatever stands before them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::home::Home;
use tests::http::{Request, get, post, request};
use tests::lambda::{Front, Function, body};
use tests::server::Server;
use tests::{API, BOT, BROWSER, uuid};

const TOKEN: &str = "a-long-enough-admin-token-3f2504e0";
const ORIGIN: &str = "https://cv.example";

fn home() -> Home {
    Home::new().env("ANALYTICS_ALLOWED_ORIGINS", ORIGIN).env("ANALYTICS_ADMIN_TOKEN", TOKEN)
}

/// What an answer is compared by: status, headers that mean something, and the body without
/// what is different each time.
#[derive(Debug, PartialEq)]
struct Seen {
    status: u64,
    headers: BTreeMap<String, String>,
    body: Value,
}

/// The names that both sides must agree on.
const HEADERS: [&str; 10] = [
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "allow",
    "cache-control",
    "content-type",
    "retry-after",
];

fn seen(status: u64, headers: impl IntoIterator<Item = (String, String)>, text: &str) -> Seen {
    let mut body: Value = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
    for pointer in ["/request_id", "/data/id", "/data/timestamp", "/data/duration_ms", "/data/last_success"] {
        if let Some(value) = body.pointer_mut(pointer) {
            assert!(!value.is_null(), "{pointer} of {text}");
            *value = Value::Null;
        }
    }
    Seen { status, headers: headers.into_iter().filter(|(name, _)| HEADERS.contains(&&**name)).collect(), body }
}

/// Single and multi-value headers, as the kinds of fronts have them.
fn headers_of(answer: &Value) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        headers.insert(name.clone(), value.as_str().unwrap().to_owned());
    }
    for (name, values) in answer["multiValueHeaders"].as_object().into_iter().flatten() {
        let values: Vec<&str> = values.as_array().unwrap().iter().map(|value| value.as_str().unwrap()).collect();
        headers.insert(name.clone(), values.join(","));
    }
    headers
}

async fn of_function(function: &mut Function, front: Front, request: &Request) -> Seen {
    let answer = function.send(front, request).await;
    assert_ne!(answer["isBase64Encoded"], true, "text is text: {answer}");
    let headers = headers_of(&answer);
    assert_eq!(headers.get("x-request-id").map(String::as_str), Some(function.last_id()), "{answer}");
    let seen = seen(answer["statusCode"].as_u64().unwrap(), headers, answer["body"].as_str().unwrap_or_default());
    if seen.status >= 400 {
        assert!(answer["body"].as_str().unwrap().contains(function.last_id()), "{answer}");
    }
    seen
}

async fn of_server(server: &Server, request: &Request) -> Seen {
    let answer = server.send(request.clone()).await;
    seen(u64::from(answer.status), answer.headers.clone(), &answer.text())
}

/// Something of everything: three visitors, themes, both letters, clicks, two sites.
async fn store_some(server: &Server) {
    tests::clock::away_from_midnight().await;
    for _ in 0..3 {
        let visitor = uuid();
        server
            .store_all(&[
                json!({"event_type": "page_view", "page_url": "https://cv.example/cv?theme=backend", "visitor_id": visitor, "referrer": "https://search.example/"}),
                json!({"event_type": "letter_generate", "event_data": {"letter_type": "motivation"}, "visitor_id": visitor}),
                json!({"event_type": "letter_generate", "event_data": {"letter_type": "anti_motivation"}, "visitor_id": visitor}),
                json!({"event_type": "click", "page_url": "/cv", "event_data": {"x": 10, "y": 20.4, "element": "cta"}, "visitor_id": visitor}),
                json!({"event_type": "page_view", "site": "other.example", "visitor_id": visitor}),
            ])
            .await;
    }
}

fn question(path: &str) -> Request {
    get(format!("{API}{path}")).header("user-agent", BROWSER).header("origin", ORIGIN)
}

/// An admin's call about a visitor who is not known.
fn visitor(what: &str) -> Request {
    let request = request("POST", format!("{API}/visitor/{what}"));
    let request = request.header("authorization", format!("Bearer {TOKEN}"));
    request.body(r#"{"visitor_id":"3f2504e0-4f89-41d3-9a0c-0305e82c3301"}"#)
}

/// What each function is asked: every parameter, every mistake.
fn questions() -> Vec<(&'static str, Vec<Request>)> {
    let ask = |paths: &[&str]| paths.iter().map(|path| question(path)).collect::<Vec<_>>();
    let mut stats = ask(&[
        "/stats",
        "/stats?period=week",
        "/stats?period=month&site=other.example",
        "/stats?date=2025-02-03",
        "/stats?period=year",
        "/stats?date=yesterday",
        "/stats?site=No%20Site",
        "/stats?period=week&site=caf%C3%A9",
        "/stats?site=a+b",
        "/nothing",
    ]);
    stats.push(question("/stats").header("sec-fetch-mode", "cors"));
    stats.push(request("HEAD", format!("{API}/stats")));
    stats.push(request("POST", format!("{API}/stats")).body("{}"));
    stats.push(request("DELETE", format!("{API}/stats")));
    stats.push(
        request("OPTIONS", format!("{API}/stats"))
            .header("origin", ORIGIN)
            .header("access-control-request-method", "GET"),
    );
    stats.push(
        request("OPTIONS", format!("{API}/stats"))
            .header("origin", "https://elsewhere.example")
            .header("access-control-request-method", "GET"),
    );
    vec![
        ("stats", stats),
        ("realtime", ask(&["/realtime", "/realtime?site=other.example", "/realtime?site=-A-"])),
        ("themes", ask(&["/themes", "/themes?limit=1&period=month", "/themes?limit=0", "/themes?limit=x"])),
        ("letters", ask(&["/letters", "/letters?period=week", "/letters?period=hour"])),
        (
            "timeline",
            ask(&[
                "/timeline",
                "/timeline?limit=2&offset=1",
                "/timeline?limit=101",
                "/timeline?offset=10001",
                "/timeline?cursor=%22%3Cx%3E",
                "/timeline?cursor=abc&offset=1",
            ]),
        ),
        ("heatmap", ask(&["/heatmap", "/heatmap?page_url=%2Fcv&hours=1", "/heatmap?page=/cv", "/heatmap?hours=169"])),
        (
            "query",
            ask(&[
                "/query?q=%7B%22metrics%22%3A%5B%22pageviews%22%2C%22visitors%22%5D%2C%22date_range%22%3A%22day%22%2C%22dimensions%22%3A%5B%22event%3Apage%22%5D%7D",
                "/query?q=%7B%7D",
                "/query",
                "/sites",
                "/sites?limit=0",
            ]),
        ),
        (
            "cleanup",
            vec![
                request("POST", format!("{API}/cleanup")),
                request("POST", format!("{API}/cleanup")).header("authorization", "Bearer wrong"),
                request("POST", format!("{API}/cleanup")).header("authorization", format!("Bearer {TOKEN}")),
                question("/cleanup"),
                question("/shares"),
                question("/shares").header("authorization", format!("Bearer {TOKEN}")),
                request("POST", format!("{API}/shares")).header("authorization", format!("Bearer {TOKEN}")).body("{}"),
                request("DELETE", format!("{API}/shares/x")).header("authorization", format!("Bearer {TOKEN}")),
                request("POST", format!("{API}/visitor/export")),
                visitor("export"),
                visitor("erase"),
                request("POST", format!("{API}/visitor/erase"))
                    .header("authorization", format!("Bearer {TOKEN}"))
                    .body("{}"),
            ],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_as_the_local_runtime_answers() {
    let home = home();
    let server = home.serve().await;
    store_some(&server).await;
    for (name, requests) in questions() {
        let mut function = Function::start(&home, name).await;
        for request in &requests {
            let expected = of_server(&server, request).await;
            for front in Front::ALL {
                let what = format!("{name} {front:?} {} {}", request.method, request.path);
                assert_eq!(of_function(&mut function, front, request).await, expected, "{what}");
            }
        }
    }
}

/// What `track` is sent; each time with ids of its own, so that both sides see it first.
fn sent() -> Vec<Request> {
    let (event_id, visitor_id) = (uuid(), uuid());
    let event = json!({"event_type": "page_view", "page_url": "/cv", "visitor_id": visitor_id, "event_id": event_id});
    let anonymous = json!({"event_type": "page_view", "page_url": "/cv"});
    let bad = json!({"event_type": "No Type"});
    let raw = |endpoint: &str, body: &[u8]| request("POST", format!("{API}{endpoint}")).body(body);
    vec![
        post("/event", &event).header("origin", ORIGIN),
        post("/event", &event),
        post("/event", &anonymous).header("user-agent", BROWSER),
        post("/event", &anonymous).header("x-visitor-id", visitor_id),
        post("/event", &anonymous).header("x-visitor-id", "joe"),
        post("/event", &anonymous).header("cookie", format!("a=b; maicivy_session={}", uuid())),
        post("/event", &anonymous),
        post("/event", &anonymous).header("user-agent", BOT),
        post("/event", &event).header("dnt", "1"),
        post("/event", &event).header("sec-gpc", "1"),
        post("/event", &bad),
        post("/event", &json!({"event_type": "scroll", "site": "A", "visitor_id": uuid()})),
        post("/events", &json!([event, bad, 7, {"event_type": "scroll", "visitor_id": uuid()}])),
        post("/events", &json!([])),
        post("/events", &json!(vec![&event; 501])),
        request("POST", format!("{API}/event")),
        raw("/event", b""),
        raw("/event", b"{"),
        raw("/event", b"\xff\xfe\x00"),
        raw("/events", b"{}"),
        raw("/event", "{\"event_type\":\"caf\u{e9}\"}".as_bytes()),
        raw("/event", &vec![b' '; 66_000]),
        raw("/events", &vec![b' '; 1_100_000]),
        raw("/event", event.to_string().as_bytes()).header("content-type", "text/plain"),
        question("/event"),
        question("/events"),
        request("OPTIONS", format!("{API}/event"))
            .header("origin", ORIGIN)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_answered_as_the_local_runtime_answers() {
    let home = home();
    let server = home.serve().await;
    let mut expected = Vec::new();
    for request in sent() {
        expected.push(of_server(&server, &request).await);
    }
    let mut track = Function::start(&home, "track").await;
    for front in Front::ALL {
        for (request, expected) in sent().iter().zip(&expected) {
            let found = of_function(&mut track, front, request).await;
            let text = request.body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            let begin: String = text.chars().take(200).collect();
            assert_eq!(&found, expected, "{front:?} {} {} {:?} {begin}", request.method, request.path, request.headers);
        }
    }
    let events = server.data("/stats").await["total_events"].take();
    // Of each list four are stored once, one by a bare session, one by a visitor in a batch.
    let stored = expected.iter().filter(|seen| seen.status == 201).count() + 1;
    assert_eq!(events, stored * (Front::ALL.len() + 1), "counted as answered");
    drop(track);
    server.end().await;
    home.run(&["verify"]).await.expect_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_in_base64() {
    let home = home();
    let mut track = Function::start(&home, "track").await;
    for front in Front::ALL {
        let event = json!({"event_type": "page_view", "visitor_id": uuid(), "page_url": "/caf\u{e9}"});
        let answer = track.invoke(front.event_in_base64(&post("/event", &event))).await.unwrap();
        assert_eq!(body(&answer, 201)["data"]["outcome"], "stored", "{front:?}");
    }
}

/// Whatever headers say, a visitor is identified by the address that the platform saw.
#[tokio::test(flavor = "multi_thread")]
async fn the_platform_says_who_it_is_and_headers_do_not() {
    let home = home();
    let mut track = Function::start(&home, "track").await;
    for front in Front::ALL {
        for forged in ["203.0.113.1", "203.0.113.2, 203.0.113.3"] {
            let request = post("/event", &json!({"event_type": "page_view"}))
                .header("user-agent", BROWSER)
                .header("x-forwarded-for", forged)
                .header("x-real-ip", forged)
                .header("forwarded", format!("for={forged}"))
                .header("x-request-id", "forged");
            let answer = track.send(front, &request).await;
            assert_eq!(answer["statusCode"], 201, "{front:?} {answer}");
            assert_eq!(headers_of(&answer)["x-request-id"], track.last_id());
        }
    }
    let mut stats = Function::start(&home, "stats").await;
    let figures = body(&stats.send(Front::HttpApi, &question("/stats")).await, 200);
    assert_eq!(figures["data"]["total_events"], 2 * Front::ALL.len());
    assert_eq!(figures["data"]["unique_visitors"], 1, "one address, however it came");
}

/// A load balancer that preserves the client's port, which differs from request to request.
#[tokio::test(flavor = "multi_thread")]
async fn a_load_balancer_may_name_ports() {
    let home = home();
    let mut track = Function::start(&home, "track").await;
    for seen in ["198.18.0.1:54321", "203.0.113.1, 198.18.0.1:54322", "[::ffff:198.18.0.1]:54323"] {
        let request = post("/event", &json!({"event_type": "page_view"})).header("user-agent", BROWSER);
        let mut event = Front::LoadBalancer.event(&request);
        event["headers"]["x-forwarded-for"] = json!(seen);
        assert_eq!(track.invoke(event).await.unwrap()["statusCode"], 201, "{seen}");
    }
    let mut stats = Function::start(&home, "stats").await;
    let figures = body(&stats.send(Front::HttpApi, &question("/stats")).await, 200);
    assert_eq!(figures["data"]["unique_visitors"], 1);
}
