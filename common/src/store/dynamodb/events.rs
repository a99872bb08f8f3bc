//! Reads events in the order of their keys, from all shards together.
//!
//! Keys are sorted by a time that lies within [`SKEW`] of the event's own (and, unless the late index
//! lists the event, of its commit). So the order by that time is final as far as the keys have been
//! read so much further.

use futures_util::future::try_join_all;

use super::batch::{Pages, Range, Scan};
use super::client::Table;
use super::item::{Item, sort_key};
use super::keys::{self, END, EVENT_SHARDS, SKEW};
use crate::site::Site;
use crate::store::Result;
use crate::time::Timestamp;

/// Items that a page has beyond its share of those that are needed: aliases, and what lies in the
/// [`SKEW`] after the last.
const SPARE: usize = 20;

/// A reading of a site's events and aliases.
#[derive(Debug)]
pub(super) struct Events<'a> {
    shards: Vec<Shard<'a>>,
    backwards: bool,
}

#[derive(Debug)]
struct Shard<'a> {
    pages: Pages<'a>,
    /// The time in the last key that was read.
    reached: i64,
}

impl<'a> Events<'a> {
    /// Begins to read all events with these times, both included, and some with others. Pages are as
    /// large as it takes to find `wanted` events, or else as large as they can be.
    pub(super) fn read(
        table: &'a Table,
        site: &Site,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        scan: Scan,
        wanted: Option<usize>,
    ) -> Self {
        // Shards have about as many events each; a sixteenth is three deviations of 2,000.
        let page = wanted.map(|wanted| wanted.div_ceil(EVENT_SHARDS.into()) + wanted / 16 + SPARE);
        let scan = Scan { page: page.and_then(|page| i32::try_from(page).ok()), ..scan };
        let from = from.map_or_else(|| " ".to_owned(), |from| keys::events_from(from.millis().saturating_sub(SKEW)));
        let to = to.map_or_else(|| END.to_owned(), |to| keys::events_to(to.millis().saturating_add(SKEW)));
        let shard = |shard| Shard {
            pages: table.pages(Range::new(keys::events(site, shard), from.clone(), to.clone()), scan),
            reached: if scan.backwards { i64::MAX } else { i64::MIN },
        };
        Self { shards: (0..EVENT_SHARDS).map(shard).collect(), backwards: scan.backwards }
    }

    /// The next page of every shard; `None` at the end of all.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Item>>> {
        let unfinished = self.shards.iter_mut().filter(|shard| !shard.pages.is_done());
        let pages = try_join_all(unfinished.map(Shard::next)).await?;
        Ok((!pages.is_empty()).then(|| pages.into_iter().flatten().collect()))
    }

    /// Whether no event that is still to be read comes before one of this time, or has the same, in
    /// the direction of reading.
    pub(super) fn is_settled(&self, time: i64) -> bool {
        self.shards.iter().filter(|shard| !shard.pages.is_done()).all(|shard| {
            if self.backwards {
                shard.reached.saturating_add(SKEW) < time
            } else {
                shard.reached.saturating_sub(SKEW) > time
            }
        })
    }
}

impl Shard<'_> {
    async fn next(&mut self) -> Result<Vec<Item>> {
        let items = self.pages.next().await?.unwrap_or_default();
        if let Some((time, _)) = items.last().and_then(|item| keys::read_event(sort_key(item))) {
            self.reached = time;
        }
        Ok(items)
    }
}
