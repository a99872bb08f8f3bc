//! PostgreSQL and Redis: PostgreSQL is the one truth, Redis a projection of it that may die at
//! any time.
//!
//! - **One transaction a batch** (`writer`, `append`): whatever requests wait go together. Each
//!   site's row gives its events their positions, under a lock that is held until the commit:
//!   a site's positions have no gaps and are in the order of commits, whichever instance gives
//!   them.
//! - **PostgreSQL has all that must be exact**: events by day (`partitions`), the ids of a site,
//!   counters by day and click cells, changed in the same transaction (`changes`). Weeks and
//!   months are sums of days.
//! - **Redis has what is asked most often** (`live`): counters and sketches of distinct visitors
//!   by day, week and month, themes, who is there, and the feed between instances. It says up to
//!   which position of a site it was told; a position stands for everything before it, so
//!   whatever it missed is found and told in order, and what it lost is built anew (`truth`).
//! - **Without Redis** events are stored as ever and PostgreSQL answers (`reads`).
//! - `expiry` drops days whole, whatever becomes of Redis; `recount` is `verify` and `rebuild`.
//!
//! Distinct visitors are off by 0.81 % (one standard deviation) where Redis answers; everything
//! else is exact. Any number of instances may share the two. What another instance has stored is
//! seen by reads as soon as it was answered there, unless that instance died right then, and
//! within a second in any case; the live feed has everybody's events.

mod address;
mod append;
mod blocks;
mod changes;
mod connection;
mod deadline;
mod expiry;
mod facts;
mod live;
mod migrate;
mod partitions;
mod reads;
mod recount;
mod rows;
mod tls;
mod truth;
mod values;
mod writer;

use std::ops::{Range, RangeInclusive};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use uuid::Uuid;

use self::address::Address;
use self::connection::{Connections, closed};
use self::live::Live;
use self::truth::Truth;
use self::writer::Handle;
use super::commits::LastCommit;
use super::{
    Admin, Append, Appended, BlockKind, Blocks, Committed, Feed, Keep, LiveTotals, Position, Progress, Realtime,
    Recount, Result, Secret, SecretName, SharedLimits, Step, Store, StoreError, TimelineFrom, Totals, Waited,
};
use crate::event::Event;
use crate::metrics::Metrics;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::time::{Day, Timestamp};

/// The engine's name.
const ENGINE: &str = "postgres";

/// How the engine lives in its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether anything may go on while nobody waits for an answer.
    pub background: bool,
    /// How many questions are asked at the same time; one connection more appends.
    pub pool: usize,
    /// How long an append may take until its events are durable. After that it fails, and whether
    /// they are stored is not known: appending the same events again tells.
    pub append_within: Duration,
    /// Whether the tables are created where there are none.
    pub create: bool,
}

impl Options {
    /// A process that runs until it is stopped.
    pub const PROCESS: Self = Self { background: true, pool: 8, append_within: Duration::from_secs(1), create: true };
    /// A process that is frozen whenever nobody waits for an answer: what was begun ends, by limits
    /// of its own, before there is one.
    pub const FUNCTION: Self =
        Self { background: false, pool: 1, append_within: Duration::from_secs(10), create: true };
    /// A process that imports: no client waits for its answers.
    pub const IMPORT: Self = Self { append_within: Duration::from_secs(30), ..Self::PROCESS };
    /// A process that does one thing with a store that is there.
    pub const COMMAND: Self = Self { create: false, ..Self::IMPORT };
}

/// A store in a PostgreSQL database, with a Redis beside it.
#[derive(Debug)]
pub struct Postgres {
    connections: Connections,
    truth: Truth,
    live: Arc<Live>,
    last_commit: LastCommit,
    writer: RwLock<Option<Handle>>,
    ended: Mutex<Option<JoinHandle<()>>>,
}

