//! Visitors with an explicit id, who come again on other days.

use std::cell::{Cell, RefCell};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use crate::measure::columns::{Columns, Damaged};

/// Numbers that explicit visitors have throughout one scan, from 0 on, once they have been counted.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    numbers: RefCell<Ids>,
    /// The day's explicit visitors.
    ids: Vec<(u32, [u8; 16])>,
    /// The place of each visitor among the ids, by [`VisitRows::visitor`](crate::measure::columns::VisitRows).
    places: Vec<u32>,
    /// The number of each id, once it is known.
    found: Vec<Cell<u32>>,
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

    /// Looks up the numbers of visitors that will be asked for, if the first is among those who may have an
    /// explicit id.
    #[inline(always)]
    pub(super) fn expect(&self, visitors: impl Iterator<Item = u32> + Clone) {
        if visitors.clone().next().is_some_and(|first| (first as usize) < self.places) {
            self.find_all(visitors);
        }
    }

    fn find_all(&self, visitors: impl Iterator<Item = u32>) {
        let known = visitors.filter_map(|visitor| self.of.places.get(visitor as usize));
        let known = known.filter_map(|place| self.of.ids.get(*place as usize).zip(self.of.found.get(*place as usize)));
        self.of.numbers.borrow_mut().find(known.map(|((_, id), found)| (id, found)));
    }

    fn find(&self, visitor: u32) -> Option<u32> {
        let place = *self.of.places.get(visitor as usize)? as usize;
        let found = self.of.found.get(place)?;
        if found.get() == NONE {
            let mut ids = self.of.numbers.borrow_mut();
            ids.make_room(1);
            let id = u128::from_le_bytes(self.of.ids.get(place)?.1);
            let at = ids.place(id);
            found.set(ids.number(id, at));
        }
        Some(found.get())
    }
}

/// Ids, each with a number. They are looked up many at a time: what is far in memory is then on its way
/// together, which no map of a library offers.
#[derive(Debug, Default)]
struct Ids {
    /// By number.
    ids: Vec<u128>,
    /// The number of each id, at the first place from that of its hash on that was free; [`NONE`] at places
    /// that are free, which at least half of them are. Their count is a power of two.
    places: Vec<u32>,
    hasher: RandomState,
}

impl Ids {
    /// So many ids are looked up together.
    const NEAR: usize = 64;

    /// Sets the numbers of ids that are not known yet. New ids have the next numbers.
    fn find<'a>(&mut self, ids: impl Iterator<Item = (&'a [u8; 16], &'a Cell<u32>)>) {
        let mut unknown = ids.filter(|(_, found)| found.get() == NONE);
        let mut near = [(0, 0); Self::NEAR];
        loop {
            let mut founds = [None; Self::NEAR];
            self.make_room(Self::NEAR);
            let mut count = 0;
            for ((near, to), (id, found)) in near.iter_mut().zip(&mut founds).zip(unknown.by_ref()) {
                let id = u128::from_le_bytes(*id);
                (*near, *to) = ((id, self.place(id)), Some(found));
                count += 1;
            }
            if count == 0 {
                return;
            }
            let near = &near[..count];
            let candidate = |place: usize| self.ids.get(self.places[place] as usize).copied().unwrap_or(0);
            std::hint::black_box(near.iter().fold(0, |sum, (_, place)| sum ^ candidate(*place)));
            for ((id, place), found) in near.iter().zip(founds.into_iter().flatten()) {
                found.set(self.number(*id, *place));
            }
        }
    }

    /// The number of an id that belongs to a place, or to the next free one after it.
    fn number(&mut self, id: u128, mut place: usize) -> u32 {
        loop {
            let number = self.places[place];
            if number == NONE {
                self.places[place] = self.ids.len() as u32;
                self.ids.push(id);
            } else if self.ids[number as usize] == id {
                return number;
            } else {
                place = (place + 1) % self.places.len();
            }
        }
    }

    fn place(&self, id: u128) -> usize {
        self.hasher.hash_one(id) as usize & (self.places.len() - 1)
    }

    /// Makes room for so many more ids.
    fn make_room(&mut self, more: usize) {
        let wanted = 2 * (self.ids.len() + more);
        if wanted <= self.places.len() {
            return;
        }
        self.places = vec![NONE; wanted.next_power_of_two()];
        for (number, id) in (0..).zip(&self.ids) {
            let mut place = self.place(*id);
            while self.places[place] != NONE {
                place = (place + 1) % self.places.len();
            }
            self.places[place] = number;
        }
    }

    fn memory(&self) -> usize {
        16 * self.ids.capacity() + 4 * self.places.capacity()
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
        self.numbers.borrow().memory() + size_of_val(&*self.ids) + 4 * (self.places.len() + self.found.len())
    }
}

/// Distinct explicit visitors: a list while they are few, then a bit for each visitor there is. Bits of many
/// sets are far from each other in memory, so that they are set many at a time.
#[derive(Debug, Default)]
pub(super) struct VisitorSet {
    /// Those that have no bit yet; the same may be there several times.
    list: Vec<u32>,
    bits: Vec<u64>,
}

impl VisitorSet {
    /// Adds a visitor; answers how many more bytes of memory it takes.
    #[inline]
    pub(super) fn insert(&mut self, visitor: u32) -> usize {
        if self.list.len() < self.list.capacity() {
            self.list.push(visitor);
            return 0;
        }
        let before = self.memory();
        self.make_room();
        self.list.push(visitor);
        self.memory().saturating_sub(before)
    }

    /// Makes room in the list.
    fn make_room(&mut self) {
        let largest = self.list.iter().copied().max().unwrap_or(0) as usize;
        if !self.bits.is_empty() {
            self.set_bits();
        } else if self.list.len() > 8 + largest / 128 {
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
        self.list.drain(..).for_each(|visitor| set(&mut self.bits, visitor));
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
    fn ids_keep_their_numbers() {
        let mut ids = Ids::default();
        let of = |number: u32| (u128::from(number) << 64 | 7).to_le_bytes();
        // Each of them also twice in one look-up.
        for (from, to) in [(0, 3), (0, 3), (2, 5_000), (0, 5_000)] {
            let wanted: Vec<u32> = (from..to).flat_map(|number| [number, number]).collect();
            let bytes: Vec<_> = wanted.iter().map(|number| of(*number)).collect();
            let found = vec![Cell::new(NONE); wanted.len()];
            ids.find(bytes.iter().zip(&found));
            assert_eq!(found.iter().map(Cell::get).collect::<Vec<_>>(), wanted);
        }
        assert!(ids.places.len() >= 2 * ids.ids.len());
    }

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
            assert_eq!(!set.bits.is_empty(), bits);
        }
    }
}
