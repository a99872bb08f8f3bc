//! The timeline: newest first, by offset and by cursor.

use serde_json::{Value, json};
use tests::clock::seconds_from_now;
use tests::server::Server;
use tests::{list, number, text, uuid};

fn at(seconds: i64) -> Value {
    let at = seconds_from_now(seconds).to_string();
    json!({"event_type": "scroll", "visitor_id": uuid(), "event_id": uuid(), "timestamp": at})
}

fn ids(events: &Value) -> Vec<String> {
    list(events).iter().map(|event| text(&event["id"]).to_owned()).collect()
}

#[tokio::test]
async fn newest_first_by_their_own_time() {
    let server = Server::new().await;
    let events = [at(-30), at(-10), at(-50), at(-20), at(-40)];
    server.store_all(&events).await;
    let expected: Vec<_> = [1, 3, 0, 4, 2].map(|n: usize| text(&events[n]["event_id"]).to_owned()).into();
    assert_eq!(ids(&server.data("/timeline").await), expected);
    assert_eq!(ids(&server.data("/timeline?limit=2&offset=1").await), expected[1..3]);
    let page = server.ask("/timeline?limit=2&offset=4").await;
    assert_eq!(ids(&page["data"]), expected[4..]);
    let meta = &page["meta"];
    assert_eq!(["limit", "offset", "count"].map(|name| number(&meta[name])), [2, 4, 1], "{meta}");
    assert_eq!(ids(&server.data("/timeline?offset=5").await), Vec::<String>::new());
}

/// Pages neither skip nor repeat while events arrive: newer ones, and late ones too.
#[tokio::test]
async fn pages_by_cursor_while_events_arrive() {
    let server = Server::new().await;
    let there: Vec<_> = (0..57).map(|n| at(-600 - n / 3)).collect();
    server.store_all(&there).await;
    let mut found = Vec::new();
    let mut question = "/timeline?limit=5".to_owned();
    for _ in 0..100 {
        let page = server.ask(&question).await;
        found.extend(ids(&page["data"]));
        assert_eq!(number(&page["meta"]["count"]), list(&page["data"]).len() as u64);
        let Some(cursor) = page["meta"]["next_cursor"].as_str() else { break };
        question = format!("/timeline?limit=5&cursor={cursor}");
        server.store_all(&[at(0), at(-1), at(-605), at(-3600)]).await;
    }
    let mut once = found.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), found.len(), "no event comes twice");
    let missing = there.iter().filter(|event| !found.iter().any(|id| id == text(&event["event_id"]))).count();
    assert_eq!(missing, 0, "no event is skipped");
}

/// However many events share an instant, a page ends within it and the next goes on.
#[tokio::test]
async fn pages_of_one_instant() {
    let server = Server::new().await;
    let instant = seconds_from_now(-60).to_string();
    let events: Vec<_> = (0..64)
        .map(|_| json!({"event_type": "scroll", "visitor_id": uuid(), "event_id": uuid(), "timestamp": instant}))
        .collect();
    server.store_all(&events).await;
    let mut found = Vec::new();
    let mut question = "/timeline?limit=10".to_owned();
    loop {
        let page = server.ask(&question).await;
        found.extend(ids(&page["data"]));
        let Some(cursor) = page["meta"]["next_cursor"].as_str() else { break };
        assert!(found.len() <= 64, "it ends");
        question = format!("/timeline?limit=10&cursor={cursor}");
    }
    let mut sent: Vec<_> = events.iter().map(|event| text(&event["event_id"]).to_owned()).collect();
    sent.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, sent);
}

/// A cursor outlives the process that gave it out, and needs no escaping in an address.
#[tokio::test]
async fn cursors_outlive_a_restart() {
    let server = Server::new().await;
    let events: Vec<_> = (0..7).map(|n| at(-60 - n)).collect();
    server.store_all(&events).await;
    let page = server.ask("/timeline?limit=3").await;
    let cursor = text(&page["meta"]["next_cursor"]).to_owned();
    assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)), "{cursor}");
    let server = server.end().await.serve().await;
    let rest = ids(&server.data(&format!("/timeline?limit=100&cursor={cursor}")).await);
    let expected: Vec<_> = events[3..].iter().map(|event| text(&event["event_id"]).to_owned()).collect();
    assert_eq!(rest, expected);
}
