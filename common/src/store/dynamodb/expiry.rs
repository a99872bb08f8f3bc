//! What is not kept: old events, and aggregates that have outlived their use. Most of it the
//! service deletes by itself and for nothing, in its own good time (`ttl`); this deletes what
//! is left.

use std::ops::RangeInclusive;

use super::ask::{Range, Way};
use super::client::Tables;
use super::counted::{LOCK, name};
use super::draft::{Action, Change, Condition, Draft};
use super::facts::{Kept, KnownKept};
use super::figures;
use super::item::{Item, read_number, sort_key};
use super::keys::{self, EVENT_SHARDS, Key, Kind, SKEW};
use super::spread::MOST_SHARDS;
use super::stored;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Result, Step};
use crate::time::{DAY, Day, Timestamp};

/// Items that a step deletes at most.
const MOST_DELETED: usize = 250;
/// Click cells are asked for 168 hours back at most.
const CLICK_DAYS: i32 = 8;
/// Late events come within a day: the shards of days before yesterday can be put together.
const SETTLED: i32 = 2;
/// Items looked at together for the first event: an alias may stand before it.
const EVENTS_LOOKED_AT: i32 = 25;
/// How far back days are looked through for shards to be put together.
const LOOK_BACK: i32 = 40;

/// One bounded step of the retention run.
pub(super) async fn delete_before(tables: &Tables, known: &KnownKept, cutoff: Day, now: Timestamp) -> Result<Step> {
    // Said before the first deletion: a half-deleted day is never recounted.
    let kept = known.advance(tables, Kept::after(cutoff, now)).await?;
    let mut step = Step::default();
    let mut left = MOST_DELETED;
    for site in figures::sites(tables, true).await? {
        for shard in 0..EVENT_SHARDS {
            let deleted = delete_events(tables, &site, shard, cutoff, left).await?;
            step.deleted += deleted as u64;
            left = left.saturating_sub(deleted);
        }
        for range in outlived(&site, kept, cutoff, now) {
            if left > 0 {
                left -= delete_range(tables, range, left).await?;
            }
        }
        if left == 0 {
            return Ok(step);
        }
        put_shards_together(tables, &site, now).await?;
    }
    step.done = true;
    Ok(step)
}

/// Deletes events of days before the cutoff, with what stands in for them; answers how many.
async fn delete_events(tables: &Tables, site: &Site, shard: u8, cutoff: Day, most: usize) -> Result<usize> {
    let to = keys::events_to(cutoff.start().millis().saturating_add(SKEW));
    let way = Way { consistent: true, backwards: false, page: i32::try_from(most.max(1)).ok() };
    let mut pages = tables.pages(Range::new(keys::events(site, shard), " ", to), way);
    let mut deleted = 0;
    while deleted < most
        && let Some(items) = pages.next().await?
    {
        let old = items.iter().filter_map(|item| Some((sort_key(item), stored::read(site, item)?.event)));
        let old = old.filter(|(_, event)| event.created_at.day() < cutoff).take(most - deleted);
        let mut doomed = Vec::new();
        for (sk, event) in old {
            let key = Key::new(keys::events(site, shard), sk);
            let by_id = keys::by_id(site, event.id);
            deleted += 1;
            // The event goes last: as long as it is there, what its id leads to is found.
            if by_id != key {
                doomed.push(by_id);
            }
            doomed.push(key);
        }
        tables.delete_all(&doomed).await?;
    }
    Ok(deleted)
}

/// The days of the oldest and of the newest event, by the order of their keys.
pub(super) async fn event_days(tables: &Tables, until: Timestamp) -> Result<Option<RangeInclusive<Day>>> {
    let mut days: Option<RangeInclusive<Day>> = None;
    for site in figures::sites(tables, true).await? {
        for (shard, backwards) in (0..EVENT_SHARDS).flat_map(|shard| [(shard, false), (shard, true)]) {
            let Some(day) = first_event_day(tables, &site, shard, until, backwards).await? else { continue };
            days = Some(days.map_or(day..=day, |days| day.min(*days.start())..=day.max(*days.end())));
        }
    }
    Ok(days)
}