impl Postgres {
    /// Connects to the database at `url` and brings its schema up to date; connects to the
    /// Redis at `redis`, if it is there.
    ///
    /// # Errors
    /// When either address is none, or PostgreSQL does not answer, or refuses, or is behind a pooler
    /// that does not pool by session.
    pub async fn open(url: &str, redis: &str, options: Options, metrics: Arc<Metrics>) -> Result<Self> {
        let connections = Connections::new(Address::parse(url)?, options.pool, Arc::clone(&metrics))?;
        let mut connection = connections.own().await?;
        connections.require_sessions(&connection).await?;
        if !options.create && !migrate::has_tables(&connection).await? {
            return Err(StoreError::Missing { what: "the database has no tables of it".to_owned() });
        }
        migrate::migrate(&mut connection).await?;
        drop(connection);
        let truth = Truth::open(connections.clone()).await?;
        let live = Arc::new(Live::open(redis, truth.clone(), options.background, Arc::clone(&metrics)).await?);
        let last_commit = LastCommit::default();
        let within = options.append_within;
        let (writer, ended) =
            writer::start(connections.clone(), Arc::clone(&live), metrics, within, last_commit.clone());
        Ok(Self {
            connections,
            truth,
            live,
            last_commit,
            writer: RwLock::new(Some(writer)),
            ended: Mutex::new(Some(ended)),
        })
    }

    fn writer(&self) -> Result<Handle> {
        self.writer.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)
    }

    fn horizon(&self) -> facts::Horizon {
        self.truth.horizon()
    }
}

#[async_trait]
impl Blocks for Postgres {
    async fn put_block(&self, site: &Site, kind: BlockKind, day: Day, bytes: Vec<u8>) -> Result<()> {
        self.writer()?;
        blocks::put(&self.connections, site, kind, day, bytes).await
    }

    async fn blocks(&self, site: &Site, kind: BlockKind, days: Range<Day>) -> Result<Vec<(Day, Vec<u8>)>> {
        self.writer()?;
        blocks::read(&self.connections, site, kind, days).await
    }

    async fn delete_blocks(&self, kind: BlockKind, before: Day) -> Result<u64> {
        self.writer()?;
        blocks::delete(&self.connections, kind, before).await
    }
}

#[async_trait]
impl Append for Postgres {
    async fn append(&self, events: Vec<Event>, now: Timestamp) -> Result<Vec<Appended>> {
        self.writer()?.append(events, now).await
    }
}

#[async_trait]
impl LiveTotals for Postgres {
    async fn realtime(&self, site: &Site, now: Timestamp, window: i64) -> Result<Realtime> {
        self.writer()?;
        match self.live.realtime(site, now, window).await {
            Some(realtime) => Ok(realtime),
            None => reads::realtime(&self.connections, site, now, window, self.horizon()).await,
        }
    }

    async fn totals(&self, site: &Site, period: PeriodKey) -> Result<Totals> {
        self.writer()?;
        match self.live.totals(site, period).await {
            Some(totals) => Ok(totals),
            None => reads::totals(&self.connections, site, period, self.horizon()).await,
        }
    }

    async fn daily(&self, site: &Site, days: Range<Day>) -> Result<Vec<(Day, Totals)>> {
        let mut daily = Vec::new();
        for day in (days.start.number()..days.end.number()).map(Day::from_number) {
            daily.push((day, self.totals(site, PeriodKey::of(Period::Day, day)).await?));
        }
        Ok(daily)
    }
}

#[async_trait]
impl Feed for Postgres {
    fn subscribe(&self) -> broadcast::Receiver<Arc<[Committed]>> {
        self.live.subscribe()
    }

    async fn position(&self, site: &Site, id: Uuid) -> Result<Option<Position>> {
        self.writer()?;
        reads::position(&self.connections, site, id).await
    }

    async fn committed_after(&self, site: &Site, after: Position, limit: usize) -> Result<Vec<Committed>> {
        self.writer()?;
        self.truth.committed_after(site, after, limit).await
    }

    async fn timeline(&self, site: &Site, from: TimelineFrom, limit: usize) -> Result<Vec<Event>> {
        self.writer()?;
        reads::timeline(&self.connections, site, from, limit).await
    }
}

#[async_trait]
impl Keep for Postgres {
    async fn secret(&self, name: SecretName, fresh: Secret, now: Timestamp) -> Result<Secret> {
        self.writer()?;
        expiry::secret(&self.connections, name, fresh, now).await
    }

    async fn destroy_secrets(&self, now: Timestamp) -> Result<u64> {
        self.writer()?;
        expiry::destroy_secrets(&self.connections, now).await
    }

