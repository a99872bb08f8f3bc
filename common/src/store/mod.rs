//! The storage contract: what an engine promises, whichever it is.
//!
//! Every promise here has a case in the conformance suite (`conformance`, feature `testing`),
//! which runs on each engine.

mod admin;
mod append;
mod blocks;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "dynamodb"))]
mod commits;
#[cfg(feature = "testing")]
pub mod conformance;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
mod feed;
mod keep;
mod limits;
pub mod not_stored;
#[cfg(feature = "postgres")]
pub mod postgres;
mod records;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod totals;
mod visitors;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

pub use self::admin::{Admin, Difference, Progress, Recount, Step};
pub use self::append::{Append, Appended};
pub use self::blocks::{BlockKind, Blocks};
pub use self::feed::{Committed, Feed, News, Position, TimelineFrom};
pub use self::keep::{CLAIM, Keep, Secret, SecretName, Waited};
pub use self::limits::{Bucket, SharedLimits};
pub use self::not_stored::Outcomes;
pub use self::records::{RecordKind, Records};
pub use self::totals::{LiveTotals, Realtime, Totals};
pub use self::visitors::Visitors;
use crate::site::Site;

/// What callers branch on.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The engine cannot answer now; asking again later may help. Nothing was changed.
    #[error("{engine} is unavailable: {reason}")]
    Unavailable {
        /// Which engine.
        engine: &'static str,
        /// What it said, for the operator's eyes only.
        reason: String,
    },
    /// More requests wait than the engine takes; this one was not begun. Sending it again a
    /// little later may help.
    #[error("{engine} is overloaded: too many requests wait")]
    Overloaded {
        /// Which engine.
        engine: &'static str,
    },
    /// The store has reached `ANALYTICS_MAX_STORE`. Nothing was changed; sending the events again helps
    /// once there is room.
    #[error("{engine} is full: it has the {limit} bytes of ANALYTICS_MAX_STORE")]
    Full {
        /// Which engine.
        engine: &'static str,
        /// The limit.
        limit: u64,
    },
    /// There is no store at this address, and the caller did not ask for one to be created.
    #[error("there is no store yet: {what}; serve and import create it (is ANALYTICS_STORE right?)")]
    Missing {
        /// What is not there, without a password.
        what: String,
    },
    /// Anything else.
    #[error("{engine} failed")]
    Other {
        /// Which engine.
        engine: &'static str,
        /// What it said, for the operator's eyes only.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What an engine answers, or why it does not.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The traits of all roles, for callers that name an engine's own type.
pub mod roles {
    pub use super::{
        Admin as _, Append as _, Blocks as _, Feed as _, Keep as _, LiveTotals as _, Outcomes as _, Records as _,
        Store as _, Visitors as _,
    };
}

/// All roles of a store.
///
/// Common to all methods: ranges are half-open and in UTC; a site that was never seen has
/// zeros and empty lists; after `append` has answered, every later read on the same store
/// sees its events (an engine that cannot promise this across instances says so in its
/// documentation).
#[async_trait]
pub trait Store:
    Append + LiveTotals + Feed + Blocks + Outcomes + Records + Visitors + Keep + Admin + fmt::Debug + Send + Sync + 'static
{
    /// The engine's name, for logs and metrics.
    fn engine(&self) -> &'static str;

    /// All sites that were ever seen, by name.
    async fn sites(&self) -> Result<Vec<Site>>;

    /// What it can do without for a while and misses now, such as `redis`; empty when all is
    /// well. Answers given meanwhile are right, but may come slower and later.
    fn degraded(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// The bytes that it takes where it is stored, without what deleted data leaves free for new data;
    /// `None` if the engine cannot tell.
    async fn used_bytes(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Token buckets that all processes on this store share, if the engine has any.
    fn limits(&self) -> Option<Arc<dyn SharedLimits>> {
        None
    }

    /// Changes whenever stored data changes. Equal versions mean that kept answers to questions about
    /// a fixed time are still valid. `None` when the engine cannot know.
    fn version(&self) -> Option<u64>;

    /// Answers everything under way and lets go of the engine. Later calls are `Unavailable`.
    async fn close(&self);
}
