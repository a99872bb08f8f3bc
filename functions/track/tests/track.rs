//! What is answered to senders of events, and how it is accounted for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use common::App;
use common::testing::TestApp;
use common::time::Timestamp;
use common::view_id::ViewId;
use serde_json::json;
use uuid::Uuid;

const NOW: &str = "2025-12-08T12:00:00Z";
const VISITOR: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
const FIREFOX: (&str, &str) = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0");
const GOOGLEBOT: (&str, &str) =
    ("user-agent", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)");
const ADDRESS: Option<&str> = Some("198.18.0.1");

async fn start(vars: &[(&str, &str)]) -> TestApp {
    TestApp::start(vars, track::router, NOW).await
}

fn outcomes(app: &App) -> Vec<(String, u64)> {
    let text = app.metrics.text().unwrap();
    let received = "maicivy_ingest_received_total ";
    text.lines()
        .filter_map(|line| {
            let name = if line.starts_with(received) {
                "received"
            } else {
                line.strip_prefix("maicivy_ingest_outcomes_total")?.split(' ').next()?
            };
            Some((name.to_owned(), line.rsplit(' ').next()?.parse().ok()?)).filter(|(_, count)| *count > 0)
        })
        .collect()
}

#[tokio::test]
async fn an_event_is_stored_once() {
    let test = start(&[]).await;
    let id = "0190f0e0-0000-7000-8000-000000000001";
    let body = json!({"event_type": "page_view", "visitor_id": VISITOR, "event_id": id}).to_string();
    let first = test.post("/event", &[], None, &body).await;
    assert_eq!(first.status, 201);
    assert_eq!(
        first.body,
        json!({"success": true, "message": "Event tracked successfully", "data": {"id": id, "outcome": "stored"}})
    );
    let second = test.post("/event", &[("content-type", "text/plain")], None, &body).await;
    assert_eq!((second.status.as_u16(), &second.body["data"]), (200, &json!({"id": id, "outcome": "duplicate"})));
    let expected =
        [("{outcome=\"duplicate\",reason=\"\"}", 1), ("{outcome=\"stored\",reason=\"\"}", 1), ("received", 2)];
    let expected = expected.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(outcomes(&test.app), expected);
}

#[tokio::test]
async fn who_it_is_and_whether_they_want_to_be_counted() {
    let test = start(&[]).await;
    let bare = r#"{"event_type":"scroll"}"#;
    let named = json!({"event_type": "scroll", "visitor_id": VISITOR}).to_string();
    for (headers, address, body, status, outcome) in [
        (vec![FIREFOX], ADDRESS, bare, 201, "stored"),
        (vec![FIREFOX], None, bare, 400, "MISSING_VISITOR"),
        (vec![], ADDRESS, bare, 400, "MISSING_VISITOR"),
        (vec![("x-visitor-id", VISITOR)], None, bare, 201, "stored"),
        (vec![("x-visitor-id", "joe")], None, bare, 400, "INVALID_EVENT"),
        (vec![("cookie", "a=b; maicivy_session=3f2504e0-4f89-41d3-9a0c-0305e82c3301")], None, bare, 201, "stored"),
        (vec![("cookie", "maicivy_session=joe"), FIREFOX], ADDRESS, bare, 201, "stored"),
        (vec![GOOGLEBOT], ADDRESS, bare, 202, "bot"),
        (
            vec![GOOGLEBOT, ("cookie", "maicivy_session=3f2504e0-4f89-41d3-9a0c-0305e82c3301")],
            ADDRESS,
            bare,
            202,
            "bot",
        ),
        (vec![GOOGLEBOT], ADDRESS, &named, 201, "stored"),
        (vec![("dnt", "1")], None, &named, 202, "opt_out"),
        (vec![("sec-gpc", "1")], None, bare, 202, "opt_out"),
        (vec![("dnt", "0")], None, &named, 201, "stored"),
    ] {
        let answer = test.post("/event", &headers, address, body).await;
        let said = ["reason", "outcome"].iter().find_map(|name| answer.body["data"][name].as_str());
        let said = said.or(answer.body["code"].as_str()).unwrap_or_default();
        assert_eq!((answer.status.as_u16(), said), (status, outcome), "{headers:?} {body}");
    }
}

