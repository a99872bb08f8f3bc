//! Small numbers of visitors who have an explicit id. They come again on other days, so a scan has to know whom it
//! has counted, and numbers are compared faster than ids.
//!
//! A number is looked up by the visitor's id once, when a scan first needs a segment in memory. It is kept beside the
//! segment then, so that further scans look up nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

type Id = [u8; 16];

/// The numbers of visitors, from 0 on, in the order in which they were first asked for.
#[derive(Debug, Default)]
pub struct VisitorNumbers(Mutex<HashMap<Id, u32, RandomState>>);

impl VisitorNumbers {
    /// The numbers of these visitors; those that have none yet get one.
    pub(super) fn of(&self, ids: &[Id]) -> Arc<[u32]> {
        let mut numbers = self.lock();
        let number = |id: &Id| {
            let next = numbers.len() as u32;
            *numbers.entry(*id).or_insert(next)
        };
        ids.iter().map(number).collect()
    }

    /// How many visitors have one.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// The bytes of memory that they take, about.
    pub(super) fn memory(&self) -> usize {
        // A place has an id, its number and a byte; an eighth of the places is free.
        self.lock().capacity() * (size_of::<(Id, u32)>() + 1) * 8 / 7
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id, u32, RandomState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: std::ops::Range<u8>) -> Vec<Id> {
        numbers.map(|number| [number; 16]).collect()
    }

    #[test]
    fn visitors_keep_their_numbers() {
        let all = VisitorNumbers::default();
        assert_eq!(*all.of(&ids(0..3)), [0, 1, 2]);
        assert_eq!(*all.of(&[ids(5..7), ids(1..3), ids(5..6)].concat()), [3, 4, 1, 2, 3]);
        let memory = all.memory();
        all.of(&ids(0..200));
        assert!(memory >= 5 * 20 && all.memory() >= 200 * 20);
    }
}
