//! Events in the order of their commits, and in that of their own times.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::broadcast;
use uuid::Uuid;

use super::Result;
use crate::event::Event;
use crate::site::Site;
use crate::time::Timestamp;

/// Where a page of the timeline starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimelineFrom {
    /// At the newest event, after passing over some.
    Newest {
        /// The newest instant there is: events after it wait until their time comes.
        until: Timestamp,
        /// How many to pass over.
        offset: u32,
    },
    /// Below the event with this time and id, whether or not it still exists.
    Below(Timestamp, Uuid),
}

impl TimelineFrom {
    /// At the newest event of all, after passing over `offset`.
    #[must_use]
    pub fn all(offset: u32) -> Self {
        Self::Newest { until: Timestamp::from_millis(i64::MAX), offset }
    }
}

/// An event's place in the order in which the events of its site were committed. Later commits
/// have greater positions; nothing else may be concluded from the number.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// A stored event and its place in the live feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its place.
    pub position: Position,
    /// The event.
    pub event: Event,
}

/// What subscribers of the feed receive.
#[derive(Debug, Clone)]
pub enum News {
    /// Events of any sites, each site's in order of position.
    Committed(Arc<[Committed]>),
    /// Events of this site may be missing. Positions of those that follow may have been given before,
    /// to events that are gone (a database that was restored from a copy).
    Gap(Site),
}

impl News {
    /// The events, none of a gap.
    #[must_use]
    pub fn committed(&self) -> &[Committed] {
        match self {
            Self::Committed(committed) => committed,
            Self::Gap(_) => &[],
        }
    }
}

/// The event log, read.
#[async_trait]
pub trait Feed {
    /// Events of every site, as they are committed, each site's in order of position, and each
    /// before its `append` is answered, unless what another process committed before it is
    /// still on its way. Whether it has events that other processes append, the engine's
    /// documentation says; they are found with [`Self::committed_after`] in any case. Where
    /// events cannot be delivered, there is a [`News::Gap`].
    fn subscribe(&self) -> broadcast::Receiver<News>;

    /// The place of a stored event, after which the feed can be resumed. The latest 100,000 events
    /// of all sites together have one on every engine; older ones may be answered as unknown.
    async fn position(&self, site: &Site, id: Uuid) -> Result<Option<Position>>;

    /// A place after which [`Self::committed_after`] finds every event of a site that this process commits
    /// from now on, and few that were committed before. On DynamoDB, events of another process may have an
    /// earlier place, because its clock decides.
    async fn latest_position(&self, site: &Site) -> Result<Position>;

    /// A site's events after a place, in order of position, at most `limit`. What this process
    /// appends meanwhile is in it without a hole: the last one's place is a place to go on from.
    async fn committed_after(&self, site: &Site, after: Position, limit: usize) -> Result<Vec<Committed>>;

    /// Events of a site, newest first by their own time, ties by id from the greatest; at most
    /// `limit`.
    async fn timeline(&self, site: &Site, from: TimelineFrom, limit: usize) -> Result<Vec<Event>>;
}
