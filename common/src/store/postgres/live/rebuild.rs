//! A site's keys built anew from one snapshot of PostgreSQL.
//!
//! Everything is written under a token that the first step sets: a flush meanwhile, or another
//! process that begins a rebuild, takes it away, and the rest is refused. The watermark is written
//! last, so that half a rebuild is none. What is committed meanwhile is applied afterwards.

use std::collections::HashMap;

use redis::{Pipeline, Value};
use uuid::Uuid;

use super::link::REBUILD_TIMEOUT;
use super::periods::{ALWAYS, Listed};
use super::projection::{SyncState, counters};
use super::script::call;
use super::watermark::Watermark;
use super::{Shared, keys};
use crate::measure::columns::{MOST_VALUES, OTHER};
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::postgres::connection::unavailable;
use crate::store::postgres::feed;
use crate::store::postgres::snapshot::{RebuildLock, Snapshot};
use crate::store::{Result, StoreError, Totals};
use crate::time::{Day, Timestamp};
use crate::visitor::VisitorId;

/// For how many seconds a rebuild that stopped keeps its token.
const TOKEN_SECONDS: u64 = 600;
/// How many keys are deleted at a time.
const KEYS: usize = 1_000;
/// How many arguments a call of `fill.lua` has at most, and one command in it.
const MOST_ARGUMENTS: usize = 4_000;
const MOST_OF_ONE: usize = 1_000;

impl Shared {
    /// Rebuilds all sites.
    pub(super) async fn rebuild_all(&self) -> Result<()> {
        for site in feed::look(&self.connections).await?.positions.into_keys() {
            self.rebuild_site(&site, true).await?;
        }
        Ok(())
    }

    /// Rebuilds a site, unless another process is at it, or has done so and it is not to be done
    /// `anew`.
    pub(super) async fn rebuild_site(&self, site: &Site, anew: bool) -> Result<()> {
        let lock = RebuildLock::acquire(&self.connections, &self.store, site).await?;
        let _lock = lock.ok_or_else(|| unavailable("another process is rebuilding the site"))?;
        if anew || self.watermark(site).await?.is_none() {
            self.build(site).await?;
        }
        self.states.improve(site, SyncState::Behind);
        self.catch_up(site).await
    }

    /// Deletes watermarks, so that sites are rebuilt.
    pub(super) async fn void(&self, sites: &[Site]) -> Result<()> {
        let mut pipeline = Pipeline::with_capacity(sites.len());
        for site in sites {
            pipeline.cmd("DEL").arg(keys::watermark(site));
        }
        self.link.ask_within(REBUILD_TIMEOUT, "rebuild", &pipeline).await?;
        Ok(())
    }

    async fn build(&self, site: &Site) -> Result<()> {
        let now = self.clock_for(site).await?;
        let token = Uuid::new_v4().to_string();
        self.begin(site, &token, now).await?;
        // After the begin: what is committed until then is in it.
        let mut snapshot = Snapshot::begin(&self.connections, site).await?;
        let mut filler = Filler::new(self, site, token, self.redis_time().await?);
        let life = |key: &PeriodKey| keys::seconds_left(*key, now);
        let kept: HashMap<PeriodKey, Totals> =
            snapshot.totals().await?.into_iter().filter(|(key, _)| life(key) > 0).collect();
        for (key, totals) in &kept {
            filler.period(*key, totals, life(key)).await?;
        }
        loop {
            let visitors = snapshot.next_visitors().await?;
            if visitors.is_empty() {
                break;
            }
            for (key, visitors) in visitors.into_iter().filter(|(key, _)| kept.contains_key(key)) {
                filler.visitors(key, &visitors).await?;
            }
        }
        for key in kept.keys().filter(|key| key.period() == Period::Day) {
            filler.themes(key.first_day(), snapshot.themes(key.first_day()).await?, life(key)).await?;
        }
        filler.presence(&snapshot.presence(now).await?).await?;
        let watermark = Watermark { position: snapshot.position, last: snapshot.last };
        filler.finish(&watermark.text(&self.store)).await?;
        self.sum_themes(std::slice::from_ref(site), now).await?;
        self.metrics.redis_rebuilds_total.inc();
        tracing::info!(site.id = %site, position = snapshot.position, "redis: site rebuilt from postgresql");
        Ok(())
    }

    async fn begin(&self, site: &Site, token: &str, now: Timestamp) -> Result<()> {
        let mut names = vec![keys::watermark(site), keys::visitors(site), keys::themes_top(site), keys::periods(site)];
        names.extend(keys::outdated(site));
        for key in keys::kept_periods(now) {
            names.extend(keys::of_period(site, key));
            if key.period() == Period::Day {
                names.push(keys::themes(site, key.first_day()));
            }
        }
        let mut pipeline = Pipeline::new();
        for names in names.chunks(KEYS) {
            let mut all = vec![keys::rebuilding(site)];
            all.extend_from_slice(names);
            let mut begin = call(&self.link.scripts.begin, &all);
            begin.arg(token).arg(TOKEN_SECONDS);
            pipeline.add_command(begin);
        }
        let answers = self.link.ask_within(REBUILD_TIMEOUT, "rebuild", &pipeline).await?;
        if answers.iter().all(|answer| *answer == Value::Int(1)) { Ok(()) } else { Err(interrupted()) }
    }

