//! DynamoDB: one table, no servers.
//!
//! - **An event is one conditional write** to a key that follows from its id alone, in one transaction
//!   with the totals and the visitor (`append`, `writer`). So an id is found again whatever time it
//!   comes with, and nothing is counted twice or half.
//! - **Ids that begin with the time sort events**, as ids made here and by the tracker do. An event
//!   whose id says another time than its own has a key of its own, and an alias lies where its id leads
//!   (`rows`). So there is no index to pay for and to wait for.
//! - **Totals are sums over days**: a day has one small item, in which a visitor is counted as new to
//!   the day, the week and the month (`visits`); so a month is one cheap query, and exact (`totals`).
//!   It is split only while writers conflict (`spread`).
//! - **Who is there now** is read from the events of the window.
//! - **What a transaction takes for granted is a condition in it**, and a token makes repeating it
//!   harmless. What is cached in the process may be old, and decides nothing.
//!
//! Reads see everything that this store has appended: for a while after an append they are
//! strongly consistent. A process that appends nothing reads at half the price, and sees what others
//! append a moment later, usually well within a second. The live feed shows what this process stored,
//! and a feed that is resumed misses none of it (`in_flight`). Positions of several processes are in
//! the order of their clocks, corrected by the service's (`clock`), so it may miss what another process
//! committed in the same moment.
//!
//! The items are in `keys`, what it all costs is in docs/dynamodb.md.

mod append;
mod batch;
mod blocks;
mod client;
mod clock;
mod connection;
mod erasure;
mod errors;
mod events;
mod expiry;
mod feed;
mod http;
mod in_flight;
mod item;
mod keep;
mod keys;
mod not_stored;
mod positions;
mod rebuild;
mod records;
mod recount;
mod retained;
mod rows;
#[cfg(test)]
mod scripted;
mod sites;
mod spread;
pub mod table;
mod timeline;
mod totals;
mod visits;
mod write;
mod writer;

use std::collections::{BTreeSet, HashMap};
use std::ops::{Range, RangeInclusive};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::{broadcast, oneshot};
use uuid::Uuid;

pub use self::client::Consumed;
use self::client::Table;
use self::clock::ServiceClock;
pub use self::connection::client;
use self::errors::ENGINE;
use self::in_flight::InFlight;
use self::retained::{CachedRetained, Retained};
use self::writer::{Queue, Writer};
use super::commits::LastCommit;
use super::not_stored::Counts;
use super::{
    Admin, Append, Appended, BlockKind, Blocks, Committed, Feed, Keep, LiveTotals, News, Outcomes, Position, Progress,
    Realtime, RecordKind, Records, Recount, Result, Secret, SecretName, Step, Store, StoreError, TimelineFrom, Totals,
    Visitors, Waited,
};
use crate::config::DynamoDbUrl;
use crate::event::Event;
use crate::metrics::Metrics;
use crate::period::PeriodKey;
use crate::site::Site;
use crate::time::{Day, Timestamp};
use crate::visitor::VisitorId;

/// How many transactions a subscriber of the feed may lag behind before it must catch up by reading.
const FEED: usize = 1_024;

/// A store in a table of DynamoDB.
#[derive(Debug)]
pub struct DynamoDb {
    table: Table,
    secrets: Table,
    retained: CachedRetained,
    retention: i64,
    feed: broadcast::Sender<News>,
    /// The writer is started by the first append: most functions only read.
    writer: Mutex<Option<(Queue, oneshot::Receiver<()>)>>,
    in_flight: Arc<InFlight>,
    clock: ServiceClock,
    last_commit: LastCommit,
    metrics: Arc<Metrics>,
    /// What was last read of the erasures of sites that have any.
    erasures: Mutex<HashMap<Site, u32>>,
}

impl DynamoDb {
    /// Opens a table whose events the service may delete after so many days. At an endpoint that is not
    /// the platform's, where no deployment creates tables, a process creates them (feature `process`).
    ///
    /// # Errors
    /// When region or keys are configured nowhere, or the tables have to be created and cannot be.
    pub async fn open(url: &DynamoDbUrl, retention_days: u32, metrics: Arc<Metrics>) -> Result<Self> {
        let this = Self::connect(url, retention_days, metrics).await?;
        #[cfg(feature = "process")]
        if !url.is_aws() {
            table::create_table(&this.table.client, url.table()).await?;
            if url.secrets() != url.table() {
                table::create_table(&this.table.client, url.secrets()).await?;
            }
        }
        Ok(this)
    }

