//! Redis, a projection of PostgreSQL that may die at any time: what is asked most often, the
//! live feed between instances, shared rate limits.
//!
//! **The mark.** Each site's keys hold what is counted from its events up to one position, which
//! is written in the key `applied`. A batch of events is applied by one script, which does
//! nothing unless the mark stands exactly where the batch begins: applying again is harmless,
//! and whatever Redis lost or never got shows in the mark. A mark that stands too low, after a
//! failed call, a crash, or a restart from an older copy, is moved on with events read from
//! PostgreSQL by position. A missing one, after a flush, an eviction, or a script that failed
//! halfway, means a rebuild from one snapshot. The mark also names the event at its position:
//! behind a PostgreSQL that was restored from a copy another one may stand there, and then what
//! Redis has counted is not what happened (`watch`, `mend`).
//!
//! **Who does it.** `applier` sends what is committed, in order; `watch` looks around every
//! second, for what this process or another one left behind; `mend` and `rebuild` repair.
//!
//! **While it is away.** The first command that fails, or takes longer than 250 ms, opens the
//! breaker (`breaker`, `link`). From then on nothing waits for Redis: events are durable without
//! it, questions are PostgreSQL's, buckets are the process's own. A probe a second closes it.
//!
//! **Answers** come from Redis only under a mark that is not older than what this process has
//! applied, read in the same step as the figures; and from a Redis that was away only after all
//! marks were looked at, because it may be an older copy of what it was. What another instance
//! has committed is in them within a second, if that instance died before it could apply it, and
//! else at once.

mod address;
mod applier;
mod breaker;
mod changes;
mod feed;
mod keys;
mod limits;
mod link;
mod mend;
mod message;
mod reads;
mod rebuild;
mod script;
mod sequence;
mod sites;
mod sketches;
#[cfg(test)]
mod tests;
mod verify;
mod watch;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, broadcast, mpsc};
use tokio::task::JoinHandle;

use self::applier::{Credits, Enqueued};
use self::feed::Feed;
use self::limits::Buckets;
use self::link::{Away, Link};
use self::sites::{Need, Sites};
use super::truth::Truth;
use crate::metrics::Metrics;
use crate::period::PeriodKey;
use crate::site::Site;
use crate::store::{Committed, Realtime, Recount, Result, SharedLimits, Totals};
use crate::tally::Ranking;
use crate::time::{Day, Timestamp};

/// Events of one site that were committed together.
#[derive(Debug)]
pub(super) struct SiteBatch {
    /// Their site.
    pub(super) site: Site,
    /// The position before the first of them.
    pub(super) from: u64,
    /// The position of the last of them.
    pub(super) to: u64,
    /// The events after `from` up to `to`.
    pub(super) committed: Vec<Committed>,
}

