//! What one scan may use.

use std::sync::Arc;

use crate::measure::columns::Damaged;
use crate::measure::visitor_numbers::VisitorNumbers;

/// What one scan may use.
pub struct Work<'a> {
    /// The most bytes of memory, about.
    pub memory: usize,
    /// Whether it has to stop: its deadline has passed, or the answer is not wanted any more. It is asked
    /// at each day and after every [`Work::EVERY`] visits.
    pub stopped: &'a (dyn Fn() -> bool + Sync),
    /// Numbers of the visitors of earlier scans. By how much they grow counts as memory.
    pub visitors: Arc<VisitorNumbers>,
}

impl Work<'_> {
    /// How many visits are read between two checks.
    pub const EVERY: usize = 65_536;

    pub(in crate::measure) fn check(&self) -> Result<(), ScanError> {
        if (self.stopped)() { Err(ScanError::Stopped) } else { Ok(()) }
    }

    pub(in crate::measure) const fn check_memory(&self, used: usize) -> Result<(), ScanError> {
        if used > self.memory { Err(ScanError::TooLarge) } else { Ok(()) }
    }
}

/// Why a scan has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// It was stopped, see [`Work::stopped`].
    #[error("the scan was stopped")]
    Stopped,
    /// The answer needs more memory than [`Work::memory`].
    #[error("the answer needs more memory than a query may use")]
    TooLarge,
    /// A segment is damaged: delete it, and it is built again.
    #[error(transparent)]
    Damaged(#[from] Damaged),
}
