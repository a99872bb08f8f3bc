//! Ranges of time and their division into buckets.

use super::TimeUnit;
use crate::measure::zone::Zone;
use crate::time::{DAY, Day, HOUR, SECOND, Timestamp};

/// The instants from `start` up to, and without, `end`. It may be empty; `start <= end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Range {
    /// The first instant.
    pub start: Timestamp,
    /// The first instant that is not covered any more.
    pub end: Timestamp,
}

impl Range {
    /// Whether it covers the instant.
    #[must_use]
    pub fn contains(self, instant: Timestamp) -> bool {
        self.start <= instant && instant < self.end
    }

    /// How many milliseconds it covers.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.end.millis() - self.start.millis()
    }
}

/// A range divided into intervals, each of which has a label. Several intervals may share a label: the
/// hours of a day come again every day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buckets {
    unit: TimeUnit,
    labels: Vec<String>,
    buckets: Vec<Bucket>,
}

/// One interval of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// The instants.
    pub range: Range,
    /// The place of its label in [`Buckets::labels`].
    pub label: u32,
}

impl Buckets {
    /// The most intervals: 10,000 rows of hours, and 11 years of hours of the day.
    pub const MOST: usize = 100_000;

    /// Divides a range; `None` if it has more than [`Self::MOST`] intervals, or more labels than an
    /// answer may have rows.
    #[must_use]
    pub fn new(unit: TimeUnit, range: Range, zone: &Zone) -> Option<Self> {
        let (length, most) = match unit {
            TimeUnit::Minute => (60 * SECOND, super::Question::MOST_ROWS),
            TimeUnit::Hour => (HOUR, super::Question::MOST_ROWS),
            TimeUnit::HourOfDay => (HOUR, Self::MOST),
            TimeUnit::DayOfWeek => (DAY, Self::MOST),
            TimeUnit::Day | TimeUnit::Week | TimeUnit::Month => (DAY, Self::MOST),
        };
        if range.millis() / length > most as i64 {
            return None;
        }
        let mut buckets = Self { unit, labels: Vec::new(), buckets: Vec::new() };
        match unit {
            TimeUnit::HourOfDay => buckets.labels = (0..24).map(|hour| hour.to_string()).collect(),
            TimeUnit::DayOfWeek => buckets.labels = (1..=7).map(|day| day.to_string()).collect(),
            _ => {}
        }
        match unit {
            TimeUnit::Minute | TimeUnit::Hour | TimeUnit::HourOfDay => buckets.divide_clock(range, zone, length),
            TimeUnit::Day | TimeUnit::Week | TimeUnit::Month | TimeUnit::DayOfWeek => buckets.divide_days(range, zone),
        }
        (buckets.labels.len() <= super::Question::MOST_ROWS && buckets.buckets.len() <= Self::MOST).then_some(buckets)
    }

    /// The intervals with one local date, hour (and minute) and offset.
    fn divide_clock(&mut self, range: Range, zone: &Zone, length: i64) {
        for stretch in zone.stretches(range) {
            let mut start = stretch.range.start.millis();
            while start < stretch.range.end.millis() {
                let local = start + stretch.offset;
                let first = local - local.rem_euclid(length);
                let end = (first + length - stretch.offset).min(stretch.range.end.millis());
                let label = match self.unit {
                    TimeUnit::HourOfDay => first.rem_euclid(DAY) / HOUR,
                    _ => self.label(clock_label(first, stretch.offset)),
                };
                self.push(start, end, label);
                start = end;
            }
        }
    }

    /// The intervals of whole local days.
    fn divide_days(&mut self, range: Range, zone: &Zone) {
        if range.millis() == 0 {
            return;
        }
        let first_day = zone.day(range.start);
        let mut first = match self.unit {
            TimeUnit::Week => first_day.plus(-weekday(first_day)),
            TimeUnit::Month => first_day.plus(1 - i32::from(first_day.date().day())),
            _ => first_day,
        };
        let mut start = range.start;
        while start < range.end {
            let next = match self.unit {
                TimeUnit::Week => first.plus(7),
                TimeUnit::Month => first.plus(first.date().days_in_month().into()),
                _ => first.plus(1),
            };
            // The calendar ends with the last day that can be named.
            let end = if next == first { range.end } else { zone.start_of_day(next).min(range.end) };
            if start < end {
                let label = match self.unit {
                    TimeUnit::DayOfWeek => weekday(first).into(),
                    TimeUnit::Week => self.label(first.max(first_day).to_string()),
                    _ => self.label(first.to_string()),
                };
                self.push(start.millis(), end.millis(), label);
                start = end;
            }
            first = next;
        }
    }

