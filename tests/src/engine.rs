//! Which engine the product runs on, and a fresh store of it.
//!
//! `ANALYTICS_TEST_ENGINE` chooses for a whole run: `sqlite` (the default), `postgres` or
//! `dynamodb`. `make test` runs everything once on each, beside servers that `with-servers`
//! starts.

use std::path::Path;
use std::process::Command;

use crate::binary::variable;
use crate::server::Server;
use crate::servers::{Redis, program, run};

/// A storage engine of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Embedded, in a file.
    Sqlite,
    /// PostgreSQL and Redis.
    Postgres,
    /// DynamoDB.
    DynamoDb,
}

impl Engine {
    /// The engine of this run.
    ///
    /// # Panics
    /// When the variable names none.
    #[must_use]
    pub fn chosen() -> Self {
        match variable("ANALYTICS_TEST_ENGINE").as_deref() {
            None | Some("sqlite") => Self::Sqlite,
            Some("postgres") => Self::Postgres,
            Some("dynamodb") => Self::DynamoDb,
            Some(other) => panic!("ANALYTICS_TEST_ENGINE is {other}, neither sqlite, postgres nor dynamodb"),
        }
    }

    /// The engine that a server runs on.
    ///
    /// # Panics
    /// When its store is none of the known ones.
    #[must_use]
    pub fn of(server: &Server) -> Self {
        let store = server.home.variable("ANALYTICS_STORE").unwrap_or_default();
        match store.split_once(':') {
            Some(("sqlite", _)) => Self::Sqlite,
            Some(("postgres" | "postgresql", _)) => Self::Postgres,
            Some(("dynamodb", _)) => Self::DynamoDb,
            _ => panic!("no engine has such a store: {store}"),
        }
    }

    /// How far a number of distinct visitors may be off: four times the error of a
    /// `HyperLogLog` on the engine that keeps one, nothing on the others. A handful of visitors
    /// is always exact.
    #[must_use]
    pub fn slack(self, visitors: u64) -> u64 {
        match self {
            Self::Postgres if visitors >= 10 => (visitors as f64 * 4.0 * 0.0081).ceil() as u64,
            _ => 0,
        }
    }
}

/// A store of one test's own; dropping it deletes what it holds.
#[derive(Debug)]
pub struct Fresh {
    engine: Engine,
    database: String,
    redis: String,
    table: String,
}

impl Fresh {
    /// One of this engine; an embedded one lies in `folder`.
    ///
    /// # Panics
    /// When the engine's server is not there: a run that names an engine means it.
    #[must_use]
    pub fn new(engine: Engine, folder: &Path) -> Self {
        let mut fresh = Self { engine, database: String::new(), redis: String::new(), table: String::new() };
        match engine {
            Engine::Sqlite => fresh.database = folder.join("analytics.db").display().to_string(),
            Engine::Postgres => {
                let name = format!("test_{}", uuid::Uuid::new_v4().simple());
                psql(&server("POSTGRES"), &format!("create database {name}"));
                fresh.database = with_database(&server("POSTGRES"), &name);
                fresh.redis = fresh_redis();
            }
            Engine::DynamoDb => fresh.table = format!("test-{}", uuid::Uuid::new_v4().simple()),
        }
        fresh
    }

    /// The environment in which the product runs on it.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        match self.engine {
            Engine::Sqlite => vec![("ANALYTICS_STORE", format!("sqlite:{}", self.database))],
            Engine::Postgres => {
                vec![("ANALYTICS_STORE", self.database.clone()), ("ANALYTICS_REDIS", self.redis.clone())]
            }
            Engine::DynamoDb => {
                let store = format!("dynamodb:{}?endpoint={}&region=eu-west-3", self.table, server("DYNAMODB"));
                // The emulator wants some, whichever.
                vec![
                    ("ANALYTICS_STORE", store),
                    ("AWS_ACCESS_KEY_ID", "test".to_owned()),
                    ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
                ]
            }
        }
    }

    /// Everything that servers hold of it, a name and bytes each. (What lies in a folder of the
    /// test, the test can read itself.)
    #[must_use]
    pub fn held(&self) -> Vec<(String, Vec<u8>)> {
        if self.engine != Engine::Postgres {
            return Vec::new();
        }
        let mut dump = Command::new(program("pg_dump"));
        let text = run(dump.arg("--dbname").arg(&self.database)).expect("a database can be dumped");
        let mut held = vec![("PostgreSQL".to_owned(), text.into_bytes())];
        for key in redis(&self.redis, &["--scan"]).lines() {
            let mut client = Command::new(program("redis-cli"));
            let value = client.args(["-u", &self.redis, "--raw", "dump", key]).output().expect("redis-cli runs");
            held.push((format!("Redis, {key}"), [key.as_bytes(), b"\n", &value.stdout].concat()));
        }
        held
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if self.engine == Engine::Postgres {
            let name = self.database.rsplit('/').next().unwrap_or_default();
            psql(&server("POSTGRES"), &format!("drop database if exists {name} with (force)"));
            redis(&self.redis, &["flushdb"]);
        }
    }
}

/// Where the server of an engine is.
#[track_caller]
fn server(name: &str) -> String {
    let variable = variable(&format!("ANALYTICS_TEST_{name}"));
    variable.unwrap_or_else(|| panic!("ANALYTICS_TEST_{name} is not set; run the tests by `make test`"))
}

/// The address of another database on the same PostgreSQL server.
fn with_database(url: &str, name: &str) -> String {
    let (url, _) = url.split_once('?').unwrap_or((url, ""));
    let (server, _) = url.rsplit_once('/').expect("an address with a database");
    format!("{server}/{name}")
}

/// Runs SQL by `psql`; answers the rows, fields separated by `|`.
///
/// # Panics
/// When it fails.
pub fn psql(url: &str, sql: &str) -> String {
    let mut client = Command::new(program("psql"));
    client.args(["--no-psqlrc", "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]);
    run(&mut client).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Sends a command by `redis-cli`; answers what it said.
///
/// # Panics
/// When it fails.
pub fn redis(url: &str, arguments: &[&str]) -> String {
    let mut client = Command::new(program("redis-cli"));
    client.args(["-u", url, "-e"]).args(arguments);
    run(&mut client).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

/// A database that was not given out before, to these tests or to others on the same server: that
/// counts in its database 0.
fn fresh_redis() -> String {
    let url = server("REDIS");
    let count: u32 = redis(&url, &["incr", "analytics-tests"]).parse().expect("a number");
    let fresh = format!("{}/{}", url.trim_end_matches('/'), 1 + count % (Redis::DATABASES - 1));
    redis(&fresh, &["flushdb"]);
    fresh
}
