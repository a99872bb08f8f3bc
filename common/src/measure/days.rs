//! Where the columns of a site's days come from.
//!
//! - **A closed day** is a [`Segment`]: in memory if it was asked for lately, else the block that the
//!   store has, else built from the day's events and stored for other readers.
//! - **An open day** (yesterday, today, and tomorrow because clocks differ) is a [`Head`], which takes
//!   the events that were committed since it was last read.
//!
//! Both are checked against the store's own count of the day's events. Events of a day are added and
//! never changed, and all of them go at once, so columns made of as many events as the day has are
//! made of the same events. A late event, an import or another process's commit changes the count, and
//! the columns are brought up to date before they answer.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use moka::future::Cache;
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use super::columns::Columns;
use super::head::Head;
use super::segment::Segment;
use crate::event::Event;
use crate::site::Site;
use crate::store::{BlockKind, Position, Result, Store, TimelineFrom};
use crate::time::{Day, Timestamp};

/// Events that are read at a time.
const PAGE: usize = 2_000;
/// Sites whose open days are kept in memory.
const MOST_OPEN_SITES: u64 = 64;

/// The columns of days, shared by all queries of a process.
#[derive(Debug)]
pub struct Days {
    closed: Cache<(Site, Day), Segment>,
    open: Cache<Site, Arc<RwLock<Open>>>,
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
    /// Of one store, with at most so many bytes of closed days in memory.
    #[must_use]
    pub fn new(memory: u64) -> Self {
        let weight = |_: &(Site, Day), segment: &Segment| u32::try_from(segment.memory()).unwrap_or(u32::MAX);
        Self {
            closed: Cache::builder().max_capacity(memory).weigher(weight).build(),
            open: Cache::new(MOST_OPEN_SITES),
        }
    }

    /// The columns of these days, which stay as they are while they are held.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn hold(
        &self,
        store: &dyn Store,
        site: &Site,
        counts: &Counts,
        days: Range<Day>,
        now: Timestamp,
    ) -> Result<Held> {
        let open_from = open_days(now).start;
        let asked = counts.iter().filter(|(day, _)| days.contains(day)).map(|(day, events)| (*day, *events));
        let (closed, open): (Counts, Counts) = asked.partition(|(day, _)| *day < open_from);
        let mut held = Held::default();
        for (day, events) in closed {
            held.closed.push(self.closed(store, site, day, events).await?);
        }
        if !open.is_empty() {
            held.open = Some(self.open(store, site, open, now).await?);
        }
        Ok(held)
    }

    async fn closed(&self, store: &dyn Store, site: &Site, day: Day, events: u64) -> Result<Segment> {
        let key = (site.clone(), day);
        let complete = |segment: &Segment| segment.events() as u64 >= events;
        if let Some(segment) = self.closed.get(&key).await.filter(complete) {
            return Ok(segment);
        }
        let stored = store.blocks(site, BlockKind::Segment, day..day.plus(1)).await?.pop();
        let stored = stored.and_then(|(_, block)| Segment::open(block.into()).ok()).filter(complete);
        let segment = match stored {
            Some(segment) => segment,
            None => {
                let segment = Segment::build(day, &events_of(store, site, day).await?);
                let put = store.put_block(site, BlockKind::Segment, day, segment.block().to_vec()).await;
                if let Err(error) = put {
                    // The answer is right without it; the next reader builds it again.
                    tracing::warn!(error = crate::collect::error_text(&error), "a segment could not be stored");
                }
                segment
            }
        };
        self.closed.insert(key, segment.clone()).await;
        Ok(segment)
    }

    async fn open(&self, store: &dyn Store, site: &Site, counts: Counts, now: Timestamp) -> Result<HeldOpen> {
        let open = self.open.get_with_by_ref(site, async { Arc::default() }).await;
        {
            let mut open = open.write().await;
            open.catch_up(store, site, now).await?;
            if !open.is_complete(&counts) {
                open.refill(store, site, counts.keys().copied(), now).await?;
            }
        }
        Ok(HeldOpen { open: open.read_owned().await, days: counts.into_keys().collect() })
    }
}

