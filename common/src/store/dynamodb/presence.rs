//! Who is there now.
//!
//! That a visitor came is written once a minute, whatever they do in it. So whoever came in a
//! minute that lies within the window is current, and only of those whose last minute is cut by
//! the window's edge the events of that minute tell: the window is exact at the price of a
//! write a minute and visitor.

use std::collections::{BTreeMap, HashSet};

use super::ask::Range;
use super::client::Tables;
use super::facts::Kept;
use super::figures;
use super::item::sort_key;
use super::keys::{self, END, SLOT};
use super::timeline;
use crate::event::MAX_CLOCK_SKEW;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Realtime, Result};
use crate::time::Timestamp;
use crate::visitor::VisitorId;

/// Visitors by the slot in which they came.
pub(super) async fn slots(
    tables: &Tables,
    site: &Site,
    first: i64,
    last: i64,
    consistent: bool,
) -> Result<Vec<(i64, VisitorId)>> {
    let range = Range::new(keys::presence(site), keys::slot_text(first), format!("{}{END}", keys::slot_text(last)));
    let items = tables.all(range, consistent).await?;
    Ok(items.iter().filter_map(|item| keys::read_present(sort_key(item))).collect())
}

pub(super) async fn realtime(
    tables: &Tables,
    kept: Kept,
    site: &Site,
    now: Timestamp,
    window: i64,
    consistent: bool,
) -> Result<Realtime> {
    let today = PeriodKey::of(Period::Day, now.day());
    let today = figures::totals(tables, kept, site, today, consistent);
    let current = current(tables, site, now.plus(-window), now.plus(MAX_CLOCK_SKEW), consistent);
    let (today, current) = tokio::try_join!(today, current)?;
    Ok(Realtime {
        current_visitors: current,
        unique_today: today.visitors,
        total_events: today.events,
        letters_today: today.letters,
    })
}

/// How many visitors have an event after one instant and not after another.
async fn current(tables: &Tables, site: &Site, after: Timestamp, until: Timestamp, consistent: bool) -> Result<u64> {
    let mut certain = HashSet::new();
    let mut cut: BTreeMap<i64, HashSet<VisitorId>> = BTreeMap::new();
    for (slot, visitor) in slots(tables, site, keys::slot(after), keys::slot(until), consistent).await? {
        let whole = slot * SLOT > after.millis() && (slot + 1) * SLOT - 1 <= until.millis();
        if whole {
            certain.insert(visitor);
        } else {
            cut.entry(slot).or_default().insert(visitor);
        }
    }
    for (slot, visitors) in cut {
        if visitors.is_subset(&certain) {
            continue;
        }
        let first = after.max(Timestamp::from_millis(slot * SLOT - 1));
        let last = until.min(Timestamp::from_millis((slot + 1) * SLOT - 1));
        let events = timeline::between(tables, site, first, last, consistent).await?;
        certain.extend(events.into_iter().map(|committed| committed.event.visitor));
    }
    Ok(certain.len() as u64)
}
