//! Visitors with an explicit id, who come again on other days.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use foldhash::fast::RandomState;

use crate::measure::columns::{Columns, Damaged};

/// Numbers that explicit visitors have throughout one scan, from 0 on, once they have been counted.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    numbers: RefCell<HashMap<Id, u32, RandomState>>,
    /// The day's explicit visitors.
    ids: Vec<(u32, [u8; 16])>,
    /// The place of each visitor among the ids, by [`VisitRows::visitor`](crate::measure::columns::VisitRows).
    places: Vec<u32>,
    /// The number of each id, once it is known.
    found: Vec<Cell<u32>>,
}

/// An id that is hashed and compared as one number, which takes half as long as one byte after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Id([u8; 16]);

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_le_bytes(self.0));
    }
}

/// The numbers of a day's explicit visitors. An id is looked up when its number is first asked for, since
/// most questions are about few of the visitors.
#[derive(Debug)]
pub(super) struct DayNumbers<'a> {
    of: &'a Numbering,
    places: usize,
}

const NONE: u32 = u32::MAX;

impl DayNumbers<'_> {
    /// The number of an explicit visitor.
    #[inline(always)]
    pub(super) fn get(&self, visitor: u32) -> Option<u32> {
        if visitor as usize >= self.places { None } else { self.find(visitor) }
    }

    /// Looks all of them up, one right after the other: what is far in memory is then on its way together.
    pub(super) fn find_all(&self) {
        let mut numbers = self.of.numbers.borrow_mut();
        for ((_, id), found) in self.of.ids.iter().zip(&self.of.found).filter(|(_, found)| found.get() == NONE) {
            let next = numbers.len() as u32;
            found.set(*numbers.entry(Id(*id)).or_insert(next));
        }
    }

    fn find(&self, visitor: u32) -> Option<u32> {
        let place = *self.of.places.get(visitor as usize)? as usize;
        let found = self.of.found.get(place)?;
        if found.get() == NONE {
            let mut numbers = self.of.numbers.borrow_mut();
            let next = numbers.len() as u32;
            found.set(*numbers.entry(Id(self.of.ids[place].1)).or_insert(next));
        }
        Some(found.get())
    }
}

impl Numbering {
    pub(super) fn of_day(&mut self, columns: &dyn Columns) -> Result<DayNumbers<'_>, Damaged> {
        columns.explicit(&mut self.ids)?;
        self.places.clear();
        self.places.resize(self.ids.last().map_or(0, |(visitor, _)| *visitor as usize + 1), NONE);
        for (place, (visitor, _)) in (0..).zip(&self.ids) {
            self.places[*visitor as usize] = place;
        }
        self.found.clear();
        self.found.resize(self.ids.len(), Cell::new(NONE));
        Ok(DayNumbers { places: self.places.len(), of: self })
    }

    /// The bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
        self.numbers.borrow().capacity() * 21 + size_of_val(&*self.ids) + 4 * (self.places.len() + self.found.len())
    }
}

/// Distinct explicit visitors: a list while they are few, then a bit for each visitor there is.
#[derive(Debug)]
pub(super) enum VisitorSet {
    List(Vec<u32>),
    Bits(Vec<u64>),
}

impl Default for VisitorSet {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl VisitorSet {
    /// Adds a visitor; answers how many more bytes of memory it takes.
    #[inline]
    pub(super) fn insert(&mut self, visitor: u32) -> usize {
        match self {
            Self::Bits(bits) if (visitor as usize / 64) < bits.len() => {
                bits[visitor as usize / 64] |= 1 << (visitor % 64);
                0
            }
            Self::List(list) if list.len() < list.capacity() => {
                list.push(visitor);
                0
            }
            _ => self.grow(visitor),
        }
    }

    fn grow(&mut self, visitor: u32) -> usize {
        let before = self.memory();
        match self {
            Self::Bits(bits) => set(bits, visitor),
            Self::List(list) => {
                // The list may hold a visitor several times; it grows only by those that are new.
                list.sort_unstable();
                list.dedup();
                let largest = list.last().copied().unwrap_or(0).max(visitor) as usize;
                if list.len() > 8 + largest / 128 {
                    let mut bits = Vec::new();
                    list.iter().chain([&visitor]).for_each(|visitor| set(&mut bits, *visitor));
                    *self = Self::Bits(bits);
                } else {
                    list.reserve(list.len().max(4));
                    list.push(visitor);
                }
            }
        }
        self.memory().saturating_sub(before)
    }

    pub(super) fn count(&mut self) -> u64 {
        match self {
            Self::List(list) => {
                list.sort_unstable();
                list.dedup();
                list.len() as u64
            }
            Self::Bits(bits) => bits.iter().map(|word| u64::from(word.count_ones())).sum(),
        }
    }

    /// The bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::List(list) => 4 * list.capacity(),
            Self::Bits(bits) => 8 * bits.capacity(),
        }
    }
}

fn set(bits: &mut Vec<u64>, visitor: u32) {
    let word = visitor as usize / 64;
    if word >= bits.len() {
        bits.resize(word + 1, 0);
    }
    bits[word] |= 1 << (visitor % 64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visitors_count_once_in_lists_and_bits() {
        for (spread, bits) in [(1, true), (100_000, false)] {
            let mut set = VisitorSet::default();
            for round in 0..3 {
                (0..500_u32).for_each(|visitor| _ = set.insert(visitor * spread + round % 2));
            }
            let expected: std::collections::BTreeSet<u32> =
                (0..500).flat_map(|visitor| [visitor * spread, visitor * spread + 1]).collect();
            assert_eq!(set.count(), expected.len() as u64);
            assert_eq!(matches!(set, VisitorSet::Bits(_)), bits);
        }
    }
}