    /// Sums up the themes of all days that are kept.
    pub(super) async fn sum_themes(&self, sites: &[Site], now: Timestamp) -> Result<()> {
        let first = now.day().plus(-90).max(self.kept_since().await?.unwrap_or(Day::from_number(0)));
        let mut pipeline = Pipeline::new();
        for site in sites {
            let days = first.number()..=now.day().number() + 1;
            let days: Vec<_> = days.map(|day| keys::themes(site, Day::from_number(day))).collect();
            let top = keys::themes_top(site);
            pipeline.cmd("ZUNIONSTORE").arg(&top).arg(days.len()).arg(&days);
            pipeline.cmd("ZREMRANGEBYRANK").arg(&top).arg(0).arg(-(MOST_VALUES as i64) - 2);
        }
        self.link.ask_within(REBUILD_TIMEOUT, "rebuild", &pipeline).await?;
        Ok(())
    }
}

fn text(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

fn interrupted() -> StoreError {
    unavailable("the rebuild was interrupted")
}

/// Sends commands, many in one call.
struct Filler<'a> {
    shared: &'a Shared,
    site: &'a Site,
    token: String,
    /// What time it is by Redis's clock, in seconds.
    redis_time: u64,
    keys: Vec<String>,
    arguments: Vec<Vec<u8>>,
}

impl<'a> Filler<'a> {
    fn new(shared: &'a Shared, site: &'a Site, token: String, redis_time: u64) -> Self {
        let mut this = Self { shared, site, token, redis_time, keys: Vec::new(), arguments: Vec::new() };
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
        let mut fill = call(&self.shared.link.scripts.fill, &self.keys);
        fill.arg(&self.arguments);
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.add_command(fill);
        self.clear();
        let answers = self.shared.link.ask_within(REBUILD_TIMEOUT, "rebuild", &pipeline).await?;
        if answers == [Value::Int(1)] { Ok(()) } else { Err(interrupted()) }
    }

    /// Visitors, into the sketch of a period.
    async fn visitors(&mut self, key: PeriodKey, visitors: &[VisitorId]) -> Result<()> {
        for chunk in visitors.chunks(MOST_OF_ONE) {
            let members = chunk.iter().map(|visitor| visitor.as_bytes().to_vec()).collect();
            self.command("PFADD", vec![keys::sketch(self.site, key)], members).await?;
        }
        Ok(())
    }

    /// Puts what has keys on the list; [`ALWAYS`] without an end.
    async fn list(&mut self, member: Vec<u8>, seconds: Option<u64>) -> Result<()> {
        let expires = seconds.map_or_else(|| b"+inf".to_vec(), |seconds| text(self.redis_time + seconds));
        self.command("ZADD", vec![keys::periods(self.site)], vec![expires, member]).await
    }

    async fn period(&mut self, key: PeriodKey, totals: &Totals, seconds: u64) -> Result<()> {
        let names = keys::of_period(self.site, key);
        for (name, n) in names.iter().zip(counters(totals)) {
            self.command("SET", vec![name.clone()], vec![text(n), b"EX".to_vec(), text(seconds)]).await?;
        }
        self.list(Listed::Period(key).member().to_string().into_bytes(), Some(seconds)).await?;
        let [.., sketch] = names;
        self.command("PFADD", vec![sketch.clone()], Vec::new()).await?;
        self.command("EXPIRE", vec![sketch], vec![text(seconds)]).await
    }

    async fn themes(&mut self, day: Day, themes: HashMap<String, u64>, seconds: u64) -> Result<()> {
        let mut themes: Vec<_> = themes.into_iter().collect();
        themes.sort_unstable_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
        let rest: u64 = themes.split_off(MOST_VALUES.min(themes.len())).into_iter().map(|(_, n)| n).sum();
        if rest > 0 {
            themes.push((OTHER.to_owned(), rest));
        }
        let key = keys::themes(self.site, day);
        for chunk in themes.chunks(MOST_OF_ONE / 2) {
            let members = chunk.iter().flat_map(|(theme, n)| [text(*n), theme.clone().into_bytes()]).collect();
            self.command("ZADD", vec![key.clone()], members).await?;
        }
        if themes.is_empty() {
            return Ok(());
        }
        self.list(Listed::Themes(day).member().to_string().into_bytes(), Some(seconds)).await?;
        self.command("EXPIRE", vec![key], vec![text(seconds)]).await
    }

    async fn presence(&mut self, presence: &[(VisitorId, Timestamp)]) -> Result<()> {
        let key = keys::visitors(self.site);
        for chunk in presence.chunks(MOST_OF_ONE / 2) {
            let members = chunk
                .iter()
                .flat_map(|(visitor, seen)| [seen.millis().to_string().into_bytes(), visitor.as_bytes().to_vec()]);
            self.command("ZADD", vec![key.clone()], members.collect()).await?;
        }
        Ok(())
    }

    async fn finish(mut self, watermark: &str) -> Result<()> {
        self.list(ALWAYS.as_bytes().to_vec(), None).await?;
        self.command("SET", vec![keys::watermark(self.site)], vec![watermark.as_bytes().to_vec()]).await?;
        self.command("DEL", vec![keys::rebuilding(self.site)], Vec::new()).await?;
        self.flush().await
    }
}