/// Redis's side of the engine.
#[derive(Debug)]
pub(super) struct Live {
    parts: Arc<Parts>,
    buckets: Arc<Buckets>,
    queue: Mutex<Option<mpsc::UnboundedSender<Enqueued>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What its tasks share.
#[derive(Debug)]
struct Parts {
    link: Arc<Link>,
    truth: Truth,
    /// The store's id, as marks and messages have it.
    store: String,
    sites: Sites,
    feed: Feed,
    credits: Mutex<Credits>,
    /// The latest time that anybody said it is, and when: whoever repairs needs one.
    clock: Mutex<Option<(Timestamp, Instant)>>,
    /// The connection on which all marks were looked at: before that, nothing is believed of a
    /// Redis that was found, which may be an older copy of what it was.
    looked_at: AtomicU64,
    /// Keys are being evicted: nothing is to be believed before that is over.
    evicting: AtomicBool,
    /// Whether work goes on between requests.
    background: bool,
    /// A site needs care.
    mend: Notify,
    metrics: Arc<Metrics>,
}

impl Live {
    /// Connects, if Redis is there; looks which sites it has right, and starts to care for the
    /// others. Without `background` nothing is done between calls, nothing is heard of
    /// other instances, and what was left behind is repaired by whoever next comes across it.
    ///
    /// # Errors
    /// When the address is none, or PostgreSQL does not answer; never because Redis is away.
    pub(super) async fn open(url: &str, truth: Truth, background: bool, metrics: Arc<Metrics>) -> Result<Self> {
        let link = Arc::new(Link::new(url, Arc::clone(&metrics))?);
        let positions = truth.positions().await?;
        let parts = Arc::new(Parts {
            store: truth.store_id().to_string(),
            feed: Feed::new(truth.clone(), &positions),
            link,
            truth,
            sites: Sites::default(),
            credits: Mutex::default(),
            clock: Mutex::default(),
            looked_at: AtomicU64::new(0),
            evicting: AtomicBool::new(false),
            background,
            mend: Notify::new(),
            metrics,
        });
        parts.probe().await;
        let before = parts.look_at_marks(&positions.into_iter().collect()).await?;
        let buckets = Arc::new(Buckets::new(Arc::clone(&parts.link), background));
        let (sender, queue) = mpsc::unbounded_channel();
        let mut tasks = Vec::new();
        if background {
            tasks.push(tokio::spawn(applier::run(Arc::clone(&parts), queue)));
            tasks.push(tokio::spawn(watch::run(Arc::clone(&parts), before)));
            tasks.push(tokio::spawn(mend::run(Arc::clone(&parts))));
            let listener = Arc::clone(&parts);
            tasks.push(tokio::spawn(async move {
                listener.feed.listen(listener.link.client(), &listener.link.attention).await;
            }));
            let filler = Arc::clone(&parts);
            tasks.push(tokio::spawn(async move { filler.feed.fill_gaps().await }));
            let buckets = Arc::clone(&buckets);
            tasks.push(tokio::spawn(async move { buckets.send().await }));
        }
        let queue = background.then_some(sender);
        Ok(Self { parts, buckets, queue: Mutex::new(queue), tasks: Mutex::new(tasks) })
    }

    /// Applies what was committed, and tells the feed. To be called in the order of commits: the
    /// call itself is what counts, not when its answer is awaited. Answers for each event of
    /// each batch, in order, whether its visitor is new to its day; as far as Redis can tell,
    /// and `false` while it cannot.
    pub(super) fn apply(&self, batches: Vec<SiteBatch>, now: Timestamp) -> impl Future<Output = Vec<bool>> + use<> {
        let count = batches.iter().map(|batch| batch.committed.len()).sum();
        self.parts.tell_time(now);
        let parts = Arc::clone(&self.parts);
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut inline = None;
        let mut answer = None;
        match queue {
            Some(queue) => {
                let (reply, news) = tokio::sync::oneshot::channel();
                // A closed engine applies nothing any more; whoever opens next does.
                if queue.send(Enqueued { batches, now, reply }).is_ok() {
                    answer = Some(news);
                }
            }
            None if !self.parts.background => inline = Some(batches),
            None => {}
        }
        async move {
            let news = match (inline, answer) {
                (Some(batches), _) => parts.apply_inline(batches, now).await,
                (None, Some(news)) => news.await.unwrap_or_default(),
                (None, None) => Vec::new(),
            };
            if news.len() == count { news } else { vec![false; count] }
        }
    }

    /// As [`Store::realtime`](crate::store::Store::realtime); `None` when PostgreSQL has to be
    /// asked.
    pub(super) async fn realtime(&self, site: &Site, now: Timestamp, window: i64) -> Option<Realtime> {
        self.parts.tell_time(now);
        self.parts.care_inline(site).await;
        self.parts.realtime(site, now, window).await
    }

    /// As [`Store::totals`](crate::store::Store::totals); `None` when PostgreSQL has to be asked.
    pub(super) async fn totals(&self, site: &Site, key: PeriodKey) -> Option<Totals> {
        self.parts.care_inline(site).await;
        self.parts.totals(site, key).await
    }

