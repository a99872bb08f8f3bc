//! How much a client may ask and send.

use super::*;
use crate::live::tests::client::{append_large, until};

#[tokio::test]
async fn rates_are_limited_by_event_and_by_question() {
    let vars = [("ANALYTICS_RATE_LIMIT", "10"), ("ANALYTICS_READ_LIMIT", "3")];
    let site = Site::with(&vars, false).await;
    let batch = |events: usize| format!("[{}]", vec![r#"{"event_type":"scroll"}"#; events].join(","));
    let send = async |events: usize| site.ask(Method::POST, "/api/v1/analytics/events", &[], &batch(events)).await;
    assert_eq!(send(8).await.status(), 200);
    let limited = send(5).await;
    assert_eq!(limited.status(), 429);
    assert!(limited.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 1);
    assert!(text(limited).await.contains("RATE_LIMITED"));
    let event = site.ask(Method::POST, "/api/v1/analytics/event", &[], r#"{"event_type":"scroll"}"#).await;
    assert_eq!(event.status(), 201, "the refused batch took only its entrance fee");
    for status in [200, 200, 200, 429] {
        assert_eq!(site.get("/api/v1/analytics/stats").await.status(), status);
    }
    assert_eq!(site.get("/health").await.status(), 200);
    let limited = |kind| site.app.metrics.rate_limited_requests_total.with_label_values(&[kind]).get();
    assert_eq!((limited("events"), limited("reads")), (1, 1));
    assert_eq!(site.rejected_by_the_limit(), 5, "all events of the refused batch");
    assert_eq!(site.app.metrics.ingest_received_total.get(), 8 + 5 + 1);
}

/// Questions that scan columns wait for their client's turn, and no others.
#[tokio::test]
async fn expensive_questions_wait_for_their_turn() {
    const PEER: [u8; 4] = [192, 0, 2, 1];
    let site = Site::with(&[], false).await;
    let network = Network::new(Some(PEER.into()));
    let mut held = Vec::new();
    for _ in 0..MOST {
        held.push(Arc::clone(&site.services.turns).turn(network).await);
    }
    for cheap in ["/api/v1/analytics/stats", "/api/v1/analytics/letters", "/api/v1/analytics/realtime", "/health"] {
        assert_eq!(site.get(cheap).await.status(), 200, "{cheap}");
    }
    let expensive = [
        (Method::GET, "/api/v1/analytics/themes", 200),
        (Method::GET, "/api/v1/analytics/timeline", 200),
        (Method::GET, "/api/v1/analytics/heatmap", 200),
        (Method::POST, "/api/v1/analytics/query", 400),
        (Method::POST, "/api/v1/analytics/query/funnel", 400),
        (Method::GET, "/api/v1/analytics/export/visitors", 200),
        (Method::POST, "/api/v2/query", 401),
        (Method::GET, "/api/v1/stats/breakdown?site_id=a", 400),
    ];
    let answers = async {
        let all = expensive.iter().map(|(method, path, _)| site.ask(method.clone(), path, &[], "{}"));
        futures_util::future::join_all(all).await
    };
    let release = async {
        until(|| site.services.turns.open(network) >= MOST + expensive.len()).await;
        let other = site.ask_from("192.0.2.2", Method::GET, "/api/v1/analytics/heatmap", &[], "").await;
        assert_eq!(other.status(), 200, "another client does not wait");
        assert_eq!(site.services.turns.open(network), MOST + expensive.len(), "none went ahead");
        drop(held);
    };
    let (answers, ()) = tokio::join!(answers, release);
    for ((_, path, status), answer) in expensive.iter().zip(answers) {
        assert_eq!(answer.status(), *status, "{path}");
    }
    assert_eq!(site.services.turns.open(network), 0);
}

/// What scans columns costs more than what reads totals, in whichever format it is asked.
#[tokio::test]
async fn expensive_questions_cost_more() {
    for (method, path, answered) in [
        (Method::GET, "/api/v1/analytics/stats", 10),
        (Method::GET, "/api/v1/analytics/themes", 5),
        (Method::GET, "/api/v1/analytics/heatmap", 2),
        (Method::POST, "/api/v1/analytics/query", 5),
        (Method::POST, "/api/v2/query", 5),
        (Method::GET, "/api/v1/stats/breakdown?site_id=a", 5),
    ] {
        let site = Site::with(&[("ANALYTICS_READ_LIMIT", "10")], false).await;
        let mut until_refused = 0;
        while site.ask(method.clone(), path, &[], "{}").await.status() != 429 {
            until_refused += 1;
        }
        // A slow machine gives back a token in six seconds.
        assert!((answered..=answered + 1).contains(&until_refused), "{path}: {until_refused}");
    }
}

/// A provider gives one customer 65,536 networks.
#[tokio::test]
async fn the_networks_of_one_customer_share_sixteen_budgets() {
    let site = Site::with(&[("ANALYTICS_READ_LIMIT", "2")], false).await;
    let mut answered = 0;
    for network in 0..40 {
        let peer = format!("2001:db8:1:{network:x}::1");
        let answer = site.ask_from(&peer, Method::GET, "/api/v1/analytics/stats", &[], "").await;
        answered += u32::from(answer.status() == 200);
    }
    // A slow machine gives back a token in two seconds.
    assert!((32..36).contains(&answered), "{answered}");
    let other = site.ask_from("2001:db8:2::1", Method::GET, "/api/v1/analytics/stats", &[], "").await;
    assert_eq!(other.status(), 200);
}

#[tokio::test]
async fn large_events_cost_more() {
    let site = Site::with(&[("ANALYTICS_RATE_LIMIT", "20")], false).await;
    let event = |bytes| {
        let pad = "x".repeat(bytes);
        format!(r#"{{"event_type":"scroll","event_data":{{"pad":"{pad}"}}}}"#)
    };
    let send = async |path: &str, body: &str| {
        site.ask(Method::POST, &format!("/api/v1/analytics{path}"), &[], body).await.status().as_u16()
    };
    // 4 tokens each, and 4 are left.
    for _ in 0..4 {
        assert_eq!(send("/event", &event(7_000)).await, 201);
    }
    assert_eq!(send("/events", &format!("[{},{}]", event(7_000), event(1))).await, 429, "five of four");
    assert_eq!(send("/event", &event(1)).await, 201, "the refused batch took only its entrance fee");
}

#[tokio::test]
async fn probes_and_paths_that_lead_nowhere_are_limited() {
    let site = Site::with(&[("ANALYTICS_READ_LIMIT", "3")], true).await;
    for status in [404, 404, 404, 429, 429] {
        assert_eq!(site.get("/wp-login.php").await.status(), status);
    }
    assert_eq!(site.get("/openapi.json").await.status(), 429);
    assert_eq!(site.get("/cv.html").await.status(), 200, "what is there is served");
    for probe in 0..30 {
        let path = ["/health", "/metrics", "/health/live"][probe % 3];
        assert_eq!(site.get(path).await.status(), 200, "{path}");
    }
    assert_eq!(site.get("/health").await.status(), 429);
}

/// Answers that one client leaves unread take the room of its network, and small ones need none.
#[tokio::test]
async fn answers_that_are_not_read_leave_room_for_others() {
    const TIMELINE: &str = "/api/v1/analytics/timeline?limit=100";
    let site = Site::with(&[("ANALYTICS_READ_LIMIT", "100000")], false).await;
    append_large(&site.app, 100).await;
    let mut unread = Vec::new();
    let refused = loop {
        let answer = site.get(TIMELINE).await;
        if answer.status() != 200 {
            break answer;
        }
        unread.push(answer);
        assert!(unread.len() < 100, "each has 800 kB, and a network has room for 16 MiB");
    };
    assert_eq!(refused.status(), 503);
    assert_eq!(site.get("/api/v1/analytics/stats").await.status(), 200, "a small one");
    assert_eq!(site.ask_from("192.0.2.2", Method::GET, TIMELINE, &[], "").await.status(), 200, "another client");
    drop(unread);
    assert_eq!(site.get(TIMELINE).await.status(), 200);
}

/// Invented sites used to lock out every other one for ever.
#[tokio::test]
async fn default_and_listed_sites_fit_whatever_was_invented() {
    async fn post(site: &Site, name: &str) -> u16 {
        let event = format!(r#"{{"event_type":"scroll","site":"{name}"}}"#);
        site.ask(Method::POST, "/api/v1/analytics/event", &[], &event).await.status().as_u16()
    }
    async fn full(vars: &[(&str, &str)]) -> Site {
        let site = Site::with(vars, false).await;
        for number in 0..common::site::Site::MOST {
            append(&site.app, &format!("invented-{number}"), 1).await;
        }
        site
    }
    let site = full(&[]).await;
    assert_eq!(post(&site, "default").await, 201);
    assert_eq!(post(&site, "default").await, 201);
    assert_eq!(post(&site, "one-more").await, 400);
    let site = full(&[("ANALYTICS_SITES", "mine.example")]).await;
    assert_eq!(post(&site, "mine.example").await, 201);
    assert_eq!(post(&site, "invented-1").await, 400);
}

#[tokio::test]
async fn a_batch_larger_than_the_bucket_takes_all_of_it() {
    let site = Site::with(&[("ANALYTICS_RATE_LIMIT", "10")], false).await;
    let batch = format!("[{}]", vec![r#"{"event_type":"scroll"}"#; 50].join(","));
    assert_eq!(site.ask(Method::POST, "/api/v1/analytics/events", &[], &batch).await.status(), 200);
    let event = site.ask(Method::POST, "/api/v1/analytics/event", &[], r#"{"event_type":"scroll"}"#).await;
    assert_eq!(event.status(), 429);
    assert_eq!(site.rejected_by_the_limit(), 1);
    assert_eq!(site.app.metrics.ingest_received_total.get(), 51);
}

/// Whatever way an event arrives, its sender is charged.
#[tokio::test]
async fn page_views_are_charged_to_their_sender() {
    let site = Site::with(&[("ANALYTICS_RATE_LIMIT", "5")], true).await;
    for _ in 0..20 {
        assert_eq!(site.get("/cv.html").await.status(), 200, "the page is served all the same");
    }
    assert_eq!(site.page_views().await, 5);
    let limited = site.app.metrics.rate_limited_requests_total.with_label_values(&["events"]).get();
    assert_eq!(limited, 15);
    assert_eq!(site.rejected_by_the_limit(), 15);
    assert_eq!(site.app.metrics.ingest_received_total.get(), 20);
}
