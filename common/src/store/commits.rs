//! What became of the last commit, for readiness.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Result, StoreError};

/// How long a failed commit counts. After that only a write tells, so that a process that gets no
/// events while it is not ready becomes ready again.
const FAILURE_COUNTS: Duration = Duration::from_secs(5);

/// When the last commit failed and why, unless it succeeded. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct LastCommit(Arc<Mutex<Option<(Instant, String)>>>);

impl LastCommit {
    /// Notes a commit that succeeded.
    pub(super) fn succeeded(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Notes a commit that failed.
    pub(super) fn failed(&self, reason: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), reason));
    }

    /// # Errors
    /// When the last commit failed within [`FAILURE_COUNTS`].
    pub(super) fn check(&self, engine: &'static str) -> Result<()> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((at, reason)) if at.elapsed() < FAILURE_COUNTS => {
                Err(StoreError::Unavailable { engine, reason: format!("the last commit failed: {reason}") })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_commit_counts_until_one_succeeds() {
        let last = LastCommit::default();
        assert!(last.check("x").is_ok());
        last.clone().failed("disk full".to_owned());
        assert!(last.check("x").unwrap_err().to_string().contains("x"));
        last.succeeded();
        assert!(last.check("x").is_ok());
        *last.0.lock().unwrap() = Instant::now().checked_sub(FAILURE_COUNTS).map(|at| (at, String::new()));
        assert!(last.check("x").is_ok(), "long ago");
    }
}
