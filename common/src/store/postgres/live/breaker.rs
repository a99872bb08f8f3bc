//! The circuit breaker: after the first failure nothing waits for Redis any more, until a probe has
//! succeeded.

use std::time::{Duration, Instant};

/// How long lies between two probes.
pub(super) const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Closed: commands flow. Open: they are refused at once, and a probe is due now and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breaker {
    Closed,
    Open { probe_at: Instant },
}

impl Breaker {
    /// Notes a failure: the first one opens, and is looked into at once, because a connection
    /// that broke says nothing about the server.
    pub(super) fn fail(&mut self, now: Instant) {
        if *self == Self::Closed {
            *self = Self::Open { probe_at: now };
        }
    }

    /// Whether the caller is to probe now; the next turn is [`PROBE_INTERVAL`] later.
    pub(super) fn take_probe(&mut self, now: Instant) -> bool {
        match self {
            Self::Open { probe_at } if *probe_at <= now => {
                *probe_at = now + PROBE_INTERVAL;
                true
            }
            _ => false,
        }
    }

    /// Notes a probe that went well.
    pub(super) fn close(&mut self) {
        *self = Self::Closed;
    }

    pub(super) const fn is_open(self) -> bool {
        matches!(self, Self::Open { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_opens_and_a_good_probe_closes() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut breaker = Breaker::Closed;
        assert!(!breaker.take_probe(at(0)), "nothing to look into");
        breaker.fail(at(0));
        assert!(breaker.is_open());
        assert!(breaker.take_probe(at(0)), "at once");
        assert!(!breaker.take_probe(at(0)), "one at a time");
        breaker.fail(at(500));
        assert!(!breaker.take_probe(at(999)), "failures that were under way change nothing");
        assert!(breaker.take_probe(at(1_000)));
        assert!(breaker.take_probe(at(60_000)));
        breaker.close();
        assert!(!breaker.is_open());
        breaker.fail(at(60_001));
        assert!(breaker.take_probe(at(60_001)), "anew");
    }
}
