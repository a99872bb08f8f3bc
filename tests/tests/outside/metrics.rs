//! What an operator sees.

use serde_json::json;
use tests::home::Home;
use tests::http::{post, request};
use tests::scrape::Scrape;
use tests::server::Server;
use tests::wait::until;
use tests::{API, BOT, uuid};

const FAMILIES: [(&str, &str); 15] = [
    ("maicivy_visitors_total", "counter"),
    ("maicivy_letters_generated_total", "counter"),
    ("maicivy_events_total", "counter"),
    ("maicivy_page_views_total", "counter"),
    ("maicivy_ingest_outcomes_total", "counter"),
    ("maicivy_ingest_received_total", "counter"),
    ("maicivy_current_visitors", "gauge"),
    ("maicivy_websocket_connections", "gauge"),
    ("maicivy_conversion_rate", "gauge"),
    ("maicivy_cv_theme_views", "gauge"),
    ("maicivy_analytics_request_duration_seconds", "histogram"),
    ("maicivy_database_query_duration_seconds", "histogram"),
    ("maicivy_store_up", "gauge"),
    ("maicivy_degraded", "gauge"),
    ("maicivy_last_commit_timestamp_seconds", "gauge"),
];

#[track_caller]
fn conserved(scrape: &Scrape) {
    let received = scrape.sum("maicivy_ingest_received_total", &[]);
    let outcomes = scrape.sum("maicivy_ingest_outcomes_total", &[]);
    assert!((received - outcomes).abs() < 0.5, "received {received}, outcomes {outcomes}:\n{}", scrape.text);
}

fn outcome(scrape: &Scrape, outcome: &str, reason: &str) -> u64 {
    scrape.sum("maicivy_ingest_outcomes_total", &[("outcome", outcome), ("reason", reason)]) as u64
}

#[tokio::test]
async fn every_family() {
    tests::clock::away_from_midnight().await;
    let server = Server::new().await;
    let visitor = uuid();
    server
        .store_all(&[
            json!({"event_type": "page_view", "visitor_id": visitor, "page_url": "https://cv.example/cv?theme=ai&x=1"}),
            json!({"event_type": "page_view", "visitor_id": visitor, "page_url": "/cv", "event_data": {"theme": "ai"}}),
            json!({"event_type": "letter_generate", "visitor_id": visitor, "event_data": {"letter_type": "motivation"}}),
            json!({"event_type": "letter_generate", "visitor_id": uuid(), "event_data": {"letter_type": "anti_motivation"}}),
            json!({"event_type": "click", "visitor_id": uuid()}),
        ])
        .await;
    server.data("/stats").await;
    let scrape = server.scrape().await;
    assert_eq!(scrape.sum("maicivy_store_up", &[]) as u64, 1);
    assert_eq!(scrape.sum("maicivy_degraded", &[]) as u64, 0);
    let last_commit =
        tests::clock::seconds_from_now(0).as_second() as f64 - scrape.sum("maicivy_last_commit_timestamp_seconds", &[]);
    assert!(last_commit.abs() < 60.0, "{last_commit} s ago");
    for (family, kind) in FAMILIES {
        assert!(scrape.has(family, kind), "no {kind} {family}:\n{}", scrape.text);
        assert!(scrape.text.contains(&format!("# HELP {family} ")), "no help for {family}");
    }
    let sum = |name: &str, labels: &[(&str, &str)]| scrape.sum(name, labels) as u64;
    assert_eq!(sum("maicivy_visitors_total", &[]), 3);
    assert_eq!(sum("maicivy_letters_generated_total", &[("type", "motivation")]), 1);
    assert_eq!(sum("maicivy_letters_generated_total", &[]), 2);
    assert_eq!(sum("maicivy_events_total", &[("event_type", "page_view")]), 2);
    assert_eq!(sum("maicivy_events_total", &[("event_type", "button_click")]), 1);
    assert_eq!(sum("maicivy_page_views_total", &[("path", "/cv")]), 2);
    let of_stats = [("method", "GET"), ("status", "200")];
    assert!(sum("maicivy_analytics_request_duration_seconds_count", &of_stats) >= 1);
    assert!(sum("maicivy_database_query_duration_seconds_count", &[]) >= 1);
    until("the gauges follow", async || {
        let scrape = server.scrape().await;
        let gauges = [
            scrape.sum("maicivy_current_visitors", &[]),
            scrape.sum("maicivy_cv_theme_views", &[("theme", "ai")]),
            (scrape.sum("maicivy_conversion_rate", &[]) * 100.0).round(),
        ];
        if gauges == [3.0, 2.0, 67.0] { Ok(()) } else { Err(format!("{gauges:?}")) }
    })
    .await;
}

