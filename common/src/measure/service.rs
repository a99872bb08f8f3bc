//! Answers queries: finds the days that they are about, and scans their columns on a thread of its own,
//! within bounds of time, memory and processors.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use prometheus::IntCounter;
use tokio::sync::{Semaphore, mpsc};

use super::days::{self, Counts, DayColumns, Days};
use super::goals::GoalList;
use super::query::{
    Context, EventsMeta, FunnelQuery, FunnelResults, Meta, Query, Results, RetentionQuery, RetentionResults,
};
use super::question::{Answer, Question};
use super::scan::clicks::{self, ClickedPlace};
use super::scan::{self, ScanError, Work};
use super::site_goals::{self, Kept};
use super::summary::reading::Reading;
use super::themes::Themes;
use super::upkeep;
use super::zone::Zone;
use crate::config::Config;
use crate::retention;
use crate::site::Site;
use crate::store::{BlockKind, Store, StoreError};
use crate::telemetry::SPANS;
use crate::time::{Day, HOUR, SECOND, Timestamp};

/// How long the work for one query may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);
/// The least memory with which several scans may run at the same time, in bytes.
const SCAN_MEMORY: usize = 16 << 20;
/// How long a query waits for its turn.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Too many queries at the same time, or this one takes too long.
    #[error("queries take too long")]
    Late,
    /// It needs more memory than queries may take.
    #[error("the query needs more memory than ANALYTICS_QUERY_MEMORY allows, {0} bytes for all queries")]
    TooLarge(usize),
    /// A stored segment is damaged.
    #[error("a segment is damaged")]
    Damaged,
}

/// Answers queries about the sites of a store.
#[derive(Debug)]
pub struct Service {
    pub(crate) days: Days,
    zone: Zone,
    pub(super) goals: GoalList,
    pub(super) site_goals: Kept,
    summary_months: u32,
    active_window_seconds: u32,
    retention_days: u32,
    memory: usize,
    /// What one scan may take: scans share a quarter of the memory.
    scan_memory: usize,
    /// One scan a processor would leave none for ingest: half of them, at least one.
    scans: Arc<Semaphore>,
}

