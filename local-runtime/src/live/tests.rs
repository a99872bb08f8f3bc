//! The live feed over real sockets.

pub(crate) mod client;
mod limits;
mod resume;

use std::sync::Arc;
use std::time::Duration;

use common::App;
use common::identity::PseudonymOf;
use common::source::System;
use common::store::{News, Position};
use serde_json::json;
use tempfile::TempDir;

use self::client::Client;
use super::Timing;
use crate::testing::{Server, app_with, append};

/// Tests are in a hurry, but for what they do not test.
const TIMING: Timing = Timing {
    beat: Duration::from_secs(3_600),
    ping: Duration::from_secs(3_600),
    pong: Duration::from_secs(3_600),
    send: Duration::from_secs(10),
};

async fn served(vars: &[(&str, &str)], timing: Timing) -> (App, TempDir, Server) {
    let (app, files) = app_with(vars, Arc::new(System)).await;
    let server = Server::start(&app, timing).await;
    (app, files, server)
}

#[tokio::test]
async fn figures_come_first_then_each_event_once() {
    let (app, _files, server) = served(&[], TIMING).await;
    append(&app, "default", 2).await;
    let mut clients = [Client::connect(&server).await, Client::connect(&server).await];
    let mut elsewhere = Client::connect_to(&server, "/ws/analytics?site=other", &[]).await.unwrap();
    for client in clients.iter_mut().chain([&mut elsewhere]) {
        let first = client.next().await;
        assert_eq!(first["type"], "initial_stats");
    }
    let ids = append(&app, "default", 3).await;
    for client in &mut clients {
        for id in &ids {
            let event = client.next().await;
            assert_eq!((&event["type"], &event["id"]), (&json!("page_view"), &json!(id)));
            assert_eq!((&event["page_url"], &event["data"]), (&json!(null), &json!({})));
            assert!(event["timestamp"].as_str().unwrap().ends_with('Z'));
            let shown = event["visitor_id"].as_str().unwrap();
            assert_ne!(shown, "00000000-0000-0000-0000-000000000007", "only a pseudonym is shown");
        }
        client.has_nothing().await;
    }
    elsewhere.has_nothing().await;
    server.stop().await;
    assert_eq!(app.metrics.websocket_delivery_seconds.get_sample_count(), 6, "three events to two clients");
}

