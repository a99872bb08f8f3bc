//! The one task that appends: requests that arrive while a transaction is on its way share the next
//! one. When it is committed, the feed gets its events and its requests are answered.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indexmap::IndexSet;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_postgres::error::Error;

use super::ENGINE;
use super::append::{self, Batch, Begun, ConnectionCache, Plan, Planned, SiteBatch, Statements};
use super::connection::{CONNECTION_TIMEOUT, Connections, closed, is_gone, unavailable};
use super::deadline::{self, Progress};
use super::live::Live;
use super::{partitions, sites};
use crate::event::Event;
use crate::metrics::Metrics;
use crate::store::commits::LastCommit;
use crate::store::{Appended, Result, StoreError};
use crate::time::Timestamp;

/// How many requests may wait for the writer; more are refused as overload.
const QUEUE_LIMIT: usize = 16_384;
/// How many events one transaction takes at most.
const BATCH_LIMIT: usize = 4_096;
/// How long the second half of a transaction may take: writing and the commit's fsync. Longer
/// than the first, because after it nothing tells whether the events are stored.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of [`CONNECTION_TIMEOUT`] is left at least for requests that waited long for others'
/// transactions.
const MIN_TIMEOUT: Duration = Duration::from_millis(200);
/// How long making sites and partitions may take: an import may need one for each day of a year.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(10);

/// A request's events and where its answer goes.
struct Request {
    events: Vec<Event>,
    now: Timestamp,
    since: Instant,
    reply: oneshot::Sender<Result<Vec<Appended>>>,
}

/// Sends requests to the writer.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    requests: mpsc::Sender<Request>,
    progress: Progress,
    within: Duration,
    sites_changed: Arc<AtomicBool>,
}

impl Handle {
    /// Has sites that are not known looked for again, also where the store was full of others.
    pub(super) fn sites_changed(&self) {
        self.sites_changed.store(true, Ordering::Release);
    }

    pub(super) async fn append(&self, events: Vec<Event>, now: Timestamp) -> Result<Vec<Appended>> {
        let (reply, answer) = oneshot::channel();
        let since = Instant::now();
        let sent = self.requests.send_timeout(Request { events, now, since, reply }, CONNECTION_TIMEOUT).await;
        sent.map_err(|error| match error {
            SendTimeoutError::Timeout(_) => StoreError::Overloaded { engine: ENGINE },
            SendTimeoutError::Closed(_) => closed(),
        })?;
        let answered = deadline::wait(answer, &self.progress, since, self.within).await;
        answered.ok_or_else(|| unavailable("it does not answer"))?.map_err(|_| closed())?
    }
}

/// Starts the writer; it ends, and the task with it, when the last handle is dropped and
/// everything asked before is answered.
pub(super) fn start(
    connections: Connections,
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    within: Duration,
    last_commit: LastCommit,
) -> (Handle, JoinHandle<()>) {
    let (requests, queue) = mpsc::channel(QUEUE_LIMIT);
    let progress = Progress::default();
    let handle = Handle { requests, progress: progress.clone(), within, sites_changed: Arc::default() };
    let writer = Writer {
        connections,
        live,
        metrics,
        connection: Connection::Closed,
        cache: ConnectionCache::default(),
        sites_changed: Arc::clone(&handle.sites_changed),
        progress,
        last_commit,
        failing: false,
    };
    (handle, tokio::spawn(writer.serve(queue)))
}

/// A connection with what is prepared on it.
struct Session {
    client: Client,
    sql: Statements,
}

/// The writer's connection.
enum Connection {
    Closed,
    /// Opening goes on when the requests that began it have timed out.
    Opening(JoinHandle<Result<Box<Session>>>),
    Open(Box<Session>),
}

struct Writer {
    connections: Connections,
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    connection: Connection,
    cache: ConnectionCache,
    sites_changed: Arc<AtomicBool>,
    progress: Progress,
    last_commit: LastCommit,
    failing: bool,
}

/// Requests that share a transaction.
struct Group {
    requests: Vec<Request>,
    events: usize,
    now: Timestamp,
}

impl Group {
    fn of(request: Request) -> Self {
        Self { events: request.events.len(), now: request.now, requests: vec![request] }
    }

    fn add(&mut self, request: Request) {
        self.events += request.events.len();
        self.now = self.now.max(request.now);
        self.requests.push(request);
    }

    /// How much longer these requests may wait for what stores nothing yet.
    fn time_left(&self) -> Duration {
        let waited = self.requests.first().map_or(Duration::ZERO, |first| first.since.elapsed());
        CONNECTION_TIMEOUT.saturating_sub(waited).max(MIN_TIMEOUT)
    }

    fn events(&self) -> impl Iterator<Item = &Event> {
        self.requests.iter().flat_map(|request| &request.events)
    }
}

/// A group that was committed.
struct Written {
    /// The answer for each event.
    answers: Vec<Appended>,
    batches: Vec<SiteBatch>,
    new_visitors: u64,
}

