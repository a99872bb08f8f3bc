//! The embedded engine: one file, one thread that writes, a few connections that read.
//!
//! - Group commit: whatever requests wait while a commit is being made durable go into the
//!   next one together, and each is answered after its own commit (`writer`).
//! - WAL with `synchronous=FULL`: an answer means an fsync.
//! - Events and totals change in one transaction (`append`, `totals`).
//! - `backup` copies the file while it is in use, and `restore` replaces it (`backup`); after a
//!   quiet period the file alone holds everything, and marks in it tell whether the log beside it
//!   is its own (`marks`).
//! - Several processes may share the file: what another one stored is seen by reads at once,
//!   and in kept answers within a second. The live feed shows only what this process stored.

mod append;
mod backup;
mod blocks;
mod checkpoint;
mod compact;
mod connection;
mod erasure;
mod expiry;
mod feed;
mod keep;
mod lock;
mod marks;
mod not_stored;
mod presence;
mod readers;
mod records;
mod recount;
mod rows;
mod sites;
mod totals;
mod upkeep;
mod writer;

pub use self::backup::{backup, restore};

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{broadcast, oneshot};
use uuid::Uuid;

use self::checkpoint::Checkpointer;
use self::connection::{ENGINE, Found, closed};
use self::lock::Lock;
use self::readers::Readers;
use self::writer::Handle;
use super::not_stored::Counts;
use super::{
    Admin, Append, Appended, BlockKind, Blocks, Committed, Feed, Keep, LiveTotals, News, Outcomes, Position, Progress,
    Realtime, RecordKind, Records, Recount, Result, Secret, SecretName, Step, Store, StoreError, TimelineFrom, Totals,
    Visitors, Waited,
};
use crate::event::Event;
use crate::metrics::Metrics;
use crate::period::PeriodKey;
use crate::site::Site;
use crate::time::{Day, Timestamp};
use crate::visitor::VisitorId;

/// How many commits a listener of the feed may lag behind before it must catch up by reading.
const FEED: usize = 1_024;
/// How often the file is checked for writes of other processes.
const LOOK_AROUND: Duration = Duration::from_millis(500);

/// How often cutting off the log is tried again while readers are in the way, and how long lies between.
const CUT_ATTEMPTS: u32 = 40;
const CUT_PAUSE: Duration = Duration::from_millis(50);

/// A store in one SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    writer: RwLock<Option<Handle>>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
    readers: Readers,
    feed: broadcast::Sender<News>,
    version: Arc<AtomicU64>,
    lock: Lock,
}

impl Sqlite {
    /// Opens the file, or makes it and the folders above it, and brings its schema up to date.
    ///
    /// # Errors
    /// When the file cannot be opened or written, or is no database, one of another program or
    /// of a newer version, or does not belong to the log beside it.
    pub async fn open(path: &Path, metrics: Arc<Metrics>) -> Result<Self> {
        Self::open_as(path, true, metrics).await
    }

    /// Opens a file that is a store already, and creates none.
    ///
    /// # Errors
    /// As [`Self::open`]; [`StoreError::Missing`] when there is no store; when the file was
    /// copied without its log.
    pub async fn open_existing(path: &Path, metrics: Arc<Metrics>) -> Result<Self> {
        Self::open_as(path, false, metrics).await
    }

