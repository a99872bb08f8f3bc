//! Batches: good events are stored whatever the bad ones are.

use serde_json::{Value, json};
use tests::http::post;
use tests::server::Server;
use tests::{list, number, text, uuid};

fn view(visitor: &str) -> Value {
    json!({"event_type": "page_view", "visitor_id": visitor, "page_url": "/"})
}

#[tokio::test]
async fn each_event_has_its_own_outcome() {
    tests::clock::away_from_midnight().await;
    let server = Server::new().await;
    let (visitor, id) = (uuid(), uuid());
    let mut named = view(&visitor);
    named["event_id"] = json!(id);
    let batch = json!([
        view(&visitor),
        {"event_type": "No Name", "visitor_id": visitor},
        named,
        "not an event",
        named,
        {"event_type": "page_view"},
        {"event_type": "page_view", "visitor_id": visitor, "site": "A"},
        null,
        view(&visitor),
    ]);
    let answer = server.send(post("/events", &batch)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["success"], true);
    let data = &body["data"];
    assert_eq!(["stored", "duplicate", "filtered"].map(|name| number(&data[name])), [3, 1, 0], "{body}");
    let rejected: Vec<_> =
        list(&data["rejected"]).iter().map(|bad| (number(&bad["index"]), text(&bad["code"]))).collect();
    assert_eq!(
        rejected,
        [(1, "INVALID_EVENT"), (3, "INVALID_EVENT"), (5, "MISSING_VISITOR"), (6, "INVALID_SITE"), (7, "INVALID_EVENT")]
    );
    assert!(list(&data["rejected"]).iter().all(|bad| !text(&bad["error"]).is_empty()), "{body}");
    assert_eq!(number(&server.data("/realtime").await["total_events"]), 3);

    let again = server.send(post("/events", &json!([named]))).await.json();
    assert_eq!(again["data"], json!({"stored": 0, "duplicate": 1, "filtered": 0, "rejected": []}));
}

#[tokio::test]
async fn five_hundred_and_not_one_more() {
    tests::clock::away_from_midnight().await;
    let server = Server::new().await;
    let visitor = uuid();
    let mut events = vec![view(&visitor); 500];
    server.store_all(&events).await;
    events.push(view(&visitor));
    let answer = server.send(post("/events", &json!(events))).await;
    let error = answer.refused_somehow("501 events");
    assert!(matches!(answer.status, 400 | 413), "{}", answer.status);
    assert!(error.contains("500"), "names the limit: {error}");
    assert_eq!(number(&server.data("/realtime").await["total_events"]), 500);
}

/// The events of a batch that come from one bot are filtered one by one.
#[tokio::test]
async fn batches_of_bots() {
    let server = Server::new().await;
    let batch = json!([{"event_type": "page_view"}, view(&uuid()), {"event_type": "scroll"}]);
    let answer = server.send(post("/events", &batch).header("user-agent", tests::BOT)).await.json();
    assert_eq!(answer["data"], json!({"stored": 1, "duplicate": 0, "filtered": 2, "rejected": []}));
}

/// In the order of the batch, at one and the same instant, nothing gets lost.
#[tokio::test]
async fn a_batch_of_one_instant() {
    let server = Server::new().await;
    let at = tests::clock::seconds_from_now(-5).to_string();
    let events: Vec<_> = (0..150)
        .map(|n| json!({"event_type": "scroll", "visitor_id": uuid(), "timestamp": at, "event_data": {"n": n}}))
        .collect();
    server.store_all(&events).await;
    let first = server.data("/timeline?limit=100").await;
    let second = server.data("/timeline?limit=100&offset=100").await;
    let mut numbers: Vec<_> =
        [list(&first), list(&second)].concat().iter().map(|event| number(&event["event_data"]["n"])).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..150).collect::<Vec<_>>());
}
