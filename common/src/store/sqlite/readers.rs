//! Connections that only read: each question on one of them, off the async threads, on one snapshot.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::connection::{ENGINE, closed, open_reader};
use crate::metrics::Metrics;
use crate::store::{Result, StoreError};

/// How many questions are answered at the same time; others wait.
const READERS: usize = 4;

/// A few connections that only read.
#[derive(Debug, Clone)]
pub(super) struct Readers {
    path: Arc<PathBuf>,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl Readers {
    pub(super) fn new(path: PathBuf, metrics: Arc<Metrics>) -> Self {
        Self { path: Arc::new(path), idle: Arc::default(), permits: Arc::new(Semaphore::new(READERS)), metrics }
    }

    /// No question is answered from now on; those under way are.
    pub(super) async fn close(&self) {
        let _all = self.permits.acquire_many(READERS as u32).await;
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Asks on one snapshot of the database.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        query_type: &'static str,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let started = Instant::now();
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| closed())?;
        let this = self.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let idle = this.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match idle {
                Some(connection) => connection,
                None => open_reader(&this.path)?,
            };
            let snapshot = connection.unchecked_transaction()?;
            let answer = question(&snapshot)?;
            snapshot.finish()?;
            this.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            this.metrics.queried(query_type, started.elapsed());
            Ok(answer)
        });
        asked.await.map_err(|error| StoreError::Other { engine: ENGINE, source: error.into() })?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::FutureExt;

    use super::*;
    use crate::store::sqlite::connection::{migrate, open_writer};

    /// Four clients whose questions take long, and who leave, must not stop those of others for good.
    #[tokio::test]
    async fn questions_of_clients_that_are_gone_free_their_places() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("analytics.db");
        migrate(&mut open_writer(&path).unwrap()).unwrap();
        let readers = Readers::new(path, Arc::new(Metrics::new().unwrap()));
        let count = |connection: &Connection| connection.query_row("select count(*) from events", [], |row| row.get(0));

        let mut gates = Vec::new();
        for _ in 0..READERS {
            let (begun, has_begun) = tokio::sync::oneshot::channel();
            let (gate, wait) = mpsc::channel::<()>();
            gates.push(gate);
            let mut asked = Box::pin(readers.ask("a", move |connection| {
                let _ = begun.send(());
                let _ = wait.recv();
                count(connection)
            }));
            assert!(asked.as_mut().now_or_never().is_none());
            has_begun.await.unwrap();
            // Here the client leaves.
        }
        // Those that leave while they wait for a place take none.
        for _ in 0..10 {
            assert!(readers.ask("b", count).now_or_never().is_none());
        }
        assert_eq!(readers.permits.available_permits(), 0);
        drop(gates);
        let answers: i64 = readers.ask("c", count).await.unwrap();
        let all = readers.permits.acquire_many(READERS as u32).await.unwrap();
        assert_eq!((answers, all.num_permits()), (0, READERS));
        assert!((1..=READERS).contains(&readers.idle.lock().unwrap().len()), "connections are used again");
    }
}