/// The day of a shard's first event, or of its last.
async fn first_event_day(
    tables: &Tables,
    site: &Site,
    shard: u8,
    until: Timestamp,
    backwards: bool,
) -> Result<Option<Day>> {
    // Aliases of random ids lie after all events.
    let range = Range::new(keys::events(site, shard), " ", keys::events_to(until.plus(SKEW).millis()));
    let mut pages = tables.pages(range, Way { consistent: true, backwards, page: Some(EVENTS_LOOKED_AT) });
    while let Some(items) = pages.next().await? {
        let found = items.iter().filter_map(|item| Some(stored::read(site, item)?.event.created_at));
        if let Some(at) = found.into_iter().find(|at| *at <= until) {
            return Ok(Some(at.day()));
        }
    }
    Ok(None)
}

/// Where everything is that has outlived its use, but for events.
fn outlived(site: &Site, kept: Kept, cutoff: Day, now: Timestamp) -> Vec<Range> {
    let before_day = |pk: String, prefix: &str, day: Day| {
        Range::new(pk, format!("{prefix}0"), format!("{prefix}{}", keys::day(day)))
    };
    let clicks = now.day().plus(-CLICK_DAYS);
    let mut ranges = vec![
        Range::new(keys::presence(site), "0", keys::slot_text(keys::slot(now.plus(-DAY)))),
        Range::new(keys::clicks(site), "0", keys::hour(clicks.start().hour())),
        before_day(keys::targets(site), "", clicks),
        Range::new(
            keys::log(site),
            "0",
            keys::log_entry(site, (cutoff.start().millis().max(0) as u64) << super::positions::BELOW_TIME).sk,
        ),
    ];
    if let Some(long) = kept.long {
        // A day serves its week and its month.
        let first = [Period::Week, Period::Month].map(|period| PeriodKey::of(period, long).first_day());
        let first = first[0].min(first[1]);
        ranges.push(before_day(keys::totals(site), "", first));
        for kind in Kind::ALL {
            if let Kind::Values(dimension) = kind {
                ranges.push(before_day(keys::values(site, dimension), "", first));
            }
            ranges.push(before_day(keys::heads(site), &format!("{}#", kind.letter()), first));
        }
    }
    ranges
}

/// Deletes up to so many items of a range; answers how many.
pub(super) async fn delete_range(tables: &Tables, range: Range, most: usize) -> Result<usize> {
    let way = Way { consistent: true, backwards: false, page: i32::try_from(most).ok() };
    let mut deleted = 0;
    let pk = range.pk.clone();
    let mut pages = tables.pages(range, way);
    while deleted < most
        && let Some(items) = pages.next().await?
    {
        let keys: Vec<_> = items.iter().take(most - deleted).map(|item| Key::new(&pk, sort_key(item))).collect();
        tables.delete_all(&keys).await?;
        deleted += keys.len();
    }
    Ok(deleted)
}

/// Makes one item of the totals of days that many processes wrote at once, so that a month
/// stays a few small items.
async fn put_shards_together(tables: &Tables, site: &Site, now: Timestamp) -> Result<()> {
    let (first, last) = (now.day().plus(-LOOK_BACK), now.day().plus(-SETTLED));
    let items = tables.all(figures::of_days(keys::totals(site), first, last), true).await?;
    let mut days: std::collections::BTreeMap<Day, Vec<&Item>> = std::collections::BTreeMap::new();
    for item in &items {
        if let Some(day) = keys::read_day(sort_key(item)) {
            days.entry(day).or_default().push(item);
        }
    }
    for (day, shards) in days.into_iter().filter(|(_, shards)| shards.len() > 1) {
        let mut draft = Draft::default();
        let mut whole = Change::when(Condition::Open(now.plus(-LOCK).millis()));
        for shard in (1..MOST_SHARDS).map(|shard| keys::totals_of(site, day, shard)) {
            let Some(item) = shards.iter().find(|item| sort_key(item) == shard.sk) else { continue };
            // Every event changes this number.
            let Some(was) = read_number(item, name::EVENTS) else { continue };
            for (name, value) in item.iter().filter(|(name, _)| *name != super::table::TIME_TO_LIVE) {
                if let Some(n) = value.as_n().ok().and_then(|n| n.parse().ok()) {
                    whole = whole.add(name, n);
                }
            }
            draft.add(shard, Action::Delete { name: name::EVENTS, was });
        }
        if draft.len() > 0 {
            draft.add(keys::totals_of(site, day, 0), Action::Change(whole.set(super::counted::totals_ttl(day))));
            // A late event may be in the way; then it is done tomorrow.
            tables.transact(&draft).await?;
        }
    }
    Ok(())
}
