//! Places in the order of commits: the time of the commit, a number within it, and the number
//! of the process, so that no place is ever given twice, whatever process gives it.
//!
//! Within one process later commits have greater positions. Across processes the order is
//! that of their clocks.

use crate::store::Position;
use crate::time::Timestamp;

/// Bits of the number of the process: a number is used again after 16,384 processes.
const INSTANCE: u32 = 14;
/// Bits of the number within a millisecond.
const SEQUENCE: u32 = 6;
/// Bits below the time.
pub(super) const BELOW_TIME: u32 = INSTANCE + SEQUENCE;

/// Gives positions.
#[derive(Debug)]
pub(super) struct Positions {
    instance: u64,
    last: u64,
}

impl Positions {
    /// Those of a process with this number; all are after this time.
    pub(super) fn new(instance: u64, floor: i64) -> Self {
        let last = ((floor.max(0) as u64 + 1) << (INSTANCE + SEQUENCE)) - 1;
        Self { instance: instance & ((1 << INSTANCE) - 1), last }
    }

    /// The next one.
    pub(super) fn next(&mut self, now: Timestamp) -> Position {
        let at_now = (now.millis().max(0) as u64) << (INSTANCE + SEQUENCE);
        let next = at_now.max(((self.last >> INSTANCE) + 1) << INSTANCE) | self.instance;
        self.last = next;
        Position(next)
    }

    /// All that follow are after this one.
    pub(super) fn raise(&mut self, after: Position) {
        self.last = self.last.max(after.0);
    }

    /// The time of the last one.
    pub(super) fn last(&self) -> i64 {
        time_of(Position(self.last))
    }
}

/// The time of a position, in milliseconds.
pub(super) fn time_of(position: Position) -> i64 {
    (position.0 >> (INSTANCE + SEQUENCE)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_grow_and_are_given_once() {
        let now = Timestamp::parse("2025-12-08T10:00:00Z").unwrap();
        let (mut a, mut b) = (Positions::new(1, 0), Positions::new(2, 0));
        let mut given = std::collections::HashSet::new();
        for positions in [&mut a, &mut b] {
            let mut last = Position(0);
            // More than a millisecond has numbers for, and a clock that is set back.
            for step in 0..200 {
                let next = positions.next(now.plus(-step / 100 * 5_000));
                assert!(next > last && given.insert(next));
                assert!((time_of(next) - now.millis()).abs() <= 4);
                last = next;
            }
        }
        let floor = a.last();
        assert!(time_of(Positions::new(0, floor).next(now.plus(-60_000))) > floor);
    }
}
