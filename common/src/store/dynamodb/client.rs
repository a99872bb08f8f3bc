//! Requests to the service: with timeouts, retried with a growing, random delay while the service
//! is busy, and with an account of what they cost.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::ConsumedCapacity;
use prometheus::IntCounter;

use super::errors::{Failure, closed};
use crate::store::Result;

/// How long a connection may take to be made.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one attempt may take.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a request is retried.
const RETRY_TIMEOUT: Duration = Duration::from_secs(5);
/// The first delay is at most this long, each further one at most twice as long as the last.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(20);
/// No delay is longer.
const LONGEST_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Request units that were used, as the service reports them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Consumed {
    /// Read request units.
    pub read: f64,
    /// Write request units.
    pub write: f64,
}

/// Halves of units, so that many requests can be counted at once without a lock.
#[derive(Debug, Default)]
struct Meter {
    read: AtomicU64,
    write: AtomicU64,
}

/// What a request uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Units {
    Read,
    Write,
}

/// A table. The tables of a store share its client, its meter and whether it is closed.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) client: Client,
    pub(super) name: Arc<str>,
    meter: Arc<Meter>,
    closed: Arc<AtomicBool>,
    /// Whether the last request failed for good: no answer, busy throughout, or no table or right to it.
    away: Arc<AtomicBool>,
    outages: Option<IntCounter>,
}

impl Table {
    pub(super) fn new(client: Client, name: &str) -> Self {
        let (meter, closed, away) = (Arc::default(), Arc::default(), Arc::default());
        Self { client, name: name.into(), meter, closed, away, outages: None }
    }

    /// Counts how often the service stops answering.
    pub(super) fn counting(self, outages: IntCounter) -> Self {
        Self { outages: Some(outages), ..self }
    }

    fn set_away(&self, away: bool) {
        if !self.away.swap(away, Ordering::Relaxed)
            && away
            && let Some(outages) = &self.outages
        {
            outages.inc();
        }
    }

    /// Another table of the same store.
    pub(super) fn sibling(&self, name: &str) -> Self {
        Self { name: name.into(), ..self.clone() }
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// # Errors
    /// When it was closed.
    pub(super) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) { Err(closed()) } else { Ok(()) }
    }

    /// Adds what a request used.
    pub(super) fn meter(&self, units: Units, consumed: &[ConsumedCapacity]) {
        let halves: f64 = consumed.iter().filter_map(ConsumedCapacity::capacity_units).map(|units| units * 2.0).sum();
        let counter = match units {
            Units::Read => &self.meter.read,
            Units::Write => &self.meter.write,
        };
        counter.fetch_add(halves.round() as u64, Ordering::Relaxed);
    }

    pub(super) fn consumed(&self) -> Consumed {
        let units = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64 / 2.0;
        Consumed { read: units(&self.meter.read), write: units(&self.meter.write) }
    }

    /// Sends a request until it is answered or refused, or [`RETRY_TIMEOUT`] is over. The request
    /// must be harmless when it is executed twice.
    pub(super) async fn request<T, E, Sent>(&self, send: impl Fn() -> Sent) -> Result<T, Failure<E>>
    where
        Sent: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.check_open().map_err(Failure::Final)?;
        let mut backoff = Backoff::start();
        loop {
            match send().await.map_err(Failure::of) {
                Err(Failure::Transient(reason)) => {
                    if !backoff.wait().await {
                        self.set_away(true);
                        return Err(Failure::Transient(reason));
                    }
                }
                other => {
                    self.set_away(matches!(other, Err(Failure::Final(_))));
                    return other;
                }
            }
        }
    }
}

/// Delays between attempts: "full jitter", each a random part of a bound that doubles, so that
/// processes that conflicted do not do so again.
#[derive(Debug)]
pub(super) struct Backoff {
    until: Instant,
    bound: Duration,
}

impl Backoff {
    pub(super) fn start() -> Self {
        Self::lasting(RETRY_TIMEOUT)
    }

    /// With a timeout of its own.
    pub(super) fn lasting(timeout: Duration) -> Self {
        Self { until: Instant::now() + timeout, bound: FIRST_RETRY_DELAY }
    }

    /// Waits; answers false at once when the timeout would be over.
    pub(super) async fn wait(&mut self) -> bool {
        let delay = self.bound.mul_f64(random_fraction());
        self.bound = (self.bound * 2).min(LONGEST_RETRY_DELAY);
        if Instant::now() + delay >= self.until {
            return false;
        }
        tokio::time::sleep(delay).await;
        true
    }
}

/// A random number of [0, 1); the middle when the system has none, which only costs spread.
pub(super) fn random_fraction() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / (f64::from(u32::MAX) + 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All delays until the timeout.
    async fn delays(timeout: Duration) -> Vec<Duration> {
        let mut backoff = Backoff::lasting(timeout);
        let mut delays = Vec::new();
        loop {
            let began = Instant::now();
            if !backoff.wait().await {
                return delays;
            }
            delays.push(began.elapsed());
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn delays_are_random_and_grow_and_end() {
        const TIMEOUT: Duration = Duration::from_millis(400);
        let running: Vec<_> = (0..64).map(|_| tokio::spawn(delays(TIMEOUT))).collect();
        let mut firsts = Vec::new();
        let mut lasts = Vec::new();
        for delays in running {
            let delays = delays.await.unwrap();
            // With bounds that double there cannot be many.
            assert!(delays.len() < 40, "{delays:?}");
            firsts.extend(delays.first().copied());
            lasts.extend(delays.last().copied());
        }
        let sum = |delays: &[Duration]| delays.iter().sum::<Duration>();
        assert!(sum(&lasts) > sum(&firsts) * 2, "{firsts:?} {lasts:?}");
        firsts.sort();
        assert!(firsts[firsts.len() - 4] > firsts[3] * 2, "delays are not spread: {firsts:?}");
    }

    #[test]
    fn random_fractions_are_below_one() {
        let fractions: Vec<f64> = (0..1_000).map(|_| random_fraction()).collect();
        assert!(fractions.iter().all(|fraction| (0.0..1.0).contains(fraction)));
        assert!(fractions.iter().any(|fraction| *fraction < 0.2) && fractions.iter().any(|fraction| *fraction > 0.8));
    }
}
