//! The two servers, and what the product says of them.

use std::time::Duration;

use serde_json::Value;
use tests::engine::Engine;
use tests::home::Home;
use tests::http::get;
use tests::list;
use tests::server::Server;
use tests::servers::{Durability, Postgres, Redis};
use tests::wait::until;

/// A PostgreSQL and a Redis of a test's own.
pub(crate) struct Stores {
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
}

impl Stores {
    /// Starts both.
    pub(crate) fn start() -> Self {
        Self { postgres: Postgres::start(Durability::Process), redis: Redis::start() }
    }

    /// A home of the product on both.
    pub(crate) fn home(&self) -> Home {
        self.home_at(self.postgres.port(), self.redis.port())
    }

    /// A home of the product on both, reached through other ports.
    pub(crate) fn home_at(&self, postgres: u16, redis: u16) -> Home {
        Home::on(Engine::Sqlite)
            .env("ANALYTICS_STORE", format!("postgres://postgres@127.0.0.1:{postgres}/postgres"))
            .env("ANALYTICS_REDIS", format!("redis://127.0.0.1:{redis}"))
    }
}

/// What a server can do without and misses now.
pub(crate) async fn missing(server: &Server) -> Vec<Value> {
    let answer = server.send(get("/health/ready")).await;
    assert_eq!(answer.status, 200, "degraded is ready, too: {}", answer.text());
    let health = answer.json();
    let missing = list(&health["degraded"]).to_vec();
    assert_eq!(health["status"], if missing.is_empty() { "ok" } else { "degraded" }, "{health}");
    missing
}

/// Waits until the server says that it misses Redis.
pub(crate) async fn degraded(server: &Server) {
    until("it notices", async || match &*missing(server).await {
        [Value::String(name)] if name == "redis" => Ok(()),
        others => Err(format!("{others:?}")),
    })
    .await;
}

/// Waits until the server misses nothing, by itself.
pub(crate) async fn healed(server: &Server) {
    until("it heals", async || match &*missing(server).await {
        [] => Ok(()),
        others => Err(format!("{others:?}")),
    })
    .await;
}

/// Lets time pass with whatever is under way.
pub(crate) async fn pass(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
