//! `verify`: everything counted anew from the events, and compared with what is stored.
//!
//! Nothing here depends on the order in which events are read: a value or click target has a
//! place of its own when its first event, by position, is among the first 10,000 of the day.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::ops::RangeInclusive;

use super::ask::{Range, Way};
use super::client::Tables;
use super::counted::{in_totals, name};
use super::facts::Kept;
use super::figures::{self, field};
use super::item::{Item, sort_key};
use super::keys::{self, END, EVENT_SHARDS, SKEW};
use super::knowledge::Days;
use super::{heatmap, presence, stored};
use crate::event::Event;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Committed, Difference, Progress, Recount, Result};
use crate::tally::{Click, Dimension, MOST_VALUES, OTHER, Tally};
use crate::time::{DAY, Day, HOUR, Timestamp};
use crate::visitor::VisitorId;

/// The hours of click cells that are compared: as many as can be asked for.
const CLICK_HOURS: i64 = 168;
/// How often a site is read again because events arrived meanwhile.
const ATTEMPTS: usize = 3;
/// Events between two words on how far it has come.
const HEARD_EVERY: u64 = 10_000;

/// The slots in which who came can be recounted: all of the last hour but the one in which it
/// begins, and those that some clocks may be ahead.
pub(super) fn present_slots(now: Timestamp) -> RangeInclusive<i64> {
    keys::slot(now.plus(-HOUR)) + 1..=keys::slot(now.plus(DAY))
}

/// What the events of a day add up to.
#[derive(Debug, Default)]
pub(super) struct DayCount {
    /// Numbers of the totals, visitors aside.
    pub(super) totals: BTreeMap<String, i64>,
    values: HashMap<(Dimension, String), (u64, i64)>,
    targets: HashMap<(String, String), u64>,
    clicks: HashMap<(i64, String, String, u8, u8), i64>,
}

impl DayCount {
    /// How often each value came, by the name under which it is counted.
    pub(super) fn values(&self, dimension: Dimension) -> BTreeMap<&str, i64> {
        let mut all: Vec<_> = self.values.iter().filter(|((of, _), _)| *of == dimension).collect();
        all.sort_by_key(|(_, (first, _))| *first);
        let mut values = BTreeMap::new();
        let mut places = 0;
        for ((_, value), (_, n)) in all {
            let own = value != OTHER && places < MOST_VALUES;
            places += usize::from(own);
            *values.entry(if own { value.as_str() } else { OTHER }).or_default() += n;
        }
        values
    }

    /// The click targets that have a place of their own.
    pub(super) fn targets(&self) -> HashSet<(&str, &str)> {
        let mut all: Vec<_> = self.targets.iter().collect();
        all.sort_by_key(|(_, first)| **first);
        all.into_iter().take(MOST_VALUES).map(|((page, element), _)| (page.as_str(), element.as_str())).collect()
    }

    /// The click cells: hour, place, and how often.
    pub(super) fn cells(&self) -> BTreeMap<(i64, String, String, u8, u8), i64> {
        let targets = self.targets();
        let mut cells = BTreeMap::new();
        for ((hour, page, element, x, y), n) in &self.clicks {
            let own = targets.contains(&(page.as_str(), element.as_str()));
            let (page, element) = if own { (page.as_str(), element.as_str()) } else { (OTHER, "") };
            *cells.entry((*hour, page.to_owned(), element.to_owned(), *x, *y)).or_default() += n;
        }
        cells
    }
}

/// What the events of a site add up to.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub(super) events: u64,
    pub(super) days: BTreeMap<Day, DayCount>,
    pub(super) visitors: HashMap<VisitorId, Days>,
    /// Who came in which slot of the last hour.
    pub(super) present: HashSet<(i64, VisitorId)>,
}

