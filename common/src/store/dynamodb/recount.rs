//! `verify`: the totals counted anew from the events, and compared with what is stored.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use super::batch::Scan;
use super::client::Table;
use super::events::Events;
use super::keys::{self, Key, by_key};
use super::retained::Retained;
use super::rows;
use super::totals::{self, DayTotals};
use super::visits::VisitDays;
use crate::event::Event;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Difference, Progress, Recount, Result};
use crate::time::Day;
use crate::visitor::VisitorId;

/// How often a site is read again because events arrived meanwhile.
const ATTEMPTS: usize = 3;
/// Events between two reports of progress.
const PROGRESS_INTERVAL: u64 = 10_000;
/// The last day there is.
const LAST_DAY: i32 = i32::MAX;

/// What the events of a site add up to.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub(super) events: u64,
    pub(super) days: BTreeMap<Day, DayTotals>,
    pub(super) visitors: HashMap<VisitorId, VisitDays>,
}

impl Count {
    /// Reads and counts a site's events of this day and later.
    async fn read(table: &Table, site: &Site, since: Day, progress: &(dyn Fn(u64) + Sync)) -> Result<Self> {
        let mut count = Self::default();
        let scan = Scan { consistent: true, ..Scan::default() };
        let mut reading = Events::read(table, site, Some(since.start()), None, scan, None);
        while let Some(items) = reading.next().await? {
            for committed in items.iter().filter_map(|item| rows::read(site, item)) {
                if committed.event.created_at.day() >= since {
                    count.add(&committed.event);
                    if count.events.is_multiple_of(PROGRESS_INTERVAL) {
                        progress(count.events);
                    }
                }
            }
        }
        count.add_visitors();
        Ok(count)
    }

    fn add(&mut self, event: &Event) {
        self.events += 1;
        let day = event.created_at.day();
        self.days.entry(day).or_default().add_event(event);
        self.visitors.entry(event.visitor).or_default().add(day);
    }

    /// Counts each visitor on the first day of each week and month.
    fn add_visitors(&mut self) {
        for days in self.visitors.values() {
            let mut seen = VisitDays::default();
            for day in days.all() {
                if let Some(first) = seen.add(day) {
                    self.days.entry(day).or_default().add_visitor(&first);
                }
            }
        }
    }
}

/// What is compared.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Clone)]
enum Aggregate {
    Total(Day, &'static str),
    /// By period: which of its days counts a visitor depends on the order of arrival.
    Visitors(PeriodKey),
    /// The days of a visitor in a month.
    Days(VisitorId, PeriodKey),
}

impl Aggregate {
    /// Whether an event on one of these days may change it.
    fn is_changed_by(&self, days: &HashSet<Day>) -> bool {
        match self {
            Self::Total(day, _) => days.contains(day),
            Self::Visitors(key) | Self::Days(_, key) => {
                days.iter().any(|day| (key.first_day()..=key.last_day()).contains(day))
            }
        }
    }
}

/// Names no visitor.
impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Total(day, name) => write!(f, "{day}, {name}"),
            Self::Visitors(key) => write!(f, "{key}, distinct visitors"),
            Self::Days(_, key) => write!(f, "{key}, days of a visitor"),
        }
    }
}

type Aggregates = BTreeMap<Aggregate, i64>;

/// Aggregates of the days and visitors that the events since a day cover.
fn aggregates<'a>(
    days: &BTreeMap<Day, DayTotals>,
    visitors: impl Iterator<Item = (VisitorId, &'a VisitDays)>,
    since: Day,
) -> Aggregates {
    let mut all = Aggregates::new();
    for (day, totals) in days {
        let counts = totals.counts();
        let named = [
            ("events", counts.events),
            ("page views", counts.page_views),
            ("letters", counts.letters),
            ("motivation letters", counts.motivation),
            ("anti-motivation letters", counts.anti_motivation),
        ];
        all.extend(named.map(|(name, n)| (Aggregate::Total(*day, name), n as i64)));
        for key in Period::ALL.map(|period| PeriodKey::of(period, *day)) {
            if key.first_day() >= since {
                *all.entry(Aggregate::Visitors(key)).or_default() += totals.new_visitors(key.period()) as i64;
            }
        }
    }
    for (visitor, days) in visitors {
        let covered = days.months().filter(|(month, _)| *month >= since);
        all.extend(
            covered
                .map(|(month, days)| (Aggregate::Days(visitor, PeriodKey::of(Period::Month, month)), i64::from(days))),
        );
    }
    all.retain(|_, n| *n != 0);
    all
}

