//! Visitors of an open day who have not been seen for a while, in few bytes.
//!
//! A piece holds all rows of its visitors, in the order and the encodings of a segment, with the numbers
//! that values have in the head. What it does not hold is worked out when it is read: durations, entry and
//! exit pages. Ids of events are left out as in a segment. Of the facts it has those of each visit's first
//! row: no other row can become the first of a visit, since further events only join visits.

use std::ops::Range;

use super::{Head, Part, Sparse};
use crate::measure::columns::{Damaged, VisitRows, Visits};
use crate::measure::layout::{self, Layout};
use crate::measure::segment::numbers;

/// The most rows of a piece, unless one visitor has more.
const MOST_ROWS: u32 = 1 << 17;
/// The most visitors of a piece: their numbers take two bytes.
const MOST_VISITORS: usize = 1 << 16;

/// Columns of visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfVisits {
    Start,
    Events,
    Reports,
    Arrival,
    Client,
    Views,
    /// Its number among pages, 0 of visits without a page view.
    EntryPage,
}

/// Columns of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfRows {
    Name,
    Page,
    Hostname,
    Theme,
    LetterType,
    Element,
    Depth,
    Visible,
    ClickX,
    ClickY,
}

impl OfRows {
    pub(super) const DENSE: [Self; 3] = [Self::Name, Self::Page, Self::Hostname];
    pub(super) const SPARSE: [Self; 7] =
        [Self::Theme, Self::LetterType, Self::Element, Self::Depth, Self::Visible, Self::ClickX, Self::ClickY];
}

/// The bytes of a column; none if all of its numbers are 0.
#[derive(Debug, Clone, Default)]
struct Packed(Box<[u8]>);

impl Packed {
    fn of(numbers: &[u32]) -> Self {
        match numbers.iter().all(|number| *number == 0) {
            true => Self::default(),
            false => Self(numbers::encode(numbers).into()),
        }
    }

    fn read(&self, count: usize, numbers: &mut Vec<u32>) -> Result<(), Damaged> {
        if !self.0.is_empty() {
            return numbers::decode(&self.0, count, numbers);
        }
        numbers.clear();
        numbers.resize(count, 0);
        Ok(())
    }

    /// The numbers at these places, which ascend, one after another.
    fn read_some(&self, count: usize, places: impl Iterator<Item = Range<usize>>) -> Result<Vec<u32>, Damaged> {
        let mut numbers = Vec::new();
        match self.0.is_empty() {
            true => numbers.resize(places.map(|places| places.len()).sum(), 0),
            false => numbers::decode_some(&self.0, count, places, &mut numbers)?,
        }
        Ok(numbers)
    }
}

/// All rows of some visitors.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    visits: usize,
    rows: usize,
    /// The rows of visitors who have left it.
    gone: usize,
    /// The ids of the visitors who have an explicit one. They come first.
    explicit: Box<[[u8; 16]]>,
    /// The visitors who have left it.
    left: Box<[bool]>,
    /// Of all visitors, less one.
    more: Packed,
    of_visits: [Packed; 7],
    gaps: Packed,
    of_rows: [Packed; 10],
    /// By number of the property.
    properties: Vec<(u32, Packed)>,
}

/// A visitor's visits that leave a piece.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) explicit: Vec<bool>,
    /// With the place of the visitor among those that were asked for.
    pub(super) visits: Vec<VisitRows>,
    /// The facts of each visit.
    pub(super) arrival: Vec<u32>,
    pub(super) client: Vec<u32>,
    /// Columns of rows, in the order of visits.
    pub(super) time: Vec<u32>,
    pub(super) of_rows: [Vec<u32>; 10],
    pub(super) properties: Vec<(u32, Vec<u32>)>,
}

impl Piece {
    /// Divides visitors of a head among pieces: those with an explicit id come first.
    pub(super) fn divide(head: &Head, visitors: &[u32]) -> Vec<Range<usize>> {
        let (mut ranges, mut start, mut rows) = (Vec::new(), 0, 0);
        for (at, visitor) in visitors.iter().enumerate() {
            let own = head.places.get(head.visitors[*visitor as usize].rows).len() as u32;
            if at > start && (rows + own > MOST_ROWS || at - start == MOST_VISITORS) {
                ranges.push(start..at);
                (start, rows) = (at, 0);
            }
            rows += own;
        }
        ranges.push(start..visitors.len());
        ranges
    }

