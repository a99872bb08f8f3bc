//! The sites that have been seen, at most [`Site::MOST`].

use std::collections::{BTreeSet, HashMap};

use super::batch::Range;
use super::client::{Backoff, Table};
use super::errors::unavailable;
use super::item::{Item, read_number, sort_key};
use super::keys::{self, END, Key, SITES, by_key};
use super::table::PARTITION_KEY;
use super::write::{Condition, MOST_WRITES, Update, Write};
use crate::site::Site;
use crate::store::Result;

/// How many sites there are.
const COUNT: &str = "n";

pub(super) async fn sites(table: &Table, consistent: bool) -> Result<Vec<Site>> {
    let items = table.all(Range::new(SITES, " ", END), consistent).await?;
    Ok(items.iter().filter_map(|item| Site::parse(sort_key(item))).collect())
}

/// Registers those of these sites that have not been seen, as far as there is room; answers which
/// of them are registered now.
///
/// This is done before the transaction of a site's first event. If that fails, the site is known
/// without an event until the event is sent again.
pub(super) async fn register(table: &Table, sites: &BTreeSet<Site>) -> Result<Vec<Site>> {
    let keys: Vec<Key> = sites.iter().map(keys::site).chain([keys::site_count()]).collect();
    let mut backoff = Backoff::start();
    loop {
        let found: HashMap<Key, Item> = by_key(table.get_all(&keys, true).await?);
        let count = found.get(&keys::site_count()).and_then(|item| read_number(item, COUNT)).unwrap_or(0);
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
