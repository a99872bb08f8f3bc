//! Random choices that need not be good, only varied.

use uuid::Uuid;

/// Xorshift64 (Marsaglia, 2003).
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// Throws differently every time.
    pub(super) fn new() -> Self {
        Self::seeded(Uuid::new_v4().as_u64_pair().0)
    }

    /// Throws the same every time.
    pub(super) const fn seeded(seed: u64) -> Self {
        // Zero is the one state that never changes.
        Self(seed | 1)
    }

    /// A number below `end`, which is at least 1.
    pub(super) const fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    /// Whether something happens that does so in `percent` of all cases.
    pub(super) const fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of them; those that stand earlier come more often.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let last = from.len() as u64;
        let a = self.below(last);
        from[a.min(self.below(last)) as usize]
    }
}
