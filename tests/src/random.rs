//! Randomness that can be had again: print the seed, set `TEST_SEED`.

use std::time::Duration;

/// A random number.
#[must_use]
pub fn fresh() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0
}

/// `SplitMix64` (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Seeded by `TEST_SEED`, or else freshly; the seed is printed.
    #[must_use]
    pub fn seeded() -> Self {
        let seed = crate::binary::variable("TEST_SEED").and_then(|seed| seed.parse().ok()).unwrap_or_else(fresh);
        eprintln!("TEST_SEED={seed}");
        Self(seed)
    }

    /// Another sequence, of its own.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.number())
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to and without `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// One of these.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }

    /// A time between these, in milliseconds.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}
