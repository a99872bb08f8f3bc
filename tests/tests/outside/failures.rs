//! Every failure has the one shape, those that a framework would answer by itself included.

use serde_json::json;
use tests::home::Home;
use tests::http::{Request, get, post, request, upgrade};
use tests::server::Server;
use tests::{API, uuid};

fn raw(endpoint: &str, body: impl Into<Vec<u8>>) -> Request {
    request("POST", format!("{API}{endpoint}")).header("content-type", "application/json").body(body)
}

#[tokio::test]
async fn what_does_not_exist() {
    let server = Server::new().await;
    for path in [
        "/nothing",
        "/api",
        "/api/v1/analytics",
        "/api/v1/analytics/",
        "/api/v1/analytics/nothing",
        "/api/v1/analytics/stats/extra",
        "/api/v1/analytics/%zz",
        "/api/v2/analytics/stats",
        "/%ff",
        "/health/nothing",
        "/ws/nothing",
        "/../../etc/passwd",
    ] {
        server.send(get(path)).await.refused(path, 404, "NOT_FOUND");
    }
}

#[tokio::test]
async fn methods_that_are_not_allowed() {
    // Who may not call a path at all is not told its methods.
    let token = "a-token-of-the-operator";
    let server = Home::new().env("ANALYTICS_ADMIN_TOKEN", token).serve().await;
    for (method, path) in [
        ("GET", "/api/v1/analytics/event"),
        ("PUT", "/api/v1/analytics/event"),
        ("PATCH", "/api/v1/analytics/events"),
        ("POST", "/api/v1/analytics/realtime"),
        ("PUT", "/api/v1/analytics/stats"),
        ("DELETE", "/api/v1/analytics/timeline"),
        ("POST", "/api/v1/analytics/heatmap"),
        ("FROB", "/api/v1/analytics/themes"),
        ("GET", "/api/v1/analytics/cleanup"),
        ("POST", "/health"),
        ("POST", "/metrics"),
    ] {
        let admin = request(method, path).header("authorization", format!("Bearer {token}"));
        let answer = server.send(admin).await;
        let what = format!("{method} {path}");
        answer.refused(&what, 405, "METHOD_NOT_ALLOWED");
        assert!(answer.header("allow").is_some_and(|allow| !allow.is_empty()), "{what}: no allow header");
    }
}

#[tokio::test]
async fn bodies_that_are_too_large() {
    let server = Server::new().await;
    let padded = |size: usize| {
        let event = json!({"event_type": "scroll", "visitor_id": uuid()}).to_string();
        format!("{}{event}", " ".repeat(size - event.len()))
    };
    let answer = server.send(raw("/event", padded(64 * 1024))).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let error = server.send(raw("/event", padded(64 * 1024 + 1))).await.refused("/event", 413, "PAYLOAD_TOO_LARGE");
    assert!(error.contains("64") || error.contains("65536") || error.contains("65,536"), "names the limit: {error}");

    let most = 1024 * 1024;
    let answer = server.send(raw("/events", format!("{}[]", " ".repeat(most - 2)))).await;
    assert_ne!(answer.status, 413, "{}", answer.text());
    server.send(raw("/events", format!("{}[]", " ".repeat(most - 1)))).await.refused(
        "/events",
        413,
        "PAYLOAD_TOO_LARGE",
    );
}

/// A body without a length is bounded as well.
#[tokio::test]
async fn chunked_bodies_that_are_too_large() {
    let server = Server::new().await;
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    let body = format!("{}0\r\n\r\n", chunk.repeat(17));
    let chunked = raw("/event", body).header("transfer-encoding", "chunked");
    server.send(chunked).await.refused("/event in chunks", 413, "PAYLOAD_TOO_LARGE");
}

#[tokio::test]
async fn bodies_that_are_no_json() {
    let server = Server::new().await;
    for endpoint in ["/event", "/events"] {
        for body in [
            &b""[..],
            b"{",
            b"event_type=scroll",
            b"{\"event_type\":\"scroll\"} and more",
            b"\xef\xbb",
            b"[{\"event_type\":\"scroll\"},",
            b"\0",
        ] {
            let what = format!("{endpoint} {:?}", String::from_utf8_lossy(body));
            server.send(raw(endpoint, body)).await.refused(&what, 400, "INVALID_JSON");
        }
        let deep = "[".repeat(30_000);
        server.send(raw(endpoint, deep)).await.refused("endless nesting", 400, "INVALID_JSON");
    }
    // Bytes that are no text are replaced, as browsers do it; what is left is no name.
    let garbled = raw("/event", &b"{\"event_type\":\"\xff\xfe\"}"[..]);
    server.send(garbled).await.refused("a garbled name", 400, "INVALID_EVENT");
}

