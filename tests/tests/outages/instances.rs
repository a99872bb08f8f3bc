//! Three instances on the same PostgreSQL and Redis: each gives the same answers.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Value, json};
use tests::access_log::{AccessLog, Line as LogLine};
use tests::clock::{away_from_midnight, days_ago};
use tests::home::Home;
use tests::http::post;
use tests::ledger::{self, Ledger, SITES};
use tests::live::{Live, PATH};
use tests::server::Server;
use tests::servers::{Durability, Postgres};
use tests::wait::until;
use tests::{BROWSER, list, number, text, uuid};

use crate::stores::{Stores, degraded, healed, missing, pass};

async fn three(home: &Home) -> [Server; 3] {
    [home.serve().await, home.serve().await, home.serve().await]
}

fn view() -> Value {
    json!({"event_type": "page_view", "visitor_id": uuid(), "event_id": uuid(), "page_url": "/cv"})
}

/// Events sent to each; clients on each hear every event once, in the same order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_feed() {
    let stores = Stores::start();
    let servers = three(&stores.home()).await;
    let mut clients = Vec::new();
    for server in &servers {
        clients.push(Live::connect(server).await);
        clients.push(Live::connect(server).await);
    }
    let mut sent = BTreeSet::new();
    for n in 0..60 {
        let events: Vec<_> = (0..1 + n % 4 * 20).map(|_| view()).collect();
        let server = &servers[n % 3];
        if let [event] = &*events {
            server.store(event).await;
            // The same once more, elsewhere: a duplicate there too, and no news.
            assert_eq!(servers[(n + 1) % 3].event(event).await.status, 200);
        } else {
            server.store_all(&events).await;
        }
        sent.extend(events.iter().map(|event| text(&event["event_id"]).to_owned()));
    }
    let mut orders = Vec::new();
    for client in &mut clients {
        orders.push(client.ids(sent.len()).await);
    }
    for order in &orders {
        assert_eq!(order.iter().cloned().collect::<BTreeSet<_>>(), sent);
        assert!(*order == orders[0], "all hear the same order");
    }
    for client in &mut clients {
        client.send(&json!({"type": "ping"})).await;
        let pong = client.next_but_heartbeat().await;
        assert_eq!(pong["type"], "pong", "and nothing more: {pong}");
    }
}

/// While events arrive on all of them, a client comes back again and again, each time on another one: it gets
/// what one that stays gets, in the same order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_feed_wherever_it_is_resumed() {
    const EACH: usize = 100;
    let stores = Stores::start();
    let servers = three(&stores.home()).await;
    let total = 1 + EACH * servers.len();
    let mut stays = Live::connect(&servers[0]).await;
    let first = servers[0].store(&view()).await;
    let send = async |server: &Server| {
        for _ in 0..EACH {
            server.store(&view()).await;
        }
    };
    let come_and_go = async {
        let mut ids = vec![first];
        for server in servers.iter().cycle() {
            let path = format!("{PATH}?after={}", ids[ids.len() - 1]);
            let mut live = Live::connect_to(server, &path).await;
            ids.extend(live.ids((total - ids.len()).min(7)).await);
            if ids.len() == total {
                break;
            }
        }
        ids
    };
    let [one, two, three] = &servers;
    let ((), (), (), ids) = tokio::join!(send(one), send(two), send(three), come_and_go);
    assert_eq!(stays.ids(total).await, ids);
}

/// The feed goes on while Redis is away, through PostgreSQL, and no event is delivered twice when it is
/// back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_feed_without_redis() {
    let mut stores = Stores::start();
    let servers = three(&stores.home()).await;
    let mut clients = Vec::new();
    for server in &servers {
        clients.push(Live::connect(server).await);
    }
    let mut sent = BTreeSet::new();
    for phase in 0..3 {
        for n in 0..30 {
            sent.insert(servers[n % 3].store(&view()).await);
            if (phase, n) == (1, 0) {
                stores.redis.kill();
            }
            if (phase, n) == (2, 0) {
                stores.redis.restart();
            }
            pass(10).await;
        }
    }
    for client in &mut clients {
        assert_eq!(client.ids(sent.len()).await.into_iter().collect::<BTreeSet<_>>(), sent);
    }
    for server in &servers {
        healed(server).await;
    }
    for (client, server) in clients.iter_mut().zip(&servers) {
        let last = server.store(&view()).await;
        sent.insert(last.clone());
        assert!(client.next_event().await["id"].is_string());
    }
}

