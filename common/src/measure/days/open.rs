//! The open days of a site.

use std::collections::BTreeMap;

use super::{Counts, DayEvents, PAGE, open_days};
use crate::measure::head::Head;
use crate::measure::service::QueryError;
use crate::site::Site;
use crate::store::{Position, Result, Store, TimelineFrom};
use crate::time::{Day, Timestamp};

/// The open days of a site, and up to which position they have its events.
#[derive(Debug, Default)]
pub(super) struct Open {
    heads: BTreeMap<Day, Head>,
    after: Option<Position>,
}

/// Refuses days that take too many bytes.
type Check<'a> = &'a (dyn Fn(usize) -> Result<(), QueryError> + Sync);

impl Open {
    /// The columns of a day that it was brought up to date for.
    pub(super) fn head(&self, day: Day) -> &Head {
        &self.heads[&day]
    }

    /// The bytes of memory that they take, about.
    pub(super) fn memory(&self) -> usize {
        1_024 + self.heads.values().map(Head::memory).sum::<usize>()
    }

    /// Has at least so many events of these days afterwards. Other days stay while there is room for them.
    ///
    /// # Errors
    /// When the store cannot answer, or the days need too much memory.
    pub(super) async fn bring_up_to_date(
        &mut self,
        store: &dyn Store,
        site: &Site,
        counts: &Counts,
        now: Timestamp,
        check: Check<'_>,
    ) -> Result<(), QueryError> {
        self.heads.retain(|day, _| open_days(now).contains(day));
        let read = self.follow(store, site, false, check).await;
        if !matches!(read, Err(QueryError::TooLarge(_))) {
            read?;
            if self.is_complete(counts) {
                return Ok(());
            }
            let known = self.heads.keys().copied();
            let read = self.refill(store, site, counts.keys().copied().chain(known).collect(), check).await;
            if !matches!(read, Err(QueryError::TooLarge(_))) {
                return read;
            }
        }
        self.refill(store, site, counts.keys().copied().collect(), check).await
    }

    /// Takes the events that were committed since the last time; only those that are not there yet if some
    /// may be.
    async fn follow(
        &mut self,
        store: &dyn Store,
        site: &Site,
        some_may_be: bool,
        check: Check<'_>,
    ) -> Result<(), QueryError> {
        while let Some(after) = self.after.filter(|_| !self.heads.is_empty()) {
            let committed = store.committed_after(site, after, PAGE).await?;
            let Some(last) = committed.last() else { break };
            self.after = Some(last.position);
            for head in self.heads.values_mut() {
                let new: Vec<_> = committed
                    .iter()
                    .map(|committed| &committed.event)
                    .filter(|event| !some_may_be || !head.has(event))
                    .collect();
                head.extend(new);
            }
            check(self.memory())?;
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
        mut days: Vec<Day>,
        check: Check<'_>,
    ) -> Result<(), QueryError> {
        days.sort_unstable();
        days.dedup();
        *self = Self::default();
        let newest = store.timeline(site, TimelineFrom::all(0), 1).await?.pop();
        self.after = match newest {
            Some(event) => store.position(site, event.id).await?,
            None => Some(Position(0)),
        };
        for day in days {
            self.heads.insert(day, Head::new(day));
            let mut events = DayEvents::new(day);
            while let Some(page) = events.next(store, site).await? {
                if let Some(head) = self.heads.get_mut(&day) {
                    head.extend(&page);
                }
                check(self.memory())?;
            }
        }
        self.follow(store, site, true, check).await
    }
}
