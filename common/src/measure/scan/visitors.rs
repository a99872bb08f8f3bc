//! Visitors with an explicit id, who come again on other days.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use foldhash::fast::RandomState;

use crate::measure::columns::{Columns, Damaged};

/// Numbers that explicit visitors have throughout one scan, from 0 on.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    numbers: HashMap<[u8; 16], u32, RandomState>,
    ids: Vec<(u32, [u8; 16])>,
}

/// The numbers of a day's visitors, by their place.
#[derive(Debug)]
pub(super) struct Numbers(Vec<u32>);

impl Numbers {
    /// The number of an explicit visitor.
    #[inline(always)]
    pub(super) fn get(&self, visitor: usize) -> Option<u32> {
        self.0.get(visitor).copied().filter(|number| *number != u32::MAX)
    }
}

impl Numbering {
    pub(super) fn of_day(&mut self, columns: &dyn Columns) -> Result<Numbers, Damaged> {
        columns.explicit(&mut self.ids)?;
        let mut numbers = vec![u32::MAX; self.ids.last().map_or(0, |(visitor, _)| *visitor as usize + 1)];
        for (visitor, id) in &self.ids {
            let next = self.numbers.len() as u32;
            numbers[*visitor as usize] = match self.numbers.entry(*id) {
                Entry::Occupied(entry) => *entry.get(),
                Entry::Vacant(entry) => *entry.insert(next),
            };
        }
        Ok(Numbers(numbers))
    }

    /// The bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
        self.numbers.capacity() * 21 + size_of_val(&*self.ids)
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
