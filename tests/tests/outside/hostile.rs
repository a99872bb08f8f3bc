//! What a hostile client may try: nothing of it is our failure, and nothing of it lasts.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tests::answer::Answer;
use tests::home::Home;
use tests::http::{Connection, get, post, request};
use tests::server::Server;
use tests::{API, uuid};

/// A connection of its own that has sent the beginning of a batch.
async fn begun(server: &Server, client: u8, bytes: usize) -> Connection {
    let source = Ipv4Addr::new(127, 9, 9, client);
    let mut connection = Connection::open_from(server.address, source).await.unwrap();
    let head = format!("POST {API}/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n");
    connection.write(head).await.unwrap();
    // The answer may come, and the connection end, before all is written.
    let _ = connection.write(" ".repeat(bytes)).await;
    connection
}

#[tokio::test]
async fn a_body_that_never_ends() {
    let server = Server::new().await;
    let mut connection = begun(&server, 1, 1).await;
    let started = Instant::now();
    let error = connection.read().await.unwrap().refused("a slow body", 400, "INVALID_JSON");
    assert!(error.contains("seconds"), "{error}");
    assert!(started.elapsed() > Duration::from_secs(2), "slow networks have some time");
}

/// A hundred clients that never finish their batches leave room for those who do.
#[tokio::test]
async fn many_bodies_that_never_end() {
    let server = Server::new().await;
    let mut connections = Vec::new();
    for client in 0..100 {
        connections.push(begun(&server, client, 999_999).await);
    }
    let (mut too_slow, mut no_room) = (0, 0);
    for mut connection in connections {
        match connection.read().await {
            Ok(answer) if answer.status == 400 => too_slow += 1,
            Ok(answer) => {
                answer.refused("no room", 503, "UNAVAILABLE");
                assert!(answer.header("retry-after").is_some(), "{:?}", answer.headers);
                no_room += 1;
            }
            // The end of the connection may overtake the answer while the client still writes.
            Err(_) => no_room += 1,
        }
    }
    assert!(no_room > 0 && too_slow > 0, "{too_slow} were kept, {no_room} were not");
    server.store(&serde_json::json!({"event_type": "scroll", "visitor_id": uuid()})).await;
}

#[tokio::test]
async fn names_that_no_file_can_have() {
    let home = Home::new();
    home.write("site/index.html", "<!doctype html>");
    let server = home.serve_with(&["serve", "--static-dir", "site"]).await;
    for path in [format!("/{}", "x".repeat(5_000)), "/a".repeat(10_000), "/%00".to_owned(), "/index.html/x".to_owned()]
    {
        let what: String = path.chars().take(40).collect();
        server.send(get(path)).await.refused(&what, 404, "NOT_FOUND");
    }
}

/// What is no HTTP at all is refused in the same shape as everything else.
#[tokio::test]
async fn no_http() {
    let server = Server::new().await;
    let long = "x".repeat(300_000);
    for (what, bytes, statuses) in [
        ("garbage", "\0garbage\r\n\r\n".to_owned(), [400, 400]),
        ("a version of its own", "GET / HTTP/9.9\r\n\r\n".to_owned(), [400, 400]),
        ("a space in a name", "GET / HTTP/1.1\r\nhost : x\r\n\r\n".to_owned(), [400, 400]),
        ("two lengths", "POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n".to_owned(), [400, 400]),
        ("a large header", format!("GET / HTTP/1.1\r\na: {long}\r\n\r\n"), [431, 431]),
        ("many headers", format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200)), [431, 431]),
        ("a long path", format!("GET /{long} HTTP/1.1\r\n\r\n"), [414, 431]),
    ] {
        let mut connection = server.connect().await.unwrap();
        let _ = connection.write(bytes).await;
        let answer: Answer = connection.read().await.unwrap();
        assert!(statuses.contains(&answer.status), "{what}: {}", answer.status);
        answer.refused_somehow(what);
    }
}

/// Requests sent without waiting for answers are answered in their order.
#[tokio::test]
async fn many_requests_at_once() {
    let server = Server::new().await;
    let mut connection = server.connect().await.unwrap();
    let event = post("/event", &serde_json::json!({"event_type": "scroll", "visitor_id": uuid()}));
    let body = String::from_utf8(event.body.clone().unwrap()).unwrap();
    let both = event.head() + &body + &request("GET", format!("{API}/realtime")).head();
    connection.write(both.repeat(100)).await.unwrap();
    for n in 1..=100 {
        assert_eq!(connection.read().await.unwrap().status, 201);
        let answer = connection.read().await.unwrap();
        assert_eq!(answer.json()["data"]["total_events"], n);
    }
}
