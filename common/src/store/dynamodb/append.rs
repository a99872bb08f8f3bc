//! The write path of one process: requests that wait while a transaction is under way go into
//! the next ones together, and each is answered after its own.
//!
//! One task writes, one transaction after the other. So positions are given in the order of
//! commits, the feed is in their order too, and the net effect of many events on one item is
//! one action. Other processes write at the same time: what a transaction takes for granted
//! stands in its conditions, and when it is refused, what it was wrong about is asked anew.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, ReturnConsumedCapacity};
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{broadcast, mpsc, oneshot};
use uuid::Uuid;

use super::client::{Pauses, Tables, Units};
use super::counted::{Changes, Context, Entry, Unclear};
use super::draft::{Action, Condition, Draft, MOST_ACTIONS};
use super::errors::{ENGINE, Failure, failed, passes, unavailable};
use super::facts;
use super::item::{Item, text, ttl};
use super::keys::{self, Key};
use super::knowledge::{Knowledge, Known};
use super::positions::Positions;
use super::spread::Spread;
use super::stored;
use super::written::Written;
use crate::event::Event;
use crate::site::Site;
use crate::store::commits::LastCommit;
use crate::store::{Appended, Committed, Position, Result, StoreError};
use crate::time::{DAY, Timestamp};

/// Events that are taken together at most.
const MOST_TOGETHER: usize = 1_000;
/// Requests that may wait; more are refused as overload.
const QUEUE: usize = 16_384;
/// How long a request waits for a place in the queue.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often the time of the last position is noted.
const NOTED_EVERY: Duration = Duration::from_secs(60);
/// How long events wait while their day is being recounted by another process.
const LOCK_PATIENCE: Duration = Duration::from_secs(20);

/// What the writing task is asked.
#[derive(Debug)]
enum Request {
    /// Append events.
    Append { events: Vec<Event>, now: Timestamp, answer: Answer },
    /// Rest until the sender is gone, and forget what was known.
    Rest { resting: oneshot::Sender<()>, until: oneshot::Receiver<()> },
}

/// Where the answer to one request goes.
type Answer = oneshot::Sender<Result<Vec<Appended>>>;

/// The way to the writing task.
#[derive(Debug, Clone)]
pub(super) struct Writing(mpsc::Sender<Request>);

/// The writing task rests until this is dropped.
#[derive(Debug)]
pub(super) struct Rest {
    _until: oneshot::Sender<()>,
}

impl Writing {
    /// Starts the task, which ends when all ways to it are gone; the second answer tells when.
    pub(super) fn start(
        tables: Tables,
        retention: i64,
        feed: broadcast::Sender<Arc<[Committed]>>,
        written: Arc<Written>,
        last_commit: LastCommit,
    ) -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (ended, end) = oneshot::channel();
        let writer = Writer {
            tables,
            retention,
            feed,
            written,
            last_commit,
            knowledge: Knowledge::default(),
            positions: None,
            spread: Spread::default(),
        };
        tokio::spawn(async move {
            writer.run(receiver).await;
            // Nobody may be waiting for the end.
            let _ = ended.send(());
        });
        (Self(sender), end)
    }

    pub(super) async fn append(&self, events: Vec<Event>, now: Timestamp) -> Result<Vec<Appended>> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Append { events, now, answer };
        self.0.send_timeout(request, QUEUE_TIMEOUT).await.map_err(|error| match error {
            SendTimeoutError::Timeout(_) => StoreError::Overloaded { engine: ENGINE },
            SendTimeoutError::Closed(_) => super::errors::closed(),
        })?;
        answered.await.map_err(|_| unavailable("the writing task ended"))?
    }

    /// Lets the task come to rest.
    pub(super) async fn rest(&self) -> Result<Rest> {
        let (until, released) = oneshot::channel();
        let (resting, rests) = oneshot::channel();
        let request = Request::Rest { resting, until: released };
        self.0.send(request).await.map_err(|_| super::errors::closed())?;
        rests.await.map_err(|_| unavailable("the writing task ended"))?;
        Ok(Rest { _until: until })
    }
}

/// A transaction that is ready, and which of the entries are in it.
struct Plan {
    draft: Draft,
    /// Entry and whether its visitor is new to its day.
    events: Vec<(usize, bool)>,
    known: HashMap<Key, Known>,
    shards: BTreeMap<Site, u8>,
}

/// What became of a transaction.
enum Came {
    Committed,
    /// These entries were stored before.
    Duplicates(Vec<usize>),
    /// Something that was taken for granted is not so.
    Stale,
    /// A day in it is being recounted.
    Locked,
    /// Others were in the way.
    Conflict,
}

