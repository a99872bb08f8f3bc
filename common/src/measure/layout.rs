//! How rows lie in visits and visits in visitors, as few numbers: what segments and the pieces of an open
//! day have in common.
//!
//! Visitors with an explicit id come first. The starts of visits are small numbers if each of the two groups is
//! in the order of its first event.

use std::ops::Range;

use super::columns::{Damaged, VisitRows};

/// What is written, and in which order.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Of each visitor: how many visits, less one.
    pub(super) more: Vec<u32>,
    /// Of each visit: milliseconds since the visit before of the same visitor, or else since the first visit
    /// of the visitor before: twice as many, or if that is later, twice as many less one.
    pub(super) starts: Vec<u32>,
    /// Of each visit.
    pub(super) events: Vec<u32>,
    /// Of each visit.
    pub(super) reports: Vec<u32>,
    /// Of each row but the first of each visit: milliseconds since the row before; of a visit's first
    /// report, since the visit's start.
    pub(super) gaps: Vec<u32>,
    /// The places of visits.
    pub(super) visits: Vec<u32>,
    /// The places of rows.
    pub(super) rows: Vec<u32>,
}

impl Layout {
    /// Of the visitors with these runs of visits, the first `explicit` of which have an explicit id. `time`
    /// is that of each place of a row.
    pub(super) fn of(
        all: &[VisitRows],
        time: impl Fn(u32) -> u32,
        runs: impl Iterator<Item = Range<u32>>,
        explicit: usize,
    ) -> Self {
        let mut layout = Self::default();
        let mut first_before = 0;
        for (at, visits) in runs.enumerate() {
            layout.more.push(visits.len() as u32 - 1);
            if at == explicit {
                first_before = 0;
            }
            let mut before = first_before;
            first_before = time(all[visits.start as usize].start);
            for visit in visits {
                let rows = all[visit as usize];
                let begun = time(rows.start);
                layout.starts.push(folded(begun.wrapping_sub(before)));
                before = begun;
                layout.visits.push(visit);
                layout.events.push(rows.events);
                layout.reports.push(rows.reports);
                let mut last = begun;
                for row in rows.start..rows.start + rows.events + rows.reports {
                    if row == rows.start + rows.events {
                        last = begun;
                    }
                    let time = time(row);
                    if row > rows.start {
                        layout.gaps.push(time - last);
                    }
                    last = time;
                    layout.rows.push(row);
                }
            }
        }
        layout
    }

    /// A column of visits in the order in which it is written.
    pub(super) fn of_visits(&self, column: &[u32]) -> Vec<u32> {
        self.visits.iter().map(|place| column[*place as usize]).collect()
    }

    /// A column of rows in the order in which it is written.
    pub(super) fn of_rows(&self, column: &[u32]) -> Vec<u32> {
        self.rows.iter().map(|place| column[*place as usize]).collect()
    }
}

/// The visits, of which there are as many as events and as reports.
///
/// # Errors
/// [`Damaged`], unless they have `rows` rows.
pub(super) fn visits(more: &[u32], events: &[u32], reports: &[u32], rows: usize) -> Result<Vec<VisitRows>, Damaged> {
    let (mut row, mut visits) = (0_u64, Vec::with_capacity(events.len()));
    let mut counts = events.iter().zip(reports);
    for (visitor, more) in (0..).zip(more) {
        for _ in 0..=*more {
            let (events, reports) = counts.next().ok_or(Damaged)?;
            let own = u64::from(*events) + u64::from(*reports);
            visits.push(VisitRows { start: row as u32, events: *events, reports: *reports, visitor });
            row += own;
            if own == 0 || row > rows as u64 {
                return Err(Damaged);
            }
        }
    }
    if visits.len() != events.len() || row != rows as u64 {
        return Err(Damaged);
    }
    Ok(visits)
}

/// Makes the starts of visits the times at which they begin. Sums wrap, so that damaged numbers are wrong
/// times and nothing worse.
///
/// # Errors
/// [`Damaged`], unless there is a start for each visit.
pub(super) fn begin(visits: &[VisitRows], explicit: usize, starts: &mut [u32]) -> Result<(), Damaged> {
    let mut first_before = 0_u32;
    let mut rest = starts;
    for own in visits.chunk_by(|a, b| a.visitor == b.visitor) {
        let mut before = if own[0].visitor as usize == explicit { 0 } else { first_before };
        let (starts, others) = rest.split_at_mut_checked(own.len()).ok_or(Damaged)?;
        for start in starts.iter_mut() {
            before = before.wrapping_add(unfolded(*start));
            *start = before;
        }
        first_before = starts[0];
        rest = others;
    }
    Ok(())
}

/// A difference as a small number also if it is negative.
const fn folded(difference: u32) -> u32 {
    (difference << 1) ^ ((difference as i32 >> 31) as u32)
}

/// The difference again.
const fn unfolded(folded: u32) -> u32 {
    (folded >> 1) ^ (folded & 1).wrapping_neg()
}

/// Which gaps the rows of the visits at the places `of` have: each visit before has one less than rows.
pub(super) fn gaps_of<'a>(visits: &'a [VisitRows], of: &'a [u32]) -> impl Iterator<Item = Range<usize>> + 'a {
    of.iter().map(|at| {
        let (visit, at) = (visits[*at as usize], *at as usize);
        let start = visit.start as usize - at;
        start..start + (visit.events + visit.reports) as usize - 1
    })
}

/// Adds up the gaps of the visits at the places `of`: milliseconds since the first row of the visit.
///
/// # Errors
/// [`Damaged`], unless there are as many gaps as they have.
pub(super) fn offsets(visits: &[VisitRows], of: &[u32], gaps: &[u32], offsets: &mut [u32]) -> Result<(), Damaged> {
    let mut rest = gaps;
    for visit in of.iter().map(|at| visits[*at as usize]) {
        let offsets = &mut offsets[visit.start as usize..][..(visit.events + visit.reports) as usize];
        let (own, others) = rest.split_at_checked(offsets.len() - 1).ok_or(Damaged)?;
        offsets[0] = 0;
        for (row, gap) in (1..).zip(own) {
            let before = if row == visit.events as usize { 0 } else { offsets[row - 1] };
            offsets[row] = before.wrapping_add(*gap);
        }
        rest = others;
    }
    Ok(())
}
