//! Questions that read events, in the order of their own times.
//!
//! Events are sorted by a time that lies within [`keys::SKEW`] of their own, so an order is
//! certain as soon as one has read so much further.

use super::ask::{Range, Way};
use super::client::Tables;
use super::facts::Kept;
use super::item::sort_key;
use super::keys::{self, EVENT_SHARDS, SKEW};
use super::stored;
use crate::event::Event;
use crate::site::Site;
use crate::store::{Committed, Result, TimelineFrom};
use crate::time::Timestamp;

/// Items that one request for the newest events looks at beyond those that are needed.
const SPARE: usize = 20;
/// Items that one request looks at, at most.
const LARGEST_PAGE: usize = 1_000;

pub(super) async fn timeline(
    tables: &Tables,
    kept: Kept,
    site: &Site,
    from: TimelineFrom,
    limit: usize,
    consistent: bool,
) -> Result<Vec<Event>> {
    let (until, below, offset) = match from {
        TimelineFrom::Newest { until, offset } => (until, None, offset as usize),
        TimelineFrom::Below(at, id) => (at, Some((at, id)), 0),
    };
    let wanted = |event: &Event| {
        event.created_at <= until
            && below.is_none_or(|below| (event.created_at, event.id) < below)
            && kept.has_events_of(event.created_at)
    };
    let mut events = Vec::new();
    for shard in 0..EVENT_SHARDS {
        events.extend(newest(tables, site, shard, until, offset + limit, consistent, &wanted).await?);
    }
    sort(&mut events);
    Ok(events.into_iter().skip(offset).take(limit).collect())
}

fn sort(events: &mut [Event]) {
    events.sort_by_key(|event| std::cmp::Reverse((event.created_at, event.id)));
}

/// The newest events of a shard that are wanted, and perhaps some more.
async fn newest(
    tables: &Tables,
    site: &Site,
    shard: u8,
    until: Timestamp,
    count: usize,
    consistent: bool,
    wanted: &(dyn Fn(&Event) -> bool + Sync),
) -> Result<Vec<Event>> {
    let to = keys::events_to(until.millis().saturating_add(SKEW));
    let page = (count + SPARE).min(LARGEST_PAGE);
    let way = Way { consistent, backwards: true, page: i32::try_from(page).ok() };
    let mut pages = tables.pages(Range::new(keys::events(site, shard), " ", to), way);
    let mut events: Vec<Event> = Vec::new();
    while let Some(items) = pages.next().await? {
        let reached = items.last().and_then(|item| keys::read_event(sort_key(item))).map(|(time, _)| time);
        let read = items.iter().filter_map(|item| stored::read(site, item)).map(|committed| committed.event);
        events.extend(read.filter(wanted));
        if events.len() >= count {
            sort(&mut events);
            // Nothing that is still to be read can be newer than the last one needed.
            let last = count.checked_sub(1).and_then(|last| events.get(last));
            if last.is_none_or(|last| reached.is_none_or(|reached| reached + SKEW < last.created_at.millis())) {
                break;
            }
        }
    }
    Ok(events)
}

/// All events of these times, the first excluded and the last included, in no order.
pub(super) async fn between(
    tables: &Tables,
    site: &Site,
    after: Timestamp,
    until: Timestamp,
    consistent: bool,
) -> Result<Vec<Committed>> {
    let mut found = Vec::new();
    for shard in 0..EVENT_SHARDS {
        let range = Range::new(
            keys::events(site, shard),
            keys::events_from(after.millis().saturating_sub(SKEW)),
            keys::events_to(until.millis().saturating_add(SKEW)),
        );
        let items = tables.all(range, consistent).await?;
        let read = items.iter().filter_map(|item| stored::read(site, item));
        found
            .extend(read.filter(|committed| committed.event.created_at > after && committed.event.created_at <= until));
    }
    Ok(found)
}
