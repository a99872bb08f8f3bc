//! Counters of what was not stored: a small item a day, with an attribute for each outcome.

use super::batch;
use super::client::Table;
use super::item::{number, read_number};
use super::keys::{self, Key};
use super::sites::sites;
use super::table::TIME_TO_LIVE;
use super::totals::of_days;
use super::write::{Update, Write};
use crate::outcome::NotStored;
use crate::site::Site;
use crate::store::Result;
use crate::store::not_stored::Counts;
use crate::time::Day;

/// `retention` is in days: the service deletes a day's item by itself a day after that.
pub(super) async fn add(table: &Table, site: &Site, day: Day, counts: &Counts, retention: i64) -> Result<()> {
    let kept = i32::try_from(retention).unwrap_or(i32::MAX).saturating_add(2);
    let expires = number(day.plus(kept).start().seconds());
    let update = counts.iter().fold(Update::default().set(TIME_TO_LIVE, expires), |update, (outcome, n)| {
        update.add(outcome.name(), i64::try_from(*n).unwrap_or(i64::MAX))
    });
    let key = Key::new(keys::not_stored(site), keys::day(day));
    table.write(&[Write::update(key, update)]).await.map(drop)
}

pub(super) async fn read(table: &Table, site: &Site, days: std::ops::Range<Day>, consistent: bool) -> Result<Counts> {
    let mut sums = Counts::new();
    if days.start < days.end {
        let range = of_days(keys::not_stored(site), days.start, days.end.plus(-1));
        for item in table.all(range, consistent).await? {
            for outcome in NotStored::all() {
                if let Some(n) = read_number::<u64>(&item, &outcome.name()) {
                    *sums.entry(outcome).or_default() += n;
                }
            }
        }
    }
    Ok(sums)
}

pub(super) async fn delete(table: &Table, before: Day) -> Result<()> {
    for site in sites(table, true).await? {
        let range = batch::Range::new(keys::not_stored(&site), "0", keys::day(before));
        let items = table.all(range, true).await?;
        let keys: Vec<_> = items
            .iter()
            .filter_map(keys::read)
            .filter(|key| keys::read_day(&key.sk).is_some_and(|day| day < before))
            .collect();
        table.delete_all(&keys).await?;
    }
    Ok(())
}
