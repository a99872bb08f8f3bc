//! Pages of events, and whom they show.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::body::Body;
use axum::http::Request;
use common::testing::{TestApp, store_event};
use serde_json::json;

#[tokio::test]
async fn pages_by_cursor() {
    let test = TestApp::start(&[], timeline::router, "2025-12-08T12:00:00Z").await;
    for number in 0..7_u32 {
        let at = format!("2025-12-08T10:00:0{}Z", number / 2);
        store_event(&test.app, 1, "button_click", "/cv?theme=a&token=x", &json!({"n": number}), &at).await;
    }
    let mut seen = Vec::new();
    let mut path = "/timeline?limit=3".to_owned();
    loop {
        let body = test.get(&path).await.body;
        let page = body["data"].as_array().unwrap();
        assert_eq!(body["meta"]["count"], page.len());
        seen.extend(page.iter().map(|entry| entry["event_data"]["n"].as_u64().unwrap()));
        let Some(cursor) = body["meta"]["next_cursor"].as_str() else { break };
        path = format!("/timeline?limit=3&cursor={cursor}");
        store_event(&test.app, 2, "scroll", "/", &json!({"n": 100}), "2025-12-08T11:00:00Z").await;
    }
    assert_eq!(seen, [6, 5, 4, 3, 2, 1, 0]);
    let offset = test.get("/timeline?limit=2&offset=3").await.body;
    assert_eq!(
        offset["meta"],
        json!({"limit": 2, "offset": 3, "count": 2, "next_cursor": offset["meta"]["next_cursor"]})
    );
}

#[tokio::test]
async fn events_ahead_wait_until_their_time_comes() {
    let test = TestApp::start(&[], timeline::router, "2025-12-08T12:00:00Z").await;
    for at in ["2025-12-08T12:05:00Z", "2025-12-08T18:00:00Z"] {
        store_event(&test.app, 1, "page_view", "/", &json!({}), at).await;
    }
    assert_eq!(test.get("/timeline").await.body["meta"]["count"], 1);
    test.source.set(common::time::Timestamp::parse("2025-12-08T18:00:00Z").unwrap());
    assert_eq!(test.get("/timeline").await.body["meta"]["count"], 2);
}

#[tokio::test]
async fn visitors_are_pseudonyms() {
    let test = TestApp::start(&[], timeline::router, "2025-12-08T12:00:00Z").await;
    for who in [1, 2, 1] {
        store_event(&test.app, who, "page_view", "/cv?theme=a", &json!({}), "2025-12-08T10:00:00Z").await;
    }
    let body = test.get("/timeline").await.body;
    let [c, b, a] = [0, 1, 2].map(|at| body["data"][at]["visitor_id"].as_str().unwrap());
    assert!(a != b && b != c && a != c, "events of one visitor cannot be linked");
    assert_eq!(test.get("/timeline").await.body, body, "an event keeps its pseudonym");
    assert_ne!(a, uuid::Uuid::from_u128(1).to_string());
    let entry = json!({
        "id": body["data"][0]["id"], "visitor_id": c, "event_type": "page_view", "event_data": {},
        "page_url": "/cv?theme=a", "referrer": null, "created_at": "2025-12-08T10:00:00.000Z",
    });
    assert_eq!(body["data"][0], entry);
}

#[tokio::test]
async fn readers_with_a_token_see_one_pseudonym_for_a_visitor_a_site_and_a_day() {
    let token = "a-token-of-the-operator";
    let vars = [("ANALYTICS_READ_AUTH", "token"), ("ANALYTICS_ADMIN_TOKEN", token)];
    let test = TestApp::start(&vars, timeline::router, "2025-12-08T12:00:00Z").await;
    for (who, at) in [(1, "07T23:59:59"), (1, "08T00:00:00"), (1, "08T10:00:00"), (2, "08T11:00:00")] {
        store_event(&test.app, who, "page_view", "/", &json!({}), &format!("2025-12-{at}Z")).await;
    }
    assert_eq!(test.get("/timeline").await.status, 401);
    let request = Request::get("/api/v1/analytics/timeline").header("authorization", format!("Bearer {token}"));
    let body = test.send(request.body(Body::empty()).unwrap()).await.body;
    let [other, later, earlier, yesterday] = [0, 1, 2, 3].map(|at| body["data"][at]["visitor_id"].as_str().unwrap());
    assert_eq!(later, earlier);
    assert!(yesterday != earlier && other != earlier && other != yesterday, "{body}");
    assert_ne!(earlier, uuid::Uuid::from_u128(1).to_string());
}

