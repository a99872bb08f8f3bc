//! Token buckets by key, in bounded memory.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

/// How many keys have a bucket of their own.
const MOST_KEYS: usize = 100_000;
/// How many buckets all further keys share.
const SHARED: u64 = 65_536;
/// How many charges lie between two looks at the number of keys.
const LOOK_EVERY: usize = 1_024;

/// One bucket a key: it holds `most` tokens when full, and fills at `most` a minute.
///
/// A key costs some 40 bytes until its bucket is full again, which after one event of a
/// hundred a minute takes 600 ms. A flood from ever new addresses can still make many keys in
/// that time. Beyond [`MOST_KEYS`] the keys are therefore folded into [`SHARED`] buckets until
/// the flood is over: memory stays below some 7 MB, the flood is limited all the same, and
/// another client suffers only if its key falls into a bucket that the flood empties.
#[derive(Debug)]
pub(super) struct Buckets {
    limiter: RateLimiter<u64, DashMapStateStore<u64>, MonotonicClock, NoOpMiddleware<std::time::Instant>>,
    most: NonZeroU32,
    most_keys: usize,
    charges: AtomicUsize,
    crowded: AtomicBool,
}

impl Buckets {
    pub(super) fn new(most: NonZeroU32) -> Self {
        Self::with_room_for(MOST_KEYS, most)
    }

    fn with_room_for(most_keys: usize, most: NonZeroU32) -> Self {
        Self {
            // Not governor's default clock: it measures the processor for 200 ms at the start.
            limiter: RateLimiter::dashmap_with_clock(Quota::per_minute(most), MonotonicClock),
            most,
            most_keys,
            charges: AtomicUsize::new(0),
            crowded: AtomicBool::new(false),
        }
    }

    /// How many tokens a full bucket holds.
    pub(super) const fn most(&self) -> u32 {
        self.most.get()
    }

    /// Takes `tokens`, all of them or none.
    ///
    /// # Errors
    /// After how many seconds there will be enough.
    pub(super) fn charge(&self, key: u64, tokens: u32) -> Result<(), u64> {
        let Some(tokens) = NonZeroU32::new(tokens.min(self.most())) else { return Ok(()) };
        // Counting the keys takes all locks of the map: too dear for every charge.
        if self.charges.fetch_add(1, Ordering::Relaxed) % LOOK_EVERY == LOOK_EVERY - 1
            && self.limiter.len() > self.most_keys
        {
            self.crowded.store(true, Ordering::Relaxed);
        }
        let key = if self.crowded.load(Ordering::Relaxed) { key % SHARED } else { key };
        match self.limiter.check_key_n(&key, tokens) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => {
                let wait = not_until.wait_time_from(MonotonicClock.now());
                Err(wait.as_millis().div_ceil(1_000).max(1) as u64)
            }
            // Cannot be: no more tokens are asked for than fit.
            Err(_) => Err(60),
        }
    }

    /// Forgets the keys whose buckets are full again.
    pub(super) fn forget(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        if self.limiter.len() <= self.most_keys / 2 {
            self.crowded.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(most_keys: usize, most: u32) -> Buckets {
        Buckets::with_room_for(most_keys, NonZeroU32::new(most).unwrap())
    }

    #[test]
    fn a_bucket_empties_and_says_when_to_come_back() {
        let buckets = buckets(10, 2);
        assert_eq!(buckets.charge(1, 1), Ok(()));
        assert_eq!(buckets.charge(1, 1), Ok(()));
        assert_eq!(buckets.charge(1, 1), Err(30));
        assert_eq!(buckets.charge(1, 2), Err(60));
        assert_eq!(buckets.charge(2, 1), Ok(()), "each key has its own");
    }

    #[test]
    fn a_charge_beyond_a_full_bucket_takes_a_full_one() {
        let buckets = buckets(10, 100);
        assert_eq!(buckets.charge(1, 500), Ok(()));
        assert_eq!(buckets.charge(1, 1), Err(1));
        assert_eq!(buckets.charge(1, 0), Ok(()));
        assert_eq!(buckets.charge(2, 1), Ok(()));
        assert_eq!(buckets.charge(2, 100), Err(1), "all or nothing");
        assert_eq!(buckets.charge(2, 99), Ok(()));
    }

    #[test]
    fn a_flood_of_addresses_is_bounded_and_still_limited() {
        let buckets = buckets(1_000, 1);
        let flood = 200_000_u64;
        let passed = (0..flood).map(|key: u64| key.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let passed = passed.filter(|key| buckets.charge(*key, 1).is_ok()).count();
        let most = 1_000 + LOOK_EVERY + SHARED as usize;
        assert!(buckets.limiter.len() <= most, "{}", buckets.limiter.len());
        assert!(passed <= most, "{passed}");
        buckets.forget();
        assert!(buckets.crowded.load(Ordering::Relaxed), "no bucket is full again yet");
    }

    #[test]
    fn quiet_addresses_are_forgotten() {
        // Fills within 14 ns.
        let buckets = buckets(1_000, u32::MAX);
        for key in 0..50_000 {
            buckets.charge(key, 1).unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
        buckets.forget();
        assert_eq!(buckets.limiter.len(), 0);
        assert!(!buckets.crowded.load(Ordering::Relaxed));
    }
}
