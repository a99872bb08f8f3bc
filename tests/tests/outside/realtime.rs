//! Who is here now. (In the earlier service visitors never left while others came.)

use serde_json::json;
use tests::clock::seconds_from_now;
use tests::home::Home;
use tests::live::Live;
use tests::server::Server;
use tests::wait::until;
use tests::{number, uuid};

#[tokio::test]
async fn visitors_leave_while_others_come() {
    let server = Home::new().env("ANALYTICS_ACTIVE_WINDOW_SECONDS", "10").serve().await;
    let view = |visitor: &str| json!({"event_type": "page_view", "visitor_id": visitor});
    server.store(&view(&uuid())).await;
    let steady = uuid();
    server.store(&view(&steady)).await;
    until("the first visitor has left", async || {
        server.store(&view(&steady)).await;
        match number(&server.data("/realtime").await["current_visitors"]) {
            1 => Ok(()),
            others => Err(format!("{others} visitors")),
        }
    })
    .await;
    until("all visitors have left", async || match number(&server.data("/realtime").await["current_visitors"]) {
        0 => Ok(()),
        others => Err(format!("{others} visitors")),
    })
    .await;
}

/// The window goes by the events' own times.
#[tokio::test]
async fn late_events_make_no_visitor_current() {
    let server = Server::new().await;
    for seconds in [-301, -600, -3600] {
        let at = seconds_from_now(seconds).to_string();
        server.store(&json!({"event_type": "page_view", "visitor_id": uuid(), "timestamp": at})).await;
    }
    assert_eq!(number(&server.data("/realtime").await["current_visitors"]), 0);
    let at = seconds_from_now(-270).to_string();
    server.store(&json!({"event_type": "page_view", "visitor_id": uuid(), "timestamp": at})).await;
    assert_eq!(number(&server.data("/realtime").await["current_visitors"]), 1);
}

/// A late event does not make a visitor leave who is here.
#[tokio::test]
async fn the_latest_event_counts() {
    let server = Server::new().await;
    let visitor = uuid();
    server.store(&json!({"event_type": "page_view", "visitor_id": visitor})).await;
    let at = seconds_from_now(-3000).to_string();
    server.store(&json!({"event_type": "page_view", "visitor_id": visitor, "timestamp": at})).await;
    assert_eq!(number(&server.data("/realtime").await["current_visitors"]), 1);
}

/// One number: in the answer, in the feed and in the metric; after a restart too.
#[tokio::test]
async fn the_same_number_everywhere() {
    let server = Server::new().await;
    let visitors: Vec<_> =
        (0..7).map(|_| json!({"event_type": "page_view", "visitor_id": uuid(), "site": "default"})).collect();
    server.store_all(&visitors).await;
    let server = server.kill().await.serve().await;
    assert_eq!(number(&server.data("/realtime").await["current_visitors"]), 7);
    let mut live = Live::open(&server, tests::live::PATH, [127, 0, 0, 1].into(), &[]).await;
    assert_eq!(number(&live.next().await["data"]["current_visitors"]), 7);
    until("the metric agrees", async || match server.scrape().await.sum("maicivy_current_visitors", &[]) as u64 {
        7 => Ok(()),
        other => Err(other),
    })
    .await;
}
