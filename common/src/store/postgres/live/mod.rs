//! Redis: the feed between instances, shared rate limits, and a projection of the figures for other
//! programs. No answer is read from it, so it may be away, empty, stale or wrong at any time.
//!
//! - **Feed** (`feed`, `sequence`, `message`): every commit is published to the other instances; what
//!   no message brings is found by its position in PostgreSQL.
//! - **Limits** (`limits`): token buckets that all instances share.
//! - **Projection** (`projection`, `keys`, `apply.lua`): counters, sketches of distinct visitors,
//!   themes and visitors by last seen. Each site has a watermark, up to which position its events
//!   were applied, and a list of its periods that have keys (`periods`), so that a missing key is known
//!   to have been evicted or never to have been made. A batch is applied by one script, which does nothing unless
//!   the watermark stands exactly where the batch begins; so applying again is harmless, and whatever
//!   Redis lost or never got shows in the watermark. One that stands too low is moved on with events
//!   read from PostgreSQL (`repair`); one that is missing, ahead or of other events means a rebuild
//!   from one snapshot (`rebuild`), by one process.
//! - **Connection** (`link`, `breaker`): the first command that fails, or takes longer than 250 ms,
//!   opens the breaker, and nothing waits for Redis until a probe has succeeded.
//!
//! `outbox` sends what is committed, in order; `watch` looks twice a second for what is missing. A
//! function in Lambda, which is frozen between requests, uses the limits and nothing else.

mod address;
mod breaker;
mod feed;
mod keys;
mod limits;
mod link;
mod message;
mod outbox;
mod periods;
mod projection;
mod rebuild;
mod repair;
mod script;
mod sequence;
#[cfg(test)]
mod tests;
mod watch;
mod watermark;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, broadcast, mpsc};
use tokio::task::JoinHandle;

use self::feed::Feed;
use self::limits::Buckets;
use self::link::Link;
use self::outbox::Outgoing;
use self::projection::{SyncState, SyncStates};
use self::watch::Watch;
use super::Options;
use super::append::SiteBatch;
use super::connection::Connections;
use super::presence;
use crate::metrics::Metrics;
use crate::site::Site;
use crate::store::{News, Result, SharedLimits};
use crate::time::Timestamp;

/// How often a rebuild that an erasure needs is tried again, and how long lies between.
const REBUILD_RETRIES: u32 = 8;
const REBUILD_PAUSE: Duration = Duration::from_millis(250);

/// Redis's side of the engine.
#[derive(Debug)]
pub(super) struct Live {
    shared: Arc<Shared>,
    buckets: Arc<Buckets>,
    outbox: Mutex<Option<mpsc::Sender<Outgoing>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    background: bool,
}

/// What its tasks share.
#[derive(Debug)]
struct Shared {
    link: Arc<Link>,
    connections: Connections,
    /// The store's id, as watermarks and messages have it.
    store: String,
    feed: Feed,
    states: SyncStates,
    /// The database's epoch and the connection to Redis for which all watermarks were compared with
    /// the events that they name.
    compared: Mutex<Option<(u64, u64)>>,
    /// When each site was last stored to or asked for: those are repaired first.
    used: Mutex<HashMap<Site, Instant>>,
    /// The time that was passed in last, and when: repairs need one.
    clock: Mutex<Option<(Timestamp, Instant)>>,
    /// PostgreSQL's clock, and when it was read.
    server_clock: Mutex<(Timestamp, Instant)>,
    /// A site is out of sync.
    repair: Notify,
    metrics: Arc<Metrics>,
}

