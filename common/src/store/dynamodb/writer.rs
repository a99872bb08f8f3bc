//! The writer: one task of a process that appends. Requests that arrive while a transaction is
//! being written are put into the next ones together, and each is answered after its own.
//!
//! Transactions are written one after the other, so positions are in the order of commits, the feed
//! is in their order too, and many events on one item cost one write. Other processes write at the
//! same time: a transaction of which a condition does not hold is put together again.

mod group;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{broadcast, mpsc, oneshot};

use self::group::{Group, Waiting};
use super::append::{Batch, Cancelled, Entry, Known, Transaction};
use super::client::{Backoff, Table};
use super::clock::ServiceClock;
use super::errors::{ENGINE, closed, unavailable};
use super::in_flight::InFlight;
use super::keys::{self, Key, by_key};
use super::positions::{Positions, raise_floor};
use super::rows;
use super::spread::Spread;
use super::write::{MOST_WRITES, Transacted};
use crate::event::Event;
use crate::metrics::Metrics;
use crate::site::Site;
use crate::source::{Source as _, System};
use crate::store::commits::LastCommit;
use crate::store::{Appended, Committed, News, Position, Result, StoreError};
use crate::time::Timestamp;

/// The most events that are taken together.
const MOST_TOGETHER: usize = 1_000;
/// Requests that may wait; more are refused as overload.
const QUEUE: usize = 16_384;
/// How long a request waits for a place in the queue.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a request may wait for those before it. What waits longer is not begun: its client is
/// refused after 10 s, and has to send it again.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(4);
/// Events of which it is not known whether they were committed, at most; more are a gap of the feed.
const MOST_UNCONFIRMED: usize = 2_000;
/// How long finding out about them may take, and how long lies between two attempts.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(1);
/// How often the time of the last position is recorded.
const FLOOR_INTERVAL: Duration = Duration::from_secs(60);
/// How long events wait while a rebuild has locked their day.
const LOCK_TIMEOUT: Duration = Duration::from_secs(20);

/// A request to the writer.
#[derive(Debug)]
enum Request {
    Append(Waiting),
    /// Write nothing until the sender is gone.
    Pause {
        paused: oneshot::Sender<()>,
        until: oneshot::Receiver<()>,
    },
}

/// The writer's queue. The writer ends when all clones are gone.
#[derive(Debug, Clone)]
pub(super) struct Queue(mpsc::Sender<Request>);

/// The writer pauses until this is dropped.
#[derive(Debug)]
pub(super) struct Pause {
    _until: oneshot::Sender<()>,
}

impl Queue {
    /// Starts the writer; the receiver is answered when it has ended.
    pub(super) fn start(writer: Writer) -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (ended, end) = oneshot::channel();
        tokio::spawn(async move {
            writer.run(receiver).await;
            // The store may have been dropped without `close`.
            let _ = ended.send(());
        });
        (Self(sender), end)
    }

    pub(super) async fn append(&self, events: Vec<Event>, now: Timestamp) -> Result<Vec<Appended>> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Append(Waiting { events, now, since: Instant::now(), answer });
        self.0.send_timeout(request, QUEUE_TIMEOUT).await.map_err(|error| match error {
            SendTimeoutError::Timeout(_) => StoreError::Overloaded { engine: ENGINE },
            SendTimeoutError::Closed(_) => closed(),
        })?;
        answered.await.map_err(|_| unavailable("the writer ended"))?
    }

    /// Waits until the writer pauses.
    pub(super) async fn pause(&self) -> Result<Pause> {
        let (until, resumed) = oneshot::channel();
        let (paused, pauses) = oneshot::channel();
        self.0.send(Request::Pause { paused, until: resumed }).await.map_err(|_| closed())?;
        pauses.await.map_err(|_| unavailable("the writer ended"))?;
        Ok(Pause { _until: until })
    }
}

/// The writer.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) table: Table,
    pub(super) retention: i64,
    pub(super) feed: broadcast::Sender<News>,
    pub(super) in_flight: Arc<InFlight>,
    pub(super) clock: ServiceClock,
    pub(super) last_commit: LastCommit,
    pub(super) metrics: Arc<Metrics>,
    pub(super) state: State,
}

/// What the writer remembers.
#[derive(Debug, Default)]
pub(super) struct State {
    known: Known,
    spread: Spread,
    /// None before the first event.
    positions: Option<Positions>,
    /// In order of position.
    unconfirmed: Vec<Entry>,
    floor_raised: Option<Instant>,
}

