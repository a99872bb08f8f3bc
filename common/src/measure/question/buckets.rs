//! Ranges of time and their division into buckets.

use super::TimeUnit;
use crate::time::Timestamp;

/// The instants from `start` up to, and without, `end`. It may be empty; `start <= end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Range {
    /// The first instant.
    pub start: Timestamp,
    /// The first instant that is not covered any more.
    pub end: Timestamp,
}

impl Range {
    /// Whether it covers the instant.
    #[must_use]
    pub fn contains(self, instant: Timestamp) -> bool {
        self.start <= instant && instant < self.end
    }
}

/// A range divided into intervals, each of which has a label. Several intervals may share a label: the
/// hours of a day come again every day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buckets {
    unit: TimeUnit,
    labels: Vec<String>,
    buckets: Vec<Bucket>,
}

/// One interval of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// The instants.
    pub range: Range,
    /// The place of its label in [`Buckets::labels`].
    pub label: u32,
}

impl Buckets {
    /// What the range is divided into.
    #[must_use]
    pub const fn unit(&self) -> TimeUnit {
        self.unit
    }

    /// The labels, distinct, in the order of time; those of hours and weekdays in their own.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The intervals, in order. None is empty; together they cover the range without gap or overlap.
    #[must_use]
    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// The interval that covers the instant.
    #[must_use]
    pub fn find(&self, instant: Timestamp) -> Option<&Bucket> {
        let after = self.buckets.partition_point(|bucket| bucket.range.end <= instant);
        self.buckets.get(after).filter(|bucket| bucket.range.contains(instant))
    }
}