    async fn open_as(path: &Path, create: bool, metrics: Arc<Metrics>) -> Result<Self> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || Self::open_blocking(path, create, metrics)).await;
        let this = opened.map_err(|error| StoreError::Other { engine: ENGINE, source: error.into() })??;
        if let Ok(writer) = this.writer() {
            tokio::spawn(look_around(writer));
        }
        Ok(this)
    }

    fn open_blocking(path: PathBuf, create: bool, metrics: Arc<Metrics>) -> Result<Self> {
        if create {
            connection::make_folder(&path)?;
        } else if !path.exists() {
            return Err(StoreError::Missing { what: path.display().to_string() });
        }
        let lock = Lock::open(&path)?;
        if lock.try_exclusive()? {
            marks::refuse(&path, lock.beginning(), create)?;
            // Only a log that is begun now has a number that does not follow from the file's. A note
            // of an earlier start that ended early stays until the file has the new number.
            if marks::read_salt(&path).is_none() {
                lock.note_beginning(marks::marks(&path).map(|(salt, _)| salt))?;
            }
        }
        lock.shared()?;
        if connection::find(&path)? == Found::Nothing && !create {
            return Err(StoreError::Missing { what: path.display().to_string() });
        }
        connection::make_file(&path).map_err(|error| unwritable(&path, &error))?;
        let mut connection = connection::open_writer(&path).map_err(|error| cannot_write(&path, error))?;
        connection::migrate(&mut connection)?;
        // Records in the file that there is a log from now on, and fails for a store that cannot be
        // written.
        marks::record(&connection, &path, true).map_err(|error| cannot_write(&path, error))?;
        connection.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(()))?;
        lock.note_beginning(None)?;
        let version = Arc::new(AtomicU64::new(0));
        let (feed, _) = broadcast::channel(FEED);
        let checkpointer = Checkpointer::start(&path, &mut connection, Arc::clone(&metrics))?;
        let (writer, ended) =
            writer::start(&path, connection, checkpointer, Arc::clone(&version), feed.clone(), Arc::clone(&metrics))?;
        Ok(Self {
            readers: Readers::new(path.clone(), metrics),
            path,
            writer: RwLock::new(Some(writer)),
            ended: Mutex::new(Some(ended)),
            feed,
            version,
            lock,
        })
    }

    fn writer(&self) -> Result<Handle> {
        self.writer.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)
    }
}

fn cannot_write(path: &Path, error: rusqlite::Error) -> StoreError {
    if connection::is_damage(&error) {
        return error.into();
    }
    unwritable(path, &error)
}

fn unwritable(path: &Path, error: &dyn std::error::Error) -> StoreError {
    let path = path.display();
    let reason = format!("{path} cannot be written ({error}): look at its permissions, and whether the disk is full");
    StoreError::Unavailable { engine: ENGINE, reason }
}

/// Ends when the store is closed: it holds no more than a weak handle in between.
async fn look_around(writer: Handle) {
    let weak = writer.downgrade();
    drop(writer);
    loop {
        tokio::time::sleep(LOOK_AROUND).await;
        let Some(writer) = weak.upgrade() else { return };
        // What fails now is tried again; appends and checks report it.
        let _ = writer.run(writer::Writer::look_around).await;
    }
}

async fn recounting(work: impl FnOnce() -> rusqlite::Result<Recount> + Send + 'static) -> Result<Recount> {
    let counted = tokio::task::spawn_blocking(work).await;
    Ok(counted.map_err(|error| StoreError::Other { engine: ENGINE, source: error.into() })??)
}

#[async_trait]
impl Blocks for Sqlite {
    async fn put_block(&self, site: &Site, kind: BlockKind, day: Day, bytes: Vec<u8>) -> Result<()> {
        let site = site.clone();
        self.writer()?.run(move |writer| blocks::put(writer, &site, kind, day, &bytes)).await
    }

    async fn blocks(&self, site: &Site, kind: BlockKind, days: Range<Day>) -> Result<Vec<(Day, Vec<u8>)>> {
        let site = site.clone();
        self.readers.ask("blocks", move |connection| blocks::read(connection, &site, kind, days)).await
    }

    async fn delete_block(&self, site: &Site, kind: BlockKind, day: Day) -> Result<()> {
        let site = site.clone();
        self.writer()?.run(move |writer| blocks::delete_one(writer, &site, kind, day)).await
    }

    async fn delete_blocks(&self, kind: BlockKind, before: Day) -> Result<u64> {
        let mut deleted = 0;
        loop {
            match self.writer()?.run(move |writer| blocks::delete(writer, kind, before)).await? {
                0 => return Ok(deleted),
                step => deleted += step,
            }
        }
    }
}

#[async_trait]
impl Outcomes for Sqlite {
    async fn add_not_stored(&self, site: &Site, day: Day, counts: &Counts) -> Result<()> {
        let (site, counts) = (site.clone(), counts.clone());
        self.writer()?.run(move |writer| not_stored::add(writer, &site, day, &counts)).await
    }

    async fn not_stored(&self, site: &Site, days: Range<Day>) -> Result<Counts> {
        let site = site.clone();
        self.readers.ask("not_stored", move |connection| not_stored::read(connection, &site, days)).await
    }

    async fn delete_not_stored(&self, before: Day) -> Result<()> {
        while self.writer()?.run(move |writer| not_stored::delete(writer, before)).await? > 0 {}
        Ok(())
    }
}