/// Why a group was not appended.
enum Failure {
    /// Nothing was stored, and the connection is as it was.
    Refused(StoreError),
    /// Nothing was stored: a day's partition is missing.
    NoPartition,
    /// The connection is of no more use. If there is a plan, it may have been committed.
    Gone(StoreError, Option<Plan>),
    /// There was no answer in time; the connection may still be busy, and must not be used again.
    TimedOut,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if is_gone(&error) { Self::Gone(error.into(), None) } else { Self::Refused(error.into()) }
    }
}

impl Writer {
    async fn serve(mut self, mut queue: mpsc::Receiver<Request>) {
        while let Some(request) = queue.recv().await {
            // Skip requests that already received a 503.
            if request.reply.is_closed() {
                continue;
            }
            let mut group = Group::of(request);
            while group.events < BATCH_LIMIT {
                match queue.try_recv() {
                    Ok(request) if request.reply.is_closed() => {}
                    Ok(request) => group.add(request),
                    Err(_) => break,
                }
            }
            self.commit(group).await;
        }
    }

    /// Makes the events of all these requests durable together, and answers each.
    async fn commit(&mut self, group: Group) {
        let started = Instant::now();
        let written = self.write(&group).await;
        self.metrics.queried("append", started.elapsed());
        self.metrics.group_commit_events.observe(group.events as f64);
        match written {
            Ok(Written { answers, batches, new_visitors }) => {
                self.last_commit.succeeded();
                if std::mem::replace(&mut self.failing, false) {
                    tracing::info!("events are committed again");
                }
                self.metrics.visitors_total.inc_by(new_visitors);
                self.live.committed(batches, group.now);
                let mut answers = answers.into_iter();
                for request in group.requests {
                    // A client that went away gets no answer; its events are stored all the same.
                    let _ = request.reply.send(Ok(answers.by_ref().take(request.events.len()).collect()));
                }
            }
            Err(error) => {
                let reason = reason(&error);
                self.last_commit.failed(reason.clone());
                // Once an outage: there may be thousands a second.
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(error = reason, events = group.events, "events cannot be committed");
                }
                for request in group.requests {
                    let _ = request.reply.send(Err(unavailable(&reason)));
                }
            }
        }
    }

    /// Appends, and appends once more when the connection turned out to be dead or a day's
    /// partition was dropped: ids make that safe, and an attempt whose commit got no answer is
    /// recognised.
    async fn write(&mut self, group: &Group) -> Result<Written> {
        let mut earlier = None;
        let mut failed = None;
        for _ in 0..2 {
            match self.try_write(group, earlier.as_ref()).await {
                Ok(written) => return Ok(written),
                Err(Failure::Gone(error, plan)) => {
                    self.disconnect();
                    earlier = plan.or(earlier);
                    failed = Some(error);
                }
                Err(Failure::TimedOut) => {
                    self.disconnect();
                    return Err(unavailable("it does not answer"));
                }
                Err(Failure::NoPartition) => {
                    self.cache.days.clear();
                    failed = Some(unavailable("a partition is missing"));
                }
                Err(Failure::Refused(error)) => return Err(error),
            }
        }
        Err(failed.unwrap_or_else(closed))
    }

    fn disconnect(&mut self) {
        self.connection = Connection::Closed;
        self.cache = ConnectionCache::default();
    }

    async fn try_write(&mut self, group: &Group, earlier: Option<&Plan>) -> Result<Written, Failure> {
        self.connect(group.time_left()).await.map_err(Failure::Refused)?;
        let Connection::Open(session) = &mut self.connection else { return Err(Failure::Refused(closed())) };
        let cache = &mut self.cache;
        if self.sites_changed.swap(false, Ordering::Acquire) {
            cache.full_until = None;
        }
        let preparing = prepare(session, cache, group, &self.progress);
        let prepared = timeout(PREPARE_TIMEOUT, preparing).await.unwrap_or(Err(Failure::TimedOut))?;
        // What was made had a time of its own.
        let time_left = if prepared { CONNECTION_TIMEOUT } else { group.time_left() };

        let mut batch = Batch { events: Vec::with_capacity(group.events), sites: Vec::with_capacity(group.events) };
        for event in group.events() {
            if let Some(site) = cache.sites.get(&event.site) {
                batch.events.push(event);
                batch.sites.push(*site);
            }
        }
        let plan = if batch.events.is_empty() {
            Plan::default()
        } else {
            transact(session, cache, &batch, time_left, earlier).await?
        };
        let mut planned = plan.events.iter();
        let answers = group.events().map(|event| match cache.sites.contains_key(&event.site).then(|| planned.next()) {
            Some(Some(Planned::Stored(_))) => Appended::Stored,
            Some(_) => Appended::Duplicate,
            None => Appended::TooManySites,
        });
        let answers = answers.collect();
        Ok(Written { answers, batches: plan.committed(&batch), new_visitors: plan.new_visitors })
    }

    /// Sees to a connection. Opening one goes on when the time is over.
    async fn connect(&mut self, time_left: Duration) -> Result<()> {
        if matches!(&self.connection, Connection::Open(session) if session.client.is_closed()) {
            self.disconnect();
        }
        if matches!(self.connection, Connection::Closed) {
            let connections = self.connections.clone();
            self.connection = Connection::Opening(tokio::spawn(async move {
                let client = connections.own().await?;
                let sql = Statements::prepare(&client).await?;
                Ok(Box::new(Session { client, sql }))
            }));
        }
        let Connection::Opening(opening) = &mut self.connection else { return Ok(()) };
        let Ok(opened) = timeout(time_left, opening).await else {
            return Err(unavailable("it does not answer"));
        };
        self.connection = Connection::Closed;
        self.connection = Connection::Open(opened.map_err(|_| closed())??);
        Ok(())
    }
}