#[tokio::test]
async fn origins_that_are_not_listed_are_filtered() {
    let named = json!({"event_type": "scroll", "visitor_id": VISITOR}).to_string();
    let test = start(&[("ANALYTICS_ALLOWED_ORIGINS", "https://CV.example:443/")]).await;
    for (headers, status, reason) in [
        (vec![("origin", "https://cv.example")], 201, None),
        (vec![], 201, None),
        (vec![("origin", "https://own.example"), ("host", "own.example")], 201, None),
        (vec![("origin", "https://own.example"), ("sec-fetch-site", "same-origin")], 201, None),
        (vec![("origin", "https://evil.example")], 202, Some("origin")),
        (vec![("origin", "http://cv.example")], 202, Some("origin")),
        (vec![("origin", "null")], 202, Some("origin")),
        (vec![("origin", "https://evil.example"), ("dnt", "1")], 202, Some("origin")),
    ] {
        let answer = test.post("/event", &headers, None, &named).await;
        assert_eq!((answer.status.as_u16(), answer.body["data"]["reason"].as_str()), (status, reason), "{headers:?}");
    }
    let batch = test.post("/events", &[("origin", "https://evil.example")], None, &format!("[{named},{named}]")).await;
    assert_eq!((batch.status.as_u16(), &batch.body["data"]["filtered"]), (200, &json!(2)));
    assert!(outcomes(&test.app).contains(&("{outcome=\"filtered\",reason=\"origin\"}".to_owned(), 6)));
    let any = start(&[]).await;
    assert_eq!(any.post("/event", &[("origin", "https://evil.example")], None, &named).await.status, 201);
}

