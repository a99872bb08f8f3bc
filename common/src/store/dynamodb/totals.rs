//! Totals of days, weeks and months: sums over small items, one for a day unless writers conflict.
//!
//! A visitor is counted on the first day of each week and month as new to it, so weeks and months are
//! sums over their days, and exact.

use std::collections::{BTreeMap, HashSet};
use std::ops::{AddAssign, Range};

use super::batch;
use super::client::Table;
use super::item::{Item, number, read_number, sort_key, ttl};
use super::keys::{self, END};
use super::retained::Retained;
use super::timeline;
use super::visits::FirstOfDay;
use super::write::{Condition, Update};
use crate::event::{Event, MAX_CLOCK_SKEW};
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Realtime, Result, Totals};
use crate::time::{Day, SECOND, Timestamp};

/// The events of a day: every event changes it.
pub(super) const EVENTS: &str = "n";
/// The attributes of [`DayTotals`].
const NAMES: [&str; 8] = [EVENTS, "e0", "e2", "lm", "la", "vd", "vw", "vm"];
/// Since when a rebuild has locked the totals of a day against appends.
pub(super) const LOCKED: &str = "z";
/// Which erasure of a visitor of the day was the last one, as a random number.
pub(super) const ERASED: &str = "g";
/// How long a lock holds, in milliseconds: 10 minutes.
const LOCKED_FOR: i64 = 600 * SECOND;
/// How many days totals serve their week and month.
const KEPT_DAYS: i32 = 400;

/// What the events of a day add up to, and how many of its visitors are new to it, to its week and
/// to its month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct DayTotals {
    counts: Totals,
    /// By the place of the period in [`Period::ALL`].
    new_visitors: [u64; 3],
}

impl AddAssign for DayTotals {
    fn add_assign(&mut self, other: Self) {
        self.counts += other.counts;
        for (sum, n) in self.new_visitors.iter_mut().zip(other.new_visitors) {
            *sum += n;
        }
    }
}

impl DayTotals {
    pub(super) fn add_event(&mut self, event: &Event) {
        self.counts += Totals::of(event);
    }

    /// Counts a visitor whose first event of the day it is.
    pub(super) fn add_visitor(&mut self, first: &FirstOfDay) {
        *self += Self { new_visitors: [1, u64::from(first.of_week), u64::from(first.of_month)], ..Self::default() };
    }

    pub(super) fn read(item: &Item) -> Self {
        let [events, page_views, letters, motivation, anti_motivation, day, week, month] =
            NAMES.map(|name| read_number::<i64>(item, name).map_or(0, |n| n.max(0).unsigned_abs()));
        let counts = Totals { events, page_views, letters, motivation, anti_motivation, visitors: 0 };
        Self { counts, new_visitors: [day, week, month] }
    }

    fn numbers(&self) -> [u64; 8] {
        let Totals { events, page_views, letters, motivation, anti_motivation, visitors: _ } = self.counts;
        let [day, week, month] = self.new_visitors;
        [events, page_views, letters, motivation, anti_motivation, day, week, month]
    }

    /// The numbers that are not 0, by their attributes.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NAMES.into_iter().zip(self.numbers()).filter(|(_, n)| *n > 0)
    }

    /// The update that adds this to a day's totals.
    pub(super) fn update(&self, day: Day) -> Update {
        let (name, gone) = expiry(day);
        self.fields().fold(Update::default().set(name, gone), |update, (name, n)| update.add(name, n as i64))
    }

    /// The item that holds this as a day's totals.
    pub(super) fn item(&self, site: &Site, day: Day) -> Item {
        let mut item = keys::totals_of(site, day, 0).attributes();
        item.extend(self.fields().map(|(name, n)| (name.to_owned(), number(n))));
        item.extend([expiry(day)]);
        item
    }

    /// The counts of its events.
    pub(super) const fn counts(&self) -> &Totals {
        &self.counts
    }

    /// How many visitors are new to the day's period.
    pub(super) const fn new_visitors(&self, period: Period) -> u64 {
        self.new_visitors[period as usize]
    }

    pub(super) const fn set_new_visitors(&mut self, period: Period, n: u64) {
        self.new_visitors[period as usize] = n;
    }

    /// As part of a period.
    fn of(&self, period: Period) -> Totals {
        Totals { visitors: self.new_visitors(period), ..self.counts }
    }
}

/// When the service may delete the totals of a day.
fn expiry(day: Day) -> (String, aws_sdk_dynamodb::types::AttributeValue) {
    ttl(day.plus(KEPT_DAYS).start())
}

/// That no rebuild has locked the totals.
pub(super) fn unlocked(now: Timestamp) -> Condition {
    Condition::absent_or_at_most(LOCKED, now.plus(-LOCKED_FOR).millis() - 1)
}

/// The items of a partition whose sort keys begin with these days, the last one included.
pub(super) fn of_days(pk: String, first: Day, last: Day) -> batch::Range {
    batch::Range::new(pk, keys::day(first), format!("{}{END}", keys::day(last)))
}

/// The stored totals of each of these days that has any.
pub(super) async fn by_day(
    table: &Table,
    site: &Site,
    first: Day,
    last: Day,
    consistent: bool,
) -> Result<BTreeMap<Day, DayTotals>> {
    let mut days: BTreeMap<Day, DayTotals> = BTreeMap::new();
    for item in table.all(of_days(keys::totals(site), first, last), consistent).await? {
        if let Some(day) = keys::read_day(sort_key(&item)) {
            *days.entry(day).or_default() += DayTotals::read(&item);
        }
    }
    Ok(days)
}

pub(super) async fn totals(
    table: &Table,
    retained: Retained,
    site: &Site,
    key: PeriodKey,
    consistent: bool,
) -> Result<Totals> {
    let mut sum = Totals::default();
    if retained.has(key) {
        let days = by_day(table, site, key.first_day(), key.last_day(), consistent).await?;
        days.values().for_each(|day| sum += day.of(key.period()));
    }
    Ok(sum)
}

pub(super) async fn daily(
    table: &Table,
    retained: Retained,
    site: &Site,
    days: Range<Day>,
    consistent: bool,
) -> Result<Vec<(Day, Totals)>> {
    let first = retained.days.map_or(days.start, |first| first.max(days.start));
    let stored = by_day(table, site, first, days.end.plus(-1), consistent).await?;
    let all = (days.start.number()..days.end.number()).map(Day::from_number);
    Ok(all.map(|day| (day, stored.get(&day).map(|totals| totals.of(Period::Day)).unwrap_or_default())).collect())
}

/// Who is there now is read from the events of the window: to write it down with every event would
/// cost more than all questions about it.
pub(super) async fn realtime(
    table: &Table,
    retained: Retained,
    site: &Site,
    now: Timestamp,
    window: i64,
    consistent: bool,
) -> Result<Realtime> {
    let today = totals(table, retained, site, PeriodKey::of(Period::Day, now.day()), consistent);
    let current = timeline::between(table, site, now.plus(-window), now.plus(MAX_CLOCK_SKEW), consistent);
    let (today, current) = tokio::try_join!(today, current)?;
    let current: HashSet<_> = current.into_iter().map(|event| event.visitor).collect();
    Ok(Realtime {
        current_visitors: current.len() as u64,
        unique_today: today.visitors,
        total_events: today.events,
        letters_today: today.letters,
    })
}
