//! DynamoDB: one table, no servers.
//!
//! - **Every event is one conditional write** at a place that follows from its id alone, in one
//!   transaction with everything that is counted from it (`counted`, `draft`). So an id is found
//!   again whatever time it comes with, and nothing is counted twice or half.
//! - **Ids that begin with the time sort events**, as ids made here and by the tracker do. An
//!   event whose id says another time than its own lies at its own time, and a stand-in lies
//!   where the id leads (`stored`). So there is no index to pay for and to wait for.
//! - **Figures are sums of days**: a day has one small item of totals, in which a visitor who is
//!   new to the day, the week or the month is counted as such; so a month is one cheap query,
//!   and exact (`figures`, `knowledge`). Values of open dimensions and click cells have an item
//!   each. Counters are spread over shards only while writers collide (`append`).
//! - **Who is there now** is written once a minute and visitor, and is exact still (`presence`).
//! - **Transactions carry what they take for granted** as conditions, and a token that makes
//!   repeating them harmless. What is known in the process may be old; it is never believed.
//!
//! Reads see everything that this store has appended: for a while after an append they are
//! strongly consistent. A process that appends nothing asks for half the price, and what others
//! append is there a moment later, usually well within a second. The live feed shows what this
//! process stored, and a feed that is resumed misses none of it (`written`). Positions of
//! several processes are in the order of their clocks, so it may miss what another process
//! committed in the same moment.
//!
//! What it all costs is in docs/dynamodb.md.

mod access;
mod append;
mod ask;
mod blocks;
mod client;
mod counted;
mod draft;
mod errors;
mod expiry;
mod facts;
mod feed;
mod figures;
mod heatmap;
mod http;
mod item;
mod keys;
mod knowledge;
mod positions;
mod presence;
mod rebuild;
mod recount;
#[cfg(test)]
mod scripted;
mod secrets;
mod spread;
mod stored;
pub mod table;
mod timeline;
mod written;

use std::ops::{Range, RangeInclusive};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::{broadcast, oneshot};
use uuid::Uuid;

pub use self::access::client;
use self::append::Writing;
pub use self::client::Consumed;
use self::client::Tables;
use self::errors::ENGINE;
use self::facts::KnownKept;
use self::keys::Key;
use self::written::Written;
use super::commits::LastCommit;
use super::{
    Admin, Append, Appended, BlockKind, Blocks, Committed, Feed, Keep, LiveTotals, Position, Progress, Realtime,
    Recount, Result, Secret, SecretName, Step, Store, StoreError, TimelineFrom, Totals, Waited,
};
use crate::config::DynamoDbUrl;
use crate::event::Event;
use crate::metrics::Metrics;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::time::{Day, Timestamp};

/// How many transactions a listener of the feed may lag behind before it must catch up by reading.
const FEED: usize = 1_024;

/// A store in a table of DynamoDB.
#[derive(Debug)]
pub struct DynamoDb {
    tables: Tables,
    kept: KnownKept,
    retention: i64,
    feed: broadcast::Sender<Arc<[Committed]>>,
    /// The writing task is started by the first append: most functions only read.
    writing: Mutex<Option<Writing>>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
    written: Arc<Written>,
    last_commit: LastCommit,
}

impl DynamoDb {
    /// Opens a table whose events the service may delete after so many days. Where no
    /// deployment makes tables, at an endpoint that is not the platform's, a process makes them
    /// (feature `process`); functions find them made.
    ///
    /// # Errors
    /// When the platform does not say where it is and with which keys it is asked, or the tables
    /// have to be made and cannot be.
    pub async fn open(url: &DynamoDbUrl, retention_days: u32, metrics: Arc<Metrics>) -> Result<Self> {
        let tables = Tables::open(url, metrics).await?;
        #[cfg(feature = "process")]
        if !url.is_aws() {
            table::create_table(&tables.client, url.table()).await?;
            if url.secrets() != url.table() {
                table::create_table(&tables.client, url.secrets()).await?;
            }
        }
        Ok(Self::over(tables, retention_days))
    }