    /// The themes of a period; `None` when PostgreSQL has to be asked.
    pub(super) async fn themes(&self, site: &Site, key: PeriodKey, limit: usize) -> Option<Ranking> {
        self.parts.care_inline(site).await;
        self.parts.themes(site, key, limit).await
    }

    /// The themes of all days from one on; `None` when PostgreSQL has to be asked.
    pub(super) async fn themes_since(&self, site: &Site, since: Day, limit: usize) -> Option<Ranking> {
        self.parts.care_inline(site).await;
        self.parts.themes_since(site, since, limit).await
    }

    /// `redis`, while answers have to do without it.
    pub(super) fn degraded(&self) -> Vec<&'static str> {
        if self.parts.is_degraded() { vec!["redis"] } else { Vec::new() }
    }

    /// Moves with everything that may change an answer; `None` while that cannot be told.
    pub(super) fn version(&self) -> Option<u64> {
        let feed = &self.parts.feed;
        // Read first: what changes after that must make it an old one.
        let version = feed.version();
        (self.parts.background && feed.is_connected() && !self.parts.is_degraded()).then_some(version)
    }

    /// The shared token buckets.
    pub(super) fn limits(&self) -> Arc<dyn SharedLimits> {
        Arc::clone(&self.buckets) as Arc<dyn SharedLimits>
    }

    /// The events of all instances.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<[Committed]>> {
        self.parts.feed.subscribe()
    }

    /// What this process stored or changed other than by [`Self::apply`] may change answers.
    pub(super) fn changed(&self) {
        self.parts.feed.changed();
    }

    /// Compares all that Redis has with what PostgreSQL has, and notes the differences.
    ///
    /// # Errors
    /// When either does not answer.
    pub(super) async fn verify(&self, now: Timestamp, recount: &mut Recount) -> Result<()> {
        self.parts.tell_time(now);
        self.parts.verify(now, recount).await
    }

    /// Builds all that Redis has anew from PostgreSQL.
    ///
    /// # Errors
    /// When either does not answer.
    pub(super) async fn rebuild(&self, now: Timestamp) -> Result<()> {
        self.parts.tell_time(now);
        self.parts.rebuild_all().await
    }

    /// Applies what was enqueued and stops everything.
    pub(super) async fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks.iter().skip(1) {
            task.abort();
        }
        // The applier ends by itself when its queue is empty.
        if let Some(applier) = tasks.first_mut() {
            let _ = applier.await;
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}

impl Parts {
    fn tell_time(&self, now: Timestamp) {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        if now > time_of(*clock) {
            *clock = Some((now, Instant::now()));
        }
    }

    /// What time it is, as far as anybody said.
    fn clock(&self) -> Timestamp {
        time_of(*self.clock.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether Redis is there and may be believed, but for single sites.
    fn is_believed(&self) -> bool {
        self.link.generation() == Some(self.looked_at.load(Ordering::Acquire)) && !self.evicting.load(Ordering::Relaxed)
    }

    fn is_degraded(&self) -> bool {
        !self.is_believed() || self.sites.any_in_need()
    }

    /// Notes what a site needs, and lets somebody care for it.
    fn require(&self, site: &Site, need: Need, to: u64) {
        self.sites.require(site, need, to);
        self.count_in_need();
        self.mend.notify_one();
    }

    fn count_in_need(&self) {
        self.metrics.redis_sites_behind.set(self.sites.in_need().len() as i64);
    }
}

/// The time that was said, and what has passed since.
fn time_of(said: Option<(Timestamp, Instant)>) -> Timestamp {
    let passed = |at: Instant| i64::try_from(at.elapsed().as_millis()).unwrap_or(i64::MAX);
    said.map_or_else(|| Timestamp::from_millis(0), |(now, at)| now.plus(passed(at)))
}
