//! What a store keeps beside events: secrets, and what retention runs record.

use std::fmt;
use std::ops::RangeInclusive;

use async_trait::async_trait;

use super::Result;
use crate::time::{Day, SECOND, Timestamp};

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

/// How long the claim of a retention run holds, in milliseconds: 10 minutes.
pub const CLAIM: i64 = 600 * SECOND;

/// Secrets, claims and records of retention runs.
#[async_trait]
pub trait Keep {
    /// The secret of this name. If there is none yet, or it has expired by `now`, `fresh`
    /// becomes it; the first writer wins and all others are answered the winner's.
    async fn secret(&self, name: SecretName, fresh: Secret, now: Timestamp) -> Result<Secret>;

    /// Destroys secrets that have expired by `now`, so that not even the disk holds them.
    /// Answers how many there were.
    async fn destroy_secrets(&self, now: Timestamp) -> Result<u64>;

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
}