    /// Opens a table that is there, and makes none.
    ///
    /// # Errors
    /// As [`Self::open`]; [`StoreError::Missing`] when the table does not exist.
    pub async fn open_existing(url: &DynamoDbUrl, retention_days: u32, metrics: Arc<Metrics>) -> Result<Self> {
        let this = Self::over(Tables::open(url, metrics).await?, retention_days);
        match this.kept_item().await {
            Err(StoreError::Unavailable { reason, .. }) if reason == errors::NO_TABLE => {
                Err(StoreError::Missing { what: format!("the table {} does not exist", url.table()) })
            }
            Err(error) => Err(error),
            Ok(()) => Ok(this),
        }
    }

    /// Reads one small item, consistently.
    async fn kept_item(&self) -> Result<()> {
        self.tables.get(&Key::new(keys::META, "kept"), true).await.map(drop)
    }

    fn over(tables: Tables, retention_days: u32) -> Self {
        let (feed, _) = broadcast::channel(FEED);
        Self {
            tables,
            kept: KnownKept::default(),
            retention: retention_days.into(),
            feed,
            writing: Mutex::default(),
            ended: Mutex::default(),
            written: Arc::default(),
            last_commit: LastCommit::default(),
        }
    }

    /// What requests have used since it was opened, as the service tells.
    #[must_use]
    pub fn consumed(&self) -> Consumed {
        self.tables.consumed()
    }

    fn writing(&self) -> Result<Writing> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.tables.opened()?;
        Ok(writing
            .get_or_insert_with(|| {
                let (feed, written) = (self.feed.clone(), Arc::clone(&self.written));
                let last_commit = self.last_commit.clone();
                let (writing, ended) = Writing::start(self.tables.clone(), self.retention, feed, written, last_commit);
                *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
                writing
            })
            .clone())
    }

    /// Whether reads have to see what was just written here.
    fn consistent(&self) -> bool {
        self.written.consistent()
    }

    /// Asks a question and notes how long it took.
    async fn timed<T>(&self, query_type: &'static str, question: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let started = Instant::now();
        let answer = question.await;
        self.tables.metrics.queried(query_type, started.elapsed());
        answer
    }
}

#[async_trait]
impl Blocks for DynamoDb {
    async fn put_block(&self, site: &Site, kind: BlockKind, day: Day, bytes: Vec<u8>) -> Result<()> {
        let put = self.timed("put_block", blocks::put(&self.tables, site, kind, day, &bytes)).await;
        self.written.touch();
        put
    }

    async fn blocks(&self, site: &Site, kind: BlockKind, days: Range<Day>) -> Result<Vec<(Day, Vec<u8>)>> {
        self.timed("blocks", blocks::read(&self.tables, site, kind, days, self.consistent())).await
    }

    async fn delete_blocks(&self, kind: BlockKind, before: Day) -> Result<u64> {
        blocks::delete(&self.tables, kind, before).await
    }
}

#[async_trait]
impl Append for DynamoDb {
    async fn append(&self, events: Vec<Event>, now: Timestamp) -> Result<Vec<Appended>> {
        self.writing()?.append(events, now).await
    }
}

#[async_trait]
impl LiveTotals for DynamoDb {
    async fn realtime(&self, site: &Site, now: Timestamp, window: i64) -> Result<Realtime> {
        let kept = self.kept.get(&self.tables).await?;
        self.timed("realtime", presence::realtime(&self.tables, kept, site, now, window, self.consistent())).await
    }

