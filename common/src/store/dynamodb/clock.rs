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

/// What the service's clock was when it last answered. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct ServiceClock(Arc<Mutex<Option<Noted>>>);

#[derive(Debug, Clone, Copy)]
struct Noted {
    /// The service's time.
    date: Timestamp,
    at: Instant,
    /// The time by this machine's clock.
    here: Timestamp,
}

impl Noted {
    /// Milliseconds since then.
    fn passed(&self, at: Instant) -> i64 {
        i64::try_from(at.saturating_duration_since(self.at).as_millis()).unwrap_or(i64::MAX)
    }
}

impl ServiceClock {
    /// Takes the `Date` of an answer, and when it came, also by this machine's clock; a date that is none
    /// changes nothing.
    pub(super) fn note(&self, date: &str, at: Instant, here: Timestamp) {
        if let Ok(date) = DateTimeParser::new().parse_timestamp(date) {
            let date = Timestamp::from_millis(date.as_millisecond());
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Noted { date, at, here });
        }
    }

    /// Whether the service has to be asked again before [`correct`](Self::correct) can be relied on: the
    /// machine was suspended, in which time no [`Instant`] moves, or its clock was set.
    pub(super) fn is_doubtful(&self, at: Instant, here: Timestamp) -> bool {
        let noted = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.is_some_and(|noted| (here.millis() - noted.here.plus(noted.passed(at)).millis()).abs() >= AGREE)
    }

    /// The time of the service at an instant in the place of `now`, if that differs.
    pub(super) fn correct(&self, now: Timestamp, at: Instant) -> Timestamp {
        let Some(noted) = *self.0.lock().unwrap_or_else(PoisonError::into_inner) else { return now };
        let theirs = noted.date.plus(noted.passed(at));
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
        clock.note("Mon, 08 Dec 2025 12:00:00 GMT", noted, noon);
        clock.note("yesterday", noted, noon);
        let later = noted + Duration::from_secs(10);
        for (apart, corrected) in [(0, 0), (1_999, 1_999), (-1_999, -1_999), (300_000, 0), (-300_000, 0)] {
            assert_eq!(clock.correct(noon.plus(10_000 + apart), later), noon.plus(10_000 + corrected), "{apart}");
        }
        let year = noon.plus(365 * 86_400_000);
        assert_eq!(clock.correct(year, later), year, "a time that is passed in is no clock");
    }

    #[test]
    fn a_clock_that_stood_still_is_not_relied_on() {
        let (clock, noted) = (ServiceClock::default(), Instant::now());
        let noon = at("2025-12-08T12:00:00Z");
        assert!(!clock.is_doubtful(noted, noon), "nothing is known");
        clock.note("Mon, 08 Dec 2025 12:00:00 GMT", noted, noon);
        let later = noted + Duration::from_secs(10);
        for (apart, doubtful) in [(0, false), (1_999, false), (2_000, true), (600_000, true), (-600_000, true)] {
            assert_eq!(clock.is_doubtful(later, noon.plus(10_000 + apart)), doubtful, "{apart}");
        }
        clock.note("Mon, 08 Dec 2025 12:10:10 GMT", later, noon.plus(610_000));
        assert!(!clock.is_doubtful(later, noon.plus(610_000)), "it was asked again");
    }
}
