//! Counts of events that were not stored, gathered in the process and added to the store's counters in
//! batches: many such events cost one write, and a stored event costs none.
//!
//! They are statistics, not a promise: a process that is killed loses what it gathered since the last
//! batch, and beyond `MOST` sites and days nothing is gathered.

use std::collections::{BTreeMap, HashSet};
use std::mem;
use std::sync::{Mutex, PoisonError};

use crate::App;
use crate::collect::error_text;
use crate::outcome::{Code, NotStored};
use crate::site::Site;
use crate::store::StoreError;
use crate::store::not_stored::Counts;
use crate::time::{Day, Timestamp};

/// Sites and days that are gathered at most before they are added.
const MOST: usize = 2_048;

type ByDay = BTreeMap<(Site, Day), Counts>;

/// What was gathered.
#[derive(Debug, Default)]
pub struct Gathered {
    waiting: Mutex<ByDay>,
    /// Sites that the store has seen: only these have counters, so that invented names make none.
    known: Mutex<HashSet<Site>>,
}

impl Gathered {
    /// Counts an event that was not stored.
    pub(crate) fn add(&self, site: &Site, outcome: NotStored, now: Timestamp) {
        // A site that may not be measured has no counters.
        if outcome != NotStored::Rejected(Code::InvalidSite) {
            self.merge((site.clone(), now.day()), &Counts::from([(outcome, 1)]));
        }
    }

    fn merge(&self, of: (Site, Day), counts: &Counts) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MOST || waiting.contains_key(&of) {
            let sums = waiting.entry(of).or_default();
            for (outcome, n) in counts {
                *sums.entry(*outcome).or_default() += n;
            }
        }
    }

    fn take(&self) -> ByDay {
        mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn knows(&self, site: &Site) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(site)
    }
}

impl App {
    /// Adds what was gathered to the store's counters. What cannot be added now is kept for the next time.
    pub async fn count_not_stored(&self) {
        let mut waiting = self.not_stored.take();
        if waiting.is_empty() {
            return;
        }
        let added = async {
            let listed = self.config.sites.is_some();
            if !listed && waiting.keys().any(|(site, _)| !self.not_stored.knows(site)) {
                let seen = self.store.sites().await?;
                let mut known = self.not_stored.known.lock().unwrap_or_else(PoisonError::into_inner);
                known.extend(seen);
                // The first run of a site shows why nothing is counted.
                known.insert(Site::default());
            }
            waiting.retain(|(site, _), _| listed || self.not_stored.knows(site));
            while let Some(((site, day), counts)) = waiting.pop_first() {
                if let Err(error) = self.store.add_not_stored(&site, day, &counts).await {
                    waiting.insert((site, day), counts);
                    return Err(error);
                }
            }
            Ok::<(), StoreError>(())
        };
        if let Err(error) = added.await {
            tracing::debug!(
                error = error_text(&error),
                "events that were not stored could not be counted; it is tried again"
            );
            for (of, counts) in waiting {
                self.not_stored.merge(of, &counts);
            }
        }
    }
}
