//! The service's clock, from the `Date` of its answers: positions of a process whose own clock is wrong
//! would hide the events of all others, or be hidden by them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jiff::fmt::rfc2822::DateTimeParser;

use crate::time::{SECOND, Timestamp};

/// Clocks that differ by less agree: the header has whole seconds, and took its way.
const AGREE: i64 = 2 * SECOND;
/// The service refuses requests of clocks that differ by more.
const MOST: i64 = 15 * 60 * SECOND;

/// When the service last answered, by its clock and by this process's. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct ServiceClock(Arc<Mutex<Option<(Timestamp, Instant)>>>);

impl ServiceClock {
    /// Takes the `Date` of an answer; one that is none changes nothing.
    pub(super) fn note(&self, date: &str, at: Instant) {
        if let Ok(date) = DateTimeParser::new().parse_timestamp(date) {
            let date = Timestamp::from_millis(date.as_millisecond());
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((date, at));
        }
    }

    /// The time of the service at an instant in the place of `now`, if that differs.
    pub(super) fn correct(&self, now: Timestamp, at: Instant) -> Timestamp {
        let Some((date, noted)) = *self.0.lock().unwrap_or_else(PoisonError::into_inner) else { return now };
        let passed = at.saturating_duration_since(noted).as_millis();
        let theirs = date.plus(i64::try_from(passed).unwrap_or(i64::MAX));
        let apart = (now.millis() - theirs.millis()).abs();
        if (AGREE..=MOST).contains(&apart) { theirs } else { now }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::conformance::samples::at;

    #[test]
    fn a_clock_that_is_wrong_is_corrected() {
        let (clock, noted) = (ServiceClock::default(), Instant::now());
        let noon = at("2025-12-08T12:00:00Z");
        assert_eq!(clock.correct(noon, noted), noon, "nothing is known");
        clock.note("Mon, 08 Dec 2025 12:00:00 GMT", noted);
        clock.note("yesterday", noted);
        let later = noted + Duration::from_secs(10);
        for (apart, corrected) in [(0, 0), (1_999, 1_999), (-1_999, -1_999), (300_000, 0), (-300_000, 0)] {
            assert_eq!(clock.correct(noon.plus(10_000 + apart), later), noon.plus(10_000 + corrected), "{apart}");
        }
        let year = noon.plus(365 * 86_400_000);
        assert_eq!(clock.correct(year, later), year, "a time that is passed in is no clock");
    }
}