    /// Opens a table that exists, and creates none.
    ///
    /// # Errors
    /// As [`Self::open`]; [`StoreError::Missing`] when the table does not exist.
    pub async fn open_existing(url: &DynamoDbUrl, retention_days: u32, metrics: Arc<Metrics>) -> Result<Self> {
        let this = Self::connect(url, retention_days, metrics).await?;
        match retained::read(&this.table).await {
            Err(StoreError::Unavailable { reason, .. }) if reason == errors::NO_TABLE => {
                Err(StoreError::Missing { what: format!("the table {} does not exist", url.table()) })
            }
            Err(error) => Err(error),
            Ok(_) => Ok(this),
        }
    }

    async fn connect(url: &DynamoDbUrl, retention_days: u32, metrics: Arc<Metrics>) -> Result<Self> {
        let clock = ServiceClock::default();
        let table = Table::new(connection::client_with(url, &clock).await?, url.table());
        let table = table.counting(metrics.outages_total.with_label_values(&[ENGINE]));
        let (feed, _) = broadcast::channel(FEED);
        Ok(Self {
            secrets: table.sibling(url.secrets()),
            table,
            retained: CachedRetained::default(),
            retention: retention_days.into(),
            feed,
            writer: Mutex::default(),
            in_flight: Arc::default(),
            clock,
            last_commit: LastCommit::default(),
            metrics,
            erasures: Mutex::default(),
        })
    }

    /// What requests have used since it was opened, as the service reports it.
    #[must_use]
    pub fn consumed(&self) -> Consumed {
        self.table.consumed()
    }

    fn queue(&self) -> Result<Queue> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.table.check_open()?;
        let (queue, _) = writer.get_or_insert_with(|| {
            Queue::start(Writer {
                table: self.table.clone(),
                retention: self.retention,
                feed: self.feed.clone(),
                in_flight: Arc::clone(&self.in_flight),
                clock: self.clock.clone(),
                last_commit: self.last_commit.clone(),
                metrics: Arc::clone(&self.metrics),
                state: writer::State::default(),
            })
        });
        Ok(queue.clone())
    }

    /// Whether reads have to see what was just written here.
    fn consistent(&self) -> bool {
        self.in_flight.consistent()
    }

    async fn retained(&self) -> Result<Retained> {
        self.retained.get(&self.table).await
    }

    /// What is known of erasures is never old; and whatever is read after another process has erased
    /// something must be without it.
    async fn erasures(&self, site: &Site, days: Range<Day>) -> Result<Vec<(Day, Vec<u8>)>> {
        let found = blocks::read(&self.table, site, BlockKind::Erasures, days, true).await?;
        let found_now = found.iter().map(|(_, bytes)| crc32fast::hash(bytes)).next();
        let mut erasures = self.erasures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found_now) = found_now
            && erasures.insert(site.clone(), found_now) != Some(found_now)
        {
            self.in_flight.touch();
        }
        Ok(found)
    }

    /// Measures how long a query takes.
    async fn timed<T>(&self, query_type: &'static str, query: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let started = Instant::now();
        let answer = query.await;
        self.metrics.queried(query_type, started.elapsed());
        answer
    }
}

#[async_trait]
impl Append for DynamoDb {
    async fn append(&self, events: Vec<Event>, now: Timestamp) -> Result<Vec<Appended>> {
        self.queue()?.append(events, now).await
    }

    async fn admit_sites(&self, sites: &BTreeSet<Site>) -> Result<()> {
        sites::admit(&self.table, sites).await
    }
}

#[async_trait]
impl LiveTotals for DynamoDb {
    async fn realtime(&self, site: &Site, now: Timestamp, window: i64) -> Result<Realtime> {
        let retained = self.retained().await?;
        let realtime = totals::realtime(&self.table, retained, site, now, window, self.consistent());
        self.timed("realtime", realtime).await
    }

    async fn totals(&self, site: &Site, period: PeriodKey) -> Result<Totals> {
        let retained = self.retained().await?;
        self.timed("totals", totals::totals(&self.table, retained, site, period, self.consistent())).await
    }

