//! What is prepared for later at night, and compared on demand: segments and summaries of closed days.
//!
//! Every closed day is given a segment and a summary once it is over, and again when late events or an
//! import fall into it, so that a day's summary is there long before its events expire. Derived data may
//! be lost and is built again from the events; a summary can be lost for good only once its day has
//! expired.

use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::closed::ClosedDay;
use super::days::{self, Counts};
use super::service::{QueryError, Service};
use super::summary::{Origin, Summary};
use crate::collect::error_text;
use crate::site::Site;
use crate::store::{BlockKind, Difference, Progress, Recount, Result, Store, StoreError};
use crate::time::{Day, Timestamp};

/// How long one run may prepare. It is a third of what a function may take in all.
const BUDGET: Duration = Duration::from_secs(300);

/// What was prepared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summarised {
    /// Days that were summarised.
    pub days: u64,
    /// Days that have to wait for the next run, because the time was over.
    pub left: u64,
    /// Days that could not be summarised.
    pub failed: u64,
}

impl Service {
    /// The UTC days of which all events are kept and none is expected any more.
    async fn closed_days(&self, store: &dyn Store, now: Timestamp) -> Result<Range<Day>> {
        let end = days::open_days(now).start;
        let Some(events) = store.event_days(now).await? else { return Ok(end..end) };
        let first = store.kept_since().await?.map_or(*events.start(), |kept| kept.max(*events.start()));
        Ok(first.min(end)..end)
    }

    /// The closed days of sites that lack a summary, with their events; a day with a summary has its segment
    /// too. Those that expire next come first.
    ///
    /// # Errors
    /// When the store cannot answer which days there are.
    pub async fn backlog(&self, store: &dyn Store, now: Timestamp) -> Result<Vec<(Day, Site, u64)>> {
        let closed = self.closed_days(store, now).await?;
        let closed = closed.start.max(self.first_summary(now))..closed.end;
        let mut missing = Vec::new();
        if closed.is_empty() {
            return Ok(missing);
        }
        for site in store.sites().await? {
            let counts = days::counts(store, &site, closed.clone()).await?;
            if counts.is_empty() {
                continue;
            }
            let known = summarised(store, &site, closed.clone()).await?;
            let is_missing = |(day, events): &(Day, u64)| known.get(day) != Some(events);
            missing.extend(counts.into_iter().filter(is_missing).map(|(day, events)| (day, site.clone(), events)));
        }
        missing.sort_unstable();
        Ok(missing)
    }

    /// Of how many events the summaries of a site are made, those of imported logs included.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub(crate) async fn summarised_events(&self, store: &dyn Store, site: &Site, now: Timestamp) -> Result<u64> {
        let blocks = store.blocks(site, BlockKind::Totals, Day::from_number(0)..now.day().plus(1)).await?;
        Ok(blocks.into_iter().filter_map(|(_, block)| Some(Summary::open(block).ok()?.events())).sum())
    }

    /// Builds segments and summaries of closed days that lack them, those that expire next first.
    ///
    /// # Errors
    /// When the store cannot answer which days there are.
    pub async fn summarise(&self, store: &dyn Store, now: Timestamp) -> Result<Summarised> {
        let started = Instant::now();
        let mut done = Summarised::default();
        for (day, site, events) in self.backlog(store, now).await? {
            if started.elapsed() > BUDGET {
                done.left += 1;
                continue;
            }
            match self.summarise_day(store, &site, day, events).await {
                Ok(()) => done.days += 1,
                Err(error) => {
                    done.failed += 1;
                    tracing::error!(
                        error = error_text(&error),
                        site.id = site.as_str(),
                        %day,
                        "a day could not be summarised; it is tried again every night until its events expire"
                    );
                }
            }
        }
        Ok(done)
    }

    async fn summarise_day(&self, store: &dyn Store, site: &Site, day: Day, events: u64) -> Result<()> {
        let mark = self.days.mark(store, site).await?;
        let segment = self.days.closed(store, site, day, events).await.map_err(|error| failed(store, error))?;
        if (segment.events() as u64) < events {
            return Err(failed(store, format!("the day has {events} events, {} could be read", segment.events())));
        }
        let summary = summary_of(store, segment, Origin::Stored).await?;
        put(store, site, &summary).await?;
        self.days.delete_if_erased(store, site, day, mark).await
    }

    /// Compares segments and summaries of closed days with ones that are built from the events, and, if
    /// `repair`, replaces those that differ and adds those that are missing. What was built before late
    /// events arrived, or by another release, is no difference: it is replaced before it answers anything.
    ///
    /// # Errors
    /// When the store cannot.
    pub async fn compare_derived(
        &self,
        store: &dyn Store,
        repair: bool,
        now: Timestamp,
        progress: Progress,
    ) -> Result<Recount> {
        let closed = self.closed_days(store, now).await?;
        let mut recount = Recount::default();
        if closed.is_empty() {
            return Ok(recount);
        }
        let mut of_sites = Vec::new();
        for site in store.sites().await? {
            let counts = days::counts(store, &site, closed.clone()).await?;
            of_sites.push((site, counts));
        }
        let all = of_sites.iter().flat_map(|(_, counts)| counts.values()).sum();
        for (site, counts) in of_sites {
            for day in counts.into_keys() {
                self.compare_day(store, &site, day, repair, now, &mut recount).await?;
                progress(recount.events, all);
            }
        }
        Ok(recount)
    }

    async fn compare_day(
        &self,
        store: &dyn Store,
        site: &Site,
        day: Day,
        repair: bool,
        now: Timestamp,
        recount: &mut Recount,
    ) -> Result<()> {
        let mut stored = Vec::new();
        for kind in BlockKind::DERIVED {
            stored.push(store.blocks(site, kind, day..day.plus(1)).await?.pop().map(|(_, block)| block));
        }
        let mark = self.days.mark(store, site).await?;
        let segment = self.days.build(store, site, day).await.map_err(|error| failed(store, error))?;
        let events = segment.events() as u64;
        recount.events += events;
        let summary = summary_of(store, segment.clone(), Origin::Stored).await?;
        for (kind, stored) in BlockKind::DERIVED.into_iter().zip(stored) {
            let (name, expected) = match kind {
                BlockKind::Segment => ("segment", segment.block().to_vec()),
                BlockKind::Summary => ("summary", summary.block().to_vec()),
                BlockKind::Totals => ("totals of the summary", summary.totals_block()),
                BlockKind::Goals | BlockKind::Erasures => continue,
            };
            if kind != BlockKind::Segment && day < self.first_summary(now) {
                continue;
            }
            if let Some(stored) = &stored {
                recount.aggregates += 1;
                let found = events_of(kind, stored);
                let is_older = found.is_some_and(|found| found < events)
                    || kind == BlockKind::Segment && ClosedDay::is_of_another_release(stored);
                if *stored != expected && !is_older {
                    let found = found.unwrap_or(0) as i64;
                    let aggregate = format!("{site} {day} {name}, in events");
                    recount.differ(Difference { aggregate, expected: events as i64, found });
                }
            }
            if repair && stored.as_ref() != Some(&expected) {
                store.put_block(site, kind, day, expected).await?;
            }
        }
        if repair { self.days.delete_if_erased(store, site, day, mark).await } else { Ok(()) }
    }
}

