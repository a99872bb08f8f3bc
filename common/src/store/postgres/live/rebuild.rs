//! A site built anew from one snapshot of PostgreSQL.
//!
//! Everything is written under a token that the first step sets: a flush meanwhile, or another
//! instance that begins its own, takes it away, and the rest is refused. The mark is written
//! last, so that half a rebuild is none. What is committed meanwhile is applied afterwards.

use std::collections::{BTreeMap, BTreeSet};

use redis::{Pipeline, Value};
use uuid::Uuid;

use super::link::LONG_PATIENCE;
use super::script::call;
use super::sites::{Mark, Need};
use super::{Parts, keys};
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::postgres::ENGINE;
use crate::store::postgres::truth::{RebuildLock, Snapshot};
use crate::store::{Result, StoreError};
use crate::tally::Dimension;
use crate::time::Timestamp;
use crate::visitor::VisitorId;

/// For how many seconds a rebuild that stopped keeps its token.
const TOKEN_SECONDS: u64 = 600;
/// How many keys are taken away at a time.
const KEYS: usize = 1_000;
/// How many arguments a call of `fill.lua` has at most, and one command in it.
const MOST_ARGUMENTS: usize = 4_000;
const MOST_OF_ONE: usize = 1_000;

/// The counters of a period, in the order of their keys, and its themes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PeriodCounts {
    pub(super) counters: [u64; 5],
    pub(super) themes: BTreeMap<String, u64>,
}

/// What a snapshot says of each period.
pub(super) fn by_period(snapshot: &Snapshot) -> BTreeMap<PeriodKey, PeriodCounts> {
    let mut periods = BTreeMap::<PeriodKey, PeriodCounts>::new();
    for (key, dimension, value, n) in &snapshot.counters {
        let counts = periods.entry(*key).or_default();
        let place = match (dimension, value.as_str()) {
            (Dimension::All, _) => 0,
            (Dimension::EventType, "page_view") => 1,
            (Dimension::EventType, "letter_generate") => 2,
            (Dimension::LetterType, "motivation") => 3,
            (Dimension::LetterType, "anti_motivation") => 4,
            (Dimension::Theme, theme) => {
                counts.themes.insert(theme.to_owned(), *n);
                continue;
            }
            _ => continue,
        };
        counts.counters[place] = *n;
    }
    periods
}

impl Parts {
    /// Rebuilds a site, unless another instance has done so or is at it.
    pub(super) async fn rebuild_site(&self, site: &Site) -> Result<()> {
        let _lock = self.lock(site).await?;
        let position = self.position(site).await?;
        if !matches!(self.mark(site).await?, Mark::At(at) if at <= position) {
            self.build(site).await?;
        }
        self.sites.rebuilt(site);
        self.repair(site).await
    }

    /// Rebuilds a site whatever its mark says: somebody may have begun before, from a snapshot
    /// that is no longer right, and have set the mark since.
    async fn rebuild_anew(&self, site: &Site) -> Result<()> {
        let _lock = self.lock(site).await?;
        self.build(site).await?;
        self.sites.rebuilt(site);
        self.repair(site).await
    }

    async fn lock(&self, site: &Site) -> Result<RebuildLock> {
        self.truth.lock_rebuild(site).await?.ok_or_else(|| StoreError::Unavailable {
            engine: ENGINE,
            reason: "another process is rebuilding the site".to_owned(),
        })
    }

