//! What clients may not do.

use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Error;

use super::client::Client;
use super::{TIMING, served};
use crate::testing::append;

#[tokio::test]
async fn what_cannot_be_understood_is_answered_and_the_connection_stays() {
    let (app, _files, server) = served(&[], TIMING).await;
    let mut client = Client::connect(&server).await;
    client.until("initial_stats").await;
    client.say("hello").await;
    assert!(client.next().await["error"].as_str().unwrap().contains("refresh_stats"));
    client.say_bytes(vec![1, 2, 3]).await;
    assert_eq!(client.next().await["type"], "error");
    let id = append(&app, "default", 1).await;
    assert_eq!(client.ids(1).await, id);
    server.stop().await;
}

#[tokio::test]
async fn a_message_that_is_too_large_closes_with_1009() {
    let (_app, _files, server) = served(&[], TIMING).await;
    let mut client = Client::connect(&server).await;
    client.say(&" ".repeat(4_096)).await;
    client.until("error").await;
    client.say(&" ".repeat(4_097)).await;
    assert_eq!(client.close_code().await, 1009);
    let mut client = Client::connect(&server).await;
    client.say(&" ".repeat(1_000_000)).await;
    assert_eq!(client.close_code().await, 1009);
    server.stop().await;
}

#[tokio::test]
async fn who_says_too_much_is_told_and_then_closed_with_1008() {
    let (_app, _files, server) = served(&[], TIMING).await;
    let mut client = Client::connect(&server).await;
    client.until("initial_stats").await;
    for _ in 0..7 {
        client.say(r#"{"type":"ping"}"#).await;
    }
    for expected in ["pong", "pong", "pong", "pong", "pong", "error", "error"] {
        assert_eq!(client.next().await["type"], expected);
    }
    for _ in 0..30 {
        client.say(r#"{"type":"ping"}"#).await;
    }
    assert_eq!(client.close_code().await, 1008);
    server.stop().await;
}

/// The earlier service documented 50 connections and did not enforce them.
#[tokio::test]
async fn connections_are_limited_in_all_and_by_address() {
    let vars =
        [("ANALYTICS_WS_MAX", "3"), ("ANALYTICS_WS_MAX_PER_ADDRESS", "2"), ("ANALYTICS_TRUSTED_PROXIES", "127.0.0.1")];
    let (app, _files, server) = served(&vars, TIMING).await;
    let from =
        async |address: &str| Client::connect_to(&server, "/ws/analytics", &[("x-forwarded-for", address)]).await;
    let first = from("192.0.2.1").await;
    let second = from("192.0.2.1").await;
    assert!(first.is_ok() && second.is_ok());
    let refused = from("192.0.2.1").await.err().unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    let third = from("192.0.2.2").await;
    assert!(third.is_ok());
    assert_eq!(from("192.0.2.3").await.err().unwrap().status(), 503);
    assert_eq!(app.metrics.websocket_rejected_total.get(), 2);
    assert_eq!(app.metrics.websocket_connections.get(), 3);
    drop(first);
    super::client::until(|| app.metrics.websocket_connections.get() == 2).await;
    assert!(from("192.0.2.3").await.is_ok());
    server.stop().await;
}

/// Not that there are too many: that would be looked for in the wrong place.
#[tokio::test]
async fn a_server_that_is_stopping_says_so() {
    let (_app, _files, server) = served(&[("ANALYTICS_SHUTDOWN_DELAY", "2")], TIMING).await;
    let url = format!("ws://{}/ws/analytics", server.address);
    let stopping = server.begin_to_stop();
    let refused = loop {
        // The first ones may be there before it stops.
        if let Err(Error::Http(refused)) = connect_async(&url).await {
            break refused;
        }
    };
    assert_eq!(refused.status(), 503);
    let text = String::from_utf8(refused.into_body().unwrap()).unwrap();
    assert!(text.contains("stopping"), "{text}");
    stopping.await.unwrap().unwrap();
}

#[tokio::test]
async fn origins_are_checked() {
    let (_app, _files, server) = served(&[("ANALYTICS_ALLOWED_ORIGINS", "https://cv.example.com")], TIMING).await;
    let own = format!("http://{}", server.address);
    let from = async |origin: &str| Client::connect_to(&server, "/ws/analytics", &[("origin", origin)]).await;
    assert!(from("https://cv.example.com").await.is_ok());
    assert!(from(&own).await.is_ok(), "the dashboard's own");
    for other in ["https://evil.example", "https://cv.example.com.evil.example", "null", "http://cv.example.com"] {
        assert_eq!(from(other).await.err().unwrap().status(), 401, "{other}");
    }
    assert!(Client::connect_to(&server, "/ws/analytics", &[]).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn a_site_that_is_none_is_refused_before_the_upgrade() {
    let (_app, _files, server) = served(&[("ANALYTICS_SITES", "a,b")], TIMING).await;
    assert!(Client::connect_to(&server, "/ws/analytics?site=a", &[]).await.is_ok());
    for none in ["?site=c", "?site=A%20B", ""] {
        let refused = Client::connect_to(&server, &format!("/ws/analytics{none}"), &[]).await;
        assert_eq!(refused.err().unwrap().status(), 400, "{none}");
    }
    server.stop().await;
}
