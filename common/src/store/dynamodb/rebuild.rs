//! `rebuild`: what a recount says takes the place of what is stored.
//!
//! Meanwhile no process can count an event in the days that are recounted: every transaction
//! that does changes an item of the day's totals on the condition that it is not locked, and
//! all of these items, also those that do not exist yet, are locked before the first event is
//! read. A lock of somebody who died holds for ten minutes; then `rebuild` has to be run again,
//! because it may have been half done.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::ask::Range;
use super::client::Tables;
use super::counted::{LOCK, cell_fields, clicks_ttl, name, totals_ttl, visitor_ttl};
use super::draft::{Action, Change, Condition, Draft, LOCKED, MOST_ACTIONS};
use super::errors::unavailable;
use super::facts::Kept;
use super::figures::{self, field};
use super::item::{Item, number, sort_key, ttl};
use super::keys::{self, END, Key, Kind};
use super::knowledge::Days;
use super::recount::{Count, all_totals, compare, present_slots};
use super::spread::MOST_SHARDS;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Progress, Recount, Result};
use crate::tally::{Click, Dimension};
use crate::time::{Day, HOUR, Timestamp};

/// Recounts one site while its days are locked.
pub(super) async fn rebuild(
    tables: &Tables,
    site: &Site,
    kept: Kept,
    retention: i64,
    now: Timestamp,
    progress: &Progress,
    recount: &mut Recount,
) -> Result<()> {
    let since = kept.events.unwrap_or(Day::from_number(0));
    let days = days(&all_totals(tables, site, since).await?, since, now);
    lock(tables, site, &days, now).await?;
    let rebuilt = async {
        let count = compare(tables, site, kept, now, progress, recount).await?;
        replace_visitors(tables, site, &count, since, retention).await?;
        replace(tables, site, &count, since, now).await
    };
    let rebuilt = rebuilt.await;
    // Also after a failure: better unlocked and half done than locked and half done.
    let unlocked = unlock(tables, site, &days).await;
    rebuilt.and(unlocked)
}

/// All days that have totals, and those that may get some meanwhile.
fn days(totals: &[Item], since: Day, now: Timestamp) -> Vec<Day> {
    let with_totals = || totals.iter().filter_map(|item| keys::read_day(sort_key(item)));
    let first = with_totals().min().unwrap_or(now.day()).min(now.day().plus(-1)).max(since);
    let last = with_totals().max().unwrap_or(now.day()).max(now.day().plus(1));
    (first.number()..=last.number()).map(Day::from_number).collect()
}

fn totals_of<'a>(site: &'a Site, days: &'a [Day]) -> impl Iterator<Item = Key> + 'a {
    days.iter().flat_map(|day| (0..MOST_SHARDS).map(|shard| keys::totals_of(site, *day, shard)))
}

async fn lock(tables: &Tables, site: &Site, days: &[Day], now: Timestamp) -> Result<()> {
    let keys: Vec<Key> = totals_of(site, days).collect();
    for keys in keys.chunks(MOST_ACTIONS) {
        let mut draft = Draft::default();
        for key in keys {
            let lock = Change::when(Condition::Open(now.plus(-LOCK).millis()));
            draft.add(key.clone(), Action::Change(lock.set((LOCKED.to_owned(), number(now.millis())))));
        }
        if !tables.transact(&draft).await? {
            return Err(unavailable("its figures are being rebuilt by another process, or were 10 minutes ago"));
        }
    }
    Ok(())
}

async fn unlock(tables: &Tables, site: &Site, days: &[Day]) -> Result<()> {
    let (Some(first), Some(last)) = (days.first(), days.last()) else { return Ok(()) };
    let mut empty = Vec::new();
    let mut draft = Draft::default();
    for item in tables.all(figures::of_days(keys::totals(site), *first, *last), true).await? {
        let Some(key) = keys::read(&item) else { continue };
        if !item.contains_key(name::EVENTS) {
            // It was made by the lock.
            empty.push(key);
        } else if item.contains_key(LOCKED) {
            let mut open = Change::when(Condition::None);
            open.remove.insert(LOCKED.to_owned());
            draft.add(key, Action::Change(open));
            if draft.len() == MOST_ACTIONS {
                tables.transact(&std::mem::take(&mut draft)).await?;
            }
        }
    }
    if draft.len() > 0 {
        tables.transact(&draft).await?;
    }
    tables.delete_all(&empty).await
}

