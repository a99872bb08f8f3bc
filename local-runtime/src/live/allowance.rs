//! How much a client may say.

use std::time::Duration;

use tokio::time::Instant;

/// A token bucket: one message a second, and a few at once.
#[derive(Debug)]
pub(super) struct Allowance {
    /// When the bucket is, or was, full.
    full_at: Instant,
    /// Messages over the limit since the last one within it.
    excess: u32,
}

/// What is to be done about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Answer it.
    Fine,
    /// Say that it was too much.
    TooMuch,
    /// This client does not listen: close.
    Abuse,
}

impl Allowance {
    const EVERY: Duration = Duration::from_secs(1);
    const AT_ONCE: u32 = 5;
    /// How many messages in a row may be too much before it is abuse.
    const PATIENCE: u32 = 20;

    /// A full bucket.
    pub(super) const fn new(now: Instant) -> Self {
        Self { full_at: now, excess: 0 }
    }

    /// Charges one message.
    pub(super) fn charge(&mut self, now: Instant) -> Verdict {
        let full_at = self.full_at.max(now) + Self::EVERY;
        if full_at - now <= Self::EVERY * Self::AT_ONCE {
            self.full_at = full_at;
            self.excess = 0;
            return Verdict::Fine;
        }
        self.excess += 1;
        if self.excess > Self::PATIENCE { Verdict::Abuse } else { Verdict::TooMuch }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_at_once_then_one_a_second() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        for _ in 0..5 {
            assert_eq!(allowance.charge(start), Verdict::Fine);
        }
        assert_eq!(allowance.charge(start), Verdict::TooMuch);
        let later = start + Duration::from_secs(1);
        assert_eq!(allowance.charge(later), Verdict::Fine);
        assert_eq!(allowance.charge(later), Verdict::TooMuch);
        let much_later = start + Duration::from_secs(3_600);
        let fine = (0..10).filter(|_| allowance.charge(much_later) == Verdict::Fine).count();
        assert_eq!(fine, 5, "quiet hours are not saved up");
    }

    #[test]
    fn who_does_not_listen_is_told_so_only_so_often() {
        let now = Instant::now();
        let mut allowance = Allowance::new(now);
        let verdicts: Vec<_> = (0..30).map(|_| allowance.charge(now)).collect();
        assert_eq!(verdicts.iter().filter(|it| **it == Verdict::TooMuch).count(), 20);
        assert_eq!(verdicts[25], Verdict::Abuse);
    }
}
