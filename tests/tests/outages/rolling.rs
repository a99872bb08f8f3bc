//! Two instances behind nginx with its defaults, restarted one after the other under load.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::json;
use tests::ledger::{self, Ledger};
use tests::live::{Live, PATH};
use tests::server::Server;
use tests::servers::{WebServer, port};
use tests::wait::until;
use tests::{text, uuid};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::stores::{Stores, pass};

/// How often each instance is restarted.
const ROUNDS: usize = 2;
/// How many send at a time.
const SENDERS: usize = 12;

/// No request fails, no event is lost or counted twice, and a live client that connects again and
/// resumes gets every event once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails() {
    let stores = Stores::start();
    let mut servers = Vec::new();
    for _ in 0..2 {
        let address = format!("127.0.0.1:{}", port::free());
        servers
            .push(stores.home().env("ANALYTICS_ADDR", address).env("ANALYTICS_WS_MAX_PER_ADDRESS", "50").serve().await);
    }
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let nginx = nginx(&addresses);
    let front = SocketAddr::from((Ipv4Addr::LOCALHOST, nginx.port()));
    let (all_sent, sent) = watch::channel(None);
    let (state, mut client_is) = watch::channel(Client::Away);
    let client = tokio::spawn(follow(front, state, sent));
    client_is.wait_for(|state| *state == Client::Connected).await.expect("the client connects");

    let mut ledger = Ledger::new(SENDERS);
    // Without an event to resume after, what comes while the client connects again would be missed.
    let mut first = ledger::event(&[uuid()], ledger.random());
    first["site"] = json!("default");
    let id = servers[0].store(&first).await;
    client_is.wait_for(|state| *state == Client::HasAnEvent).await.expect("the client gets the first event");
    ledger.sent.insert(id, first);
    ledger.answered += 1;
    let sending = ledger.start(&[front]);
    for round in 0..ROUNDS {
        for n in 0..servers.len() {
            pass(500).await;
            let home = servers.remove(n).end().await;
            eprintln!("round {round}: instance {n} has stopped");
            servers.insert(n, home.serve().await);
            // nginx leaves a server out for ten seconds once it has refused a connection, and has
            // no other when that one stops meanwhile.
            until("nginx uses it again", async || match received(&servers[n]).await {
                0.0 => Err("nothing received"),
                _ => Ok(()),
            })
            .await;
        }
    }
    ledger.finish(sending).await;
    eprintln!("{} events acknowledged; statuses {:?}", ledger.answered, ledger.statuses);
    assert!(ledger.statuses.keys().all(|status| matches!(status, 200 | 201)), "{:?}", ledger.statuses);
    assert_eq!(ledger.answered, ledger.sent.len(), "each is acknowledged");
    let of_site = ledger.sent.iter().filter(|(_, event)| event["site"] == "default");
    all_sent.send_replace(Some(of_site.map(|(id, _)| id.clone()).collect()));
    let restarts = client.await.expect("the live client gets every event once");
    eprintln!("the live client connected again {restarts} times");
    assert!(restarts > 0, "its instance was restarted");
    for server in &servers {
        ledger.compare(server).await;
    }
}

/// What the live client has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Away,
    Connected,
    HasAnEvent,
}

/// An nginx before these servers, with nothing set but what makes it a proxy of them and of their live
/// feeds, and that it does not close a connection after its thousandth request, as it does by default.
fn nginx(servers: &[SocketAddr]) -> WebServer {
    let servers: String = servers.iter().map(|server| format!("server {server}; ")).collect();
    let temporary =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| format!("{kind}_temp_path {kind};")).concat();
    let settings = |port: u16| {
        let settings = format!(
            "daemon off; pid nginx.pid; events {{}}\n\
             http {{\naccess_log off; keepalive_requests 1000000; {temporary}\nupstream analytics {{ {servers}}}\n\
             server {{\nlisten 127.0.0.1:{port};\nlocation / {{ proxy_pass http://analytics; }}\n\
             location /ws/ {{\nproxy_pass http://analytics; proxy_http_version 1.1;\n\
             proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;\n}}\n}}\n}}\n"
        );
        vec![("nginx.conf", settings)]
    };
    WebServer::start("nginx", &["-p", ".", "-e", "stderr", "-c", "nginx.conf"], settings)
}

async fn received(server: &Server) -> f64 {
    server.scrape().await.sum("maicivy_ingest_received_total", &[])
}

/// Follows the live feed through whatever instance there is until every event has come; answers how often it
/// was closed.
async fn follow(
    nginx: SocketAddr,
    state: watch::Sender<Client>,
    sent: watch::Receiver<Option<BTreeSet<String>>>,
) -> usize {
    let (mut seen, mut last, mut restarts) = (BTreeSet::new(), None::<String>, 0);
    loop {
        let stream = TcpStream::connect(nginx).await.expect("nginx takes connections");
        // An instance that is about to close its listener refuses it; the next one is asked later.
        let Ok(mut live) = Live::try_open(stream, nginx, PATH, &[]).await else {
            pass(20).await;
            continue;
        };
        if let Some(last) = &last {
            live.resume(last).await;
        }
        let code = loop {
            if sent.borrow().as_ref() == Some(&seen) {
                return restarts;
            }
            let message = match live.next_or_code().await {
                Ok(message) => message,
                Err(code) => break code,
            };
            match text(&message["type"]) {
                "heartbeat" | "initial_stats" if last.is_none() => {
                    state.send_replace(Client::Connected);
                }
                "heartbeat" | "initial_stats" => {}
                "gap" | "error" => panic!("{message}"),
                _ => {
                    let id = text(&message["id"]).to_owned();
                    assert!(seen.insert(id.clone()), "comes again: {message}");
                    last = Some(id);
                    state.send_replace(Client::HasAnEvent);
                }
            }
        };
        assert_eq!(code, Some(1012));
        restarts += 1;
    }
}