/// What has become of an entry.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Waiting,
    Is(Appended),
    /// The same event comes twice: as the one before.
    Like(usize),
    Failed,
}

/// The writing task.
#[derive(Debug)]
struct Writer {
    tables: Tables,
    retention: i64,
    feed: broadcast::Sender<Arc<[Committed]>>,
    written: Arc<Written>,
    last_commit: LastCommit,
    knowledge: Knowledge,
    /// With when they were last noted; none before the first event.
    positions: Option<(Positions, Option<Instant>)>,
    spread: Spread,
}

impl Writer {
    async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(request) = requests.recv().await {
            let mut together = Vec::new();
            let mut next = Some(request);
            let mut rest = None;
            let mut events = 0;
            while let Some(request) = next.take() {
                match request {
                    Request::Append { events: more, now, answer } => {
                        events += more.len();
                        together.push((more, now, answer));
                    }
                    Request::Rest { resting, until } => {
                        rest = Some((resting, until));
                        break;
                    }
                }
                if events < MOST_TOGETHER {
                    next = requests.try_recv().ok();
                }
            }
            self.take(together).await;
            if let Some((resting, until)) = rest {
                // Whoever asked for rest may be gone already; then there is no rest.
                let _ = resting.send(());
                let _ = until.await;
                self.knowledge.forget_all();
            }
        }
        if let Some((positions, _)) = &self.positions {
            // Best effort: only a clock set back before the next start would need it.
            let _ = facts::raise_floor(&self.tables, positions.last()).await;
        }
    }

    /// Appends what several requests ask, and answers each.
    async fn take(&mut self, requests: Vec<(Vec<Event>, Timestamp, Answer)>) {
        let started = Instant::now();
        let mut entries = Vec::new();
        let mut fates = Vec::new();
        let mut answers = Vec::new();
        let mut error = self.begin(&requests).await.err();
        let mut seen: HashMap<(Site, Uuid), usize> = HashMap::new();
        let times = requests.iter().flat_map(|(events, now, _)| events.iter().map(|_| *now));
        let given = match &mut self.positions {
            Some((positions, _)) => self.written.open(positions, times),
            None => Vec::new(),
        };
        let mut given = given.into_iter();
        for (events, now, answer) in requests {
            answers.push((events.len(), answer));
            for event in events {
                let position = given.next().unwrap_or(Position(0));
                let at = entries.len();
                let first = *seen.entry((event.site.clone(), event.id)).or_insert(at);
                fates.push(if first == at { Fate::Waiting } else { Fate::Like(first) });
                entries.push(Entry::new(event, now, position));
            }
        }
        if error.is_none() && !entries.is_empty() {
            error = self.settle(&entries, &mut fates).await.err();
            self.tables.metrics.queried("append", started.elapsed());
        }
        match &error {
            Some(error) => self.last_commit.failed(error.to_string()),
            None if entries.is_empty() => {}
            None => self.last_commit.succeeded(),
        }
        self.written.settled(None);
        answer_all(answers, &fates, error);
    }

    /// Sees to it that positions can be given, and are noted from time to time.
    async fn begin(&mut self, requests: &[(Vec<Event>, Timestamp, Answer)]) -> Result<()> {
        if requests.iter().all(|(events, ..)| events.is_empty()) {
            return Ok(());
        }
        self.tables.opened()?;
        if self.positions.is_none() {
            let instance = facts::register(&self.tables).await?;
            self.positions = Some((Positions::new(instance.number, instance.floor), None));
        }
        if let Some((positions, noted)) = &mut self.positions
            && noted.is_none_or(|noted| noted.elapsed() > NOTED_EVERY)
        {
            let now = requests.iter().map(|(_, now, _)| now.millis()).max().unwrap_or(0);
            facts::raise_floor(&self.tables, now.max(positions.last())).await?;
            *noted = Some(Instant::now());
        }
        Ok(())
    }

    /// Stores what waits, one transaction after the other.
    async fn settle(&mut self, entries: &[Entry], fates: &mut [Fate]) -> Result<()> {
        let mut pauses = Pauses::start();
        let mut while_locked = Pauses::lasting(LOCK_PATIENCE);
        loop {
            let waiting: Vec<usize> =
                (0..entries.len()).filter(|at| matches!(fates[*at], Fate::Waiting)).take(MOST_ACTIONS).collect();
            if waiting.is_empty() {
                return Ok(());
            }
            let mut questions = BTreeSet::new();
            waiting.iter().for_each(|at| entries[*at].questions(&mut questions));
            self.knowledge.learn(&self.tables, questions).await.inspect_err(|_| give_up(fates))?;
            let plan = self.plan(entries, &waiting, fates)?;
            if plan.events.is_empty() {
                continue;
            }
            let came = self.send(&plan, entries).await.inspect_err(|_| give_up(fates))?;
            let patient = match came {
                Came::Committed => {
                    self.committed(plan, entries, fates);
                    pauses = Pauses::start();
                    while_locked = Pauses::lasting(LOCK_PATIENCE);
                    continue;
                }
                Came::Duplicates(duplicates) => {
                    duplicates.into_iter().for_each(|at| fates[at] = Fate::Is(Appended::Duplicate));
                    continue;
                }
                Came::Stale => {
                    self.knowledge.forget(plan.draft.keys());
                    pauses.pause().await
                }
                Came::Conflict => {
                    self.spread.collided(plan.shards.keys());
                    pauses.pause().await
                }
                Came::Locked => while_locked.pause().await,
            };
            if !patient {
                give_up(fates);
                return Err(unavailable("it is busy: transactions are in each other's way"));
            }
        }
    }

    /// Puts as many of the waiting entries as fit into one transaction.
    fn plan(&self, entries: &[Entry], waiting: &[usize], fates: &mut [Fate]) -> Result<Plan> {
        let mut plan =
            Plan { draft: Draft::default(), events: Vec::new(), known: HashMap::new(), shards: BTreeMap::new() };
        let mut lists: BTreeMap<&Site, Vec<(u64, String)>> = BTreeMap::new();
        for at in waiting {
            let entry = &entries[*at];
            let site = &entry.event.site;
            let shard = *plan.shards.entry(site.clone()).or_insert_with(|| self.spread.pick(site));
            let known = |key: &Key| plan.known.get(key).or_else(|| self.knowledge.get(key)).cloned();
            let context = Context { known: &known, shard, retention: self.retention };
            let Changes { actions, known, new_visitor, listed } = match entry.changes(&context) {
                Ok(changes) => changes,
                Err(Unclear::TooManySites) => {
                    fates[*at] = Fate::Is(Appended::TooManySites);
                    continue;
                }
                Err(Unclear::Unknown) => break,
            };
            let lists_after = lists.len() + usize::from(listed.is_some() && !lists.contains_key(site));
            if !plan.draft.fits(&actions, lists_after) {
                break;
            }
            actions.into_iter().for_each(|(key, action)| plan.draft.add(key, action));
            if let Some(sk) = listed {
                lists.entry(site).or_default().push((entry.position.0, sk));
            }
            plan.known.extend(known);
            plan.events.push((*at, new_visitor));
        }
        for (site, list) in lists {
            if let Some((last, _)) = list.last() {
                let key = keys::log_entry(site, *last);
                let item = listed(&key, &list, self.retention);
                plan.draft.add(key, Action::Put { item, new: false });
            }
        }
        if plan.events.is_empty() && waiting.iter().all(|at| matches!(fates[*at], Fate::Waiting)) {
            return Err(unavailable("an event does not fit into a transaction"));
        }
        Ok(plan)
    }

    async fn send(&self, plan: &Plan, entries: &[Entry]) -> Result<Came> {
        let requests = plan.draft.requests(&self.tables.table)?;
        // The same token whenever this is sent: executed twice it is executed once. Tokens are
        // compared across all tables of an account, so it has to be like no other.
        let token = Uuid::new_v4().simple().to_string();
        let sent = self
            .tables
            .ask(|| {
                self.tables
                    .client
                    .transact_write_items()
                    .set_transact_items(Some(requests.clone()))
                    .client_request_token(&token)
                    .return_consumed_capacity(ReturnConsumedCapacity::Total)
                    .send()
            })
            .await;
        match sent {
            Ok(answer) => {
                self.tables.used(Units::Write, answer.consumed_capacity());
                Ok(Came::Committed)
            }
            Err(Failure::Refused(error)) => match *error {
                TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                    judge(plan, entries, cancelled.cancellation_reasons())
                        .ok_or_else(|| failed(TransactWriteItemsError::TransactionCanceledException(cancelled)))
                }
                other => Err(failed(other)),
            },
            Err(error) => Err(error.store_error()),
        }
    }

    fn committed(&mut self, plan: Plan, entries: &[Entry], fates: &mut [Fate]) {
        self.spread.succeeded(plan.shards.keys());
        self.knowledge.absorb(plan.known);
        let mut news = Vec::with_capacity(plan.events.len());
        for (at, new_visitor) in plan.events {
            fates[at] = Fate::Is(Appended::Stored);
            self.tables.metrics.visitors_total.inc_by(u64::from(new_visitor));
            news.push(Committed { position: entries[at].position, event: entries[at].event.clone() });
        }
        let first_open = entries.iter().zip(&*fates).find(|(_, fate)| matches!(fate, Fate::Waiting));
        self.written.settled(first_open.map(|(entry, _)| entry.position));
        // Nobody may be listening.
        let _ = self.feed.send(news.into());
    }
}