    /// Rebuilds all sites, whatever their marks say.
    pub(super) async fn rebuild_all(&self) -> Result<()> {
        for (site, _) in self.truth.positions().await? {
            self.require(&site, Need::Rebuild, 0);
            self.void(std::slice::from_ref(&site)).await?;
            // Somebody who looked around may have begun.
            let mut attempts = 0;
            while let Err(error) = self.rebuild_anew(&site).await {
                attempts += 1;
                if self.link.is_open() || attempts > 600 {
                    return Err(error);
                }
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    /// Takes marks away, so that nobody believes what lies under them.
    pub(super) async fn void(&self, sites: &[Site]) -> Result<()> {
        let mut pipeline = Pipeline::with_capacity(sites.len());
        for site in sites {
            pipeline.cmd("DEL").arg(keys::applied(site));
        }
        self.link.ask_within(LONG_PATIENCE, "rebuild", &pipeline).await?;
        Ok(())
    }

    async fn build(&self, site: &Site) -> Result<()> {
        let now = self.clock_for(site).await?;
        let token = Uuid::new_v4().to_string();
        self.begin(site, &token, now).await?;
        // After the begin: what is committed until then is in it.
        let mut snapshot = self.truth.snapshot(site, now).await?;
        let periods = by_period(&snapshot);
        let horizon = snapshot.horizon;
        let kept: BTreeMap<PeriodKey, u64> = periods
            .keys()
            // PostgreSQL answers for periods that are over and have only the number of their visitors.
            .filter(|key| key.last_day() >= horizon.kept() || horizon.has_visitors(**key))
            .map(|key| (*key, keys::seconds_left(*key, now)))
            .filter(|(_, seconds)| *seconds > 0)
            .collect();
        let mut filler = Filler::new(self, site, token);
        let mut sketched = BTreeSet::new();
        let mut days = BTreeSet::new();
        while let Some((day, visitors)) = snapshot.next_visitors().await? {
            days.insert(day);
            let [own, longer @ ..] = Period::ALL.map(|period| PeriodKey::of(period, day));
            // Longer periods are merged from their days, those that are kept.
            let targets = if kept.contains_key(&own) { vec![own] } else { longer.to_vec() };
            filler.visitors(targets.into_iter().filter(|key| kept.contains_key(key)), &visitors).await?;
        }
        for day in days {
            let [own, longer @ ..] = Period::ALL.map(|period| PeriodKey::of(period, day));
            sketched.extend([own].into_iter().chain(longer));
            for key in longer.into_iter().filter(|key| kept.contains_key(key) && kept.contains_key(&own)) {
                filler.command("PFMERGE", vec![keys::sketch(site, key), keys::sketch(site, own)], Vec::new()).await?;
            }
        }
        // Without its visitors a period would be half there: PostgreSQL answers for it.
        let whole = kept.into_iter().filter(|(key, _)| sketched.contains(key));
        for (key, seconds) in whole {
            if let Some(counts) = periods.get(&key) {
                filler.period(key, counts, seconds).await?;
            }
        }
        filler.presence(&snapshot.presence).await?;
        filler.finish(&format!("{}:{}", self.store, Mark::place(snapshot.last, snapshot.position))).await?;
        self.metrics.redis_rebuilds_total.inc();
        tracing::info!(site.id = %site, position = snapshot.position, "redis: site rebuilt from postgresql");
        Ok(())
    }

    async fn begin(&self, site: &Site, token: &str, now: Timestamp) -> Result<()> {
        let mut names = vec![keys::applied(site), keys::visitors(site)];
        names.extend(keys::themes_top(site));
        names.extend(keys::kept_periods(now).flat_map(|key| keys::of_period(site, key)));
        let mut pipeline = Pipeline::new();
        for names in names.chunks(KEYS) {
            let mut all = vec![keys::rebuilding(site)];
            all.extend_from_slice(names);
            let mut begin = call(&self.link.scripts.begin, &all);
            begin.arg(token).arg(TOKEN_SECONDS);
            pipeline.add_command(begin);
        }
        let answers = self.link.ask_within(LONG_PATIENCE, "rebuild", &pipeline).await?;
        if answers.iter().all(|answer| *answer == Value::Int(1)) { Ok(()) } else { Err(interrupted()) }
    }
}

fn text(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

fn interrupted() -> StoreError {
    StoreError::Unavailable { engine: ENGINE, reason: "the rebuild was interrupted".to_owned() }
}

/// Sends commands, many in one call.
struct Filler<'a> {
    parts: &'a Parts,
    site: &'a Site,
    token: String,
    keys: Vec<String>,
    arguments: Vec<Vec<u8>>,
}

impl<'a> Filler<'a> {
    fn new(parts: &'a Parts, site: &'a Site, token: String) -> Self {
        let mut this = Self { parts, site, token, keys: Vec::new(), arguments: Vec::new() };
        this.clear();
        this
    }

    fn clear(&mut self) {
        self.keys = vec![keys::rebuilding(self.site)];
        self.arguments = vec![self.token.clone().into_bytes()];
    }

    async fn command(&mut self, name: &str, keys: Vec<String>, arguments: Vec<Vec<u8>>) -> Result<()> {
        self.arguments.extend([name.as_bytes().to_vec(), text(keys.len() as u64), text(arguments.len() as u64)]);
        self.keys.extend(keys);
        self.arguments.extend(arguments);
        if self.arguments.len() > MOST_ARGUMENTS { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<()> {
        let mut fill = call(&self.parts.link.scripts.fill, &self.keys);
        fill.arg(&self.arguments);
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.add_command(fill);
        self.clear();
        let answers = self.parts.link.ask_within(LONG_PATIENCE, "rebuild", &pipeline).await?;
        if answers == [Value::Int(1)] { Ok(()) } else { Err(interrupted()) }
    }

    /// Visitors, into the sketches of these periods.
    async fn visitors(&mut self, targets: impl Iterator<Item = PeriodKey>, visitors: &[VisitorId]) -> Result<()> {
        for key in targets {
            for chunk in visitors.chunks(MOST_OF_ONE) {
                let members = chunk.iter().map(|visitor| visitor.as_bytes().to_vec()).collect();
                self.command("PFADD", vec![keys::sketch(self.site, key)], members).await?;
            }
        }
        Ok(())
    }

    async fn period(&mut self, key: PeriodKey, counts: &PeriodCounts, seconds: u64) -> Result<()> {
        let names = keys::of_period(self.site, key);
        let [.., sketch, themes] = &names;
        for (name, n) in names.iter().zip(counts.counters) {
            self.command("SET", vec![name.clone()], vec![text(n), b"EX".to_vec(), text(seconds)]).await?;
        }
        self.command("PFADD", vec![sketch.clone()], Vec::new()).await?;
        self.command("EXPIRE", vec![sketch.clone()], vec![text(seconds)]).await?;
        let sum: u64 = counts.themes.values().sum();
        self.command("ZADD", vec![themes.clone()], vec![format!("-{sum}").into_bytes(), Vec::new()]).await?;
        self.command("EXPIRE", vec![themes.clone()], vec![text(seconds)]).await?;
        let mut members = Vec::new();
        for (theme, n) in &counts.themes {
            members.extend([text(*n), theme.clone().into_bytes()]);
            if members.len() >= MOST_OF_ONE {
                self.command("ZADD", vec![themes.clone()], std::mem::take(&mut members)).await?;
            }
        }
        if !members.is_empty() {
            self.command("ZADD", vec![themes.clone()], members).await?;
        }
        Ok(())
    }

    async fn presence(&mut self, presence: &[(VisitorId, Timestamp)]) -> Result<()> {
        let key = keys::visitors(self.site);
        self.command("ZADD", vec![key.clone()], vec![b"inf".to_vec(), Vec::new()]).await?;
        for chunk in presence.chunks(MOST_OF_ONE / 2) {
            let members = chunk
                .iter()
                .flat_map(|(visitor, seen)| [seen.millis().to_string().into_bytes(), visitor.as_bytes().to_vec()]);
            self.command("ZADD", vec![key.clone()], members.collect()).await?;
        }
        Ok(())
    }

    async fn finish(mut self, mark: &str) -> Result<()> {
        self.command("SET", vec![keys::applied(self.site)], vec![mark.as_bytes().to_vec()]).await?;
        self.command("DEL", vec![keys::rebuilding(self.site)], Vec::new()).await?;
        self.flush().await
    }
}
