//! Asking the service: with time limits, again with a growing and random pause when it is
//! busy, and with an account of what it cost.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::ConsumedCapacity;

use super::errors::{Failure, closed};
use crate::config::DynamoDbUrl;
use crate::metrics::Metrics;
use crate::store::Result;

/// How long a connection may take to be made.
pub(super) const CONNECT: Duration = Duration::from_secs(1);
/// How long one attempt may take.
pub(super) const ATTEMPT: Duration = Duration::from_secs(3);
/// After this long nothing is tried again.
const PATIENCE: Duration = Duration::from_secs(5);
/// The first pause is at most this long, each further one at most twice as long as the last.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Request units that were used, as the service tells.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Consumed {
    /// Read request units.
    pub read: f64,
    /// Write request units.
    pub write: f64,
}

/// Halves of units, so that they can be counted by many at once without a lock.
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

/// The tables and how they are asked.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    pub(super) client: Client,
    pub(super) table: Arc<str>,
    pub(super) secrets: Arc<str>,
    meter: Arc<Meter>,
    closed: Arc<std::sync::atomic::AtomicBool>,
    pub(super) metrics: Arc<Metrics>,
}

impl Tables {
    pub(super) async fn open(url: &DynamoDbUrl, metrics: Arc<Metrics>) -> Result<Self> {
        Ok(Self {
            client: super::access::client(url).await?,
            table: url.table().into(),
            secrets: url.secrets().into(),
            meter: Arc::default(),
            closed: Arc::default(),
            metrics,
        })
    }

    /// Tables behind this client.
    #[cfg(test)]
    pub(super) fn behind(client: Client) -> Result<Self> {
        let metrics = Metrics::new().map_err(super::errors::failed)?;
        let (meter, closed, metrics) = (Arc::default(), Arc::default(), Arc::new(metrics));
        Ok(Self { client, table: "table".into(), secrets: "table".into(), meter, closed, metrics })
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// # Errors
    /// When it was closed.
    pub(super) fn opened(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) { Err(closed()) } else { Ok(()) }
    }

    /// Notes what a request used.
    pub(super) fn used(&self, units: Units, consumed: &[ConsumedCapacity]) {
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

    /// Asks until there is an answer, a refusal, or no patience left. What is sent must be
    /// harmless when it is executed twice.
    pub(super) async fn ask<T, E, Sent>(&self, send: impl Fn() -> Sent) -> Result<T, Failure<E>>
    where
        Sent: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.opened().map_err(Failure::Final)?;
        let mut pauses = Pauses::start();
        loop {
            match send().await.map_err(Failure::of) {
                Err(Failure::Passing(reason)) => {
                    if !pauses.pause().await {
                        return Err(Failure::Passing(reason));
                    }
                }
                other => return other,
            }
        }
    }
}

/// Pauses between attempts: "full jitter", each a random part of a bound that doubles, so that
/// those who collided do not meet again.
#[derive(Debug)]
pub(super) struct Pauses {
    until: Instant,
    bound: Duration,
}

impl Pauses {
    pub(super) fn start() -> Self {
        Self::lasting(PATIENCE)
    }

    /// With so much patience in all.
    pub(super) fn lasting(patience: Duration) -> Self {
        Self { until: Instant::now() + patience, bound: FIRST_PAUSE }
    }

    /// Waits a little; answers whether there is patience for another attempt.
    pub(super) async fn pause(&mut self) -> bool {
        let pause = self.bound.mul_f64(chance());
        self.bound = (self.bound * 2).min(LONGEST_PAUSE);
        if Instant::now() + pause >= self.until {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }
}

/// A random number of [0, 1); the middle when the system has none, which only costs spread.
pub(super) fn chance() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / (f64::from(u32::MAX) + 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pauses of one who is refused until there is no patience left.
    async fn pauses(patience: Duration) -> Vec<Duration> {
        let mut pauses = Pauses::lasting(patience);
        let mut taken = Vec::new();
        loop {
            let began = Instant::now();
            if !pauses.pause().await {
                return taken;
            }
            taken.push(began.elapsed());
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn pauses_are_random_and_grow_and_end() {
        const PATIENCE: Duration = Duration::from_millis(400);
        let asking: Vec<_> = (0..64).map(|_| tokio::spawn(pauses(PATIENCE))).collect();
        let mut firsts = Vec::new();
        let mut lasts = Vec::new();
        for taken in asking {
            let taken = taken.await.unwrap();
            // With bounds that double there cannot be many.
            assert!(taken.len() < 40, "{taken:?}");
            firsts.extend(taken.first().copied());
            lasts.extend(taken.last().copied());
        }
        let sum = |pauses: &[Duration]| pauses.iter().sum::<Duration>();
        assert!(sum(&lasts) > sum(&firsts) * 2, "{firsts:?} {lasts:?}");
        firsts.sort();
        assert!(firsts[firsts.len() - 4] > firsts[3] * 2, "those who collided meet again: {firsts:?}");
    }

    #[test]
    fn chances_are_fractions() {
        let chances: Vec<f64> = (0..1_000).map(|_| chance()).collect();
        assert!(chances.iter().all(|chance| (0.0..1.0).contains(chance)));
        assert!(chances.iter().any(|chance| *chance < 0.2) && chances.iter().any(|chance| *chance > 0.8));
    }
}
