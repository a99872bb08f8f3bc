//! Whether the store may take more events: `ANALYTICS_MAX_STORE` bounds how large it becomes.

use std::sync::Mutex as Lock;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::collect::error_text;
use crate::store::{Result, Store, StoreError};
use crate::time::{SECOND, Timestamp};

/// How old the known size may be, in milliseconds.
const FRESH_FOR: i64 = 2 * SECOND;
/// From which share of the limit on the operator is warned.
const WARN_AT: f64 = 0.8;

/// How full the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Free,
    NearlyFull,
    Full,
}

/// The size of the store, and its limit.
#[derive(Debug)]
pub struct Space {
    /// Bytes; `None` without a limit.
    limit: Option<u64>,
    used: AtomicU64,
    /// When the size was last asked for. Held while it is, so that one request asks for all.
    asked: Mutex<Option<Timestamp>>,
    reported: Lock<Level>,
}

impl Space {
    /// Of a store that may have so many bytes.
    pub(crate) fn new(limit: Option<u64>) -> Self {
        Self { limit, used: AtomicU64::new(0), asked: Mutex::default(), reported: Lock::new(Level::Free) }
    }

    /// Bytes; `None` without a limit.
    #[must_use]
    pub const fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// The bytes that the store uses, as of two seconds ago at most; 0 where the engine cannot tell.
    pub async fn used(&self, store: &dyn Store, now: Timestamp) -> u64 {
        if let Ok(mut asked) = self.asked.try_lock()
            && asked.is_none_or(|at| (now.millis() - at.millis()).abs() > FRESH_FOR)
        {
            *asked = Some(now);
            match store.used_bytes().await {
                Ok(used) => self.note(used.unwrap_or(0)),
                // Appends fail by themselves if the store does.
                Err(error) => tracing::debug!(error = error_text(&error), "the size of the store is not known"),
            }
        }
        self.used.load(Ordering::Relaxed)
    }

    /// Whether there is room for more events.
    ///
    /// # Errors
    /// [`StoreError::Full`].
    pub(crate) async fn check(&self, store: &dyn Store, now: Timestamp) -> Result<()> {
        match self.limit {
            Some(limit) if self.used(store, now).await >= limit => {
                Err(StoreError::Full { engine: store.engine(), limit })
            }
            _ => Ok(()),
        }
    }

    /// Notes the size; tells the operator when it crosses a bound.
    fn note(&self, used: u64) {
        self.used.store(used, Ordering::Relaxed);
        let Some(limit) = self.limit else { return };
        let level = match used as f64 / limit as f64 {
            share if share >= 1.0 => Level::Full,
            share if share >= WARN_AT => Level::NearlyFull,
            _ => Level::Free,
        };
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if level == *reported {
            return;
        }
        match level {
            Level::Full => tracing::error!(
                used,
                limit,
                "the store is full: events are refused until ANALYTICS_MAX_STORE is raised, or cleanup deletes some"
            ),
            Level::NearlyFull if *reported < level => {
                tracing::warn!(used, limit, "the store has reached four fifths of ANALYTICS_MAX_STORE")
            }
            Level::NearlyFull | Level::Free => tracing::info!(used, limit, "the store has room again"),
        }
        *reported = level;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_is_warned_at_four_fifths() {
        let space = Space::new(Some(1_000));
        let level = |used| {
            space.note(used);
            *space.reported.lock().unwrap()
        };
        for (used, expected) in [
            (799, Level::Free),
            (800, Level::NearlyFull),
            (999, Level::NearlyFull),
            (1_000, Level::Full),
            (900, Level::NearlyFull),
            (5, Level::Free),
        ] {
            assert_eq!(level(used), expected, "{used} of 1,000");
        }
    }
}