    async fn daily(&self, site: &Site, days: Range<Day>) -> Result<Vec<(Day, Totals)>> {
        let retained = self.retained().await?;
        self.timed("daily", totals::daily(&self.table, retained, site, days, self.consistent())).await
    }
}

#[async_trait]
impl Feed for DynamoDb {
    fn subscribe(&self) -> broadcast::Receiver<News> {
        self.feed.subscribe()
    }

    async fn position(&self, site: &Site, id: Uuid) -> Result<Option<Position>> {
        let retained = self.retained().await?;
        self.timed("position", feed::position(&self.table, retained, site, id, self.consistent())).await
    }

    async fn latest_position(&self, site: &Site) -> Result<Position> {
        let retained = self.retained().await?;
        self.timed("position", feed::latest_position(&self.table, retained, site, &self.in_flight)).await
    }

    async fn committed_after(&self, site: &Site, after: Position, limit: usize) -> Result<Vec<Committed>> {
        let retained = self.retained().await?;
        let committed = feed::committed_after(&self.table, retained, site, after, limit, &self.in_flight);
        self.timed("feed", committed).await
    }

    async fn timeline(&self, site: &Site, from: TimelineFrom, limit: usize) -> Result<Vec<Event>> {
        let retained = self.retained().await?;
        let timeline = timeline::timeline(&self.table, retained, site, from, limit, self.consistent());
        self.timed("timeline", timeline).await
    }
}

#[async_trait]
impl Blocks for DynamoDb {
    async fn put_block(&self, site: &Site, kind: BlockKind, day: Day, bytes: Vec<u8>) -> Result<()> {
        let put = self.timed("put_block", blocks::put(&self.table, site, kind, day, &bytes)).await;
        self.in_flight.touch();
        put
    }

    async fn blocks(&self, site: &Site, kind: BlockKind, days: Range<Day>) -> Result<Vec<(Day, Vec<u8>)>> {
        if kind == BlockKind::Erasures {
            return self.timed("blocks", self.erasures(site, days)).await;
        }
        self.timed("blocks", blocks::read(&self.table, site, kind, days, self.consistent())).await
    }

    async fn delete_block(&self, site: &Site, kind: BlockKind, day: Day) -> Result<()> {
        let deleted = blocks::delete_one(&self.table, site, kind, day).await;
        self.in_flight.touch();
        deleted
    }

    async fn delete_blocks(&self, kind: BlockKind, before: Day) -> Result<u64> {
        blocks::delete(&self.table, kind, before).await
    }
}

#[async_trait]
impl Outcomes for DynamoDb {
    async fn add_not_stored(&self, site: &Site, day: Day, counts: &Counts) -> Result<()> {
        let add = not_stored::add(&self.table, site, day, counts, self.retention);
        let added = self.timed("add_not_stored", add).await;
        self.in_flight.touch();
        added
    }

    async fn not_stored(&self, site: &Site, days: Range<Day>) -> Result<Counts> {
        self.timed("not_stored", not_stored::read(&self.table, site, days, self.consistent())).await
    }

    async fn delete_not_stored(&self, before: Day) -> Result<()> {
        not_stored::delete(&self.table, before).await
    }
}

#[async_trait]
impl Records for DynamoDb {
    async fn put_record(&self, kind: RecordKind, id: Uuid, bytes: Vec<u8>) -> Result<()> {
        self.timed("put_record", records::put(&self.table, kind, id, bytes)).await
    }

    async fn record(&self, kind: RecordKind, id: Uuid) -> Result<Option<Vec<u8>>> {
        self.timed("record", records::read(&self.table, kind, id)).await
    }

    async fn records(&self, kind: RecordKind) -> Result<Vec<(Uuid, Vec<u8>)>> {
        self.timed("records", records::all(&self.table, kind)).await
    }

    async fn delete_record(&self, kind: RecordKind, id: Uuid) -> Result<bool> {
        self.timed("delete_record", records::delete(&self.table, kind, id)).await
    }
}

#[async_trait]
impl Visitors for DynamoDb {
    async fn visit_days(&self, site: &Site, visitor: VisitorId) -> Result<Vec<Day>> {
        self.timed("visitor", erasure::visit_days(&self.table, site, visitor)).await
    }

