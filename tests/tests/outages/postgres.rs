//! PostgreSQL stopped, killed, silent: a fast 503 that says when to come again, and nothing lost.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::engine::psql;
use tests::http::{get, post};
use tests::ledger::Ledger;
use tests::proxy::{Line, Proxy};
use tests::server::Server;
use tests::wait::until;
use tests::{API, uuid};

use crate::stores::{Stores, healed, pass};

/// "Within a second", and what a machine that runs other tests at the same time adds to it.
const SOON: Duration = Duration::from_millis(2_500);

/// A question waits for its answer longer than an event does.
const LATER: Duration = Duration::from_secs(8);

/// Fails the test unless everything that needs the store is refused in the one shape: events
/// soon, questions within `questions`.
async fn is_refused(server: &Server, questions: Duration) {
    let event = || json!({"event_type": "page_view", "visitor_id": uuid()});
    let requests = [
        post("/event", &event()),
        post("/events", &json!([event(), event()])),
        get(format!("{API}/timeline")),
        get(format!("{API}/heatmap")),
        get("/health/ready"),
    ];
    is_not_ready(server).await;
    for request in requests {
        let what = format!("{} {}", request.method, request.path);
        let asked = Instant::now();
        let answer = server.send(request).await;
        let took = asked.elapsed();
        answer.refused(&what, 503, "UNAVAILABLE");
        let after = answer.header("retry-after").and_then(|after| after.parse::<u64>().ok());
        assert!(after.is_some_and(|seconds| (1..=60).contains(&seconds)), "{what}: {:?}", answer.headers);
        let patience = if what.contains("timeline") || what.contains("heatmap") { questions } else { SOON };
        assert!(took < patience, "{what}: refused after {took:?}");
    }
    for path in ["/health", "/health/live", "/metrics"] {
        assert_eq!(server.send(get(path)).await.status, 200, "{path}: the process itself is well");
    }
}

/// Waits, since an answer of the second before may still hold.
async fn is_not_ready(server: &Server) {
    until("it is not ready", async || match server.send(get("/health/ready")).await {
        answer if answer.status == 200 => Err(answer.text()),
        answer => {
            answer.refused("not ready", 503, "UNAVAILABLE");
            Ok(())
        }
    })
    .await;
}

