//! An answer means durable, and an event counts once, whatever dies when.

use std::collections::BTreeMap;

use tests::http::Connection;
use tests::ledger::{self, Ledger, SITES, deliver};
use tests::random::Random;
use tests::server::Server;
use tests::{text, uuid};

const ROUNDS: u64 = 5;
const SENDERS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments() {
    let mut ledger = Ledger::new(SENDERS);
    let mut server = Server::new().await;
    for _ in 0..ROUNDS {
        let sending = ledger.start(&[server.address]);
        tokio::time::sleep(ledger.random().millis(50, 700)).await;
        let home = server.kill().await;
        ledger.finish(sending).await;
        server = home.serve().await;
    }
    assert!(ledger.answered > 0, "the servers lived long enough to answer something");
    ledger.settle(&server).await;
    ledger.compare(&server).await;

    let home = server.kill().await;
    home.run(&["verify"]).await.expect_code(0);
    home.run(&["rebuild"]).await.expect_code(0);
    home.run(&["verify"]).await.expect_code(0);
    let server = home.serve().await;
    for site in SITES {
        ledger::figures(&server, site, &ledger.sent).await;
    }
}

/// The same events once more, all at once and from many senders, change nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_retries() {
    let server = Server::new().await;
    let mut random = Random::seeded();
    let visitors = [uuid(), uuid(), uuid()];
    let events: Vec<_> = (0..100).map(|_| ledger::event(&visitors, &mut random)).collect();
    let senders: Vec<_> = (0..8)
        .map(|n| {
            let (address, events) = (server.address, events.clone());
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await.unwrap();
                for events in events.chunks(1 + 7 * (n % 4)) {
                    assert!(matches!(deliver(&mut connection, events).await, 200 | 201));
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    let sent: BTreeMap<_, _> = events.into_iter().map(|event| (text(&event["event_id"]).to_owned(), event)).collect();
    for site in SITES {
        ledger::figures(&server, site, &sent).await;
    }
    let scrape = server.scrape().await;
    assert_eq!(scrape.sum("maicivy_ingest_outcomes_total", &[("outcome", "stored")]) as u64, 100);
    assert_eq!(scrape.sum("maicivy_ingest_outcomes_total", &[("outcome", "duplicate")]) as u64, 700);
    server.kill().await.run(&["verify"]).await.expect_code(0);
}