/// Both halves of the transaction.
async fn transact(
    Session { client, sql }: &Session,
    cache: &mut ConnectionCache,
    batch: &Batch<'_>,
    time_left: Duration,
    earlier: Option<&Plan>,
) -> Result<Plan, Failure> {
    // Up to here, a timeout means that nothing is stored.
    let begun = timeout(time_left, append::begin(client, sql, cache, batch, earlier)).await;
    let (plan, changes) = match begun {
        Err(_) => return Err(Failure::TimedOut),
        Ok(Err(error)) => return Err(rolled_back(client, error).await),
        Ok(Ok(Begun::Planned(plan, changes))) => (plan, changes),
        Ok(Ok(Begun::SiteGone)) => {
            return Err(Failure::Gone(unavailable("a site was removed meanwhile, or the database replaced"), None));
        }
        Ok(Ok(Begun::AlreadyCommitted)) => {
            client.batch_execute("rollback").await?;
            return Ok(earlier.cloned().unwrap_or_default());
        }
    };
    match timeout(COMMIT_TIMEOUT, append::finish(client, sql, batch, &plan, &changes)).await {
        Ok(Ok(())) => {
            cache.visits.extend(changes.visits);
            Ok(plan)
        }
        Err(_) => Err(Failure::TimedOut),
        Ok(Err(error)) if append::lacks_partition(&error) => Err(Failure::NoPartition),
        Ok(Err(error)) if is_gone(&error) => Err(Failure::Gone(error.into(), Some(plan))),
        // The commit that followed it was a rollback.
        Ok(Err(error)) => Err(Failure::Refused(error.into())),
    }
}

/// Ends the transaction in which a statement failed.
async fn rolled_back(client: &Client, error: Error) -> Failure {
    if !is_gone(&error)
        && let Err(worse) = client.batch_execute("rollback").await
    {
        return worse.into();
    }
    error.into()
}

/// Numbers the sites, and makes the partitions: what a batch needs before its transaction.
/// Answers whether there was anything to do.
async fn prepare(
    session: &mut Session,
    cache: &mut ConnectionCache,
    group: &Group,
    progress: &Progress,
) -> Result<bool, Failure> {
    let mut made = false;
    if cache.looks_for_sites() {
        // In the order in which they came: the first ones have room.
        let unknown = group.events().filter(|event| !cache.sites.contains_key(&event.site));
        let names: IndexSet<&str> = unknown.map(|event| event.site.as_str()).collect();
        if !names.is_empty() {
            let names: Vec<&str> = names.into_iter().collect();
            sites::find_or_make(&mut session.client, cache, &names).await?;
            made = true;
        }
    }
    let mut days: BTreeSet<_> =
        group.events().map(|event| event.created_at.day()).filter(|day| !cache.days.contains(day)).collect();
    if !days.is_empty() {
        // And tomorrow's, so that no event waits for it at midnight.
        days.insert(group.now.day().plus(1));
        partitions::ensure(&mut session.client, &days, || progress.note()).await?;
        cache.days.extend(days);
        made = true;
    }
    Ok(made)
}

/// What the operator reads.
fn reason(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable { reason, .. } => reason.clone(),
        StoreError::Other { source, .. } => source.to_string(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_is_overload() {
        let (requests, queue) = mpsc::channel(1);
        let handle = Handle {
            requests,
            progress: Progress::default(),
            within: Duration::from_secs(60),
            sites_changed: Arc::default(),
        };
        let now = Timestamp::from_millis(0);
        let waiting = tokio::spawn({
            let handle = handle.clone();
            async move { handle.append(Vec::new(), now).await }
        });
        while handle.requests.capacity() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = handle.append(Vec::new(), now).await;
        assert!(matches!(refused, Err(StoreError::Overloaded { .. })), "{refused:?}");
        drop(queue);
        let closed = handle.append(Vec::new(), now).await;
        assert!(matches!(closed, Err(StoreError::Unavailable { .. })), "{closed:?}");
        assert!(waiting.await.unwrap().is_err());
    }
}
