//! Where the columns of a site's days come from.
//!
//! - **A closed day** is a [`ClosedDay`]: in memory if it was asked for lately, else the block that the
//!   store has, else built from the day's events and stored for other readers.
//! - **An open day** (yesterday, today, and tomorrow because clocks differ) is a [`Head`], which takes
//!   the events that were committed since it was last read.
//!
//! Both are checked against the store's own count of the day's events. Events of a day are added and
//! never changed, and all of them go at once, so columns made of as many events as the day has are
//! made of the same events. A late event, an import or another process's commit changes the count, and
//! the columns are brought up to date before they answer. When a visitor is erased, the columns of before
//! are given up (`erasures`).
//!
//! Memory is bounded: half of it is for the open days of all sites, a quarter for closed days and numbers of
//! visitors. What was used least lately goes first. Visitors of an open day who have not been seen for a while are
//! [sealed](super::head), so that it takes little more than a segment. A query reads one day after the
//! other, so that it holds one while the next is being read.

mod capped;
pub(super) mod erasures;
mod open;
#[cfg(all(test, feature = "sqlite"))]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::future::Cache;
use moka::policy::EvictionPolicy;
use tokio::sync::mpsc::Sender;
use tokio::sync::{OwnedRwLockReadGuard, RwLock, Semaphore};
use uuid::Uuid;

use self::capped::CappedDays;
use self::erasures::{Erasures, Mark, Stored};
use self::open::{Open, Step};
use super::closed::ClosedDay;
use super::columns::Columns;
use super::head::{AsPart, Head, Part};
use super::segment::Segment;
use super::service::QueryError;
use super::visitor_numbers::VisitorNumbers;
use crate::event::Event;
use crate::site::Site;
use crate::store::{BlockKind, Result, Store, TimelineFrom};
use crate::time::{Day, Timestamp};

/// Events that are read at a time.
const PAGE: usize = 2_000;

/// Pages that are read before another site may read.
const PAGES: usize = 20;

/// How long a query waits for open days to be read. The next one goes on from there.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// The part of the memory that the head of an open day may take before visitors are sealed.
const UNSEALED: u64 = 64;

/// The part of the memory that numbers of visitors may take between scans.
const NUMBERS: u64 = 32;

/// Days that needed too much memory, of which the most recent are remembered.
const MOST_REFUSED: u64 = 1_000;

/// The columns of days, shared by all queries of a process.
#[derive(Debug)]
pub struct Days {
    closed: Cache<(Site, Day), (Mark, ClosedDay)>,
    open: Cache<Site, OpenSite>,
    /// All of the memory that queries may take.
    memory: usize,
    /// The bytes that the head of an open day may take before visitors are sealed.
    pub(super) unsealed: usize,
    /// Segments are built one after another: it takes much more memory than a segment.
    building: Semaphore,
    /// Open days are read from the log by one site after the other.
    reading: Semaphore,
    /// Days that needed too much memory together, and how many events they had: they are not read again
    /// for every query, only to be refused.
    refused: Cache<(Site, Vec<Day>), u64>,
    erasures: Erasures,
    /// Numbers of the visitors in columns that were scanned, which may still be in memory.
    visitors: Mutex<Arc<VisitorNumbers>>,
    pub(super) capped: CappedDays,
}

/// The open days of a site, and the bytes that they took when they were last used.
#[derive(Debug, Clone, Default)]
struct OpenSite {
    days: Arc<RwLock<Open>>,
    bytes: usize,
}

/// How many events each day has, without the days that have none.
pub type Counts = BTreeMap<Day, u64>;

/// How many events a site has on each of these days.
///
/// # Errors
/// When the store cannot answer.
pub async fn counts(store: &dyn Store, site: &Site, days: Range<Day>) -> Result<Counts> {
    let daily = store.daily(site, days).await?.into_iter();
    Ok(daily.filter(|(_, totals)| totals.events > 0).map(|(day, totals)| (day, totals.events)).collect())
}

impl Days {
    /// Of one store, for queries that take at most so many bytes of memory together.
    #[must_use]
    pub fn new(memory: u64) -> Self {
        let weight = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        Self {
            closed: Cache::builder()
                .max_capacity(memory / 4 - memory / NUMBERS)
                .weigher(move |_: &(Site, Day), (_, closed): &(Mark, ClosedDay)| weight(closed.memory()))
                .build(),
            open: Cache::builder()
                .max_capacity(memory / 2)
                .eviction_policy(EvictionPolicy::lru())
                .weigher(move |_: &Site, open: &OpenSite| weight(open.bytes))
                .build(),
            memory: usize::try_from(memory).unwrap_or(usize::MAX),
            unsealed: usize::try_from(memory / UNSEALED).unwrap_or(usize::MAX),
            building: Semaphore::new(1),
            reading: Semaphore::new(1),
            refused: Cache::new(MOST_REFUSED),
            erasures: Erasures::new(),
            visitors: Mutex::default(),
            capped: CappedDays::new(),
        }
    }

