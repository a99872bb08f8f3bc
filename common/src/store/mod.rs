//! The storage contract: what an engine promises, whichever it is.
//!
//! Every promise here has a case in the conformance suite (`conformance`, feature `testing`),
//! which runs on each engine.

mod blocks;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "dynamodb"))]
mod commits;
#[cfg(feature = "testing")]
pub mod conformance;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;

use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use tokio::sync::broadcast;
use uuid::Uuid;

pub use self::blocks::{BlockKind, Blocks};
use crate::event::Event;
use crate::period::PeriodKey;
use crate::site::Site;
use crate::tally::Dimension;
use crate::time::{Day, SECOND, Timestamp};

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

/// What became of one appended event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// Durable and counted.
    Stored {
        /// Whether it is the first event of its visitor, on its site, on its day.
        new_visitor: bool,
    },
    /// An event with this id was stored before on this site; nothing changed.
    Duplicate,
    /// Its site would be one more than [`Site::MOST`]; nothing changed.
    TooManySites,
}

/// What happens now, and has happened today.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Realtime {
    /// Distinct visitors whose latest event is younger than the window. Events that lie ahead
    /// of the clock, as far as senders' clocks may, count as young.
    pub current_visitors: u64,
    /// Distinct visitors of today.
    pub unique_today: u64,
    /// Events of today.
    pub total_events: u64,
    /// Letters of today.
    pub letters_today: u64,
}

/// The figures of one period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// All events.
    pub events: u64,
    /// Page views.
    pub page_views: u64,
    /// Letters of either type, or of none.
    pub letters: u64,
    /// Letters of type `motivation`.
    pub motivation: u64,
    /// Letters of type `anti_motivation`.
    pub anti_motivation: u64,
    /// Distinct visitors.
    pub visitors: u64,
}

impl Totals {
    /// Letters by distinct visitors; 0 when there are none.
    #[must_use]
    pub fn conversion_rate(&self) -> f64 {
        if self.visitors == 0 { 0.0 } else { self.letters as f64 / self.visitors as f64 }
    }
}

/// The stretch of time a ranking covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Span {
    /// One period.
    Period(PeriodKey),
    /// All days from this one on.
    Since(Day),
}

/// The most frequent values of a dimension.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranking {
    /// All values together, those beyond the limit too.
    pub total: u64,
    /// Value and count: most frequent first, ties by value, ascending by bytes.
    pub rows: Vec<(String, u64)>,
}

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

/// A place on a page and how often it was clicked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClickCell {
    /// The page's path.
    pub page: String,
    /// 0 to 100, percent from the left.
    pub x: u8,
    /// 0 to 100, percent from the top.
    pub y: u8,
    /// Clicks.
    pub count: u64,
    /// The element clicked most often there, ties by name; empty when none was named.
    pub element: String,
}

/// An event's place in the order in which the events of its site were committed. Later commits
/// have greater positions; nothing else may be concluded from the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// A stored event and its place in the live feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its place.
    pub position: Position,
    /// The event.
    pub event: Event,
}

/// Which secret is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretName {
    /// The salt of cookieless visitors of a UTC day.
    Salt(Day),
    /// The key of the pseudonyms shown outside. Kept for good.
    Pseudonyms,
}

/// A secret and when it is destroyed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret {
    /// The bytes.
    pub bytes: [u8; 32],
    /// From this instant on it is never answered again, and its bytes are soon gone from the
    /// disk; `None` is for good.
    pub expires: Option<Timestamp>,
}

/// Never shows the bytes.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// What one bounded step of the retention run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Step {
    /// Events deleted.
    pub deleted: u64,
    /// Whether nothing is left to do.
    pub done: bool,
}

/// An aggregate that is not what the events say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which aggregate, in words that name its site, period and value.
    pub aggregate: String,
    /// What a recount of the events gives.
    pub expected: i64,
    /// What is stored.
    pub found: i64,
}

/// What `verify` or `rebuild` went through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Recount {
    /// Events recounted.
    pub events: u64,
    /// Aggregates compared.
    pub aggregates: u64,
    /// The first [`Recount::MOST_LISTED`] differences.
    pub differences: Vec<Difference>,
    /// How many differences there are in all.
    pub different: u64,
}

