//! Funnels: how many visitors take each of several steps in order.

use super::{Dimension, Filter, Number, Range};
use crate::site::Site;

/// How many visitors take the steps, and where they stop. A visitor counts once, at the furthest step
/// of any attempt, with the times of the earliest such attempt.
#[derive(Debug, Clone)]
pub struct Funnel {
    /// The site.
    pub site: Site,
    /// What an event must pass for each step, [`Funnel::FEWEST_STEPS`] to [`Funnel::MOST_STEPS`]. Each
    /// step takes an event of its own.
    pub steps: Vec<Filter>,
    /// Whether other events may come between two steps.
    pub order: StepOrder,
    /// How far apart the steps may be.
    pub within: Within,
    /// Conditions on visits: a visit takes part if one of its events passes them all.
    pub filters: Vec<Filter>,
    /// Whether `scroll` and `hover` are ordinary events.
    pub reports_are_events: bool,
    /// One funnel for each value of this dimension, as it is at the attempt's first step.
    pub dimension: Option<Dimension>,
    /// The instants that are covered.
    pub range: Range,
    /// The most values of the dimension, 1 to [`super::Question::MOST_ROWS`].
    pub limit: usize,
}

impl Funnel {
    /// The fewest steps.
    pub const FEWEST_STEPS: usize = 2;
    /// The most steps.
    pub const MOST_STEPS: usize = 8;
}

/// Whether other events may come between two steps of a [`Funnel`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepOrder {
    /// They may.
    Sequential,
    /// None but reports may.
    Strict,
}

/// How far apart the steps of a [`Funnel`] may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Within {
    /// All in one visit.
    Visit,
    /// At most so many seconds from the first step to the last, this many included.
    Seconds(u32),
}

/// The answer to a [`Funnel`]: one row, or one for each value of the dimension, most visitors at the
/// first step first, ties by value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FunnelAnswer {
    /// The rows.
    pub rows: Vec<FunnelRow>,
    /// How many rows there are without the limit.
    pub total_rows: usize,
}

/// One funnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunnelRow {
    /// The value of the dimension, if one is asked for.
    pub value: Option<String>,
    /// One for each step.
    pub steps: Vec<FunnelStep>,
}

/// One step of a funnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunnelStep {
    /// Visitors who reached it.
    pub visitors: u64,
    /// Median of the seconds since the step before, of those who reached it, halves rounded up; `None`
    /// for the first step and where there are no visitors.
    pub median_seconds: Option<Number>,
}