/// Items by name.
type Items = BTreeMap<Key, Item>;

/// Puts what was counted in the place of what is stored, item by item where they differ.
async fn replace(tables: &Tables, site: &Site, count: &Count, since: Day, now: Timestamp) -> Result<()> {
    let mut stored = Items::new();
    for range in ranges(site, since, now) {
        stored.extend(tables.all(range, true).await?.into_iter().filter_map(|item| Some((keys::read(&item)?, item))));
    }
    let totals = keys::totals(site);
    let old_totals: Vec<&Item> = stored.iter().filter(|(key, _)| key.pk == totals).map(|(_, item)| item).collect();
    let wanted = wanted(site, count, since, now, &old_totals);
    // Locks stay where they are until all is done.
    let extra: Vec<Key> = stored
        .iter()
        .filter(|(key, item)| !wanted.contains_key(*key) && (key.pk != totals || item.contains_key(name::EVENTS)))
        .map(|(key, _)| key.clone())
        .collect();
    let (extra_totals, extra): (Vec<_>, Vec<_>) = extra.into_iter().partition(|key| key.pk == totals);
    tables.delete_all(&extra).await?;
    let emptied = extra_totals.into_iter().map(|key| locked(&key, now)).collect();
    tables.put_all(emptied).await?;
    let put = wanted.into_iter().filter(|(key, item)| stored.get(key).is_none_or(|old| !alike(old, item)));
    tables.put_all(put.map(|(_, item)| item).collect()).await
}

/// A totals item that says nothing but that it is locked.
fn locked(key: &Key, now: Timestamp) -> Item {
    let mut item = key.attributes();
    item.insert(LOCKED.to_owned(), number(now.millis()));
    item
}

fn alike(a: &Item, b: &Item) -> bool {
    let differs = |a: &Item, b: &Item| a.iter().any(|(name, value)| name != "ttl" && b.get(name) != Some(value));
    !differs(a, b) && !differs(b, a)
}

/// Where everything is that a rebuild replaces, visitors aside.
fn ranges(site: &Site, since: Day, now: Timestamp) -> Vec<Range> {
    let last = Day::from_number(i32::MAX);
    let mut ranges = vec![
        figures::of_days(keys::totals(site), since, last),
        figures::of_days(keys::targets(site), since, last),
        Range::new(keys::clicks(site), keys::hour(since.start().hour()), END),
    ];
    for kind in Kind::ALL {
        if let Kind::Values(dimension) = kind {
            ranges.push(figures::of_days(keys::values(site, dimension), since, last));
        }
        let of = |day| keys::head(site, kind, day).sk;
        ranges.push(Range::new(keys::heads(site), of(since), format!("{}{END}", of(last))));
    }
    let slots = present_slots(now);
    let to = format!("{}{END}", keys::slot_text(*slots.end()));
    ranges.push(Range::new(keys::presence(site), keys::slot_text(*slots.start()), to));
    ranges
}