    fn label(&mut self, label: String) -> i64 {
        if self.labels.last() != Some(&label) {
            self.labels.push(label);
        }
        self.labels.len() as i64 - 1
    }

    fn push(&mut self, start: i64, end: i64, label: i64) {
        let range = Range { start: Timestamp::from_millis(start), end: Timestamp::from_millis(end) };
        let label = label as u32;
        match self.buckets.last_mut() {
            Some(last) if last.label == label && last.range.end == range.start => last.range.end = range.end,
            _ => self.buckets.push(Bucket { range, label }),
        }
    }

    /// What the range is divided into.
    #[must_use]
    pub const fn unit(&self) -> TimeUnit {
        self.unit
    }

    /// The labels, distinct, in the order of time; those of hours and weekdays in their own.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The intervals, in order. None is empty; together they cover the range without gap or overlap.
    #[must_use]
    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// The interval that covers the instant.
    #[must_use]
    pub fn find(&self, instant: Timestamp) -> Option<&Bucket> {
        let after = self.buckets.partition_point(|bucket| bucket.range.end <= instant);
        self.buckets.get(after).filter(|bucket| bucket.range.contains(instant))
    }
}

/// Days since Monday.
pub(in crate::measure) fn weekday(day: Day) -> i32 {
    // 1970-01-01 was a Thursday.
    (day.number() + 3).rem_euclid(7)
}

