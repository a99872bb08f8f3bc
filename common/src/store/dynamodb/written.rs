//! What readers have to know of what this process writes.
//!
//! A reading of the feed is several requests, and events are committed between them: an answer
//! may hold an event and lack one before it. So what was not committed for sure before the
//! reading began is left out of it; who listens to the feed hears of that a moment later.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::positions::Positions;
use crate::store::{Committed, Position};
use crate::time::Timestamp;

/// For so long after a write reads are consistent. Copies are usually less than a second
/// behind; this allows for ten times as much.
const FRESH: Duration = Duration::from_secs(10);

/// Shared by the writing task and the readers.
#[derive(Debug, Default)]
pub(super) struct Written(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The first position of ours that is given, but not committed for sure. Whoever holds it
    /// while there is none will find here the next one that is given.
    first_open: Arc<OnceLock<Position>>,
    /// What readers were shown: ours must come after it.
    shown: Option<Position>,
    fresh_until: Option<Instant>,
}

/// A reading of the feed that has begun.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    written: &'a Written,
    first_open: Arc<OnceLock<Position>>,
}

impl Written {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something may have been written just now.
    pub(super) fn touch(&self) {
        self.lock().fresh_until = Some(Instant::now() + FRESH);
    }

    /// Whether reads have to see what was just written here.
    pub(super) fn consistent(&self) -> bool {
        self.lock().fresh_until.is_some_and(|until| Instant::now() < until)
    }

    /// Gives positions to events that came at these times and are about to be committed.
    pub(super) fn open(&self, positions: &mut Positions, times: impl Iterator<Item = Timestamp>) -> Vec<Position> {
        let state = self.lock();
        if let Some(shown) = state.shown {
            positions.raise(shown);
        }
        let given: Vec<_> = times.map(|time| positions.next(time)).collect();
        if let Some(first) = given.first() {
            // There is one writing task: nothing else is open.
            let _ = state.first_open.set(*first);
        }
        given
    }

    /// Everything of ours before this position is committed or was given up; without one,
    /// everything is. To be said before the feed tells.
    pub(super) fn settled(&self, first_open: Option<Position>) {
        let mut state = self.lock();
        state.fresh_until = Some(Instant::now() + FRESH);
        // Readers that hold an empty one still have to find the next position there.
        if state.first_open.get().is_some() {
            state.first_open = Arc::new(first_open.map_or_else(OnceLock::new, OnceLock::from));
        }
    }

    /// Begins a reading of the feed.
    pub(super) fn read(&self) -> Reading<'_> {
        Reading { written: self, first_open: Arc::clone(&self.lock().first_open) }
    }
}

impl Reading<'_> {
    /// Leaves out what others may still come before; `found` is in order of position.
    pub(super) fn close(self, found: &mut Vec<Committed>) {
        let mut state = self.written.lock();
        if let Some(first_open) = self.first_open.get() {
            found.truncate(found.partition_point(|committed| committed.position < *first_open));
        }
        state.shown = state.shown.max(found.last().map(|committed| committed.position));
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
    fn what_may_be_missing_ends_a_reading() {
        let now = at("2025-12-08T10:00:00Z");
        let (written, mut positions) = (Written::default(), Positions::new(1, 0));
        let before = written.read();
        let first = written.open(&mut positions, [now, now].into_iter());
        assert_eq!(closed(before, &first), [], "given since it began");
        assert_eq!(closed(written.read(), &first), [], "not committed");
        let during = written.read();
        written.settled(Some(first[1]));
        assert_eq!(closed(during, &first), []);
        assert_eq!(closed(written.read(), &first), first[..1], "half of it is committed");
        let during = written.read();
        written.settled(None);
        let between = written.read();
        written.settled(None);
        assert_eq!(closed(during, &first), first[..1]);
        assert_eq!(closed(written.read(), &first), first);
        let second = written.open(&mut positions, [now].into_iter());
        assert_eq!(closed(between, &[first[0], first[1], second[0]]), first);
    }

    #[test]
    fn what_was_shown_comes_before_what_is_given() {
        let now = at("2025-12-08T10:00:00Z");
        let (written, mut positions) = (Written::default(), Positions::new(1, 0));
        // Of a process whose clock is ahead of ours.
        let theirs = Positions::new(2, 0).next(now.plus(5_000));
        assert_eq!(closed(written.read(), &[theirs]), [theirs]);
        let given = written.open(&mut positions, [now].into_iter());
        assert!(given[0] > theirs);
        assert_eq!(closed(written.read(), &[theirs]), [theirs]);
    }

    #[test]
    fn what_was_just_written_is_read() {
        let written = Written::default();
        assert!(!written.consistent());
        written.settled(None);
        assert!(written.consistent());
    }
}