    async fn totals(&self, site: &Site, period: PeriodKey) -> Result<Totals> {
        let kept = self.kept.get(&self.tables).await?;
        self.timed("totals", figures::totals(&self.tables, kept, site, period, self.consistent())).await
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
impl Feed for DynamoDb {
    fn subscribe(&self) -> broadcast::Receiver<Arc<[Committed]>> {
        self.feed.subscribe()
    }

    async fn position(&self, site: &Site, id: Uuid) -> Result<Option<Position>> {
        let kept = self.kept.get(&self.tables).await?;
        self.timed("position", feed::position(&self.tables, kept, site, id, self.consistent())).await
    }

    async fn committed_after(&self, site: &Site, after: Position, limit: usize) -> Result<Vec<Committed>> {
        let kept = self.kept.get(&self.tables).await?;
        self.timed("feed", feed::committed_after(&self.tables, kept, site, after, limit, &self.written)).await
    }

    async fn timeline(&self, site: &Site, from: TimelineFrom, limit: usize) -> Result<Vec<Event>> {
        let kept = self.kept.get(&self.tables).await?;
        self.timed("timeline", timeline::timeline(&self.tables, kept, site, from, limit, self.consistent())).await
    }
}

#[async_trait]
impl Keep for DynamoDb {
    async fn secret(&self, name: SecretName, fresh: Secret, now: Timestamp) -> Result<Secret> {
        secrets::secret(&self.tables, name, fresh, now).await
    }

    async fn destroy_secrets(&self, now: Timestamp) -> Result<u64> {
        secrets::destroy(&self.tables, now).await
    }

    async fn claim_cleanup(&self, now: Timestamp) -> Result<bool> {
        facts::claim_cleanup(&self.tables, now).await
    }

    async fn cleaned(&self, at: Timestamp) -> Result<()> {
        facts::cleaned(&self.tables, at).await
    }

    async fn last_cleaned(&self) -> Result<Option<Timestamp>> {
        facts::last_cleaned(&self.tables).await
    }

    async fn kept_since(&self) -> Result<Option<Day>> {
        Ok(self.kept.get(&self.tables).await?.events)
    }

    async fn lower_kept(&self, to: Day) -> Result<()> {
        self.kept.lower(&self.tables, to).await
    }

    async fn event_days(&self, until: Timestamp) -> Result<Option<RangeInclusive<Day>>> {
        expiry::event_days(&self.tables, until).await
    }

    async fn waited(&self) -> Result<Option<Waited>> {
        facts::waited(&self.tables).await
    }

    async fn note_waited(&self, waited: Option<Waited>) -> Result<()> {
        facts::note_waited(&self.tables, waited).await
    }
}

#[async_trait]
impl Admin for DynamoDb {
    async fn delete_before(&self, cutoff: Day, now: Timestamp) -> Result<Step> {
        let step = expiry::delete_before(&self.tables, &self.kept, cutoff, now).await;
        self.written.touch();
        step
    }

    async fn verify(&self, now: Timestamp, progress: Progress) -> Result<Recount> {
        let kept = self.kept.get(&self.tables).await?.covered(now, self.retention);
        let mut recount = Recount::default();
        for site in figures::sites(&self.tables, true).await? {
            recount::compare(&self.tables, &site, kept, now, &progress, &mut recount).await?;
        }
        Ok(recount)
    }

    async fn rebuild(&self, now: Timestamp, progress: Progress) -> Result<Recount> {
        let rest = self.writing()?.rest().await?;
        let kept = self.kept.get(&self.tables).await?.covered(now, self.retention);
        let mut recount = Recount::default();
        for site in figures::sites(&self.tables, true).await? {
            rebuild::rebuild(&self.tables, &site, kept, self.retention, now, &progress, &mut recount).await?;
        }
        drop(rest);
        self.written.touch();
        Ok(recount)
    }

    async fn check(&self) -> Result<()> {
        self.last_commit.check(ENGINE)?;
        facts::write_check(&self.tables).await
    }
}

#[async_trait]
impl Store for DynamoDb {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    async fn sites(&self) -> Result<Vec<Site>> {
        self.timed("sites", figures::sites(&self.tables, self.consistent())).await
    }

    fn version(&self) -> Option<u64> {
        // Others write too, and nobody tells.
        None
    }

    async fn close(&self) {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(writing);
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ended) = ended {
            // An error is as good as the message: the task has ended.
            let _ = ended.await;
        }
        self.tables.close();
    }
}
