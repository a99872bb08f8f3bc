//! Connections: the session's settings are made wherever one is opened.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod};
use deadpool_postgres::{Runtime, Timeouts};
use prometheus::IntCounter;
use tokio::time::timeout_at;
use tokio_postgres::error::{Error, SqlState};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::ENGINE;
use super::address::Address;
use crate::metrics::Metrics;
use crate::metrics::pool::PoolStatus;
use crate::store::{Result, StoreError};

/// How long anything waits for a connection; after this nothing has been changed.
pub(super) const CONNECTION_TIMEOUT: Duration = Duration::from_millis(800);
/// How long opening a connection may take, its TLS and its log-in included.
const OPEN_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a question may take, everything included: a free connection, a new one, a second
/// attempt when the first one's connection was dead.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Durable means: a commit waits for its fsync, whatever the server's default is. Statements
/// that run away, and transactions of a client that froze, are ended by the server.
const SESSION: &str = "set synchronous_commit = on; set statement_timeout = '5s'; set lock_timeout = '5s';
    set idle_in_transaction_session_timeout = '10s'; set timezone = 'UTC'; set client_min_messages = warning;
    set jit = off";
/// Identifies the database: when its server started, which database of the server it is, and which
/// tables it has. After a restore or a failover the answer differs, and after a restart too.
const IDENTITY: &str = "select concat_ws('/', pg_postmaster_start_time(), oid, to_regclass('analytics_sites')::oid)
    from pg_database where datname = current_database()";

/// Which of the server's processes answers.
const BACKEND: &str = "select pg_backend_pid()";
/// How often two connections are asked in turn which process answers.
const BACKEND_ROUNDS: usize = 3;

/// Opens connections, and keeps some of them.
#[derive(Clone)]
pub(super) struct Connections {
    address: Arc<Address>,
    pool: Pool,
    metrics: Arc<Metrics>,
    identity: ServerIdentity,
    /// Whether the last question got no answer from the server.
    away: Arc<AtomicBool>,
    outages: IntCounter,
}

/// Which database was connected to last. Clones share it.
#[derive(Debug, Clone, Default)]
struct ServerIdentity {
    latest: Arc<Mutex<String>>,
    /// The sum of the latest.
    sum: Arc<AtomicU32>,
    epoch: Arc<AtomicU64>,
}

impl ServerIdentity {
    /// Applies the session's settings, and begins another epoch if it is another database than
    /// before.
    async fn begin_session(&self, client: &Client) -> Result<(), Error> {
        let answers = client.simple_query(&format!("{SESSION}; {IDENTITY}")).await?;
        let identity = answers.iter().find_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(identity) = identity.filter(|identity| *identity != *latest) {
            identity.clone_into(&mut latest);
            self.sum.store(crc32fast::hash(latest.as_bytes()), Ordering::Release);
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
        Ok(())
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("pool", &self.pool.status()).finish_non_exhaustive()
    }
}

impl Connections {
    /// Opens no connection yet.
    pub(super) fn new(address: Address, most: usize, metrics: Arc<Metrics>) -> Result<Self> {
        let identity = ServerIdentity::default();
        let pooled = identity.clone();
        let pool = Pool::builder(manager(&address))
            .max_size(most)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(CONNECTION_TIMEOUT),
                create: Some(OPEN_TIMEOUT),
                recycle: Some(CONNECTION_TIMEOUT),
            })
            .post_create(Hook::async_fn(move |client, _| {
                let identity = pooled.clone();
                Box::pin(async move { identity.begin_session(client).await.map_err(HookError::Backend) })
            }))
            .build()
            .map_err(|error| StoreError::Other { engine: ENGINE, source: error.into() })?;
        let watched = pool.clone();
        // A second store with the same metrics shows the first one's pool.
        let _ = metrics.watch_pool(move || {
            let status = watched.status();
            let idle = status.available;
            PoolStatus { in_use: status.size.saturating_sub(idle), idle, waiting: status.waiting }
        });
        let outages = metrics.outages_total.with_label_values(&[ENGINE]);
        Ok(Self { address: Arc::new(address), pool, metrics, identity, away: Arc::default(), outages })
    }

    /// Grows whenever a connection leads to another database than the one before (restart, failover,
    /// restore), before anything is asked on it. What was committed before may be missing then.
    pub(super) fn epoch(&self) -> u64 {
        self.identity.epoch.load(Ordering::Acquire)
    }

    /// A sum over what identifies the database that was connected to last: processes on the same
    /// database have the same.
    pub(super) fn identity(&self) -> u32 {
        self.identity.sum.load(Ordering::Acquire)
    }

    /// A connection outside of the pool, for work that takes long.
    pub(super) async fn own(&self) -> Result<Client> {
        let opening = async {
            let (client, connection) = self.address.config.connect(self.address.tls.clone()).await?;
            // It ends with the client, which also gets its errors.
            tokio::spawn(connection);
            self.identity.begin_session(&client).await?;
            Ok::<_, Error>(client)
        };
        Ok(tokio::time::timeout(OPEN_TIMEOUT, opening).await.map_err(|_| unavailable("it does not answer"))??)
    }

    /// Refuses a pooler that does not keep a session for each connection, such as PgBouncer with
    /// `pool_mode = transaction`: settings, prepared statements and locks would be those of other
    /// sessions. Two connections are asked in turn which process answers: with sessions of their
    /// own, each is always answered by one process, which is not the other's.
    ///
    /// # Errors
    /// When it is such a pooler, or does not answer.
    pub(super) async fn require_sessions(&self, one: &Client) -> Result<()> {
        // Not one of the pool: those must be opened after migrations.
        let other = self.own().await?;
        let mut processes = [None, None];
        for _ in 0..BACKEND_ROUNDS {
            let found = [backend(one).await?, backend(&other).await?];
            for (process, found) in processes.iter_mut().zip(found) {
                if process.replace(found).is_some_and(|before| before != found) {
                    return Err(pooled());
                }
            }
            if found[0] == found[1] {
                return Err(pooled());
            }
        }
        Ok(())
    }

    /// Asks a question on a connection of the pool. A connection that turns out to be dead,
    /// such as one that was dropped while the process was frozen, is replaced once.
    pub(super) async fn ask<T, F>(&self, query_type: &'static str, question: impl Fn(Asked) -> F) -> Result<T>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let started = Instant::now();
        let deadline = started + QUESTION_TIMEOUT;
        let mut answer = self.try_ask(&question, deadline).await;
        if matches!(&answer, Err(Failure::Query(error)) if is_gone(error)) {
            // The cause has most likely ended the idle ones too.
            self.pool.retain(|_, _| false);
            answer = self.try_ask(&question, deadline).await;
        }
        self.metrics.queried(query_type, started.elapsed());
        match &answer {
            // Too many questions at a time say nothing about the server.
            Err(Failure::Pool(PoolError::Timeout(_) | PoolError::Closed)) => {}
            Err(Failure::Query(error)) => self.set_away(is_gone(error)),
            Err(_) => self.set_away(true),
            Ok(_) => self.set_away(false),
        }
        answer.map_err(StoreError::from)
    }

    fn set_away(&self, away: bool) {
        if !self.away.swap(away, Ordering::Relaxed) && away {
            self.outages.inc();
        }
    }

    /// Whether the server answered the last question. A process that runs in the background asks
    /// one every second.
    pub(super) fn is_available(&self) -> bool {
        !self.away.load(Ordering::Relaxed)
    }

    async fn try_ask<T, F>(&self, question: impl Fn(Asked) -> F, deadline: Instant) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Error>>,
    {
        // Waiting for a place counts, opening a connection goes on up to its own limit.
        let opened = deadline.min(Instant::now() + OPEN_TIMEOUT);
        let client = Arc::new(timeout_at(opened.into(), self.pool.get()).await.map_err(|_| Failure::TimedOut)??);
        let asked = timeout_at(deadline.into(), question(Arc::clone(&client))).await;
        let useless = match &asked {
            Ok(answer) => answer.as_ref().is_err_and(is_gone),
            Err(_) => true,
        };
        if useless && let Ok(client) = Arc::try_unwrap(client) {
            // It is dead, or may still be busy with the question.
            drop(deadpool_postgres::Object::take(client));
        }
        Ok(asked.map_err(|_| Failure::TimedOut)??)
    }

    /// No question is answered from now on.
    pub(super) fn close(&self) {
        self.pool.close();
    }
}

