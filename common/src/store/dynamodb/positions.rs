//! Positions: the time of the commit, a sequence number within it, and the number of the process,
//! so that no position is ever assigned twice, whatever process assigns it.
//!
//! Within one process later commits have greater positions. Across processes the order is that of
//! their clocks.

use super::client::Table;
use super::item::{number, read_number};
use super::keys::{Key, META};
use super::write::{Condition, Update, Write};
use crate::store::{Position, Result};
use crate::time::Timestamp;

/// How many processes have registered.
const INSTANCES: &str = "instances";
/// A time up to which positions may have been assigned.
const FLOOR: &str = "floor";

/// Bits of the number of the process: a number is used again after 16,384 processes.
const INSTANCE: u32 = 14;
/// Bits of the sequence number within a millisecond.
const SEQUENCE: u32 = 6;
/// Bits below the time.
pub(super) const BELOW_TIME: u32 = INSTANCE + SEQUENCE;

fn key() -> Key {
    Key::new(META, "instance")
}

/// Records a time up to which positions have been assigned, so that a process that starts with its
/// clock set back assigns greater ones.
pub(super) async fn raise_floor(table: &Table, to: i64) -> Result<()> {
    let raise = Write::update(key(), Update::default().set(FLOOR, number(to)));
    table.write(&[raise.when(Condition::absent_or_at_most(FLOOR, to - 1))]).await.map(drop)
}

/// Assigns positions.
#[derive(Debug)]
pub(super) struct Positions {
    instance: u64,
    last: u64,
}

impl Positions {
    /// Registers this process: no other has its number.
    pub(super) async fn register(table: &Table) -> Result<Self> {
        loop {
            let item = table.get(&key(), true).await?.unwrap_or_default();
            let registered: Option<u64> = read_number(&item, INSTANCES);
            let instance = registered.unwrap_or(0) + 1;
            let register = Write::update(key(), Update::default().set(INSTANCES, number(instance)));
            if table.write(&[register.when(Condition::is(INSTANCES, registered.map(number)))]).await?.is_ok() {
                return Ok(Self::new(instance, read_number(&item, FLOOR).unwrap_or(0)));
            }
        }
    }

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
    fn positions_grow_and_are_assigned_once() {
        let now = Timestamp::parse("2025-12-08T10:00:00Z").unwrap();
        let (mut a, mut b) = (Positions::new(1, 0), Positions::new(2, 0));
        let mut assigned = std::collections::HashSet::new();
        for positions in [&mut a, &mut b] {
            let mut last = Position(0);
            // More than a millisecond has sequence numbers for, and a clock that is set back.
            for step in 0..200 {
                let next = positions.next(now.plus(-step / 100 * 5_000));
                assert!(next > last && assigned.insert(next));
                assert!((time_of(next) - now.millis()).abs() <= 4);
                last = next;
            }
        }
        let floor = a.last();
        assert!(time_of(Positions::new(0, floor).next(now.plus(-60_000))) > floor);
    }
}
