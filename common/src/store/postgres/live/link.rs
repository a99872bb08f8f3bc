//! The way to Redis: one multiplexed connection, a timeout on everything, the breaker.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, RedisError, Value};
use tokio::sync::Notify;
use uuid::Uuid;

use super::address;
use super::breaker::Breaker;
use super::keys::OWNER;
use super::script::{Scripts, call};
use crate::metrics::Metrics;
use crate::store::postgres::ENGINE;
use crate::store::{Result, StoreError};

/// How long a command may take. The first one that takes longer opens the breaker.
pub(super) const COMMAND_TIMEOUT: Duration = Duration::from_millis(250);
/// How long one step of a rebuild may take.
pub(super) const REBUILD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long connecting may take, with everything that is sent on a new connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// For how long a claim holds that is not renewed, in milliseconds. Instances renew it twice a second.
const CLAIM: u64 = 30_000;
/// For how long it holds after an instance has closed, in milliseconds: others of the same store renew it.
const RELEASED: u64 = 5_000;
/// Why a Redis that answers is not used.
const CLAIMED: &str =
    "another store keeps its figures there; give each store a redis, or a database of one, of its own";

/// Redis does not answer, or not as it should; what was asked may or may not have been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Away;

impl From<Away> for StoreError {
    fn from(_: Away) -> Self {
        Self::Unavailable { engine: ENGINE, reason: "redis does not answer".to_owned() }
    }
}

/// Sends commands to Redis; never waits long.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) scripts: Scripts,
    client: Client,
    /// The store's id.
    store: String,
    state: Mutex<State>,
    metrics: Arc<Metrics>,
    /// Notified when the breaker has opened or closed, or another look is due.
    pub(super) attention: Notify,
}

struct State {
    breaker: Breaker,
    connection: Option<MultiplexedConnection>,
    /// Which connection it is: what an older one does is of no more interest.
    generation: u64,
    /// Why the breaker opened, for the log.
    reason: String,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("breaker", &self.breaker).finish_non_exhaustive()
    }
}

