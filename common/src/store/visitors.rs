//! What is stored of one visitor: found, and erased.

use async_trait::async_trait;
use uuid::Uuid;

use super::Result;
use crate::event::Event;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::time::{Day, Timestamp};
use crate::visitor::VisitorId;

/// Events of a visitor that one step erases at most, about.
pub(super) const ERASED_AT_ONCE: usize = 1_000;

/// The data of single visitors.
#[async_trait]
pub trait Visitors {
    /// The UTC days on which a visitor came to a site, oldest first, those included whose events have
    /// expired, as long as the visitor's days are kept for distinct visitors of weeks and months.
    async fn visit_days(&self, site: &Site, visitor: VisitorId) -> Result<Vec<Day>>;

    /// A visitor's events of a day after this time and id, oldest first, ties by id; at most `limit`.
    async fn visitor_events(
        &self,
        site: &Site,
        visitor: VisitorId,
        day: Day,
        after: Option<(Timestamp, Uuid)>,
        limit: usize,
    ) -> Result<Vec<Event>>;

    /// One bounded step of erasing a visitor's events of a day; answers how many it erased. Callers repeat
    /// it until it answers 0.
    ///
    /// The events and what they added to the totals of the day, its week and its month go together, or not
    /// at all; with the last event goes the day itself from [`Self::visit_days`], unless it is no longer
    /// kept: figures of days that have expired stay as they are. Ids of erased events are forgotten: sent
    /// again, they are stored.
    async fn erase_events(&self, site: &Site, visitor: VisitorId, day: Day, now: Timestamp) -> Result<u64>;

    /// Deletes what is stored of a visitor besides events, and sees to it that nothing of what was erased
    /// remains where the engine can reach it: in the bytes of its files, in copies for other programs. The
    /// feed has a gap from then on.
    ///
    /// # Errors
    /// When something remains for now; repeating it later deletes that.
    async fn forget_visitor(&self, site: &Site, visitor: VisitorId) -> Result<()>;
}

/// Of a visitor who came on `days`: whether the period of each kind that `day` lies in has no other of
/// them, so that it has one visitor less without this day.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "dynamodb"))]
pub(super) fn is_only_day(days: &[Day], day: Day) -> [bool; 3] {
    Period::ALL.map(|period| {
        let key = PeriodKey::of(period, day);
        days.contains(&day)
            && !days.iter().any(|other| *other != day && (key.first_day()..=key.last_day()).contains(other))
    })
}

/// The days of a month that have their bits set.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) fn days_of(month: Day, bits: i64) -> impl Iterator<Item = Day> {
    (0..31).filter(move |bit| bits & 1 << bit != 0).map(move |bit| month.plus(bit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_is_missing_in_a_period_without_the_only_day() {
        let day = |text| Day::parse(text).unwrap();
        // Monday to Sunday are 29 December to 4 January.
        let days = ["2025-12-29", "2026-01-01", "2026-01-20"].map(day);
        assert_eq!(is_only_day(&days, days[0]), [true, false, true]);
        assert_eq!(is_only_day(&days, days[1]), [true, false, false]);
        assert_eq!(is_only_day(&days[1..], days[1]), [true, true, false]);
        assert_eq!(is_only_day(&days, days[2]), [true, true, false]);
        assert_eq!(is_only_day(&days, day("2026-01-02")), [false; 3], "no visit");
        assert_eq!(days_of(day("2026-01-01"), 1 | 1 << 30).collect::<Vec<_>>(), [day("2026-01-01"), day("2026-01-31")]);
    }
}
