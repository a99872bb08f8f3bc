//! Repairs sites that Redis has not right: what is missing is read from PostgreSQL by position.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::Value;
use uuid::Uuid;

use super::applier::Applied;
use super::changes::{Changes, Step};
use super::sites::{Mark, Need};
use super::{Parts, keys};
use crate::site::Site;
use crate::store::{Committed, Position, Result};
use crate::time::{HOUR, Timestamp};

/// Events that are read and applied at a time.
const PAGE: usize = 2_000;
/// How long lies between two attempts.
const AGAIN: Duration = Duration::from_secs(1);
/// A site with no more events than this is rebuilt by whoever comes across it, where nobody
/// works in the background.
const LITTLE: u64 = 10_000;

/// Repairs what is noted, whenever something is.
pub(super) async fn run(parts: Arc<Parts>) {
    loop {
        parts.mend.notified().await;
        while parts.mend_all().await.is_err() {
            // Redis or PostgreSQL is away, or another instance is at it.
            tokio::time::sleep(AGAIN).await;
        }
    }
}

impl Parts {
    async fn mend_all(&self) -> Result<(), ()> {
        let mut all_well = true;
        for (site, need) in self.sites.in_need() {
            if self.link.is_open() || self.evicting.load(Ordering::Relaxed) {
                return Err(());
            }
            let mended = match need {
                Need::Nothing => Ok(()),
                Need::Events => self.repair(&site).await,
                Need::Rebuild => self.rebuild_site(&site).await,
            };
            if let Err(error) = mended {
                tracing::debug!(site.id = %site, %error, "a site could not be repaired yet");
                all_well = false;
            }
            self.count_in_need();
            all_well &= self.sites.need(&site) == Need::Nothing;
        }
        if all_well { Ok(()) } else { Err(()) }
    }

    /// Looks, if it is time to, whether Redis is well again, and then whether what it has counted
    /// is what PostgreSQL has. Answers whether it is well now and was not before.
    pub(super) async fn probe(&self) -> bool {
        let found = self.link.probe().await;
        let looked_at = self.looked_at.load(Ordering::Acquire);
        if let Some(generation) = self.link.generation().filter(|generation| *generation != looked_at) {
            match self.look_at_history().await {
                Ok(()) => {
                    self.looked_at.fetch_max(generation, Ordering::AcqRel);
                }
                // One of them has gone away again: the next probe looks.
                Err(error) => tracing::debug!(%error, "marks could not be compared with events"),
            }
        }
        found
    }

    /// Where nobody works in the background: looks whether Redis is well again, and repairs the
    /// site if it is little work.
    pub(super) async fn care_inline(&self, site: &Site) {
        if self.background {
            return;
        }
        self.probe().await;
        // Once for what is missing, and once more when that shows that all is.
        for _ in 0..2 {
            let cared = match self.sites.need(site) {
                _ if self.link.is_open() => return,
                Need::Nothing => return,
                Need::Events => self.repair(site).await,
                Need::Rebuild => match self.position(site).await {
                    Ok(position) if position <= LITTLE => self.rebuild_site(site).await,
                    Ok(_) => return,
                    Err(error) => Err(error),
                },
            };
            if let Err(error) = cared {
                tracing::debug!(site.id = %site, %error, "a site could not be repaired yet");
                return;
            }
        }
    }

    /// Where a site stands in Redis.
    pub(super) async fn mark(&self, site: &Site) -> Result<Mark> {
        Ok(self.mark_and_last(site).await?.0)
    }

    /// The same, and the event that stands there if the mark names one.
    async fn mark_and_last(&self, site: &Site) -> Result<(Mark, Option<Uuid>)> {
        let mut get = redis::cmd("GET");
        get.arg(keys::applied(site));
        Ok(match self.link.ask_one("read", get).await? {
            Value::BulkString(mark) => (Mark::parse(Some(&mark), &self.store), Mark::last(&mark)),
            _ => (Mark::Missing, None),
        })
    }

    /// Redis has counted events that PostgreSQL does not have: it was restored from a copy, or a
    /// standby that lacked something took over.
    pub(super) async fn diverged(&self, site: &Site, position: u64) -> Result<()> {
        tracing::warn!(site.id = %site, "redis has events that postgresql does not have (failover or restore): the site will be rebuilt in redis");
        self.void(std::slice::from_ref(site)).await?;
        self.feed.restart(site, position);
        self.require(site, Need::Rebuild, 0);
        Ok(())
    }