impl Count {
    fn add(&mut self, committed: &Committed, now: Timestamp) {
        let Committed { position, event } = committed;
        self.events += 1;
        let day = event.created_at.day();
        let tally = Tally::of(event);
        let count = self.days.entry(day).or_default();
        for (dimension, value) in tally.counters.iter().flatten() {
            match in_totals(*dimension, value) {
                Some(name) => *count.totals.entry(name).or_default() += 1,
                None => {
                    let place = count.values.entry((*dimension, value.to_string()));
                    let (first, n) = place.or_insert((position.0, 0));
                    *first = (*first).min(position.0);
                    *n += 1;
                }
            }
        }
        if let Some(Click { page, element, x, y }) = tally.click {
            let first = count.targets.entry((page.clone(), element.clone())).or_insert(position.0);
            *first = (*first).min(position.0);
            *count.clicks.entry((event.created_at.hour(), page, element, x, y)).or_default() += 1;
        }
        self.visit(event, day);
        let slot = keys::slot(event.created_at);
        if present_slots(now).contains(&slot) {
            self.present.insert((slot, event.visitor));
        }
    }

    fn visit(&mut self, event: &Event, day: Day) {
        let days = self.visitors.entry(event.visitor).or_default();
        if let Some(visit) = days.visit(day) {
            *days = visit.days;
        }
    }

    /// New visitors of each day, by the name of the total: each visitor is new to a week and a
    /// month on their first day in it.
    pub(super) fn new_visitors(&self) -> BTreeMap<(Day, &'static str), i64> {
        let mut new = BTreeMap::new();
        for days in self.visitors.values() {
            let mut seen = Days::default();
            for day in days.all() {
                let Some(visit) = seen.visit(day) else { continue };
                let flags = [true, visit.new_in_week, visit.new_in_month];
                for (period, _) in Period::ALL.into_iter().zip(flags).filter(|(_, new)| *new) {
                    *new.entry((day, figures::visitors(period))).or_default() += 1;
                }
                seen = visit.days;
            }
        }
        new
    }
}

/// Reads and counts a site's kept events.
pub(super) async fn count(
    tables: &Tables,
    site: &Site,
    since: Day,
    now: Timestamp,
    heard: &mut (dyn FnMut(u64) + Send),
) -> Result<Count> {
    let mut count = Count::default();
    for shard in 0..EVENT_SHARDS {
        let from = keys::events_from(since.start().millis().saturating_sub(SKEW));
        let range = Range::new(keys::events(site, shard), from, END);
        let mut pages = tables.pages(range, Way { consistent: true, ..Way::default() });
        while let Some(items) = pages.next().await? {
            for committed in items.iter().filter_map(|item| stored::read(site, item)) {
                if committed.event.created_at.day() >= since {
                    count.add(&committed, now);
                    if count.events.is_multiple_of(HEARD_EVERY) {
                        heard(count.events);
                    }
                }
            }
        }
    }
    Ok(count)
}

/// An aggregate, in words that name no visitor.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Clone)]
enum Aggregate {
    Total(Day, String),
    Visitors(PeriodKey),
    Value(Day, Dimension, String),
    Click(i64, String, String, u8, u8),
    Days(VisitorId, Day),
    Present(i64, VisitorId),
}

impl Aggregate {
    /// The days on which an event may change it.
    fn touches(&self, moving: &HashSet<Day>) -> bool {
        match self {
            Self::Total(day, _) | Self::Value(day, ..) => moving.contains(day),
            Self::Visitors(key) => moving.iter().any(|day| (key.first_day()..=key.last_day()).contains(day)),
            Self::Click(hour, ..) => moving.contains(&Timestamp::from_millis(hour * HOUR).day()),
            Self::Days(_, month) => {
                let key = PeriodKey::of(Period::Month, *month);
                moving.iter().any(|day| (key.first_day()..=key.last_day()).contains(day))
            }
            Self::Present(slot, _) => moving.contains(&Timestamp::from_millis(slot * keys::SLOT).day()),
        }
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Total(day, name) => write!(f, "{day}, total {name}"),
            Self::Visitors(key) => write!(f, "{key}, distinct visitors"),
            Self::Value(day, dimension, value) => write!(f, "{day}, {dimension:?} {value:?}"),
            Self::Click(hour, page, _, x, y) => write!(f, "hour {hour}, clicks on {page:?} at {x}, {y}"),
            Self::Days(_, month) => write!(f, "days of a visitor in the month from {month}"),
            Self::Present(..) => write!(f, "the presence of a visitor"),
        }
    }
}