impl Writer {
    async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(request) = self.next(&mut requests).await {
            let mut together = Vec::new();
            let mut next = Some(request);
            let mut pause = None;
            let mut events = 0;
            while let Some(request) = next.take() {
                match request {
                    Request::Append(waiting) => {
                        if let Some(waiting) = waiting.within(BEGIN_TIMEOUT) {
                            events += waiting.events.len();
                            together.push(waiting);
                        }
                    }
                    Request::Pause { paused, until } => {
                        pause = Some((paused, until));
                        break;
                    }
                }
                if events < MOST_TOGETHER {
                    next = requests.try_recv().ok();
                }
            }
            self.append(together).await;
            if let Some((paused, until)) = pause {
                // When the receiver is gone, so is the other sender, and the pause is over at once.
                let _ = paused.send(());
                let _ = until.await;
                self.state.known.forget_visitors();
            }
        }
        if let Some(positions) = &self.state.positions {
            // Best effort: needed only if the clock is set back before the next start.
            let _ = raise_floor(&self.table, positions.last()).await;
        }
    }

    /// The next request. What is unconfirmed is looked for meanwhile.
    async fn next(&mut self, requests: &mut mpsc::Receiver<Request>) -> Option<Request> {
        while !self.state.unconfirmed.is_empty() {
            match tokio::time::timeout(CONFIRM_TIMEOUT, requests.recv()).await {
                Ok(request) => return request,
                // While the service is away it is tried again.
                Err(_) => drop(self.confirm(None).await),
            }
        }
        requests.recv().await
    }

    /// Finds out which events were committed though no answer said so, and delivers them: before any
    /// that are committed later, of which `lowest` is the first position.
    async fn confirm(&mut self, lowest: Option<Position>) -> Result<()> {
        if self.state.unconfirmed.is_empty() {
            return Ok(());
        }
        let key = |entry: &Entry| keys::by_id(&entry.event.site, entry.event.id);
        // An event that was sent again is there twice.
        let all: HashSet<Key> = self.state.unconfirmed.iter().map(key).collect();
        let all: Vec<Key> = all.into_iter().collect();
        let asked = tokio::time::timeout(CONFIRM_TIMEOUT, self.table.get_all(&all, true)).await;
        let found = by_key(asked.map_err(|_| unavailable("no answer in time"))??);
        let unconfirmed = std::mem::take(&mut self.state.unconfirmed);
        let committed = unconfirmed
            .into_iter()
            .filter(|entry| found.get(&key(entry)).and_then(rows::position) == Some(entry.position));
        let news: Vec<_> = committed.map(|entry| Committed { position: entry.position, event: entry.event }).collect();
        self.in_flight.settle(lowest);
        if !news.is_empty() {
            let _ = self.feed.send(News::Committed(news.into()));
        }
        Ok(())
    }

    /// Notes that these may have been committed.
    fn not_confirmed(&mut self, entries: impl Iterator<Item = Entry>) {
        self.state.unconfirmed.extend(entries);
        self.keep_unconfirmed(MOST_UNCONFIRMED);
    }

    /// Gives up all but the latest of what is unconfirmed.
    fn keep_unconfirmed(&mut self, most: usize) {
        let over = self.state.unconfirmed.len().saturating_sub(most);
        let sites: BTreeSet<Site> = self.state.unconfirmed.drain(..over).map(|entry| entry.event.site).collect();
        for site in sites {
            let _ = self.feed.send(News::Gap(site));
        }
    }

    /// Appends the events of several requests, and answers each.
    async fn append(&mut self, requests: Vec<Waiting>) {
        let started = Instant::now();
        let (mut group, mut entries) = Group::new(requests);
        if !entries.is_empty() {
            let appended = self.append_entries(&mut entries, &mut group.outcomes).await;
            if appended.is_err() {
                let open = entries.into_iter().zip(&group.outcomes).filter(|(_, outcome)| outcome.is_none());
                // Without a position it was not sent.
                self.not_confirmed(open.map(|(entry, _)| entry).filter(|entry| entry.position > Position(0)));
            }
            self.in_flight.settle(self.state.unconfirmed.first().map(|entry| entry.position));
            self.metrics.queried("append", started.elapsed());
            match &appended {
                Ok(()) => self.last_commit.succeeded(),
                Err(error) => self.last_commit.failed(error.to_string()),
            }
            group.error = appended.err();
        }
        group.answer();
    }

    async fn append_entries(&mut self, entries: &mut [Entry], outcomes: &mut [Option<Appended>]) -> Result<()> {
        self.table.check_open()?;
        let times: Vec<Timestamp> = entries.iter().map(|entry| entry.now).collect();
        let assigned = self.assign(&times).await?;
        for (entry, position) in entries.iter_mut().zip(assigned) {
            entry.position = position;
        }
        self.write_all(entries, outcomes).await
    }

    /// Assigns positions to events that arrived at these times.
    async fn assign(&mut self, times: &[Timestamp]) -> Result<Vec<Position>> {
        let state = &mut self.state;
        let positions = match &mut state.positions {
            Some(positions) => positions,
            none => none.insert(Positions::register(&self.table).await?),
        };
        let at = Instant::now();
        let doubtful = self.clock.is_doubtful(at, System.now());
        if doubtful || state.floor_raised.is_none_or(|raised| raised.elapsed() > FLOOR_INTERVAL) {
            let latest = times.iter().map(|time| self.clock.correct(*time, at).millis()).max().unwrap_or(0);
            raise_floor(&self.table, latest.max(positions.last())).await?;
            state.floor_raised = Some(Instant::now());
        }
        let at = Instant::now();
        Ok(self.in_flight.assign(positions, times.iter().map(|time| self.clock.correct(*time, at))))
    }

    /// Writes transactions until every entry has an outcome.
    async fn write_all(&mut self, entries: &[Entry], outcomes: &mut [Option<Appended>]) -> Result<()> {
        let mut backoff = Backoff::start();
        let mut locked = Backoff::lasting(LOCK_TIMEOUT);
        loop {
            let open = (0..entries.len()).filter(|at| outcomes[*at].is_none());
            let waiting: Vec<usize> = open.take(MOST_WRITES).collect();
            if waiting.is_empty() {
                return Ok(());
            }
            let of: Vec<&Entry> = waiting.iter().map(|at| &entries[*at]).collect();
            self.state.known.learn(&self.table, &of).await?;
            let mut batch = Batch::new(&self.state.known, self.retention);
            for (at, entry) in waiting.iter().zip(of) {
                if !self.state.known.has_site(&entry.event.site) {
                    outcomes[*at] = Some(Appended::TooManySites);
                } else if !batch.add(*at, entry) {
                    break;
                }
            }
            if batch.is_empty() {
                if outcomes[waiting[0]].is_none() {
                    return Err(unavailable("an event does not fit into a transaction"));
                }
                continue;
            }
            let transaction = batch.finish(|site| self.state.spread.pick(site));
            let transacted = self.table.transact(&transaction.writes).await?;
            // The service answers again: what is delivered from here on comes later.
            if self.confirm(Some(entries[waiting[0]].position)).await.is_err() {
                self.keep_unconfirmed(0);
            }
            let cancelled = match transacted {
                Transacted::Done => Cancelled::Committed,
                Transacted::Cancelled(reasons) => transaction.judge(&reasons, entries),
            };
            let again = match cancelled {
                Cancelled::Committed => {
                    self.committed(transaction, entries, outcomes);
                    (backoff, locked) = (Backoff::start(), Backoff::lasting(LOCK_TIMEOUT));
                    true
                }
                Cancelled::Duplicates(duplicates) => {
                    duplicates.into_iter().for_each(|at| outcomes[at] = Some(Appended::Duplicate));
                    true
                }
                Cancelled::Stale(visitors) => {
                    visitors.iter().for_each(|visitor| self.state.known.forget(visitor));
                    backoff.wait().await
                }
                Cancelled::Erased(days) => {
                    days.into_iter().for_each(|(day, mark)| self.state.known.learn_erasure(day, mark));
                    backoff.wait().await
                }
                Cancelled::Conflict => {
                    self.state.spread.conflicted(transaction.sites.iter());
                    backoff.wait().await
                }
                Cancelled::Locked => locked.wait().await,
            };
            if !again {
                return Err(unavailable("the table is busy: transactions conflict with those of other processes"));
            }
        }
    }

    fn committed(&mut self, mut transaction: Transaction, entries: &[Entry], outcomes: &mut [Option<Appended>]) {
        self.state.spread.succeeded(transaction.sites.iter());
        transaction.teach(&mut self.state.known);
        self.metrics.visitors_total.inc_by(transaction.new_visitors);
        let mut news = Vec::with_capacity(transaction.entries.len());
        for at in transaction.entries {
            outcomes[at] = Some(Appended::Stored);
            news.push(Committed { position: entries[at].position, event: entries[at].event.clone() });
        }
        let in_flight = entries.iter().zip(&*outcomes).find(|(_, outcome)| outcome.is_none());
        self.in_flight.settle(in_flight.map(|(entry, _)| entry.position));
        // There may be no subscriber.
        let _ = self.feed.send(News::Committed(news.into()));
    }
}