#[async_trait]
impl Records for Sqlite {
    async fn put_record(&self, kind: RecordKind, id: Uuid, bytes: Vec<u8>) -> Result<()> {
        self.writer()?.run(move |writer| records::put(writer, kind, id, &bytes)).await
    }

    async fn record(&self, kind: RecordKind, id: Uuid) -> Result<Option<Vec<u8>>> {
        self.readers.ask("record", move |connection| records::read(connection, kind, id)).await
    }

    async fn records(&self, kind: RecordKind) -> Result<Vec<(Uuid, Vec<u8>)>> {
        self.readers.ask("records", move |connection| records::all(connection, kind)).await
    }

    async fn delete_record(&self, kind: RecordKind, id: Uuid) -> Result<bool> {
        self.writer()?.run(move |writer| records::delete(writer, kind, id)).await
    }
}

#[async_trait]
impl Visitors for Sqlite {
    async fn visit_days(&self, site: &Site, visitor: VisitorId) -> Result<Vec<Day>> {
        let site = site.clone();
        self.readers.ask("visitor", move |connection| erasure::visit_days(connection, &site, visitor)).await
    }

    async fn visitor_events(
        &self,
        site: &Site,
        visitor: VisitorId,
        day: Day,
        after: Option<(Timestamp, Uuid)>,
        limit: usize,
    ) -> Result<Vec<Event>> {
        let site = site.clone();
        let events = move |connection: &_| erasure::events(connection, &site, visitor, day, after, limit);
        self.readers.ask("visitor", events).await
    }

    async fn erase_events(&self, site: &Site, visitor: VisitorId, day: Day, now: Timestamp) -> Result<u64> {
        let site = site.clone();
        self.writer()?.run(move |writer| erasure::erase_events(writer, &site, visitor, day, now)).await
    }

    async fn forget_visitor(&self, site: &Site, visitor: VisitorId) -> Result<()> {
        let site = site.clone();
        self.writer()?.run(move |writer| erasure::forget_visitor(writer, &site, visitor)).await?;
        // Readers have old snapshots for moments only.
        for _ in 0..CUT_ATTEMPTS {
            if self.writer()?.run(keep::cut_log).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(CUT_PAUSE).await;
        }
        self.writer()?.run(keep::cut_log).await
    }
}

#[async_trait]
impl Append for Sqlite {
    async fn append(&self, events: Vec<Event>, now: Timestamp) -> Result<Vec<Appended>> {
        self.writer()?.append(events, now).await
    }

    async fn admit_sites(&self, sites: &BTreeSet<Site>) -> Result<()> {
        let sites = sites.clone();
        self.writer()?.run(move |writer| sites::admit(writer, &sites)).await
    }
}

#[async_trait]
impl LiveTotals for Sqlite {
    async fn realtime(&self, site: &Site, now: Timestamp, window: i64) -> Result<Realtime> {
        let site = site.clone();
        self.readers.ask("realtime", move |connection| totals::realtime(connection, &site, now, window)).await
    }

    async fn totals(&self, site: &Site, period: PeriodKey) -> Result<Totals> {
        let site = site.clone();
        self.readers.ask("totals", move |connection| totals::totals(connection, &site, period)).await
    }

    async fn daily(&self, site: &Site, days: Range<Day>) -> Result<Vec<(Day, Totals)>> {
        let site = site.clone();
        self.readers.ask("daily", move |connection| totals::daily(connection, &site, days)).await
    }
}

#[async_trait]
impl Feed for Sqlite {
    fn subscribe(&self) -> broadcast::Receiver<News> {
        self.feed.subscribe()
    }

    async fn position(&self, site: &Site, id: Uuid) -> Result<Option<Position>> {
        let site = site.clone();
        self.readers.ask("position", move |connection| feed::position(connection, &site, id)).await
    }

    async fn latest_position(&self, _: &Site) -> Result<Position> {
        self.readers.ask("position", feed::latest_position).await
    }

    async fn committed_after(&self, site: &Site, after: Position, limit: usize) -> Result<Vec<Committed>> {
        let site = site.clone();
        self.readers.ask("feed", move |connection| feed::committed_after(connection, &site, after, limit)).await
    }

    async fn timeline(&self, site: &Site, from: TimelineFrom, limit: usize) -> Result<Vec<Event>> {
        let site = site.clone();
        self.readers.ask("timeline", move |connection| feed::timeline(connection, &site, from, limit)).await
    }
}