#[tokio::test]
async fn json_that_is_no_event() {
    let server = Server::new().await;
    for (endpoint, body) in [
        ("/event", json!(null)),
        ("/event", json!(7)),
        ("/event", json!("scroll")),
        ("/event", json!([{"event_type": "scroll"}])),
        ("/events", json!({"event_type": "scroll"})),
        ("/events", json!(null)),
    ] {
        let answer = server.send(post(endpoint, &body)).await;
        answer.refused_somehow(&format!("{endpoint} {body}"));
        assert_eq!(answer.status, 400, "{endpoint} {body}: {}", answer.text());
    }
}

/// Browsers' beacons send text/plain, and some senders nothing or nonsense.
#[tokio::test]
async fn any_content_type_will_do() {
    let server = Server::new().await;
    let event = json!({"event_type": "scroll", "visitor_id": uuid()}).to_string();
    for kind in
        ["text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "application/octet-stream", "nonsense"]
    {
        let plain = request("POST", format!("{API}/event")).header("content-type", kind).body(event.clone());
        let answer = server.send(plain).await;
        assert_eq!(answer.status, 201, "{kind}: {}", answer.text());
    }
    let without = request("POST", format!("{API}/event")).body(event);
    assert_eq!(server.send(without).await.status, 201);
}

#[tokio::test]
async fn heads_without_bodies() {
    let server = Server::new().await;
    let good = server.send(request("HEAD", format!("{API}/realtime"))).await;
    assert_eq!(good.status, 200);
    assert!(good.header("x-request-id").is_some_and(|id| !id.is_empty()));
    let bad = server.send(request("HEAD", "/nothing")).await;
    assert_eq!(bad.status, 404);
    assert!(bad.header("x-request-id").is_some_and(|id| !id.is_empty()));
    assert!(bad.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));
}

#[tokio::test]
async fn cleanup_is_for_admins() {
    let off = Server::new().await;
    let cleanup = || request("POST", format!("{API}/cleanup"));
    off.send(cleanup()).await.refused("no token is configured", 401, "UNAUTHORIZED");
    for given in ["Bearer ", "Bearer null", "Bearer undefined"] {
        let answer = off.send(cleanup().header("authorization", given)).await;
        answer.refused("no token is configured", 401, "UNAUTHORIZED");
    }

    let token = "a-long-enough-admin-token-3f2504e0";
    let on = tests::home::Home::new().env("ANALYTICS_ADMIN_TOKEN", token).serve().await;
    on.send(cleanup()).await.refused("no token is sent", 401, "UNAUTHORIZED");
    for given in ["Bearer wrong", "Bearer ", "Basic YTpi", "", token] {
        let answer = on.send(cleanup().header("authorization", given)).await;
        let error = answer.refused(given, 401, "UNAUTHORIZED");
        assert!(!error.contains(token));
    }
    let answer = on.send(cleanup().header("authorization", format!("Bearer {token}"))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["success"], true);
}

#[tokio::test]
async fn the_feed_is_no_page() {
    let server = Server::new().await;
    let answer = server.send(get(tests::live::PATH)).await;
    answer.refused_somehow("a plain GET of the feed");
    assert!((400..500).contains(&answer.status), "{}", answer.status);
    let answer = server.send(upgrade(tests::live::PATH).header("origin", "not an origin")).await;
    assert_eq!(answer.status, 101, "any origin may, when none are listed");
}

/// Ids tell requests apart, also in good answers.
#[tokio::test]
async fn every_request_has_an_id_of_its_own() {
    let server = Server::new().await;
    let first = server.send(get("/health")).await;
    let second = server.send(get("/health")).await;
    let ids = [&first, &second].map(|answer| answer.header("x-request-id").unwrap().to_owned());
    assert_ne!(ids[0], ids[1]);
}
