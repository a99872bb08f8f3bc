//! Sends what is committed to Redis: in order, and whatever waits together.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use redis::{Pipeline, Value};
use tokio::sync::{mpsc, oneshot};

use super::changes::{Changes, Step};
use super::{Away, Need, Parts, SiteBatch};
use crate::site::Site;
use crate::time::{Day, HOUR, Timestamp};

/// How many commits go together at most.
const MOST_COMMITS: usize = 64;
/// How many batches are sent in one go.
const MOST_SENT: usize = 32;
/// Another instance that committed before has only to be a moment slower than this one for its
/// events to be missing: how long to wait for them, time after time.
const MOMENTS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(4),
    Duration::from_millis(8),
];
/// What `apply.lua` says of a site without a mark.
const NO_MARK: &str = "no mark";
/// Up to which position the events of a new site may still be on their way.
const MOST_FIRST: u64 = 10_000;
/// How many days are remembered for which visitors are owed.
const MOST_CREDITS: usize = 4_096;

/// A commit that is to be applied, and where its answer goes.
pub(super) struct Enqueued {
    pub(super) batches: Vec<SiteBatch>,
    pub(super) now: Timestamp,
    pub(super) reply: oneshot::Sender<Vec<bool>>,
}

/// Growth of a sketch that was not yet attributed to a visitor, by site and day.
///
/// A sketch tells how many visitors it has seen, not which. Those that change it are new for
/// certain; in a large one that is only some, and then its estimate grows by several at once.
/// What it grew by is handed out to the visitors that follow, so that the sum of new visitors
/// is the estimate.
pub(super) type Credits = HashMap<(Site, Day), i64>;

/// What became of a batch.
#[derive(Debug)]
pub(super) enum Applied {
    /// It was applied: how many heard of it, and what that did to each day with changes.
    Now { receivers: u64, days: Vec<DayApplied> },
    /// The site stands at another position.
    At(u64),
    /// The site must be rebuilt.
    Lost(String),
}

/// What applying did to a day.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DayApplied {
    /// Distinct visitors before.
    before: i64,
    /// And after.
    after: i64,
    /// Whether each visitor changed the sketch.
    changed: Vec<bool>,
}

impl DayApplied {
    /// By how many distinct visitors it grew.
    pub(super) fn grew(&self) -> i64 {
        self.after - self.before
    }

    /// Whether each visitor changed the sketch.
    pub(super) fn changed(&self) -> &[bool] {
        &self.changed
    }
}

impl Applied {
    /// Reads the answer of `apply.lua`.
    pub(super) fn parse(answer: &Value) -> Self {
        let strange = || Self::Lost(format!("it answered {:?}", super::link::code(answer)));
        let Value::Array(parts) = answer else { return strange() };
        let text = |place: usize| match parts.get(place) {
            Some(Value::BulkString(text)) => Some(text.as_slice()),
            _ => None,
        };
        let number = |place: usize| match parts.get(place) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        };
        match text(0) {
            Some(b"applied") => {
                let days = (2..parts.len()).step_by(3).filter_map(|place| {
                    let changed = text(place + 2)?.iter().map(|flag| *flag == b'1').collect();
                    Some(DayApplied { before: number(place)?, after: number(place + 1)?, changed })
                });
                Self::Now { receivers: number(1).unwrap_or(0).unsigned_abs(), days: days.collect() }
            }
            Some(b"at") => number(1).map_or_else(strange, |at| Self::At(at.unsigned_abs())),
            Some(b"lost") => Self::Lost(String::from_utf8_lossy(text(1).unwrap_or_default()).into_owned()),
            _ => strange(),
        }
    }
}

/// Applies what is enqueued, until nobody can enqueue anything any more.
pub(super) async fn run(parts: Arc<Parts>, mut queue: mpsc::UnboundedReceiver<Enqueued>) {
    while let Some(first) = queue.recv().await {
        let mut commits = vec![first];
        while commits.len() < MOST_COMMITS
            && let Ok(next) = queue.try_recv()
        {
            commits.push(next);
        }
        let mut works = Vec::new();
        let mut replies = Vec::with_capacity(commits.len());
        for commit in commits {
            replies.push((commit.reply, commit.batches.len()));
            works.extend(commit.batches.into_iter().map(|batch| Work::new(batch, commit.now)));
        }
        parts.apply_works(&mut works).await;
        let mut news = works.into_iter().map(|work| work.finish(&parts));
        for (reply, batches) in replies {
            // Who went away needs no answer.
            let _ = reply.send(news.by_ref().take(batches).flatten().collect());
        }
    }
}

/// A batch on its way.
struct Work {
    batch: SiteBatch,
    changes: Changes,
    now: Timestamp,
    news: Vec<bool>,
    done: bool,
}

impl Work {
    fn new(batch: SiteBatch, now: Timestamp) -> Self {
        let changes = Changes::of(&batch.committed, now);
        Self { news: vec![false; batch.committed.len()], changes, batch, now, done: false }
    }

    /// Tells the feed; answers who is new.
    fn finish(self, parts: &Parts) -> Vec<bool> {
        parts.feed.offer(&self.batch.site, self.batch.from, self.batch.to, self.batch.committed);
        self.news
    }
}

