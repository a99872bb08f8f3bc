//! One visitor's data: found, and erased.
//!
//! A transaction deletes some events and takes them out of the day's totals. That of the last events of a
//! day also takes out the visitor, and marks the totals: a process that has cached the visitor's days
//! appends to them on the condition that they have the mark that it knows, and reads the days again when
//! it is another. Only the first item of a day's totals is marked: a process that writes to another one,
//! because writers conflict at that time, finds the mark at its next write to the first.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::batch::Scan;
use super::client::{Backoff, Table};
use super::errors::unavailable;
use super::events::Events;
use super::expiry::merge_day;
use super::item::{number, text};
use super::keys::{self, Key};
use super::rows;
use super::table::SORT_KEY;
use super::totals::{self, DayTotals, ERASED, unlocked};
use super::visits::VisitDays;
use super::write::{Condition, MOST_WRITES, Update, Write};
use crate::event::Event;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::Result;
use crate::store::visitors::{ERASED_AT_ONCE, is_only_day};
use crate::time::{Day, Timestamp};
use crate::visitor::VisitorId;

/// Events of one transaction: each may have an alias, and there are totals of up to three days and the
/// visitor.
const TOGETHER: usize = (MOST_WRITES - 4) / 2;

/// The days on which a visitor came.
pub(super) async fn visit_days(table: &Table, site: &Site, visitor: VisitorId) -> Result<Vec<Day>> {
    Ok(read_days(table, site, visitor).await?.all().collect())
}

async fn read_days(table: &Table, site: &Site, visitor: VisitorId) -> Result<VisitDays> {
    let item = table.get(&keys::visitor(site, visitor), true).await?;
    Ok(item.as_ref().map(VisitDays::read).unwrap_or_default())
}

/// A visitor's events of a day, oldest first. All events of the day are read.
pub(super) async fn events(
    table: &Table,
    site: &Site,
    visitor: VisitorId,
    day: Day,
    after: Option<(Timestamp, Uuid)>,
    limit: usize,
) -> Result<Vec<Event>> {
    let scan = Scan { consistent: true, ..Scan::default() };
    let mut reading = Events::read(table, site, Some(day.start()), Some(day.plus(1).start()), scan, None);
    let wanted = |event: &Event| {
        event.visitor == visitor
            && event.created_at.day() == day
            && after.is_none_or(|after| (event.created_at, event.id) > after)
    };
    let first = |found: &mut Vec<Event>| {
        found.sort_unstable_by_key(|event| (event.created_at, event.id));
        found.truncate(limit);
    };
    let mut found = Vec::new();
    while let Some(items) = reading.next().await? {
        let read = items.iter().filter_map(|item| rows::read(site, item)).map(|committed| committed.event);
        found.extend(read.filter(wanted));
        if found.len() > 2 * limit {
            first(&mut found);
        }
    }
    first(&mut found);
    Ok(found)
}

/// One step of erasing a visitor's events of a day. Of a day that is not `kept` no totals change.
pub(super) async fn erase_events(
    table: &Table,
    site: &Site,
    visitor: VisitorId,
    day: Day,
    kept: bool,
    now: Timestamp,
) -> Result<u64> {
    let mut backoff = Backoff::start();
    let mut erased = 0;
    loop {
        let found = events(table, site, visitor, day, None, ERASED_AT_ONCE).await?;
        if !kept {
            let keys: Vec<Key> = found.iter().flat_map(keys_of).collect();
            table.delete_all(&keys).await?;
            return Ok(found.len() as u64);
        }
        let is_end = found.len() < ERASED_AT_ONCE;
        let mut chunks: Vec<&[Event]> = found.chunks(TOGETHER).collect();
        if chunks.is_empty() {
            chunks.push(&[]);
        }
        let mut refused = false;
        for (at, events) in chunks.iter().enumerate() {
            let last = is_end && at + 1 == chunks.len();
            if !erase(table, site, visitor, day, events, last, now).await? {
                refused = true;
                break;
            }
            erased += events.len() as u64;
        }
        if !refused {
            return Ok(erased);
        }
        if !backoff.wait().await {
            return Err(unavailable(
                "events could not be erased: others write to the same totals, or these are wrong (run `rebuild`)",
            ));
        }
    }
}

