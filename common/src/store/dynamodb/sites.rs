//! The sites that are registered, at most [`Site::MOST`] but for those that were admitted.
//!
//! A process does not read a site's registration with every event, which would cost units; it reads it
//! again when it last did so [`KNOWN_FOR`] ago. So a site is removed by two calls that lie further apart:
//! the first one marks it, and a process that reads a marked registration removes the mark; the second one
//! removes the site if the mark is still there, and no event.

use std::collections::{BTreeSet, HashMap};

use super::batch::Range;
use super::client::{Backoff, Table};
use super::errors::unavailable;
use super::expiry::{delete_range, outermost_day};
use super::item::{Item, number, read_number, sort_key, text};
use super::keys::{self, END, FORMER, Key, SITES, by_key};
use super::table::{PARTITION_KEY, SORT_KEY};
use super::write::{Condition, MOST_WRITES, Update, Write};
use crate::site::Site;
use crate::store::Result;
use crate::time::{Day, HOUR, Timestamp};

/// How many sites there are.
const COUNT: &str = "n";
/// When a site was found to have no events, in milliseconds.
const MARK: &str = "empty";
/// For how long a process takes a site to be registered, in milliseconds: an hour of its clock.
pub(super) const KNOWN_FOR: i64 = HOUR;
/// How long a site has been marked when it is removed, in milliseconds: 12 hours. Much longer than
/// [`KNOWN_FOR`]: clocks differ, and transactions are repeated.
const MARKED_FOR: i64 = 12 * HOUR;

pub(super) async fn sites(table: &Table, consistent: bool) -> Result<Vec<Site>> {
    let items = table.all(Range::new(SITES, " ", END), consistent).await?;
    Ok(items.iter().filter_map(|item| Site::parse(sort_key(item))).collect())
}

/// The sites that were removed and may still have blocks.
pub(super) async fn former(table: &Table) -> Result<Vec<Site>> {
    let items = table.all(Range::new(FORMER, " ", END), true).await?;
    Ok(items.iter().filter_map(|item| Site::parse(sort_key(item))).collect())
}

/// Registers those of these sites that have not been seen, as far as there is room, and takes away
/// marks; answers which of them are registered now.
///
/// This is done before the transaction of a site's first event. If that fails, the site is known
/// without an event until the event is sent again.
pub(super) async fn register(table: &Table, sites: &BTreeSet<Site>) -> Result<Vec<Site>> {
    let keys: Vec<Key> = sites.iter().map(keys::site).collect();
    let mut backoff = Backoff::start();
    loop {
        let found: HashMap<Key, Item> = by_key(table.get_all(&keys, true).await?);
        let marked = found.iter().filter(|(_, item)| item.contains_key(MARK)).map(|(key, item)| {
            let unmark = Write::update(key.clone(), Update::default().remove(MARK));
            unmark.when(Condition::is(MARK, item.get(MARK).cloned()))
        });
        let marked: Vec<Write> = marked.take(MOST_WRITES).collect();
        if !marked.is_empty() {
            // A refusal means that another process has removed the mark, or the site.
            let _ = table.write(&marked).await?;
            if !backoff.wait().await {
                return Err(unavailable("the table is busy: a site could not be registered"));
            }
            continue;
        }
        if found.len() == keys.len() {
            return Ok(sites.iter().cloned().collect());
        }
        let count = table.get(&keys::site_count(), true).await?;
        let count = count.and_then(|item| read_number(&item, COUNT)).unwrap_or(0);
        let room = Site::MOST.saturating_sub(count).min(MOST_WRITES - 1);
        let (mut known, mut new): (Vec<Site>, Vec<Site>) =
            sites.iter().cloned().partition(|site| found.contains_key(&keys::site(site)));
        let complete = new.len() <= room || room == 0;
        new.truncate(room);
        // A refusal means that another process registered a site meanwhile.
        if new.is_empty() || put(table, &new, Some(Site::MOST)).await? {
            known.extend(new);
            if complete {
                return Ok(known);
            }
        } else if !backoff.wait().await {
            return Err(unavailable("the table is busy: a site could not be registered"));
        }
    }
}

/// Registers these sites, however many there are.
pub(super) async fn admit(table: &Table, sites: &BTreeSet<Site>) -> Result<()> {
    for site in sites {
        // A refusal means that it is registered.
        put(table, std::slice::from_ref(site), None).await?;
    }
    Ok(())
}

/// Registers new sites, if there are at most so many then.
async fn put(table: &Table, sites: &[Site], most: Option<usize>) -> Result<bool> {
    let added = sites.len() as i64;
    let count = Write::update(keys::site_count(), Update::default().add(COUNT, added));
    let mut writes = vec![match most {
        Some(most) => count.when(Condition::absent_or_at_most(COUNT, most as i64 - added)),
        None => count,
    }];
    writes.extend(sites.iter().map(keys::site).map(|key| {
        let item = key.attributes();
        Write::put(key, item).when(Condition::Absent(PARTITION_KEY.to_owned()))
    }));
    Ok(table.write(&writes).await?.is_ok())
}

/// Marks a site that has no events, or removes it if it was marked long ago; answers whether it was
/// removed, and its totals of the days before `kept`. Its blocks are found by its name, which is kept for
/// that; other items expire by themselves.
pub(super) async fn remove(table: &Table, site: &Site, kept: Day, now: Timestamp) -> Result<bool> {
    let Some(item) = table.get(&keys::site(site), true).await? else { return Ok(false) };
    let mark: Option<i64> = read_number(&item, MARK);
    if outermost_day(table, site, Timestamp::from_millis(i64::MAX), true).await?.is_some() {
        return Ok(false);
    }
    let as_found = Condition::is(MARK, mark.map(number));
    match mark.map(|mark| now.millis() - mark) {
        Some(MARKED_FOR..) => {}
        Some(0..) => return Ok(false),
        // A mark that lies ahead was made by a clock that was.
        _ => {
            let put = Write::update(keys::site(site), Update::default().set(MARK, number(now.millis())));
            let there = Condition::Equal(SORT_KEY.to_owned(), text(site.as_str()));
            let _ = table.write(&[put.when(Condition::All(vec![there, as_found]))]).await?;
            return Ok(false);
        }
    }
    let removed = Write::delete(keys::site(site)).when(as_found);
    let count = Write::update(keys::site_count(), Update::default().add(COUNT, -1));
    let former = Write::put(keys::former(site), keys::former(site).attributes());
    let removed = table.write(&[removed, count, former]).await?.is_ok();
    if removed {
        // Events of a site that comes back meanwhile are of later days.
        delete_range(table, Range::new(keys::totals(site), "0", keys::day(kept)), usize::MAX).await?;
    }
    Ok(removed)
}
