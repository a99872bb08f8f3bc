//! Visitors with an explicit id, who come again on other days.

use std::cell::Cell;
use std::sync::Arc;

use super::work::Work;
use crate::measure::columns::{Columns, Damaged, Explicit};
use crate::measure::visitor_numbers::VisitorNumbers;

/// Numbers that explicit visitors have throughout one scan, from 0 on, once they have been counted: sets of them are
/// small if the scan counts few of the visitors that are known.
#[derive(Debug)]
pub(super) struct Numbering {
    all: Arc<VisitorNumbers>,
    /// The bytes that these took before the scan.
    before: usize,
    /// The number of each visitor that is known, [`NONE`] of those that have not been counted.
    numbers: Vec<Cell<u32>>,
    counted: Cell<u32>,
    /// The place of each visitor of the day among its ids, by
    /// [`VisitRows::visitor`](crate::measure::columns::VisitRows), unless they are the same.
    places: Vec<u32>,
}

/// The numbers of a day's explicit visitors.
#[derive(Debug)]
pub(super) struct DayNumbers<'a> {
    of: &'a Numbering,
    /// By place among the day's ids, their numbers among all that are known.
    known: Arc<[u32]>,
    /// Visitors from here on have no explicit id.
    end: usize,
}

const NONE: u32 = u32::MAX;

impl DayNumbers<'_> {
    /// The number of an explicit visitor.
    #[inline(always)]
    pub(super) fn get(&self, visitor: u32) -> Option<u32> {
        if visitor as usize >= self.end { None } else { self.find(visitor) }
    }

    fn find(&self, visitor: u32) -> Option<u32> {
        let place = match &self.of.places[..] {
            [] => visitor,
            places => *places.get(visitor as usize)?,
        };
        let known = *self.known.get(place as usize)?;
        let number = &self.of.numbers[known as usize];
        if number.get() == NONE {
            number.set(self.of.counted.replace(self.of.counted.get() + 1));
        }
        Some(number.get())
    }
}

impl Numbering {
    pub(super) fn new(work: &Work<'_>) -> Self {
        let (all, before) = (Arc::clone(&work.visitors), work.visitors.memory());
        Self { all, before, numbers: Vec::new(), counted: Cell::new(0), places: Vec::new() }
    }

    pub(super) fn of_day(&mut self, columns: &dyn Columns) -> Result<DayNumbers<'_>, Damaged> {
        let Explicit { ids, visitors, numbers } = columns.explicit()?;
        let known = match numbers {
            Some(kept) => kept.get(&self.all, || self.all.of(&ids)),
            None => self.all.of(&ids),
        };
        self.numbers.resize(self.all.count().max(self.numbers.len()), Cell::new(NONE));
        self.places.clear();
        let end = match visitors {
            None => ids.len(),
            Some(visitors) => {
                let end = visitors.last().map_or(0, |visitor| *visitor as usize + 1);
                self.places.resize(end, NONE);
                (0..).zip(visitors).for_each(|(place, visitor)| self.places[visitor as usize] = place);
                end
            }
        };
        Ok(DayNumbers { of: self, known, end })
    }

    /// The bytes of memory that it takes, and by which all that are known have grown.
    pub(super) fn memory(&self) -> usize {
        self.all.memory().saturating_sub(self.before) + 4 * (self.numbers.capacity() + self.places.capacity())
    }
}

/// Distinct explicit visitors: a list while they are few, then a bit for each visitor there is. Bits of many
/// sets are far from each other in memory, so that they are set many at a time: the list of those that have none
/// yet may take as much memory as the bits.
#[derive(Debug, Default)]
pub(super) struct VisitorSet {
    /// Those that have no bit yet; the same may be there several times.
    list: Vec<u32>,
    bits: Vec<u64>,
}

impl VisitorSet {
    /// Adds visitors; answers how many more bytes of memory it takes.
    pub(super) fn extend(&mut self, mut visitors: &[u32]) -> usize {
        let before = self.memory();
        while !visitors.is_empty() {
            if self.list.len() == self.list.capacity() {
                self.make_room();
            }
            let (own, rest) = visitors.split_at(visitors.len().min(self.list.capacity() - self.list.len()));
            self.list.extend_from_slice(own);
            visitors = rest;
        }
        self.memory().saturating_sub(before)
    }

    /// Makes room in the list.
    fn make_room(&mut self) {
        if !self.bits.is_empty() && 4 * self.list.len() >= size_of_val(&self.bits[..]) {
            self.set_bits();
        } else if self.bits.is_empty() && self.list.len() > 8 + self.largest() / 128 {
            self.list.sort_unstable();
            self.list.dedup();
            // Otherwise there is room now, enough that this is not done again soon.
            if self.list.len() > self.list.capacity() / 2 {
                self.set_bits();
            }
        } else {
            self.list.reserve_exact(self.list.len().max(4));
        }
    }

    fn set_bits(&mut self) {
        let words = self.largest() / 64 + 1;
        if words > self.bits.len() {
            self.bits.resize(words, 0);
        }
        let bits = &mut self.bits[..];
        self.list.drain(..).for_each(|visitor| bits[visitor as usize / 64] |= 1 << (visitor % 64));
    }

    /// The largest visitor of the list.
    fn largest(&self) -> usize {
        self.list.iter().copied().max().unwrap_or(0) as usize
    }

    pub(super) fn count(&mut self) -> u64 {
        if self.bits.is_empty() {
            self.list.sort_unstable();
            self.list.dedup();
            return self.list.len() as u64;
        }
        self.set_bits();
        self.bits.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
        4 * self.list.capacity() + 8 * self.bits.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visitors_count_once_in_lists_and_bits() {
        for (spread, bits) in [(1, true), (100_000, false)] {
            let mut set = VisitorSet::default();
            for round in 0..3 {
                let visitors: Vec<u32> = (0..500).map(|visitor| visitor * spread + round % 2).collect();
                visitors.chunks(1 + 70 * round as usize).for_each(|visitors| _ = set.extend(visitors));
            }
            let expected: std::collections::BTreeSet<u32> =
                (0..500).flat_map(|visitor| [visitor * spread, visitor * spread + 1]).collect();
            assert_eq!(set.count(), expected.len() as u64);
            assert_eq!(!set.bits.is_empty(), bits);
        }
    }
}
