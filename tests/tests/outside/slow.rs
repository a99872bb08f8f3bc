//! Clients that never read, in a feed that others read. (In the earlier service one dead
//! client could stall the broadcast.)

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::live::{Live, PATH};
use tests::server::Server;
use tests::{text, uuid};
use tokio::net::TcpSocket;

const BATCHES: usize = 20;
const BATCH: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_disturbs_no_others() {
    let server = Server::new().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(server.address).await.unwrap();
    let mut asleep = Live::open_on(stream, &server, PATH, &[]).await;
    let mut awake = Live::open(&server, PATH, Ipv4Addr::new(127, 0, 0, 2), &[]).await;

    let reader = tokio::spawn(async move {
        let ids = awake.ids(BATCHES * BATCH).await;
        awake.ping().await;
        ids
    });
    let padding = "x".repeat(7_000);
    let mut slowest = Duration::ZERO;
    for _ in 0..BATCHES {
        let event = || json!({"event_type": "scroll", "visitor_id": uuid(), "event_data": {"padding": padding}});
        let started = Instant::now();
        server.store_all(&(0..BATCH).map(|_| event()).collect::<Vec<_>>()).await;
        slowest = slowest.max(started.elapsed());
    }
    reader.await.unwrap();
    assert!(slowest < Duration::from_secs(5), "senders do not wait for it: {slowest:?}");

    // It wakes up: told of the gap, caught up, or closed.
    let (mut events, mut told) = (0, false);
    while let Some(message) = asleep.next_within(Duration::from_secs(7)).await {
        match text(&message["type"]) {
            "gap" => told = true,
            "scroll" => events += 1,
            _ => {}
        }
        if told || events == BATCHES * BATCH {
            return;
        }
    }
    server.store(&json!({"event_type": "scroll", "visitor_id": uuid()})).await;
    let after = asleep.next_within(Duration::from_secs(1)).await;
    assert_eq!(after, None, "neither told, nor caught up ({events} events), nor closed");
}

/// Each of them holds a page of what it missed and no more, as many as may connect.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_resume_and_never_read_take_little_memory() {
    const CLIENTS: u8 = 50;
    const MISSED: usize = 10;
    let server = Server::new().await;
    let padding = "x".repeat(7_500);
    let event = || json!({"event_type": "scroll", "visitor_id": uuid(), "event_data": {"padding": padding}});
    let first = server.store(&event()).await;
    for _ in 0..MISSED {
        server.store_all(&(0..BATCH).map(|_| event()).collect::<Vec<_>>()).await;
    }
    let before = server.peak_memory();
    let path = format!("{PATH}?after={first}");
    let mut asleep = Vec::new();
    for number in 0..CLIENTS {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.bind((Ipv4Addr::new(127, 5, 6, 1 + number / 10), 0).into()).unwrap();
        let stream = socket.connect(server.address).await.unwrap();
        let mut live = Live::open_on(stream, &server, &path, &[]).await;
        // The first page has been read for it.
        live.next_event().await;
        asleep.push(live);
    }
    let taken = server.peak_memory() - before;
    let all = MISSED * BATCH * padding.len() * usize::from(CLIENTS);
    assert!(taken < all as u64 / 3, "{taken} bytes, of {all} that they missed");
}
