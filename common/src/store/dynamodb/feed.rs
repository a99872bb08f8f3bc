//! Events in the order in which they were committed.
//!
//! Most events are sorted by a time that lies within [`SKEW`] of their commit; the others are
//! listed by position, a line each in the list of their transaction.

use super::ask::{Range, Way};
use super::client::Tables;
use super::facts::Kept;
use super::item::{read_text, sort_key};
use super::keys::{self, END, EVENT_SHARDS, SKEW};
use super::positions::time_of;
use super::stored;
use super::written::Written;
use crate::site::Site;
use crate::store::{Committed, Position, Result};
use uuid::Uuid;

/// Items that one request looks at beyond those that are needed.
const SPARE: usize = 20;
/// Items that one request looks at, at most.
const LARGEST_PAGE: usize = 1_000;

/// The place of a stored event.
pub(super) async fn position(
    tables: &Tables,
    kept: Kept,
    site: &Site,
    id: Uuid,
    consistent: bool,
) -> Result<Option<Position>> {
    let item = tables.get(&keys::by_id(site, id), consistent).await?;
    let Some(item) = item else { return Ok(None) };
    let time = stored::time(&item);
    Ok(stored::position(&item).filter(|_| time.is_none_or(|time| kept.has_events_of(time))))
}

pub(super) async fn committed_after(
    tables: &Tables,
    kept: Kept,
    site: &Site,
    after: Position,
    limit: usize,
    written: &Written,
) -> Result<Vec<Committed>> {
    let (reading, consistent) = (written.read(), written.consistent());
    let mut found = listed(tables, site, after, limit, consistent).await?;
    for shard in 0..EVENT_SHARDS {
        found.extend(sorted(tables, site, shard, after, limit, consistent).await?);
    }
    found.retain(|committed| kept.has_events_of(committed.event.created_at));
    found.sort_by_key(|committed| committed.position);
    found.truncate(limit);
    reading.close(&mut found);
    Ok(found)
}

/// The first events of a shard that are sorted by the time of their commit.
async fn sorted(
    tables: &Tables,
    site: &Site,
    shard: u8,
    after: Position,
    limit: usize,
    consistent: bool,
) -> Result<Vec<Committed>> {
    let from = keys::events_from(time_of(after).saturating_sub(SKEW));
    let page = (limit + SPARE).min(LARGEST_PAGE);
    let way = Way { consistent, backwards: false, page: i32::try_from(page).ok() };
    let mut pages = tables.pages(Range::new(keys::events(site, shard), from, END), way);
    let mut found: Vec<Committed> = Vec::new();
    while let Some(items) = pages.next().await? {
        let mut reached = i64::MAX;
        for item in &items {
            let Some((time, _)) = keys::read_event(sort_key(item)) else { continue };
            reached = time;
            let committed = stored::read(site, item)
                .filter(|committed| committed.position > after && (time - time_of(committed.position)).abs() <= SKEW);
            found.extend(committed);
        }
        if found.len() >= limit {
            found.sort_by_key(|committed| committed.position);
            let last = limit.checked_sub(1).and_then(|last| found.get(last));
            // Nothing that is still to be read can come before the last one needed.
            if last.is_none_or(|last| reached - SKEW > time_of(last.position)) {
                break;
            }
        }
    }
    Ok(found)
}

/// The first events that are listed.
async fn listed(
    tables: &Tables,
    site: &Site,
    after: Position,
    limit: usize,
    consistent: bool,
) -> Result<Vec<Committed>> {
    // A list is named by its last position, so the one that `after` lies in is found too.
    let from = keys::log_entry(site, after.0.saturating_add(1)).sk;
    let way = Way { consistent, backwards: false, page: i32::try_from(limit.max(1)).ok() };
    let mut pages = tables.pages(Range::new(keys::log(site), from, END), way);
    let mut places = Vec::new();
    while places.len() < limit
        && let Some(items) = pages.next().await?
    {
        for item in &items {
            for line in read_text(item, "l").unwrap_or_default().lines() {
                let place = line.get(..16).and_then(|text| u64::from_str_radix(text, 16).ok());
                let key = line.get(16..).and_then(|sk| keys::event(site, sk));
                places.extend(key.filter(|_| place.is_some_and(|place| place > after.0)));
            }
        }
    }
    let found = tables.get_all(&places, consistent).await?;
    Ok(found.iter().filter_map(|item| stored::read(site, item)).collect())
}
