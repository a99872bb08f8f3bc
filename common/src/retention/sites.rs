//! Sites without data are removed, so that invented names do not keep their places for good.

use std::collections::BTreeSet;

use crate::App;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Store, StoreError, TimelineFrom};
use crate::time::Timestamp;

/// With more sites than this, those are removed, too, of which summaries or totals are all that is left.
const CROWDED: usize = Site::MOST / 2;
/// How many months are looked through for totals: a year, and the one that it began in.
const MONTHS: usize = 13;

/// Removes sites of which no event is kept, unless they are listed in the configuration or have goals or a
/// share link; answers how many.
///
/// One with neither summaries nor totals is removed in any case. When more than half of the places are
/// taken, others are removed until half of them are free, those with the fewest events ever counted first:
/// an invented site has a few, and the thousandth may be a real one. Summaries are found by the site's name
/// and answer queries as before; its totals of weeks and months are lost.
pub(super) async fn remove_empty(app: &App, now: Timestamp) -> Result<usize, StoreError> {
    let store = &*app.store;
    let sites = store.sites().await?;
    let shared: BTreeSet<Site> = app.shares().await?.into_iter().map(|share| share.site).collect();
    let mut empty = Vec::new();
    for site in &sites {
        if app.always_fits(site)
            || shared.contains(site)
            || !store.timeline(site, TimelineFrom::all(0), 1).await?.is_empty()
            || !app.measure.site_goals(store, site).await?.is_empty()
        {
            continue;
        }
        empty.push((app.measure.summarised_events(store, site, now).await?, site));
    }
    empty.sort_unstable();
    let mut left = sites.len();
    for (events, site) in empty {
        if left <= CROWDED && (events > 0 || has_totals(store, site, now).await?) {
            continue;
        }
        left -= usize::from(store.remove_site(site, now).await?);
    }
    Ok(sites.len() - left)
}

/// Whether one of the last months has figures.
async fn has_totals(store: &dyn Store, site: &Site, now: Timestamp) -> Result<bool, StoreError> {
    let mut month = PeriodKey::of(Period::Month, now.day());
    for _ in 0..=MONTHS {
        if store.totals(site, month).await?.events > 0 {
            return Ok(true);
        }
        month = PeriodKey::of(Period::Month, month.first_day().plus(-1));
    }
    Ok(false)
}