/// What an engine, a system or a new install does not have is absent, and not 0.
#[tokio::test]
async fn families_that_not_every_process_has() {
    let server = Server::new().await;
    let scrape = server.scrape().await;
    let with_redis = server.home.variable("ANALYTICS_REDIS").is_some();
    assert_eq!(scrape.has("maicivy_redis_operation_duration_seconds", "histogram"), with_redis, "{}", scrape.text);
    assert_eq!(scrape.text.contains("maicivy_redis_"), with_redis, "{}", scrape.text);
    assert!(!scrape.text.contains("maicivy_cleanup_last_success_timestamp_seconds"), "{}", scrape.text);
    let in_a_file = tests::engine::Engine::of(&server) == tests::engine::Engine::Sqlite;
    for family in ["maicivy_store_size_bytes", "maicivy_store_disk_size_bytes", "maicivy_store_disk_free_bytes"] {
        assert_eq!(scrape.has(family, "gauge"), in_a_file, "{family}:\n{}", scrape.text);
        assert_eq!(scrape.sum(family, &[]) > 0.0, in_a_file, "{family}:\n{}", scrape.text);
    }
    let has_size = tests::engine::Engine::of(&server) != tests::engine::Engine::DynamoDb;
    for family in ["maicivy_store_used_bytes", "maicivy_store_limit_bytes"] {
        assert_eq!(scrape.has(family, "gauge"), has_size, "{family}:\n{}", scrape.text);
    }
    assert_eq!(scrape.sum("maicivy_store_used_bytes", &[]) > 0.0, has_size, "{}", scrape.text);
    if cfg!(target_os = "linux") {
        for (family, kind) in [
            ("process_resident_memory_bytes", "gauge"),
            ("process_cpu_seconds_total", "counter"),
            ("process_open_fds", "gauge"),
            ("process_max_fds", "gauge"),
            ("process_start_time_seconds", "gauge"),
        ] {
            assert!(scrape.has(family, kind), "no {kind} {family}:\n{}", scrape.text);
        }
        assert!(scrape.sum("process_resident_memory_bytes", &[]) > 1e6);
        assert!(scrape.sum("process_start_time_seconds", &[]) > 1.7e9);
    }
}

/// `received = stored + duplicate + filtered + rejected + failed`, whatever was sent.
#[tokio::test]
async fn nothing_received_is_unaccounted_for() {
    let server = Server::new().await;
    conserved(&server.scrape().await);
    let event = json!({"event_type": "scroll", "visitor_id": uuid(), "event_id": uuid()});
    let bare = json!({"event_type": "scroll"});
    let bad = json!({"event_type": "No Type"});
    let raw = |endpoint: &str, body: &str| request("POST", format!("{API}{endpoint}")).body(body);
    for request in [
        post("/event", &event),
        post("/event", &event),
        post("/event", &bare),
        post("/event", &bare).header("user-agent", BOT),
        post("/event", &event).header("dnt", "1"),
        post("/event", &bad),
        post("/events", &json!([event, bare, bad, 7, null, {"event_type": "scroll", "visitor_id": uuid()}])),
        post("/events", &json!([])),
        post("/events", &json!(vec![&event; 501])),
        post("/event", &json!({"event_type": "scroll", "visitor_id": uuid(), "site": "A"})),
        raw("/event", "{"),
        raw("/events", "[{]"),
        raw("/event", ""),
        raw("/event", &" ".repeat(66_000)),
        raw("/events", &format!("[{}]", " ".repeat(1_100_000))),
    ] {
        server.send(request).await;
        conserved(&server.scrape().await);
    }
    let scrape = server.scrape().await;
    assert_eq!((outcome(&scrape, "stored", ""), outcome(&scrape, "duplicate", "")), (2, 2));
    assert_eq!((outcome(&scrape, "filtered", "bot"), outcome(&scrape, "filtered", "opt_out")), (1, 1));
    assert_eq!(outcome(&scrape, "rejected", "MISSING_VISITOR"), 2);
    assert!(outcome(&scrape, "rejected", "INVALID_EVENT") >= 4);
    assert!(outcome(&scrape, "rejected", "INVALID_JSON") >= 1);
    assert_eq!(outcome(&scrape, "rejected", "INVALID_SITE"), 1);
}

/// Under load, and with clients that go away in the middle, it holds at rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_go_away() {
    let server = Home::new().env("ANALYTICS_RATE_LIMIT", "200").serve().await;
    let address = server.address;
    let senders: Vec<_> = (0..20)
        .map(|n| {
            tokio::spawn(async move {
                for _ in 0..20 {
                    let event = json!({"event_type": "scroll", "visitor_id": uuid()});
                    let request = post("/event", &event);
                    let mut connection = tests::http::Connection::open(address).await.unwrap();
                    let bytes = [request.head().into_bytes(), request.body.unwrap()].concat();
                    let cut = if n % 2 == 0 { bytes.len() } else { bytes.len() - 10 };
                    connection.write(&bytes[..cut]).await.unwrap();
                    if n % 3 == 0 {
                        let _ = tokio::time::timeout(std::time::Duration::from_millis(20), connection.read()).await;
                    }
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    until("everything is accounted for", async || {
        let scrape = server.scrape().await;
        let sums =
            ["maicivy_ingest_received_total", "maicivy_ingest_outcomes_total"].map(|name| scrape.sum(name, &[]) as u64);
        if sums[0] == sums[1] && sums[0] > 0 { Ok(()) } else { Err(format!("{sums:?}")) }
    })
    .await;
}