#[tokio::test]
async fn readers_with_a_token_follow_one_visitor_through_today() {
    let token = "a-token-of-the-operator";
    let vars = [("ANALYTICS_READ_AUTH", "token"), ("ANALYTICS_ADMIN_TOKEN", token)];
    let test = TestApp::start(&vars, timeline::router, "2025-12-08T12:00:00Z").await;
    let ask = async |query: &str| {
        let request = Request::get(format!("/api/v1/analytics/timeline?{query}"));
        test.send(request.header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap()).await
    };
    for (who, page, at) in [
        (1, "/yesterday", "07T23:59:59"),
        (1, "/a", "08T00:00:00"),
        (2, "/other", "08T10:00:00"),
        (1, "/b", "08T10:00:01"),
        (1, "/c", "08T11:00:00"),
    ] {
        store_event(&test.app, who, "page_view", page, &json!({}), &format!("2025-12-{at}Z")).await;
    }
    // More than is read at once, by another visitor.
    for number in 0..600 {
        let at = format!("2025-12-08T05:{:02}:{:02}Z", number / 60, number % 60);
        store_event(&test.app, 3, "page_view", "/", &json!({}), &at).await;
    }
    let visitor = ask("limit=1").await.body["data"][0]["visitor_id"].as_str().unwrap().to_owned();
    let path = |body: &serde_json::Value| -> Vec<String> {
        body["data"].as_array().unwrap().iter().map(|event| event["page_url"].as_str().unwrap().to_owned()).collect()
    };
    let all = ask(&format!("visitor={visitor}")).await.body;
    assert_eq!((path(&all), &all["meta"]["next_cursor"]), (vec!["/c".into(), "/b".into(), "/a".into()], &json!(null)));
    let first = ask(&format!("visitor={visitor}&limit=2")).await.body;
    assert_eq!(path(&first), ["/c", "/b"]);
    let cursor = first["meta"]["next_cursor"].as_str().unwrap();
    assert_eq!(path(&ask(&format!("visitor={visitor}&limit=2&cursor={cursor}")).await.body), ["/a"]);
    let unknown = ask(&format!("visitor={}", uuid::Uuid::from_u128(1))).await.body;
    assert_eq!(
        (path(&unknown), &unknown["meta"]["next_cursor"]),
        (vec![], &json!(null)),
        "a stored id is no pseudonym"
    );
    for (query, code) in [("visitor=x", "INVALID_VISITOR"), (&*format!("visitor={visitor}&offset=1"), "INVALID_OFFSET")]
    {
        assert_eq!(ask(query).await.body["code"], code, "{query}");
    }
}

/// However many others there are: each answer looks at a bounded number of events, and says where to go on.
#[tokio::test]
async fn a_page_of_one_visitor_is_bounded() {
    let vars = [("ANALYTICS_READ_AUTH", "token"), ("ANALYTICS_ADMIN_TOKEN", "a-token-of-the-operator")];
    let test = TestApp::start(&vars, timeline::router, "2025-12-08T12:00:00Z").await;
    store_event(&test.app, 1, "page_view", "/first", &json!({}), "2025-12-08T01:00:00Z").await;
    store_others(&test.app, 6_000).await;
    store_event(&test.app, 1, "page_view", "/last", &json!({}), "2025-12-08T11:00:00Z").await;
    let ask = async |query: &str| {
        let request = Request::get(format!("/api/v1/analytics/timeline?{query}"));
        let request = request.header("authorization", "Bearer a-token-of-the-operator");
        test.send(request.body(Body::empty()).unwrap()).await.body
    };
    let visitor = ask("limit=1").await["data"][0]["visitor_id"].as_str().unwrap().to_owned();
    let newer = ask(&format!("visitor={visitor}")).await;
    assert_eq!((&newer["meta"]["count"], &newer["data"][0]["page_url"]), (&json!(1), &json!("/last")));
    let cursor = newer["meta"]["next_cursor"].as_str().unwrap();
    let older = ask(&format!("visitor={visitor}&cursor={cursor}")).await;
    assert_eq!((&older["data"][0]["page_url"], &older["meta"]["next_cursor"]), (&json!("/first"), &json!(null)));
}

/// Stores so many events of others in one commit.
async fn store_others(app: &common::App, count: u32) {
    let at = common::time::Timestamp::parse("2025-12-08T05:00:00Z").unwrap();
    let events = (0..count).map(|_| common::event::Event {
        id: app.source.event_id(at),
        site: Default::default(),
        visitor: uuid::Uuid::from_u128(9).into(),
        event_type: common::event_type::EventType::parse("page_view").unwrap(),
        data: common::event::EventData::new(&Default::default()).unwrap(),
        page_url: None,
        referrer: None,
        created_at: at,
        facts: Default::default(),
    });
    app.store.append(events.collect(), at).await.unwrap();
}

#[tokio::test]
async fn parameters_are_bounded() {
    let test = TestApp::start(&[], timeline::router, "2025-12-08T12:00:00Z").await;
    for (query, code) in [
        ("limit=0", "INVALID_LIMIT"),
        ("limit=101", "INVALID_LIMIT"),
        ("offset=10001", "INVALID_OFFSET"),
        ("offset=-1", "INVALID_OFFSET"),
        ("visitor=3f2504e0-4f89-41d3-9a0c-0305e82c3301", "INVALID_VISITOR"),
        ("cursor=", "INVALID_CURSOR"),
        ("cursor=zz", "INVALID_CURSOR"),
        ("offset=1&cursor=0123", "INVALID_OFFSET"),
    ] {
        assert_eq!(test.get(&format!("/timeline?{query}")).await.body["code"], code, "{query}");
    }
}