/// A local time with its offset, such as `2026-10-25T02:00:00+01:00`.
pub(in crate::measure) fn clock_label(local: i64, offset: i64) -> String {
    let day = Day::from_number(local.div_euclid(DAY) as i32);
    let time = local.rem_euclid(DAY) / SECOND;
    let (sign, ahead) = if offset < 0 { ('-', -offset / SECOND) } else { ('+', offset / SECOND) };
    let clock = |seconds: i64| format!("{:02}:{:02}", seconds / 3_600, seconds / 60 % 60);
    let mut label = format!("{day}T{}:{:02}{sign}{}", clock(time), time % 60, clock(ahead));
    // Before standard time, offsets had seconds.
    if ahead % 60 != 0 {
        label += &format!(":{:02}", ahead % 60);
    }
    label
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(start: &str, end: &str) -> Range {
        Range { start: Timestamp::parse(start).unwrap(), end: Timestamp::parse(end).unwrap() }
    }

    /// Labels with the hours that they cover.
    fn divided(unit: TimeUnit, zone: &str, range: Range) -> Vec<(String, i64)> {
        let buckets = Buckets::new(unit, range, &Zone::parse(zone).unwrap()).unwrap();
        let hours = |bucket: &Bucket| bucket.range.millis() / HOUR;
        buckets
            .buckets()
            .iter()
            .map(|bucket| (buckets.labels()[bucket.label as usize].clone(), hours(bucket)))
            .collect()
    }

    fn pairs(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
        expected.iter().map(|(label, hours)| ((*label).to_owned(), *hours)).collect()
    }

    #[test]
    fn an_hour_that_comes_twice_is_two_buckets() {
        let hours = divided(TimeUnit::Hour, "Europe/Paris", range("2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z"));
        assert_eq!(hours, pairs(&[("2026-10-25T02:00:00+02:00", 1), ("2026-10-25T02:00:00+01:00", 1)]));
        let hours = divided(TimeUnit::HourOfDay, "Europe/Paris", range("2026-10-25T00:00:00Z", "2026-10-25T03:00:00Z"));
        assert_eq!(hours, pairs(&[("2", 2), ("3", 1)]));
    }

    #[test]
    fn hours_start_on_the_local_hour() {
        let hours = divided(TimeUnit::Hour, "Asia/Kolkata", range("2026-11-10T03:30:00Z", "2026-11-10T05:30:00Z"));
        assert_eq!(hours, pairs(&[("2026-11-10T09:00:00+05:30", 1), ("2026-11-10T10:00:00+05:30", 1)]));
        // A clock that goes back by half an hour.
        let hours =
            divided(TimeUnit::Hour, "Australia/Lord_Howe", range("2026-04-04T14:00:00Z", "2026-04-04T16:30:00Z"));
        let labels: Vec<_> = hours.iter().map(|(label, _)| label.as_str()).collect();
        assert_eq!(labels, ["2026-04-05T01:00:00+11:00", "2026-04-05T01:00:00+10:30", "2026-04-05T02:00:00+10:30"]);
    }

    #[test]
    fn days_have_23_to_25_hours() {
        let days = divided(TimeUnit::Day, "America/Havana", range("2026-10-31T04:00:00Z", "2026-11-03T05:00:00Z"));
        assert_eq!(days, pairs(&[("2026-10-31", 24), ("2026-11-01", 25), ("2026-11-02", 24)]));
        let days = divided(TimeUnit::Day, "Europe/Paris", range("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"));
        assert_eq!(days, pairs(&[("2026-03-29", 23)]));
    }

    #[test]
    fn the_first_week_is_named_by_the_first_day() {
        let weeks = divided(TimeUnit::Week, "UTC", range("2026-11-07T00:00:00Z", "2026-11-17T00:00:00Z"));
        assert_eq!(weeks, pairs(&[("2026-11-07", 48), ("2026-11-09", 168), ("2026-11-16", 24)]));
        let months = divided(TimeUnit::Month, "UTC", range("2026-11-07T00:00:00Z", "2026-12-02T00:00:00Z"));
        assert_eq!(months, pairs(&[("2026-11-01", 24 * 24), ("2026-12-01", 24)]));
        let days = divided(TimeUnit::DayOfWeek, "UTC", range("2026-11-07T00:00:00Z", "2026-11-10T00:00:00Z"));
        assert_eq!(days, pairs(&[("6", 24), ("7", 24), ("1", 24)]));
    }

    #[test]
    fn a_day_that_does_not_exist_has_no_bucket() {
        let days = divided(TimeUnit::Day, "Pacific/Apia", range("2011-12-29T10:00:00Z", "2011-12-31T10:00:00Z"));
        assert_eq!(days, pairs(&[("2011-12-29", 24), ("2011-12-31", 24)]));
    }

    #[test]
    fn too_many_buckets_are_refused() {
        let all = range("1970-01-01T00:00:00Z", "9999-12-30T00:00:00Z");
        for unit in TimeUnit::ALL {
            assert_eq!(Buckets::new(unit, all, &Zone::UTC), None, "{unit:?}");
        }
        let year = range("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        assert!(Buckets::new(TimeUnit::Hour, year, &Zone::UTC).is_some());
        assert!(Buckets::new(TimeUnit::Minute, year, &Zone::UTC).is_none());
    }

    proptest! {
        #[test]
        fn buckets_cover_the_range_without_gap_or_overlap(
            zone in proptest::sample::select(Zone::names()),
            unit in proptest::sample::select(TimeUnit::ALL.to_vec()),
            start in 0_i64..4_000_000_000_000,
            length in 0_i64..30 * DAY,
        ) {
            let zone = Zone::parse(&zone).unwrap();
            let length = if unit == TimeUnit::Minute { length / 30 } else { length };
            let range = Range { start: Timestamp::from_millis(start), end: Timestamp::from_millis(start + length) };
            let buckets = Buckets::new(unit, range, &zone).unwrap();
            let mut at = range.start;
            for bucket in buckets.buckets() {
                prop_assert_eq!(bucket.range.start, at);
                prop_assert!(bucket.range.millis() > 0);
                prop_assert!((bucket.label as usize) < buckets.labels().len());
                prop_assert_eq!(buckets.find(at), Some(bucket));
                at = bucket.range.end;
            }
            prop_assert_eq!(at, range.end);
            prop_assert_eq!(buckets.find(range.end), None);
            let distinct: std::collections::HashSet<_> = buckets.labels().iter().collect();
            prop_assert_eq!(distinct.len(), buckets.labels().len());
        }
    }
}