impl Live {
    /// Connects, if Redis is there. Without `background` nothing is done between calls.
    ///
    /// # Errors
    /// When the address is none, or PostgreSQL does not answer; never because Redis is away.
    pub(super) async fn open(
        url: &str,
        connections: Connections,
        Options { background, limit_within, .. }: Options,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        let store = connections.ask("open", |client| async move {
            let row = client.query_one("select id from analytics_store", &[]).await?;
            row.try_get::<_, uuid::Uuid>(0)
        });
        let store = store.await?.to_string();
        let link = Arc::new(Link::new(url, &store, Arc::clone(&metrics))?);
        let epoch = connections.epoch();
        let found = super::feed::look(&connections).await?;
        let buckets = Arc::new(Buckets::new(Arc::clone(&link), background, limit_within));
        let shared = Arc::new(Shared {
            feed: Feed::new(connections.clone(), &store, epoch, &found.positions),
            link,
            connections,
            store,
            states: SyncStates::default(),
            compared: Mutex::default(),
            used: Mutex::default(),
            clock: Mutex::default(),
            server_clock: Mutex::new((found.now, Instant::now())),
            repair: Notify::new(),
            metrics,
        });
        shared.link.probe().await;
        let (sender, queue) = mpsc::channel(outbox::QUEUE_LIMIT);
        let mut tasks = Vec::new();
        if background {
            tasks.push(tokio::spawn(outbox::run(Arc::clone(&shared), queue)));
            let watch = Watch::after(found);
            tasks.push(tokio::spawn(watch::run(Arc::clone(&shared), watch)));
            tasks.push(tokio::spawn(repair::run(Arc::clone(&shared))));
            let listener = Arc::clone(&shared);
            tasks.push(tokio::spawn(async move {
                listener.feed.listen(listener.link.client(), &listener.link.attention).await;
            }));
            let filler = Arc::clone(&shared);
            tasks.push(tokio::spawn(async move { filler.feed.fill_gaps().await }));
            let buckets = Arc::clone(&buckets);
            tasks.push(tokio::spawn(async move { buckets.send().await }));
        }
        let outbox = Mutex::new(background.then_some(sender));
        Ok(Self { shared, buckets, outbox, tasks: Mutex::new(tasks), background })
    }

