//! The embedded engine: one file, one thread that writes, a few connections that read.
//!
//! - Group commit: whatever requests wait while a commit is being made durable go into the
//!   next one together, and each is answered after its own commit (`writer`).
//! - WAL with `synchronous=FULL`: an answer means an fsync.
//! - Events and aggregates change in one transaction (`aggregates`).
//! - Several processes may share the file: what another one stored is seen by reads at once,
//!   and in kept answers within a second. The live feed shows only what this process stored.

mod aggregates;
mod append;
mod checkpoint;
mod connection;
mod expiry;
mod reads;
mod recount;
mod rows;
mod writer;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{broadcast, oneshot};
use uuid::Uuid;

use self::checkpoint::Checkpointer;
use self::connection::{ENGINE, closed};
use self::reads::Readers;
use self::writer::Handle;
use super::{
    Appended, ClickCell, Committed, Position, Progress, Ranking, Realtime, Recount, Result, Secret, SecretName, Span,
    Step, Store, StoreError, TimelineFrom, Totals,
};
use crate::event::Event;
use crate::metrics::Metrics;
use crate::period::PeriodKey;
use crate::site::Site;
use crate::tally::Dimension;
use crate::time::{Day, HOUR, Timestamp};

/// How far back `presence` reaches, in milliseconds: the widest active window.
const MOST_PRESENT: i64 = HOUR;
/// How many commits a listener of the feed may lag behind before it must catch up by reading.
const FEED: usize = 1_024;
/// How often somebody looks whether another process wrote to the file.
const LOOK_AROUND: Duration = Duration::from_millis(500);

/// A store in one SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    writer: RwLock<Option<Handle>>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
    readers: Readers,
    feed: broadcast::Sender<Arc<[Committed]>>,
    version: Arc<AtomicU64>,
}

impl Sqlite {
    /// Opens the file, or makes it and the folders above it, and brings its schema up to date.
    ///
    /// # Errors
    /// When the file cannot be opened, or is no database, or one of a newer version.
    pub async fn open(path: &Path, metrics: Arc<Metrics>) -> Result<Self> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || Self::open_blocking(path, metrics)).await;
        let this = opened.map_err(|error| StoreError::Other { engine: ENGINE, source: error.into() })??;
        if let Ok(writer) = this.writer() {
            tokio::spawn(look_around(writer));
        }
        Ok(this)
    }

    fn open_blocking(path: PathBuf, metrics: Arc<Metrics>) -> Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| StoreError::Unavailable {
                engine: ENGINE,
                reason: format!("cannot make the folder {}: {error}", folder.display()),
            })?;
        }
        let mut connection = connection::open_writer(&path)?;
        connection::migrate(&mut connection)?;
        let version = Arc::new(AtomicU64::new(0));
        let (feed, _) = broadcast::channel(FEED);
        let checkpointer = Checkpointer::start(&path, Arc::clone(&metrics))?;
        let (writer, ended) =
            writer::start(connection, checkpointer, Arc::clone(&version), feed.clone(), Arc::clone(&metrics))?;
        Ok(Self {
            readers: Readers::new(path.clone(), metrics),
            path,
            writer: RwLock::new(Some(writer)),
            ended: Mutex::new(Some(ended)),
            feed,
            version,
        })
    }

    fn writer(&self) -> Result<Handle> {
        self.writer.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)
    }
}

/// Ends when the store is closed: it holds no more than a weak handle in between.
async fn look_around(writer: Handle) {
    let weak = writer.downgrade();
    drop(writer);
    loop {
        tokio::time::sleep(LOOK_AROUND).await;
        let Some(writer) = weak.upgrade() else { return };
        if writer.run(writer::Writer::look_around).await.is_err() {
            return;
        }
    }
}

async fn recounting(work: impl FnOnce() -> rusqlite::Result<Recount> + Send + 'static) -> Result<Recount> {
    let counted = tokio::task::spawn_blocking(work).await;
    Ok(counted.map_err(|error| StoreError::Other { engine: ENGINE, source: error.into() })??)
}