/// What any of them says is what all of them say, at once for one's own and soon for others'.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_set_of_figures() {
    away_from_midnight().await;
    let stores = Stores::start();
    let servers = three(&stores.home()).await;
    for n in 0..30 {
        servers[n % 3].store(&view()).await;
        let own = number(&servers[n % 3].data("/stats").await["total_events"]);
        assert!(own > n as u64 / 3, "one's own are there at once: {own} at {n}");
    }
    for server in &servers {
        until("it knows of all", async || {
            let now = server.data("/realtime").await;
            let figures = ["current_visitors", "total_events"].map(|name| number(&now[name]));
            if figures == [30, 30] { Ok(()) } else { Err(now) }
        })
        .await;
        assert_eq!(list(&server.data("/timeline").await).len(), 30);
    }
}

/// One bucket an address, whichever instance is asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_rate_limit() {
    let mut stores = Stores::start();
    let servers = three(&stores.home().env("ANALYTICS_RATE_LIMIT", "9")).await;
    let from = |source: Ipv4Addr| post("/event", &view()).from(source);
    let mut statuses = Vec::new();
    for n in 0..12 {
        statuses.push(servers[n % 3].send(from([127, 0, 0, 5].into())).await.status);
    }
    assert_eq!(statuses, [[201; 9].as_slice(), &[429; 3]].concat());
    for server in &servers {
        assert_eq!(server.send(from([127, 0, 0, 5].into())).await.status, 429);
    }
    assert_eq!(servers[2].send(from([127, 0, 0, 6].into())).await.status, 201, "another address");

    // Without Redis each judges by itself: limited still.
    stores.redis.kill();
    degraded(&servers[0]).await;
    let mut taken = 0;
    while servers[0].send(from([127, 0, 0, 7].into())).await.status == 201 {
        taken += 1;
        assert!(taken < 100, "there is a limit");
    }
    assert!((9..=12).contains(&taken), "{taken}");
}

/// A visitor without an id is the same one on all instances, and so is the pseudonym of an event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_visitor() {
    away_from_midnight().await;
    let stores = Stores::start();
    let servers = three(&stores.home()).await;
    let view = post("/event", &json!({"event_type": "page_view"})).header("user-agent", BROWSER);
    for server in &servers {
        let answer = server.send(view.clone()).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    let mut shown = BTreeSet::new();
    for server in &servers {
        until("it knows of all", async || match list(&server.data("/timeline").await).len() {
            3 => Ok(()),
            other => Err(other),
        })
        .await;
        let events = server.data("/timeline").await;
        shown.extend(list(&events).iter().map(|event| text(&event["visitor_id"]).to_owned()));
        assert_eq!(number(&server.data("/realtime").await["current_visitors"]), 1);
        assert_eq!(number(&server.data("/stats").await["unique_visitors"]), 1);
    }
    assert_eq!(shown.len(), 3, "one an event: {shown:?}");
}

