//! SIGTERM: requests that have begun are answered, new ones are not accepted, and the exit code is 0.

use serde_json::json;
use tests::http::{Connection, post};
use tests::live::Live;
use tests::server::Server;
use tests::wait::until;
use tests::{number, uuid};

#[tokio::test]
async fn requests_under_way_are_answered() {
    let mut server = Server::new().await;
    let request = post("/event", &json!({"event_type": "scroll", "visitor_id": uuid(), "event_id": uuid()}));
    let body = request.body.clone().unwrap();
    let (first, second) = body.split_at(body.len() / 2);

    // Once it asks for the body, the server is at work on the request.
    let mut under_way = Vec::new();
    for _ in 0..3 {
        let mut connection = server.connect().await.unwrap();
        connection.write(request.clone().header("expect", "100-continue").head()).await.unwrap();
        assert_eq!(connection.read().await.unwrap().status, 100);
        connection.write(first).await.unwrap();
        under_way.push(connection);
    }
    let mut live = Live::connect(&server).await;
    server.ask_to_end().await;
    until("new connections are refused", async || match server.connect().await {
        Ok(_) => Err("taken"),
        Err(_) => Ok(()),
    })
    .await;
    let mut outcomes = Vec::new();
    for connection in &mut under_way {
        connection.write(second).await.unwrap();
        outcomes.push(connection.read().await.unwrap().status);
    }
    outcomes.sort_unstable();
    assert_eq!(outcomes, [200, 200, 201], "the three sent one event");
    while live.next_within(tests::wait::PATIENCE).await.is_some() {}
    assert_eq!(server.ended().await, Some(0), "{}", server.written());

    let server = server.home.serve().await;
    assert_eq!(number(&server.data("/realtime").await["total_events"]), 1);
}

/// Idle connections, half requests and silent live clients do not keep it from ending.
#[tokio::test]
async fn no_client_can_keep_it_from_ending() {
    let mut server = Server::new().await;
    let mut idle = server.connect().await.unwrap();
    idle.send(&tests::http::get("/health")).await.unwrap();
    let mut half = server.connect().await.unwrap();
    half.write("POST /api/v1/analytics/event HTTP/1.1\r\nhost: localhost\r\ncontent-le").await.unwrap();
    let _silent = Live::connect(&server).await;
    server.ask_to_end().await;
    assert_eq!(server.ended().await, Some(0), "{}", server.written());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_under_load_holds() {
    let mut server = Server::new().await;
    let senders: Vec<_> = (0..8)
        .map(|_| {
            let address = server.address;
            tokio::spawn(async move {
                let mut stored = 0;
                let Ok(mut connection) = Connection::open(address).await else { return stored };
                loop {
                    let event = json!({"event_type": "scroll", "visitor_id": uuid(), "site": "load"});
                    match connection.send(&post("/event", &event)).await {
                        Ok(answer) if answer.status == 201 => stored += 1,
                        Ok(answer) => panic!("{} {}", answer.status, answer.text()),
                        Err(_) => return stored,
                    }
                }
            })
        })
        .collect();
    until("some are stored", async || match number(&server.data("/stats?site=load").await["total_events"]) {
        0..50 => Err("few"),
        _ => Ok(()),
    })
    .await;
    server.ask_to_end().await;
    assert_eq!(server.ended().await, Some(0), "{}", server.written());
    let mut stored = 0;
    for sender in senders {
        stored += sender.await.unwrap();
    }
    let server = server.home.serve().await;
    let found = number(&server.data("/stats?site=load").await["total_events"]);
    assert!((stored..=stored + 8).contains(&found), "answered {stored}, found {found}");
    server.kill().await.run(&["verify"]).await.expect_code(0);
}