#[tokio::test]
async fn heartbeats_and_answers() {
    let (app, _files, server) = served(&[], Timing { beat: Duration::from_millis(100), ..TIMING }).await;
    let mut client = Client::connect(&server).await;
    assert_eq!(client.next().await["data"]["total_events"], 0);
    let beat = client.next().await;
    assert_eq!((&beat["type"], &beat["data"]["total_events"]), (&json!("heartbeat"), &json!(0)));
    append(&app, "default", 1).await;
    client.until("page_view").await;
    client.until("heartbeat").await;
    assert_eq!(client.until("heartbeat").await["data"]["total_events"], 1);
    client.say(r#"{"type":"refresh_stats"}"#).await;
    assert_eq!(client.until("initial_stats").await["data"]["current_visitors"], 1);
    client.say(r#"{"type":"ping"}"#).await;
    let pong = client.until("pong").await;
    assert!((pong["time"].as_i64().unwrap() - app.now().seconds()).abs() <= 2);
    server.stop().await;
}

#[tokio::test]
async fn who_is_not_there_any_more_is_let_go() {
    let timing = Timing { ping: Duration::from_millis(100), pong: Duration::from_millis(200), ..TIMING };
    let (app, _files, server) = served(&[], timing).await;
    let mut alive = Client::connect(&server).await;
    let dead = Client::connect(&server).await;
    alive.until("initial_stats").await;
    assert_eq!(app.metrics.websocket_connections.get(), 2);
    // Reading answers the pings; the other one does not read.
    for _ in 0..10 {
        alive.has_nothing().await;
    }
    assert_eq!(app.metrics.websocket_connections.get(), 1);
    alive.say(r#"{"type":"ping"}"#).await;
    alive.until("pong").await;
    drop(dead);
    server.stop().await;
}

/// In the earlier service one dead client could stall the broadcast.
#[tokio::test]
async fn a_slow_client_slows_no_other_and_gets_a_gap_or_is_closed() {
    let timing = Timing { send: Duration::from_millis(500), ..TIMING };
    let (app, _files, server) = served(&[("ANALYTICS_RATE_LIMIT", "1000000")], timing).await;
    let mut fast = Client::connect(&server).await;
    let _slow = Client::connect(&server).await;
    fast.until("initial_stats").await;
    // 20 MB: more than any socket buffer holds.
    let batches = 25;
    for _ in 0..batches {
        client::append_large(&app, 100).await;
        for _ in 0..100 {
            assert_eq!(fast.next().await["type"], "form_submit");
        }
    }
    tokio::time::timeout(Duration::from_secs(10), async {
        while app.metrics.websocket_connections.get() > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the slow client is closed");
    fast.has_nothing().await;
    server.stop().await;
}

/// Who does not read for a while is sent what it missed, from the store when it is much.
#[tokio::test]
async fn a_client_that_dozed_is_caught_up_from_the_store() {
    let (app, _files, server) = served(&[], TIMING).await;
    let mut client = Client::connect_with_small_buffer(&server).await;
    client.until("initial_stats").await;
    // More than any buffer holds, and fewer than are too many.
    let mut stored = Vec::new();
    for _ in 0..9 {
        stored.extend(client::append_large(&app, 100).await);
    }
    assert_eq!(client.ids(900).await, stored);
    client.has_nothing().await;
    assert_eq!(app.metrics.websocket_gaps_total.get(), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_slept_is_told_of_the_gap_and_may_resume() {
    let (app, _files, server) = served(&[], TIMING).await;
    let mut client = Client::connect_with_small_buffer(&server).await;
    client.until("initial_stats").await;
    let mut stored = Vec::new();
    for _ in 0..30 {
        stored.extend(client::append_large(&app, 100).await);
    }
    // After the greeting the feed has passed all that was stored before.
    Client::connect(&server).await.until("initial_stats").await;
    let mut got = Vec::new();
    loop {
        let message = client.next().await;
        if message["type"] == "gap" {
            break;
        }
        got.push(serde_json::from_value::<uuid::Uuid>(message["id"].clone()).unwrap());
    }
    assert_eq!(got, stored[..got.len()], "without a gap until there is one");
    client.has_nothing().await;
    assert_eq!(app.metrics.websocket_gaps_total.get(), 1);
    let live = append(&app, "default", 1).await;
    assert_eq!(client.ids(1).await, live);
    // What was missed is between what it has and what it has been sent since.
    while got.len() < stored.len() {
        client.resume(got[got.len() - 1]).await;
        let more = (stored.len() - got.len()).min(super::MOST_MISSED);
        got.extend(client.ids(more).await);
        if got.len() < stored.len() {
            assert_eq!(client.next().await, json!({"type": "gap"}));
        }
    }
    client.has_nothing().await;
    assert_eq!(got, stored);
    server.stop().await;
}

/// Everything that was lost between the store and the hub is fetched, or owned up to.
#[tokio::test]
async fn a_feed_that_fell_behind_is_caught_up() {
    let (app, _files) = app_with(&[], Arc::new(System)).await;
    let (hub, newcomers) = super::Hub::new(&app, TIMING, Default::default());
    let site = common::site::Site::default();
    let subscription = hub.subscribe(&site, PseudonymOf::Event);
    let (events, feed) = tokio::sync::broadcast::channel(1);
    let running = tokio::spawn(Arc::clone(&hub).run(feed, newcomers));

    let stored = async |count| {
        let before = app.store.committed_after(&site, Position(0), 5_000).await.unwrap().len();
        append(&app, "default", count).await;
        app.store.committed_after(&site, Position(0), 5_000).await.unwrap().split_off(before)
    };
    let first = stored(1).await;
    events.send(News::Committed(first.clone().into())).unwrap();
    client::until(|| subscription.channel.log().next() == 1).await;

    // Two batches into a channel for one, without a pause: the first of them is lost.
    let lost = stored(2).await;
    for committed in &lost {
        events.send(News::Committed([committed.clone()].into())).unwrap();
    }
    client::until(|| subscription.channel.log().next() == 3).await;
    let super::log::Reading::Next(placed) = subscription.channel.log().read(subscription.start) else {
        panic!("everything is there")
    };
    let places: Vec<_> = placed.iter().map(|placed| placed.position).collect();
    assert_eq!(places, [first[0].position, lost[0].position, lost[1].position]);

    drop(events);
    hub.stop.cancel();
    running.await.unwrap();
}

/// After a database was restored its places are given again: clients receive a gap, and then every event,
/// whatever places those before had.
#[tokio::test]
async fn places_that_begin_anew_are_a_gap() {
    let (app, _files) = app_with(&[], Arc::new(System)).await;
    let (hub, newcomers) = super::Hub::new(&app, TIMING, Default::default());
    let site = common::site::Site::default();
    let subscription = hub.subscribe(&site, PseudonymOf::Event);
    let (events, feed) = tokio::sync::broadcast::channel(9);
    let running = tokio::spawn(Arc::clone(&hub).run(feed, newcomers));
    append(&app, "default", 3).await;
    let stored = app.store.committed_after(&site, Position(0), 9).await.unwrap();
    events.send(News::Committed(stored.clone().into())).unwrap();
    client::until(|| subscription.channel.log().next() == 3).await;
    events.send(News::Gap(site.clone())).unwrap();
    client::until(|| subscription.channel.log().next() == 4).await;
    let read = |from| subscription.channel.log().read(from);
    assert_eq!(read(subscription.start + 3), super::log::Reading::TooLate(4), "also a client that had all until then");
    events.send(News::Committed(stored[..1].into())).unwrap();
    client::until(|| subscription.channel.log().next() == 5).await;
    let super::log::Reading::Next(placed) = read(4) else { panic!("it is there") };
    assert_eq!(placed.iter().map(|placed| placed.position).collect::<Vec<_>>(), [stored[0].position]);
    drop(events);
    hub.stop.cancel();
    running.await.unwrap();
}
