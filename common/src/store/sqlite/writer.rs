//! The one thread that writes: many requests in flight share one transaction and one fsync.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::append::Appender;
use super::checkpoint::Checkpointer;
use super::connection::closed;
use crate::event::Event;
use crate::metrics::Metrics;
use crate::store::{Appended, Committed, Result};
use crate::time::{HOUR, Timestamp};

/// How many requests may wait for the writer; more are told that the store is unavailable.
const QUEUE: usize = 16_384;
/// How many events one commit takes at most.
const MOST_EVENTS: usize = 4_096;
/// How long a request waits for a place in the queue.
const PATIENCE: Duration = Duration::from_secs(1);

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
            // Nobody waits for the answer any more: nothing to do.
            let _ = reply.send(work(writer));
        })))
        .await?;
        answer.await.map_err(|_| closed())?
    }

    pub(super) fn downgrade(&self) -> WeakHandle {
        WeakHandle(self.0.downgrade())
    }

    async fn send(&self, job: Job) -> Result<()> {
        self.0.send_timeout(job, PATIENCE).await.map_err(|_| closed())
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
    pruned: Timestamp,
    version: Arc<AtomicU64>,
    feed: broadcast::Sender<Arc<[Committed]>>,
    metrics: Arc<Metrics>,
}

/// Starts the thread; it ends, and `done` with it, when the last handle is dropped and
/// everything asked before is done.
pub(super) fn start(
    connection: Connection,
    checkpointer: Checkpointer,
    version: Arc<AtomicU64>,
    feed: broadcast::Sender<Arc<[Committed]>>,
    metrics: Arc<Metrics>,
) -> Result<(Handle, oneshot::Receiver<()>)> {
    let mut writer = Writer {
        connection,
        appender: Appender::new(),
        checkpointer,
        data_version: 0,
        pruned: Timestamp::from_millis(0),
        version,
        feed,
        metrics,
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
        .map_err(|error| crate::store::StoreError::Other { engine: super::connection::ENGINE, source: error.into() })?;
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
        let _ = self.checkpoint("truncate");
    }

    /// Makes the events of all these requests durable together, then answers each.
    fn commit(&mut self, requests: Vec<Request>, count: usize, now: Timestamp) {
        let started = Instant::now();
        let written = self.transaction(|writer| {
            let mut position = writer.last_position()?;
            requests
                .iter()
                .map(|request| writer.appender.append(&writer.connection, &request.events, &mut position))
                .collect::<rusqlite::Result<Vec<_>>>()
                .and_then(|places| writer.appender.flush(&writer.connection).map(|()| places))
        });
        self.metrics.queried("append", started.elapsed());
        self.metrics.group_commit_events.observe(count as f64);
        match written {
            Ok(appended) => {
                self.version.fetch_add(1, Ordering::Release);
                // The feed is told first: who connects after an answer has that event in the
                // figures that greet them, and must not be sent it as news.
                let mut committed = Vec::new();
                let mut replies = Vec::with_capacity(requests.len());
                for (request, places) in requests.into_iter().zip(appended) {
                    let answers: Vec<Appended> = places.iter().map(|(answer, _)| *answer).collect();
                    replies.push((request.reply, answers));
                    let stored = request.events.into_iter().zip(places);
                    committed.extend(
                        stored.filter_map(|(event, (_, position))| Some(Committed { position: position?, event })),
                    );
                }
                if !committed.is_empty() && self.feed.receiver_count() > 0 {
                    // Receivers may leave meanwhile.
                    let _ = self.feed.send(committed.into());
                }
                for (reply, answers) in replies {
                    // A client that went away gets no answer; its events are stored all the same.
                    let _ = reply.send(Ok(answers));
                }
                self.tidy(now);
            }
            Err(error) => {
                let reason = error.to_string();
                tracing::error!(error = reason, events = count, "a group of events was not committed");
                for request in requests {
                    let _ = request.reply.send(Err(crate::store::StoreError::Unavailable {
                        engine: super::connection::ENGINE,
                        reason: reason.clone(),
                    }));
                }
            }
        }
    }

    /// Runs `work` in a transaction that holds the write lock from its begin; commits it, or
    /// rolls it back and forgets what was only true inside.
    pub(super) fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.connection.prepare_cached("begin immediate")?.execute([])?;
        let result = self.notice_others().and_then(|()| work(self)).and_then(|value| {
            self.connection.prepare_cached("commit")?.execute([])?;
            Ok(value)
        });
        if result.is_err() {
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
            self.forget();
            self.version.fetch_add(1, Ordering::Release);
        }
        Ok(())
    }

    /// Looks whether another process wrote, so that answers kept for questions are dropped.
    pub(super) fn look_around(&mut self) -> Result<()> {
        Ok(self.notice_others()?)
    }

    /// Says that answers may change, and tidies up: after anything but an append.
    pub(super) fn changed(&mut self, now: Timestamp) {
        self.version.fetch_add(1, Ordering::Release);
        self.tidy(now);
    }

    /// Forgets what is known of sites, addresses and aggregates.
    pub(super) fn forget(&mut self) {
        self.appender.forget();
    }

    /// The greatest position ever given, also when its event is gone.
    pub(super) fn last_position(&self) -> rusqlite::Result<u64> {
        let mut last = self.connection.prepare_cached(
            "select max(coalesce((select max(position) from events), 0),
                        coalesce((select value from meta where name = 'last_position'), 0))",
        )?;
        Ok(last.query_row([], |row| row.get::<_, i64>(0))?.unsigned_abs())
    }

    /// Housekeeping after a commit, when everybody has been answered.
    fn tidy(&mut self, now: Timestamp) {
        if now > self.pruned.plus(HOUR / 60) {
            self.pruned = now;
            let pruned = self
                .connection
                .execute("delete from presence where last_seen < ?1", params![now.plus(-super::MOST_PRESENT).millis()]);
            if let Err(error) = pruned {
                tracing::warn!(error = %error, "visitors long gone could not be forgotten");
            }
        }
        self.checkpointer.after_commit(&self.connection);
    }

    /// Writes the log back into the database file.
    pub(super) fn checkpoint(&self, mode: &str) -> rusqlite::Result<()> {
        self.connection.query_row(&format!("pragma wal_checkpoint({mode})"), [], |_| Ok(()))
    }
}