impl Recount {
    /// How many differences are listed one by one.
    pub const MOST_LISTED: usize = 100;
}

/// Scheduled retention runs that waited, because the clock could not be trusted
/// ([`retention::decide`](crate::retention::decide)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waited {
    /// The UTC day of the latest of them.
    pub day: Day,
    /// How many there were, at most one counted a day; at most 255.
    pub runs: u8,
}

impl Waited {
    /// As one number, as engines store it.
    #[must_use]
    pub fn to_number(self) -> i64 {
        i64::from(self.day.number()) << 8 | i64::from(self.runs)
    }

    /// From that number.
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        let day = i32::try_from(number >> 8).unwrap_or(i32::MAX);
        Self { day: Day::from_number(day), runs: (number & 0xff) as u8 }
    }
}

/// Says how far a long run has come: events done, and events in all.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// How long the claim of a retention run holds, in milliseconds: 10 minutes.
pub const CLAIM: i64 = 600 * SECOND;

/// A token bucket of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bucket {
    /// What is limited, such as `events`.
    pub name: &'static str,
    /// Whose it is: a keyed hash that means nothing without its key.
    pub key: u128,
    /// Tokens that it holds when full, and gains a minute.
    pub most: u32,
}

/// Token buckets that all processes on a store share.
#[async_trait]
pub trait SharedLimits: fmt::Debug + Send + Sync + 'static {
    /// Takes `tokens` from a bucket, all of them or none; at most `most` are asked for. Answers
    /// whether there were enough, or else after how many seconds there will be; `None` when
    /// it cannot tell now, and the caller has to judge by itself.
    async fn charge(&self, bucket: Bucket, tokens: u32) -> Option<Result<(), u64>>;

    /// Takes `tokens` if nobody has to be asked whether there are enough; answers whether it did.
    fn charge_at_once(&self, bucket: Bucket, tokens: u32) -> bool {
        let _ = (bucket, tokens);
        false
    }
}

