//! Brings sites whose keys are not in sync up to date, in the background: what is missing is read from
//! PostgreSQL by position.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::projection::{Applied, Step, SyncState};
use super::watermark::Watermark;
use super::{Shared, keys};
use crate::site::Site;
use crate::store::postgres::feed;
use crate::store::{Committed, Position, Result};
use crate::time::Timestamp;

/// Events that are read and applied at a time.
const PAGE: usize = 2_000;
/// How long lies between two attempts.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Repairs whenever a site is out of sync.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        shared.repair.notified().await;
        // Redis or PostgreSQL may be away, or another process may be rebuilding.
        while !shared.repair_all().await {
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }
}

impl Shared {
    /// Answers whether all sites are in sync.
    async fn repair_all(&self) -> bool {
        let mut states = self.states.out_of_sync();
        last_used_first(&mut states, &self.used.lock().unwrap_or_else(PoisonError::into_inner));
        for (site, state) in states {
            if self.link.is_open() {
                return false;
            }
            let repaired = match state {
                SyncState::InSync => Ok(()),
                SyncState::Behind => self.catch_up(&site).await,
                SyncState::Lost => self.rebuild_site(&site, false).await,
            };
            if let Err(error) = repaired {
                tracing::debug!(site.id = %site, %error, "redis: a site could not be repaired yet");
            }
            self.count_out_of_sync();
        }
        self.states.out_of_sync().is_empty()
    }

    /// The watermark of a site.
    pub(super) async fn watermark(&self, site: &Site) -> Result<Option<Watermark>> {
        let mut get = redis::cmd("GET");
        get.arg(keys::watermark(site));
        Ok(Watermark::read(&self.link.ask_one("look", get).await?, &self.store))
    }

    /// Applies what PostgreSQL has after the watermark.
    pub(super) async fn catch_up(&self, site: &Site) -> Result<()> {
        loop {
            let Some(Watermark { position: at, last }) = self.watermark(site).await? else {
                self.out_of_sync(site, SyncState::Lost);
                return Ok(());
            };
            // Asked before the events are read: all up to there are among them, but for those of
            // days that were dropped.
            let position = feed::latest_position(&self.connections, site).await?.0;
            // With the one at the watermark, which tells whether that is about these events.
            let after = if last.is_some() { at.saturating_sub(1) } else { at };
            let mut events = feed::committed_after(&self.connections, site, Position(after), PAGE).await?;
            let replaced = match events.first().filter(|first| first.position.0 == at) {
                Some(first) => {
                    let replaced = Some(first.event.id) != last;
                    events.remove(0);
                    replaced
                }
                None => false,
            };
            if replaced || position < at {
                return self.replaced(site).await;
            }
            let to = events.last().map_or(at, |last| last.position.0);
            // A page that is not full reaches to the end.
            let to = if events.len() < PAGE - 1 { to.max(position) } else { to };
            if to == at {
                self.states.improve(site, SyncState::InSync);
                tracing::info!(site.id = %site, position = at, "redis: site resynced");
                return Ok(());
            }
            let now = self.no_later_than_server(self.clock().max(latest(&events)));
            let step = Step { site, store: &self.store, from: at, to, events: &events, now };
            let answer = self.link.ask_one("apply", step.command(&self.link.scripts)).await?;
            if Applied::read(&answer, at, to) == Applied::Lost {
                self.out_of_sync(site, SyncState::Lost);
                return Ok(());
            }
        }
    }

    /// Redis has counted events that PostgreSQL does not have.
    pub(super) async fn replaced(&self, site: &Site) -> Result<()> {
        tracing::warn!(
            site.id = %site,
            "redis has events that postgresql does not have (failover or restore): the site will be rebuilt in redis"
        );
        self.void(std::slice::from_ref(site)).await?;
        self.out_of_sync(site, SyncState::Lost);
        Ok(())
    }

    /// An idea of what time it is, from what was said and from a site's newest events.
    pub(super) async fn clock_for(&self, site: &Site) -> Result<Timestamp> {
        let position = feed::latest_position(&self.connections, site).await?.0;
        let newest = Position(position.saturating_sub(1_000));
        let newest = feed::committed_after(&self.connections, site, newest, 1_000).await?;
        Ok(self.no_later_than_server(self.clock().max(latest(&newest))))
    }
}

fn last_used_first(states: &mut [(Site, SyncState)], used: &HashMap<Site, Instant>) {
    states.sort_by_key(|(site, _)| Reverse(used.get(site).copied()));
}

/// The time of the latest of these events: as good as the clock for a repair, where that is never
/// asked. It may lie 5 minutes ahead, and a day behind when all came late.
fn latest(events: &[Committed]) -> Timestamp {
    events.iter().map(|event| event.event.created_at).max().unwrap_or_else(|| Timestamp::from_millis(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_in_use_are_repaired_first() {
        let sites = ["a", "b", "c", "d"].map(|name| Site::parse(name).unwrap());
        let start = Instant::now();
        let used: HashMap<Site, Instant> =
            [(1, 5), (2, 9)].map(|(at, after)| (sites[at].clone(), start + Duration::from_secs(after))).into();
        let mut states: Vec<_> = sites.iter().map(|site| (site.clone(), SyncState::Lost)).collect();
        last_used_first(&mut states, &used);
        let order: Vec<_> = states.into_iter().map(|(site, _)| site).collect();
        assert_eq!(order, [2, 1, 0, 3].map(|at| sites[at].clone()), "others afterwards");
    }
}