    /// Numbers of visitors for a scan: those of earlier scans, unless they take too much memory.
    pub(super) fn visitors(&self) -> Arc<VisitorNumbers> {
        let mut visitors = self.visitors.lock().unwrap_or_else(PoisonError::into_inner);
        if visitors.memory() > self.memory / NUMBERS as usize {
            *visitors = Arc::default();
        }
        Arc::clone(&visitors)
    }

    /// Nothing that was made of a site's events until now is used any more.
    async fn give_up(&self, site: &Site) {
        self.closed.invalidate_all();
        self.open.invalidate(site).await;
        *self.visitors.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    /// Sends the columns of these days, the oldest first, until all are sent or the receiver is gone.
    /// A day is read when there is room for it. It stays as it is until it is dropped.
    ///
    /// # Errors
    /// When the store cannot answer, or a day alone needs too much memory.
    pub async fn send(
        &self,
        store: &dyn Store,
        site: &Site,
        counts: &Counts,
        days: Range<Day>,
        now: Timestamp,
        to: Sender<DayColumns>,
    ) -> Result<(), QueryError> {
        let (closed, open) = asked(counts, &days, now);
        for (day, events) in closed {
            if to.reserve().await.is_err() {
                return Ok(());
            }
            // There is room for one now, and nothing else sends.
            let closed = self.closed(store, site, day, events).await?;
            for segment in closed.segments() {
                if to.send(DayColumns::Closed(segment.clone())).await.is_err() {
                    return Ok(());
                }
            }
        }
        if open.is_empty() || to.is_closed() {
            return Ok(());
        }
        // Their lock is held from here on only, and not while closed days are read.
        let held = self.unless_refused(site, &open, self.open(store, site, &open, now)).await?;
        let held = Arc::new(held);
        for day in open.into_keys() {
            for part in 0..held.head(day).count_parts() {
                let day = OpenDay { open: Arc::clone(&held), day, part };
                if to.send(DayColumns::Open(day)).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Reads open days from the log, unless they are in memory. It takes longest of all and needs little of a
    /// processor, so it is done before a query takes one.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn prepare(
        &self,
        store: &dyn Store,
        site: &Site,
        counts: &Counts,
        days: Range<Day>,
        now: Timestamp,
    ) -> Result<(), QueryError> {
        let (_, open) = asked(counts, &days, now);
        if open.is_empty() {
            return Ok(());
        }
        let mark = self.mark(store, site).await?;
        let known = self.open.get(site).await;
        if known.is_some_and(|known| known.days.try_read().is_ok_and(|days| days.mark == mark && days.has(&open))) {
            return Ok(());
        }
        self.unless_refused(site, &open, self.open(store, site, &open, now)).await.map(drop)
    }

    /// A closed day that has at least so many events.
    pub(super) async fn closed(
        &self,
        store: &dyn Store,
        site: &Site,
        day: Day,
        events: u64,
    ) -> Result<ClosedDay, QueryError> {
        let key = (site.clone(), day);
        let mark = self.mark(store, site).await?;
        let complete = |closed: &ClosedDay| closed.events() as u64 >= events;
        let known = self.closed.get(&key).await.filter(|(known, _)| *known == mark).map(|(_, closed)| closed);
        if let Some(closed) = known.filter(complete) {
            return Ok(closed);
        }
        let stored = store.blocks(site, BlockKind::Segment, day..day.plus(1)).await?.pop();
        let stored = stored.and_then(|(_, block)| ClosedDay::open(block.into()).ok()).filter(complete);
        let closed = match stored {
            Some(closed) => closed,
            None => {
                let counts = Counts::from([(day, events)]);
                let closed = self.unless_refused(site, &counts, self.build(store, site, day)).await?;
                let put = store.put_block(site, BlockKind::Segment, day, closed.block().to_vec()).await;
                if let Err(error) = put {
                    // The answer is right without it; the next reader builds it again.
                    tracing::warn!(error = crate::collect::error_text(&error), "a segment could not be stored");
                }
                self.delete_if_erased(store, site, day, mark).await?;
                closed
            }
        };
        self.closed.insert(key, (mark, closed.clone())).await;
        // Otherwise the cache evicts only from time to time, and holds far more than its bound until then.
        self.closed.run_pending_tasks().await;
        Ok(closed)
    }

    /// The mark of a site's erasures. Where it has changed, nothing is kept that was made before.
    pub(super) async fn mark(&self, store: &dyn Store, site: &Site) -> Result<Mark> {
        let (mark, is_new) = self.erasures.mark(store, site).await?;
        if is_new {
            self.give_up(site).await;
        }
        Ok(mark)
    }

    /// Deletes the blocks of a day that were stored just now if a visitor was erased since this mark: they
    /// may have been made of the events of before.
    pub(super) async fn delete_if_erased(&self, store: &dyn Store, site: &Site, day: Day, mark: Mark) -> Result<()> {
        if Stored::read(store, site).await?.mark == mark {
            return Ok(());
        }
        delete_derived(store, site, day).await
    }

    /// Records, before the first event is erased, which days' blocks will have to be deleted. Answers whether
    /// there is anything to do: these days, or those of an erasure that broke off.
    ///
    /// # Errors
    /// When the store cannot.
    pub async fn begin_erasure(&self, store: &dyn Store, site: &Site, days: &[Day]) -> Result<bool> {
        let mut stored = Stored::read(store, site).await?;
        let before = stored.clone();
        stored.days.extend(days);
        stored.days.sort_unstable();
        stored.days.dedup();
        if stored != before {
            stored.write(store, site).await?;
        }
        Ok(!stored.days.is_empty())
    }

    /// The events are gone: from now on nothing is answered from what was made of them.
    ///
    /// # Errors
    /// When the store cannot.
    pub async fn give_up_columns(&self, store: &dyn Store, site: &Site) -> Result<()> {
        let Stored { days, .. } = Stored::read(store, site).await?;
        Stored { mark: Some(Uuid::new_v4()), days: days.clone() }.write(store, site).await?;
        self.erasures.forget(site).await;
        self.give_up(site).await;
        for day in days {
            delete_derived(store, site, day).await?;
        }
        Ok(())
    }

    /// Records that the erasure is complete.
    ///
    /// # Errors
    /// When the store cannot.
    pub async fn end_erasure(&self, store: &dyn Store, site: &Site) -> Result<()> {
        Stored { days: Vec::new(), ..Stored::read(store, site).await? }.write(store, site).await
    }

    /// Reads days that have so many events, unless they were read before and need too much memory. Events
    /// of a day are added only, so it does not need less later.
    async fn unless_refused<T>(
        &self,
        site: &Site,
        counts: &Counts,
        read: impl Future<Output = Result<T, QueryError>>,
    ) -> Result<T, QueryError> {
        let (key, events) = ((site.clone(), counts.keys().copied().collect()), counts.values().sum());
        if self.refused.get(&key).await.is_some_and(|refused| events >= refused) {
            return Err(QueryError::TooLarge(self.memory));
        }
        let read = read.await;
        if matches!(read, Err(QueryError::TooLarge(_))) {
            self.refused.insert(key, events).await;
        }
        read
    }

    /// A day, from its events.
    pub(super) async fn build(&self, store: &dyn Store, site: &Site, day: Day) -> Result<ClosedDay, QueryError> {
        let _turn = self.building.acquire().await.map_err(|_| QueryError::Late)?;
        let (mut heads, mut next) = (BTreeMap::from([(day, Head::new(day))]), Some(DayEvents::new(day)));
        let mut some_may_be = false;
        while let Some(events) = next {
            let (page, rest) = events.next(store, site).await?;
            some_may_be |= open::add(&mut heads, store, site, &page, some_may_be).await?;
            for head in heads.values_mut() {
                // Pieces cost time: most days need none.
                head.relieve(4 * self.unsealed);
                self.check(head.memory())?;
            }
            next = rest;
        }
        let head = heads.remove(&day).unwrap_or_else(|| Head::new(day));
        if head.is_capped() {
            self.capped.note(site, day);
        }
        // Sorting a whole day takes too long for a thread that serves requests.
        tokio::task::spawn_blocking(move || ClosedDay::of(head)).await.map_err(|_| QueryError::Damaged)
    }

    /// The open days of a site, which have at least so many events, unless the store has fewer.
    async fn open(
        &self,
        store: &dyn Store,
        site: &Site,
        counts: &Counts,
        now: Timestamp,
    ) -> Result<OwnedRwLockReadGuard<Open>, QueryError> {
        let mark = self.mark(store, site).await?;
        let days = self.open.get_with_by_ref(site, async { OpenSite::default() }).await.days;
        let deadline = tokio::time::Instant::now() + READ_TIMEOUT;
        let (mut is_refilled, mut pages) = (false, 1);
        loop {
            let open = tokio::time::timeout_at(deadline, Arc::clone(&days).write_owned()).await;
            let mut open = open.map_err(|_| QueryError::Late)?;
            if open.mark != mark {
                *open = Open::of(mark);
            }
            // Days that are in memory lack a page at most, and need not wait for those of other sites.
            let turn = match pages == 1 && !open.is_being_read() {
                true => None,
                false => Some(tokio::time::timeout_at(deadline, self.reading.acquire()).await),
            };
            let _turn = turn.transpose().map_err(|_| QueryError::Late)?;
            let mut is_ready = false;
            for _ in 0..pages {
                is_ready = match open.step(store, site, counts, self.unsealed, now).await? {
                    Step::Complete => true,
                    Step::Incomplete if is_refilled && open.has(counts) => true,
                    Step::Incomplete => {
                        open.refill(store, site, counts).await?;
                        is_refilled = true;
                        false
                    }
                    Step::More => false,
                };
                if self.check(open.memory()).is_err() && !open.keep_only(counts) {
                    *open = Open::of(mark);
                    return Err(QueryError::TooLarge(self.memory));
                }
                if is_ready {
                    break;
                }
            }
            open.capped().for_each(|day| self.capped.note(site, day));
            let cached = OpenSite { days: Arc::clone(&days), bytes: open.memory() };
            // Kept locked until they are dropped: a query of other days may begin to read the log anew.
            let ready = if is_ready { Some(open.downgrade()) } else { None };
            // Evicts what was used least lately, which may be these days themselves.
            self.open.insert(site.clone(), cached).await;
            if let Some(ready) = ready {
                return Ok(ready);
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(QueryError::Late);
            }
            pages = PAGES;
        }
    }

    /// Refuses days that take more than half of the memory while they are open, or being built.
    const fn check(&self, bytes: usize) -> Result<(), QueryError> {
        if bytes > self.memory / 2 { Err(QueryError::TooLarge(self.memory)) } else { Ok(()) }
    }
}

/// Deletes what was made of the events of a day.
async fn delete_derived(store: &dyn Store, site: &Site, day: Day) -> Result<()> {
    for kind in BlockKind::DERIVED {
        store.delete_block(site, kind, day).await?;
    }
    Ok(())
}

/// How many events the closed and the open ones of these days have.
fn asked(counts: &Counts, days: &Range<Day>, now: Timestamp) -> (Counts, Counts) {
    let open_from = open_days(now).start;
    let asked = counts.iter().filter(|(day, _)| days.contains(day)).map(|(day, events)| (*day, *events));
    asked.partition(|(day, _)| *day < open_from)
}

/// All events of a day, a page at a time, in no order.
#[derive(Debug)]
struct DayEvents {
    day: Day,
    from: TimelineFrom,
}

impl DayEvents {
    fn new(day: Day) -> Self {
        let last = Timestamp::from_millis(day.plus(1).start().millis() - 1);
        Self { day, from: TimelineFrom::Newest { until: last, offset: 0 } }
    }

    const fn day(&self) -> Day {
        self.day
    }

    /// The next page, and what comes after it.
    async fn next(&self, store: &dyn Store, site: &Site) -> Result<(Vec<Event>, Option<Self>)> {
        let mut page = store.timeline(site, self.from, PAGE).await?;
        let oldest = page.last().filter(|oldest| page.len() == PAGE && oldest.created_at >= self.day.start());
        let from = oldest.map(|oldest| TimelineFrom::Below(oldest.created_at, oldest.id));
        page.retain(|event| event.created_at.day() == self.day);
        Ok((page, from.map(|from| Self { day: self.day, from })))
    }
}

/// The days that events may still come for without being late.
pub(super) fn open_days(now: Timestamp) -> Range<Day> {
    now.day().plus(-1)..now.day().plus(2)
}

/// The columns of one day, which stay as they are.
#[derive(Debug)]
pub enum DayColumns {
    /// A day that is over, or a part of it.
    Closed(Segment),
    /// A day that events still come for.
    Open(OpenDay),
}

/// A part of one of the open days of a site, which are locked as long as one of these is there.
#[derive(Debug)]
pub struct OpenDay {
    open: Arc<OwnedRwLockReadGuard<Open>>,
    day: Day,
    part: usize,
}

impl AsPart for OpenDay {
    fn part(&self) -> Part<'_> {
        self.open.head(self.day).part_at(self.part)
    }
}

impl AsRef<dyn Columns> for DayColumns {
    fn as_ref(&self) -> &(dyn Columns + 'static) {
        match self {
            Self::Closed(segment) => segment,
            Self::Open(day) => day,
        }
    }
}
