//! PostgreSQL and Redis: PostgreSQL has everything and answers everything; Redis connects instances.
//!
//! - **One transaction a batch** (`writer`, `append`): requests that wait share it. Each site's row
//!   gives its events their positions, under a lock that is held until the commit: a site's
//!   positions have no gaps and are in the order of commits, whichever instance gives them.
//! - **Event log** (`append`, `feed`): events by day (`partitions`), and the ids of a site.
//! - **Live totals** (`totals`): figures by day, week and month, and visitors by month, which change
//!   in the same transaction. Who is there now is held in memory (`presence`).
//! - **Blocks** (`blocks`), secrets and claims (`keep`).
//! - **Upkeep**: `expiry` drops days whole, `recount` is `verify` and `rebuild`.
//! - **Redis** (`live`): the feed between instances, shared limits, and a projection of the figures
//!   for other programs. Without it events are stored and questions answered as ever.
//!
//! All figures are exact. Any number of instances may share the two. What another instance has
//! stored is in the next answer, but for current visitors and kept answers, where it takes as long
//! as the feed: no longer than half a second without Redis.

mod address;
mod append;
mod blocks;
mod connection;
mod deadline;
mod erasure;
mod expiry;
mod feed;
mod keep;
mod live;
mod migrate;
mod not_stored;
mod partitions;
mod presence;
mod records;
mod recount;
mod rows;
mod sites;
mod snapshot;
mod tls;
mod totals;
mod values;
mod writer;

use std::collections::BTreeSet;
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
use self::writer::Handle;
use super::commits::LastCommit;
use super::not_stored::Counts;
use super::{
    Admin, Append, Appended, BlockKind, Blocks, Committed, Feed, Keep, LiveTotals, News, Outcomes, Position, Progress,
    Realtime, RecordKind, Records, Recount, Result, Secret, SecretName, SharedLimits, Step, Store, StoreError,
    TimelineFrom, Totals, Visitors, Waited,
};
use crate::event::Event;
use crate::metrics::Metrics;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::time::{Day, Timestamp};
use crate::visitor::VisitorId;

/// The engine's name.
const ENGINE: &str = "postgres";

/// How the engine runs in its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether work goes on between requests.
    pub background: bool,
    /// How many questions are asked at the same time; one connection more appends.
    pub pool: usize,
    /// How long an append may take until its events are durable. After that it fails, and whether
    /// they are stored is not known: appending the same events again tells.
    pub append_within: Duration,
    /// How long a request may wait for Redis to charge a shared rate limit; after that it is charged to
    /// the process's own.
    pub limit_within: Duration,
    /// Whether the tables are created where there are none.
    pub create: bool,
}

impl Options {
    /// A process that runs until it is stopped.
    pub const PROCESS: Self = Self {
        background: true,
        pool: 8,
        append_within: Duration::from_secs(1),
        limit_within: Duration::from_millis(50),
        create: true,
    };
    /// A process that is frozen between requests: what was begun ends, by timeouts of its own, before
    /// the answer.
    pub const FUNCTION: Self =
        Self { background: false, pool: 1, append_within: Duration::from_secs(10), ..Self::PROCESS };
    /// A process that imports: no client waits for its answers.
    pub const IMPORT: Self = Self { append_within: Duration::from_secs(30), ..Self::PROCESS };
    /// A process that does one thing with a store that is there.
    pub const COMMAND: Self = Self { create: false, ..Self::IMPORT };
}

/// A store in a PostgreSQL database, with a Redis beside it.
#[derive(Debug)]
pub struct Postgres {
    connections: Connections,
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
        let live = Live::open(redis, connections.clone(), options, Arc::clone(&metrics)).await?;
        let live = Arc::new(live);
        let last_commit = LastCommit::default();
        let within = options.append_within;
        let (writer, ended) =
            writer::start(connections.clone(), Arc::clone(&live), metrics, within, last_commit.clone());
        Ok(Self { connections, live, last_commit, writer: RwLock::new(Some(writer)), ended: Mutex::new(Some(ended)) })
    }

    async fn fact(&self, name: &'static str) -> Result<Option<i64>> {
        self.writer()?;
        self.connections.ask("meta", |client| async move { keep::fact(&client, name).await }).await
    }

    fn writer(&self) -> Result<Handle> {
        self.writer.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)
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

    async fn delete_block(&self, site: &Site, kind: BlockKind, day: Day) -> Result<()> {
        self.writer()?;
        blocks::delete_one(&self.connections, site, kind, day).await
    }

    async fn delete_blocks(&self, kind: BlockKind, before: Day) -> Result<u64> {
        self.writer()?;
        blocks::delete(&self.connections, kind, before).await
    }
}

