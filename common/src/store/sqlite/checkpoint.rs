//! Writing the log back into the database file, beside the commits.
//!
//! The log starts anew only when all of it has been written back, which never happens while
//! commits go on. So it is done in two passes: a long one by a thread of its own, while
//! commits go on, and a short one by the writer, for what was committed meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Instant;

use rusqlite::Connection;

use super::connection::open_writer;
use super::upkeep::Upkeep;
use crate::metrics::Metrics;

/// How many pages the log may have before it is written back: 16 MiB.
const PAGES: i64 = 4_096;
/// From this many on the writer does it all, commits wait, and the log grows no further.
pub(super) const MOST_PAGES: i64 = 8 * PAGES;

const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const FINISHED: u8 = 2;

/// The thread of the long pass; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Checkpointer {
    start: SyncSender<()>,
    state: Arc<AtomicU8>,
    metrics: Arc<Metrics>,
}

impl Checkpointer {
    pub(super) fn start(path: &Path, metrics: Arc<Metrics>) -> rusqlite::Result<Self> {
        let connection = open_writer(path)?;
        let state = Arc::new(AtomicU8::new(IDLE));
        let (start, asked) = sync_channel(1);
        let (finished, passes) = (Arc::clone(&state), Arc::clone(&metrics));
        std::thread::spawn(move || {
            while asked.recv().is_ok() {
                pass(&connection, "checkpoint", &passes);
                finished.store(FINISHED, Ordering::Release);
            }
        });
        Ok(Self { start, state, metrics })
    }

    /// Whether the long pass goes on.
    pub(super) fn is_running(&self) -> bool {
        self.state.load(Ordering::Acquire) == RUNNING
    }

    /// Does what is due; called by the writer, on its connection, after a commit has been
    /// answered.
    pub(super) fn after_commit(&self, connection: &Connection, upkeep: &Upkeep) {
        let log = connection.prepare_cached("pragma wal_checkpoint(noop)");
        let pages: i64 = log.and_then(|mut log| log.query_row([], |row| row.get(1))).unwrap_or(0);
        let state = self.state.load(Ordering::Acquire);
        if pages < PAGES || state == RUNNING && pages < MOST_PAGES {
            return;
        }
        upkeep.before_checkpoint(connection);
        match state {
            IDLE => {
                self.state.store(RUNNING, Ordering::Release);
                if self.start.try_send(()).is_err() {
                    self.state.store(FINISHED, Ordering::Release);
                }
            }
            FINISHED => {
                pass(connection, "checkpoint_rest", &self.metrics);
                self.state.store(IDLE, Ordering::Release);
            }
            _ => pass(connection, "checkpoint_rest", &self.metrics),
        }
    }
}

fn pass(connection: &Connection, query_type: &'static str, metrics: &Metrics) {
    let started = Instant::now();
    if let Err(error) = connection.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(())) {
        tracing::warn!(error = %error, "the write-ahead log could not be written back");
    }
    metrics.queried(query_type, started.elapsed());
}