impl Parts {
    /// Applies one commit before it answers; repairs what it comes across, if that is little.
    pub(super) async fn apply_inline(&self, batches: Vec<SiteBatch>, now: Timestamp) -> Vec<bool> {
        self.probe().await;
        let sites: Vec<Site> = batches.iter().map(|batch| batch.site.clone()).collect();
        let mut works: Vec<Work> = batches.into_iter().map(|batch| Work::new(batch, now)).collect();
        self.apply_works(&mut works).await;
        let news = works.into_iter().flat_map(|work| work.finish(self)).collect();
        for site in sites {
            self.care_inline(&site).await;
        }
        news
    }

    async fn apply_works(&self, works: &mut [Work]) {
        for moment in MOMENTS {
            let mut waiting: Vec<&mut Work> = works.iter_mut().filter(|work| !work.done).collect();
            if waiting.is_empty() {
                return;
            }
            if !moment.is_zero() {
                tokio::time::sleep(moment).await;
            }
            let incarnation = self.truth.incarnation();
            for work in &mut waiting {
                // In another database than before, a position may stand for other events.
                if self.sites.suspects(&work.batch.site, incarnation) {
                    self.require(&work.batch.site, Need::Events, work.batch.to);
                }
                // What is held back is repaired from PostgreSQL later.
                work.done = !self.sites.admit(&work.batch.site, work.batch.to);
            }
            waiting.retain(|work| !work.done);
            // Not too many at once: they share one patience.
            for waiting in waiting.chunks_mut(MOST_SENT) {
                if self.send(waiting).await.is_err() {
                    for work in waiting {
                        work.done = true;
                        self.require(&work.batch.site, Need::Events, work.batch.to);
                    }
                }
            }
        }
        for work in works.iter().filter(|work| !work.done) {
            self.require(&work.batch.site, Need::Events, work.batch.to);
        }
    }

    async fn send(&self, works: &mut [&mut Work]) -> Result<(), Away> {
        if works.is_empty() {
            return Ok(());
        }
        if self.link.is_open() {
            return Err(Away);
        }
        let mut pipeline = Pipeline::with_capacity(works.len());
        for work in works.iter() {
            let batch = &work.batch;
            pipeline.add_command(work.changes.command(
                &self.link.scripts,
                &Step {
                    site: &batch.site,
                    store: &self.store,
                    from: batch.from,
                    to: batch.to,
                    message: self.feed.message(batch.from, batch.to, &batch.committed),
                    now: work.now,
                    // Where somebody looks around, they do it less often.
                    forget: (!self.background).then(|| work.now.plus(-2 * HOUR)),
                },
            ));
        }
        let answers = self.link.ask("apply", &pipeline).await?;
        for (work, answer) in works.iter_mut().zip(answers) {
            let batch = &work.batch;
            match Applied::parse(&answer) {
                Applied::Now { receivers, days } => {
                    work.done = true;
                    self.sites.applied(&batch.site, batch.to);
                    self.feed.received(receivers);
                    work.news = self.news(&batch.site, &work.changes, &days);
                }
                // Another instance repaired it before its turn came.
                Applied::At(position) if position >= batch.to => {
                    work.done = true;
                    self.sites.applied(&batch.site, position);
                }
                Applied::At(position) if position > batch.from => {
                    work.done = true;
                    self.require(&batch.site, Need::Events, batch.to);
                }
                Applied::At(_) => {}
                Applied::Lost(reason) => {
                    // The first events of a site may be another instance's, and on their way.
                    if reason != NO_MARK || batch.from > MOST_FIRST {
                        work.done = true;
                        tracing::warn!(site.id = %batch.site, reason, "redis lost the keys of a site: they will be rebuilt from postgresql");
                        self.require(&batch.site, Need::Rebuild, batch.to);
                    }
                }
            }
        }
        Ok(())
    }

    /// Notes how many visitors sketches have counted that nobody was called new for.
    pub(super) fn owe(&self, site: &Site, changes: &Changes, days: &[DayApplied]) {
        let mut credits = self.credits.lock().unwrap_or_else(PoisonError::into_inner);
        if credits.len() > MOST_CREDITS {
            credits.clear();
        }
        for (day, applied) in changes.days().keys().zip(days) {
            *credits.entry((site.clone(), *day)).or_default() += applied.grew();
        }
    }

    /// Who of a batch's visitors is new to their day.
    fn news(&self, site: &Site, changes: &Changes, days: &[DayApplied]) -> Vec<bool> {
        self.owe(site, changes, days);
        let changed: HashMap<Day, &DayApplied> = changes.days().keys().copied().zip(days).collect();
        let is_certain =
            |day: &Day, place: usize| changed.get(day).and_then(|applied| applied.changed().get(place)) == Some(&true);
        let mut credits = self.credits.lock().unwrap_or_else(PoisonError::into_inner);
        // Those who are new for certain take theirs first.
        for (day, place) in changes.firsts().iter().flatten() {
            if is_certain(day, *place) {
                *credits.entry((site.clone(), *day)).or_default() -= 1;
            }
        }
        let new = changes.firsts().iter().map(|first| {
            let Some((day, place)) = first else { return false };
            if is_certain(day, *place) {
                return true;
            }
            match credits.get_mut(&(site.clone(), *day)) {
                Some(owed) if *owed > 0 => {
                    *owed -= 1;
                    true
                }
                _ => false,
            }
        });
        new.collect()
    }
}