/// Where the events of a transaction are whose own time is not that of their commit.
fn listed(key: &Key, list: &[(u64, String)], retention: i64) -> Item {
    let mut item = key.attributes();
    let lines: Vec<_> = list.iter().map(|(position, sk)| format!("{position:016x}{sk}")).collect();
    let committed = Timestamp::from_millis(super::positions::time_of(Position(list[0].0)));
    item.extend([("l".to_owned(), text(lines.join("\n"))), ttl(committed.plus((retention + 1) * DAY))]);
    item
}

/// What the reasons of a cancelled transaction mean; `None` when nothing can be done about them.
fn judge(plan: &Plan, entries: &[Entry], reasons: &[CancellationReason]) -> Option<Came> {
    let ours: HashMap<Key, usize> =
        plan.events.iter().map(|(at, _)| (keys::by_id(&entries[*at].event.site, entries[*at].id()), *at)).collect();
    let mut duplicates = Vec::new();
    let (mut stale, mut locked, mut conflict) = (false, false, false);
    for (place, reason) in reasons.iter().enumerate() {
        let code = reason.code().unwrap_or("None");
        match code {
            "None" => {}
            "ConditionalCheckFailed" => {
                let (key, action) = plan.draft.at(place)?;
                match (ours.get(key), action) {
                    (Some(at), _) => {
                        let there = reason.item().and_then(stored::position);
                        if there == Some(entries[*at].position) {
                            // This very transaction, of whose success we did not hear.
                            return Some(Came::Committed);
                        }
                        duplicates.push(*at);
                    }
                    (None, Action::Change(change)) if matches!(change.condition, Condition::Open(_)) => locked = true,
                    _ => stale = true,
                }
            }
            "TransactionConflict" => conflict = true,
            code if passes(code) || passes(&format!("{code}Exception")) => conflict = true,
            _ => return None,
        }
    }
    if !duplicates.is_empty() {
        return Some(Came::Duplicates(duplicates));
    }
    match (locked, stale, conflict) {
        (true, ..) => Some(Came::Locked),
        (_, true, _) => Some(Came::Stale),
        (.., true) => Some(Came::Conflict),
        _ => None,
    }
}

