//! What a scan reads: one UTC day of one site, in columns, whether it is closed (a
//! [`Segment`](super::segment::Segment)) or still open (a [`Head`](super::head::Head)).
//!
//! Rows are events; those of a visit lie next to each other, first its events and then its reports,
//! each in the order of (time, event id). Visits of a visitor lie next to each other, in order of time.
//! Reports of a visitor before its first visit belong to none: they form a run of their own, a visit
//! without events. There may be unused places between runs; only [`Visits`] tells what is used.

use std::borrow::Cow;
use std::sync::Arc;

use super::kept::KeptNumbers;
use super::question::Dimension;
use super::texts::Texts;
use super::visitor_numbers::VisitorNumbers;
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

/// Rows of one visit: places in the columns of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VisitRows {
    /// The first.
    pub start: u32,
    /// How many events, from `start` on; 0 of the reports that belong to no visit.
    pub events: u32,
    /// How many reports follow them.
    pub reports: u32,
    /// The number of its visitor on this day. Visits of a visitor lie next to each other.
    pub visitor: u32,
}

/// The visits of a day, by place.
#[derive(Debug, Clone, Default)]
pub struct Visits {
    /// Unused places have no rows.
    pub all: Vec<VisitRows>,
    /// What helps to read them if rows lie in the order of visits without gaps, and visits in that of
    /// visitors, first those with an explicit id.
    pub order: Option<InOrder>,
}

impl Visits {
    /// Of visits that lie in order; visitors smaller than `explicit` have an explicit id, and there are so many rows.
    #[must_use]
    pub fn in_order(all: Vec<VisitRows>, explicit: usize, rows: usize) -> Self {
        let order = InOrder::of(&all, explicit, rows);
        Self { all, order: Some(order) }
    }

    /// Leaves out visitors: their visits keep their places, without rows.
    pub fn leave_out(&mut self, is_left_out: impl Fn(u32) -> bool) {
        for (place, visit) in self.all.iter_mut().enumerate().filter(|(_, visit)| is_left_out(visit.visitor)) {
            if let Some(order) = &mut self.order {
                order.leave_out(place, visit);
            }
            (visit.events, visit.reports) = (0, 0);
        }
    }

    /// The bytes of memory that so many visits in order take, with so many rows.
    #[must_use]
    pub const fn memory(visits: usize, rows: usize) -> usize {
        let words = words(rows).saturating_mul(3 * size_of::<u64>() + size_of::<u32>());
        visits.saturating_mul(size_of::<VisitRows>() + 1).saturating_add(words)
    }
}

/// Where visits and visitors begin among rows that are in order: a bit for each row, 64 of them a word.
#[derive(Debug, Clone, Default)]
pub struct InOrder {
    /// How many visits are of visitors with an explicit id; they come first.
    pub explicit: usize,
    /// Whether a visitor begins at the row.
    pub visitors: Vec<u64>,
    /// Whether it is a report, or unused.
    pub reports: Vec<u64>,
    /// Whether it is unused; empty if none is.
    pub unused: Vec<u64>,
    /// The [`kinds`] of all visits.
    pub kinds: Vec<u8>,
    /// Whether a visit begins at the row.
    pub visits: Vec<u64>,
    /// How many visits begin before the word.
    before: Vec<u32>,
}

impl InOrder {
    fn of(visits: &[VisitRows], explicit: usize, rows: usize) -> Self {
        let bits = || vec![0; words(rows)];
        let mut order = Self {
            explicit: visits.partition_point(|visit| (visit.visitor as usize) < explicit),
            visitors: bits(),
            reports: bits(),
            unused: Vec::new(),
            kinds: kinds(visits),
            visits: bits(),
            before: Vec::new(),
        };
        let mut last = u32::MAX;
        // It takes few branches, which would often be mispredicted.
        for visit in visits {
            let (word, bit) = (visit.start as usize / 64, visit.start % 64);
            order.visits[word] |= 1 << bit;
            order.visitors[word] |= u64::from(visit.visitor != last) << bit;
            last = visit.visitor;
            set_bits(&mut order.reports, visit.start + visit.events, visit.reports);
        }
        let mut begun = 0;
        for word in &order.visits {
            order.before.push(begun);
            begun += word.count_ones();
        }
        order
    }

    fn leave_out(&mut self, place: usize, visit: &VisitRows) {
        self.kinds[place] = 0;
        self.unused.resize(self.reports.len(), 0);
        for bits in [&mut self.reports, &mut self.unused] {
            set_bits(bits, visit.start, visit.events + visit.reports);
        }
    }

    /// The visit of a row.
    #[inline(always)]
    #[must_use]
    pub fn visit(&self, row: u32) -> u32 {
        let word = row as usize / 64;
        // The visit begins at the row or before it.
        self.before[word] + (self.visits[word] << (63 - row % 64)).count_ones() - 1
    }

    /// Bits of rows that do not count as events, if reports are events or not; none if all do.
    #[inline(always)]
    #[must_use]
    pub fn no_events(&self, reports_are_events: bool) -> &[u64] {
        if reports_are_events { &self.unused } else { &self.reports }
    }
}