    async fn visitor_events(
        &self,
        site: &Site,
        visitor: VisitorId,
        day: Day,
        after: Option<(Timestamp, Uuid)>,
        limit: usize,
    ) -> Result<Vec<Event>> {
        self.timed("visitor", erasure::events(&self.table, site, visitor, day, after, limit)).await
    }

    async fn erase_events(&self, site: &Site, visitor: VisitorId, day: Day, now: Timestamp) -> Result<u64> {
        let kept = self.retained().await?.has_events_of(day.start());
        let erased = erasure::erase_events(&self.table, site, visitor, day, kept, now).await;
        self.in_flight.touch();
        erased
    }

    async fn forget_visitor(&self, site: &Site, visitor: VisitorId) -> Result<()> {
        erasure::forget_visitor(&self.table, site, visitor).await?;
        // There may be no subscriber.
        let _ = self.feed.send(News::Gap(site.clone()));
        Ok(())
    }
}

#[async_trait]
impl Keep for DynamoDb {
    async fn secret(&self, name: SecretName, fresh: Secret, now: Timestamp) -> Result<Secret> {
        keep::secret(&self.secrets, name, fresh, now).await
    }

    async fn destroy_secrets(&self, now: Timestamp) -> Result<u64> {
        keep::destroy_secrets(&self.secrets, now).await
    }

    async fn claim_cleanup(&self, now: Timestamp) -> Result<bool> {
        keep::claim_cleanup(&self.table, now).await
    }

    async fn cleaned(&self, at: Timestamp) -> Result<()> {
        keep::cleaned(&self.table, at).await
    }

    async fn last_cleaned(&self) -> Result<Option<Timestamp>> {
        keep::last_cleaned(&self.table).await
    }

    async fn kept_since(&self) -> Result<Option<Day>> {
        Ok(self.retained().await?.events)
    }

    async fn lower_kept(&self, to: Day) -> Result<()> {
        self.retained.lower(&self.table, to).await.map(drop)
    }

    async fn event_days(&self, until: Timestamp) -> Result<Option<RangeInclusive<Day>>> {
        expiry::event_days(&self.table, until).await
    }

    async fn waited(&self) -> Result<Option<Waited>> {
        keep::waited(&self.table).await
    }

    async fn note_waited(&self, waited: Option<Waited>) -> Result<()> {
        keep::note_waited(&self.table, waited).await
    }
}

#[async_trait]
impl Admin for DynamoDb {
    async fn delete_before(&self, cutoff: Day, now: Timestamp) -> Result<Step> {
        let step = expiry::delete_before(&self.table, &self.retained, cutoff, now).await;
        self.in_flight.touch();
        step
    }

    async fn remove_site(&self, site: &Site, now: Timestamp) -> Result<bool> {
        let removed = sites::remove(&self.table, site, now.day().plus(-(self.retention as i32)), now).await;
        self.in_flight.touch();
        removed
    }

    async fn verify(&self, now: Timestamp, progress: Progress) -> Result<Recount> {
        let retained = self.retained().await?.covered(now, self.retention);
        let mut recount = Recount::default();
        for site in sites::sites(&self.table, true).await? {
            recount::compare(&self.table, &site, retained, &progress, &mut recount).await?;
        }
        Ok(recount)
    }

    async fn rebuild(&self, now: Timestamp, progress: Progress) -> Result<Recount> {
        let pause = self.queue()?.pause().await?;
        let retained = self.retained().await?.covered(now, self.retention);
        let mut recount = Recount::default();
        for site in sites::sites(&self.table, true).await? {
            rebuild::rebuild(&self.table, &site, retained, self.retention, now, &progress, &mut recount).await?;
        }
        drop(pause);
        self.in_flight.touch();
        Ok(recount)
    }

    async fn check(&self) -> Result<()> {
        self.last_commit.check(ENGINE)?;
        keep::write_check(&self.table).await
    }
}

#[async_trait]
impl Store for DynamoDb {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    async fn sites(&self) -> Result<Vec<Site>> {
        self.timed("sites", sites::sites(&self.table, self.consistent())).await
    }

    fn version(&self) -> Option<u64> {
        // Other processes write too, without notice.
        None
    }

    async fn close(&self) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((queue, ended)) = writer {
            drop(queue);
            // An error is as good as the message: the writer has ended.
            let _ = ended.await;
        }
        self.table.close();
    }
}
