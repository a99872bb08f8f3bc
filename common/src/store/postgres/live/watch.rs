//! Looks twice a second whether Redis is well, whether the feed lacks events, and whether the
//! projection is in sync.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Pipeline;

use super::projection::SyncState;
use super::watermark::Watermark;
use super::{Shared, keys};
use crate::site::Site;
use crate::store::Result;
use crate::store::postgres::{feed, keep};
use crate::time::{Day, HOUR};

/// How long lies between two looks.
const INTERVAL: Duration = Duration::from_millis(500);
/// How many looks lie between two that trim keys.
const TRIM_EVERY: u64 = 120;
/// How long no key may have been evicted before sites are rebuilt.
const EVICTION_DELAY: Duration = Duration::from_secs(10);

/// How far each site was committed.
pub(super) type Positions = HashMap<Site, u64>;

/// What the last look found.
#[derive(Debug, Default)]
pub(super) struct Watch {
    looks: u64,
    positions: Positions,
    /// Whether the feed has the ids of the last events at the start.
    learned: bool,
    /// How often answers had changed other than by events.
    changes: u64,
    /// How many visitors had been erased.
    erasures: u64,
    evicted: Option<u64>,
    evicting_since: Option<Instant>,
    /// From which day on themes were summed up.
    themes_since: Option<Day>,
}

impl Watch {
    /// After this was found.
    pub(super) fn after(found: feed::Found) -> Self {
        Self { positions: found.positions, changes: found.changes, erasures: found.erasures, ..Self::default() }
    }
}

/// Looks until it is stopped.
pub(super) async fn run(shared: Arc<Shared>, mut watch: Watch) {
    loop {
        if shared.link.probe().await {
            watch.evicted = None;
            // What is summed up may have been evicted.
            watch.themes_since = None;
            shared.warn_of_eviction().await;
        }
        if let Err(error) = shared.look(&mut watch).await {
            tracing::debug!(%error, "looking at redis and postgresql failed");
        }
        shared.count_out_of_sync();
        watch.looks += 1;
        let _ = tokio::time::timeout(INTERVAL, shared.link.attention.notified()).await;
    }
}

impl Shared {
    async fn look(&self, watch: &mut Watch) -> Result<()> {
        // Of a Redis that is another store's nothing is read.
        let _ = self.link.renew_claim().await;
        let history = self.history();
        let watermarks = match history {
            Some(_) => Some(self.watermarks(&watch.positions).await),
            None => None,
        };
        // Asked after the watermarks: none may stand above what is committed.
        let epoch = self.connections.epoch();
        let delivered = self.feed.positions();
        let found = feed::look(&self.connections).await?;
        if self.connections.epoch() != epoch {
            // It may have been found in either database.
            self.link.attention.notify_one();
            return Ok(());
        }
        self.set_server_clock(found.now);
        if std::mem::replace(&mut watch.changes, found.changes) != found.changes {
            self.feed.changed();
        }
        if std::mem::replace(&mut watch.erasures, found.erasures) != found.erasures {
            found.positions.keys().for_each(|site| self.feed.erased(site));
        }
        self.look_at_feed(watch, epoch, &delivered, &found.positions).await?;
        let before = std::mem::replace(&mut watch.positions, found.positions);
        let Some(watermarks) = watermarks else { return Ok(()) };
        self.look_at_watermarks(&before, &watch.positions, &watermarks?).await?;
        if !self.is_compared() {
            self.compare_history(&watch.positions).await?;
            self.compared(history);
        }
        self.look_at_evictions(watch).await?;
        if watch.looks.is_multiple_of(TRIM_EVERY) {
            self.trim(watch).await?;
        }
        Ok(())
    }

    /// The watermarks of sites.
    async fn watermarks(&self, sites: &Positions) -> Result<HashMap<Site, Option<Watermark>>> {
        if sites.is_empty() {
            return Ok(HashMap::new());
        }
        let mut pipeline = Pipeline::with_capacity(sites.len());
        for site in sites.keys() {
            pipeline.cmd("GET").arg(keys::watermark(site));
        }
        let answers = self.link.ask("look", &pipeline).await?;
        let watermarks = answers.iter().map(|answer| Watermark::read(answer, &self.store));
        Ok(sites.keys().cloned().zip(watermarks).collect())
    }

    /// A site that is behind may be on its way: it is out of sync when it is behind where it was
    /// committed before.
    async fn look_at_watermarks(
        &self,
        before: &Positions,
        now: &Positions,
        watermarks: &HashMap<Site, Option<Watermark>>,
    ) -> Result<()> {
        for (site, watermark) in watermarks {
            let Some(now) = now.get(site).copied() else {
                self.forget(site).await;
                continue;
            };
            let before = before.get(site).copied().unwrap_or(0);
            match watermark {
                Some(watermark) if watermark.position > now => self.replaced(site).await?,
                Some(watermark) if watermark.position < before => self.out_of_sync(site, SyncState::Behind),
                None if before > 0 => self.out_of_sync(site, SyncState::Lost),
                _ => {}
            }
        }
        Ok(())
    }