/// Every aggregate that is covered, from the events.
fn expected(count: &Count, since: Day, now: Timestamp) -> BTreeMap<Aggregate, i64> {
    let mut all = BTreeMap::new();
    let first_hour = (now.hour() - CLICK_HOURS).max(since.start().hour() - 1);
    for (day, of_day) in &count.days {
        all.extend(of_day.totals.iter().map(|(name, n)| (Aggregate::Total(*day, name.clone()), *n)));
        for dimension in Dimension::ALL {
            let values = of_day.values(dimension).into_iter();
            all.extend(values.map(|(value, n)| (Aggregate::Value(*day, dimension, value.to_owned()), n)));
        }
        let cells = of_day.cells().into_iter().filter(|((hour, ..), _)| *hour > first_hour);
        all.extend(cells.map(|((hour, page, element, x, y), n)| (Aggregate::Click(hour, page, element, x, y), n)));
    }
    for ((day, name), n) in count.new_visitors() {
        for period in Period::ALL {
            let key = PeriodKey::of(period, day);
            if figures::visitors(period) == name && key.first_day() >= since {
                *all.entry(Aggregate::Visitors(key)).or_default() += n;
            }
        }
    }
    for (visitor, days) in &count.visitors {
        let covered = days.months().filter(|(month, _)| *month >= since);
        all.extend(covered.map(|(month, days)| (Aggregate::Days(*visitor, month), i64::from(days))));
    }
    all.extend(count.present.iter().map(|(slot, visitor)| (Aggregate::Present(*slot, *visitor), 1)));
    all
}

/// Every aggregate that is covered, as it is stored.
async fn found(
    tables: &Tables,
    site: &Site,
    count: &Count,
    since: Day,
    now: Timestamp,
    totals: &[Item],
) -> Result<BTreeMap<Aggregate, i64>> {
    let mut all: BTreeMap<Aggregate, i64> = BTreeMap::new();
    let mut add = |aggregate, n: u64| {
        if n > 0 {
            *all.entry(aggregate).or_default() += i64::try_from(n).unwrap_or(i64::MAX);
        }
    };
    let visitors = Period::ALL.map(|period| (period, figures::visitors(period)));
    for item in totals {
        let Some(day) = keys::read_day(sort_key(item)) else { continue };
        for (period, name) in visitors {
            let key = PeriodKey::of(period, day);
            if key.first_day() >= since {
                add(Aggregate::Visitors(key), field(item, name));
            }
        }
        for name in item.keys().filter(|name| is_total(name)) {
            add(Aggregate::Total(day, name.clone()), field(item, name));
        }
    }
    let last = Day::from_number(i32::MAX);
    for dimension in Dimension::ALL.into_iter().filter(|dimension| dimension.is_open()) {
        for item in tables.all(figures::of_days(keys::values(site, dimension), since, last), true).await? {
            if let Some((day, _, value)) = keys::read_value(sort_key(&item)) {
                add(Aggregate::Value(day, dimension, value.to_owned()), field(&item, name::EVENTS));
            }
        }
    }
    let first_hour = (now.hour() - CLICK_HOURS).max(since.start().hour() - 1) + 1;
    let range = Range::new(keys::clicks(site), keys::hour(first_hour), END);
    for (hour, click, n) in tables.all(range, true).await?.iter().filter_map(heatmap::read) {
        add(Aggregate::Click(hour, click.page, click.element, click.x, click.y), n);
    }
    let named: HashMap<_, _> = count.visitors.keys().map(|visitor| (keys::visitor(site, *visitor), *visitor)).collect();
    let keys_of: Vec<_> = named.keys().cloned().collect();
    for item in tables.get_all(&keys_of, true).await? {
        let Some(visitor) = keys::read(&item).and_then(|key| named.get(&key)) else { continue };
        for (month, days) in Days::read(&item).months().filter(|(month, _)| *month >= since) {
            add(Aggregate::Days(*visitor, month), days.into());
        }
    }
    let slots = present_slots(now);
    for (slot, visitor) in presence::slots(tables, site, *slots.start(), *slots.end(), true).await? {
        add(Aggregate::Present(slot, visitor), 1);
    }
    Ok(all)
}

