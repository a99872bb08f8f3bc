//! Instants and days, in UTC and nothing else.

use std::fmt;

use jiff::civil::{Date, date};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds in a second.
pub const SECOND: i64 = 1_000;
/// Milliseconds in an hour.
pub const HOUR: i64 = 3_600 * SECOND;
/// Milliseconds in a day; UTC days have no leap seconds here.
pub const DAY: i64 = 24 * HOUR;

const EPOCH: Date = date(1970, 1, 1);
/// 1970-01-01 and 9999-12-31, the days that the product can name.
const LAST_DAY: i32 = 2_932_896;

/// An instant with millisecond resolution: milliseconds since 1970-01-01T00:00:00Z.
///
/// On the wire it is RFC 3339 in UTC with three decimals: `2025-12-08T10:15:30.125Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch, kept within the years 1970 to 9999.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(0, i64::from(LAST_DAY + 1) * DAY - 1))
    }

    /// Parses RFC 3339 (any offset); more precise instants are cut to milliseconds.
    ///
    /// `None` when the text is no instant from 1970 to the last that jiff knows, 9999-12-30T22:00Z.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let millis = text.parse::<jiff::Timestamp>().ok()?.as_millisecond();
        (0..i64::from(LAST_DAY + 1) * DAY).contains(&millis).then_some(Self(millis))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(SECOND)
    }

    /// Hours since the Unix epoch: the bucket of click cells.
    #[must_use]
    pub const fn hour(self) -> i64 {
        self.0.div_euclid(HOUR)
    }

    /// The UTC day it falls in.
    #[must_use]
    pub const fn day(self) -> Day {
        Day(self.0.div_euclid(DAY) as i32)
    }

    /// This instant moved by `millis`, kept within the years 1970 to 9999.
    #[must_use]
    pub fn plus(self, millis: i64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_day = self.0.rem_euclid(DAY);
        write!(
            f,
            "{}T{:02}:{:02}:{:02}.{:03}Z",
            self.day(),
            of_day / HOUR,
            of_day / (60 * SECOND) % 60,
            of_day / SECOND % 60,
            of_day % SECOND
        )
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 instant"))
    }
}

/// A UTC calendar day: days since 1970-01-01. On the wire `2025-12-08`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

impl Day {
    /// From days since 1970-01-01, kept within the years 1970 to 9999.
    #[must_use]
    pub fn from_number(days: i32) -> Self {
        Self(days.clamp(0, LAST_DAY))
    }

    /// What [`Self::parse`] takes as a regular expression, but for days that a month does not have.
    pub const PATTERN: &'static str = "^(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$";

    /// Parses `YYYY-MM-DD` of the years 1970 to 9999, exactly in this form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let shape = text.len() == 10
            && text.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        let day = Self::from_date(text.parse::<Date>().ok().filter(|_| shape)?);
        (0..=LAST_DAY).contains(&day.0).then_some(day)
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Midnight at its start.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 as i64 * DAY)
    }

    /// The day `days` later, or earlier when negative.
    #[must_use]
    pub fn plus(self, days: i32) -> Self {
        Self::from_number(self.0.saturating_add(days))
    }

    pub(crate) fn date(self) -> Date {
        EPOCH.saturating_add(jiff::Span::new().days(self.0))
    }

    pub(crate) fn from_date(date: Date) -> Self {
        Self(EPOCH.duration_until(date).as_hours() as i32 / 24)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date())
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_as_they_are_read() {
        for text in ["1970-01-01T00:00:00.000Z", "2025-12-08T10:15:30.125Z", "9998-12-31T23:59:59.999Z"] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Timestamp::parse("2025-12-08T11:15:30.1259+01:00").unwrap().to_string(), "2025-12-08T10:15:30.125Z");
        for bad in ["", "2025-12-08", "1969-12-31T23:59:59Z", "yesterday", "2025-13-01T00:00:00Z"] {
            assert_eq!(Timestamp::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn days_are_exact() {
        assert_eq!(Day::parse("1970-01-01").unwrap().number(), 0);
        assert_eq!(Day::parse("9999-12-31").unwrap().number(), LAST_DAY);
        assert_eq!(Day::parse("2024-02-29").unwrap().plus(1).to_string(), "2024-03-01");
        for bad in ["2025-02-29", "2025-1-01", "20250101", "2025-01-01T00:00:00Z", "1969-12-31", "+002025-01-01"] {
            assert_eq!(Day::parse(bad), None, "{bad}");
        }
    }
}
