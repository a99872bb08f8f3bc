//! Coming back to the feed: the events missed, in order, no gap and no repeat.

use std::time::Duration;

use serde_json::{Value, json};
use tests::live::{Live, PATH};
use tests::server::Server;
use tests::{text, uuid};

fn event() -> Value {
    json!({"event_type": "scroll", "visitor_id": uuid(), "event_id": uuid()})
}

async fn store(server: &Server, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(server.store(&event()).await);
    }
    ids
}

#[tokio::test]
async fn what_was_missed_and_then_what_comes() {
    let server = Server::new().await;
    let mut live = Live::connect(&server).await;
    let seen = store(&server, 3).await;
    assert_eq!(live.ids(3).await, seen);
    live.close().await;
    let missed = store(&server, 25).await;

    let mut live = Live::connect(&server).await;
    live.resume(&seen[2]).await;
    assert_eq!(live.ids(25).await, missed);
    let fresh = store(&server, 3).await;
    assert_eq!(live.ids(3).await, fresh);
    live.send(&json!({"type": "ping"})).await;
    assert_eq!(live.next_but_heartbeat().await["type"], "pong", "nothing twice");
}

#[tokio::test]
async fn nothing_was_missed() {
    let server = Server::new().await;
    let ids = store(&server, 2).await;
    let mut live = Live::connect(&server).await;
    live.resume(&ids[1]).await;
    live.send(&json!({"type": "ping"})).await;
    assert_eq!(live.next_but_heartbeat().await["type"], "pong");
}

/// Late events are delivered when they arrive, also to clients that were away then.
#[tokio::test]
async fn in_the_order_of_arrival() {
    let server = Server::new().await;
    let first = store(&server, 1).await;
    let mut expected = Vec::new();
    for seconds in [-60, -7200, -5, -3600] {
        let mut late = event();
        late["timestamp"] = json!(tests::clock::seconds_from_now(seconds).to_string());
        expected.push(server.store(&late).await);
    }
    let mut live = Live::connect(&server).await;
    live.resume(&first[0]).await;
    assert_eq!(live.ids(4).await, expected);
}

#[tokio::test]
async fn across_restarts() {
    let server = Server::new().await;
    let seen = store(&server, 2).await;
    let mut missed = store(&server, 5).await;
    let server = server.kill().await.serve().await;
    missed.extend(store(&server, 5).await);
    let server = server.end().await.serve().await;
    missed.extend(store(&server, 5).await);
    let mut live = Live::connect(&server).await;
    live.resume(&seen[1]).await;
    assert_eq!(live.ids(15).await, missed);
}

/// Events that arrive while the missed ones are sent come too, and only once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_events_arrive() {
    let server = std::sync::Arc::new(Server::new().await);
    let mark = store(&server, 1).await;
    for _ in 0..4 {
        let missed: Vec<Value> = (0..100).map(|_| event()).collect();
        server.store_all(&missed).await;
    }
    let writer = tokio::spawn({
        let server = server.clone();
        async move { store(&server, 150).await }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut live = Live::connect(&server).await;
    live.resume(&mark[0]).await;
    live.ids(400 + 150).await;
    writer.await.unwrap();
    live.send(&json!({"type": "ping"})).await;
    assert_eq!(live.next_but_heartbeat().await["type"], "pong", "nothing twice");
}

#[tokio::test]
async fn a_thousand_and_no_more() {
    let server = Server::new().await;
    let mark = store(&server, 1).await;
    for _ in 0..2 {
        server.store_all(&(0..500).map(|_| event()).collect::<Vec<_>>()).await;
    }
    let mut live = Live::connect(&server).await;
    live.resume(&mark[0]).await;
    live.ids(1_000).await;
    live.close().await;

    store(&server, 1).await;
    let mut live = Live::connect(&server).await;
    live.resume(&mark[0]).await;
    live.next_of(|kind| kind == "gap").await;
    live.ping().await;
    let fresh = store(&server, 1).await;
    while text(&live.next_event().await["id"]) != fresh[0] {}
}

/// After an event that is not stored, what was missed is unknown.
#[tokio::test]
async fn after_an_unknown_event() {
    let server = Server::new().await;
    store(&server, 3).await;
    let elsewhere = server.store(&json!({"event_type": "scroll", "visitor_id": uuid(), "site": "b.example"})).await;
    for unknown in [uuid(), elsewhere] {
        let mut live = Live::connect(&server).await;
        live.resume(&unknown).await;
        let answer = live.next_but_heartbeat().await;
        assert!(matches!(text(&answer["type"]), "gap" | "error"), "{answer}");
        live.ping().await;
    }
}

/// A resumed client sees its own site only.
#[tokio::test]
async fn of_one_site() {
    let server = Server::new().await;
    let on = |site: &str| json!({"event_type": "scroll", "visitor_id": uuid(), "site": site});
    let mark = server.store(&on("b.example")).await;
    let mut missed = Vec::new();
    for _ in 0..3 {
        missed.push(server.store(&on("b.example")).await);
        server.store(&on("default")).await;
    }
    let mut live = Live::connect_to(&server, &format!("{PATH}?site=b.example")).await;
    live.resume(&mark).await;
    assert_eq!(live.ids(3).await, missed);
    live.send(&json!({"type": "ping"})).await;
    assert_eq!(live.next_but_heartbeat().await["type"], "pong");
}