impl Service {
    /// Of one store.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let memory = usize::try_from(config.query_memory).unwrap_or(usize::MAX);
        let scans = (processors / 2).min(memory / 4 / SCAN_MEMORY).max(1);
        Self {
            days: Days::new(config.query_memory),
            zone: config.timezone.clone(),
            goals: config.goals.clone(),
            site_goals: site_goals::kept(),
            summary_months: config.summary_months,
            active_window_seconds: u32::try_from(config.active_window / SECOND).unwrap_or(u32::MAX),
            retention_days: config.retention_days,
            memory,
            scan_memory: memory / 4 / scans,
            scans: Arc::new(Semaphore::new(scans)),
        }
    }

    /// The same, but open days have visitors sealed as soon as there are some who were not seen lately.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub(crate) const fn sealing_early(mut self) -> Self {
        self.days.unsealed = 0;
        self
    }

    /// How many days of sites were noticed that have more distinct values of a dimension than are kept.
    #[must_use]
    pub const fn capped_days(&self) -> &IntCounter {
        &self.days.capped.total
    }

    /// How many events a site has on each day whose events are kept.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn counts(&self, store: &dyn Store, site: &Site, now: Timestamp) -> Result<Counts, StoreError> {
        self.counts_of(store, site, self.first_kept(now)..now.day().plus(2), now).await
    }

    /// The same for these days, as far as they are kept: columns of days that have expired since may
    /// still be in memory.
    async fn counts_of(
        &self,
        store: &dyn Store,
        site: &Site,
        days: Range<Day>,
        now: Timestamp,
    ) -> Result<Counts, StoreError> {
        let first = days.start.max(self.first_kept(now));
        days::counts(store, site, first..days.end.max(first)).await
    }

    /// The first day whose events are kept.
    pub(super) fn first_kept(&self, now: Timestamp) -> Day {
        retention::cutoff(self.retention_days, now)
    }

    /// The first day whose summary is kept.
    pub(super) fn first_summary(&self, now: Timestamp) -> Day {
        retention::summaries_cutoff(self.summary_months, now)
    }

    /// What the meaning of queries about a site with these events depends on. Where its data begins is
    /// looked up only for queries that ask for all of it.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn context(
        &self,
        store: &dyn Store,
        site: &Site,
        counts: &Counts,
        asks_all: bool,
        now: Timestamp,
    ) -> Result<Context<'static>, StoreError> {
        let first_day = match asks_all {
            true => upkeep::first_day(store, site, counts, self.first_summary(now)..self.first_kept(now)).await?,
            false => counts.keys().next().copied(),
        };
        let own = self.site_goals(store, site).await?;
        Ok(Context {
            zone: self.zone.clone(),
            goals: self.goals.of(site).chain(&own.goals).cloned().collect(),
            funnels: own.funnels.clone().into(),
            first_day,
            active_window_seconds: self.active_window_seconds,
            ..Context::at(now)
        })
    }

    /// Answers a query.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn query(
        &self,
        store: &dyn Store,
        query: &Query,
        counts: &Counts,
        now: Timestamp,
    ) -> Result<(Results, Meta), QueryError> {
        let answer = self.answer(store, &query.question, counts, now).await?;
        let comparison = match &query.comparison {
            Some(question) => Some(self.answer(store, question, counts, now).await?),
            None => None,
        };
        Ok(query.results(answer, comparison))
    }

    async fn answer(
        &self,
        store: &dyn Store,
        question: &Question,
        counts: &Counts,
        now: Timestamp,
    ) -> Result<Answer, QueryError> {
        let question = Arc::new(question.clone());
        let expired = Reading::new(self, store, &question, counts, self.first_kept(now), now).await?;
        let days = days_of(question.range.start, question.range.end);
        let scanned = counts.range(days.clone()).next().is_some();
        let site = question.site.clone();
        let asked = Asked { store, site: &site, counts, days, now };
        let sums = expired.sums.clone();
        let answer = self.scan(asked, move |days, work| scan::answer_after(&question, sums.as_deref(), days, work));
        Ok(expired.describe(answer.await?, scanned))
    }

    /// Answers a funnel.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn funnel(
        &self,
        store: &dyn Store,
        query: &FunnelQuery,
        counts: &Counts,
        now: Timestamp,
    ) -> Result<(FunnelResults, EventsMeta), QueryError> {
        let funnel = query.funnel.clone();
        let days = days_of(funnel.range.start, funnel.range.end);
        let meta = self.events_meta(store, &query.funnel.site, counts, days.clone(), now).await?;
        let asked = Asked { store, site: &query.funnel.site, counts, days, now };
        let (answer, _) = self.scan(asked, move |days, work| scan::funnel::answer(&funnel, days, work)).await?;
        Ok((query.results(answer), meta))
    }

    /// Answers in which weeks visitors return.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn retention(
        &self,
        store: &dyn Store,
        query: &RetentionQuery,
        counts: &Counts,
        now: Timestamp,
    ) -> Result<(RetentionResults, EventsMeta), QueryError> {
        let retention = query.retention.clone();
        let all = counts.keys().next().zip(counts.keys().next_back()).map(|(first, last)| *first..last.plus(1));
        let days = all.unwrap_or(now.day()..now.day());
        // What came before belongs to earlier cohorts, and to the first.
        let expired = self.first_summary(now)..days.start;
        let meta = self.events_meta(store, &query.retention.site, counts, expired, now).await?;
        let asked = Asked { store, site: &query.retention.site, counts, days, now };
        let answer = self.scan(asked, move |days, work| scan::retention::answer(&retention, days, work)).await?;
        Ok((query.results(&answer), meta))
    }

    /// Whether there were events of these days that have expired.
    async fn events_meta(
        &self,
        store: &dyn Store,
        site: &Site,
        counts: &Counts,
        days: Range<Day>,
        now: Timestamp,
    ) -> Result<EventsMeta, StoreError> {
        let first_kept = self.first_kept(now);
        let expired = days.start.max(self.first_summary(now))..days.end.min(first_kept);
        if expired.is_empty() {
            return Ok(EventsMeta::default());
        }
        let totals = store.blocks(site, BlockKind::Totals, expired).await?;
        let is_missed = totals.iter().any(|(day, _)| !counts.contains_key(day));
        Ok(EventsMeta::since(is_missed.then_some(first_kept)))
    }

    /// The most viewed themes of these days, at most `limit`.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn themes(
        &self,
        store: &dyn Store,
        site: &Site,
        days: Range<Day>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Themes, QueryError> {
        let counts = self.counts_of(store, site, days.clone(), now).await?;
        let answer = self.answer(store, &Themes::question(site, &days), &counts, now).await?;
        Ok(Themes::of(answer, limit))
    }

    /// The clicked places of one page, or of all, in these hours since the Unix epoch, at most `limit`.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn clicks(
        &self,
        store: &dyn Store,
        site: &Site,
        page: Option<&str>,
        hours: Range<i64>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<ClickedPlace>, QueryError> {
        let day = |hour: i64| Timestamp::from_millis(hour.saturating_mul(HOUR)).day();
        let days = day(hours.start)..day(hours.end - 1).plus(1);
        let counts = self.counts_of(store, site, days.clone(), now).await?;
        let asked = Asked { store, site, counts: &counts, days, now };
        let page = page.map(str::to_owned);
        self.scan(asked, move |days, work| clicks::answer(page.as_deref(), &hours, limit, days, work)).await
    }

    /// Works on a thread of its own within the bounds of a query, but reads no days.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        store: &dyn Store,
        site: &Site,
        now: Timestamp,
        work: impl FnOnce(&Work<'_>) -> Result<T, ScanError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let asked = Asked { store, site, counts: &Counts::new(), days: now.day()..now.day(), now };
        self.scan(asked, move |_, bounds| work(bounds)).await
    }

    /// Scans on a thread of its own, day by day, while the next day is being read. The scan stops at its
    /// deadline, and when the future is dropped because the client is gone; days that were built until
    /// then are there for the next query.
    #[tracing::instrument(target = SPANS, level = "debug", skip_all)]
    async fn scan<T: Send + 'static>(
        &self,
        Asked { store, site, counts, days, now }: Asked<'_>,
        scan: impl FnOnce(Arriving, &Work<'_>) -> Result<T, ScanError> + Send + 'static,
    ) -> Result<T, QueryError> {
        self.days.prepare(store, site, counts, days.clone(), now).await?;
        let turn = tokio::time::timeout(QUEUE_TIMEOUT, Arc::clone(&self.scans).acquire_owned()).await;
        let turn = turn.map_err(|_| QueryError::Late)?.map_err(|_| QueryError::Late)?;
        let wanted = Wanted(Arc::default());
        let unwanted = Arc::clone(&wanted.0);
        let (memory, visitors) = (self.scan_memory, self.days.visitors());
        let (sender, receiver) = mpsc::channel(1);
        let scanned = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let deadline = Instant::now() + DEADLINE;
            let stopped = || unwanted.load(Ordering::Relaxed) || Instant::now() > deadline;
            scan(Arriving(receiver), &Work { memory, stopped: &stopped, visitors })
        });
        // If days are missing, so is the answer.
        self.days.send(store, site, counts, days, now, sender).await?;
        scanned.await.map_err(|_| QueryError::Damaged)?.map_err(|error| match error {
            ScanError::Stopped => QueryError::Late,
            ScanError::TooLarge => QueryError::TooLarge(self.memory),
            ScanError::Damaged(_) => QueryError::Damaged,
        })
    }
}

/// The days that a query is about.
struct Asked<'a> {
    store: &'a dyn Store,
    site: &'a Site,
    counts: &'a Counts,
    days: Range<Day>,
    now: Timestamp,
}

/// Days on their way to a scan.
struct Arriving(mpsc::Receiver<DayColumns>);

impl Iterator for Arriving {
    type Item = DayColumns;

    fn next(&mut self) -> Option<DayColumns> {
        self.0.blocking_recv()
    }
}

/// Tells a scan to stop when it is dropped.
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The UTC days that the instants from `start` up to, and without, `end` touch.
fn days_of(start: Timestamp, end: Timestamp) -> Range<Day> {
    start.day()..end.plus(-1).day().plus(1)
}
