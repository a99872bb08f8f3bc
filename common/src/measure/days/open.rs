//! The open days of a site.

use std::collections::{BTreeMap, BTreeSet};

use super::erasures::Mark;
use super::{Counts, DayEvents, PAGE, open_days};
use crate::event::Event;
use crate::measure::head::Head;
use crate::site::Site;
use crate::store::{Position, Result, Store, TimelineFrom};
use crate::time::{Day, Timestamp};

/// Events of one instant that are read at a time: most often there is one.
const AT_AN_INSTANT: usize = 16;

/// The open days of a site, and up to which position they have its events.
#[derive(Debug, Default)]
pub(super) struct Open {
    heads: BTreeMap<Day, Head>,
    after: Position,
    /// Days of which the log has more events than have been read yet.
    reading: Vec<DayEvents>,
    /// Whether events after the position may be there already.
    some_may_be: bool,
    /// Whether events of pages of the log that are not read yet may be there already, because they were
    /// looked up.
    ahead: bool,
    /// The site's erasures, when the first of its events was read.
    pub(super) mark: Mark,
}

/// How far the days of a query are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// There are more events to read.
    More,
    /// What was committed before the step began is there, but the days have fewer events than they should.
    Incomplete,
    /// They can be scanned.
    Complete,
}

impl Open {
    /// Without days, of a site with this mark.
    pub(super) fn of(mark: Mark) -> Self {
        Self { mark, ..Self::default() }
    }

    /// The columns of a day that it was brought up to date for.
    pub(super) fn head(&self, day: Day) -> &Head {
        &self.heads[&day]
    }

    /// The days of which not all values are kept.
    pub(super) fn capped(&self) -> impl Iterator<Item = Day> {
        self.heads.iter().filter(|(_, head)| head.is_capped()).map(|(day, _)| *day)
    }

    /// The bytes of memory that they take, about.
    pub(super) fn memory(&self) -> usize {
        1_024 + self.heads.values().map(Head::memory).sum::<usize>()
    }

    /// Reads a page of events: of the log, else of those that were committed since. Of each head at most
    /// about so many bytes are not sealed. If it is dropped before it is done, nothing is lost: what comes
    /// next reads the same page again.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub(super) async fn step(
        &mut self,
        store: &dyn Store,
        site: &Site,
        counts: &Counts,
        unsealed: usize,
        now: Timestamp,
    ) -> Result<Step> {
        let is_open = |day: &Day| open_days(now).contains(day);
        self.heads.retain(|day, _| is_open(day));
        self.reading.retain(|events| is_open(&events.day()));
        if let Some(events) = self.reading.last() {
            let (page, rest) = events.next(store, site).await?;
            self.ahead |= add(&mut self.heads, store, site, &page, self.ahead).await?;
            self.reading.pop();
            self.reading.extend(rest);
            self.relieve(unsealed);
        } else if !self.heads.is_empty() {
            let committed = store.committed_after(site, self.after, PAGE).await?;
            let is_last = committed.len() < PAGE;
            if let Some(position) = committed.last().map(|committed| committed.position) {
                let events: Vec<_> = committed.into_iter().map(|committed| committed.event).collect();
                let looked_up = add(&mut self.heads, store, site, &events, self.some_may_be).await?;
                // What was looked up in the log may have been committed after this page.
                self.some_may_be = looked_up || self.some_may_be && !is_last;
                self.after = position;
                self.relieve(unsealed);
            }
            if is_last {
                return Ok(self.is_complete(counts));
            }
        } else {
            return Ok(self.is_complete(counts));
        }
        Ok(Step::More)
    }

    fn relieve(&mut self, unsealed: usize) {
        self.heads.values_mut().for_each(|head| head.relieve(unsealed));
    }

    fn is_complete(&self, counts: &Counts) -> Step {
        let has = |(day, events): (&Day, &u64)| self.heads.get(day).is_some_and(|head| head.len() as u64 >= *events);
        if counts.iter().all(has) { Step::Complete } else { Step::Incomplete }
    }

    /// Whether it has these days, but for what was committed since.
    pub(super) fn has(&self, counts: &Counts) -> bool {
        !self.is_being_read() && counts.keys().all(|day| self.heads.contains_key(day))
    }

    /// Whether the log is being read.
    pub(super) const fn is_being_read(&self) -> bool {
        !self.reading.is_empty()
    }

    /// Begins to read these days and those that it has from the log. What is committed meanwhile comes
    /// after the position that is asked for first, or is in the log already.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub(super) async fn refill(&mut self, store: &dyn Store, site: &Site, counts: &Counts) -> Result<()> {
        let after = store.latest_position(site).await?;
        let days: BTreeSet<Day> = self.heads.keys().chain(counts.keys()).copied().collect();
        let heads: BTreeMap<Day, Head> = days.into_iter().map(|day| (day, Head::new(day))).collect();
        let reading = heads.keys().map(|day| DayEvents::new(*day)).collect();
        *self = Self { heads, after, reading, some_may_be: true, ahead: false, mark: self.mark };
        Ok(())
    }

    /// Drops other days than these; answers whether there were any.
    pub(super) fn keep_only(&mut self, counts: &Counts) -> bool {
        let before = self.heads.len();
        self.heads.retain(|day, _| counts.contains_key(day));
        self.reading.retain(|events| counts.contains_key(&events.day()));
        self.heads.len() < before
    }
}

/// Adds events to their days, only those that are not there yet if some may be. Answers whether others had to
/// be looked up in the log; those may have any position. What cannot be repeated is done at the end, where it
/// is not interrupted.
///
/// # Errors
/// When the store cannot answer.
pub(super) async fn add(
    heads: &mut BTreeMap<Day, Head>,
    store: &dyn Store,
    site: &Site,
    events: &[Event],
    some_may_be: bool,
) -> Result<bool> {
    let (mut unclear, mut found) = (Vec::new(), Vec::new());
    for head in heads.values_mut() {
        unclear.append(&mut head.reopen(events));
    }
    for (visitor, instant) in &unclear {
        let all = at_instant(store, site, *instant).await?;
        found.extend(all.into_iter().filter(|event| event.visitor == *visitor));
    }
    for head in heads.values_mut() {
        unclear.iter().for_each(|(visitor, instant)| head.forget(*visitor, *instant));
        let new: Vec<&Event> = found.iter().filter(|event| !head.has(event)).collect();
        head.extend(new);
        let may_be = some_may_be || !unclear.is_empty();
        let new: Vec<&Event> = events.iter().filter(|event| !may_be || !head.has(event)).collect();
        head.extend(new);
    }
    Ok(!unclear.is_empty())
}

/// All events of an instant.
async fn at_instant(store: &dyn Store, site: &Site, instant: Timestamp) -> Result<Vec<Event>> {
    let (mut all, mut from) = (Vec::new(), TimelineFrom::Newest { until: instant, offset: 0 });
    loop {
        let page = store.timeline(site, from, AT_AN_INSTANT).await?;
        let last = page.last().filter(|last| page.len() == AT_AN_INSTANT && last.created_at == instant);
        let next = last.map(|last| TimelineFrom::Below(last.created_at, last.id));
        all.extend(page.into_iter().filter(|event| event.created_at == instant));
        match next {
            Some(next) => from = next,
            None => return Ok(all),
        }
    }
}
