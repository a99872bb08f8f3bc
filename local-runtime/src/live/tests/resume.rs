//! What was missed is sent once, in order, without a gap.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::client::Client;
use super::{TIMING, served};
use crate::live::MOST_MISSED;
use crate::testing::append;

#[tokio::test]
async fn missed_events_come_in_order_and_before_nothing_is_sent_twice() {
    let (app, _files, server) = served(&[], TIMING).await;
    let ids = append(&app, "default", 10).await;
    let mut client = Client::connect(&server).await;
    client.until("initial_stats").await;
    client.resume(ids[3]).await;
    assert_eq!(client.ids(6).await, ids[4..]);
    client.resume(ids[3]).await;
    client.has_nothing().await;
    let live = append(&app, "default", 2).await;
    assert_eq!(client.ids(2).await, live);
    client.resume(ids[1]).await;
    assert_eq!(client.ids(2).await, ids[2..4], "what was sent since is not sent again");
    client.resume(live[1]).await;
    client.has_nothing().await;
    server.stop().await;
}

#[tokio::test]
async fn events_that_were_live_already_are_not_repeated() {
    let (app, _files, server) = served(&[], TIMING).await;
    let missed = append(&app, "default", 5).await;
    let mut client = Client::connect(&server).await;
    client.until("initial_stats").await;
    let live = append(&app, "default", 5).await;
    assert_eq!(client.ids(5).await, live);
    client.resume(missed[0]).await;
    assert_eq!(client.ids(4).await, missed[1..]);
    client.has_nothing().await;
    server.stop().await;
}

/// A client that names its last event when it connects gets all in order, however many are stored
/// meanwhile.
#[tokio::test]
async fn a_connection_may_begin_after_an_event() {
    let (app, _files, server) = served(&[], TIMING).await;
    let mut stored = append(&app, "default", 5).await;
    let path = format!("/ws/analytics?after={}", stored[1]);
    let (client, more) = tokio::join!(Client::connect_to(&server, &path, &[]), append(&app, "default", 40));
    let mut client = client.unwrap();
    stored.extend(more);
    stored.extend(append(&app, "default", 5).await);
    assert_eq!(client.next().await["type"], "initial_stats");
    assert_eq!(client.ids(stored.len() - 2).await, stored[2..]);
    client.has_nothing().await;
    for (path, answer) in [("/ws/analytics?after=5", 400), ("/ws/analytics?after=", 400)] {
        let refused = Client::connect_to(&server, path, &[]).await.err().unwrap();
        assert_eq!(refused.status(), answer, "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_event_that_is_not_known_is_a_gap() {
    let (app, _files, server) = served(&[], TIMING).await;
    let elsewhere = append(&app, "other", 1).await;
    append(&app, "default", 1).await;
    let mut client = Client::connect(&server).await;
    client.until("initial_stats").await;
    for unknown in [Uuid::from_u128(5), elsewhere[0]] {
        client.resume(unknown).await;
        assert_eq!(client.next().await, json!({"type": "gap"}));
    }
    let live = append(&app, "default", 1).await;
    assert_eq!(client.ids(1).await, live);
    server.stop().await;
}

#[tokio::test]
async fn more_than_a_thousand_end_in_a_gap_and_go_on_from_there() {
    let (app, _files, server) = served(&[], TIMING).await;
    let first = append(&app, "default", 1).await[0];
    for _ in 0..13 {
        super::client::append_large(&app, 100).await;
    }
    let mut client = Client::connect(&server).await;
    client.until("initial_stats").await;
    client.resume(first).await;
    let thousand = client.ids(MOST_MISSED).await;
    assert_eq!(client.next().await, json!({"type": "gap"}));
    client.resume(thousand[MOST_MISSED - 1]).await;
    let rest = client.ids(300).await;
    client.has_nothing().await;
    assert_eq!(thousand.iter().chain(&rest).collect::<HashSet<_>>().len(), 1_300);
    server.stop().await;
}

/// Whatever a client does, coming and going while events arrive: by resuming after the latest
/// event that it has, it gets each of them once.
#[tokio::test]
async fn coming_and_going_misses_nothing_and_repeats_nothing() {
    let (app, _files, server) = served(&[], TIMING).await;
    let mut got = append(&app, "default", 1).await;
    let mut all = got.clone();
    let appending = tokio::spawn({
        let app = app.clone();
        async move {
            let mut ids = Vec::new();
            for round in 0..400_u64 {
                ids.extend(append(&app, "default", 1).await);
                tokio::time::sleep(Duration::from_micros(round * 37 % 5_000)).await;
            }
            ids
        }
    });
    let mut latest = got[0];
    for visit in 0.. {
        let last_visit = appending.is_finished();
        let mut client = Client::connect(&server).await;
        client.resume(latest).await;
        client.say(r#"{"type":"ping"}"#).await;
        let patience = Duration::from_millis(if last_visit { 500 } else { visit * 17 % 60 });
        let mut resumed = false;
        // Who leaves before the answer to resume is through cannot know what it has missed.
        while let Ok(message) =
            tokio::time::timeout(if resumed { patience } else { Duration::MAX }, client.next()).await
        {
            match message["type"].as_str().unwrap() {
                "page_view" => got.push(serde_json::from_value(message["id"].clone()).unwrap()),
                "pong" => resumed = true,
                other => assert_eq!(other, "initial_stats"),
            }
            if resumed && !last_visit && got.len() as u64 % 5 == visit % 5 {
                break;
            }
        }
        let mut places = Vec::new();
        for id in &got {
            places.push((app.store.position(&Default::default(), *id).await.unwrap(), *id));
        }
        latest = places.iter().max().unwrap().1;
        if last_visit {
            break;
        }
    }
    all.extend(appending.await.unwrap());
    let distinct: HashSet<_> = got.iter().collect();
    assert_eq!(distinct.len(), got.len(), "nothing is repeated");
    assert_eq!(distinct, all.iter().collect::<HashSet<_>>(), "nothing is missed");
    server.stop().await;
}
