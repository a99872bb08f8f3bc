//! Sends what is committed to Redis, in order: to the feed of other instances, and to the projection.

use std::sync::Arc;
use std::time::Duration;

use redis::{Pipeline, Value};
use tokio::sync::mpsc;

use super::link::Away;
use super::projection::{Applied, Step, SyncState};
use super::{Shared, SiteBatch};
use crate::time::Timestamp;

/// How many commits may wait; what others commit is read from PostgreSQL when there are more.
pub(super) const QUEUE_LIMIT: usize = 1_024;
/// How many commits go together at most.
const MOST_COMMITS: usize = 64;
/// How many batches are sent in one call.
const MOST_SENT: usize = 32;
/// An instance that committed before only has to be a moment slower for its events to be missing:
/// how long to wait for them, time after time.
const RETRY_DELAYS: [Duration; 4] =
    [Duration::from_millis(1), Duration::from_millis(2), Duration::from_millis(4), Duration::from_millis(8)];

/// A commit on its way.
pub(super) struct Outgoing {
    pub(super) batches: Vec<SiteBatch>,
    pub(super) now: Timestamp,
}

/// Sends what is queued until the queue is closed and empty.
pub(super) async fn run(shared: Arc<Shared>, mut queue: mpsc::Receiver<Outgoing>) {
    while let Some(first) = queue.recv().await {
        let (mut now, mut batches) = (first.now, first.batches);
        for _ in 1..MOST_COMMITS {
            let Ok(next) = queue.try_recv() else { break };
            now = now.max(next.now);
            batches.extend(next.batches);
        }
        for batches in batches.chunks(MOST_SENT) {
            shared.send(batches, now).await;
        }
    }
}

impl Shared {
    /// Publishes and applies batches; what could not be applied is repaired later.
    async fn send(&self, batches: &[SiteBatch], now: Timestamp) {
        if self.publish(batches).await.is_err() {
            for batch in batches {
                self.out_of_sync(&batch.site, SyncState::Behind);
            }
            return;
        }
        let mut left: Vec<&SiteBatch> = batches.iter().collect();
        left.retain(|batch| self.states.of(&batch.site) == SyncState::InSync);
        if !self.is_compared() {
            // A position may stand for other events than Redis has counted; a repair compares them.
            self.link.attention.notify_one();
            left.drain(..).for_each(|batch| self.out_of_sync(&batch.site, SyncState::Behind));
        }
        for delay in std::iter::once(None).chain(RETRY_DELAYS.map(Some)) {
            if let Some(delay) = delay {
                tokio::time::sleep(delay).await;
            }
            if left.is_empty() || self.apply(&mut left, now).await.is_err() {
                break;
            }
        }
        for batch in left {
            self.out_of_sync(&batch.site, SyncState::Behind);
        }
    }

    /// Tells other instances.
    async fn publish(&self, batches: &[SiteBatch]) -> Result<(), Away> {
        let mut pipeline = Pipeline::with_capacity(batches.len());
        for batch in batches {
            pipeline.add_command(self.feed.publish(batch));
        }
        for answer in self.link.ask("publish", &pipeline).await? {
            if let Value::Int(receivers) = answer {
                self.feed.received(receivers.unsigned_abs());
            }
        }
        Ok(())
    }

    /// Applies batches; leaves those that came before earlier ones of other instances.
    async fn apply(&self, batches: &mut Vec<&SiteBatch>, now: Timestamp) -> Result<(), Away> {
        let mut pipeline = Pipeline::with_capacity(batches.len());
        for batch in batches.iter() {
            let step = Step {
                site: &batch.site,
                store: &self.store,
                from: batch.from,
                to: batch.to,
                events: &batch.committed,
                now,
            };
            pipeline.add_command(step.command(&self.link.scripts));
        }
        let mut answers = self.link.ask("apply", &pipeline).await?.into_iter();
        batches.retain(|batch| {
            match Applied::read(&answers.next().unwrap_or_default(), batch.from, batch.to) {
                Applied::Done => return false,
                Applied::Early => return true,
                Applied::Elsewhere => self.out_of_sync(&batch.site, SyncState::Behind),
                Applied::Lost => self.out_of_sync(&batch.site, SyncState::Lost),
            }
            false
        });
        Ok(())
    }
}