    /// Where a site stands in PostgreSQL.
    pub(super) async fn position(&self, site: &Site) -> Result<u64> {
        let positions = self.truth.positions().await?;
        Ok(positions.into_iter().find(|(known, _)| known == site).map_or(0, |(_, position)| position))
    }

    /// Applies what is missing, until nothing is.
    pub(super) async fn repair(&self, site: &Site) -> Result<()> {
        // Before anything is asked: what is asked later may be asked of another one.
        let incarnation = self.truth.incarnation();
        loop {
            let (mark, last) = self.mark_and_last(site).await?;
            let at = match mark {
                Mark::At(at) => at,
                Mark::Missing => match self.position(site).await? {
                    0 => 0,
                    _ => {
                        self.require(site, Need::Rebuild, 0);
                        return Ok(());
                    }
                },
            };
            // With the one at the mark, which tells whether the mark is about these events.
            let after = if last.is_some() { at.saturating_sub(1) } else { at };
            let mut events = self.truth.committed_after(site, Position(after), PAGE).await?;
            if let Some(first) = events.first().filter(|first| first.position.0 == at) {
                if Some(first.event.id) != last {
                    return self.diverged(site, self.position(site).await?).await;
                }
                events.remove(0);
            }
            let to = match events.last() {
                Some(last) => last.position.0,
                None => {
                    let position = self.position(site).await?;
                    if position < at {
                        return self.diverged(site, position).await;
                    }
                    if position == at {
                        match self.sites.healed(site, at, incarnation) {
                            Need::Nothing => {
                                tracing::info!(site.id = %site, position = at, "redis: site resynced");
                                self.feed.changed();
                                self.count_in_need();
                                return Ok(());
                            }
                            // Something was held back between the two questions.
                            Need::Events => {
                                tokio::task::yield_now().await;
                                continue;
                            }
                            // Found by somebody who had looked before: not to be waited for here.
                            Need::Rebuild => return Ok(()),
                        }
                    }
                    // Committed between the two questions, or else of days that were dropped.
                    if !self.truth.committed_after(site, Position(at), 1).await?.is_empty() {
                        continue;
                    }
                    position
                }
            };
            if !self.apply_read(site, at, to, events).await? {
                return Ok(());
            }
        }
    }

    /// Applies events that were read, and tells the feed. Answers whether to go on.
    async fn apply_read(&self, site: &Site, from: u64, to: u64, events: Vec<Committed>) -> Result<bool> {
        let now = self.clock().max(latest(&events));
        let changes = Changes::of(&events, now);
        let step = Step {
            site,
            store: &self.store,
            from,
            to,
            message: self.feed.message(from, to, &events),
            now,
            forget: (!self.background).then(|| now.plus(-2 * HOUR)),
        };
        let answer = self.link.ask_one("apply", changes.command(&self.link.scripts, &step)).await?;
        match Applied::parse(&answer) {
            Applied::Now { receivers, days } => {
                self.feed.received(receivers);
                self.sites.applied(site, to);
                // Nobody waits to hear who of them is new: that is owed to those who come next.
                self.owe(site, &changes, &days);
                self.feed.offer(site, from, to, events);
                Ok(true)
            }
            // Another instance is at it too.
            Applied::At(_) => Ok(true),
            Applied::Lost(reason) => {
                tracing::warn!(site.id = %site, reason, "redis lost the keys of a site: they will be rebuilt from postgresql");
                self.require(site, Need::Rebuild, to);
                Ok(false)
            }
        }
    }

    /// An idea of what time it is, for a site whose newest events are at hand.
    pub(super) async fn clock_for(&self, site: &Site) -> Result<Timestamp> {
        let position = self.position(site).await?;
        let newest = self.truth.committed_after(site, Position(position.saturating_sub(1_000)), 1_000).await?;
        Ok(self.clock().max(latest(&newest)))
    }
}

/// The time of the latest of these events: as good as the clock to whoever repairs, which is
/// never asked here. It may lie 5 minutes ahead, and a day behind when all came late.
fn latest(events: &[Committed]) -> Timestamp {
    events.iter().map(|event| event.event.created_at).max().unwrap_or_else(|| Timestamp::from_millis(0))
}