/// The words of bits of so many rows. Bits may be set from the place after the last row on, and a run of bits
/// may end in the word after the one in which it begins.
const fn words(rows: usize) -> usize {
    rows / 64 + 2
}

/// Sets so many bits from `first` on; there is a word after the one of `first`.
#[inline(always)]
fn set_bits(words: &mut [u64], first: u32, count: u32) {
    let mut set = |first: u32, count: u32| {
        let (bits, word) = (((1_u128 << count) - 1) << (first % 64), first as usize / 64);
        words[word] |= bits as u64;
        words[word + 1] |= (bits >> 64) as u64;
    };
    let (mut first, mut count) = (first, count);
    while count > 64 {
        set(first, 64);
        (first, count) = (first + 64, count - 64);
    }
    set(first, count);
}

/// The bits of a visit in [`kinds`].
pub mod kind {
    /// It has events.
    pub const EVENTS: u8 = 1;
    /// It has exactly one event.
    pub const ONE_EVENT: u8 = 2;
    /// It is the first visit of its visitor that has events.
    pub const FIRST: u8 = 4;
}

/// What is asked of many visits, as bits of a byte each, of which many are looked at together.
#[must_use]
pub fn kinds(visits: &[VisitRows]) -> Vec<u8> {
    let mut last = None;
    let of = |visit: &VisitRows| {
        if visit.events == 0 {
            return 0;
        }
        let first = if last.replace(visit.visitor) == Some(visit.visitor) { 0 } else { kind::FIRST };
        kind::EVENTS | first | if visit.events == 1 { kind::ONE_EVENT } else { 0 }
    };
    visits.iter().map(of).collect()
}

/// The visitors of a day who have an explicit id.
#[derive(Debug, Default)]
pub struct Explicit<'a> {
    /// Their ids.
    pub ids: Cow<'a, [[u8; 16]]>,
    /// The [`VisitRows::visitor`] of each, ascending. Without it, they are the first visitors, in this order.
    pub visitors: Option<Vec<u32>>,
    /// Where their numbers are kept between scans, if these columns stay as they are.
    pub numbers: Option<&'a KeptNumbers<VisitorNumbers>>,
}

/// The numbers of a column, as narrow as they are kept.
#[derive(Debug, Clone)]
pub enum Numbers<'a> {
    /// Up to 255.
    Bytes(&'a [u8]),
    /// Up to 65,535, little-endian.
    Shorts(&'a [[u8; 2]]),
    /// Any.
    Words(Vec<u32>),
}

impl Numbers<'_> {
    /// The number at that place.
    #[inline(always)]
    #[must_use]
    pub fn get(&self, place: usize) -> u32 {
        match self {
            Self::Bytes(numbers) => numbers[place].into(),
            Self::Shorts(numbers) => u16::from_le_bytes(numbers[place]).into(),
            Self::Words(numbers) => numbers[place],
        }
    }
}

/// One UTC day of one site.
pub trait Columns: Send + Sync {
    /// The day.
    fn day(&self) -> Day;

    /// How many places the columns of rows have.
    fn rows(&self) -> usize;

    /// The visits.
    ///
    /// # Errors
    /// [`Damaged`].
    fn visits(&self) -> Result<Cow<'_, Visits>, Damaged>;

    /// Reads [`Column::Time`] less the time of the first row of the visit, right for the rows of the visits
    /// at the places `of`, which ascend; other rows may have any number.
    ///
    /// # Errors
    /// [`Damaged`].
    fn offsets(&self, visits: &[VisitRows], of: &[u32], offsets: &mut Vec<u32>) -> Result<(), Damaged>;

    /// Reads [`Column::Time`], right for the rows of the same visits.
    ///
    /// # Errors
    /// [`Damaged`].
    fn times(&self, visits: &[VisitRows], of: &[u32], times: &mut Vec<u32>) -> Result<(), Damaged>;

    /// The visitors with an explicit id.
    ///
    /// # Errors
    /// [`Damaged`].
    fn explicit(&self) -> Result<Explicit<'_>, Damaged>;

    /// Reads a column. Numbers of values are smaller than the number of texts. `visits` are
    /// [`Self::visits`], from which an open day works out some columns; a segment has all of them and looks
    /// at none.
    ///
    /// # Errors
    /// [`Damaged`].
    fn numbers(&self, column: Column<'_>, visits: &[VisitRows], numbers: &mut Vec<u32>) -> Result<(), Damaged>;

    /// A column that is kept so that it can be read where it is, if this one is.
    ///
    /// # Errors
    /// [`Damaged`].
    fn flat(&self, _: Column<'_>) -> Result<Option<Numbers<'_>>, Damaged> {
        Ok(None)
    }

    /// The values of a dimension, and whether there were more than [`MOST_VALUES`].
    ///
    /// # Errors
    /// [`Damaged`].
    fn texts(&self, dimension: &Dimension) -> Result<(Arc<Texts>, bool), Damaged>;

    /// Whether events had more distinct property names than [`MOST_VALUES`], so that some were dropped.
    fn property_names_capped(&self) -> bool;
}