    /// Takes what was committed, in the order of commits.
    pub(super) fn committed(&self, batches: Vec<SiteBatch>, now: Timestamp) {
        for batch in &batches {
            self.shared.feed.offer(&batch.site, batch.from, batch.to, &batch.committed);
            self.shared.use_site(&batch.site);
        }
        let now = self.shared.set_clock(now);
        // What does not fit is missing in the projection and in the feed of other instances, which
        // both find out from PostgreSQL; so it is when the process ends here.
        if let Some(outbox) = &*self.outbox.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = outbox.try_send(Outgoing { batches, now });
        }
    }

    /// How many visitors' latest events lie within the window.
    pub(super) async fn current_visitors(&self, site: &Site, now: Timestamp, window: i64) -> Result<u64> {
        self.shared.set_clock(now);
        self.shared.use_site(site);
        let Shared { feed, connections, .. } = &*self.shared;
        if self.background {
            feed.presence.current(connections, site, now, window).await
        } else {
            presence::count(connections, site, now, window).await
        }
    }

    /// `redis`, while limits and feed have to do without it.
    pub(super) fn degraded(&self) -> Vec<&'static str> {
        if self.shared.link.is_open() { vec!["redis"] } else { Vec::new() }
    }

    /// Moves with everything that may change an answer; `None` while other instances' commits may
    /// come late.
    pub(super) fn version(&self) -> Option<u64> {
        // Read first: what changes after that must make it an old one.
        let version = self.shared.feed.version();
        (self.background && self.shared.feed.is_connected()).then_some(version)
    }

    /// The shared token buckets.
    pub(super) fn limits(&self) -> Arc<dyn SharedLimits> {
        Arc::clone(&self.buckets) as Arc<dyn SharedLimits>
    }

    /// The events of all instances.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<News> {
        self.shared.feed.subscribe()
    }

    /// Notes that this process has changed what answers are made of, other than by commits.
    pub(super) fn changed(&self) {
        self.shared.feed.changed();
    }

    /// Notes that this process has removed a site.
    pub(super) async fn forget(&self, site: &Site) {
        self.shared.forget(site).await;
    }

    /// A visitor of the site was erased: the projection is rebuilt without.
    ///
    /// # Errors
    /// When Redis or PostgreSQL does not answer.
    pub(super) async fn erased(&self, site: &Site) -> Result<()> {
        self.shared.feed.erased(site);
        // Another process, or a repair of this one, may be at it for a moment.
        let mut rebuilt = self.shared.rebuild_site(site, true).await;
        for _ in 0..REBUILD_RETRIES {
            if rebuilt.is_ok() {
                break;
            }
            tokio::time::sleep(REBUILD_PAUSE).await;
            rebuilt = self.shared.rebuild_site(site, true).await;
        }
        rebuilt
    }

    /// Rebuilds the projection of all sites.
    ///
    /// # Errors
    /// When Redis or PostgreSQL does not answer.
    pub(super) async fn rebuild(&self, now: Timestamp) -> Result<()> {
        self.shared.set_clock(now);
        self.shared.rebuild_all().await
    }

    /// Sends what was committed and stops everything.
    pub(super) async fn close(&self) {
        drop(self.outbox.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks.iter().skip(1) {
            task.abort();
        }
        // The outbox ends by itself when its queue is empty.
        if let Some(outbox) = tasks.first_mut() {
            let _ = outbox.await;
        }
        self.shared.link.release_claim().await;
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}

impl Shared {
    /// What Redis forgets is gone for all instances, so the clock of one that is ahead counts no
    /// further than PostgreSQL's.
    fn no_later_than_server(&self, now: Timestamp) -> Timestamp {
        let server = *self.server_clock.lock().unwrap_or_else(PoisonError::into_inner);
        now.min(time_of(Some(server)))
    }

    /// Notes what time it is; answers the time that counts.
    fn set_clock(&self, now: Timestamp) -> Timestamp {
        let now = self.no_later_than_server(now);
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Instant::now()));
        now
    }

    fn set_server_clock(&self, now: Timestamp) {
        *self.server_clock.lock().unwrap_or_else(PoisonError::into_inner) = (now, Instant::now());
    }

    fn use_site(&self, site: &Site) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        match used.get_mut(site) {
            Some(at) => *at = Instant::now(),
            // Only sites that there are: a question may be about any.
            None if self.feed.has(site) => drop(used.insert(site.clone(), Instant::now())),
            None => {}
        }
    }

    /// Forgets a site that was removed. Its figures in Redis go with the time that they live; without a
    /// watermark they are replaced if the site comes back.
    async fn forget(&self, site: &Site) {
        self.feed.forget(site);
        self.used.lock().unwrap_or_else(PoisonError::into_inner).remove(site);
        self.states.improve(site, SyncState::InSync);
        let mut unlink = redis::cmd("UNLINK");
        unlink
            .arg(keys::watermark(site))
            .arg(keys::visitors(site))
            .arg(keys::themes_top(site))
            .arg(keys::periods(site));
        // Each process does so that notices the removal; from this one Redis may be away.
        let _ = self.link.ask_one("rebuild", unlink).await;
    }

    /// What time it is, as far as it was passed in.
    fn clock(&self) -> Timestamp {
        time_of(*self.clock.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The database's epoch and the connection to Redis; none while Redis is away.
    fn history(&self) -> Option<(u64, u64)> {
        Some((self.connections.epoch(), self.link.generation()?))
    }

    fn compared(&self, history: Option<(u64, u64)>) {
        *self.compared.lock().unwrap_or_else(PoisonError::into_inner) = history;
    }

    /// Whether watermarks were compared with events since a database or a Redis was found.
    fn is_compared(&self) -> bool {
        let compared = *self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        compared.is_some() && compared == self.history()
    }

    /// Notes that a site is out of sync, and has it repaired.
    fn out_of_sync(&self, site: &Site, state: SyncState) {
        self.states.worsen(site, state);
        self.count_out_of_sync();
        self.repair.notify_one();
    }

    fn count_out_of_sync(&self) {
        self.metrics.redis_sites_behind.set(self.states.out_of_sync().len() as i64);
    }
}

/// The time that was passed in, and what has passed since.
fn time_of(clock: Option<(Timestamp, Instant)>) -> Timestamp {
    let passed = |at: Instant| i64::try_from(at.elapsed().as_millis()).unwrap_or(i64::MAX);
    clock.map_or_else(|| Timestamp::from_millis(0), |(now, at)| now.plus(passed(at)))
}
