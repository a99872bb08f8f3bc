//! A closed loop: each connection sends its next request when the last one is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::connection::{Answer, Connection};
use crate::request::Ring;

/// An exchange that takes longer than this ends the load: nothing here may hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to send where, and for how long.
#[derive(Clone)]
pub(crate) struct Plan {
    /// The server.
    pub(crate) to: SocketAddr,
    /// How many requests are in flight.
    pub(crate) connections: usize,
    /// The requests.
    pub(crate) ring: Arc<Ring>,
    /// What the answers must be.
    pub(crate) expect: Expect,
    /// Time before counting starts.
    pub(crate) warm: Duration,
    /// Time of counting, at most.
    pub(crate) length: Duration,
    /// Requests, at most.
    pub(crate) limit: u64,
}

/// What an answer must be; any other is counted as wrong and not as work done.
#[derive(Clone)]
pub(crate) struct Expect {
    /// The status.
    pub(crate) status: u16,
    /// What the body must contain.
    pub(crate) part: Option<String>,
}

impl Expect {
    /// Any body with this status.
    pub(crate) fn status(status: u16) -> Self {
        Self { status, part: None }
    }

    fn complaint(&self, answer: &Answer<'_>) -> Option<String> {
        let part = self.part.as_deref().map_or(&b""[..], str::as_bytes);
        let fits = part.is_empty() || answer.body.windows(part.len()).any(|window| window == part);
        if answer.status == self.status && fits {
            return None;
        }
        let body: String = String::from_utf8_lossy(answer.body).chars().take(300).collect();
        Some(format!("status {} instead of {}: {body}", answer.status, self.status))
    }
}

/// What a load did.
pub(crate) struct Outcome {
    /// Requests answered as they should while counting.
    pub(crate) requests: u64,
    /// How long counting lasted.
    pub(crate) seconds: f64,
    /// Microseconds of those requests.
    pub(crate) latencies: Histogram<u64>,
    /// Answers that should not be, and broken connections; warm-up included.
    pub(crate) wrong: u64,
    /// One of them.
    pub(crate) complaint: Option<String>,
}

/// A load on its way.
pub(crate) struct Running {
    shared: Arc<Shared>,
    workers: JoinSet<Result<Outcome>>,
}

struct Shared {
    plan: Plan,
    start: Instant,
    claimed: AtomicU64,
    stop: AtomicBool,
}

/// Runs a load to its end.
///
/// # Errors
/// When the connections cannot be opened, or the server hangs.
pub(crate) async fn run(plan: Plan) -> Result<Outcome> {
    Running::start(plan).await?.join().await
}

impl Running {
    /// Opens all connections, then starts the clock and the loops.
    ///
    /// # Errors
    /// When the connections cannot be opened.
    pub(crate) async fn start(plan: Plan) -> Result<Self> {
        let mut connections = Vec::with_capacity(plan.connections);
        for index in 0..plan.connections {
            connections.push(Connection::open(plan.to, index).await?);
        }
        let shared =
            Arc::new(Shared { plan, start: Instant::now(), claimed: AtomicU64::new(0), stop: AtomicBool::new(false) });
        let mut workers = JoinSet::new();
        for connection in connections {
            workers.spawn(work(connection, Arc::clone(&shared)));
        }
        Ok(Self { shared, workers })
    }

    /// Tells how many requests were begun so far.
    pub(crate) fn progress(&self) -> impl Fn() -> u64 + Send + use<> {
        let shared = Arc::clone(&self.shared);
        move || shared.claimed.load(Ordering::Relaxed).min(shared.plan.limit)
    }

    /// Ends the load after the requests in flight.
    ///
    /// # Errors
    /// When the server hangs.
    pub(crate) async fn stop(self) -> Result<Outcome> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.join().await
    }

    /// Waits for the end of the plan.
    ///
    /// # Errors
    /// When the server hangs.
    pub(crate) async fn join(mut self) -> Result<Outcome> {
        let plan = &self.shared.plan;
        let deadline = self.shared.start + plan.warm + plan.length + PATIENCE;
        let mut total = Outcome::new()?;
        loop {
            match tokio::time::timeout_at(deadline.into(), self.workers.join_next()).await {
                Ok(Some(outcome)) => total.add(outcome??)?,
                Ok(None) => break,
                Err(_) => bail!("no answer from {} in {} s", plan.to, PATIENCE.as_secs()),
            }
        }
        let counted = self.shared.start.elapsed().saturating_sub(plan.warm).min(plan.length);
        total.seconds = counted.as_secs_f64();
        Ok(total)
    }
}

/// The loop of one connection.
async fn work(mut connection: Connection, shared: Arc<Shared>) -> Result<Outcome> {
    let plan = &shared.plan;
    let counting = shared.start + plan.warm;
    let deadline = counting + plan.length;
    let mut outcome = Outcome::new()?;
    let mut request = Vec::new();
    while !shared.stop.load(Ordering::Relaxed) && shared.claimed.fetch_add(1, Ordering::Relaxed) < plan.limit {
        plan.ring.write(&mut request)?;
        let began = Instant::now();
        if began >= deadline {
            break;
        }
        let complaint = match connection.exchange(&request).await {
            Ok(answer) => plan.expect.complaint(&answer),
            Err(error) => {
                outcome.complain(format!("{error:#}"));
                break;
            }
        };
        let ended = Instant::now();
        match complaint {
            Some(complaint) => outcome.complain(complaint),
            None if ended >= counting && ended <= deadline => {
                outcome.requests += 1;
                outcome.latencies.saturating_record((ended - began).as_micros() as u64);
            }
            None => {}
        }
    }
    Ok(outcome)
}

impl Outcome {
    fn new() -> Result<Self> {
        Ok(Self {
            requests: 0,
            seconds: 0.0,
            // Two digits: small enough that 256 of them stay in the processor's cache.
            latencies: Histogram::new_with_bounds(1, 120_000_000, 2)?,
            wrong: 0,
            complaint: None,
        })
    }

    fn add(&mut self, other: Self) -> Result<()> {
        self.requests += other.requests;
        self.latencies.add(other.latencies)?;
        self.wrong += other.wrong;
        self.complaint = self.complaint.take().or(other.complaint);
        Ok(())
    }

    fn complain(&mut self, complaint: String) {
        self.wrong += 1;
        self.complaint.get_or_insert(complaint);
    }

    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds.max(f64::EPSILON)
    }

    /// The latency that `percent` of the requests kept under, in milliseconds.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        self.latencies.value_at_percentile(percent) as f64 / 1_000.0
    }
}