/// The stored days of the visitors that were counted.
async fn visitors(table: &Table, site: &Site, count: &Count) -> Result<Vec<(VisitorId, VisitDays)>> {
    let of: HashMap<Key, VisitorId> =
        count.visitors.keys().map(|visitor| (keys::visitor(site, *visitor), *visitor)).collect();
    let found = by_key(table.get_all(&of.keys().cloned().collect::<Vec<_>>(), true).await?);
    Ok(found.iter().filter_map(|(key, item)| Some((*of.get(key)?, VisitDays::read(item)))).collect())
}

/// Compares a site's totals with its events; answers what the events add up to.
pub(super) async fn compare(
    table: &Table,
    site: &Site,
    retained: Retained,
    progress: &Progress,
    recount: &mut Recount,
) -> Result<Count> {
    let since = retained.events.unwrap_or(Day::from_number(0));
    let (so_far, last) = (recount.events, Day::from_number(LAST_DAY));
    let mut attempt = 0;
    let (mut expected, mut found, moving, count) = loop {
        attempt += 1;
        let before = totals::by_day(table, site, since, last, true).await?;
        let total = so_far + before.values().map(|totals| totals.counts().events).sum::<u64>();
        let count = Count::read(table, site, since, &|events| progress(so_far + events, total)).await?;
        progress(so_far + count.events, total.max(so_far + count.events));
        let visitors = visitors(table, site, &count).await?;
        let after = totals::by_day(table, site, since, last, true).await?;
        let moving = moving(&before, &after);
        if moving.is_empty() || attempt == ATTEMPTS {
            let expected =
                aggregates(&count.days, count.visitors.iter().map(|(visitor, days)| (*visitor, days)), since);
            let found = aggregates(&before, visitors.iter().map(|(visitor, days)| (*visitor, days)), since);
            break (expected, found, moving, count);
        }
    };
    if !moving.is_empty() {
        tracing::warn!(site.id = %site, days = moving.len(), "events arrived during the recount; their days are not compared");
        expected.retain(|aggregate, _| !aggregate.is_changed_by(&moving));
        found.retain(|aggregate, _| !aggregate.is_changed_by(&moving));
    }
    recount.events += count.events;
    recount.aggregates += expected.len() as u64;
    list_differences(site, &expected, &found, recount);
    Ok(count)
}

/// Days whose number of events is not the same in both.
fn moving(before: &BTreeMap<Day, DayTotals>, after: &BTreeMap<Day, DayTotals>) -> HashSet<Day> {
    let events = |of: &BTreeMap<Day, DayTotals>, day| of.get(day).map_or(0, |totals| totals.counts().events);
    let days = before.keys().chain(after.keys());
    days.filter(|day| events(before, day) != events(after, day)).copied().collect()
}

fn list_differences(site: &Site, expected: &Aggregates, found: &Aggregates, recount: &mut Recount) {
    let all = expected.keys().chain(found.keys().filter(|aggregate| !expected.contains_key(*aggregate)));
    for aggregate in all {
        let n = |of: &Aggregates| of.get(aggregate).copied().unwrap_or(0);
        let (expected, found) = (n(expected), n(found));
        if expected != found {
            recount.different += 1;
            if recount.differences.len() < Recount::MOST_LISTED {
                let aggregate = format!("site {site}, {aggregate}");
                recount.differences.push(Difference { aggregate, expected, found });
            }
        }
    }
}
