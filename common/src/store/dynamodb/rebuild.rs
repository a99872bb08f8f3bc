//! `rebuild`: a recount takes the place of what is stored.
//!
//! Meanwhile no process can append events to the days that are recounted: every append updates an item
//! of the day's totals on the condition that it is not locked, and all of these items, also those that
//! do not exist yet, are locked before the first event is read. The lock of a process that died holds
//! for ten minutes; then `rebuild` has to be run again, because it may have been half done.

use std::collections::HashMap;

use super::append;
use super::client::Table;
use super::errors::unavailable;
use super::expiry::outermost_day;
use super::item::{Item, number, sort_key};
use super::keys::{self, Key, by_key};
use super::recount::{Count, compare};
use super::retained::Retained;
use super::spread::MOST_SHARDS;
use super::table::TIME_TO_LIVE;
use super::totals::{self, DayTotals, EVENTS, LOCKED, of_days, unlocked};
use super::visits::VisitDays;
use super::write::{Condition, MOST_WRITES, Update, Write};
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Progress, Recount, Result};
use crate::time::{Day, Timestamp};

/// Recounts one site while its days are locked.
pub(super) async fn rebuild(
    table: &Table,
    site: &Site,
    retained: Retained,
    retention: i64,
    now: Timestamp,
    progress: &Progress,
    recount: &mut Recount,
) -> Result<()> {
    let since = retained.events.unwrap_or(Day::from_number(0));
    let (first, last) = days(table, site, since, now).await?;
    lock(table, site, first, last, now).await?;
    let rebuilt = async {
        let count = compare(table, site, retained, progress, recount).await?;
        replace_visitors(table, site, &count, since, retention).await?;
        replace_totals(table, site, &count, since, (first, last), now).await
    };
    let rebuilt = rebuilt.await;
    // Also after an error: half done and unlocked is better than half done and locked.
    let unlocked = unlock(table, site, first, last).await;
    rebuilt.and(unlocked)
}

/// The first and last of all days that have totals or events, and of those that may get some meanwhile.
async fn days(table: &Table, site: &Site, since: Day, now: Timestamp) -> Result<(Day, Day)> {
    let stored = totals::by_day(table, site, since, Day::from_number(i32::MAX), true).await?;
    let ends = [stored.first_key_value(), stored.last_key_value()].map(|end| end.map(|(day, _)| *day));
    let mut days: Vec<Day> = ends.into_iter().flatten().chain([now.day().plus(-1), now.day().plus(1)]).collect();
    for backwards in [false, true] {
        days.extend(outermost_day(table, site, Timestamp::from_millis(i64::MAX), backwards).await?);
    }
    let days = days.into_iter().map(|day| day.max(since));
    Ok(days.fold((now.day(), now.day()), |(first, last), day| (first.min(day), last.max(day))))
}

async fn lock(table: &Table, site: &Site, first: Day, last: Day, now: Timestamp) -> Result<()> {
    let days = (first.number()..=last.number()).map(Day::from_number);
    let keys = days.flat_map(|day| (0..MOST_SHARDS).map(move |shard| keys::totals_of(site, day, shard)));
    let locks: Vec<Write> = keys
        .map(|key| Write::update(key, Update::default().set(LOCKED, number(now.millis()))).when(unlocked(now)))
        .collect();
    for locks in locks.chunks(MOST_WRITES) {
        if table.write(locks).await?.is_err() {
            return Err(unavailable("another process rebuilds the totals, or did less than 10 minutes ago and died"));
        }
    }
    Ok(())
}

async fn unlock(table: &Table, site: &Site, first: Day, last: Day) -> Result<()> {
    let items = table.all(of_days(keys::totals(site), first, last), true).await?;
    let locked = items.iter().filter(|item| item.contains_key(LOCKED));
    let unlocks: Vec<Write> = locked.filter_map(|item| Some(unlock_item(keys::read(item)?, item))).collect();
    for unlocks in unlocks.chunks(MOST_WRITES) {
        let _ = table.write(unlocks).await?;
    }
    Ok(())
}