#[async_trait]
impl Keep for Sqlite {
    async fn secret(&self, name: SecretName, fresh: Secret, now: Timestamp) -> Result<Secret> {
        self.writer()?.run(move |writer| keep::secret(writer, name, fresh, now)).await
    }

    async fn destroy_secrets(&self, now: Timestamp) -> Result<u64> {
        self.writer()?.run(move |writer| keep::destroy_secrets(writer, now)).await
    }

    async fn claim_cleanup(&self, now: Timestamp) -> Result<bool> {
        self.writer()?.run(move |writer| keep::claim_cleanup(writer, now)).await
    }

    async fn cleaned(&self, at: Timestamp) -> Result<()> {
        // A pass of the checkpointer holds the lock that cutting the log needs; it ends by itself.
        while self.writer()?.run(|writer| Ok(writer.is_written_back_elsewhere())).await? {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.writer()?.run(move |writer| keep::cleaned(writer, at)).await
    }

    async fn last_cleaned(&self) -> Result<Option<Timestamp>> {
        let at = self.readers.ask("meta", |connection| keep::fact(connection, "last_cleaned")).await?;
        Ok(at.map(Timestamp::from_millis))
    }

    async fn kept_since(&self) -> Result<Option<Day>> {
        let day = self.readers.ask("meta", |connection| keep::fact(connection, "kept_since")).await?;
        Ok(day.and_then(|day| i32::try_from(day).ok()).map(Day::from_number))
    }

    async fn lower_kept(&self, to: Day) -> Result<()> {
        self.writer()?.run(move |writer| keep::lower_kept(writer, to)).await
    }

    async fn event_days(&self, until: Timestamp) -> Result<Option<RangeInclusive<Day>>> {
        self.readers.ask("meta", move |connection| keep::event_days(connection, until)).await
    }

    async fn waited(&self) -> Result<Option<Waited>> {
        let number = self.readers.ask("meta", |connection| keep::fact(connection, "waited")).await?;
        Ok(number.filter(|number| *number > 0).map(Waited::from_number))
    }

    async fn note_waited(&self, waited: Option<Waited>) -> Result<()> {
        let number = waited.map_or(0, Waited::to_number);
        self.writer()?.run(move |writer| keep::note(writer, "waited", number)).await
    }
}

#[async_trait]
impl Admin for Sqlite {
    async fn delete_before(&self, cutoff: Day, now: Timestamp) -> Result<Step> {
        self.writer()?.run(move |writer| expiry::delete_before(writer, cutoff, now)).await
    }

    async fn remove_site(&self, site: &Site, _now: Timestamp) -> Result<bool> {
        let site = site.clone();
        self.writer()?.run(move |writer| sites::remove(writer, &site)).await
    }

    async fn verify(&self, now: Timestamp, progress: Progress) -> Result<Recount> {
        // A connection of its own: a recount may take minutes, and questions must not wait.
        let path = self.path.clone();
        recounting(move || recount::verify(&connection::open_writer(&path)?, now, &*progress)).await
    }

    async fn rebuild(&self, now: Timestamp, progress: Progress) -> Result<Recount> {
        let path = self.path.clone();
        recounting(move || recount::rebuild(&connection::open_writer(&path)?, now, &*progress)).await
    }

    async fn compact(&self, appended: u64) -> Result<()> {
        let Some(_alone) = self.lock.alone()? else { return Ok(()) };
        self.writer()?.run(move |writer| compact::compact(writer, appended)).await
    }

    async fn check(&self) -> Result<()> {
        self.writer()?.run(writer::Writer::check).await
    }
}

#[async_trait]
impl Store for Sqlite {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    async fn sites(&self) -> Result<Vec<Site>> {
        self.readers.ask("sites", sites::sites).await
    }

    /// The pages in use, and the write-ahead log.
    async fn used_bytes(&self) -> Result<Option<u64>> {
        let path = self.path.clone();
        // A connection of its own: appends that ask must not wait for questions.
        let asked = tokio::task::spawn_blocking(move || rows::used_bytes(&connection::open_reader(&path)?, &path));
        let used = asked.await.map_err(|error| StoreError::Other { engine: ENGINE, source: error.into() })??;
        Ok(Some(used))
    }

    fn version(&self) -> Option<u64> {
        Some(self.version.load(Ordering::Acquire))
    }

    async fn close(&self) {
        let writer = self.writer.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(writer);
        self.readers.close().await;
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ended) = ended {
            // An error is as good as the message: the thread has ended.
            let _ = ended.await;
        }
    }
}