/// A store of events and of everything that is counted from them.
///
/// Common to all methods: ranges are half-open and in UTC; a site that was never seen has
/// zeros and empty lists; after `append` has answered, every later read on the same store
/// sees its events (an engine that cannot promise this across instances says so in its
/// documentation). Counts are exact unless an engine says otherwise.
#[async_trait]
pub trait Store: Blocks + fmt::Debug + Send + Sync + 'static {
    /// The engine's name, for logs and metrics.
    fn engine(&self) -> &'static str;

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

    /// What happens on a site: today is the day of `now`, and current is whose latest event lies
    /// after `now` minus `window` milliseconds (at most an hour), and at most
    /// [`EARLIEST`](crate::event::EARLIEST) ahead of `now`.
    async fn realtime(&self, site: &Site, now: Timestamp, window: i64) -> Result<Realtime>;

    /// The figures of a period.
    async fn totals(&self, site: &Site, period: PeriodKey) -> Result<Totals>;

    /// The most frequent values of a dimension, at most `limit`.
    async fn ranking(&self, site: &Site, dimension: Dimension, span: Span, limit: usize) -> Result<Ranking>;

    /// A value's count for each day of the range, zeros included, oldest first.
    async fn daily(&self, site: &Site, dimension: Dimension, value: &str, days: Range<Day>) -> Result<Vec<(Day, u64)>>;

    /// Events of a site, newest first by their own time, ties by id from the greatest; at most
    /// `limit`.
    async fn timeline(&self, site: &Site, from: TimelineFrom, limit: usize) -> Result<Vec<Event>>;

    /// Clicked places of one page, or of all, in these hours since the Unix epoch: most
    /// clicked first, ties by page, then `y`, then `x`; at most `limit`.
    async fn heatmap(&self, site: &Site, page: Option<&str>, hours: Range<i64>, limit: usize)
    -> Result<Vec<ClickCell>>;

    /// All sites that were ever seen, by name.
    async fn sites(&self) -> Result<Vec<Site>>;

    /// Events of every site, as they are committed, each site's in order of position, and each
    /// before its `append` is answered, unless what another process committed before it is
    /// still on its way. Whether events that other processes append are heard, the engine's
    /// documentation says; they are found with [`Store::committed_after`] in any case.
    fn subscribe(&self) -> broadcast::Receiver<Arc<[Committed]>>;

    /// The place of a stored event, after which the feed can be resumed. The latest 100,000 events
    /// of all sites together have one on every engine; older ones may be answered as unknown.
    async fn position(&self, site: &Site, id: Uuid) -> Result<Option<Position>>;

    /// A site's events after a place, in order of position, at most `limit`. What this process
    /// appends meanwhile is in it without a hole: the last one's place is a place to go on from.
    async fn committed_after(&self, site: &Site, after: Position, limit: usize) -> Result<Vec<Committed>>;

    /// The secret of this name. If there is none yet, or it has expired by `now`, `fresh`
    /// becomes it; the first writer wins and all others are answered the winner's.
    async fn secret(&self, name: SecretName, fresh: Secret, now: Timestamp) -> Result<Secret>;

    /// Destroys secrets that have expired by `now`, so that not even the disk holds them.
    /// Answers how many there were.
    async fn destroy_secrets(&self, now: Timestamp) -> Result<u64>;

    /// One bounded step of deleting what no longer is to be kept: events of days before
    /// `cutoff`, and of the aggregates what has outlived its use by `now` (day counters after
    /// 90 days, week and month counters after 365). Callers repeat it until it is done.
    async fn delete_before(&self, cutoff: Day, now: Timestamp) -> Result<Step>;

    /// Claims the retention run of the UTC day of `now`, so that of all processes on a store
    /// one does it. Refused once a run has succeeded on that day, and for [`CLAIM`] after
    /// another process's claim, which may have died. A success on a later day and a claim more
    /// than [`CLAIM`] ahead were recorded by a wrong clock and do not count.
    async fn claim_cleanup(&self, now: Timestamp) -> Result<bool>;

    /// Notes that a retention run succeeded.
    async fn cleaned(&self, at: Timestamp) -> Result<()>;

    /// When a retention run last succeeded.
    async fn last_cleaned(&self) -> Result<Option<Timestamp>>;

    /// The first day whose events are all still there, as far as cleanup goes; aggregates of
    /// periods that begin before it cannot be recounted.
    async fn kept_since(&self) -> Result<Option<Day>>;

    /// Moves what is recorded as kept back to the day `to`, where it lies after it: a retention
    /// run with a wrong clock recorded it ahead. From then on events and figures of `to` and
    /// later are answered and recounted again.
    async fn lower_kept(&self, to: Day) -> Result<()>;

    /// The UTC days of the oldest and of the newest event not after `until`, of all sites; `None`
    /// without events. An engine that sorts events by their ids may be off by a few minutes.
    async fn event_days(&self, until: Timestamp) -> Result<Option<RangeInclusive<Day>>>;

    /// The scheduled retention runs that waited since one was last recorded to go ahead.
    async fn waited(&self) -> Result<Option<Waited>>;

    /// Records that scheduled retention runs waited, or, with `None`, that one went ahead.
    async fn note_waited(&self, waited: Option<Waited>) -> Result<()>;

    /// Recounts every aggregate whose period the events still cover and lists differences.
    async fn verify(&self, now: Timestamp, progress: Progress) -> Result<Recount>;

    /// Replaces every aggregate whose period the events still cover by a recount; lists what
    /// was different before. Appends wait meanwhile.
    async fn rebuild(&self, now: Timestamp, progress: Progress) -> Result<Recount>;

    /// Whether it can take events now: no commit has failed since the last successful one, and a
    /// small write is durable now. A read alone is no proof: a disk may be full, a file read-only,
    /// removed or damaged, and questions be answered all the same. Costs one write.
    ///
    /// A failed commit may count for a few seconds only, so that a process that gets no events
    /// while it is not ready becomes ready again when the small write succeeds.
    ///
    /// # Errors
    /// Says why not.
    async fn check(&self) -> Result<()>;

    /// What it can do without for a while and misses now, such as `redis`; empty when all is
    /// well. Answers given meanwhile are right, but may come slower and later.
    fn degraded(&self) -> Vec<&'static str> {
        Vec::new()
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
