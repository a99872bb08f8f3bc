//! The product on a PostgreSQL that waits for the disk, and a Redis, both of this run's own.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::engine::psql;
use tests::servers::{Durability, Postgres, Redis};

use crate::connection::Connection;
use crate::process::{self, Process};
use crate::request;

/// How long Redis may take to be right again.
const PATIENCE: Duration = Duration::from_secs(120);

/// Both servers.
pub(crate) struct Stores {
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
}

/// What PostgreSQL takes on the disk.
pub(crate) struct Disk {
    /// Bytes of the events themselves.
    pub(crate) events: f64,
    /// Bytes of what finds them: indexes, and ids with theirs.
    pub(crate) indexes: f64,
    /// Bytes of counters, clicks and the rest.
    pub(crate) aggregates: f64,
}

impl Stores {
    /// Starts both.
    pub(crate) fn start() -> Self {
        Self { postgres: Postgres::start(Durability::Disk), redis: Redis::start() }
    }

    /// The environment of the product on both.
    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        [("ANALYTICS_STORE", self.postgres.url("postgres")), ("ANALYTICS_REDIS", self.redis.url())]
    }

    /// Starts the product on both.
    ///
    /// # Errors
    /// When it does not become ready.
    pub(crate) async fn server(&self, executable: &Path, home: &Path) -> Result<Process> {
        self.server_with(executable, home, &[]).await
    }

    /// The same, with more of an environment.
    ///
    /// # Errors
    /// When it does not become ready.
    pub(crate) async fn server_with(&self, executable: &Path, home: &Path, more: &[(&str, &str)]) -> Result<Process> {
        let variables = self.variables();
        let both = variables.iter().map(|(name, value)| (*name, &**value));
        let variables: Vec<_> = both.chain(more.iter().copied()).collect();
        Process::server(executable, home, &variables).await
    }

    /// Runs a sub-command of the product on both, to its end.
    ///
    /// # Errors
    /// When it fails; its output is in the message.
    pub(crate) fn run(&self, executable: &Path, home: &Path, arguments: &[&str]) -> Result<()> {
        let variables = self.variables();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, &**value)).collect();
        process::run(executable, home, arguments, &variables)
    }

    /// What PostgreSQL takes, after it has tidied up.
    ///
    /// # Errors
    /// When it says something else than sizes.
    pub(crate) fn disk(&self) -> Result<Disk> {
        let url = self.postgres.url("postgres");
        psql(&url, "vacuum analyze");
        // Partitions are named after their table.
        let answer = psql(
            &url,
            "select coalesce(sum(pg_table_size(oid)) filter (where relname like 'analytics_events%'), 0), \
                    coalesce(sum(pg_indexes_size(oid)) filter (where relname like 'analytics_events%'), 0) \
                    + coalesce(sum(pg_total_relation_size(oid)) filter (where relname like 'analytics_event_ids%'), 0), \
                    coalesce(sum(pg_total_relation_size(oid)) filter (where relname not like 'analytics_event%'), 0) \
             from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace",
        );
        let sizes: Vec<f64> = answer.split('|').map(str::parse).collect::<Result<_, _>>()?;
        let [events, indexes, aggregates] = sizes[..] else { anyhow::bail!("not three sizes: {answer}") };
        Ok(Disk { events, indexes, aggregates })
    }

    /// Bytes that Redis takes for all its keys.
    ///
    /// # Errors
    /// When it says something else than numbers.
    pub(crate) fn redis_bytes(&self) -> Result<u64> {
        let sum = "local bytes = 0 \
                   for _, key in ipairs(redis.call('keys', 'analytics:*')) do \
                       bytes = bytes + redis.call('memory', 'usage', key, 'samples', 0) \
                   end \
                   return bytes";
        let answer = self.redis.command(&["eval", sum, "0"]);
        answer.parse().with_context(|| format!("no number of bytes: {answer}"))
    }
}

/// Waits until the product misses nothing; answers how long that took.
///
/// # Errors
/// When it goes on missing something.
pub(crate) async fn healed(server: &Process) -> Result<Duration> {
    let began = Instant::now();
    loop {
        let mut connection = Connection::open(server.addr, 300).await?;
        let answer = connection.exchange(&request::get("/health/ready")).await?;
        let health: Value = serde_json::from_slice(answer.body)?;
        if health["degraded"].as_array().is_some_and(Vec::is_empty) {
            return Ok(began.elapsed());
        }
        ensure!(began.elapsed() < PATIENCE, "Redis is not right again: {health}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
