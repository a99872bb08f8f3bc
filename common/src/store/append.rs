//! How events come in.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::Result;
use crate::event::Event;
use crate::site::Site;
use crate::time::Timestamp;

/// What became of one appended event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// Durable and counted.
    Stored,
    /// An event with this id was stored before on this site; nothing changed.
    Duplicate,
    /// Its site would be one more than [`Site::MOST`], and was not admitted; nothing changed.
    TooManySites,
}

/// The one write path.
#[async_trait]
pub trait Append {
    /// Appends events and says what became of each, in their order.
    ///
    /// The answer comes when the events are durable. Events and aggregates change together or
    /// not at all, and each event changes every aggregate of its own day, ISO week and month
    /// exactly once, however often it is appended. Ids are compared within a site, for as long
    /// as the event is kept, and within the call too: the first one wins.
    ///
    /// # Errors
    /// On an error nothing was stored, as far as the engine can know; appending the same events
    /// again is always safe.
    async fn append(&self, events: Vec<Event>, now: Timestamp) -> Result<Vec<Appended>>;

    /// Makes these sites known, however many there are already, so that their events are stored from
    /// now on. The caller bounds how many it admits.
    ///
    /// # Errors
    /// When the engine cannot; admitting them again is safe.
    async fn admit_sites(&self, sites: &BTreeSet<Site>) -> Result<()>;
}
