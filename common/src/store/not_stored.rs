//! How many events were not stored, by site, UTC day and reason: statistics beside the totals, which
//! count what was stored.

use std::collections::BTreeMap;
use std::ops::Range;

use async_trait::async_trait;

use super::Result;
use crate::outcome::NotStored;
use crate::site::Site;
use crate::time::Day;

/// Counts of events that were not stored, by reason.
pub type Counts = BTreeMap<NotStored, u64>;

/// Counters of what was not stored. They are added to in batches, by any number of processes; where an
/// engine's answer is lost and the batch is sent again, it may count twice.
#[async_trait]
pub trait Outcomes {
    /// Adds to the counters of a site's day.
    async fn add_not_stored(&self, site: &Site, day: Day, counts: &Counts) -> Result<()>;

    /// The sums over these days. What an engine does not know the name of is left out.
    async fn not_stored(&self, site: &Site, days: Range<Day>) -> Result<Counts>;

    /// Deletes the counters of days before `before`, of all sites. An engine may leave those of sites without
    /// events to expire by themselves.
    async fn delete_not_stored(&self, before: Day) -> Result<()>;
}
