//! Events in the order in which they were committed.
//!
//! Most events have a key whose time lies within [`SKEW`] of their commit; the late index lists the
//! others by position.

use std::collections::HashMap;

use uuid::Uuid;

use super::batch::{Range, Scan};
use super::client::Table;
use super::events::Events;
use super::in_flight::InFlight;
use super::item::{Item, read_text, sort_key, text, ttl};
use super::keys::{self, END, SKEW};
use super::positions::time_of;
use super::retained::Retained;
use super::rows;
use super::write::Write;
use crate::site::Site;
use crate::store::{Committed, Position, Result};
use crate::time::{DAY, Timestamp};

/// The lines of an entry of the late index: a position of 16 digits and the sort key of its event.
const LINES: &str = "l";

/// The position of a stored event.
pub(super) async fn position(
    table: &Table,
    retained: Retained,
    site: &Site,
    id: Uuid,
    consistent: bool,
) -> Result<Option<Position>> {
    let item = table.get(&keys::by_id(site, id), consistent).await?;
    let kept = item.filter(|item| rows::time(item).is_none_or(|time| retained.has_events_of(time)));
    Ok(kept.as_ref().and_then(rows::position))
}

/// The greatest position among the newest events: most often that of the latest commit. Events that this
/// process has in flight have greater ones.
pub(super) async fn latest_position(
    table: &Table,
    retained: Retained,
    site: &Site,
    in_flight: &InFlight,
) -> Result<Position> {
    let (reading, since) = (in_flight.read(), retained.events.map(|first| first.start()));
    let scan = Scan { consistent: in_flight.consistent(), backwards: true, page: None };
    let newest = Events::read(table, site, since, None, scan, Some(1)).next().await?.unwrap_or_default();
    let greatest = newest.iter().filter_map(rows::position).max();
    Ok(reading.end_at(greatest.unwrap_or_default()))
}

pub(super) async fn committed_after(
    table: &Table,
    retained: Retained,
    site: &Site,
    after: Position,
    limit: usize,
    in_flight: &InFlight,
) -> Result<Vec<Committed>> {
    let (reading, consistent) = (in_flight.read(), in_flight.consistent());
    let late = late(table, site, after, limit, consistent);
    let punctual = punctual(table, site, after, limit, consistent);
    let (mut found, punctual) = tokio::try_join!(late, punctual)?;
    found.extend(punctual);
    found.retain(|committed| retained.has_events_of(committed.event.created_at));
    found.sort_by_key(|committed| committed.position);
    found.truncate(limit);
    reading.close(&mut found);
    Ok(found)
}

/// Whether the key of an event says when it was committed.
fn is_punctual(sk: &str, position: Position) -> bool {
    keys::read_event(sk).is_some_and(|(time, _)| (time - time_of(position)).abs() <= SKEW)
}

/// The first events that are sorted by their commits.
async fn punctual(
    table: &Table,
    site: &Site,
    after: Position,
    limit: usize,
    consistent: bool,
) -> Result<Vec<Committed>> {
    let from = Timestamp::from_millis(time_of(after));
    let scan = Scan { consistent, ..Scan::default() };
    let mut reading = Events::read(table, site, Some(from), None, scan, Some(limit));
    let mut found: Vec<Committed> = Vec::new();
    while let Some(items) = reading.next().await? {
        found.extend(items.iter().filter_map(|item| {
            let committed = rows::read(site, item)?;
            let position = committed.position;
            (position > after && is_punctual(sort_key(item), position)).then_some(committed)
        }));
        if found.len() >= limit {
            found.sort_by_key(|committed| committed.position);
            let last = limit.checked_sub(1).and_then(|last| found.get(last));
            if last.is_none_or(|last| reading.is_settled(time_of(last.position))) {
                break;
            }
        }
    }
    Ok(found)
}

/// The first events of the late index.
async fn late(table: &Table, site: &Site, after: Position, limit: usize, consistent: bool) -> Result<Vec<Committed>> {
    // An entry is named by its last position, so the one that `after` lies in is found too.
    let from = keys::late_entry(site, after.0.saturating_add(1)).sk;
    let scan = Scan { consistent, backwards: false, page: i32::try_from(limit.max(1)).ok() };
    let mut pages = table.pages(Range::new(keys::late_index(site), from, END), scan);
    let mut found = HashMap::new();
    while found.len() < limit
        && let Some(items) = pages.next().await?
    {
        for item in &items {
            for line in read_text(item, LINES).unwrap_or_default().lines() {
                let position = line.get(..16).and_then(|text| u64::from_str_radix(text, 16).ok());
                let key = line.get(16..).and_then(|sk| keys::event(site, sk));
                // An event that was erased and sent again is listed twice.
                found.extend(key.zip(position.filter(|position| *position > after.0)));
            }
        }
    }
    let items = table.get_all(&found.keys().cloned().collect::<Vec<_>>(), consistent).await?;
    let read = items.iter().filter_map(|item| {
        let listed = found.get(&keys::read(item)?)?;
        rows::read(site, item).filter(|committed| committed.position.0 == *listed)
    });
    Ok(read.collect())
}

/// The events of one transaction and site that the late index lists.
#[derive(Debug, Default)]
pub(super) struct LateEntry(Vec<(Position, String)>);

impl LateEntry {
    /// Whether it has to list this item.
    pub(super) fn lists(item: &Item, position: Position) -> bool {
        rows::is_event(item) && !is_punctual(sort_key(item), position)
    }

    /// Adds an event; the caller adds them in order of position.
    pub(super) fn add(&mut self, position: Position, sk: &str) {
        self.0.push((position, sk.to_owned()));
    }

    /// `None` when it is empty.
    pub(super) fn write(&self, site: &Site, retention: i64) -> Option<Write> {
        let (last, _) = self.0.last()?;
        let key = keys::late_entry(site, last.0);
        let lines: Vec<_> = self.0.iter().map(|(position, sk)| format!("{:016x}{sk}", position.0)).collect();
        let committed = Timestamp::from_millis(time_of(*last));
        let mut item = key.attributes();
        item.extend([(LINES.to_owned(), text(lines.join("\n"))), ttl(committed.plus((retention + 1) * DAY))]);
        Some(Write::put(key, item))
    }
}
