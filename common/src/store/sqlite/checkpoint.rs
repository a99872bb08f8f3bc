//! Writing the log back into the database file, beside the commits.
//!
//! The log starts anew only when all of it has been written back, which never happens while
//! commits go on. So it is done in two passes: a long one by a thread of its own, while
//! commits go on, and a short one by the writer, for what was committed meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Instant;

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::connection::open_writer;
use super::upkeep::Upkeep;
use crate::metrics::Metrics;

/// How many pages the log may have before it is written back: 16 MiB.
const PAGES: u32 = 4_096;
/// From this many on the writer does it all, commits wait, and the log grows no further.
pub(super) const MOST_PAGES: u32 = 8 * PAGES;

const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const FINISHED: u8 = 2;

/// The thread of the long pass; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Checkpointer {
    start: SyncSender<()>,
    /// The pages of the log after the latest commit.
    pages: Arc<AtomicU32>,
    state: Arc<AtomicU8>,
    metrics: Arc<Metrics>,
}

impl Checkpointer {
    /// Of the log that `writer` writes.
    pub(super) fn start(path: &Path, writer: &mut Connection, metrics: Arc<Metrics>) -> rusqlite::Result<Self> {
        let connection = open_writer(path)?;
        let pages = Arc::new(AtomicU32::new(0));
        let latest = Arc::clone(&pages);
        writer.wal_hook(Some(move |_: &mut Wal, pages| {
            latest.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        let state = Arc::new(AtomicU8::new(IDLE));
        let (start, asked) = sync_channel(1);
        let (finished, passes) = (Arc::clone(&state), Arc::clone(&metrics));
        std::thread::spawn(move || {
            while asked.recv().is_ok() {
                pass(&connection, "checkpoint", &passes);
                finished.store(FINISHED, Ordering::Release);
            }
        });
        Ok(Self { start, pages, state, metrics })
    }

    /// Whether the long pass goes on.
    pub(super) fn is_running(&self) -> bool {
        self.state.load(Ordering::Acquire) == RUNNING
    }

    /// Does what is due; called by the writer, on its connection, after a commit has been
    /// answered.
    pub(super) fn after_commit(&self, connection: &Connection, upkeep: &Upkeep) {
        let pages = self.pages.load(Ordering::Relaxed);
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