#[async_trait]
impl Outcomes for Postgres {
    async fn add_not_stored(&self, site: &Site, day: Day, counts: &Counts) -> Result<()> {
        self.writer()?;
        not_stored::add(&self.connections, site, day, counts).await
    }

    async fn not_stored(&self, site: &Site, days: Range<Day>) -> Result<Counts> {
        self.writer()?;
        not_stored::read(&self.connections, site, days).await
    }

    async fn delete_not_stored(&self, before: Day) -> Result<()> {
        self.writer()?;
        not_stored::delete(&self.connections, before).await
    }
}

#[async_trait]
impl Records for Postgres {
    async fn put_record(&self, kind: RecordKind, id: Uuid, bytes: Vec<u8>) -> Result<()> {
        self.writer()?;
        records::put(&self.connections, kind, id, bytes).await
    }

    async fn record(&self, kind: RecordKind, id: Uuid) -> Result<Option<Vec<u8>>> {
        self.writer()?;
        records::read(&self.connections, kind, id).await
    }

    async fn records(&self, kind: RecordKind) -> Result<Vec<(Uuid, Vec<u8>)>> {
        self.writer()?;
        records::all(&self.connections, kind).await
    }

    async fn delete_record(&self, kind: RecordKind, id: Uuid) -> Result<bool> {
        self.writer()?;
        records::delete(&self.connections, kind, id).await
    }
}

#[async_trait]
impl Append for Postgres {
    async fn append(&self, events: Vec<Event>, now: Timestamp) -> Result<Vec<Appended>> {
        self.writer()?.append(events, now).await
    }

    async fn admit_sites(&self, sites: &BTreeSet<Site>) -> Result<()> {
        let writer = self.writer()?;
        let names: Vec<&str> = sites.iter().map(Site::as_str).collect();
        sites::admit(&self.connections, &names).await?;
        writer.sites_changed();
        Ok(())
    }
}

#[async_trait]
impl LiveTotals for Postgres {
    async fn realtime(&self, site: &Site, now: Timestamp, window: i64) -> Result<Realtime> {
        self.writer()?;
        let today = totals::totals(&self.connections, site, PeriodKey::of(Period::Day, now.day())).await?;
        Ok(Realtime {
            current_visitors: self.live.current_visitors(site, now, window).await?,
            unique_today: today.visitors,
            total_events: today.events,
            letters_today: today.letters,
        })
    }

    async fn totals(&self, site: &Site, period: PeriodKey) -> Result<Totals> {
        self.writer()?;
        totals::totals(&self.connections, site, period).await
    }

    async fn daily(&self, site: &Site, days: Range<Day>) -> Result<Vec<(Day, Totals)>> {
        self.writer()?;
        totals::daily(&self.connections, site, days).await
    }
}

#[async_trait]
impl Feed for Postgres {
    fn subscribe(&self) -> broadcast::Receiver<News> {
        self.live.subscribe()
    }

    async fn position(&self, site: &Site, id: Uuid) -> Result<Option<Position>> {
        self.writer()?;
        feed::position(&self.connections, site, id).await
    }

    async fn latest_position(&self, site: &Site) -> Result<Position> {
        feed::latest_position(&self.connections, site).await
    }

    async fn committed_after(&self, site: &Site, after: Position, limit: usize) -> Result<Vec<Committed>> {
        self.writer()?;
        feed::committed_after(&self.connections, site, after, limit).await
    }

    async fn timeline(&self, site: &Site, from: TimelineFrom, limit: usize) -> Result<Vec<Event>> {
        self.writer()?;
        feed::timeline(&self.connections, site, from, limit).await
    }
}

#[async_trait]
impl Visitors for Postgres {
    async fn visit_days(&self, site: &Site, visitor: VisitorId) -> Result<Vec<Day>> {
        self.writer()?;
        erasure::visit_days(&self.connections, site, visitor).await
    }

    async fn visitor_events(
        &self,
        site: &Site,
        visitor: VisitorId,
        day: Day,
        after: Option<(Timestamp, Uuid)>,
        limit: usize,
    ) -> Result<Vec<Event>> {
        self.writer()?;
        erasure::events(&self.connections, site, visitor, day, after, limit).await
    }

