//! The one thread that writes: many requests in flight share one transaction and one fsync.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::append::{Appender, Inserted};
use super::checkpoint::Checkpointer;
use super::connection::{ENGINE, closed, damaged, is_damage};
use super::upkeep::Upkeep;
use super::{keep, sites};
use crate::event::Event;
use crate::metrics::Metrics;
use crate::site::Site;
use crate::store::{Appended, Committed, News, Result, StoreError};
use crate::time::{Day, Timestamp};

/// How many requests may wait for the writer; more are refused as overload.
const QUEUE: usize = 16_384;
/// How many events one commit takes at most.
const MOST_EVENTS: usize = 4_096;
/// How long a request waits for a place in the queue.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(1);
/// The small write of a check.
const CHECK: &str = "insert into meta (name, value) values ('checked', 1)
    on conflict do update set value = (value + 1) & 0xffff";

/// What the writer is asked to do.
enum Job {
    Append { events: Vec<Event>, now: Timestamp, reply: oneshot::Sender<Result<Vec<Appended>>> },
    Run(Box<dyn FnOnce(&mut Writer) + Send>),
}

/// Asks the writer thread.
#[derive(Debug, Clone)]
pub(super) struct Handle(mpsc::Sender<Job>);

impl Handle {
    pub(super) async fn append(&self, events: Vec<Event>, now: Timestamp) -> Result<Vec<Appended>> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Append { events, now, reply }).await?;
        answer.await.map_err(|_| closed())?
    }

    /// Runs `work` on the writer's thread, between commits.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Run(Box::new(move |writer| {
            // The caller no longer waits for the answer: nothing to do.
            let _ = reply.send(work(writer));
        })))
        .await?;
        answer.await.map_err(|_| closed())?
    }

    pub(super) fn downgrade(&self) -> WeakHandle {
        WeakHandle(self.0.downgrade())
    }

    async fn send(&self, job: Job) -> Result<()> {
        self.0.send_timeout(job, QUEUE_TIMEOUT).await.map_err(|error| match error {
            SendTimeoutError::Timeout(_) => StoreError::Overloaded { engine: ENGINE },
            SendTimeoutError::Closed(_) => closed(),
        })
    }
}

/// A handle that does not keep the thread going.
#[derive(Debug)]
pub(super) struct WeakHandle(mpsc::WeakSender<Job>);

impl WeakHandle {
    pub(super) fn upgrade(&self) -> Option<Handle> {
        self.0.upgrade().map(Handle)
    }
}

/// The state of the writer thread.
pub(super) struct Writer {
    pub(super) connection: Connection,
    appender: Appender,
    checkpointer: Checkpointer,
    data_version: i64,
    /// How many erasures this process has noticed.
    erasures: Option<i64>,
    version: Arc<AtomicU64>,
    feed: broadcast::Sender<News>,
    metrics: Arc<Metrics>,
    upkeep: Upkeep,
}

/// Starts the thread; it ends, and `done` with it, when the last handle is dropped and
/// everything asked before is done.
pub(super) fn start(
    path: &Path,
    connection: Connection,
    checkpointer: Checkpointer,
    version: Arc<AtomicU64>,
    feed: broadcast::Sender<News>,
    metrics: Arc<Metrics>,
) -> Result<(Handle, oneshot::Receiver<()>)> {
    let mut writer = Writer {
        connection,
        appender: Appender::new(),
        checkpointer,
        data_version: 0,
        erasures: None,
        version,
        feed,
        metrics,
        upkeep: Upkeep::new(path),
    };
    let (jobs, queue) = mpsc::channel(QUEUE);
    let (ended, done) = oneshot::channel();
    std::thread::Builder::new()
        .name("sqlite-writer".to_owned())
        .spawn(move || {
            writer.serve(queue);
            drop(writer);
            let _ = ended.send(());
        })
        .map_err(|error| StoreError::Other { engine: ENGINE, source: error.into() })?;
    Ok((Handle(jobs), done))
}

/// A request's events and where its answer goes.
struct Request {
    events: Vec<Event>,
    reply: oneshot::Sender<Result<Vec<Appended>>>,
}

