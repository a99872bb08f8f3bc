//! The live feed, as one client sees it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::clock::seconds_from_now;
use tests::live::{Live, PATH};
use tests::server::Server;
use tests::{list, number, text, uuid};

const FIGURES: [&str; 5] = ["current_visitors", "unique_today", "total_events", "letters_today", "timestamp"];

#[tokio::test]
async fn begins_with_the_figures_of_now() {
    tests::clock::away_from_midnight().await;
    let server = Server::new().await;
    server.store(&json!({"event_type": "letter_generate", "visitor_id": uuid()})).await;
    let mut live = Live::open(&server, PATH, [127, 0, 0, 1].into(), &[]).await;
    let first = live.next().await;
    assert_eq!(first["type"], "initial_stats");
    assert_eq!(FIGURES[..4].iter().map(|name| number(&first["data"][name])).collect::<Vec<_>>(), [1, 1, 1, 1]);
    assert!(number(&first["data"]["timestamp"]) > 1_700_000_000, "{first}");

    server.store(&json!({"event_type": "page_view", "visitor_id": uuid()})).await;
    live.next_event().await;
    live.send(&json!({"type": "refresh_stats"})).await;
    let again = live.next_but_heartbeat().await;
    assert_eq!(again["type"], "initial_stats");
    assert_eq!(FIGURES[..4].iter().map(|name| number(&again["data"][name])).collect::<Vec<_>>(), [2, 2, 2, 1]);
}

#[tokio::test]
async fn a_heartbeat_within_six_seconds() {
    let server = Server::new().await;
    let mut live = Live::connect(&server).await;
    let started = Instant::now();
    let heartbeat = live.next().await;
    assert_eq!(heartbeat["type"], "heartbeat", "{heartbeat}");
    assert!(heartbeat["data"].is_object(), "{heartbeat}");
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
}

#[tokio::test]
async fn events_look_as_on_the_timeline() {
    let server = Server::new().await;
    let mut live = Live::connect(&server).await;
    let visitor = uuid();
    let event = json!({
        "event_type": "click", "visitor_id": visitor, "page_url": "/cv?theme=ai&token=x", "event_data": {"x": 1.5, "y": 2},
    });
    let id = server.store(&event).await;
    let seen = live.next_but_heartbeat().await;
    let kept = server.data("/timeline").await[0].take();
    assert_eq!(seen["type"], "button_click");
    assert_eq!(seen["id"], json!(id));
    assert_eq!(seen["page_url"], "/cv?theme=ai");
    assert_eq!(seen["data"], json!({"x": 1.5, "y": 2}));
    assert_eq!((&seen["visitor_id"], &seen["timestamp"]), (&kept["visitor_id"], &kept["created_at"]));
    assert_ne!(seen["visitor_id"], json!(visitor), "a pseudonym");
}

/// Stored events and nothing else: no duplicates, nothing filtered or rejected.
#[tokio::test]
async fn every_stored_event_once() {
    let server = Server::new().await;
    let mut clients = [Live::connect(&server).await, Live::connect(&server).await];
    let mut sent = Vec::new();
    for n in 0..20 {
        let event = json!({"event_type": "scroll", "visitor_id": uuid(), "event_id": uuid(), "event_data": {"n": n}});
        sent.push(server.store(&event).await);
        assert_eq!(server.event(&event).await.status, 200);
        server.event(&json!({"event_type": "No Type", "visitor_id": uuid()})).await;
        let opted_out = tests::http::post("/event", &json!({"event_type": "scroll", "visitor_id": uuid()}));
        server.send(opted_out.header("dnt", "1")).await;
    }
    let batch: Vec<Value> =
        (0..300).map(|_| json!({"event_type": "hover", "visitor_id": uuid(), "event_id": uuid()})).collect();
    server.store_all(&batch).await;
    sent.extend(batch.iter().map(|event| text(&event["event_id"]).to_owned()));
    for live in &mut clients {
        let seen = live.ids(sent.len()).await;
        assert_eq!(seen[..20], sent[..20], "one after the other, in order");
        let mut seen = seen;
        seen.sort_unstable();
        let mut sent = sent.clone();
        sent.sort_unstable();
        assert_eq!(seen, sent);
        live.send(&json!({"type": "ping"})).await;
        let pong = live.next_but_heartbeat().await;
        assert_eq!(pong["type"], "pong", "and nothing more: {pong}");
    }
}