#[async_trait]
impl Store for Sqlite {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    async fn append(&self, events: Vec<Event>, now: Timestamp) -> Result<Vec<Appended>> {
        self.writer()?.append(events, now).await
    }

    async fn realtime(&self, site: &Site, now: Timestamp, window: i64) -> Result<Realtime> {
        let site = site.clone();
        self.readers.ask("realtime", move |connection| reads::realtime(connection, &site, now, window)).await
    }

    async fn totals(&self, site: &Site, period: PeriodKey) -> Result<Totals> {
        let site = site.clone();
        self.readers.ask("totals", move |connection| reads::totals(connection, &site, period)).await
    }

    async fn ranking(&self, site: &Site, dimension: Dimension, span: Span, limit: usize) -> Result<Ranking> {
        let site = site.clone();
        self.readers.ask("ranking", move |connection| reads::ranking(connection, &site, dimension, span, limit)).await
    }

    async fn daily(&self, site: &Site, dimension: Dimension, value: &str, days: Range<Day>) -> Result<Vec<(Day, u64)>> {
        let (site, value) = (site.clone(), value.to_owned());
        self.readers.ask("daily", move |connection| reads::daily(connection, &site, dimension, &value, days)).await
    }

    async fn timeline(&self, site: &Site, from: TimelineFrom, limit: usize) -> Result<Vec<Event>> {
        let site = site.clone();
        self.readers.ask("timeline", move |connection| reads::timeline(connection, &site, from, limit)).await
    }

    async fn heatmap(
        &self,
        site: &Site,
        page: Option<&str>,
        hours: Range<i64>,
        limit: usize,
    ) -> Result<Vec<ClickCell>> {
        let (site, page) = (site.clone(), page.map(str::to_owned));
        self.readers
            .ask("heatmap", move |connection| reads::heatmap(connection, &site, page.as_deref(), hours, limit))
            .await
    }

    async fn sites(&self) -> Result<Vec<Site>> {
        self.readers.ask("sites", reads::sites).await
    }

    fn subscribe(&self) -> broadcast::Receiver<Arc<[Committed]>> {
        self.feed.subscribe()
    }

    async fn position(&self, site: &Site, id: Uuid) -> Result<Option<Position>> {
        let site = site.clone();
        self.readers.ask("position", move |connection| reads::position(connection, &site, id)).await
    }

    async fn committed_after(&self, site: &Site, after: Position, limit: usize) -> Result<Vec<Committed>> {
        let site = site.clone();
        self.readers.ask("feed", move |connection| reads::committed_after(connection, &site, after, limit)).await
    }

    async fn secret(&self, name: SecretName, fresh: Secret, now: Timestamp) -> Result<Secret> {
        self.writer()?.run(move |writer| expiry::secret(writer, name, fresh, now)).await
    }

    async fn destroy_secrets(&self, now: Timestamp) -> Result<u64> {
        self.writer()?.run(move |writer| expiry::destroy_secrets(writer, now)).await
    }

    async fn delete_before(&self, cutoff: Day, now: Timestamp) -> Result<Step> {
        self.writer()?.run(move |writer| expiry::delete_before(writer, cutoff, now)).await
    }

    async fn claim_cleanup(&self, now: Timestamp) -> Result<bool> {
        self.writer()?.run(move |writer| expiry::claim_cleanup(writer, now)).await
    }

    async fn cleaned(&self, at: Timestamp) -> Result<()> {
        self.writer()?.run(move |writer| expiry::note(writer, "last_cleaned", at.millis())).await
    }

    async fn last_cleaned(&self) -> Result<Option<Timestamp>> {
        let at = self.readers.ask("meta", |connection| reads::fact(connection, "last_cleaned")).await?;
        Ok(at.map(Timestamp::from_millis))
    }

    async fn kept_since(&self) -> Result<Option<Day>> {
        let day = self.readers.ask("meta", |connection| reads::fact(connection, "kept_since")).await?;
        Ok(day.and_then(|day| i32::try_from(day).ok()).map(Day::from_number))
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

    async fn check(&self) -> Result<()> {
        // Through the writer, with its lock: what can do this can take events.
        self.writer()?.run(|writer| Ok(writer.transaction(|_| Ok(()))?)).await
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
