//! What is computed for a question.

use super::{Dimension, Number};
use crate::time::Day;

/// The rows of a question, and how they came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// All rows, in any order. Ordering, paging and comparison come afterwards.
    pub rows: Vec<ResultRow>,
    /// How visitors were counted.
    pub visitors: VisitorCount,
    /// Dimensions of which a day had more distinct values than are kept; the rest is `(other)`.
    pub capped: Vec<Dimension>,
    /// Whether days whose events have expired were answered from summaries; `None` if the range has none.
    pub summaries: Option<Summaries>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultRow {
    /// The value of each dimension; of a time dimension, the label of the bucket.
    pub dimensions: Vec<String>,
    /// The value of each metric; `None` is null.
    pub metrics: Vec<Option<Number>>,
}

/// How visitors were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VisitorCount {
    /// Each once in the whole range.
    Distinct,
    /// Each once on each day: the range is answered from summaries.
    Daily,
    /// Both: some days are answered from summaries.
    Mixed,
}

/// What daily summaries did for the days whose events have expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summaries {
    /// How many of those days they answered.
    pub answered: Answered,
    /// Why they could not answer everything, if they could not.
    pub reason: Option<String>,
    /// The first day whose events are still kept.
    pub first_day_of_events: Day,
}

/// How many of the expired days of a range summaries answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answered {
    /// All of them.
    All,
    /// Those that have a summary.
    Some,
    /// None: a question of this kind needs events.
    None,
}