/// How many events a block was made of; `None` if it is damaged, or made of a log.
fn events_of(kind: BlockKind, block: &[u8]) -> Option<u64> {
    match kind {
        BlockKind::Segment => ClosedDay::open(block.to_vec().into()).ok().map(|day| day.events() as u64),
        BlockKind::Summary | BlockKind::Totals => Summary::open(block.to_vec()).ok().map(|summary| summary.events()),
        BlockKind::Goals | BlockKind::Erasures => None,
    }
}

/// Of how many stored events each day's summary was made.
async fn summarised(store: &dyn Store, site: &Site, days: Range<Day>) -> Result<HashMap<Day, u64>> {
    let blocks = store.blocks(site, BlockKind::Totals, days).await?;
    let summaries = blocks.into_iter().filter_map(|(day, block)| Some((day, Summary::open(block).ok()?)));
    let stored = summaries.filter(|(_, summary)| summary.origin() == Origin::Stored);
    Ok(stored.map(|(day, summary)| (day, summary.events())).collect())
}

/// Summarises a day on a thread of its own.
async fn summary_of(store: &dyn Store, day: ClosedDay, origin: Origin) -> Result<Summary> {
    let built = tokio::task::spawn_blocking(move || Summary::of(day.segments(), origin)).await;
    built.map_err(|error| failed(store, error))?.map_err(|error| failed(store, error))
}

/// What went wrong with a day, or with the store itself.
fn failed(store: &dyn Store, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    match error.into().downcast::<QueryError>().map(|error| *error) {
        Ok(QueryError::Store(error)) => error,
        Ok(error) => StoreError::Other { engine: store.engine(), source: error.into() },
        Err(source) => StoreError::Other { engine: store.engine(), source },
    }
}

/// Stores a summary. Its totals come last: a day that has them is complete.
async fn put(store: &dyn Store, site: &Site, summary: &Summary) -> Result<()> {
    let day = summary.day();
    store.put_block(site, BlockKind::Summary, day, summary.block().to_vec()).await?;
    store.put_block(site, BlockKind::Totals, day, summary.totals_block()).await
}

/// What became of a day of an imported log whose events have expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// Its summary was stored.
    Stored,
    /// It has a summary already, of the site's own events or of at least as many of a log.
    Known,
}

impl Service {
    /// Stores the summary of a day whose events have expired, made of a log's events in another store,
    /// unless the day has a summary of events that were stored when it was new, or of at least as many
    /// events of a log: so the same log counts once, and a longer copy of it replaces a shorter one.
    ///
    /// # Errors
    /// When one of the stores cannot.
    pub async fn import_day(&self, log: &dyn Store, store: &dyn Store, site: &Site, day: Day) -> Result<Imported> {
        let known = store.blocks(site, BlockKind::Totals, day..day.plus(1)).await?.pop();
        let known = known.and_then(|(_, block)| Summary::open(block).ok());
        let segment = self.days.build(log, site, day).await.map_err(|error| failed(log, error))?;
        let events = segment.events() as u64;
        if known.is_some_and(|known| known.origin() == Origin::Stored || known.events() >= events) {
            return Ok(Imported::Known);
        }
        put(store, site, &summary_of(store, segment, Origin::Imported).await?).await?;
        Ok(Imported::Stored)
    }
}

/// The first day of which a site has events or a summary.
pub(super) async fn first_day(
    store: &dyn Store,
    site: &Site,
    counts: &Counts,
    summaries: Range<Day>,
) -> Result<Option<Day>> {
    let first = store.blocks(site, BlockKind::Totals, summaries).await?.first().map(|(day, _)| *day);
    Ok([first, counts.keys().next().copied()].into_iter().flatten().min())
}
