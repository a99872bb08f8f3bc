//! Who is there now: visitors and their latest events, by site, in memory.
//!
//! A site is loaded from PostgreSQL when it is first asked for, and follows the feed from then on:
//! what this process commits is in it before the commit is answered, what others commit as soon as
//! the feed brings it. When the database turns out to be another one, it is loaded again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use uuid::Uuid;

use super::connection::Connections;
use super::feed::{SITE, query};
use crate::event::MAX_CLOCK_SKEW;
use crate::site::Site;
use crate::store::{Committed, Result};
use crate::time::Timestamp;

/// How many visitors of all sites are held at most, some 15 MB. When there are more, all are let go,
/// and each question loads its site.
const MOST_VISITORS: usize = 400_000;

type LastSeen = HashMap<Uuid, i64, RandomState>;

/// The sites that were asked for.
#[derive(Debug, Default)]
pub(super) struct Presence {
    held: Mutex<Held>,
    /// One loads at a time, and questions meanwhile wait for it.
    loading: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Held {
    sites: HashMap<Site, State>,
    /// How many visitors all of them have.
    visitors: usize,
}

#[derive(Debug)]
struct State {
    /// The database's epoch when it was loaded.
    epoch: u64,
    /// Visitors whose latest event is older than this, in milliseconds, are not all in it;
    /// [`i64::MAX`] while it is being loaded.
    since: i64,
    last_seen: LastSeen,
}

impl Held {
    /// Takes events of a site; those of a site that is not held are of no interest.
    fn see(&mut self, site: &Site, events: impl IntoIterator<Item = (Uuid, i64)>) {
        let Some(state) = self.sites.get_mut(site) else { return };
        let before = state.last_seen.len();
        for (visitor, at) in events {
            let seen = state.last_seen.entry(visitor).or_insert(at);
            *seen = (*seen).max(at);
        }
        self.visitors += state.last_seen.len() - before;
        if self.visitors > MOST_VISITORS {
            *self = Self::default();
        }
    }

    fn remove(&mut self, site: &Site) {
        let removed = self.sites.remove(site).map_or(0, |state| state.last_seen.len());
        self.visitors -= removed;
    }
}

/// The instants, in milliseconds, within which a visitor's latest event lies who is current.
fn current(now: Timestamp, window: i64) -> std::ops::RangeInclusive<i64> {
    now.plus(1 - window).millis()..=now.plus(MAX_CLOCK_SKEW).millis()
}

impl Presence {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a site's events are needed.
    pub(super) fn follows(&self, site: &Site) -> bool {
        self.held().sites.contains_key(site)
    }

    /// Lets a site go; it is loaded again when it is asked for.
    pub(super) fn forget(&self, site: &Site) {
        self.held().remove(site);
    }

    /// Takes events of a site, in any order, any number of times.
    pub(super) fn see(&self, site: &Site, events: &[Committed]) {
        let seen = events
            .iter()
            .map(|Committed { event, .. }| (Uuid::from_bytes(*event.visitor.as_bytes()), event.created_at.millis()));
        self.held().see(site, seen);
    }

    /// How many visitors' latest events lie within the window.
    pub(super) async fn current(
        &self,
        connections: &Connections,
        site: &Site,
        now: Timestamp,
        window: i64,
    ) -> Result<u64> {
        let epoch = connections.epoch();
        if let Some(count) = self.count(epoch, site, now, window) {
            return Ok(count);
        }
        let _loading = self.loading.lock().await;
        match self.count(epoch, site, now, window) {
            Some(count) => Ok(count),
            None => self.load(connections, site, now, window).await,
        }
    }

    /// The number, if what is held tells.
    fn count(&self, epoch: u64, site: &Site, now: Timestamp, window: i64) -> Option<u64> {
        let window = current(now, window);
        let mut held = self.held();
        let held = &mut *held;
        let state = held.sites.get_mut(site).filter(|state| state.epoch == epoch && state.since <= *window.start())?;
        let before = state.last_seen.len();
        let count = state.last_seen.values().filter(|seen| window.contains(seen)).count();
        // When there are twice as many as are current, most will never count again.
        if before > 2 * count + 1_000 {
            state.last_seen.retain(|_, seen| *seen >= *window.start());
            state.since = *window.start();
            held.visitors -= before - state.last_seen.len();
        }
        Some(count as u64)
    }

    /// Loads a site; answers the number. The site is held from now on if there is room.
    async fn load(&self, connections: &Connections, site: &Site, now: Timestamp, window: i64) -> Result<u64> {
        // Before the question: what is committed until then is in its answer, and later events come
        // by the feed.
        let loading = State { epoch: connections.epoch(), since: i64::MAX, last_seen: LastSeen::default() };
        self.held().remove(site);
        self.held().sites.insert(site.clone(), loading);
        let window = current(now, window);
        let found = last_seen(connections, site, Timestamp::from_millis(*window.start())).await;
        let mut held = self.held();
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                held.remove(site);
                return Err(error);
            }
        };
        let count = found.iter().filter(|(_, seen)| window.contains(seen)).count();
        held.see(site, found);
        if let Some(state) = held.sites.get_mut(site) {
            state.since = *window.start();
        }
        Ok(count as u64)
    }
}

/// Visitors with events since an instant, and when the latest was, from PostgreSQL.
pub(super) async fn last_seen(connections: &Connections, site: &Site, since: Timestamp) -> Result<Vec<(Uuid, i64)>> {
    let sql = format!(
        "select visitor, max(created_at) from analytics_events where site = {SITE} and created_at >= $2 group by visitor"
    );
    connections
        .ask("realtime", |client| async {
            let client = client;
            let rows = query(&client, &sql, &[&site.as_str(), &since]).await?;
            let seen = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get::<_, Timestamp>(1)?.millis())));
            seen.collect()
        })
        .await
}

/// How many visitors' latest events lie within the window, asked of PostgreSQL: for a function,
/// which cannot follow the feed.
pub(super) async fn count(connections: &Connections, site: &Site, now: Timestamp, window: i64) -> Result<u64> {
    let (first, last) = current(now, window).into_inner();
    let sql = format!(
        "select count(*) from (
             select max(created_at) as last_seen from analytics_events
             where site = {SITE} and created_at >= $2 group by visitor
         ) v where last_seen <= $3"
    );
    let (first, last) = (Timestamp::from_millis(first), Timestamp::from_millis(last));
    let count = connections.ask("realtime", |client| async {
        let client = client;
        let rows = query(&client, &sql, &[&site.as_str(), &first, &last]).await?;
        rows.first().map_or(Ok(0), |row| row.try_get::<_, i64>(0))
    });
    count.await.map(super::values::count)
}
