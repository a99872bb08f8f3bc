//! How much a client may ask, send and make the server keep.

use std::net::Ipv4Addr;
use std::time::Instant;

use serde_json::{Value, json};
use tests::answer::Answer;
use tests::home::Home;
use tests::http::{Connection, get, post};
use tests::server::Server;
use tests::{API, list, number, text, uuid};

fn event() -> Value {
    json!({"event_type": "scroll", "visitor_id": uuid()})
}

#[track_caller]
fn limited(answer: &Answer) {
    let error = answer.refused("over the limit", 429, "RATE_LIMITED");
    assert!(!error.contains("198.18.") && !error.contains("127.0."), "{error}");
    let after = answer.header("retry-after").and_then(|after| after.parse::<u64>().ok());
    assert!(after.is_some_and(|seconds| (1..=60).contains(&seconds)), "{:?}", answer.headers);
}

#[tokio::test]
async fn events_an_address() {
    let home = Home::new().env("ANALYTICS_RATE_LIMIT", "3").env("ANALYTICS_TRUSTED_PROXIES", "127.0.0.1/32");
    let server = home.serve().await;
    let from = |address: &str| post("/event", &event()).header("x-forwarded-for", address);
    for address in ["198.18.0.1", "198.18.0.2"] {
        for _ in 0..3 {
            assert_eq!(server.send(from(address)).await.status, 201, "{address}");
        }
        limited(&server.send(from(address)).await);
        limited(&server.send(from(&format!("203.0.113.7, {address}"))).await);
        let batch = post("/events", &json!([event()])).header("x-forwarded-for", address);
        limited(&server.send(batch).await);
    }
    assert_eq!(server.send(from("198.18.0.3")).await.status, 201);
    let direct = post("/event", &event()).from(Ipv4Addr::new(127, 0, 0, 9));
    assert_eq!(server.send(direct.clone().header("x-forwarded-for", "198.18.0.1")).await.status, 201);
    for n in 0..2 {
        server.send(direct.clone().header("x-forwarded-for", format!("198.18.1.{n}"))).await;
    }
    limited(&server.send(direct.header("x-forwarded-for", "198.18.1.9")).await);

    // Reads and probes have a limit of their own.
    for path in ["/health", "/metrics", "/api/v1/analytics/realtime"] {
        let answer = server.send(get(path).header("x-forwarded-for", "198.18.0.1")).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    let scrape = server.scrape().await;
    let turned_away = scrape.sum("maicivy_rate_limited_requests_total", &[]);
    assert!(turned_away >= 7.0);
    let rejected = scrape.sum("maicivy_ingest_outcomes_total", &[("outcome", "rejected"), ("reason", "RATE_LIMITED")]);
    assert_eq!(rejected as u64, turned_away as u64, "one event each");
    let sums =
        ["maicivy_ingest_received_total", "maicivy_ingest_outcomes_total"].map(|name| scrape.sum(name, &[]) as u64);
    assert_eq!(sums[0], sums[1]);
}

/// An array of queries is as many questions as it holds.
#[tokio::test]
async fn queries_count_one_by_one() {
    // Each costs two tokens.
    let server = Home::new().env("ANALYTICS_READ_LIMIT", "20").serve().await;
    let queries = |count| post("/query", &json!(vec![json!({"metrics": ["visitors"], "date_range": "day"}); count]));
    assert_eq!(server.send(queries(9)).await.status, 200);
    assert_eq!(server.send(queries(1)).await.status, 200);
    limited(&server.send(queries(1)).await);
}

/// A batch is as many events as it holds.
#[tokio::test]
async fn batches_count_their_events() {
    let server = Home::new().env("ANALYTICS_RATE_LIMIT", "10").serve().await;
    server.store_all(&(0..10).map(|_| event()).collect::<Vec<_>>()).await;
    limited(&server.event(&event()).await);
}

#[tokio::test]
async fn a_hundred_events_a_minute_by_default() {
    let server = Home::new().without("ANALYTICS_RATE_LIMIT").serve().await;
    let mut connection = server.connect().await.unwrap();
    let started = Instant::now();
    let mut stored = 0;
    let refused = loop {
        let answer = connection.send(&post("/event", &event())).await.unwrap();
        if answer.status != 201 {
            break answer;
        }
        stored += 1;
        assert!(stored < 1_000, "a hundred a minute");
    };
    limited(&refused);
    // On a slow machine a few tokens come back meanwhile: one in 600 ms.
    let most = 100 + started.elapsed().as_millis() / 600 + 1;
    assert!((100..=most).contains(&stored), "{stored}, at most {most}");
}

#[tokio::test]
async fn reads_an_address() {
    let server = Server::new().await;
    let source = Ipv4Addr::new(127, 8, 8, 8);
    let mut connection = Connection::open_from(server.address, source).await.unwrap();
    let mut answered = 0;
    let refused = loop {
        let answer = connection.send(&get(format!("{API}/realtime"))).await.unwrap();
        if answer.status != 200 {
            break answer;
        }
        answered += 1;
        assert!(answered < 2_000, "600 a minute");
    };
    limited(&refused);
    assert!(answered >= 300, "{answered}: a page that asks a lot is served");
    server.data("/realtime").await;
    assert_eq!(server.send(post("/event", &event()).from(source)).await.status, 201);
}

/// Distinct values are capped at 10,000 a site and day; the rest are counted together.
#[tokio::test]
async fn distinct_values() {
    tests::clock::away_from_midnight().await;
    let server = Server::new().await;
    let visitor = uuid();
    let [early, late] = [20_000, 20_001];
    let themed = |n: usize, site: &str| json!({"event_type": "page_view", "visitor_id": visitor, "event_data": {"theme": format!("t{n}")}, "site": site});
    // Kept are the most frequent ones, whether they came first or last.
    server.store_all(&[themed(early, "default"), themed(early, "default")]).await;
    let mut n = 0;
    while n < 10_500 {
        let batch: Vec<_> = (n..n + 500).map(|n| themed(n, "default")).collect();
        server.store_all(&batch).await;
        n += 500;
    }
    server.store_all(&[themed(late, "default"), themed(late, "default"), themed(1, "b.example")]).await;
    let themes = server.data("/themes?period=day&limit=3").await;
    let rows: Vec<_> = list(&themes).iter().map(|row| (text(&row["theme"]), number(&row["views"]))).collect();
    assert_eq!(rows, [("(other)", 502), ("t20000", 2), ("t20001", 2)]);
    let elsewhere = server.data("/themes?site=b.example").await;
    assert_eq!(elsewhere[0]["theme"], "t1");
    server.kill().await.run(&["verify"]).await.expect_code(0);
}

/// Invented types of events leave the figures of built-in ones as they are, of the day and of longer periods.
#[tokio::test]
async fn invented_event_types() {
    tests::clock::away_from_midnight().await;
    let server = Server::new().await;
    let visitor = uuid();
    let typed = |event_type: String| json!({"event_type": event_type, "visitor_id": visitor, "page_url": "/cv"});
    for first in (0..10_500).step_by(500) {
        server.store_all(&(first..first + 500).map(|n| typed(format!("invented-{n}"))).collect::<Vec<_>>()).await;
    }
    for event_type in ["page_view", "page_view", "page_view", "letter_generate"] {
        let mut event = typed(event_type.to_owned());
        event["event_data"] = json!({"letter_type": "motivation"});
        server.store(&event).await;
    }
    for period in ["day", "week", "month"] {
        let stats = server.data(&format!("/stats?period={period}")).await;
        let figures = ["page_views", "letters_generated", "total_events"].map(|name| number(&stats[name]));
        assert_eq!(figures, [3, 1, 10_504], "{period}: {stats}");
    }
    let query = json!({"metrics": ["events"], "date_range": "day", "dimensions": ["event:name"],
        "filters": [["is", "event:name", ["page_view", "letter_generate"]]]});
    let answer = server.send(post("/query", &query)).await.json();
    let rows =
        json!([{"dimensions": ["page_view"], "metrics": [3]}, {"dimensions": ["letter_generate"], "metrics": [1]}]);
    assert_eq!(answer["data"]["results"], rows, "{answer}");
    assert!(server.written().contains("more than 10000 distinct values"), "{}", server.written());
    assert_eq!(server.scrape().await.sum("maicivy_capped_days_total", &[]) as u64, 1);
}

/// Large answers are compressed for those who can read them so.
#[tokio::test]
async fn compression() {
    use std::io::Read as _;
    let server = Server::new().await;
    server.store_all(&(0..100).map(|_| event()).collect::<Vec<_>>()).await;
    let path = format!("{API}/timeline?limit=100");
    let plain = server.send(get(&*path)).await;
    assert_eq!(plain.header("content-encoding"), None);
    let compressed = server.send(get(&*path).header("accept-encoding", "gzip")).await;
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    assert!(compressed.body.len() < plain.body.len() / 2);
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&*compressed.body).read_to_end(&mut text).unwrap();
    assert_eq!(text, plain.body);
}
