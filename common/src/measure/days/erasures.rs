//! Whether visitors of a site were erased: columns and blocks that were made before are given up.
//!
//! Events of a day are added only, so that their number says whether columns have them all; but for an
//! erasure. So each site has a mark, which is another one after each: columns in memory are kept with the
//! mark that was known when they were begun. It is moved when the events are gone, and afterwards the
//! blocks of their days are deleted. A process that makes a block reads the mark before it reads the events
//! and again when it has stored the block, and deletes the block if an erasure came between.
//!
//! The mark is stored with the days whose blocks are still to be deleted, so that an erasure that broke off
//! is completed by the next one.

use std::ops::Range;
use std::time::{Duration, Instant};

use moka::future::Cache;
use uuid::Uuid;

use crate::site::Site;
use crate::store::{BlockKind, Result, Store};
use crate::time::Day;

/// How long a mark is used that was read from a store whose changes go unnoticed.
const FRESH: Duration = Duration::from_secs(5);
/// How many sites' marks are kept in memory.
const MOST_KEPT: u64 = 1_000;

/// Tells the state of a site's events from those of before an erasure; none if there was none.
pub(in crate::measure) type Mark = Option<Uuid>;

/// The day under which the block stands: it has none of its own.
fn place() -> Range<Day> {
    Day::from_number(0)..Day::from_number(1)
}

/// What is stored of the erasures of a site.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::measure) struct Stored {
    /// The mark.
    pub(in crate::measure) mark: Mark,
    /// Days whose blocks may have been made of events that are gone.
    pub(in crate::measure) days: Vec<Day>,
}

impl Stored {
    /// What is stored now.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub(in crate::measure) async fn read(store: &dyn Store, site: &Site) -> Result<Self> {
        let block = store.blocks(site, BlockKind::Erasures, place()).await?.pop();
        let (mark, days) = block.as_ref().and_then(|(_, bytes)| bytes.split_first_chunk()).unzip();
        let days = days.into_iter().flat_map(|days| days.chunks_exact(4));
        let day = |bytes: &[u8]| Some(Day::from_number(i32::from_le_bytes(*bytes.first_chunk()?)));
        let mark = mark.map(|mark| Uuid::from_bytes(*mark)).filter(|mark| !mark.is_nil());
        Ok(Self { mark, days: days.filter_map(day).collect() })
    }

    /// Stores it.
    ///
    /// # Errors
    /// When the store cannot.
    pub(in crate::measure) async fn write(&self, store: &dyn Store, site: &Site) -> Result<()> {
        let mut bytes = self.mark.unwrap_or_default().as_bytes().to_vec();
        self.days.iter().for_each(|day| bytes.extend(day.number().to_le_bytes()));
        store.put_block(site, BlockKind::Erasures, place().start, bytes).await
    }
}

/// The marks that are known.
#[derive(Debug)]
pub(super) struct Erasures(Cache<Site, Known>);

#[derive(Debug, Clone)]
struct Known {
    mark: Mark,
    /// The store's version before it was read.
    version: Option<u64>,
    read: Instant,
}

impl Erasures {
    pub(super) fn new() -> Self {
        Self(Cache::new(MOST_KEPT))
    }

    /// The mark of a site, as of the store's version: an answer that is kept for a version must not be made
    /// of columns of before. Says also whether another one was known until now.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub(super) async fn mark(&self, store: &dyn Store, site: &Site) -> Result<(Mark, bool)> {
        let version = store.version();
        let known = self.0.get(site).await;
        if let Some(known) = &known
            && (version.is_some() && known.version == version
                || version.is_none() && known.version.is_none() && known.read.elapsed() < FRESH)
        {
            return Ok((known.mark, false));
        }
        let read = Instant::now();
        let mark = Stored::read(store, site).await?.mark;
        self.0.insert(site.clone(), Known { mark, version, read }).await;
        Ok((mark, known.is_some_and(|known| known.mark != mark)))
    }

    /// What is known of a site's mark is old.
    pub(super) async fn forget(&self, site: &Site) {
        self.0.invalidate(site).await;
    }
}
