//! Visitors with an explicit id, who come again on other days.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use crate::measure::columns::{Columns, Damaged, Explicit};

/// Numbers that explicit visitors have throughout one scan, from 0 on, once they have been counted.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    numbers: RefCell<Ids>,
    /// The place of each visitor of the day among its ids, by
    /// [`VisitRows::visitor`](crate::measure::columns::VisitRows), unless they are the same.
    places: Vec<u32>,
    /// The number of each id of the day, once it is known.
    found: Vec<Cell<u32>>,
}

/// The numbers of a day's explicit visitors. An id is looked up when its number is first asked for, since
/// most questions are about few of the visitors.
#[derive(Debug)]
pub(super) struct DayNumbers<'a> {
    of: &'a Numbering,
    ids: Cow<'a, [[u8; 16]]>,
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

    /// Looks up the numbers of visitors that will be asked for, if the first is among those who may have an
    /// explicit id.
    #[inline(always)]
    pub(super) fn expect(&self, visitors: impl Iterator<Item = u32> + Clone) {
        if visitors.clone().next().is_some_and(|first| (first as usize) < self.end) {
            self.find_all(visitors);
        }
    }

    fn find_all(&self, visitors: impl Iterator<Item = u32>) {
        let known = visitors.filter_map(|visitor| {
            let place = self.place(visitor)?;
            self.ids.get(place).zip(self.of.found.get(place))
        });
        self.of.numbers.borrow_mut().find(known);
    }

    fn find(&self, visitor: u32) -> Option<u32> {
        let place = self.place(visitor)?;
        let found = self.of.found.get(place)?;
        if found.get() == NONE {
            let mut ids = self.of.numbers.borrow_mut();
            ids.make_room(1);
            let id = u128::from_le_bytes(*self.ids.get(place)?);
            let at = ids.place(id);
            found.set(ids.number(id, at));
        }
        Some(found.get())
    }

    #[inline(always)]
    fn place(&self, visitor: u32) -> Option<usize> {
        match &self.of.places[..] {
            [] => Some(visitor as usize),
            places => places.get(visitor as usize).map(|place| *place as usize),
        }
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
    pub(super) fn of_day<'a>(&'a mut self, columns: &'a dyn Columns) -> Result<DayNumbers<'a>, Damaged> {
        let Explicit { ids, visitors } = columns.explicit()?;
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
        self.found.clear();
        self.found.resize(ids.len(), Cell::new(NONE));
        Ok(DayNumbers { of: self, ids, end })
    }

    /// The bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
        // Those of an open day are a copy.
        self.numbers.borrow().memory() + 4 * self.places.len() + 20 * self.found.len()
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