    async fn claim_cleanup(&self, now: Timestamp) -> Result<bool> {
        self.writer()?;
        expiry::claim_cleanup(&self.connections, now).await
    }

    async fn cleaned(&self, at: Timestamp) -> Result<()> {
        self.writer()?;
        expiry::cleaned(&self.connections, at).await
    }

    async fn last_cleaned(&self) -> Result<Option<Timestamp>> {
        self.writer()?;
        let at = self.connections.ask("meta", |client| async move { facts::fact(&client, "last_cleaned").await });
        Ok(at.await?.map(Timestamp::from_millis))
    }

    async fn kept_since(&self) -> Result<Option<Day>> {
        self.writer()?;
        let horizon = self.connections.ask("meta", |client| async move { facts::horizon(&client).await }).await?;
        self.truth.note_horizon(horizon);
        Ok(horizon.kept_since)
    }

    async fn lower_kept(&self, to: Day) -> Result<()> {
        self.writer()?;
        let horizon = self.connections.ask("meta", |client| async move { facts::lower(&client, to).await }).await?;
        self.truth.note_horizon(horizon);
        self.live.changed();
        Ok(())
    }

    async fn event_days(&self, until: Timestamp) -> Result<Option<RangeInclusive<Day>>> {
        self.writer()?;
        self.connections.ask("meta", |client| async move { facts::event_days(&client, until).await }).await
    }

    async fn waited(&self) -> Result<Option<Waited>> {
        self.writer()?;
        let number = self.connections.ask("meta", |client| async move { facts::fact(&client, "waited").await }).await?;
        Ok(number.filter(|number| *number > 0).map(Waited::from_number))
    }

    async fn note_waited(&self, waited: Option<Waited>) -> Result<()> {
        self.writer()?;
        let number = waited.map_or(0, Waited::to_number);
        self.connections.ask("meta", |client| async move { facts::note(&client, "waited", number).await }).await
    }
}

#[async_trait]
impl Admin for Postgres {
    async fn delete_before(&self, cutoff: Day, now: Timestamp) -> Result<Step> {
        self.writer()?;
        let step = expiry::delete_before(&self.connections, &self.truth, cutoff, now).await;
        self.live.changed();
        step
    }

    async fn verify(&self, now: Timestamp, progress: Progress) -> Result<Recount> {
        self.writer()?;
        let mut recount = recount::verify(&self.connections, now, &progress).await?;
        self.live.verify(now, &mut recount).await?;
        Ok(recount)
    }

    async fn rebuild(&self, now: Timestamp, progress: Progress) -> Result<Recount> {
        self.writer()?;
        let mut recount = recount::rebuild(&self.connections, now, &progress).await?;
        // What Redis has wrong beside that. One that cannot tell has to be rebuilt all the same.
        if let Err(error) = self.live.verify(now, &mut recount).await {
            tracing::info!(%error, "redis could not be compared with postgresql before it is rebuilt");
        }
        self.live.rebuild(now).await?;
        self.live.changed();
        Ok(recount)
    }

    async fn check(&self) -> Result<()> {
        self.writer()?;
        self.last_commit.check(ENGINE)?;
        self.connections.ask("check", |client| async move { facts::write_check(&client).await }).await
    }
}

#[async_trait]
impl Store for Postgres {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    async fn sites(&self) -> Result<Vec<Site>> {
        self.writer()?;
        reads::sites(&self.connections).await
    }

    fn degraded(&self) -> Vec<&'static str> {
        let mut missing = self.live.degraded();
        if !self.connections.is_available() {
            missing.insert(0, ENGINE);
        }
        missing
    }

    fn limits(&self) -> Option<Arc<dyn SharedLimits>> {
        Some(self.live.limits())
    }

    fn version(&self) -> Option<u64> {
        // Without PostgreSQL nothing tells whether an answer that was kept is still right.
        self.connections.is_available().then(|| self.live.version())?
    }

    async fn close(&self) {
        let writer = self.writer.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(writer);
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ended) = ended {
            // An error is as good as an end: the task is gone.
            let _ = ended.await;
        }
        self.live.close().await;
        self.connections.close();
    }
}