/// One of them cleans up, once, however many there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_cleanup() {
    const OLD: usize = 40;
    let stores = Stores::start();
    let home = stores.home();
    let mut log = AccessLog::default();
    for n in 0..OLD {
        let request = format!("GET /page-{n} HTTP/1.1");
        log.combined(days_ago(20), LogLine { request: &request, ..LogLine::default() });
    }
    log.combined(days_ago(1), LogLine::default());
    let path = home.write("access.log", log.text());
    home.run(&["import", &path]).await.expect_code(0);

    // A run that never succeeded is made up for 10 s after the start, by all three at once.
    let home = home.env("ANALYTICS_RETENTION_DAYS", "5");
    let (first, second, third) = tokio::join!(home.serve(), home.serve(), home.serve());
    let servers = [first, second, third];
    let deleted = async || {
        let mut deleted = Vec::new();
        for server in &servers {
            deleted.push(server.scrape().await.sum("maicivy_cleanup_deleted_events_total", &[]) as usize);
        }
        deleted
    };
    until("one has cleaned up", async || match deleted().await {
        counts if counts.iter().sum::<usize>() > 0 => Ok(()),
        counts => Err(format!("{counts:?}")),
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut counts = deleted().await;
    counts.sort_unstable();
    assert_eq!(counts, [0, 0, OLD], "one did it all");
    for server in &servers {
        until("it knows of it", async || match list(&server.data("/timeline").await).len() {
            1 => Ok(()),
            other => Err(other),
        })
        .await;
    }
}

/// Instances come and go under load; what they leave behind, the others finish.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_come_and_go() {
    let stores = Stores::start();
    let home = stores.home();
    let mut servers = Vec::from(three(&home).await);
    let mut ledger = Ledger::new(9);
    for _ in 0..4 {
        let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
        let sending = ledger.start(&addresses);
        let millis = ledger.random().millis(100, 500);
        tokio::time::sleep(millis).await;
        servers.remove(0).kill().await;
        pass(100).await;
        ledger.finish(sending).await;
        servers.push(home.serve().await);
    }
    ledger.settle(&servers[0]).await;
    for server in &servers {
        healed(server).await;
    }
    // What another instance committed just before it was killed reaches the rest with the watch
    // over all sites.
    for server in &servers {
        for site in SITES {
            until("all figures are right", async || ledger::differences(server, site, &ledger.sent).await).await;
        }
        ledger.compare(server).await;
    }
    drop(servers);
    home.run(&["verify"]).await.expect_code(0);
}

/// An instance of another store is configured with the Redis of two: it finds that out, says so and does
/// without. Those two go on, also when one of them ends; only after the last has it Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_store_on_their_redis() {
    let stores = Stores::start();
    let home = stores.home();
    let [first, second] = [home.serve().await, home.serve().await];
    let rebuilt = async |server: &Server| server.scrape().await.sum("maicivy_redis_rebuilds_total", &[]) as u64;
    let watermark = || stores.redis.command(&["get", "analytics:{default}:watermark"]);
    let projected = async |events: usize| {
        let is_there = |mark: String| if mark.trim().ends_with(&format!(":{events}")) { Ok(()) } else { Err(mark) };
        until("redis has all", async || is_there(watermark())).await;
    };
    for server in [&first, &second] {
        server.store(&view()).await;
    }
    projected(2).await;
    let before = [rebuilt(&first).await, rebuilt(&second).await];

    let postgres = Postgres::start(Durability::Process);
    let elsewhere = stores.home_at(postgres.port(), stores.redis.port());
    let other = elsewhere.serve().await;
    degraded(&other).await;
    assert!(other.written().contains("another store keeps its figures there"), "{}", other.written());
    for server in [&first, &second, &other].repeat(5) {
        server.store(&view()).await;
    }
    projected(12).await;
    assert_eq!([rebuilt(&first).await, rebuilt(&second).await], before, "no figure was taken for damage");
    assert_eq!(number(&other.data("/stats").await["total_events"]), 5);

    first.end().await;
    // What one gives up, the other one claims anew.
    let claim = || stores.redis.command(&["pttl", "analytics:owner"]).trim().parse::<u64>().unwrap_or(0);
    until("it is claimed", async || if claim() > 20_000 { Ok(()) } else { Err(claim()) }).await;
    degraded(&other).await;
    assert_eq!(missing(&second).await, Vec::<Value>::new());
    second.store(&view()).await;
    projected(13).await;

    second.end().await;
    healed(&other).await;
    other.store(&view()).await;
    projected(6).await;
    other.end().await.run(&["verify"]).await.expect_code(0);
}
