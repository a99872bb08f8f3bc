//! Positions in flight: assigned by this process, but not yet confirmed as committed.
//!
//! A reading of the feed is several requests, and events are committed between them: an answer may
//! hold an event and lack one before it. So a reading ends before the first position that was in
//! flight when it began, or was assigned since. Subscribers receive those events from the feed.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::positions::Positions;
use crate::store::{Committed, Position};
use crate::time::Timestamp;

/// How long after a write reads are consistent. Replicas are usually less than a second behind;
/// this allows for ten times as much.
const CONSISTENT_FOR: Duration = Duration::from_secs(10);

/// Shared by the writer and the readers.
#[derive(Debug, Default)]
pub(super) struct InFlight(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Lowest position in flight. Empty when there is none; set by the next assignment.
    lowest: Arc<OnceLock<Position>>,
    /// The greatest position that a reader was answered: those of later events must be greater.
    read: Option<Position>,
    consistent_until: Option<Instant>,
}

/// A reading of the feed that has begun.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    in_flight: &'a InFlight,
    lowest: Arc<OnceLock<Position>>,
}

impl InFlight {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was or may have been written just now.
    pub(super) fn touch(&self) {
        self.lock().consistent_until = Some(Instant::now() + CONSISTENT_FOR);
    }

    /// Whether reads have to see what was just written here.
    pub(super) fn consistent(&self) -> bool {
        self.lock().consistent_until.is_some_and(|until| Instant::now() < until)
    }

    /// Assigns positions to events that arrived at these times and are about to be committed.
    pub(super) fn assign(&self, positions: &mut Positions, times: impl Iterator<Item = Timestamp>) -> Vec<Position> {
        let state = self.lock();
        if let Some(read) = state.read {
            positions.raise(read);
        }
        let assigned: Vec<_> = times.map(|time| positions.next(time)).collect();
        if let Some(first) = assigned.first() {
            // There is one writer. Where events are unconfirmed, their position is lower and stays.
            let _ = state.lowest.set(*first);
        }
        assigned
    }

    /// All positions before this one are committed or given up; without one, all are. Called before
    /// the feed receives the events.
    pub(super) fn settle(&self, lowest: Option<Position>) {
        let mut state = self.lock();
        state.consistent_until = Some(Instant::now() + CONSISTENT_FOR);
        // A reading that began while it was empty has to see the next assignment in it.
        if state.lowest.get().is_some() {
            state.lowest = Arc::new(lowest.map_or_else(OnceLock::new, OnceLock::from));
        }
    }

    /// Begins a reading of the feed.
    pub(super) fn read(&self) -> Reading<'_> {
        Reading { in_flight: self, lowest: Arc::clone(&self.lock().lowest) }
    }
}

impl Reading<'_> {
    /// Ends what was found, in order of position, before the first event that was in flight.
    pub(super) fn close(self, found: &mut Vec<Committed>) {
        let mut state = self.in_flight.lock();
        if let Some(lowest) = self.lowest.get() {
            found.truncate(found.partition_point(|committed| committed.position < *lowest));
        }
        state.read = state.read.max(found.last().map(|committed| committed.position));
    }

    /// Ends at this position, if not before the first that was in flight.
    pub(super) fn end_at(self, position: Position) -> Position {
        let mut state = self.in_flight.lock();
        let lowest = self.lowest.get().map(|lowest| Position(lowest.0.saturating_sub(1)));
        let end = lowest.map_or(position, |lowest| lowest.min(position));
        state.read = state.read.max(Some(end));
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::samples::{at, event};

    fn closed(reading: Reading<'_>, positions: &[Position]) -> Vec<Position> {
        let now = at("2025-12-08T10:00:00Z");
        let committed = |position: &Position| Committed { position: *position, event: event("scroll", 1, now) };
        let mut found = positions.iter().map(committed).collect();
        reading.close(&mut found);
        found.into_iter().map(|committed| committed.position).collect()
    }

    #[test]
    fn a_reading_ends_before_what_is_in_flight() {
        let now = at("2025-12-08T10:00:00Z");
        let (in_flight, mut positions) = (InFlight::default(), Positions::new(1, 0));
        let before = in_flight.read();
        let first = in_flight.assign(&mut positions, [now, now].into_iter());
        assert_eq!(closed(before, &first), [], "assigned since it began");
        assert_eq!(closed(in_flight.read(), &first), [], "not committed");
        let during = in_flight.read();
        in_flight.settle(Some(first[1]));
        assert_eq!(closed(during, &first), []);
        assert_eq!(closed(in_flight.read(), &first), first[..1], "half of it is committed");
        let during = in_flight.read();
        in_flight.settle(None);
        let between = in_flight.read();
        in_flight.settle(None);
        assert_eq!(closed(during, &first), first[..1]);
        assert_eq!(closed(in_flight.read(), &first), first);
        let second = in_flight.assign(&mut positions, [now].into_iter());
        assert_eq!(closed(between, &[first[0], first[1], second[0]]), first);
    }

    #[test]
    fn later_positions_are_greater_than_those_read() {
        let now = at("2025-12-08T10:00:00Z");
        let (in_flight, mut positions) = (InFlight::default(), Positions::new(1, 0));
        // Of a process whose clock is ahead.
        let theirs = Positions::new(2, 0).next(now.plus(5_000));
        assert_eq!(closed(in_flight.read(), &[theirs]), [theirs]);
        let assigned = in_flight.assign(&mut positions, [now].into_iter());
        assert!(assigned[0] > theirs);
        assert_eq!(closed(in_flight.read(), &[theirs]), [theirs]);
    }

    #[test]
    fn reads_after_a_write_are_consistent() {
        let in_flight = InFlight::default();
        assert!(!in_flight.consistent());
        in_flight.settle(None);
        assert!(in_flight.consistent());
    }
}
