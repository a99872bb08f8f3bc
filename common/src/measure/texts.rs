//! Distinct texts, each with a number.

use std::cmp::Ordering;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::kept::KeptNumbers;

/// Texts by number, one after another in one string.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    text: String,
    ends: Vec<u32>,
    /// Whether they ascend from number 1 on.
    sorted: bool,
    /// Their [`Self::places_in`] those that they were last looked up in.
    places: KeptNumbers<Self>,
}

impl Texts {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The text of that number; empty if there is none.
    #[must_use]
    pub fn get(&self, number: u32) -> &str {
        let at = number as usize;
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(at).copied().unwrap_or(start);
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }

    /// So many are compared together.
    const TOGETHER: usize = 32;

    /// The number of each in other texts; [`Self::NONE`] of those that are not found there, which are all that are
    /// missing and, unless both are sorted, perhaps others.
    pub(super) fn places_in(&self, other: &Arc<Self>) -> Arc<[u32]> {
        // Others change, or are of a day that does.
        if self.sorted { self.places.get(other, || self.find_places(other)) } else { self.find_places(other) }
    }

    /// No number of a text.
    pub(super) const NONE: u32 = u32::MAX;

    /// Compares texts of two days side by side. Few pages and sources are new on a day, or missing.
    fn find_places(&self, other: &Self) -> Arc<[u32]> {
        let mut places = vec![Self::NONE; self.len()];
        // Places among both, and from where on many are compared at a time again.
        let (mut own, mut theirs, mut again) = (0, 0, 0);
        while own < self.len() && theirs < other.len() {
            if own >= again {
                let same = self.same(own, other, theirs);
                places[own..own + same].iter_mut().zip(theirs as u32..).for_each(|(place, number)| *place = number);
                (own, theirs) = (own + same, theirs + same);
                again = own + Self::TOGETHER;
                if own >= self.len() || theirs >= other.len() {
                    break;
                }
            }
            match self.get(own as u32).cmp(other.get(theirs as u32)) {
                Ordering::Less => own += 1,
                Ordering::Greater => theirs += 1,
                Ordering::Equal => {
                    places[own] = theirs as u32;
                    (own, theirs) = (own + 1, theirs + 1);
                }
            }
        }
        places.into()
    }

    /// How many texts are the same in both, from these numbers on, as far as they are compared: many at a
    /// time, which is faster than one after another.
    fn same(&self, from: usize, other: &Self, other_from: usize) -> usize {
        let mut same = 0;
        while let (Some(own), Some(other)) = (self.part(from + same), other.part(other_from + same))
            && own.0 == other.0
            && own.1.iter().zip(other.1).all(|(own_end, other_end)| own_end - own.2 == other_end - other.2)
        {
            same += Self::TOGETHER;
        }
        same
    }

    /// What is compared together: the text, the ends of its parts, and where it starts.
    fn part(&self, from: usize) -> Option<(&str, &[u32], u32)> {
        let start = from.checked_sub(1).map_or(0, |before| self.ends[before]);
        let ends = self.ends.get(from..from + Self::TOGETHER)?;
        Some((self.text.get(start as usize..ends[Self::TOGETHER - 1] as usize)?, ends, start))
    }

    /// All of them, by number.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let own = start..*end as usize;
            start = own.end;
            self.text.get(own).unwrap_or_default()
        })
    }

    /// The number of a text.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<u32> {
        if !self.sorted {
            return self.iter().position(|other| other == text).map(|at| at as u32);
        }
        let (mut low, mut high) = (1, self.ends.len() as u32);
        while low < high {
            let middle = low.midpoint(high);
            if self.get(middle) < text { low = middle + 1 } else { high = middle }
        }
        let is = |number: &u32| (*number as usize) < self.ends.len() && self.get(*number) == text;
        [0, low].into_iter().find(is)
    }

    /// These texts.
    pub(crate) fn of(texts: &[&str]) -> Self {
        let mut all = Self::default();
        texts.iter().for_each(|text| _ = all.push(text));
        all
    }

    /// Adds a text and returns its number.
    pub(crate) fn push(&mut self, text: &str) -> u32 {
        self.sorted = false;
        self.text.push_str(text);
        self.ends.push(self.text.len() as u32);
        self.ends.len() as u32 - 1
    }

    /// What `bytes` holds up to each of the `ends`, texts that ascend from number 1 on; `None` if one is
    /// not UTF-8.
    pub(crate) fn sorted(bytes: Vec<u8>, ends: Vec<u32>) -> Option<Self> {
        let text = String::from_utf8(bytes).ok()?;
        let ordered = ends.is_sorted() && ends.last().is_none_or(|end| *end as usize == text.len());
        if !ordered || !ends.iter().all(|end| text.is_char_boundary(*end as usize)) {
            return None;
        }
        Some(Self { text, ends, sorted: true, places: KeptNumbers::default() })
    }

    /// The bytes of memory that they take, with the places that are kept.
    #[must_use]
    pub fn memory(&self) -> usize {
        let places = if self.sorted { self.ends.len() } else { 0 };
        self.text.capacity() + 4 * (self.ends.capacity() + places)
    }
}

/// Texts that are given numbers as they come, each once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interner {
    /// Shared with scans, and copied only if one of them is still reading when a text is added.
    texts: Arc<Texts>,
    numbers: HashTable<u32>,
    hasher: RandomState,
}

impl Interner {
    /// With these texts to begin with.
    pub(crate) fn with(texts: &[&str]) -> Self {
        let mut interner = Self::default();
        texts.iter().for_each(|text| _ = interner.number(text));
        interner
    }

    /// The number of a text, a new one if it has none yet.
    pub(crate) fn number(&mut self, text: &str) -> u32 {
        let hash = self.hasher.hash_one(text);
        if let Some(number) = self.numbers.find(hash, |number| self.texts.get(*number) == text) {
            return *number;
        }
        let number = Arc::make_mut(&mut self.texts).push(text);
        let (texts, hasher) = (&*self.texts, &self.hasher);
        self.numbers.insert_unique(hash, number, |number| hasher.hash_one(texts.get(*number)));
        number
    }

    /// The number of a text that has one.
    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        self.numbers.find(self.hasher.hash_one(text), |number| self.texts.get(*number) == text).copied()
    }

    /// The texts, by number.
    pub(crate) fn texts(&self) -> &Texts {
        &self.texts
    }

    /// The texts, as they are now.
    pub(crate) fn shared(&self) -> Arc<Texts> {
        Arc::clone(&self.texts)
    }

    /// The bytes of memory that they take.
    pub(crate) fn memory(&self) -> usize {
        self.texts.memory() + 5 * self.numbers.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_has_one_number() {
        let mut interner = Interner::with(&["", "b"]);
        assert_eq!((interner.number("b"), interner.number("é"), interner.number("")), (1, 2, 0));
        assert_eq!((interner.find("é"), interner.find("x")), (Some(2), None));
        assert_eq!(interner.texts().iter().collect::<Vec<_>>(), ["", "b", "é"]);
        for number in 0..1_000 {
            assert_eq!(interner.number(&format!("t{number}")), number + 3);
        }
        assert_eq!(interner.find("t999"), Some(1_002));
        assert_eq!(interner.texts().get(9_999), "");
    }
}