async fn is_back(server: &Server) {
    until("it is back", async || match server.send(get("/health/ready")).await {
        answer if answer.status == 200 => Ok(()),
        answer => Err(answer.text()),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped() {
    let mut stores = Stores::start();
    let server = stores.home().serve().await;
    let mut ledger = Ledger::new(4);
    let sending = ledger.start(&[server.address]);
    pass(300).await;
    stores.postgres.stop();
    pass(300).await;
    is_refused(&server, SOON).await;
    stores.postgres.restart();
    is_back(&server).await;
    pass(300).await;
    ledger.finish(sending).await;
    let known = |status: &u16| matches!(status, 200 | 201 | 503);
    assert!(ledger.statuses.keys().all(known), "{:?}", ledger.statuses);
    assert!(ledger.statuses.contains_key(&503), "{:?}", ledger.statuses);
    ledger.settle(&server).await;
    healed(&server).await;
    ledger.compare(&server).await;
    server.end().await.run(&["verify"]).await.expect_code(0);
}

/// What Redis can still answer does not hide that PostgreSQL is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_say_that_it_is_away() {
    let mut stores = Stores::start();
    let server = stores.home().serve().await;
    server.store(&json!({"event_type": "page_view", "visitor_id": uuid()})).await;
    healed(&server).await;
    stores.postgres.stop();
    until("answers are refused or degraded", async || match server.send(get(format!("{API}/stats"))).await {
        answer if answer.status == 503 || answer.json()["meta"]["degraded"] == true => Ok(()),
        answer => Err(answer.text()),
    })
    .await;
    until("health is degraded", async || {
        let health = server.send(get("/health")).await.json();
        let missing = health["degraded"].as_array().is_some_and(|missing| missing.contains(&json!("postgres")));
        if missing && health["status"] == "degraded" { Ok(()) } else { Err(health.to_string()) }
    })
    .await;
    is_not_ready(&server).await;
    stores.postgres.restart();
    is_back(&server).await;
    healed(&server).await;
    let stats = server.ask("/stats").await;
    assert!(stats["meta"]["degraded"].is_null(), "{stats}");
}

/// It takes no writes, though every question is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_only_is_not_ready() {
    let stores = Stores::start();
    let server = stores.home().serve().await;
    let url = stores.postgres.url("postgres");
    psql(&url, "alter system set default_transaction_read_only = on");
    psql(&url, "select pg_reload_conf()");
    until("it is not ready", async || match server.send(get("/health/ready")).await {
        answer if answer.status == 503 => Ok(()),
        answer => Err(answer.text()),
    })
    .await;
    psql(&url, "alter system reset default_transaction_read_only");
    psql(&url, "select pg_reload_conf()");
    is_back(&server).await;
    server.store(&json!({"event_type": "page_view", "visitor_id": uuid()})).await;
}

/// Connections stay and say nothing: only the product's own patience ends the wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent() {
    let stores = Stores::start();
    let proxy = Proxy::before(stores.postgres.port()).await;
    let server = stores.home_at(proxy.port, stores.redis.port()).serve().await;
    let mut ledger = Ledger::new(4);
    let sending = ledger.start(&[server.address]);
    pass(300).await;
    proxy.set(Line::Stalled);
    // At once: also while what was under way when the line went silent is still waited for.
    is_refused(&server, LATER).await;
    proxy.set(Line::Open);
    is_back(&server).await;
    pass(300).await;
    ledger.finish(sending).await;
    ledger.settle(&server).await;
    healed(&server).await;
    ledger.compare(&server).await;
    server.end().await.run(&["verify"]).await.expect_code(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments() {
    let mut stores = Stores::start();
    let server = stores.home().serve().await;
    let mut ledger = Ledger::new(8);
    let sending = ledger.start(&[server.address]);
    for _ in 0..4 {
        let millis = ledger.random().millis(50, 700);
        tokio::time::sleep(millis).await;
        stores.postgres.kill();
        stores.postgres.restart();
        is_back(&server).await;
    }
    ledger.finish(sending).await;
    ledger.settle(&server).await;
    healed(&server).await;
    ledger.compare(&server).await;
    server.end().await.run(&["verify"]).await.expect_code(0);
}

/// A store that is not there at the start is a failed run that says so.
#[tokio::test]
async fn away_at_the_start() {
    let mut stores = Stores::start();
    let home = stores.home();
    stores.postgres.kill();
    let finished = home.run(&["serve"]).await.expect_code(1);
    assert!(!finished.output().contains("panicked"), "{}", finished.output());
    assert!(finished.stderr.contains("postgres"), "{}", finished.output());
}

/// A password is in no output, whatever goes wrong.
#[tokio::test]
async fn passwords_stay_secret() {
    let mut stores = Stores::start();
    let home = stores.home();
    let [postgres, redis] = [stores.postgres.port(), stores.redis.port()];
    let home = home
        .env("ANALYTICS_STORE", format!("postgres://postgres:hush-1@127.0.0.1:{postgres}/postgres"))
        .env("ANALYTICS_REDIS", format!("redis://:hush-2@127.0.0.1:{redis}"));
    // Redis has no password and refuses one.
    let server = home.serve().await;
    server.store(&json!({"event_type": "page_view", "visitor_id": uuid()})).await;
    stores.postgres.stop();
    server.event(&json!({"event_type": "page_view", "visitor_id": uuid()})).await.refused(
        "no store",
        503,
        "UNAVAILABLE",
    );
    let metrics = server.scrape().await.text;
    assert!(!server.written().contains("hush-") && !metrics.contains("hush-"), "{}", server.written());
    let home = server.kill().await;
    let output = home.run(&["serve"]).await.expect_code(1).output();
    assert!(!output.contains("hush-"), "{output}");
}
