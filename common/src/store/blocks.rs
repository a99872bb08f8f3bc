//! Bytes that the core keeps beside a site's events, by UTC day: opaque to the engines.

use std::ops::Range;

use async_trait::async_trait;

use super::Result;
use crate::site::Site;
use crate::time::Day;

/// What a block holds. Its number is what engines store and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockKind {
    /// The events of a day as columns.
    Segment = 0,
    /// What remains of a day when its events have expired.
    Summary = 1,
    /// The beginning of a summary, which is small: what the whole day counts.
    Totals = 2,
    /// The site's goals and funnels, under day 0: one small document, which follows from nothing else.
    Goals = 3,
    /// Which days have to be built anew because a visitor was erased, under day 0, until that is done; and
    /// a mark that tells one state of the site's events from that of before an erasure.
    Erasures = 4,
}

impl BlockKind {
    /// Those that follow from events, by number.
    pub const DERIVED: [Self; 3] = [Self::Segment, Self::Summary, Self::Totals];
}

/// Blocks that follow from events can be lost at any time: the core builds them again, or does without.
/// It also recognises damaged ones, so an engine need not check what it stored. What is acknowledged is
/// nevertheless as durable as an event, because a site's goals are a block, too.
#[async_trait]
pub trait Blocks {
    /// Stores a block in place of an earlier one of the same site, kind and day. Later reads
    /// answer one of the two whole or, while it is being replaced, neither.
    async fn put_block(&self, site: &Site, kind: BlockKind, day: Day, bytes: Vec<u8>) -> Result<()>;

    /// The blocks of a site of these days, oldest first; days without a block are left out.
    async fn blocks(&self, site: &Site, kind: BlockKind, days: Range<Day>) -> Result<Vec<(Day, Vec<u8>)>>;

    /// Deletes the block of a day, whether or not there is one.
    async fn delete_block(&self, site: &Site, kind: BlockKind, day: Day) -> Result<()>;

    /// Deletes the blocks of this kind of days before `before`, of all sites. Answers how many
    /// there were.
    async fn delete_blocks(&self, kind: BlockKind, before: Day) -> Result<u64>;
}