/// Whether a total is compared by day: visitors are by period, and the rest is no number of it.
pub(super) fn is_total(name: &str) -> bool {
    [name::EVENTS, name::MOTIVATION, name::ANTI_MOTIVATION].contains(&name) || name.starts_with('e')
}

/// The totals of all kept days.
pub(super) async fn all_totals(tables: &Tables, site: &Site, since: Day) -> Result<Vec<Item>> {
    tables.all(figures::of_days(keys::totals(site), since, Day::from_number(i32::MAX)), true).await
}

/// Days whose totals are not the same in both.
fn moving(before: &[Item], after: &[Item]) -> HashSet<Day> {
    let of = |items: &[Item]| -> HashMap<String, u64> {
        items.iter().map(|item| (sort_key(item).to_owned(), field(item, name::EVENTS))).collect()
    };
    let (before, after) = (of(before), of(after));
    let keys = before.keys().chain(after.keys()).filter(|key| before.get(*key) != after.get(*key));
    keys.filter_map(|sk| keys::read_day(sk)).collect()
}

/// Compares a site's aggregates with its events; answers what the events add up to.
pub(super) async fn compare(
    tables: &Tables,
    site: &Site,
    kept: Kept,
    now: Timestamp,
    progress: &Progress,
    recount: &mut Recount,
) -> Result<Count> {
    let since = kept.events.unwrap_or(Day::from_number(0));
    let so_far = recount.events;
    let mut attempt = 0;
    let (mut expected, found, moving, count) = loop {
        attempt += 1;
        let before = all_totals(tables, site, since).await?;
        let total = so_far + before.iter().map(|item| field(item, name::EVENTS)).sum::<u64>();
        let count = count(tables, site, since, now, &mut |events| progress(so_far + events, total)).await?;
        progress(so_far + count.events, total.max(so_far + count.events));
        let found = found(tables, site, &count, since, now, &before).await?;
        let moving = moving(&before, &all_totals(tables, site, since).await?);
        if moving.is_empty() || attempt == ATTEMPTS {
            break (expected(&count, since, now), found, moving, count);
        }
    };
    if !moving.is_empty() {
        // What an event changes while it is read cannot be compared.
        tracing::warn!(site.id = %site, days = moving.len(), "events arrived while they were recounted; their days are left out");
        expected.retain(|aggregate, _| !aggregate.touches(&moving));
    }
    recount.events += count.events;
    recount.aggregates += expected.len() as u64;
    differences(site, &expected, &found, &moving, recount);
    Ok(count)
}

fn differences(
    site: &Site,
    expected: &BTreeMap<Aggregate, i64>,
    found: &BTreeMap<Aggregate, i64>,
    moving: &HashSet<Day>,
    recount: &mut Recount,
) {
    let names = expected.keys().chain(found.keys().filter(|name| !expected.contains_key(*name)));
    for aggregate in names.filter(|aggregate| !aggregate.touches(moving)) {
        let n = |of: &BTreeMap<Aggregate, i64>| of.get(aggregate).copied().unwrap_or(0);
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
