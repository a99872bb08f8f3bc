//! Redis stopped, paused, restarted empty, flushed, evicting, cut off: every event keeps its 201,
//! answers stay right and say that they are degraded, and all is well again when Redis is.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::ledger::{self, Ledger, SITES};
use tests::proxy::{Line, Proxy};
use tests::server::Server;
use tests::uuid;
use tests::wait::until;

use crate::stores::{Stores, degraded, healed, missing, pass};

const SENDERS: usize = 6;

/// Sends while something happens to Redis and is undone; fails the test unless every event was
/// taken, and everything is right in the end.
struct Outage {
    stores: Stores,
    server: Server,
    ledger: Ledger,
}

impl Outage {
    async fn prepare() -> Self {
        let stores = Stores::start();
        let server = stores.home().serve().await;
        assert_eq!(missing(&server).await, Vec::<serde_json::Value>::new());
        Self { stores, server, ledger: Ledger::new(SENDERS) }
    }

    /// Sends for so long.
    async fn send(&mut self, millis: u64) {
        let sending = self.ledger.start(&[self.server.address]);
        pass(millis).await;
        self.ledger.finish(sending).await;
    }

    /// What answers say while Redis is away.
    async fn answers_are_degraded_and_right(&self) {
        for question in ["/realtime", "/stats", "/themes", "/letters?period=week"] {
            let answer = self.server.ask(question).await;
            assert_eq!(answer["meta"]["degraded"], json!(true), "{question}: {answer}");
        }
        for site in SITES {
            ledger::figures(&self.server, site, &self.ledger.sent).await;
        }
    }

    async fn end(self) {
        let Self { mut ledger, server, stores } = self;
        assert!(ledger.statuses.keys().all(|status| matches!(status, 200 | 201)), "{:?}", ledger.statuses);
        ledger.settle(&server).await;
        healed(&server).await;
        for site in SITES {
            if let Err(wrong) = ledger::differences(&server, site, &ledger.sent).await {
                // Whether it is Redis that is wrong or what was made of it.
                let written = server.written();
                let verify = server.end().await.run(&["verify"]).await;
                panic!("{site}: {wrong}; verify ends with {:?}:\n{}\n{written}", verify.code, verify.output());
            }
        }
        ledger.compare(&server).await;
        assert_eq!(server.ask("/stats").await["meta"]["degraded"], json!(null));
        let scrape = server.scrape().await;
        let (received, outcomes) =
            (scrape.sum("maicivy_ingest_received_total", &[]), scrape.sum("maicivy_ingest_outcomes_total", &[]));
        assert!((received - outcomes).abs() < 0.5, "received {received}, outcomes {outcomes}");
        server.end().await.run(&["verify"]).await.expect_code(0);
        drop(stores);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_and_restarted_empty() {
    let mut outage = Outage::prepare().await;
    outage.send(300).await;
    let sending = outage.ledger.start(&[outage.server.address]);
    pass(100).await;
    outage.stores.redis.kill();
    degraded(&outage.server).await;
    pass(1_000).await;
    outage.ledger.finish(sending).await;
    outage.answers_are_degraded_and_right().await;

    let sending = outage.ledger.start(&[outage.server.address]);
    outage.stores.redis.restart();
    healed(&outage.server).await;
    pass(300).await;
    outage.ledger.finish(sending).await;
    outage.end().await;
}

/// It takes connections and never answers: the worst of all, because waiting seems to make sense.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused() {
    let mut outage = Outage::prepare().await;
    outage.send(1_500).await;
    let before = slow(&outage.ledger, Instant::now() - Duration::from_secs(60));
    outage.stores.redis.pause();
    let sending = outage.ledger.start(&[outage.server.address]);
    degraded(&outage.server).await;
    pass(1_000).await;
    let after_a_while = Instant::now();
    pass(2_000).await;
    outage.ledger.finish(sending).await;
    outage.answers_are_degraded_and_right().await;
    let during = slow(&outage.ledger, after_a_while);
    eprintln!("99 of 100 answers within {before:?} before, {during:?} during");
    // `make bench` measures; this only tells waiting from not waiting.
    assert!(during < Duration::from_millis(200).max(before * 4), "{before:?} before, {during:?} during");

    outage.stores.redis.resume();
    healed(&outage.server).await;
    outage.send(300).await;
    outage.end().await;
}

/// The time that 99 of 100 answers since then took at most.
fn slow(ledger: &Ledger, since: Instant) -> Duration {
    let of_then = ledger.latencies.iter().filter(|(asked, _)| *asked >= since);
    let mut times: Vec<_> = of_then.map(|(_, time)| *time).collect();
    times.sort_unstable();
    assert!(!times.is_empty(), "events were answered");
    times[times.len() * 99 / 100]
}

/// So fast that no connection attempt fails: only its contents tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emptied_while_it_runs() {
    let mut outage = Outage::prepare().await;
    for flush in [&["flushall"][..], &["flushdb", "async"], &["flushall"]] {
        let sending = outage.ledger.start(&[outage.server.address]);
        pass(200).await;
        outage.stores.redis.command(flush);
        pass(300).await;
        outage.ledger.finish(sending).await;
    }
    healed(&outage.server).await;
    outage.end().await;
}