/// An item without events was made by the lock.
fn unlock_item(key: Key, item: &Item) -> Write {
    if item.contains_key(EVENTS) {
        Write::update(key, Update::default().remove(LOCKED))
    } else {
        Write::delete(key).when(Condition::Absent(EVENTS.to_owned()))
    }
}

/// Puts what was counted in the place of what is stored, item by item where they differ. All items
/// stay locked: a write that is repeated because its answer was lost must not undo an append.
async fn replace_totals(
    table: &Table,
    site: &Site,
    count: &Count,
    since: Day,
    (first, last): (Day, Day),
    now: Timestamp,
) -> Result<()> {
    let stored = table.all(of_days(keys::totals(site), first, last), true).await?;
    let mut before: HashMap<Day, DayTotals> = HashMap::new();
    for item in &stored {
        if let Some(day) = keys::read_day(sort_key(item)) {
            *before.entry(day).or_default() += DayTotals::read(item);
        }
    }
    let mut wanted: HashMap<Key, Item> = HashMap::new();
    for (day, totals) in &count.days {
        let mut totals = *totals;
        for period in Period::ALL.into_iter().filter(|period| PeriodKey::of(*period, *day).first_day() < since) {
            // Events that are no longer kept decided which visitors were new.
            totals.set_new_visitors(period, before.get(day).map_or(0, |before| before.new_visitors(period)));
        }
        wanted.insert(keys::totals_of(site, *day, 0), totals.item(site, *day));
    }
    let lock = number(now.millis());
    let replaced = stored.iter().filter_map(|old| {
        let key = keys::read(old)?;
        let mut item = wanted.get(&key).cloned().unwrap_or_else(|| key.attributes());
        item.insert(LOCKED.to_owned(), lock.clone());
        (!is_same(old, &item)).then_some(item)
    });
    table.put_all(replaced.collect()).await
}

/// Whether two items differ in nothing but when they expire.
fn is_same(a: &Item, b: &Item) -> bool {
    let within = |a: &Item, b: &Item| a.iter().all(|(name, value)| name == TIME_TO_LIVE || b.get(name) == Some(value));
    within(a, b) && within(b, a)
}

/// Writes the days of all visitors in the months that the kept events cover.
async fn replace_visitors(table: &Table, site: &Site, count: &Count, since: Day, retention: i64) -> Result<()> {
    let counted: Vec<(Key, &VisitDays)> =
        count.visitors.iter().map(|(visitor, days)| (keys::visitor(site, *visitor), days)).collect();
    for counted in counted.chunks(MOST_WRITES) {
        let keys: Vec<Key> = counted.iter().map(|(key, _)| key.clone()).collect();
        let stored = by_key(table.get_all(&keys, true).await?);
        let items = counted.iter().filter_map(|(key, days)| {
            let old = stored.get(key);
            let mut item = visitor_item(key, old, days, since);
            if old.is_some_and(|old| is_same(old, &item)) {
                return None;
            }
            item.extend(days.last().map(|last| append::expiry(last, retention)));
            Some(item)
        });
        table.put_all(items.collect()).await?;
    }
    Ok(())
}

/// The days that were counted, and what is stored of months that the kept events do not cover.
fn visitor_item(key: &Key, old: Option<&Item>, days: &VisitDays, since: Day) -> Item {
    let before = old.map(VisitDays::read).unwrap_or_default();
    let mut item = old.cloned().unwrap_or_else(|| key.attributes());
    for (month, _) in before.months().filter(|(month, _)| *month >= since) {
        item.remove(&keys::month(month));
    }
    for (month, bits) in days.months() {
        let gone = if month >= since { 0 } else { before.month(month).unwrap_or(0) };
        item.insert(keys::month(month), number(bits | gone));
    }
    item
}