/// Whatever waits has failed.
fn give_up(fates: &mut [Fate]) {
    for fate in fates {
        if matches!(fate, Fate::Waiting) {
            *fate = Fate::Failed;
        }
    }
}

fn answer_all(answers: Vec<(usize, Answer)>, fates: &[Fate], error: Option<StoreError>) {
    let reason = error.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut error = error;
    let mut at = 0;
    for (count, answer) in answers {
        let fates_of = &fates[at..at + count];
        at += count;
        let appended: Option<Vec<Appended>> = fates_of.iter().map(|fate| appended(fates, *fate)).collect();
        // The first who is told has the error itself, the others what it says.
        let result = appended.ok_or_else(|| {
            error.take().unwrap_or_else(|| StoreError::Unavailable { engine: ENGINE, reason: reason.clone() })
        });
        // Who asked may be gone.
        let _ = answer.send(result);
    }
}

fn appended(fates: &[Fate], fate: Fate) -> Option<Appended> {
    match fate {
        Fate::Is(appended) => Some(appended),
        Fate::Like(first) => match fates[first] {
            Fate::Is(Appended::TooManySites) => Some(Appended::TooManySites),
            Fate::Is(_) => Some(Appended::Duplicate),
            _ => None,
        },
        Fate::Waiting | Fate::Failed => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_is_overload() {
        let (sender, queue) = mpsc::channel(1);
        let writing = Writing(sender);
        let now = Timestamp::from_millis(0);
        let waiting = tokio::spawn({
            let writing = writing.clone();
            async move { writing.append(Vec::new(), now).await }
        });
        while writing.0.capacity() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = writing.append(Vec::new(), now).await;
        assert!(matches!(refused, Err(StoreError::Overloaded { .. })), "{refused:?}");
        drop(queue);
        let closed = writing.append(Vec::new(), now).await;
        assert!(matches!(closed, Err(StoreError::Unavailable { .. })), "{closed:?}");
        assert!(waiting.await.unwrap().is_err());
    }
}