/// A client sees the site that it asks for.
#[tokio::test]
async fn one_site_at_a_time() {
    let server = Server::new().await;
    let mut default = Live::connect(&server).await;
    let mut other = Live::connect_to(&server, &format!("{PATH}?site=b.example")).await;
    let on = |site: &str| json!({"event_type": "scroll", "visitor_id": uuid(), "site": site});
    let first = server.store(&on("b.example")).await;
    let second = server.store(&on("default")).await;
    assert_eq!(default.next_but_heartbeat().await["id"], json!(second));
    assert_eq!(other.next_but_heartbeat().await["id"], json!(first));
}

#[tokio::test]
async fn ping_and_pong() {
    let server = Server::new().await;
    let mut live = Live::connect(&server).await;
    let pong = live.ping().await;
    let clock = seconds_from_now(0).as_second();
    assert!(pong["time"].as_i64().unwrap().abs_diff(clock) <= 5, "{pong}");
}

/// What is not understood is answered with an error, and the connection stays.
#[tokio::test]
async fn nonsense_is_answered() {
    let server = Server::new().await;
    for nonsense in [
        r#"{"type":"launch"}"#,
        r#"{"kind":"ping"}"#,
        r#"{"type":7}"#,
        r#"{"type":"resume"}"#,
        r#"{"type":"resume","after":"yesterday"}"#,
        "not json",
        "",
        "[]",
        "null",
    ] {
        let mut live = Live::connect(&server).await;
        live.send_text(nonsense).await;
        let error = live.next_but_heartbeat().await;
        assert_eq!(error["type"], "error", "{nonsense}: {error}");
        assert!(error.as_object().unwrap().len() > 1, "it says what is wrong: {error}");
        live.ping().await;
        live.close().await;
    }
    let mut live = Live::connect(&server).await;
    live.send_bytes(vec![0xff, 0, 1]).await;
    assert_eq!(live.next_but_heartbeat().await["type"], "error");
    live.ping().await;
}

/// 4 KiB a message: a larger one is answered with an error or ends the connection, and is
/// never obeyed.
#[tokio::test]
async fn messages_have_a_largest_size() {
    let server = Server::new().await;
    let padded = |bytes: usize| {
        let ping = r#"{"type":"ping","pad":""}"#;
        ping.replace(r#""pad":"""#, &format!(r#""pad":"{}""#, "x".repeat(bytes - ping.len())))
    };
    let mut live = Live::connect(&server).await;
    live.send_text(padded(4096)).await;
    assert_eq!(live.next_but_heartbeat().await["type"], "pong");
    for bytes in [4097, 1_000_000] {
        let mut live = Live::connect(&server).await;
        live.send_text(padded(bytes)).await;
        while let Some(message) = live.next_within(Duration::from_secs(2)).await {
            assert_ne!(message["type"], "pong", "{bytes} bytes are obeyed");
            if message["type"] == "error" {
                break;
            }
        }
    }
    live.ping().await;
}

/// One message a second, with a small burst.
#[tokio::test]
async fn chatter_is_limited() {
    let server = Server::new().await;
    let mut chatty = Live::connect(&server).await;
    let mut quiet = Live::connect(&server).await;
    for _ in 0..50 {
        chatty.send(&json!({"type": "ping"})).await;
    }
    let (mut pongs, mut answers) = (0, 0);
    while answers < 50 {
        let Some(message) = chatty.next_within(Duration::from_secs(3)).await else { break };
        pongs += u32::from(message["type"] == "pong");
        answers += u32::from(matches!(text(&message["type"]), "pong" | "error"));
        if message["type"] == "heartbeat" {
            break;
        }
    }
    assert!((1..=20).contains(&pongs), "{pongs} pongs to 50 pings at once");
    quiet.ping().await;
    let timeline = server.data("/timeline").await;
    assert_eq!(list(&timeline).len(), 0);
}
