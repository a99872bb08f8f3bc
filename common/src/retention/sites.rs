//! Sites without data are removed, so that invented names do not keep their places for good.

use std::collections::BTreeSet;

use crate::App;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Store, StoreError, TimelineFrom};
use crate::time::Timestamp;

/// With more sites than this, the smallest of them have no place for good.
const CROWDED: usize = Site::MOST / 2;
/// How many months are looked through for totals: a year, and the one that it began in.
const MONTHS: usize = 13;
/// How many sites are read at a time.
const AT_A_TIME: usize = 8;

/// Removes sites of which no event is kept, unless they are listed in the configuration or have goals or a
/// share link; answers how many.
///
/// One with neither summaries nor totals is removed in any case. When more than half of the places are
/// taken, so many of the sites as are above the half are removed even if they have some, as soon as none of
/// their events is kept: those with the fewest events ever counted, because an invented site has a few. A
/// larger site never goes in place of a smaller one whose events are still kept. Summaries are found by the
/// site's name and answer queries as before; the totals of weeks and months are lost.
pub(super) async fn remove_empty(app: &App, now: Timestamp) -> Result<usize, StoreError> {
    let store = &*app.store;
    let sites = store.sites().await?;
    let shared: BTreeSet<Site> = app.shares().await?.into_iter().map(|share| share.site).collect();
    let too_many = sites.len().saturating_sub(CROWDED);
    let mut candidates = Vec::new();
    for sites in sites.chunks(AT_A_TIME) {
        let sites = sites.iter().filter(|site| !app.always_fits(site) && !shared.contains(*site));
        let found = sites.map(|site| candidate(app, site, too_many > 0, now));
        candidates.extend(futures_util::future::try_join_all(found).await?.into_iter().flatten());
    }
    candidates.sort_unstable();
    let mut removed = 0;
    for (place, Candidate { events, site, is_empty }) in candidates.into_iter().enumerate() {
        if is_empty && (events == 0 || place < too_many) {
            removed += usize::from(store.remove_site(site, now).await?);
        }
    }
    Ok(removed)
}

/// A site that may be removed, now or later; the smallest come first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate<'a> {
    /// How many events it ever had, as far as summaries or totals tell.
    events: u64,
    site: &'a Site,
    /// Whether none of them is kept.
    is_empty: bool,
}

/// `None` if the site stays: it has goals, or events, unless its size is asked for all the same.
async fn candidate<'a>(
    app: &App,
    site: &'a Site,
    with_events: bool,
    now: Timestamp,
) -> Result<Option<Candidate<'a>>, StoreError> {
    let store = &*app.store;
    let is_empty = store.timeline(site, TimelineFrom::all(0), 1).await?.is_empty();
    if !(is_empty || with_events) || !app.measure.site_goals(store, site).await?.is_empty() {
        return Ok(None);
    }
    let events = match app.measure.summarised_events(store, site, now).await? {
        0 => events_of_months(store, site, now).await?,
        events => events,
    };
    Ok(Some(Candidate { events, site, is_empty }))
}

/// How many events the totals of the last months have.
async fn events_of_months(store: &dyn Store, site: &Site, now: Timestamp) -> Result<u64, StoreError> {
    let mut month = PeriodKey::of(Period::Month, now.day());
    let mut events = 0;
    for _ in 0..=MONTHS {
        events += store.totals(site, month).await?.events;
        month = PeriodKey::of(Period::Month, month.first_day().plus(-1));
    }
    Ok(events)
}