/// The process that answers. Not prepared, which such poolers refuse.
async fn backend(client: &Client) -> Result<Option<i32>, Error> {
    let answers = client.simple_query(BACKEND).await?;
    Ok(answers.iter().find_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    }))
}

fn pooled() -> StoreError {
    unavailable(
        "the connection pooler must pool by session (PgBouncer: pool_mode = session): settings of the session, \
         prepared statements and advisory locks are used; see docs/postgres.md",
    )
}

/// A connection while a question is asked on it.
pub(super) type Asked = Arc<deadpool_postgres::Object>;

fn manager(address: &Address) -> Manager {
    let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    Manager::from_config(address.config.clone(), address.tls.clone(), config)
}

enum Failure {
    Pool(PoolError),
    Query(Error),
    TimedOut,
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        Self::Pool(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Query(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Query(error) => error.into(),
            Failure::Pool(PoolError::Backend(error)) => error.into(),
            Failure::Pool(PoolError::PostCreateHook(HookError::Backend(error))) => error.into(),
            Failure::Pool(PoolError::Closed) => closed(),
            Failure::Pool(PoolError::Timeout(_)) => unavailable("no connection is free"),
            Failure::Pool(error) => unavailable(&error.to_string()),
            Failure::TimedOut => unavailable("it does not answer"),
        }
    }
}

/// Whether the connection is of no more use. One to a server that only reads is a standby's, which
/// the address led to during a failover; another one may lead to the primary.
pub(super) fn is_gone(error: &Error) -> bool {
    error.is_closed()
        || error.code().is_none_or(|code| {
            [
                SqlState::ADMIN_SHUTDOWN,
                SqlState::CRASH_SHUTDOWN,
                SqlState::CANNOT_CONNECT_NOW,
                SqlState::READ_ONLY_SQL_TRANSACTION,
            ]
            .contains(code)
        })
}

/// What callers can do about it.
impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let class = error.code().map(|code| code.code().get(..2).unwrap_or_default().to_owned());
        // The message of a database error may quote the row: only its code and short text.
        let reason = match error.as_db_error() {
            Some(error) => format!("{} ({})", error.message(), error.code().code()),
            None => chain(&error),
        };
        match class.as_deref() {
            // A connection that broke; no connection; not now (deadlocks, no resources, no
            // space, timeouts, shutdown); read only.
            None | Some("08" | "40" | "53" | "55" | "57" | "58" | "25") => Self::Unavailable { engine: ENGINE, reason },
            Some(_) => Self::Other { engine: ENGINE, source: reason.into() },
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

pub(super) fn unavailable(reason: &str) -> StoreError {
    StoreError::Unavailable { engine: ENGINE, reason: reason.to_owned() }
}

pub(super) fn closed() -> StoreError {
    unavailable("the store is closed")
}
