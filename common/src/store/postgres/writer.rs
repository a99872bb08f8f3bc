//! The one task that appends: whatever requests wait while a transaction is on its way go into
//! the next one together.
//!
//! What Redis and the feed are told is told in the order of commits, when each commit is done;
//! the requests are answered when Redis has been told or has been given up, and the next
//! transaction begins meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indexmap::IndexSet;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_postgres::error::Error;

use super::ENGINE;
use super::append::{self, Batch, Begun, Lore, Place, Plan, Statements};
use super::connection::{Connections, PATIENCE, closed, is_gone, unavailable};
use super::deadline::{self, Fate, Progress};
use super::live::{Live, SiteBatch};
use super::partitions;
use crate::event::Event;
use crate::metrics::Metrics;
use crate::store::commits::LastCommit;
use crate::store::{Appended, Result, StoreError};
use crate::time::Timestamp;

/// How many requests may wait for the writer; more are refused as overload.
const QUEUE: usize = 16_384;
/// How many events one transaction takes at most.
const MOST_EVENTS: usize = 4_096;
/// How long the second half of a transaction may take: writing and the commit's fsync. Longer
/// than the first, because after it nobody knows whether the events are stored.
const WRITING: Duration = Duration::from_secs(5);

/// How much of [`PATIENCE`] is left at least to who waited long for others' transactions.
const LAST_MOMENT: Duration = Duration::from_millis(200);
/// How long making sites and partitions may take: an import may need one for each day of a year.
const MAKING: Duration = Duration::from_secs(10);

/// A request's events and where its answer goes.
struct Request {
    events: Vec<Event>,
    now: Timestamp,
    since: Instant,
    fate: Fate,
    reply: oneshot::Sender<Result<Vec<Appended>>>,
}

/// Asks the writer.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    requests: mpsc::Sender<Request>,
    progress: Progress,
    within: Duration,
}

impl Handle {
    pub(super) async fn append(&self, events: Vec<Event>, now: Timestamp) -> Result<Vec<Appended>> {
        let (reply, answer) = oneshot::channel();
        let (since, fate) = (Instant::now(), Fate::default());
        let request = Request { events, now, since, fate: fate.clone(), reply };
        let sent = self.requests.send_timeout(request, PATIENCE).await;
        sent.map_err(|error| match error {
            SendTimeoutError::Timeout(_) => StoreError::Overloaded { engine: ENGINE },
            SendTimeoutError::Closed(_) => closed(),
        })?;
        let answered = deadline::wait(answer, &fate, &self.progress, since, self.within).await;
        answered.ok_or_else(|| unavailable("it does not answer"))?.map_err(|_| closed())?
    }
}

/// Starts the writer; it ends, and `done` with it, when the last handle is dropped and
/// everything asked before is answered.
pub(super) fn start(
    connections: Connections,
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    within: Duration,
    last_commit: LastCommit,
) -> (Handle, JoinHandle<()>) {
    let (requests, queue) = mpsc::channel(QUEUE);
    let progress = Progress::default();
    let handle = Handle { requests, progress: progress.clone(), within };
    let (state, lore) = (State::Away, Lore::default());
    let writer = Writer { connections, live, metrics, state, lore, progress, last_commit, failing: false };
    (handle, tokio::spawn(writer.serve(queue)))
}

/// A connection with what is prepared on it.
struct Session {
    client: Client,
    sql: Statements,
}

/// The writer's connection.
enum State {
    Away,
    /// On its way, whoever waits for it.
    Opening(JoinHandle<Result<Box<Session>>>),
    Open(Box<Session>),
}

struct Writer {
    connections: Connections,
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    state: State,
    lore: Lore,
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
    fn patience(&self) -> Duration {
        let waited = self.requests.first().map_or(Duration::ZERO, |first| first.since.elapsed());
        PATIENCE.saturating_sub(waited).max(LAST_MOMENT)
    }

    fn events(&self) -> impl Iterator<Item = &Event> {
        self.requests.iter().flat_map(|request| &request.events)
    }
}

/// What became of a group.
struct Written {
    /// Of each event; none when its site had no room.
    places: Vec<Option<Place>>,
    /// What Redis's side hears.
    batches: Vec<SiteBatch>,
    /// For each stored event, in the order of requests, its place among the batches' events.
    slots: Vec<usize>,
}

