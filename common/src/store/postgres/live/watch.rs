//! Looks around every second: whether Redis is well, whether it evicts, and whether anybody left
//! a site behind.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redis::{Pipeline, Value};

use super::sites::{Mark, Need};
use super::{Parts, keys};
use crate::site::Site;
use crate::store::{Result, StoreError};
use crate::time::HOUR;

/// How often somebody looks around.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How many looks lie between two that forget who was last seen long ago.
const FORGET_EVERY: u64 = 120;
/// How long no key may have been evicted before sites are rebuilt; twice as long after each
/// time that this was too early.
const CALM: Duration = Duration::from_secs(2);
const MOST_CALM: Duration = Duration::from_secs(300);

/// How far each site was committed.
pub(super) type Positions = HashMap<Site, u64>;

/// Looks around until it is told to stop; `before` is how far sites were committed at the start.
pub(super) async fn run(parts: Arc<Parts>, mut before: Positions) {
    let mut evictions = Evictions::default();
    let mut looks = 0_u64;
    loop {
        // Whoever finds something wrong calls for attention; none is worth a busy loop.
        let _ = tokio::time::timeout(LOOK_EVERY, parts.link.attention.notified()).await;
        if parts.probe().await {
            evictions.reconnected();
            parts.look_at_policy().await;
        }
        let looked = async {
            if !parts.link.is_open() {
                parts.look_at_evictions(&mut evictions).await?;
                if looks.is_multiple_of(FORGET_EVERY) {
                    parts.forget_visitors(before.keys()).await?;
                }
            }
            let positions = parts.look_at_marks(&before).await?;
            parts.look_at_feed(&before, &positions).await?;
            before = positions;
            Ok::<(), StoreError>(())
        };
        if let Err(error) = looked.await {
            tracing::debug!(%error, "looking around failed");
        }
        parts.count_in_need();
        looks += 1;
    }
}

/// How many keys were evicted, and for how long none has been.
#[derive(Debug, Default)]
struct Evictions {
    seen: Option<u64>,
    calm_since: Option<Instant>,
    calm: Duration,
}

impl Evictions {
    /// It may be another server, or the same one that counts anew.
    fn reconnected(&mut self) {
        self.seen = None;
    }

    /// Whether keys were evicted since the last look.
    fn grew(&mut self, evicted: u64) -> bool {
        let before = self.seen.replace(evicted);
        // What was evicted before the first look shows in what is missing.
        before.is_some_and(|before| evicted > before)
    }
}

impl Parts {
    /// Warns of a server that may throw keys away: it costs a rebuild each time. Asked of INFO,
    /// which the documented user may, unlike CONFIG.
    async fn look_at_policy(&self) {
        if let Ok(text) = self.info("memory").await
            && let Some(policy) = line(&text, "maxmemory_policy:")
            && policy != "noeviction"
        {
            tracing::warn!(%policy, "redis may evict keys; maxmemory-policy should be noeviction");
        }
    }

    async fn info(&self, section: &str) -> Result<String> {
        let mut info = redis::cmd("INFO");
        info.arg(section);
        let answer = self.link.ask_one("look", info).await?;
        Ok(redis::from_redis_value(answer).unwrap_or_default())
    }

    /// While keys are evicted nothing is believed; when that is over everything is rebuilt.
    async fn look_at_evictions(&self, evictions: &mut Evictions) -> Result<()> {
        let evicted = line(&self.info("stats").await?, "evicted_keys:").and_then(|keys| keys.parse().ok());
        let now = Instant::now();
        if evicted.is_some_and(|evicted| evictions.grew(evicted)) {
            if !self.evicting.swap(true, Ordering::Relaxed) {
                evictions.calm = (evictions.calm * 2).clamp(CALM, MOST_CALM);
                tracing::warn!("redis evicts keys: figures come from postgresql until it has memory again");
                self.feed.changed();
            }
            evictions.calm_since = Some(now);
            return Ok(());
        }
        if let Some(since) = evictions.calm_since
            && self.evicting.load(Ordering::Relaxed)
            && now.duration_since(since) >= evictions.calm
        {
            let sites: Vec<Site> = self.truth.positions().await?.into_iter().map(|(site, _)| site).collect();
            self.void(&sites).await?;
            for site in &sites {
                self.sites.require(site, Need::Rebuild, 0);
            }
            self.evicting.store(false, Ordering::Relaxed);
            evictions.calm_since = Some(now);
            self.mend.notify_one();
        } else if evictions.calm_since.is_some_and(|since| now.duration_since(since) >= MOST_CALM) {
            *evictions = Evictions { seen: evictions.seen, ..Evictions::default() };
        }
        Ok(())
    }