#[tokio::test]
async fn ignored_networks_are_filtered() {
    let test = start(&[
        ("ANALYTICS_IGNORE", "127.0.0.0/8, 2001:db8::/32,203.0.113.7"),
        ("ANALYTICS_TRUSTED_PROXIES", "10.0.0.0/8"),
    ])
    .await;
    let (bare, named) =
        (r#"{"event_type":"scroll"}"#, format!(r#"{{"event_type":"scroll","visitor_id":"{VISITOR}"}}"#));
    for (address, forwarded, body, status) in [
        ("127.0.0.1", None, bare, 202),
        ("127.0.0.1", None, &*named, 202),
        ("::ffff:127.0.0.1", None, bare, 202),
        ("2001:db8::1", None, bare, 202),
        ("203.0.113.7", None, bare, 202),
        ("203.0.113.8", None, bare, 201),
        ("10.0.0.1", Some("203.0.113.7"), bare, 202),
        ("10.0.0.1", Some("203.0.113.8"), bare, 201),
    ] {
        let headers: Vec<_> = [FIREFOX].into_iter().chain(forwarded.map(|it| ("x-forwarded-for", it))).collect();
        let answer = test.post("/event", &headers, Some(address), body).await;
        let reason = (status == 202).then_some("ignored");
        assert_eq!((answer.status.as_u16(), answer.body["data"]["reason"].as_str()), (status, reason), "{address}");
    }
}

/// What the page-view layer has named and counted, the tracker reports as well.
#[tokio::test]
async fn a_view_that_the_server_has_named_is_one_event_a_visitor() {
    let test = start(&[]).await;
    let view = |seconds: i64| {
        let at = Timestamp::parse(NOW).unwrap().plus(-seconds * 1_000);
        ViewId::new(at, Uuid::from_u128(u128::MAX / 3)).to_string()
    };
    let report = |view: &str, event_type: &str| json!({"event_type": event_type, "view_id": view}).to_string();
    let other = Some("198.18.0.2");
    for (address, body, outcome) in [
        (ADDRESS, report(&view(0), "page_view"), "stored"),
        (ADDRESS, report(&view(0), "page_view"), "duplicate"),
        (ADDRESS, report(&view(0), "pageview"), "duplicate"),
        // Something else that happened in the view.
        (ADDRESS, report(&view(0), "scroll"), "stored"),
        // A cache gave one answer to two visitors, or to one again after some time.
        (other, report(&view(0), "page_view"), "stored"),
        (ADDRESS, report(&view(299), "page_view"), "stored"),
        (ADDRESS, report(&view(299), "page_view"), "duplicate"),
        (ADDRESS, report(&view(301), "page_view"), "stored"),
        (ADDRESS, report(&view(301), "page_view"), "stored"),
        // What is no name of a view does not cost the event.
        (ADDRESS, report("x", "page_view"), "stored"),
        (ADDRESS, json!({"event_type": "page_view", "view_id": 7}).to_string(), "stored"),
        (ADDRESS, json!({"event_type": "page_view", "view_id": null}).to_string(), "stored"),
    ] {
        let answer = test.post("/event", &[FIREFOX], address, &body).await;
        assert_eq!(answer.body["data"]["outcome"], outcome, "{address:?} {body}");
    }
}

/// The layer counts shortly before midnight, the tracker reports shortly after.
#[tokio::test]
async fn a_named_view_is_one_event_at_midnight() {
    let test = start(&[]).await;
    let before = Timestamp::parse("2025-12-08T23:59:59.900Z").unwrap();
    let body = json!({"event_type": "page_view", "view_id": ViewId::new(before, Uuid::nil()).to_string()}).to_string();
    for (time, outcome) in [(before, "stored"), (before.plus(200), "duplicate")] {
        test.source.set(time);
        assert_eq!(test.post("/event", &[FIREFOX], ADDRESS, &body).await.body["data"]["outcome"], outcome);
    }
}

#[tokio::test]
async fn explicit_identity_and_ignored_opt_out() {
    let test = start(&[("ANALYTICS_IDENTITY", "explicit"), ("ANALYTICS_HONOR_OPT_OUT", "false")]).await;
    let bare = r#"{"event_type":"scroll"}"#;
    assert_eq!(test.post("/event", &[FIREFOX], ADDRESS, bare).await.body["code"], "MISSING_VISITOR");
    let named = [("x-visitor-id", VISITOR), ("dnt", "1")];
    assert_eq!(test.post("/event", &named, None, bare).await.status, 201);
}

#[tokio::test]
async fn a_batch_is_accounted_for_event_by_event() {
    let test = start(&[("ANALYTICS_SITES", "default,b")]).await;
    let id = "0190f0e0-0000-7000-8000-000000000001";
    let event = |fields: serde_json::Value| {
        let mut event = json!({"event_type": "scroll", "visitor_id": VISITOR});
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        event
    };
    let batch = json!([
        event(json!({"event_id": id})),
        event(json!({"event_id": id})),
        event(json!({"event_id": id, "site": "b"})),
        event(json!({"site": "c"})),
        event(json!({"timestamp": "2025-12-01T00:00:00Z"})),
        7,
        {"event_type": "scroll"},
    ]);
    let answer = test.post("/events", &[GOOGLEBOT], ADDRESS, &batch.to_string()).await;
    assert_eq!(answer.status, 200);
    let data = &answer.body["data"];
    assert_eq!((&data["stored"], &data["duplicate"], &data["filtered"]), (&json!(2), &json!(1), &json!(1)));
    let rejected: Vec<_> = data["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["index"].as_u64().unwrap(), one["code"].as_str().unwrap()))
        .collect();
    assert_eq!(rejected, [(3, "INVALID_SITE"), (4, "INVALID_EVENT"), (5, "INVALID_EVENT")]);
    let sum: u64 = outcomes(&test.app).iter().filter(|(name, _)| name != "received").map(|(_, count)| count).sum();
    assert_eq!(sum, 7);
    assert_eq!(test.post("/events", &[], None, "[]").await.body["data"]["stored"], 0);
}

#[tokio::test]
async fn a_store_that_is_away_is_a_503_and_the_event_failed() {
    let test = start(&[]).await;
    test.app.store.close().await;
    let body = json!({"event_type": "scroll", "visitor_id": VISITOR}).to_string();
    for (path, body) in [("/event", body.clone()), ("/events", format!("[{body}]"))] {
        let answer = test.post(path, &[], None, &body).await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (503, &json!("UNAVAILABLE")));
        assert_eq!(answer.headers["retry-after"], "1");
        assert!(!answer.body["error"].as_str().unwrap().contains("sqlite"), "no internals: {:?}", answer.body);
    }
    assert!(outcomes(&test.app).contains(&("{outcome=\"failed\",reason=\"\"}".to_owned(), 2)));
}

/// One field that is too long or malformed never costs the event.
#[tokio::test]
async fn bodies_are_mended() {
    let test = start(&[]).await;
    let long = format!(r#"{{"event_type":"page_view","referrer":"https://a.example/{}"}}"#, "é".repeat(3_000));
    for body in [
        &b"\xef\xbb\xbf{\"event_type\":\"page_view\"}"[..],
        br#"{"event_type":"search","event_data":{"q":"party\ud83d"}}"#,
        br#"{"event_type":"page_view","page_url":"/a\udc00\u0000\n"}"#,
        b"{\"event_type\":\"page_view\",\"page_url\":\"/caf\xe9\"}",
        long.as_bytes(),
    ] {
        let one = test.post("/event", &[FIREFOX], ADDRESS, body).await;
        assert_eq!(one.status, 201, "{}", one.body);
        let start = if body.starts_with(b"\xef") { 3 } else { 0 };
        let batch = [&body[..start], b"[", &body[start..], b"]"].concat();
        let batch = test.post("/events", &[FIREFOX], ADDRESS, &batch).await;
        assert_eq!(batch.body["data"]["stored"], 1, "{}", batch.body);
    }
}

/// Bodies that were once refused or kept too much, where they are at hand.
#[tokio::test]
async fn real_bodies() {
    let cases = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/cases");
    let test = start(&[]).await;
    for name in ["bodies.txt", "body-long-referrer.json"] {
        let Ok(text) = std::fs::read_to_string(cases.join(name)) else {
            eprintln!("skipped: {name} is not there");
            continue;
        };
        for body in text.lines().filter(|line| line.starts_with('{')) {
            let answer = test.post("/event", &[FIREFOX], ADDRESS, body).await;
            assert_eq!(answer.status, 201, "{name}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn bodies_are_bounded_and_json() {
    let test = start(&[]).await;
    let long = |bytes: usize| format!(r#"{{"event_type":"scroll","x":"{}"}}"#, "x".repeat(bytes));
    for (path, body, status, code) in [
        ("/event", "", 400, "INVALID_JSON"),
        ("/event", "{", 400, "INVALID_JSON"),
        ("/event", "{} x", 400, "INVALID_JSON"),
        ("/event", "[]", 400, "INVALID_EVENT"),
        ("/event", &long(65_536), 413, "PAYLOAD_TOO_LARGE"),
        ("/events", "{}", 400, "INVALID_JSON"),
        ("/events", &long(1_048_576), 413, "PAYLOAD_TOO_LARGE"),
        ("/events", &format!("[{}0]", "0,".repeat(500)), 413, "PAYLOAD_TOO_LARGE"),
    ] {
        let answer = test.post(path, &[], None, body).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["code"]),
            (status, &json!(code)),
            "{path} {}",
            &body[..body.len().min(20)]
        );
    }
    assert_eq!(outcomes(&test.app).last(), Some(&("received".to_owned(), 8)));
}

#[tokio::test]
async fn a_full_store_refuses_events_as_such() {
    let full = |config: &mut common::config::Config| config.max_store = Some(1);
    let test = TestApp::start_with(&[], full, track::router, NOW).await;
    let event = json!({"event_type": "scroll", "visitor_id": VISITOR});
    for (path, body) in [("/event", event.clone()), ("/events", json!([event, {"event_type": "No"}]))] {
        let answer = test.post(path, &[], None, body.to_string()).await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (503, &json!("STORE_FULL")), "{path}");
        assert_eq!(answer.headers["retry-after"], "60");
    }
    let expected =
        [("{outcome=\"rejected\",reason=\"INVALID_EVENT\"}", 1), ("{outcome=\"rejected\",reason=\"STORE_FULL\"}", 2)];
    let expected = expected.into_iter().chain([("received", 3)]).map(|(name, count)| (name.to_owned(), count));
    assert_eq!(outcomes(&test.app), expected.collect::<Vec<_>>());
}
