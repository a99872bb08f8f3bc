//! The days on which a visitor came, and whether a visit is the first of its day, week or month.

use std::collections::BTreeMap;

use super::item::{Item, read_number};
use crate::period::{Period, PeriodKey};
use crate::time::Day;

/// The days on which a visitor came: by the first day of a month, one bit for each day of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct VisitDays(BTreeMap<Day, u32>);

/// The first event of a visitor on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FirstOfDay {
    /// The months that decide whether the visitor is new to the week and to the month.
    pub(super) months: Vec<Day>,
    /// Whether it is also the first of the day's week.
    pub(super) of_week: bool,
    /// Whether it is also the first of the day's month.
    pub(super) of_month: bool,
}

impl VisitDays {
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

    /// Adds a day; `None` when it was there already.
    pub(super) fn add(&mut self, day: Day) -> Option<FirstOfDay> {
        let month = PeriodKey::of(Period::Month, day).first_day();
        let week = PeriodKey::of(Period::Week, day);
        let bit = 1 << (day.number() - month.number());
        let before = self.month(month).unwrap_or(0);
        if before & bit != 0 {
            return None;
        }
        let mut months = vec![month];
        // A week that lies in two months has its other days in the other month.
        for end in [week.first_day(), week.last_day()] {
            let other = PeriodKey::of(Period::Month, end).first_day();
            if other != month {
                months.push(other);
            }
        }
        let came_in_week = |month: &Day| self.month(*month).unwrap_or(0) & bits_within(*month, week) != 0;
        let of_week = !months.iter().any(came_in_week);
        self.0.insert(month, before | bit);
        Some(FirstOfDay { months, of_week, of_month: before == 0 })
    }

    /// Removes months before this one; answers which.
    pub(super) fn remove_before(&mut self, month: Day) -> Vec<Day> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    #[test]
    fn the_first_of_a_day_is_found_once() {
        let mut days = VisitDays::default();
        let first = days.add(day("2025-12-31")).unwrap();
        assert!(first.of_week && first.of_month);
        assert_eq!(first.months, [day("2025-12-01"), day("2026-01-01")], "the week lies in two months");
        assert_eq!(days.add(day("2025-12-31")), None);
        let second = days.add(day("2026-01-01")).unwrap();
        assert_eq!((second.of_week, second.of_month), (false, true));
        let third = days.add(day("2026-01-05")).unwrap();
        assert_eq!((third.of_week, third.of_month), (true, false));
        assert_eq!(third.months, [day("2026-01-01")]);
    }

    #[test]
    fn old_months_are_removed() {
        let mut days = VisitDays::default();
        for text in ["2025-01-05", "2025-02-05", "2025-03-05"] {
            days.add(day(text)).unwrap();
        }
        assert_eq!(days.remove_before(day("2025-03-01")), [day("2025-01-01"), day("2025-02-01")]);
        assert_eq!(days.months().count(), 1);
    }
}