impl Writer {
    fn serve(&mut self, mut queue: mpsc::Receiver<Job>) {
        let mut next = None;
        while let Some(job) = next.take().or_else(|| queue.blocking_recv()) {
            match job {
                Job::Run(work) => work(self),
                Job::Append { events, now, reply } => {
                    let mut now = now;
                    let mut count = events.len();
                    let mut requests = vec![Request { events, reply }];
                    while count < MOST_EVENTS {
                        match queue.try_recv() {
                            Ok(Job::Append { events, now: later, reply }) => {
                                now = now.max(later);
                                count += events.len();
                                requests.push(Request { events, reply });
                            }
                            Ok(run) => {
                                next = Some(run);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    self.commit(requests, count, now);
                }
            }
        }
        // So that the file alone holds everything when the process has ended.
        if let Err(error) = self.upkeep.complete(&self.connection, true) {
            tracing::warn!(error = %error, "the write-ahead log could not be written back; it is at the next start");
        }
    }

    /// Makes the events of all these requests durable together, then answers each.
    fn commit(&mut self, requests: Vec<Request>, count: usize, now: Timestamp) {
        let started = Instant::now();
        let usable = self.upkeep.usable();
        let written = usable.and_then(|()| self.append_all(&requests, now));
        self.metrics.queried("append", started.elapsed());
        self.metrics.group_commit_events.observe(count as f64);
        match written {
            Ok(Inserted { places, new_visitors }) => {
                self.metrics.visitors_total.inc_by(new_visitors);
                self.upkeep.committed();
                self.version.fetch_add(1, Ordering::Release);
                // The feed goes first: a client that connects after the answer finds the event in its
                // first figures, and must not receive it again.
                let mut committed = Vec::new();
                let mut replies = Vec::with_capacity(requests.len());
                for (request, places) in requests.into_iter().zip(places) {
                    let answers: Vec<Appended> = places.iter().map(|(answer, _)| *answer).collect();
                    replies.push((request.reply, answers));
                    let stored = request.events.into_iter().zip(places);
                    committed.extend(
                        stored.filter_map(|(event, (_, position))| Some(Committed { position: position?, event })),
                    );
                }
                if !committed.is_empty() && self.feed.receiver_count() > 0 {
                    // Receivers may leave meanwhile.
                    let _ = self.feed.send(News::Committed(committed.into()));
                }
                for (reply, answers) in replies {
                    // A client that went away gets no answer; its events are stored all the same.
                    let _ = reply.send(Ok(answers));
                }
                self.tidy(now);
            }
            Err(error) => {
                tracing::error!(error = error, events = count, "a group of events was not committed");
                for request in requests {
                    let unavailable = StoreError::Unavailable { engine: ENGINE, reason: error.clone() };
                    let _ = request.reply.send(Err(unavailable));
                }
            }
        }
    }

    /// Appends the events of all these requests in one transaction.
    fn append_all(&mut self, requests: &[Request], now: Timestamp) -> Result<Inserted, String> {
        let inserted = self.transaction(|writer| {
            let position = writer.last_position()?;
            let requests = requests.iter().map(|request| &*request.events);
            writer.appender.append(&writer.connection, requests, now, position)
        });
        inserted.map_err(|error| {
            let reason = reason(&error);
            self.upkeep.failed(&error, &reason);
            reason
        })
    }

    /// Whether events can be taken: the last commit did not fail just now, the file is still the
    /// one that was opened, and a small write is durable.
    pub(super) fn check(&mut self) -> Result<()> {
        self.upkeep.look();
        self.upkeep.check()?;
        self.connection.prepare_cached(CHECK)?.execute([])?;
        self.checkpointer.after_commit(&self.connection, &self.upkeep);
        Ok(())
    }

    /// Runs `work` in a transaction that holds the write lock from its begin; commits it, or
    /// rolls it back and forgets what was only true inside.
    pub(super) fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.connection.prepare_cached("begin immediate")?.execute([])?;
        let result = self.notice_others().and_then(|()| work(self)).and_then(|value| {
            self.upkeep.before_commit(&self.connection)?;
            self.connection.prepare_cached("commit")?.execute([])?;
            Ok(value)
        });
        if result.is_err() {
            self.upkeep.forget();
            self.forget();
            if !self.connection.is_autocommit() {
                self.connection.execute_batch("rollback")?;
            }
        }
        result
    }

    /// Forgets what is known when another process wrote since.
    fn notice_others(&mut self) -> rusqlite::Result<()> {
        let data_version = self.connection.prepare_cached("pragma data_version")?.query_row([], |row| row.get(0))?;
        if data_version != self.data_version {
            self.data_version = data_version;
            self.upkeep.forget();
            self.forget();
            self.version.fetch_add(1, Ordering::Release);
            let erasures = keep::fact(&self.connection, keep::ERASURES)?.unwrap_or(0);
            if self.erasures.replace(erasures).is_some_and(|before| before != erasures) {
                for site in sites::sites(&self.connection)? {
                    self.tear_feed(site);
                }
            }
        }
        Ok(())
    }

    /// Looks whether another process wrote, so that answers kept for questions are dropped, and
    /// whether the file is still there; after a quiet period the file is completed.
    pub(super) fn look_around(&mut self) -> Result<()> {
        self.upkeep.look();
        self.notice_others()?;
        if self.upkeep.is_quiet() {
            self.upkeep.complete(&self.connection, false)?;
        }
        Ok(())
    }

    /// Counts an erasure, which other processes notice.
    pub(super) fn count_erasure(&mut self) -> rusqlite::Result<()> {
        let erasures = keep::fact(&self.connection, keep::ERASURES)?.unwrap_or(0) + 1;
        keep::put(&self.connection, keep::ERASURES, erasures)
    }

    /// Says that a visitor of a site was erased, which [`Self::count_erasure`] has counted.
    pub(super) fn erased(&mut self, site: &Site) {
        self.erasures = self.erasures.map(|erasures| erasures + 1);
        self.answers_changed();
        self.tear_feed(site.clone());
    }

    /// Events of this site that were delivered may be gone.
    fn tear_feed(&self, site: Site) {
        // There may be no receiver.
        let _ = self.feed.send(News::Gap(site));
    }

    /// Says that answers may change.
    pub(super) fn answers_changed(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }

    /// The same, and tidies up: after anything but an append.
    pub(super) fn changed(&mut self, now: Timestamp) {
        self.answers_changed();
        self.tidy(now);
    }

    /// Forgets what is known of sites, texts and visitors.
    pub(super) fn forget(&mut self) {
        self.appender.forget();
    }

    /// Forgets what is known of visitors and texts of days before this one.
    pub(super) fn forget_before(&mut self, day: Day) {
        self.appender.forget_before(day);
    }

    /// The greatest position ever given, also when its event is gone.
    pub(super) fn last_position(&self) -> rusqlite::Result<u64> {
        let mut last = self.connection.prepare_cached(
            "select max(coalesce((select max(position) from events), 0),
                        coalesce((select value from meta where name = 'last_position'), 0))",
        )?;
        Ok(last.query_row([], |row| row.get::<_, i64>(0))?.unsigned_abs())
    }

    /// Housekeeping after a commit, when its requests have been answered.
    fn tidy(&mut self, now: Timestamp) {
        if let Err(error) = self.appender.prune(&self.connection, now) {
            tracing::warn!(error = %error, "visitors long gone could not be forgotten");
        }
        self.upkeep.after_commit(&self.connection);
        self.checkpointer.after_commit(&self.connection, &self.upkeep);
    }

    /// Whether the checkpointer is writing the log back now.
    pub(super) fn is_written_back_elsewhere(&self) -> bool {
        self.checkpointer.is_running()
    }

    /// Writes all of the log back into the database file, and cuts it off; answers whether it is, which
    /// a reader of an older snapshot prevents.
    pub(super) fn cut_log(&mut self) -> rusqlite::Result<bool> {
        self.upkeep.complete(&self.connection, true)
    }
}

/// What SQLite says, and what to do when the file is damaged.
fn reason(error: &rusqlite::Error) -> String {
    if is_damage(error) { damaged(error) } else { error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_is_overload() {
        let (jobs, queue) = mpsc::channel(1);
        let handle = Handle(jobs);
        let now = Timestamp::from_millis(0);
        let waiting = tokio::spawn({
            let handle = handle.clone();
            async move { handle.append(Vec::new(), now).await }
        });
        while handle.0.capacity() > 0 {
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
