//! Days that have more distinct values of a dimension than are kept: counted, and named in the log.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::IntCounter;

use crate::measure::columns::MOST_VALUES;
use crate::site::Site;
use crate::time::Day;

/// At most one day in so long is named in the log: there may be one for each of a thousand sites.
const LOG_EVERY: Duration = Duration::from_secs(60);
/// How many days are remembered; beyond them days may be counted again.
const MOST_SEEN: usize = 10_000;

/// The days that were noticed by this process.
#[derive(Debug)]
pub(in crate::measure) struct CappedDays {
    /// How many there were.
    pub(in crate::measure) total: IntCounter,
    seen: Mutex<Seen>,
}

/// Which days were noticed, and when that was said last.
type Seen = (HashSet<(Site, Day)>, Option<Instant>);

impl CappedDays {
    pub(super) fn new() -> Self {
        let help = "Days of sites with more distinct values of a dimension than are kept";
        // A name can be wrong only as it stands here.
        #[allow(clippy::unwrap_used, reason = "the name is a literal that every start uses")]
        let total = IntCounter::new("maicivy_capped_days_total", help).unwrap();
        Self { total, seen: Mutex::default() }
    }

    /// Notes that values of a day are left out.
    pub(super) fn note(&self, site: &Site, day: Day) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (days, logged) = &mut *seen;
        if days.len() >= MOST_SEEN {
            days.clear();
        }
        if !days.insert((site.clone(), day)) {
            return;
        }
        self.total.inc();
        if logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            *logged = Some(Instant::now());
            tracing::warn!(
                site.id = site.as_str(),
                %day,
                "more than {MOST_VALUES} distinct values of a dimension: the most frequent are kept, the rest is (other); \
                 maicivy_capped_days_total counts further days"
            );
        }
    }
}