/// Emptied while no events come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emptied_while_nothing_happens() {
    let mut outage = Outage::prepare().await;
    outage.send(300).await;
    outage.stores.redis.command(&["flushall"]);
    for site in SITES {
        ledger::figures(&outage.server, site, &outage.ledger.sent).await;
    }
    outage.stores.redis.kill();
    outage.stores.redis.restart();
    for site in SITES {
        ledger::figures(&outage.server, site, &outage.ledger.sent).await;
    }
    pass(2_500).await;
    healed(&outage.server).await;
    outage.end().await;
}

/// Its memory is full, and it evicts keys: no answer changes, and limits and feed go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evicting() {
    let mut outage = Outage::prepare().await;
    outage.send(500).await;
    let redis = &outage.stores.redis;
    redis.command(&["config", "set", "maxmemory-policy", "allkeys-random"]);
    redis.command(&["config", "set", "maxmemory", "1"]);
    outage.send(1_000).await;
    for site in SITES {
        ledger::figures(&outage.server, site, &outage.ledger.sent).await;
    }
    let redis = &outage.stores.redis;
    redis.command(&["config", "set", "maxmemory", "0"]);
    redis.command(&["config", "set", "maxmemory-policy", "noeviction"]);
    healed(&outage.server).await;
    outage.send(300).await;
    outage.end().await;
}

/// Its memory is full, and it refuses to write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full() {
    let mut outage = Outage::prepare().await;
    outage.send(300).await;
    outage.stores.redis.command(&["config", "set", "maxmemory", "1"]);
    outage.send(1_500).await;
    degraded(&outage.server).await;
    outage.answers_are_degraded_and_right().await;
    outage.stores.redis.command(&["config", "set", "maxmemory", "0"]);
    healed(&outage.server).await;
    outage.send(300).await;
    outage.end().await;
}

/// The network between: cut again and again, slow, silent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_fails() {
    let stores = Stores::start();
    let proxy = Proxy::before(stores.redis.port()).await;
    let server = stores.home_at(stores.postgres.port(), proxy.port).serve().await;
    let mut outage = Outage { stores, server, ledger: Ledger::new(SENDERS) };
    for _ in 0..4 {
        let sending = outage.ledger.start(&[outage.server.address]);
        pass(100).await;
        proxy.set(Line::Cut);
        pass(50).await;
        proxy.set(Line::Open);
        pass(150).await;
        outage.ledger.finish(sending).await;
    }
    proxy.set(Line::Slow(Duration::from_millis(20)));
    outage.send(500).await;
    proxy.set(Line::Stalled);
    let sending = outage.ledger.start(&[outage.server.address]);
    degraded(&outage.server).await;
    pass(500).await;
    outage.ledger.finish(sending).await;
    outage.answers_are_degraded_and_right().await;
    proxy.set(Line::Open);
    healed(&outage.server).await;
    outage.send(200).await;
    outage.end().await;
}

/// It takes its time to answer, though not so long that it counts as away, or nearly so long. Events are
/// acknowledged before it has them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_to_answer() {
    const EVENTS: usize = 40;
    let mut sent = 1;
    let stores = Stores::start();
    let proxy = Proxy::before(stores.redis.port()).await;
    let server = stores.home_at(stores.postgres.port(), proxy.port).serve().await;
    let view = || json!({"event_type": "page_view", "visitor_id": uuid(), "event_id": uuid(), "page_url": "/cv"});
    let projected = || stores.redis.command(&["get", "analytics:{default}:watermark"]);
    let projected = || projected().trim().rsplit_once(':').map_or(0, |(_, position)| position.parse().unwrap());
    server.store(&view()).await;
    until("redis has the first", async || if projected() == 1 { Ok(()) } else { Err(projected()) }).await;

    let mut send = async || {
        let mut before = 0;
        for _ in 0..EVENTS {
            server.store(&view()).await;
            sent += 1;
            before += usize::from(projected() < sent);
        }
        assert!(before > EVENTS / 4, "{before} of {EVENTS} were acknowledged before redis had them");
        sent
    };
    let all = async |sent| {
        until("redis has all", async || if projected() == sent { Ok(()) } else { Err(projected()) }).await;
    };
    proxy.set(Line::Slow(Duration::from_millis(50)));
    all(send().await).await;
    // Now and then it takes too long.
    proxy.set(Line::Slow(Duration::from_millis(120)));
    let sent = send().await;
    proxy.set(Line::Open);
    all(sent).await;
}

/// It is away before the product is: that starts nevertheless.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn away_at_the_start() {
    let mut stores = Stores::start();
    stores.redis.kill();
    let server = stores.home().serve().await;
    let mut outage = Outage { stores, server, ledger: Ledger::new(SENDERS) };
    degraded(&outage.server).await;
    outage.send(500).await;
    outage.answers_are_degraded_and_right().await;
    outage.stores.redis.restart();
    healed(&outage.server).await;
    outage.send(200).await;
    outage.end().await;
}