/// All events of a day, in no order.
async fn events_of(store: &dyn Store, site: &Site, day: Day) -> Result<Vec<Event>> {
    let last = Timestamp::from_millis(day.plus(1).start().millis() - 1);
    let mut from = TimelineFrom::Newest { until: last, offset: 0 };
    let mut events = Vec::new();
    loop {
        let page = store.timeline(site, from, PAGE).await?;
        let full = page.len() == PAGE;
        let Some(oldest) = page.last() else { return Ok(events) };
        let (at, id) = (oldest.created_at, oldest.id);
        events.extend(page.into_iter().filter(|event| event.created_at.day() == day));
        if !full || at < day.start() {
            return Ok(events);
        }
        from = TimelineFrom::Below(at, id);
    }
}

/// The days that events may still come for without being late.
fn open_days(now: Timestamp) -> Range<Day> {
    now.day().plus(-1)..now.day().plus(2)
}

/// The open days of a site, and up to which position they have its events.
#[derive(Debug, Default)]
struct Open {
    heads: BTreeMap<Day, Head>,
    after: Option<Position>,
}

impl Open {
    /// Takes the events that were committed since the last time.
    async fn catch_up(&mut self, store: &dyn Store, site: &Site, now: Timestamp) -> Result<()> {
        self.heads.retain(|day, _| open_days(now).contains(day));
        while let Some(after) = self.after.filter(|_| !self.heads.is_empty()) {
            let committed = store.committed_after(site, after, PAGE).await?;
            let Some(last) = committed.last() else { break };
            self.after = Some(last.position);
            for head in self.heads.values_mut() {
                head.extend(committed.iter().map(|committed| &committed.event));
            }
            if committed.len() < PAGE {
                break;
            }
        }
        Ok(())
    }

    fn is_complete(&self, counts: &Counts) -> bool {
        counts.iter().all(|(day, events)| self.heads.get(day).is_some_and(|head| head.len() as u64 >= *events))
    }

    /// Reads these days from the log. What is committed meanwhile comes after the position that is
    /// asked for first, or is in the log already.
    async fn refill(
        &mut self,
        store: &dyn Store,
        site: &Site,
        days: impl Iterator<Item = Day>,
        now: Timestamp,
    ) -> Result<()> {
        let newest = store.timeline(site, TimelineFrom::all(0), 1).await?.pop();
        let after = match newest {
            Some(event) => store.position(site, event.id).await?,
            None => Some(Position(0)),
        };
        let wanted: Vec<Day> = self.heads.keys().copied().chain(days).collect();
        let mut heads = BTreeMap::new();
        let mut known = HashSet::new();
        for day in wanted {
            if heads.contains_key(&day) {
                continue;
            }
            let events = events_of(store, site, day).await?;
            known.extend(events.iter().map(|event| event.id));
            let mut head = Head::new(day);
            head.extend(&events);
            heads.insert(day, head);
        }
        *self = Self { heads, after };
        while let Some(after) = self.after {
            let mut committed = store.committed_after(site, after, PAGE).await?.to_vec();
            let Some(last) = committed.last() else { break };
            self.after = Some(last.position);
            let full = committed.len() == PAGE;
            committed.retain(|committed| known.insert(committed.event.id));
            for head in self.heads.values_mut() {
                head.extend(committed.iter().map(|committed| &committed.event));
            }
            if !full {
                break;
            }
        }
        self.heads.retain(|day, _| open_days(now).contains(day));
        Ok(())
    }
}

/// Columns of days that stay as they are while they are held.
#[derive(Debug, Default)]
pub struct Held {
    closed: Vec<Segment>,
    open: Option<HeldOpen>,
}

#[derive(Debug)]
struct HeldOpen {
    open: OwnedRwLockReadGuard<Open>,
    days: Vec<Day>,
}

impl Held {
    /// The columns, a day each.
    #[must_use]
    pub fn columns(&self) -> Vec<&dyn Columns> {
        let closed = self.closed.iter().map(|segment| segment as &dyn Columns);
        let open = self.open.iter().flat_map(|held| held.days.iter().filter_map(|day| held.open.heads.get(day)));
        closed.chain(open.map(|head| head as &dyn Columns)).collect()
    }
}
