//! What a scan reads: one UTC day of one site, in columns, whether it is closed (a
//! [`Segment`](super::segment::Segment)) or still open (a [`Head`](super::head::Head)).
//!
//! Rows are events; those of a visit lie next to each other, first its events and then its reports,
//! each in the order of (time, event id). Visits of a visitor lie next to each other, in order of time.
//! Reports of a visitor before its first visit belong to none: they form a run of their own, a visit
//! without events. There may be unused places between runs; only [`Layout`] tells what is used.

use super::question::Dimension;
use super::texts::Texts;
use crate::time::Day;

/// The most distinct values of a dimension in one day; the most frequent ones are kept, of equally
/// frequent ones those that come first by bytes. The others are [`OTHER`].
pub const MOST_VALUES: usize = 10_000;
/// The value that stands for all beyond [`MOST_VALUES`].
pub const OTHER: &str = "(other)";

/// The bytes of a block are not those that were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the block is damaged or of another version")]
pub struct Damaged;

/// A column of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Column<'a> {
    /// Of each visit, or of each row for dimensions of events: the number of its value in
    /// [`Columns::texts`]; 0 is the unknown value. Goals and times have no column.
    Value(&'a Dimension),
    /// Of each row: milliseconds since midnight.
    Time,
    /// Of each row: 1 more than the scroll depth in percent, 0 if it reports none.
    Depth,
    /// Of each row: 1 more than the visible milliseconds, 0 if it reports none.
    Visible,
    /// Of each row: 1 more than a click's place from the left in percent, 0 if it is none.
    ClickX,
    /// Of each row: 1 more than a click's place from the top in percent, 0 if it is none.
    ClickY,
    /// Of each visit: its page views.
    Views,
    /// Of each visit: milliseconds from its first event to its last.
    Duration,
}

/// Visits of one visitor: places in the columns of visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VisitorVisits {
    /// The first.
    pub start: u32,
    /// How many.
    pub count: u32,
}

/// Rows of one visit: places in the columns of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VisitRows {
    /// The first.
    pub start: u32,
    /// How many events, from `start` on; 0 of the reports that belong to no visit.
    pub events: u32,
    /// How many reports follow them.
    pub reports: u32,
}

/// Which places of the columns belong together.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    /// Visits of each visitor.
    pub visitors: Vec<VisitorVisits>,
    /// Rows of each visit, by place.
    pub visits: Vec<VisitRows>,
    /// Space that is used again.
    pub(super) scratch: [Vec<u32>; 2],
}

/// One UTC day of one site.
pub trait Columns: Send + Sync {
    /// The day.
    fn day(&self) -> Day;

    /// How many places the columns of rows have.
    fn rows(&self) -> usize;

    /// Reads which places belong together.
    ///
    /// # Errors
    /// [`Damaged`].
    fn layout(&self, layout: &mut Layout) -> Result<(), Damaged>;

    /// Reads [`Column::Time`], right for the rows of the visits that `of` is true of; other rows may have any
    /// time.
    ///
    /// # Errors
    /// [`Damaged`].
    fn times(&self, layout: &Layout, of: &dyn Fn(usize) -> bool, times: &mut Vec<u32>) -> Result<(), Damaged>;

    /// Reads the visitors with an explicit id, by their place in [`Layout::visitors`], ascending.
    ///
    /// # Errors
    /// [`Damaged`].
    fn explicit(&self, visitors: &mut Vec<(u32, [u8; 16])>) -> Result<(), Damaged>;

    /// Reads a column. Numbers of values are smaller than the number of texts.
    ///
    /// # Errors
    /// [`Damaged`].
    fn numbers(&self, column: Column<'_>, numbers: &mut Vec<u32>) -> Result<(), Damaged>;

    /// Reads the values of a dimension, and whether there were more than [`MOST_VALUES`].
    ///
    /// # Errors
    /// [`Damaged`].
    fn texts(&self, dimension: &Dimension, texts: &mut Texts) -> Result<bool, Damaged>;

    /// Whether events had more distinct property names than [`MOST_VALUES`], so that some were dropped.
    fn property_names_capped(&self) -> bool;
}