    async fn erase_events(&self, site: &Site, visitor: VisitorId, day: Day, _now: Timestamp) -> Result<u64> {
        self.writer()?;
        let erased = erasure::erase_events(&self.connections, site, visitor, day).await;
        self.live.changed();
        erased
    }

    /// Redis must be there: its figures for other programs are built anew.
    async fn forget_visitor(&self, site: &Site, visitor: VisitorId) -> Result<()> {
        self.writer()?;
        erasure::forget_visitor(&self.connections, site, visitor).await?;
        self.live.erased(site).await
    }
}

#[async_trait]
impl Keep for Postgres {
    async fn secret(&self, name: SecretName, fresh: Secret, now: Timestamp) -> Result<Secret> {
        self.writer()?;
        keep::secret(&self.connections, name, fresh, now).await
    }

    async fn destroy_secrets(&self, now: Timestamp) -> Result<u64> {
        self.writer()?;
        keep::destroy_secrets(&self.connections, now).await
    }

    async fn claim_cleanup(&self, now: Timestamp) -> Result<bool> {
        self.writer()?;
        keep::claim_cleanup(&self.connections, now).await
    }

    async fn cleaned(&self, at: Timestamp) -> Result<()> {
        self.writer()?;
        keep::cleaned(&self.connections, at).await
    }

    async fn last_cleaned(&self) -> Result<Option<Timestamp>> {
        Ok(self.fact("last_cleaned").await?.map(Timestamp::from_millis))
    }

    async fn kept_since(&self) -> Result<Option<Day>> {
        self.writer()?;
        self.connections.ask("meta", |client| async move { keep::kept_since(&client).await }).await
    }

    async fn lower_kept(&self, to: Day) -> Result<()> {
        self.writer()?;
        self.connections.ask("meta", |client| async move { keep::lower_kept(&client, to).await }).await?;
        self.live.changed();
        Ok(())
    }

    async fn event_days(&self, until: Timestamp) -> Result<Option<RangeInclusive<Day>>> {
        self.writer()?;
        self.connections.ask("meta", |client| async move { keep::event_days(&client, until).await }).await
    }

    async fn waited(&self) -> Result<Option<Waited>> {
        Ok(self.fact("waited").await?.filter(|number| *number > 0).map(Waited::from_number))
    }

    async fn note_waited(&self, waited: Option<Waited>) -> Result<()> {
        self.writer()?;
        let number = waited.map_or(0, Waited::to_number);
        self.connections.ask("meta", |client| async move { keep::note(&client, "waited", number).await }).await
    }
}

#[async_trait]
impl Admin for Postgres {
    async fn delete_before(&self, cutoff: Day, now: Timestamp) -> Result<Step> {
        self.writer()?;
        let step = expiry::delete_before(&self.connections, cutoff, now).await;
        self.live.changed();
        step
    }

    async fn remove_site(&self, site: &Site, _now: Timestamp) -> Result<bool> {
        let writer = self.writer()?;
        let removed = sites::remove(&self.connections, site).await?;
        if removed {
            writer.sites_changed();
            self.live.forget(site).await;
        }
        Ok(removed)
    }

    async fn verify(&self, _now: Timestamp, progress: Progress) -> Result<Recount> {
        self.writer()?;
        recount::verify(&self.connections, &progress).await
    }

    async fn rebuild(&self, now: Timestamp, progress: Progress) -> Result<Recount> {
        self.writer()?;
        let recount = recount::rebuild(&self.connections, &progress).await?;
        self.live.changed();
        if let Err(error) = self.live.rebuild(now).await {
            tracing::info!(%error, "the projection in redis was not rebuilt");
        }
        Ok(recount)
    }

    async fn check(&self) -> Result<()> {
        self.writer()?;
        self.last_commit.check(ENGINE)?;
        self.connections.ask("check", |client| async move { keep::write_check(&client).await }).await
    }
}

#[async_trait]
impl Store for Postgres {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    async fn sites(&self) -> Result<Vec<Site>> {
        self.writer()?;
        sites::sites(&self.connections).await
    }

    fn degraded(&self) -> Vec<&'static str> {
        let mut missing = self.live.degraded();
        if !self.connections.is_available() {
            missing.insert(0, ENGINE);
        }
        missing
    }

    /// The whole database, other tables in it included.
    async fn used_bytes(&self) -> Result<Option<u64>> {
        self.writer()?;
        feed::used_bytes(&self.connections).await.map(Some)
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