/// Why a group was not appended.
enum Failure {
    /// Nothing was stored, and the connection is as it was.
    Refused(StoreError),
    /// The connection is of no more use. If there is a plan, it may have been committed.
    Gone(StoreError, Option<Plan>),
    /// There was no answer in time; the connection may still be busy, and must not be used again.
    Late,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if is_gone(&error) { Self::Gone(error.into(), None) } else { Self::Refused(error.into()) }
    }
}

impl Writer {
    async fn serve(mut self, mut queue: mpsc::Receiver<Request>) {
        let mut answering = tokio::task::JoinSet::new();
        while let Some(request) = queue.recv().await {
            // Skip requests that already received a 503.
            if request.fate.is_given_up() {
                continue;
            }
            let mut group = Group::of(request);
            while group.events < MOST_EVENTS {
                match queue.try_recv() {
                    Ok(request) if request.fate.is_given_up() => {}
                    Ok(request) => group.add(request),
                    Err(_) => break,
                }
            }
            self.commit(group, &mut answering).await;
            while answering.try_join_next().is_some() {}
        }
        while answering.join_next().await.is_some() {}
    }

    /// Makes the events of all these requests durable together, and has each answered.
    async fn commit(&mut self, group: Group, answering: &mut tokio::task::JoinSet<()>) {
        let started = Instant::now();
        let written = self.write(&group).await;
        self.metrics.queried("append", started.elapsed());
        self.metrics.group_commit_events.observe(group.events as f64);
        match written {
            Ok(Written { places, batches, slots }) => {
                self.last_commit.succeeded();
                if std::mem::replace(&mut self.failing, false) {
                    tracing::info!("events are committed again");
                }
                group.requests.iter().for_each(|request| request.fate.commit());
                // At the call, not when it is awaited: in the order of commits.
                let applied = self.live.apply(batches, group.now);
                answering.spawn(async move { answer(group, places, &slots, &applied.await) });
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

    /// Appends, and appends once more when the connection turned out to be dead, or a day's
    /// partition was dropped: ids make that safe, and an attempt that was committed without
    /// our hearing of it is recognised.
    async fn write(&mut self, group: &Group) -> Result<Written> {
        let mut earlier = None;
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_write(group, earlier.as_ref()).await {
                Ok(written) => return Ok(written),
                Err(Failure::Gone(error, plan)) => {
                    self.state = State::Away;
                    self.lore = Lore::default();
                    earlier = plan.or(earlier);
                    if tries == 2 {
                        return Err(error);
                    }
                }
                Err(Failure::Late) => {
                    self.state = State::Away;
                    self.lore = Lore::default();
                    return Err(unavailable("it does not answer"));
                }
                Err(Failure::Refused(error)) => return Err(error),
            }
        }
    }

    async fn try_write(&mut self, group: &Group, earlier: Option<&Plan>) -> Result<Written, Failure> {
        self.connect(group.patience()).await.map_err(Failure::Refused)?;
        let State::Open(session) = &mut self.state else { return Err(Failure::Refused(closed())) };
        let lore = &mut self.lore;
        let made =
            timeout(MAKING, prepare(session, lore, group, &self.progress)).await.unwrap_or(Err(Failure::Late))?;
        // What was made had a time of its own.
        let patience = if made { PATIENCE } else { group.patience() };

        let mut batch = Batch { events: Vec::with_capacity(group.events), sites: Vec::with_capacity(group.events) };
        for event in group.events() {
            if let Some(site) = lore.sites.get(&event.site) {
                batch.events.push(event);
                batch.sites.push(*site);
            }
        }
        let plan = if batch.events.is_empty() {
            Plan::default()
        } else {
            let mut plan = self.transact(&batch, patience, earlier).await;
            if matches!(&plan, Err(Attempt::NoPartition)) {
                self.lore.days.clear();
                let State::Open(session) = &mut self.state else { return Err(Failure::Refused(closed())) };
                timeout(MAKING, prepare(session, &mut self.lore, group, &self.progress))
                    .await
                    .unwrap_or(Err(Failure::Late))?;
                plan = self.transact(&batch, patience, earlier).await;
            }
            plan.map_err(|attempt| match attempt {
                Attempt::Failed(failure) => failure,
                Attempt::NoPartition => Failure::Refused(unavailable("a partition is missing")),
            })?
        };
        let (batches, slots) = plan.committed(&batch);
        let mut places = plan.places.into_iter();
        let lore = &self.lore;
        let places = group.events().map(|event| lore.sites.contains_key(&event.site).then(|| places.next())?).collect();
        Ok(Written { places, batches, slots })
    }

    /// Both halves of the transaction.
    async fn transact(
        &mut self,
        batch: &Batch<'_>,
        patience: Duration,
        earlier: Option<&Plan>,
    ) -> Result<Plan, Attempt> {
        let State::Open(session) = &self.state else { return Err(Attempt::Failed(Failure::Refused(closed()))) };
        let Session { client, sql } = &**session;
        // Up to here, who is late has stored nothing for certain.
        let begun = timeout(patience, append::begin(client, sql, &mut self.lore, batch, earlier)).await;
        let begun = match begun {
            Err(_) => return Err(Attempt::Failed(Failure::Late)),
            Ok(Err(error)) => return Err(Attempt::Failed(rolled_back(client, error).await)),
            Ok(Ok(begun)) => begun,
        };
        let (plan, rows) = match begun {
            Begun::Planned(plan, rows) => (plan, rows),
            Begun::Unknown => {
                return Err(Attempt::Failed(Failure::Gone(
                    unavailable("the database was replaced (failover or restore)"),
                    None,
                )));
            }
            Begun::Before => {
                client.batch_execute("rollback").await.map_err(|error| Attempt::Failed(error.into()))?;
                return Ok(earlier.cloned().unwrap_or_default());
            }
        };
        match timeout(WRITING, append::finish(client, sql, batch, &plan, &rows)).await {
            Ok(Ok(())) => Ok(plan),
            Err(_) => Err(Attempt::Failed(Failure::Late)),
            Ok(Err(error)) if append::lacks_partition(&error) => Err(Attempt::NoPartition),
            Ok(Err(error)) if is_gone(&error) => Err(Attempt::Failed(Failure::Gone(error.into(), Some(plan)))),
            // The commit that followed it was a rollback.
            Ok(Err(error)) => Err(Attempt::Failed(Failure::Refused(error.into()))),
        }
    }

    /// Sees to a connection. Opening one goes on when nobody wants to wait for it any longer.
    async fn connect(&mut self, patience: Duration) -> Result<()> {
        if let State::Open(session) = &self.state {
            if !session.client.is_closed() {
                return Ok(());
            }
            self.state = State::Away;
            self.lore = Lore::default();
        }
        if matches!(self.state, State::Away) {
            let connections = self.connections.clone();
            self.state = State::Opening(tokio::spawn(async move {
                let client = connections.own().await?;
                let sql = Statements::prepare(&client).await?;
                Ok(Box::new(Session { client, sql }))
            }));
        }
        let State::Opening(opening) = &mut self.state else { return Ok(()) };
        let Ok(opened) = timeout(patience, opening).await else {
            return Err(unavailable("it does not answer"));
        };
        self.state = State::Away;
        self.state = State::Open(opened.map_err(|_| closed())??);
        Ok(())
    }
}

/// How a transaction failed.
enum Attempt {
    NoPartition,
    Failed(Failure),
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
async fn prepare(session: &mut Session, lore: &mut Lore, group: &Group, progress: &Progress) -> Result<bool, Failure> {
    let mut made = false;
    if !lore.sites_full {
        // In the order in which they came: the first ones have room.
        let names: IndexSet<&str> = group
            .events()
            .filter(|event| !lore.sites.contains_key(&event.site))
            .map(|event| event.site.as_str())
            .collect();
        if !names.is_empty() {
            let names: Vec<&str> = names.into_iter().collect();
            append::number_sites(&mut session.client, lore, &names).await?;
            made = true;
        }
    }
    let days: BTreeSet<_> =
        group.events().map(|event| event.created_at.day()).filter(|day| !lore.days.contains(day)).collect();
    if !days.is_empty() {
        // And tomorrow's, so that nobody waits for it at midnight.
        let mut days = days;
        days.insert(group.now.day().plus(1));
        partitions::ensure(&mut session.client, &days, || progress.note()).await?;
        lore.days.extend(days);
        made = true;
    }
    Ok(made)
}

/// Answers every request of a group.
fn answer(group: Group, places: Vec<Option<Place>>, _slots: &[usize], _new_visitors: &[bool]) {
    let mut places = places.into_iter();
    for request in group.requests {
        let answers = places.by_ref().take(request.events.len()).map(|place| match place {
            Some(Place::Stored(_)) => Appended::Stored,
            Some(Place::Duplicate) => Appended::Duplicate,
            None => Appended::TooManySites,
        });
        // A client that went away gets no answer; its events are stored all the same.
        let _ = request.reply.send(Ok(answers.collect()));
    }
}

/// What the operator is told.
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
        let handle = Handle { requests, progress: Progress::default(), within: Duration::from_secs(60) };
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
