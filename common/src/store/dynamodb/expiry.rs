//! Deletes what is no longer kept. The service deletes most of it by itself and for nothing, but takes
//! its time (`ttl`); this deletes the rest.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::batch::{Range, Scan};
use super::client::Table;
use super::events::Events;
use super::item::{Item, number, sort_key};
use super::keys::{self, Key, SKEW};
use super::positions::BELOW_TIME;
use super::retained::{CachedRetained, Retained};
use super::rows;
use super::sites::sites;
use super::spread::MOST_SHARDS;
use super::totals::{DayTotals, EVENTS, of_days, unlocked};
use super::write::{Condition, Write};
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Result, Step};
use crate::time::{Day, Timestamp};

/// The most items that a step deletes.
const MOST_DELETED: usize = 250;
/// How old a day is when its totals are merged: late events come within a day.
const MERGED_AFTER: i32 = 2;
/// How far back days are looked through for totals to be merged.
const MERGED_WITHIN: i32 = 40;

/// One bounded step of the retention run.
pub(super) async fn delete_before(
    table: &Table,
    retained: &CachedRetained,
    cutoff: Day,
    now: Timestamp,
) -> Result<Step> {
    // Recorded before the first deletion: a half-deleted day is never recounted.
    let retained = retained.advance(table, Retained::after(cutoff, now)).await?;
    let mut step = Step::default();
    let mut left = MOST_DELETED;
    for site in sites(table, true).await? {
        let deleted = delete_events(table, &site, cutoff, left).await?;
        step.deleted += deleted as u64;
        left -= deleted;
        for range in expired(&site, retained, cutoff) {
            if left > 0 {
                left -= delete_range(table, range, left).await?;
            }
        }
        if left == 0 {
            return Ok(step);
        }
        merge_totals(table, &site, now).await?;
    }
    step.done = true;
    Ok(step)
}

/// Deletes events of days before the cutoff, and their aliases; answers how many.
async fn delete_events(table: &Table, site: &Site, cutoff: Day, most: usize) -> Result<usize> {
    let scan = Scan { consistent: true, ..Scan::default() };
    let mut reading = Events::read(table, site, None, Some(cutoff.start()), scan, Some(most));
    let mut deleted = 0;
    while deleted < most
        && let Some(items) = reading.next().await?
    {
        let mut keys = Vec::new();
        for item in items {
            let (Some(key), Some(committed)) = (keys::read(&item), rows::read(site, &item)) else { continue };
            if committed.event.created_at.day() < cutoff && deleted < most {
                deleted += 1;
                // The event goes last: as long as it exists, its id is found.
                keys.extend(Some(keys::by_id(site, committed.event.id)).filter(|alias| *alias != key));
                keys.push(key);
            }
        }
        table.delete_all(&keys).await?;
    }
    Ok(deleted)
}

/// The days of the oldest and of the newest event, by the order of their keys.
pub(super) async fn event_days(table: &Table, until: Timestamp) -> Result<Option<RangeInclusive<Day>>> {
    let mut days: Option<RangeInclusive<Day>> = None;
    for site in sites(table, true).await? {
        for backwards in [false, true] {
            let Some(day) = outermost_day(table, &site, until, backwards).await? else { continue };
            days = Some(days.map_or(day..=day, |days| day.min(*days.start())..=day.max(*days.end())));
        }
    }
    Ok(days)
}

/// The day of a site's first event, or of its last.
pub(super) async fn outermost_day(
    table: &Table,
    site: &Site,
    until: Timestamp,
    backwards: bool,
) -> Result<Option<Day>> {
    let scan = Scan { consistent: true, backwards, page: None };
    let mut reading = Events::read(table, site, None, Some(until), scan, Some(1));
    let mut found: Option<Timestamp> = None;
    while let Some(items) = reading.next().await? {
        let times = items.iter().filter_map(|item| Some(rows::read(site, item)?.event.created_at));
        let times = times.filter(|at| *at <= until).chain(found);
        found = if backwards { times.max() } else { times.min() };
        if found.is_some_and(|found| reading.is_settled(found.millis())) {
            break;
        }
    }
    Ok(found.map(Timestamp::day))
}

/// Where everything else lies that is no longer kept.
fn expired(site: &Site, retained: Retained, cutoff: Day) -> Vec<Range> {
    let position = (cutoff.start().millis().saturating_sub(SKEW).max(0) as u64) << BELOW_TIME;
    let late = Range::new(keys::late_index(site), "0", keys::late_entry(site, position).sk);
    // A day serves its week and its month.
    let totals = retained.long.map(|long| {
        let first = [Period::Week, Period::Month].map(|period| PeriodKey::of(period, long).first_day());
        Range::new(keys::totals(site), "0", keys::day(first[0].min(first[1])))
    });
    totals.into_iter().chain([late]).collect()
}

/// Deletes up to so many items of a range; answers how many.
pub(super) async fn delete_range(table: &Table, range: Range, most: usize) -> Result<usize> {
    let scan = Scan { consistent: true, backwards: false, page: i32::try_from(most).ok() };
    let mut deleted = 0;
    let mut pages = table.pages(range, scan);
    while deleted < most
        && let Some(items) = pages.next().await?
    {
        let keys: Vec<_> = items.iter().take(most - deleted).filter_map(keys::read).collect();
        table.delete_all(&keys).await?;
        deleted += keys.len();
    }
    Ok(deleted)
}

/// Merges the totals of each day that conflicting writers had split, so that a month stays a few small
/// items.
async fn merge_totals(table: &Table, site: &Site, now: Timestamp) -> Result<()> {
    let (first, last) = (now.day().plus(-MERGED_WITHIN), now.day().plus(-MERGED_AFTER));
    let items = table.all(of_days(keys::totals(site), first, last), true).await?;
    let mut days: BTreeMap<Day, Vec<&Item>> = BTreeMap::new();
    for item in &items {
        if let Some(day) = keys::read_day(sort_key(item)) {
            days.entry(day).or_default().push(item);
        }
    }
    for (day, shards) in days.into_iter().filter(|(_, shards)| shards.len() > 1) {
        // A late event may have changed one; then they are merged tomorrow.
        let _ = merge(table, site, day, &shards, now).await?;
    }
    Ok(())
}

/// Merges the totals of one day now; answers whether nothing stood in the way.
pub(super) async fn merge_day(table: &Table, site: &Site, day: Day, now: Timestamp) -> Result<bool> {
    let items = table.all(of_days(keys::totals(site), day, day), true).await?;
    merge(table, site, day, &items.iter().collect::<Vec<_>>(), now).await
}

async fn merge(table: &Table, site: &Site, day: Day, shards: &[&Item], now: Timestamp) -> Result<bool> {
    let mut sum = DayTotals::default();
    let mut writes = Vec::new();
    for key in (1..MOST_SHARDS).map(|shard| keys::totals_of(site, day, shard)) {
        let Some(item) = shards.iter().find(|item| sort_key(item) == key.sk) else { continue };
        let totals = DayTotals::read(item);
        if totals.counts().events > 0 {
            sum += totals;
            writes.push(delete_unchanged(key, &totals));
        }
    }
    if writes.is_empty() {
        return Ok(true);
    }
    let merged = Write::update(keys::totals_of(site, day, 0), sum.update(day));
    writes.push(merged.when(unlocked(now)));
    Ok(table.write(&writes).await?.is_ok())
}

/// Deletes totals if no event has been added: every event changes the number of events.
fn delete_unchanged(key: Key, totals: &DayTotals) -> Write {
    Write::delete(key).when(Condition::Equal(EVENTS.to_owned(), number(totals.counts().events)))
}