/// The keys of an event and of its alias.
fn keys_of(event: &Event) -> Vec<Key> {
    let mut keys = vec![keys::by_id(&event.site, event.id)];
    if !keys::is_at_id(event.id, event.created_at) {
        keys.push(keys::by_time(&event.site, event.id, event.created_at));
    }
    keys
}

/// Erases these events, and with the last ones the day of the visitor; answers whether nothing stood in the
/// way.
async fn erase(
    table: &Table,
    site: &Site,
    visitor: VisitorId,
    day: Day,
    events: &[Event],
    last: bool,
    now: Timestamp,
) -> Result<bool> {
    let exists = |key: Key| {
        let exists = Condition::Equal(SORT_KEY.to_owned(), text(&*key.sk));
        Write::delete(key).when(exists)
    };
    let mut writes: Vec<Write> = events.iter().flat_map(keys_of).map(exists).collect();
    let mut less = BTreeMap::<Day, DayTotals>::new();
    for event in events {
        less.entry(day).or_default().add_event(event);
    }
    let mut mark = None;
    if last {
        let days = read_days(table, site, visitor).await?;
        let all: Vec<Day> = days.all().collect();
        if all.contains(&day) {
            writes.push(remove_day(site, visitor, &days, day));
            mark = Some(random());
            for (period, gone) in Period::ALL.into_iter().zip(is_only_day(&all, day)) {
                if gone && let Some(counted) = counted_on(table, site, period, day).await? {
                    let totals = less.entry(counted).or_default();
                    totals.set_new_visitors(period, 1);
                }
            }
        }
    }
    for (of, totals) in &less {
        // All that is subtracted must be in the first item.
        if !merge_day(table, site, *of, now).await? {
            return Ok(false);
        }
        let fields: Vec<(&str, u64)> = totals.fields().collect();
        let mut update = fields.iter().fold(Update::default(), |update, (name, n)| update.add(*name, -(*n as i64)));
        if let (Some(mark), true) = (mark, *of == day) {
            update = update.set(ERASED, number(mark));
        }
        let enough = fields.iter().map(|(name, n)| Condition::AtLeast((*name).to_owned(), *n as i64));
        let condition = Condition::All(enough.chain([unlocked(now)]).collect());
        writes.push(Write::update(keys::totals_of(site, *of, 0), update).when(condition));
    }
    if writes.is_empty() {
        return Ok(true);
    }
    Ok(table.write(&writes).await?.is_ok())
}

fn random() -> u32 {
    Uuid::new_v4().as_fields().0
}

/// On which day a visitor of a day, which is the only one in its period, is counted as new to it: that
/// depends on the order in which events came.
async fn counted_on(table: &Table, site: &Site, period: Period, day: Day) -> Result<Option<Day>> {
    let key = PeriodKey::of(period, day);
    let days = totals::by_day(table, site, key.first_day(), key.last_day(), true).await?;
    let counts = |of: &Day| days.get(of).is_some_and(|totals| totals.new_visitors(period) > 0);
    Ok([day].into_iter().chain(days.keys().copied()).find(counts))
}

fn remove_day(site: &Site, visitor: VisitorId, days: &VisitDays, day: Day) -> Write {
    let month = PeriodKey::of(Period::Month, day).first_day();
    let before = days.month(month).unwrap_or(0);
    let bits = before & !(1 << (day.number() - month.number()));
    let update = match bits {
        0 => Update::default().remove(keys::month(month)),
        bits => Update::default().set(keys::month(month), number(bits)),
    };
    let unchanged = Condition::Equal(keys::month(month), number(before));
    Write::update(keys::visitor(site, visitor), update).when(unchanged)
}

/// Deletes a visitor's days.
pub(super) async fn forget_visitor(table: &Table, site: &Site, visitor: VisitorId) -> Result<()> {
    table.delete_all(&[keys::visitor(site, visitor)]).await
}
