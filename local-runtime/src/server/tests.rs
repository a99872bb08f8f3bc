use std::time::Instant;

use common::source::System;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::live::Timing;
use crate::testing::{Server, app_with, append};

const EVENT: &str = r#"{"event_type":"page_view","visitor_id":"3f2504e0-4f89-41d3-9a0c-0305e82c3301"}"#;

fn head(length: usize) -> String {
    format!("POST /api/v1/analytics/event HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n")
}

async fn answer(stream: &mut TcpStream) -> String {
    let mut answer = vec![0; 16 * 1024];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn what_is_in_flight_is_answered_and_the_store_closed() {
    let (app, _files) = app_with(&[], Arc::new(System)).await;
    let server = Server::start(&app, Timing::default()).await;
    let address = server.address;
    let mut busy = TcpStream::connect(address).await.unwrap();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(answer(&mut idle).await.starts_with("HTTP/1.1 200"));
    busy.write_all(head(EVENT.len()).as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;

    let stopping = server.begin_to_stop();
    assert_eq!(idle.read(&mut [0; 16]).await.unwrap(), 0, "idle connections are closed at once");
    tokio::time::timeout(Duration::from_secs(5), async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("no other client is let in");
    assert!(!stopping.is_finished());
    busy.write_all(EVENT.as_bytes()).await.unwrap();
    let last = answer(&mut busy).await;
    assert!(last.starts_with("HTTP/1.1 201"), "{last}");
    stopping.await.unwrap().unwrap();
    assert!(app.store.check().await.is_err(), "closed");
}

#[tokio::test]
async fn a_connection_that_is_new_is_served_once() {
    let (app, _files) = app_with(&[], Arc::new(System)).await;
    let server = Server::start(&app, Timing::default()).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    let stopping = server.begin_to_stop();
    let request = format!("{}{EVENT}", head(EVENT.len()));
    for stream in &mut silent {
        stream.write_all(request.as_bytes()).await.unwrap();
    }
    for stream in &mut silent {
        let answer = answer(stream).await;
        assert!(answer.starts_with("HTTP/1.1 201") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
    stopping.await.unwrap().unwrap();
}

#[tokio::test]
async fn it_serves_until_the_delay_is_over() {
    let (app, _files) = app_with(&[("ANALYTICS_SHUTDOWN_DELAY", "1")], Arc::new(System)).await;
    let server = Server::start(&app, Timing::default()).await;
    let address = server.address;
    let mut kept = TcpStream::connect(address).await.unwrap();
    let health = b"GET /health/ready HTTP/1.1\r\nhost: x\r\n\r\n";
    kept.write_all(health).await.unwrap();
    let before = answer(&mut kept).await;
    assert!(before.starts_with("HTTP/1.1 200") && !before.contains("connection: close"), "{before}");
    let stopping = server.begin_to_stop();
    for mut stream in [kept, TcpStream::connect(address).await.unwrap()] {
        stream.write_all(health).await.unwrap();
        let last = answer(&mut stream).await;
        assert!(last.starts_with("HTTP/1.1 503") && last.contains("\r\nconnection: close\r\n"), "{last}");
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0, "the server closes it");
    }
    stopping.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_takes_too_long_is_cut_off() {
    let (app, _files) = app_with(&[("ANALYTICS_SHUTDOWN_SECONDS", "1")], Arc::new(System)).await;
    let server = Server::start(&app, Timing::default()).await;
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    busy.write_all(head(1_000).as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let started = Instant::now();
    server.begin_to_stop().await.unwrap().unwrap();
    assert!((Duration::from_millis(900)..Duration::from_secs(3)).contains(&started.elapsed()));
    assert_eq!(busy.read(&mut [0; 16]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn live_clients_are_sent_away() {
    let (app, _files) = app_with(&[], Arc::new(System)).await;
    let server = Server::start(&app, Timing::default()).await;
    let mut client = crate::live::tests::client::Client::connect(&server).await;
    client.until("initial_stats").await;
    let stopping = server.begin_to_stop();
    assert_eq!(client.close_code().await, 1012);
    stopping.await.unwrap().unwrap();
}

#[tokio::test]
async fn heads_may_not_be_large() {
    let (app, _files) = app_with(&[], Arc::new(System)).await;
    append(&app, "default", 1).await;
    let server = Server::start(&app, Timing::default()).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    let junk = format!("GET / HTTP/1.1\r\nhost: x\r\njunk: {}\r\n\r\n", "x".repeat(300_000));
    // The server need not have read all of it to have seen enough.
    let _ = client.write_all(junk.as_bytes()).await;
    let refused = answer(&mut client).await;
    assert!(refused.starts_with("HTTP/1.1 431"), "{refused}");
    server.stop().await;
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_an_error() {
    let (app, _files) = app_with(&[], Arc::new(System)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options { static_dir: Some("/nowhere/at/all".into()) };
    let result = run(app, listener, options, std::future::pending()).await;
    assert_eq!(result.unwrap_err().to_string(), "/nowhere/at/all is no folder");
}

/// 32 large bodies that stalled took the room of all senders once.
#[tokio::test]
async fn stalled_bodies_of_one_client_leave_room_for_others() {
    let (app, _files) = app_with(&[("ANALYTICS_TRUSTED_PROXIES", "127.0.0.1")], Arc::new(System)).await;
    let server = Server::start(&app, Timing::default()).await;
    let send = async |client: u8, path: &str, body: &str, length: usize| {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!(
            "POST /api/v1/analytics/{path} HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 192.0.2.{client}\r\n\
             content-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        stream
    };
    let (large, mut refused) = ("x".repeat(900_000), 0);
    let mut stalled = Vec::new();
    for _ in 0..40 {
        let mut stream = send(1, "events", &large, 1_000_000).await;
        let mut first = [0; 12];
        let answered = tokio::time::timeout(Duration::from_millis(20), stream.read_exact(&mut first)).await;
        refused += usize::from(answered.is_ok_and(|read| read.is_ok() && first.ends_with(b"503")));
        stalled.push(stream);
    }
    assert!(refused >= 30, "{refused} were refused");
    let batch = format!("[{EVENT},{}{EVENT}]", " ".repeat(200_000));
    let mut other = send(2, "events", &batch, batch.len()).await;
    let answered = answer(&mut other).await;
    assert!(answered.starts_with("HTTP/1.1 200"), "{answered}");
    let mut small = send(1, "event", EVENT, EVENT.len()).await;
    let answered = answer(&mut small).await;
    assert!(answered.starts_with("HTTP/1.1 201"), "a small one needs no room: {answered}");
    drop(stalled);
    server.stop().await;
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_a_proxy_more() {
    let (app, _files) = app_with(&[], Arc::new(System)).await;
    let admission = Arc::new(Admission::new(MOST_OF_ADDRESS + 2, MOST_OF_ADDRESS, app.metrics.connections.clone()));
    let door = Door { app: &app, admission, keys: AddressKeys::default() };
    let peer = |text: &str| text.parse::<SocketAddr>().unwrap();
    let places: Vec<_> = (0..MOST_OF_ADDRESS).map(|_| door.admit(peer("192.0.2.1:9"))).collect();
    assert!(places.iter().all(Option::is_some));
    assert!(door.admit(peer("192.0.2.1:10")).is_none());
    let others = (door.admit(peer("192.0.2.2:1")), door.admit(peer("10.0.0.1:1")));
    assert!(others.0.is_some() && others.1.is_some());
    assert!(door.admit(peer("10.0.0.1:2")).is_none(), "all places are taken");
    assert_eq!(app.metrics.connections_refused_total.get(), 2);
    drop((places, others));
    assert_eq!(app.metrics.connections.get(), 0);
}
