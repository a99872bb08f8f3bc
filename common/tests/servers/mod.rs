//! Databases of their own for tests, on servers that are there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the output of the tests shows what was skipped")]
#![allow(dead_code, reason = "each of the test binaries uses some of it")]

pub(crate) mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::metrics::Metrics;
use common::store::postgres::{Options, Postgres};

/// As a process, however busy the machine is: what is slow is not away.
pub(crate) const PATIENT: Options =
    Options { append_within: Duration::from_secs(30), limit_within: Duration::from_secs(5), ..Options::PROCESS };

/// A fresh PostgreSQL database and a Redis database with nothing in it.
#[derive(Debug)]
pub(crate) struct Databases {
    /// The URL of the PostgreSQL database.
    pub(crate) postgres: String,
    /// The URL of the Redis database.
    pub(crate) redis: String,
    /// The server, and the database's name.
    server: String,
    name: String,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Databases {
    /// `None`, and a line that says so, when no servers are named; in CI that is a failure.
    pub(crate) async fn fresh() -> Option<Self> {
        let server = variable("ANALYTICS_TEST_POSTGRES");
        let cache = variable("ANALYTICS_TEST_REDIS");
        let (Some(server), Some(cache)) = (server, cache) else {
            assert!(variable("CI").is_none(), "ANALYTICS_TEST_POSTGRES and ANALYTICS_TEST_REDIS must be set in CI");
            println!("skipped: ANALYTICS_TEST_POSTGRES and ANALYTICS_TEST_REDIS name no servers");
            return None;
        };
        let name = format!("analytics_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        sql(&server, &format!("drop database if exists {name} with (force)")).await;
        sql(&server, &format!("create database {name}")).await;
        let (base, query) = server.split_once('?').map_or((&*server, String::new()), |(a, b)| (a, format!("?{b}")));
        let (server_only, _) = base.rsplit_once('/').unwrap();
        let postgres = format!("{server_only}/{name}{query}");
        // Numbers are given by the server, so that test processes do not meet.
        let mut zero = redis(&cache).await;
        let number: u32 = ::redis::cmd("INCR").arg("analytics-tests").query_async(&mut zero).await.unwrap();
        let redis_url = format!("{}/{}", cache.trim_end_matches('/'), 1 + number % 9_999);
        let () = ::redis::cmd("FLUSHDB").query_async(&mut redis(&redis_url).await).await.unwrap();
        Some(Self { postgres, redis: redis_url, server, name })
    }

    /// Opens the engine on both.
    pub(crate) async fn open(&self, options: Options) -> Postgres {
        self.open_at(&self.postgres, &self.redis, options).await
    }

    /// Opens the engine on these addresses.
    pub(crate) async fn open_at(&self, postgres: &str, redis: &str, options: Options) -> Postgres {
        let metrics = Arc::new(Metrics::new().unwrap());
        Postgres::open(postgres, redis, options, metrics).await.unwrap()
    }

    /// Makes a copy of the PostgreSQL database, which must have no connections; returns its name.
    pub(crate) async fn copy(&self) -> String {
        let copy = format!("{}_copy", self.name);
        sql(&self.server, &format!("drop database if exists {copy} with (force)")).await;
        // A connection that was closed is listed for a moment longer.
        self.cut_postgres().await;
        sql(&self.server, &format!("create database {copy} template {}", self.name)).await;
        copy
    }

    /// Puts a copy in the database's place and ends the connections to that.
    pub(crate) async fn restore(&self, copy: &str) {
        sql(&self.server, &format!("drop database {} with (force)", self.name)).await;
        sql(&self.server, &format!("create database {} template {copy}", self.name)).await;
        sql(&self.server, &format!("drop database {copy} with (force)")).await;
    }

    /// Makes sessions that begin from now on read only, or not any more.
    pub(crate) async fn set_read_only(&self, read_only: bool) {
        let setting = format!("alter database {} set default_transaction_read_only = {read_only}", self.name);
        sql(&self.server, &setting).await;
    }

    /// Empties Redis, or cuts the engine's connections to Redis, to PostgreSQL, or to both.
    pub(crate) async fn disturb(&self, way: u8) {
        match way % 4 {
            0 => self.flush().await,
            1 => self.cut_redis().await,
            2 => self.cut_postgres().await,
            _ => tokio::join!(self.cut_redis(), self.cut_postgres()).0,
        }
    }

    async fn flush(&self) {
        let () = ::redis::cmd("FLUSHDB").query_async(&mut redis(&self.redis).await).await.unwrap();
    }

    async fn cut_redis(&self) {
        let mut connection = redis(&self.redis).await;
        let clients: String = ::redis::cmd("CLIENT").arg("LIST").query_async(&mut connection).await.unwrap();
        let own: u64 = ::redis::cmd("CLIENT").arg("ID").query_async(&mut connection).await.unwrap();
        let (_, number) = self.redis.rsplit_once('/').unwrap();
        let database = format!("db={number}");
        for client in clients.lines().filter(|line| line.split(' ').any(|field| field == database)) {
            let id: u64 = client.split(' ').find_map(|field| field.strip_prefix("id=")).unwrap().parse().unwrap();
            if id != own {
                // One that is gone already is as good.
                let _: ::redis::RedisResult<i64> =
                    ::redis::cmd("CLIENT").arg("KILL").arg("ID").arg(id).query_async(&mut connection).await;
            }
        }
    }

    async fn cut_postgres(&self) {
        let cut = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}'", self.name);
        sql(&self.server, &cut).await;
    }
}

impl Drop for Databases {
    fn drop(&mut self) {
        let (server, drop) = (self.server.clone(), format!("drop database if exists {} with (force)", self.name));
        // On a runtime of its own: the test's may be this very thread's.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(sql(&server, &drop));
        });
        if dropping.join().is_err() {
            println!("{} was not dropped", self.name);
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "where test servers are is no configuration of the product")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Runs statements on a connection of their own.
pub(crate) async fn sql(url: &str, statements: &str) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(statements).await.unwrap();
}

/// A connection to a Redis database.
pub(crate) async fn redis(url: &str) -> ::redis::aio::MultiplexedConnection {
    ::redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}
