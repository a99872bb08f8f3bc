//! Upkeep: deleting, recounting, checking.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;

use super::Result;
use crate::site::Site;
use crate::time::{Day, Timestamp};

/// What one bounded step of the retention run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Step {
    /// Events deleted.
    pub deleted: u64,
    /// Whether nothing is left to do.
    pub done: bool,
}

/// An aggregate that is not what the events say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which aggregate, in words that name its site, period and value.
    pub aggregate: String,
    /// What a recount of the events gives.
    pub expected: i64,
    /// What is stored.
    pub found: i64,
}

/// What `verify` or `rebuild` went through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Recount {
    /// Events recounted.
    pub events: u64,
    /// Aggregates compared.
    pub aggregates: u64,
    /// The first [`Recount::MOST_LISTED`] differences.
    pub differences: Vec<Difference>,
    /// How many differences there are in all.
    pub different: u64,
}

impl Recount {
    /// How many differences are listed one by one.
    pub const MOST_LISTED: usize = 100;

    /// Adds a difference, which is listed if there are few.
    pub fn differ(&mut self, difference: Difference) {
        self.different += 1;
        if self.differences.len() < Self::MOST_LISTED {
            self.differences.push(difference);
        }
    }

    /// Adds what was found elsewhere about the same events.
    pub fn add(&mut self, other: Self) {
        self.aggregates += other.aggregates;
        self.different += other.different;
        let room = Self::MOST_LISTED.saturating_sub(self.differences.len());
        self.differences.extend(other.differences.into_iter().take(room));
    }
}

/// Says how far a long run has come: events done, and events in all.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// Upkeep of a store.
#[async_trait]
pub trait Admin {
    /// One bounded step of deleting what no longer is to be kept: events of days before
    /// `cutoff`, and totals that have outlived their use by `now` (of days after 90 days, of weeks
    /// and months after 365). Callers repeat it until it is done.
    async fn delete_before(&self, cutoff: Day, now: Timestamp) -> Result<Step>;

    /// Removes a site of which no event is kept, with its totals, so that another one can have its place;
    /// answers whether it was removed. An engine may wait until visitors are forgotten, too, and until it
    /// is asked again on the next day: callers ask every day. Events that any process appends meanwhile or
    /// later are stored, on the site made anew if need be; its positions go on. Blocks, counters of what
    /// was not stored and records stay.
    async fn remove_site(&self, site: &Site, now: Timestamp) -> Result<bool>;

    /// Recounts the totals of every period that the events still cover and lists differences.
    async fn verify(&self, now: Timestamp, progress: Progress) -> Result<Recount>;

    /// Replaces the totals of every period that the events still cover by a recount; lists what
    /// was different before. Appends wait meanwhile.
    async fn rebuild(&self, now: Timestamp, progress: Progress) -> Result<Recount>;

    /// Makes an engine's indexes smaller after an import has appended so many events, if that is worth it and
    /// no other process has the store open. Appends wait meanwhile. Only the embedded engine has anything to do.
    async fn compact(&self, _appended: u64) -> Result<()> {
        Ok(())
    }

    /// Whether it can take events now: no commit has failed since the last successful one, and a
    /// small write is durable now. A read alone is no proof: a disk may be full, a file read-only,
    /// removed or damaged, and questions be answered all the same. Costs one write.
    ///
    /// A failed commit may count for a few seconds only, so that a process that gets no events
    /// while it is not ready becomes ready again when the small write succeeds.
    ///
    /// # Errors
    /// Says why not.
    async fn check(&self) -> Result<()>;
}