    /// Compares marks with how far their sites were committed, and the events that they name with
    /// those that stand there: once Redis is found, and whatever happened to either before.
    pub(super) async fn look_at_history(&self) -> Result<()> {
        let incarnation = self.truth.incarnation();
        let positions = self.truth.positions().await?;
        let mut pipeline = Pipeline::with_capacity(positions.len());
        for (site, _) in &positions {
            pipeline.cmd("GET").arg(keys::applied(site));
        }
        let marks = if positions.is_empty() { Vec::new() } else { self.link.ask("look", &pipeline).await? };
        let mut named = HashMap::new();
        let mut places = Vec::new();
        for ((site, position), mark) in positions.iter().zip(&marks) {
            let text = match mark {
                Value::BulkString(mark) => Some(mark.as_slice()),
                _ => None,
            };
            match Mark::parse(text, &self.store) {
                Mark::At(at) => {
                    if at < *position {
                        self.require(site, Need::Events, 0);
                    }
                    if let Some(last) = text.and_then(Mark::last) {
                        named.insert(site.clone(), last);
                        places.push((site.clone(), at));
                    }
                }
                Mark::Missing if *position > 0 => self.require(site, Need::Rebuild, 0),
                Mark::Missing => {}
            }
        }
        let positions: Positions = positions.into_iter().collect();
        let there = if places.is_empty() { Vec::new() } else { self.truth.ids_at(&places).await? };
        for (site, id) in there {
            if named.get(&site).is_some_and(|last| *last != id) {
                self.diverged(&site, positions.get(&site).copied().unwrap_or(0)).await?;
            }
        }
        self.sites.belong(incarnation);
        Ok(())
    }

    /// Compares how far each site was applied with how far it was committed, and answers the
    /// latter. A site that is behind may be on its way: it needs care when it is behind where
    /// it was committed `before`.
    pub(super) async fn look_at_marks(&self, before: &Positions) -> Result<Positions> {
        let mut pipeline = Pipeline::with_capacity(before.len());
        for site in before.keys() {
            pipeline.cmd("GET").arg(keys::applied(site));
        }
        let marks = if self.link.is_open() || before.is_empty() {
            Vec::new()
        } else {
            // Without them the feed goes on all the same.
            self.link.ask("look", &pipeline).await.unwrap_or_default()
        };
        // Asked after the marks: none may stand above what is committed.
        let positions: Positions = self.truth.positions().await?.into_iter().collect();
        for ((site, before), mark) in before.iter().zip(marks) {
            let position = positions.get(site).copied().unwrap_or(0);
            let mark = match &mark {
                Value::BulkString(mark) => Mark::parse(Some(mark), &self.store),
                _ => Mark::Missing,
            };
            match mark {
                Mark::At(at) if at > position => self.diverged(site, position).await?,
                Mark::At(at) if at < *before => self.require(site, Need::Events, 0),
                Mark::Missing if *before > 0 => self.require(site, Need::Rebuild, 0),
                _ => {}
            }
        }
        Ok(positions)
    }

    /// Catches up with what other instances committed and no message told of: since the last
    /// look, or at once while there are no messages.
    async fn look_at_feed(&self, before: &Positions, now: &Positions) -> Result<()> {
        let due = if self.feed.is_connected() && !self.link.is_open() { before } else { now };
        for (site, position) in due {
            if self.feed.last(site) < *position {
                self.feed.catch_up(site, *position).await?;
            }
        }
        Ok(())
    }

    /// Forgets who was last seen long before anybody could be current.
    async fn forget_visitors(&self, sites: impl Iterator<Item = &Site>) -> Result<()> {
        let before = format!("({}", self.clock().plus(-2 * HOUR).millis());
        let mut pipeline = Pipeline::new();
        for site in sites {
            pipeline.cmd("ZREMRANGEBYSCORE").arg(keys::visitors(site)).arg("-inf").arg(&before);
        }
        if !pipeline.is_empty() {
            self.link.ask("look", &pipeline).await?;
        }
        Ok(())
    }
}

/// What a line of INFO says that begins with this name.
fn line<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_evictions_count() {
        let mut evictions = Evictions::default();
        assert!(!evictions.grew(7), "of long ago");
        assert!(!evictions.grew(7));
        assert!(evictions.grew(8));
        assert!(!evictions.grew(2), "the server was restarted");
        assert!(evictions.grew(3));
        evictions.reconnected();
        assert!(!evictions.grew(9));
    }
}