    /// Of these visitors of a head, in this order.
    pub(super) fn of(head: &Head, visitors: &[u32]) -> Self {
        let of_number = |number: &u32| &head.visitors[*number as usize];
        let explicit = visitors.iter().map(of_number).filter(|visitor| visitor.explicit);
        let explicit: Box<[_]> = explicit.map(|visitor| *visitor.id.as_bytes()).collect();
        let rows = &head.rows;
        let runs = visitors.iter().map(|number| {
            let visits = of_number(number).visits;
            visits.start()..visits.start() + head.visits.get(visits).len() as u32
        });
        let row_at = |place: u32| head.places.all()[place as usize];
        let time = |place: u32| rows.time[row_at(place) as usize];
        let mut layout = Layout::of(head.visits.all(), time, runs, explicit.len());
        layout.rows.iter_mut().for_each(|place| *place = row_at(*place));
        let (unsealed, mut views, mut entry_pages) = (Part { head, piece: None }, Vec::new(), Vec::new());
        // Reading the head cannot fail.
        _ = unsealed.views(head.visits.all(), &mut views);
        _ = unsealed.viewed(OfRows::Page, false, head.visits.all(), &mut entry_pages);
        let first = |visit: &u32| row_at(head.visits.all()[*visit as usize].start) as usize;
        let facts = |column: &[u32]| layout.visits.iter().map(|visit| column[first(visit)]).collect::<Vec<_>>();
        let dense = [&rows.name, &rows.page, &rows.hostname].map(|column| Packed::of(&layout.of_rows(column)));
        let scattered = |column: &Sparse| match column.rows.is_empty() {
            true => Packed::default(),
            false => Packed::of(&layout.of_rows(&column.dense(rows.time.len()))),
        };
        let sparse = OfRows::SPARSE.map(|column| scattered(rows.sparse(column)));
        let properties = head.properties.values().map(|property| (property.number, scattered(&property.column)));
        let mut properties: Vec<_> = properties.filter(|(_, column)| !column.0.is_empty()).collect();
        properties.sort_unstable_by_key(|(number, _)| *number);
        let [name, page, hostname] = dense;
        let [theme, letter_type, element, depth, visible, x, y] = sparse;
        Self {
            visits: layout.visits.len(),
            rows: layout.rows.len(),
            gone: 0,
            explicit,
            left: vec![false; visitors.len()].into(),
            more: Packed::of(&layout.more),
            of_visits: [
                Packed::of(&layout.starts),
                Packed::of(&layout.events),
                Packed::of(&layout.reports),
                Packed::of(&facts(&rows.arrival)),
                Packed::of(&facts(&rows.client)),
                Packed::of(&layout.of_visits(&views)),
                Packed::of(&layout.of_visits(&entry_pages)),
            ],
            gaps: Packed::of(&layout.gaps),
            of_rows: [name, page, hostname, theme, letter_type, element, depth, visible, x, y],
            properties,
        }
    }

    /// How many places the columns of rows have.
    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    /// The ids of the first visitors.
    pub(super) const fn explicit(&self) -> &[[u8; 16]] {
        &self.explicit
    }

    /// The visits; those of visitors who have left have no rows.
    pub(super) fn visits(&self) -> Result<Visits, Damaged> {
        let mut visits = Visits::in_order(self.all_visits()?, self.explicit.len(), self.rows);
        if self.gone > 0 {
            visits.leave_out(|visitor| self.left[visitor as usize]);
        }
        Ok(visits)
    }

    fn all_visits(&self) -> Result<Vec<VisitRows>, Damaged> {
        let (mut more, mut events, mut reports) = (Vec::new(), Vec::new(), Vec::new());
        self.more.read(self.left.len(), &mut more)?;
        self.of_visits(OfVisits::Events, &mut events)?;
        self.of_visits(OfVisits::Reports, &mut reports)?;
        layout::visits(&more, &events, &reports, self.rows)
    }

    pub(super) fn times(&self, times: &mut Vec<u32>) -> Result<(), Damaged> {
        let visits = self.all_visits()?;
        let all: Vec<u32> = (0..visits.len() as u32).collect();
        self.offsets(&visits, &all, times)?;
        self.add_starts(&visits, &all, times)
    }

    fn add_starts(&self, visits: &[VisitRows], of: &[u32], times: &mut [u32]) -> Result<(), Damaged> {
        let mut starts = Vec::new();
        self.of_visits(OfVisits::Start, &mut starts)?;
        layout::begin(visits, self.explicit.len(), &mut starts)?;
        for at in of {
            let visit = visits[*at as usize];
            let own = &mut times[visit.start as usize..][..(visit.events + visit.reports) as usize];
            own.iter_mut().for_each(|time| *time = time.wrapping_add(starts[*at as usize]));
        }
        Ok(())
    }

    pub(super) fn offsets(&self, visits: &[VisitRows], of: &[u32], offsets: &mut Vec<u32>) -> Result<(), Damaged> {
        let gaps = self.gaps.read_some(self.rows - self.visits, layout::gaps_of(visits, of))?;
        offsets.resize(self.rows, 0);
        layout::offsets(visits, of, &gaps, offsets)
    }

    pub(super) fn of_visits(&self, column: OfVisits, numbers: &mut Vec<u32>) -> Result<(), Damaged> {
        self.of_visits[column as usize].read(self.visits, numbers)
    }