/// What should be stored.
fn wanted(site: &Site, count: &Count, since: Day, now: Timestamp, old_totals: &[&Item]) -> Items {
    let mut wanted = Items::new();
    let mut put = |key: Key, fields: Vec<(String, aws_sdk_dynamodb::types::AttributeValue)>| {
        let mut item = key.attributes();
        item.extend(fields);
        wanted.insert(key, item);
    };
    let new_visitors = count.new_visitors();
    for (day, of_day) in &count.days {
        let day = *day;
        let mut numbers: BTreeMap<String, i64> = of_day.totals.clone();
        for period in Period::ALL {
            let name = figures::visitors(period);
            let covered = PeriodKey::of(period, day).first_day() >= since;
            let n = if covered {
                new_visitors.get(&(day, name)).copied().unwrap_or(0)
            } else {
                // What the kept events do not tell stays as it was.
                let of_day = old_totals.iter().filter(|item| keys::read_day(sort_key(item)) == Some(day));
                of_day.map(|item| field(item, name) as i64).sum()
            };
            if n > 0 {
                numbers.insert(name.to_owned(), n);
            }
        }
        let mut fields: Vec<_> = numbers.into_iter().map(|(name, n)| (name, number(n))).collect();
        fields.extend([(LOCKED.to_owned(), number(now.millis())), totals_ttl(day)]);
        put(keys::totals_of(site, day, 0), fields);
        for kind in Kind::ALL {
            let own = match kind {
                Kind::Values(dimension) => put_values(site, day, dimension, &of_day.values(dimension), &mut put),
                Kind::Targets => {
                    let targets = of_day.targets();
                    for (page, element) in &targets {
                        put(keys::target(site, day, page, element), vec![clicks_ttl(day)]);
                    }
                    targets.len()
                }
            };
            if own > 0 {
                put(keys::head(site, kind, day), vec![("n".to_owned(), number(own)), totals_ttl(day)]);
            }
        }
        for ((hour, page, element, x, y), n) in of_day.cells() {
            let click = Click { page, element, x, y };
            let mut fields = cell_fields(&click);
            fields.extend([("n".to_owned(), number(n)), clicks_ttl(day)]);
            put(keys::click(site, hour, &click), fields);
        }
    }
    for (slot, visitor) in &count.present {
        let gone = Timestamp::from_millis((slot + 1) * keys::SLOT).plus(2 * HOUR);
        put(keys::present(site, *slot, *visitor), vec![ttl(gone)]);
    }
    wanted
}

/// Answers how many values have a place of their own.
fn put_values(
    site: &Site,
    day: Day,
    dimension: Dimension,
    values: &BTreeMap<&str, i64>,
    put: &mut impl FnMut(Key, Vec<(String, aws_sdk_dynamodb::types::AttributeValue)>),
) -> usize {
    for (value, n) in values {
        put(keys::value(site, dimension, day, 0, value), vec![("n".to_owned(), number(n)), totals_ttl(day)]);
    }
    values.keys().filter(|value| **value != crate::tally::OTHER).count()
}

/// Writes the days of all visitors whose months the kept events cover.
async fn replace_visitors(tables: &Tables, site: &Site, count: &Count, since: Day, retention: i64) -> Result<()> {
    let named: HashMap<Key, _> =
        count.visitors.iter().map(|(visitor, days)| (keys::visitor(site, *visitor), days)).collect();
    let all: Vec<Key> = named.keys().cloned().collect();
    for keys_of in all.chunks(MOST_ACTIONS) {
        let stored: HashMap<Key, Item> = tables
            .get_all(keys_of, true)
            .await?
            .into_iter()
            .filter_map(|item| Some((keys::read(&item)?, item)))
            .collect();
        let mut items = Vec::new();
        for key in keys_of {
            let Some(days) = named.get(key) else { continue };
            let old = stored.get(key);
            let mut item = old.cloned().unwrap_or_else(|| key.attributes());
            let months: HashSet<String> = days.months().map(|(month, _)| keys::month(month)).collect();
            for month in old.iter().flat_map(|old| Days::read(old).months().map(|(month, _)| month).collect::<Vec<_>>())
            {
                if month >= since && !months.contains(&keys::month(month)) {
                    item.remove(&keys::month(month));
                }
            }
            for (month, bits) in days.months() {
                // Of a month that is not covered, the days that are kept came for certain.
                let before = old.and_then(|old| super::item::read_number::<u32>(old, &keys::month(month))).unwrap_or(0);
                let bits = if month >= since { bits } else { bits | before };
                item.insert(keys::month(month), number(bits));
            }
            if old.is_none_or(|old| !alike(old, &item)) {
                item.extend(days.last().map(|last| visitor_ttl(last, retention)));
                items.push(item);
            }
        }
        tables.put_all(items).await?;
    }
    Ok(())
}
