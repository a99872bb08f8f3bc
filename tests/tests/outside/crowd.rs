//! How many may listen, and from where. (The earlier service documented a limit that it did
//! not keep.)

use std::net::Ipv4Addr;

use tests::home::Home;
use tests::http::{Connection, get, upgrade};
use tests::live::{Live, PATH};
use tests::server::Server;
use tests::wait::until;

fn source(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 5, 5, n)
}

async fn listener(server: &Server, source: Ipv4Addr) -> Live {
    let mut live = Live::open(server, PATH, source, &[]).await;
    assert_eq!(live.next().await["type"], "initial_stats");
    live
}

#[tokio::test]
async fn as_many_as_are_allowed() {
    let server = Home::new().env("ANALYTICS_WS_MAX", "3").serve().await;
    let mut listeners = Vec::new();
    for n in 1..=3 {
        listeners.push(listener(&server, source(n)).await);
    }
    let answer = server.send(upgrade(PATH).from(source(4))).await;
    answer.refused_somehow("the fourth listener");
    assert_eq!(answer.status, 503, "before the upgrade");
    assert_eq!(server.scrape().await.sum("maicivy_websocket_connections", &[]) as u64, 3);

    listeners.pop().unwrap().close().await;
    drop(listeners.pop());
    until("places are free again", async || match server.send(upgrade(PATH).from(source(5))).await.status {
        101 => Ok(()),
        other => Err(other),
    })
    .await;
    listeners[0].ping().await;
}

#[tokio::test]
async fn ten_an_address_and_fifty_in_all() {
    let server = Server::new().await;
    let mut listeners = Vec::new();
    for n in 1..=5 {
        for _ in 0..10 {
            listeners.push(listener(&server, source(n)).await);
        }
        if n < 5 {
            let answer = server.send(upgrade(PATH).from(source(n))).await;
            answer.refused_somehow("the eleventh of an address");
            assert_eq!(answer.status, 503);
        }
    }
    let answer = server.send(upgrade(PATH).from(source(6))).await;
    answer.refused_somehow("the 51st of all");
    assert_eq!(answer.status, 503);
    drop(listeners);
    until("no client listens", async || match server.scrape().await.sum("maicivy_websocket_connections", &[]) as i64 {
        0 => Ok(()),
        some => Err(some),
    })
    .await;
}

/// The address is the client's, also behind a proxy.
#[tokio::test]
async fn ten_an_address_behind_a_proxy() {
    let server = Home::new().env("ANALYTICS_TRUSTED_PROXIES", "127.0.0.1").serve().await;
    let mut listeners = Vec::new();
    for n in 0..20 {
        let client = format!("198.18.0.{}", n % 2);
        listeners.push(Live::open(&server, PATH, Ipv4Addr::LOCALHOST, &[("x-forwarded-for", &client)]).await);
    }
    let answer = server.send(upgrade(PATH).header("x-forwarded-for", "198.18.0.1")).await;
    answer.refused_somehow("the eleventh of a client");
    assert_eq!(server.send(upgrade(PATH).header("x-forwarded-for", "198.18.0.2")).await.status, 101);
}

#[tokio::test]
async fn only_from_allowed_origins() {
    let server = Home::new().env("ANALYTICS_ALLOWED_ORIGINS", "https://cv.example,http://localhost:3000").serve().await;
    for origin in ["https://evil.example", "http://cv.example", "https://cv.example.evil.example", "null"] {
        let answer = server.send(upgrade(PATH).header("origin", origin)).await;
        answer.refused_somehow(origin);
        assert!((400..500).contains(&answer.status), "{origin}: {}", answer.status);
    }
    // A name that was made to lead to the server: to the browser it is the page's own.
    let rebound = upgrade(PATH).header("origin", "http://rebound.example").header("sec-fetch-site", "same-origin");
    assert_eq!(server.send(rebound).await.status, 401);
    for origin in ["https://cv.example", "http://localhost:3000"] {
        assert_eq!(server.send(upgrade(PATH).header("origin", origin)).await.status, 101, "{origin}");
    }
}

/// More connections than the limit on open files that it is started with: it raises that.
#[tokio::test]
async fn more_than_the_limit_of_open_files() {
    const CONNECTIONS: u8 = 200;
    let server = Home::new().after("ulimit -S -n 100").serve().await;
    let mut connections = Vec::new();
    for n in 1..=CONNECTIONS {
        connections.push(Connection::open_from(server.address, source(n)).await.unwrap());
    }
    for connection in &mut connections {
        let answer = connection.send(&get("/health/live")).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}