    /// Compares the events that watermarks name with those that stand there, and the periods that have
    /// keys with the list of them: whenever a Redis or a database was found, which may be an older copy, or
    /// have evicted keys meanwhile.
    async fn compare_history(&self, positions: &Positions) -> Result<()> {
        let watermarks = self.watermarks(positions).await?;
        let named = watermarks.iter().filter_map(|(site, watermark)| {
            let watermark = watermark.as_ref()?;
            Some((site.clone(), watermark.position, watermark.last?))
        });
        let named: Vec<_> = named.collect();
        let places: Vec<(Site, u64)> = named.iter().map(|(site, position, _)| (site.clone(), *position)).collect();
        let there: HashMap<Site, _> = feed::ids_at(&self.connections, &places).await?.into_iter().collect();
        for (site, _, last) in &named {
            if there.get(site).is_some_and(|id| id != last) {
                self.replaced(site).await?;
            }
        }
        let lost = self.sites_with_lost_periods(&watermarks).await?;
        if !lost.is_empty() {
            tracing::warn!(sites = lost.len(), "redis lacks keys that it had: these sites will be rebuilt in redis");
            self.void(&lost).await?;
            lost.iter().for_each(|site| self.out_of_sync(site, SyncState::Lost));
        }
        Ok(())
    }

    /// Reads what other instances committed and no message brought: since the last look, or at once
    /// while there are no messages.
    async fn look_at_feed(&self, watch: &mut Watch, epoch: u64, delivered: &Positions, now: &Positions) -> Result<()> {
        let is_replaced = self.feed.is_replaced();
        if is_replaced {
            self.feed.compare(epoch, now).await?;
        } else if !watch.learned {
            self.feed.learn().await?;
        }
        watch.learned = true;
        // What was delivered before that was looked for is committed, unless events or sites were taken away.
        for (site, last) in delivered.iter().filter(|_| !is_replaced) {
            match now.get(site) {
                None => self.forget(site).await,
                Some(committed) if last > committed => self.feed.restart(site, *committed),
                Some(_) => {}
            }
        }
        let is_brought = self.feed.is_connected() && !self.link.is_open() && !is_replaced;
        let due = if is_brought { &watch.positions } else { now };
        for (site, position) in due.iter().filter(|(site, _)| now.contains_key(*site)) {
            self.feed.catch_up(site, *position).await?;
        }
        Ok(())
    }

    /// Warns of a server that may evict keys. Asked of INFO, which the documented user may, unlike
    /// CONFIG.
    async fn warn_of_eviction(&self) {
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

    /// When keys were evicted, and none is any more, all sites are rebuilt.
    async fn look_at_evictions(&self, watch: &mut Watch) -> Result<()> {
        let evicted = line(&self.info("stats").await?, "evicted_keys:").and_then(|keys| keys.parse().ok());
        // What was evicted before the first look shows in what is missing.
        let before = std::mem::replace(&mut watch.evicted, evicted);
        if before.zip(evicted).is_some_and(|(before, evicted)| evicted > before) {
            if watch.evicting_since.replace(Instant::now()).is_none() {
                tracing::warn!("redis evicts keys: its figures are incomplete until it has memory again");
            }
        } else if watch.evicting_since.is_some_and(|since| since.elapsed() >= EVICTION_DELAY) {
            watch.evicting_since = None;
            let sites: Vec<Site> = watch.positions.keys().cloned().collect();
            self.void(&sites).await?;
            sites.iter().for_each(|site| self.out_of_sync(site, SyncState::Lost));
        }
        Ok(())
    }

    /// Removes visitors that were last seen long ago, periods whose keys have expired, and themes of days that are not kept any more.
    async fn trim(&self, watch: &mut Watch) -> Result<()> {
        let now = self.clock();
        let sites: Vec<Site> = watch.positions.keys().cloned().collect();
        if sites.is_empty() || now.millis() == 0 {
            return Ok(());
        }
        let redis_time = self.redis_time().await?;
        let mut pipeline = Pipeline::new();
        for site in &sites {
            let before = format!("({}", now.plus(-2 * HOUR).millis());
            pipeline.cmd("ZREMRANGEBYSCORE").arg(keys::visitors(site)).arg("-inf").arg(before);
            pipeline.cmd("ZREMRANGEBYSCORE").arg(keys::periods(site)).arg("-inf").arg(redis_time);
        }
        self.link.ask("look", &pipeline).await?;
        let since = self.kept_since().await?.max(Some(now.day().plus(-90)));
        if watch.themes_since != since {
            self.sum_themes(&sites, now).await?;
            watch.themes_since = since;
        }
        Ok(())
    }

    /// The first day whose events are all there, once days were dropped.
    pub(super) async fn kept_since(&self) -> Result<Option<Day>> {
        self.connections.ask("meta", |client| async move { keep::kept_since(&client).await }).await
    }
}

/// What a line of INFO says that begins with this name.
fn line<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}
