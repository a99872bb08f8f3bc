//! Days, ISO 8601 weeks and months, and the keys that name them.

use std::fmt;

use jiff::civil::Date;
use serde::Serialize;

use crate::time::{Day, Timestamp};

/// How long a stretch of time an aggregate covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// One UTC day.
    Day,
    /// One ISO 8601 week, Monday to Sunday.
    Week,
    /// One calendar month.
    Month,
}

impl Period {
    /// All of them, shortest first.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// `day`, `week` or `month`; nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.name() == text)
    }

    /// The word used on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

/// One day, week or month, such as `2025-12-08`, `2025-W50` or `2025-12`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeriodKey {
    period: Period,
    first: Day,
}

impl PeriodKey {
    /// The period that `day` lies in. Weeks start on Monday, so the days around New Year
    /// belong to whichever ISO year holds the week's Thursday.
    #[must_use]
    pub fn of(period: Period, day: Day) -> Self {
        let first = match period {
            Period::Day => day,
            // 1970-01-01 was a Thursday, three days after its Monday.
            Period::Week => day.plus(-(day.number() + 3).rem_euclid(7)),
            Period::Month => {
                let date = day.date();
                day.plus(1 - i32::from(date.day()))
            }
        };
        Self { period, first }
    }

    /// Which kind of period it is.
    #[must_use]
    pub const fn period(self) -> Period {
        self.period
    }

    /// Its first day.
    #[must_use]
    pub const fn first_day(self) -> Day {
        self.first
    }

    /// Its last day.
    #[must_use]
    pub fn last_day(self) -> Day {
        match self.period {
            Period::Day => self.first,
            Period::Week => self.first.plus(6),
            Period::Month => self.first.plus(i32::from(self.first.date().days_in_month()) - 1),
        }
    }

    /// Its days up to and including that of `now`, oldest first; none of a future period.
    pub fn days_so_far(self, now: Timestamp) -> impl Iterator<Item = Day> {
        let last = self.last_day().number().min(now.day().number());
        (self.first.number()..=last).map(Day::from_number)
    }

    /// A number that names it among all periods and sorts, within a kind, by time: what
    /// engines store. [`Self::from_bucket`] is the way back.
    #[must_use]
    pub const fn bucket(self) -> i64 {
        self.first.number() as i64 * 4 + self.period as i64
    }

    /// The period that [`Self::bucket`] numbered, if it is one.
    #[must_use]
    pub fn from_bucket(bucket: i64) -> Option<Self> {
        let day = Day::from_number(i32::try_from(bucket.div_euclid(4)).ok()?);
        let period = *Period::ALL.get(usize::try_from(bucket.rem_euclid(4)).ok()?)?;
        Some(Self::of(period, day)).filter(|key| key.bucket() == bucket)
    }
}

impl fmt::Display for PeriodKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date: Date = self.first.date();
        match self.period {
            Period::Day => write!(f, "{date}"),
            Period::Week => {
                let week = date.iso_week_date();
                write!(f, "{:04}-W{:02}", week.year(), week.week())
            }
            Period::Month => write!(f, "{:04}-{:02}", date.year(), date.month()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(period: Period, day: &str) -> String {
        PeriodKey::of(period, Day::parse(day).unwrap()).to_string()
    }

    /// The earlier service formatted the month where it said week.
    #[test]
    fn weeks_are_iso_weeks_around_new_year() {
        for (day, week) in [
            ("2025-12-08", "2025-W50"),
            ("2024-12-29", "2024-W52"),
            ("2024-12-30", "2025-W01"),
            ("2021-01-03", "2020-W53"),
            ("2021-01-04", "2021-W01"),
            ("2026-12-31", "2026-W53"),
            ("2027-01-01", "2026-W53"),
        ] {
            assert_eq!(key(Period::Week, day), week, "{day}");
        }
        assert_eq!(key(Period::Month, "2025-12-08"), "2025-12");
        assert_eq!(key(Period::Day, "2025-12-08"), "2025-12-08");
    }

    #[test]
    fn a_period_holds_each_of_its_days_and_no_other() {
        for number in 19_000..23_000 {
            let day = Day::from_number(number);
            for period in Period::ALL {
                let key = PeriodKey::of(period, day);
                assert!(key.first_day() <= day && day <= key.last_day());
                assert_eq!(PeriodKey::of(period, key.last_day()), key);
                assert_ne!(PeriodKey::of(period, key.last_day().plus(1)), key);
                assert_eq!(PeriodKey::from_bucket(key.bucket()), Some(key));
            }
        }
        assert_eq!(PeriodKey::from_bucket(3), None);
        assert_eq!(PeriodKey::from_bucket(5), None, "1970-01-02 starts no week");
    }
}