    /// The same, 0 of visits without events: those of visitors who have left are such.
    pub(super) fn of_visits_with_events(
        &self,
        column: OfVisits,
        visits: &[VisitRows],
        numbers: &mut Vec<u32>,
    ) -> Result<(), Damaged> {
        self.of_visits(column, numbers)?;
        numbers.iter_mut().zip(visits).for_each(|(number, visit)| *number *= u32::from(visit.events > 0));
        Ok(())
    }

    pub(super) fn of_rows(&self, column: OfRows, numbers: &mut Vec<u32>) -> Result<(), Damaged> {
        self.of_rows[column as usize].read(self.rows, numbers)
    }

    /// The numbers of a property's values.
    pub(super) fn property(&self, number: u32, numbers: &mut Vec<u32>) -> Result<(), Damaged> {
        match self.properties.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(at) => self.properties[at].1.read(self.rows, numbers),
            Err(_) => Packed::default().read(self.rows, numbers),
        }
    }

    /// Calls `each` with the row and number of the values of a property that are not 0.
    pub(super) fn each_of_property(&self, number: u32, each: impl FnMut(usize, u32)) -> Result<(), Damaged> {
        match self.properties.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(at) => numbers::each(&self.properties[at].1.0, self.rows, each),
            Err(_) => Ok(()),
        }
    }

    /// Takes visitors out, whose numbers ascend.
    pub(super) fn take(&mut self, visitors: &[u32]) -> Result<Taken, Damaged> {
        let visits = self.all_visits()?;
        let mut taken = Taken { explicit: Vec::with_capacity(visitors.len()), ..Taken::default() };
        let (mut of, mut next) = (Vec::new(), 0);
        for (place, visitor) in (0..).zip(visitors) {
            self.left[*visitor as usize] = true;
            taken.explicit.push((*visitor as usize) < self.explicit.len());
            next += visits[next..].partition_point(|visit| visit.visitor < *visitor);
            while let Some(visit) = visits.get(next).filter(|visit| visit.visitor == *visitor) {
                taken.visits.push(VisitRows { visitor: place, ..*visit });
                of.push(next as u32);
                next += 1;
            }
        }
        let rows = || {
            taken.visits.iter().map(|visit| visit.start as usize..(visit.start + visit.events + visit.reports) as usize)
        };
        let of_visits = || of.iter().map(|visit| *visit as usize..*visit as usize + 1);
        let mut times = Vec::new();
        self.offsets(&visits, &of, &mut times)?;
        self.add_starts(&visits, &of, &mut times)?;
        let time: Vec<u32> = rows().flat_map(|rows| times[rows].iter().copied()).collect();
        let facts = |column: OfVisits| self.of_visits[column as usize].read_some(self.visits, of_visits());
        let (arrival, client) = (facts(OfVisits::Arrival)?, facts(OfVisits::Client)?);
        let mut of_rows: [Vec<u32>; 10] = Default::default();
        for (numbers, packed) in of_rows.iter_mut().zip(&self.of_rows) {
            *numbers = packed.read_some(self.rows, rows())?;
        }
        let mut properties = Vec::new();
        for (number, packed) in &self.properties {
            let numbers = packed.read_some(self.rows, rows())?;
            if numbers.iter().any(|number| *number != 0) {
                properties.push((*number, numbers));
            }
        }
        self.gone += time.len();
        Ok(Taken { arrival, client, time, of_rows, properties, ..taken })
    }

    /// Whether all visitors have left.
    pub(super) const fn is_gone(&self) -> bool {
        self.gone == self.rows
    }

    /// Of each visitor the second of its first row, a day later if its id is not explicit, and how many rows
    /// it has; none if it has left.
    pub(super) fn seconds(&self) -> Result<Vec<(u32, u32)>, Damaged> {
        let (visits, mut starts) = (self.all_visits()?, Vec::new());
        self.of_visits(OfVisits::Start, &mut starts)?;
        layout::begin(&visits, self.explicit.len(), &mut starts)?;
        let mut seconds: Vec<(u32, u32)> = Vec::with_capacity(self.left.len());
        for (visit, start) in visits.iter().zip(starts) {
            if visit.visitor as usize == seconds.len() {
                let later = if seconds.len() < self.explicit.len() { 0 } else { 86_400 };
                seconds.push((start / 1_000 + later, 0));
            }
            if !self.left[visit.visitor as usize] {
                seconds[visit.visitor as usize].1 += visit.events + visit.reports;
            }
        }
        Ok(seconds)
    }

    /// Whether most rows are of visitors who have left.
    pub(super) const fn is_mostly_gone(&self) -> bool {
        self.gone > self.rows / 2
    }

    /// The bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
        let of = |packed: &Packed| packed.0.len();
        let properties = self.properties.iter().map(|(_, packed)| of(packed) + size_of::<(u32, Packed)>());
        size_of::<Self>()
            + 16 * self.explicit.len()
            + self.left.len()
            + of(&self.more)
            + of(&self.gaps)
            + self.of_visits.iter().chain(&self.of_rows).map(of).sum::<usize>()
            + properties.sum::<usize>()
    }
}
