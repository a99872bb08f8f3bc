//! What this process knows of items, so that most events need not ask. It may be out of date:
//! every transaction says what it takes for granted, and is refused when that is no longer so.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::client::Tables;
use super::item::{Item, read_number};
use super::keys::{self, Key};
use crate::period::{Period, PeriodKey};
use crate::store::Result;
use crate::time::Day;

/// How many items are known at most: some 200 bytes each.
const MOST_KNOWN: usize = 50_000;

/// What is known of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    /// Whether it is there.
    There(bool),
    /// The number that it holds.
    Count(u64),
    /// The days on which a visitor came.
    Days(Days),
}

/// The days on which a visitor came: a month's first day, and one bit for each day of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Days(BTreeMap<Day, u32>);

/// What a visit changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Visit {
    /// The days with this one.
    pub(super) days: Days,
    /// Months that were looked at, as they were before.
    pub(super) were: Vec<(Day, Option<u32>)>,
    /// Whether the visitor is new to the day's week, and to its month.
    pub(super) new_in_week: bool,
    /// Whether the visitor is new to the day's month.
    pub(super) new_in_month: bool,
}

impl Days {
    pub(super) fn read(item: &Item) -> Self {
        let month = |name: &str| name.strip_prefix('m')?.parse().ok().map(Day::from_number);
        Self(item.keys().filter_map(|name| Some((month(name)?, read_number(item, name)?))).collect())
    }

    /// The bits of a month.
    pub(super) fn month(&self, first: Day) -> Option<u32> {
        self.0.get(&first).copied()
    }

    /// All months.
    pub(super) fn months(&self) -> impl Iterator<Item = (Day, u32)> {
        self.0.iter().map(|(month, days)| (*month, *days))
    }

    /// All days, oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = Day> {
        self.0
            .iter()
            .flat_map(|(month, days)| (0..31).filter(move |bit| days & (1 << bit) != 0).map(move |bit| month.plus(bit)))
    }

    /// The last day.
    pub(super) fn last(&self) -> Option<Day> {
        self.all().last()
    }

    /// What a visit on this day changes; `None` when it is known already.
    pub(super) fn visit(&self, day: Day) -> Option<Visit> {
        let month = PeriodKey::of(Period::Month, day).first_day();
        let week = PeriodKey::of(Period::Week, day);
        let bit = 1 << (day.number() - month.number());
        let before = self.month(month);
        if before.unwrap_or(0) & bit != 0 {
            return None;
        }
        let mut were = vec![(month, before)];
        let mut new_in_week = before.unwrap_or(0) & bits_within(month, week) == 0;
        // A week that lies in two months has its other days in the other month.
        for end in [week.first_day(), week.last_day()] {
            let other = PeriodKey::of(Period::Month, end).first_day();
            if other != month {
                were.push((other, self.month(other)));
                new_in_week &= self.month(other).unwrap_or(0) & bits_within(other, week) == 0;
            }
        }
        let mut days = self.clone();
        *days.0.entry(month).or_default() |= bit;
        Some(Visit { days, were, new_in_week, new_in_month: before.is_none() })
    }

    /// Forgets months before this one; answers which.
    pub(super) fn forget_before(&mut self, month: Day) -> Vec<Day> {
        let kept = self.0.split_off(&month);
        std::mem::replace(&mut self.0, kept).into_keys().collect()
    }
}

/// The bits of a month's days that lie in a week.
fn bits_within(month: Day, week: PeriodKey) -> u32 {
    (0..31)
        .filter(|bit| (week.first_day()..=week.last_day()).contains(&month.plus(*bit)))
        .fold(0, |bits, bit| bits | 1 << bit)
}

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct Knowledge(HashMap<Key, Known>);

/// What there is to ask of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Question {
    /// [`Known::There`].
    There,
    /// [`Known::Count`].
    Count,
    /// [`Known::Days`].
    Days,
}

impl Knowledge {
    pub(super) fn get(&self, key: &Key) -> Option<&Known> {
        self.0.get(key)
    }

    pub(super) fn forget_all(&mut self) {
        self.0.clear();
    }

    pub(super) fn forget<'a>(&mut self, keys: impl Iterator<Item = &'a Key>) {
        for key in keys {
            self.0.remove(key);
        }
    }

    pub(super) fn absorb(&mut self, known: HashMap<Key, Known>) {
        self.0.extend(known);
    }

    /// Asks for what is not known yet.
    pub(super) async fn learn(&mut self, tables: &Tables, questions: BTreeSet<(Key, Question)>) -> Result<()> {
        if self.0.len() > MOST_KNOWN {
            self.0.clear();
        }
        let open: Vec<_> = questions.into_iter().filter(|(key, _)| !self.0.contains_key(key)).collect();
        let keys: Vec<_> = open.iter().map(|(key, _)| key.clone()).collect();
        let items = tables.get_all(&keys, true).await?;
        let items: HashMap<Key, Item> = items.into_iter().filter_map(|item| Some((keys::read(&item)?, item))).collect();
        for (key, question) in open {
            let item = items.get(&key);
            let known = match question {
                Question::There => Known::There(item.is_some()),
                Question::Count => Known::Count(item.and_then(|item| read_number(item, "n")).unwrap_or(0)),
                Question::Days => Known::Days(item.map(Days::read).unwrap_or_default()),
            };
            self.0.insert(key, known);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    #[test]
    fn visits_are_new_once() {
        let first = Days::default().visit(day("2025-12-31")).unwrap();
        assert!(first.new_in_week && first.new_in_month);
        assert_eq!(first.were, [(day("2025-12-01"), None), (day("2026-01-01"), None)], "the week lies in two months");
        assert_eq!(first.days.visit(day("2025-12-31")), None);
        let second = first.days.visit(day("2026-01-01")).unwrap();
        assert_eq!((second.new_in_week, second.new_in_month), (false, true));
        let third = second.days.visit(day("2026-01-05")).unwrap();
        assert_eq!((third.new_in_week, third.new_in_month), (true, false));
        assert_eq!(third.were, [(day("2026-01-01"), Some(1))]);
    }

    #[test]
    fn old_months_are_forgotten() {
        let mut days = Days::default();
        for text in ["2025-01-05", "2025-02-05", "2025-03-05"] {
            days = days.visit(day(text)).unwrap().days;
        }
        assert_eq!(days.forget_before(day("2025-03-01")), [day("2025-01-01"), day("2025-02-01")]);
        assert_eq!(days.months().count(), 1);
    }
}
