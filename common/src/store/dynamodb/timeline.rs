//! Events in the order of their own times.

use super::batch::Scan;
use super::client::Table;
use super::events::Events;
use super::retained::Retained;
use super::rows;
use crate::event::Event;
use crate::site::Site;
use crate::store::{Result, TimelineFrom};
use crate::time::Timestamp;

pub(super) async fn timeline(
    table: &Table,
    retained: Retained,
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
            && retained.has_events_of(event.created_at)
    };
    let count = offset.saturating_add(limit);
    let since = retained.events.map(|first| first.start());
    let scan = Scan { consistent, backwards: true, page: None };
    let mut reading = Events::read(table, site, since, Some(until), scan, Some(count));
    let mut events: Vec<Event> = Vec::new();
    while let Some(items) = reading.next().await? {
        let read = items.iter().filter_map(|item| rows::read(site, item)).map(|committed| committed.event);
        events.extend(read.filter(wanted));
        if events.len() >= count {
            sort(&mut events);
            let last = count.checked_sub(1).and_then(|last| events.get(last));
            if last.is_none_or(|last| reading.is_settled(last.created_at.millis())) {
                break;
            }
        }
    }
    sort(&mut events);
    Ok(events.into_iter().skip(offset).take(limit).collect())
}

fn sort(events: &mut [Event]) {
    events.sort_by_key(|event| std::cmp::Reverse((event.created_at, event.id)));
}

/// All events of these times, the first excluded and the last included, in no order.
pub(super) async fn between(
    table: &Table,
    site: &Site,
    after: Timestamp,
    until: Timestamp,
    consistent: bool,
) -> Result<Vec<Event>> {
    let mut found = Vec::new();
    let scan = Scan { consistent, ..Scan::default() };
    let mut reading = Events::read(table, site, Some(after), Some(until), scan, None);
    while let Some(items) = reading.next().await? {
        let read = items.iter().filter_map(|item| rows::read(site, item)).map(|committed| committed.event);
        found.extend(read.filter(|event| event.created_at > after && event.created_at <= until));
    }
    Ok(found)
}