impl Link {
    /// Opens no connection yet: the breaker is open, and a probe is due.
    ///
    /// # Errors
    /// When the address is none.
    pub(super) fn new(url: &str, store: &str, metrics: Arc<Metrics>) -> Result<Self> {
        // `rediss://` needs a default implementation; there may be one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = address::client(url)?;
        metrics.redis_breaker_open.set(1);
        metrics.outages_total.with_label_values(&["redis"]);
        let breaker = Breaker::Open { probe_at: Instant::now() };
        Ok(Self {
            scripts: Scripts::new(),
            client,
            store: store.to_owned(),
            state: Mutex::new(State { breaker, connection: None, generation: 0, reason: String::new() }),
            metrics,
            attention: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where to subscribe.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn is_open(&self) -> bool {
        self.state().breaker.is_open()
    }

    /// The number of the connection, from 1 on, which is another one each time that Redis was
    /// found; `None` while it is away.
    pub(super) fn generation(&self) -> Option<u64> {
        let state = self.state();
        (!state.breaker.is_open()).then_some(state.generation)
    }

    /// Sends commands in one go and answers each one's answer, in order; errors of single
    /// commands are [`Value::ServerError`].
    pub(super) async fn ask(&self, operation: &'static str, commands: &Pipeline) -> Result<Vec<Value>, Away> {
        self.ask_within(COMMAND_TIMEOUT, operation, commands).await
    }

    /// As [`Self::ask`], with a timeout of its own.
    pub(super) async fn ask_within(
        &self,
        within: Duration,
        operation: &'static str,
        commands: &Pipeline,
    ) -> Result<Vec<Value>, Away> {
        let started = Instant::now();
        // A script that is not known yet, or no more, is loaded, and everything sent once
        // again: what did run has an effect only once.
        for last in [false, true] {
            let (mut connection, generation) = self.connection()?;
            let asked = tokio::time::timeout(within, connection.req_packed_commands(commands, 0, commands.len()));
            let answers = match asked.await {
                Ok(Ok(answers)) => answers,
                Ok(Err(error)) => return Err(self.fail(generation, &reason(&error))),
                Err(_) => return Err(self.fail(generation, "no answer in time")),
            };
            if let Some(refusal) = answers.iter().find_map(refusal) {
                return Err(self.fail(generation, &refusal));
            }
            if last || !answers.iter().any(|answer| code(answer) == Some("NOSCRIPT")) {
                let took = started.elapsed().as_secs_f64();
                self.metrics.redis_operation_duration_seconds.with_label_values(&[operation]).observe(took);
                return Ok(answers);
            }
            if let Err(error) =
                tokio::time::timeout(COMMAND_TIMEOUT, self.load(&mut connection)).await.unwrap_or(Ok(()))
            {
                return Err(self.fail(generation, &reason(&error)));
            }
        }
        Err(Away)
    }

    /// One command's answer.
    pub(super) async fn ask_one(&self, operation: &'static str, command: Cmd) -> Result<Value, Away> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.add_command(command);
        Ok(self.ask(operation, &pipeline).await?.pop().unwrap_or_default())
    }

    /// Keeps this Redis for this store, or gives it up when it is another one's.
    pub(super) async fn renew_claim(&self) -> Result<(), Away> {
        let Some(generation) = self.generation() else { return Err(Away) };
        match self.ask_one("look", self.claim(CLAIM)).await? {
            Value::BulkString(owner) if owner != self.store.as_bytes() => Err(self.fail(generation, CLAIMED)),
            _ => Ok(()),
        }
    }

    /// Lets another store have this Redis soon, unless other instances of this one renew the claim.
    pub(super) async fn release_claim(&self) {
        let _ = self.ask_one("look", self.claim(RELEASED)).await;
    }

    fn claim(&self, millis: u64) -> Cmd {
        let mut claim = call(&self.scripts.claim, &[OWNER.to_owned()]);
        claim.arg(&self.store).arg(millis);
        claim
    }

    fn connection(&self) -> Result<(MultiplexedConnection, u64), Away> {
        let state = self.state();
        match &state.connection {
            Some(connection) if !state.breaker.is_open() => Ok((connection.clone(), state.generation)),
            _ => Err(Away),
        }
    }

    fn fail(&self, generation: u64, reason: &str) -> Away {
        let mut state = self.state();
        if state.generation == generation && !state.breaker.is_open() {
            tracing::warn!(
                reason,
                "redis is unavailable: limits are not shared and other instances' events come later until it is back"
            );
            state.breaker.fail(Instant::now());
            state.connection = None;
            reason.clone_into(&mut state.reason);
            self.metrics.redis_breaker_open.set(1);
            self.metrics.outages_total.with_label_values(&["redis"]).inc();
            self.attention.notify_one();
        }
        Away
    }

    /// Looks, if it is time to, whether Redis is well again. Answers whether it is now and was
    /// not before.
    pub(super) async fn probe(&self) -> bool {
        if !self.state().breaker.take_probe(Instant::now()) {
            return false;
        }
        let probed = tokio::time::timeout(CONNECT_TIMEOUT, self.connect()).await;
        let mut state = self.state();
        match probed {
            Ok(Ok(connection)) => {
                state.connection = Some(connection);
                state.generation += 1;
                state.breaker.close();
                state.reason.clear();
                self.metrics.redis_breaker_open.set(0);
                self.attention.notify_one();
                tracing::info!("redis is available");
                true
            }
            failed => {
                let reason = match failed {
                    Ok(Err(reason)) => reason,
                    _ => "no answer in time".to_owned(),
                };
                if state.reason != reason {
                    tracing::warn!(reason, "redis is unavailable");
                    state.reason = reason;
                }
                false
            }
        }
    }

    /// Connects, unless the server is of no use; then the error says why.
    async fn connect(&self) -> Result<MultiplexedConnection, String> {
        let mut connection = self.open().await.map_err(|error| reason(&error))?;
        let owner: String = self.claim(CLAIM).query_async(&mut connection).await.map_err(|error| reason(&error))?;
        if owner == self.store { Ok(connection) } else { Err(CLAIMED.to_owned()) }
    }

    async fn open(&self) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(1_024);
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        self.load(&mut connection).await?;
        // Not only reading must work: a replica, or a server without room, is of no use.
        redis::cmd("SET")
            .arg(format!("analytics:probe:{}", Uuid::new_v4()))
            .arg("1")
            .arg("PX")
            .arg(1_000)
            .exec_async(&mut connection)
            .await?;
        Ok(connection)
    }

    async fn load(&self, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        for script in self.scripts.each() {
            script.load_async(connection).await?;
        }
        Ok(())
    }
}

/// The code of a server's error, such as `WRONGTYPE`.
pub(super) fn code(value: &Value) -> Option<&str> {
    match value {
        Value::ServerError(error) => Some(error.code()),
        _ => None,
    }
}

/// Why a server that answers is of no use now: it loads, has no room, is a replica, refuses the user.
fn refusal(value: &Value) -> Option<String> {
    let code = code(value)?;
    let refuses = matches!(
        code,
        "LOADING"
            | "OOM"
            | "READONLY"
            | "MASTERDOWN"
            | "MISCONF"
            | "BUSY"
            | "NOAUTH"
            | "NOPERM"
            | "NOREPLICAS"
            | "CLUSTERDOWN"
            | "MOVED"
            | "ASK"
            | "TRYAGAIN"
            | "UNBLOCKED"
    );
    refuses.then(|| code.to_owned())
}

/// What went wrong, without what was asked or where. What the system or TLS say of a connection
/// names neither.
fn reason(error: &RedisError) -> String {
    let cause = std::error::Error::source(error).filter(|_| error.is_io_error());
    match (error.code(), cause) {
        (Some(code), _) => code.to_owned(),
        (None, Some(cause)) => format!("{}: {cause}", error.category()),
        (None, None) => error.category().to_owned(),
    }
}
