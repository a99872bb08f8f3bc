//! A day that is being scanned: each column is read when it is first needed, and once.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use crate::measure::columns::{Column, Columns, Damaged, InOrder, Numbers, VisitRows, Visits};
use crate::measure::question::{Dimension, Field, Range};
use crate::measure::texts::Texts;
use crate::time::{DAY, Timestamp};

/// How many visits are read together.
pub(super) const NEAR: usize = 128;

/// Space for columns that is used again for the next day.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    numbers: Vec<Vec<u32>>,
    bytes: usize,
}

impl Buffers {
    /// The bytes of memory that they took during the last day.
    pub(super) fn memory(&self) -> usize {
        self.numbers.iter().map(|numbers| 4 * numbers.capacity()).sum::<usize>() + self.bytes
    }
}

/// The day, and what was read of it.
pub(super) struct Opened<'a> {
    columns: &'a dyn Columns,
    layout: Cow<'a, Visits>,
    /// The part of the range that lies in the day, in milliseconds since midnight.
    pub(super) times: std::ops::Range<u32>,
    pub(super) midnight: i64,
    /// Whether `scroll` and `hover` are ordinary events.
    pub(super) reports_are_events: bool,
    free: RefCell<Vec<Vec<u32>>>,
    read: RefCell<Vec<(Key, Rc<Numbers<'a>>)>>,
    texts: RefCell<Vec<(Dimension, Arc<Texts>)>>,
    capped: RefCell<BTreeSet<Dimension>>,
}

/// A [`Column`] that can be kept.
#[derive(Debug, PartialEq, Eq)]
enum Key {
    Value(Dimension),
    Other(Column<'static>),
}

impl<'a> Opened<'a> {
    /// Opens a day, unless the range has no part of it.
    pub(super) fn new(
        columns: &'a dyn Columns,
        range: Range,
        reports_are_events: bool,
        buffers: &mut Buffers,
    ) -> Result<Option<Self>, Damaged> {
        let midnight = columns.day().start().millis();
        let of_day = |instant: Timestamp| (instant.millis() - midnight).clamp(0, DAY) as u32;
        let times = of_day(range.start)..of_day(range.end);
        if times.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            columns,
            layout: columns.visits()?,
            times,
            midnight,
            reports_are_events,
            free: RefCell::new(std::mem::take(&mut buffers.numbers)),
            read: RefCell::default(),
            texts: RefCell::default(),
            capped: RefCell::default(),
        }))
    }

    /// Gives the space back, and tells of which dimensions values are missing.
    pub(super) fn into_capped(self, buffers: &mut Buffers) -> BTreeSet<Dimension> {
        buffers.bytes = match &self.layout {
            Cow::Borrowed(_) => 0,
            Cow::Owned(visits) => size_of_val(&*visits.all),
        };
        buffers.numbers = self.free.into_inner();
        for (_, numbers) in self.read.into_inner() {
            if let Ok(Numbers::Words(numbers)) = Rc::try_unwrap(numbers) {
                buffers.numbers.push(numbers);
            }
        }
        self.capped.into_inner()
    }

    /// Whether the range covers the whole day.
    pub(super) const fn is_whole(&self) -> bool {
        self.times.start == 0 && self.times.end as i64 == DAY
    }

    /// How many places the columns of rows have.
    pub(super) fn rows(&self) -> usize {
        self.columns.rows()
    }

    /// A column that is not of values.
    pub(super) fn numbers(&self, column: Column<'static>) -> Result<Rc<Numbers<'a>>, Damaged> {
        self.cached(Key::Other(column), column)
    }

    /// [`Column::Time`], right for the rows of these visits.
    pub(super) fn times_of(&self, visits: &[u32]) -> Result<Vec<u32>, Damaged> {
        let mut times = self.buffer();
        self.columns.times(&self.layout.all, visits, &mut times)?;
        Ok(times)
    }

    /// [`Columns::offsets`] of the rows of these visits.
    pub(super) fn offsets_of(&self, visits: &[u32]) -> Result<Vec<u32>, Damaged> {
        let mut offsets = self.buffer();
        self.columns.offsets(&self.layout.all, visits, &mut offsets)?;
        Ok(offsets)
    }

    /// The numbers of the values of a dimension.
    pub(super) fn values(&self, dimension: &Dimension) -> Result<Rc<Numbers<'a>>, Damaged> {
        self.cached(Key::Value(dimension.clone()), Column::Value(dimension))
    }

    fn cached(&self, key: Key, column: Column<'_>) -> Result<Rc<Numbers<'a>>, Damaged> {
        if let Some((_, numbers)) = self.read.borrow().iter().find(|(other, _)| *other == key) {
            return Ok(Rc::clone(numbers));
        }
        let numbers = match self.columns.flat(column)? {
            Some(numbers) => numbers,
            None => {
                let mut numbers = self.buffer();
                self.columns.numbers(column, &self.layout.all, &mut numbers)?;
                Numbers::Words(numbers)
            }
        };
        let numbers = Rc::new(numbers);
        self.read.borrow_mut().push((key, Rc::clone(&numbers)));
        Ok(numbers)
    }

    /// The values of a dimension.
    pub(super) fn texts(&self, dimension: &Dimension) -> Result<Arc<Texts>, Damaged> {
        if let Some((_, texts)) = self.texts.borrow().iter().find(|(other, _)| other == dimension) {
            return Ok(Arc::clone(texts));
        }
        let (texts, mut capped) = self.columns.texts(dimension)?;
        capped |= matches!(dimension, Dimension::Property(_)) && self.columns.property_names_capped();
        if capped {
            self.capped.borrow_mut().insert(dimension.clone());
        }
        self.texts.borrow_mut().push((dimension.clone(), Arc::clone(&texts)));
        Ok(texts)
    }

    /// Space that is used again.
    pub(super) fn buffer(&self) -> Vec<u32> {
        self.free.borrow_mut().pop().unwrap_or_default()
    }

    pub(super) fn give_back(&self, buffer: Vec<u32>) {
        self.free.borrow_mut().push(buffer);
    }

    /// All visits, by place.
    pub(super) fn visits(&self) -> &[VisitRows] {
        &self.layout.all
    }

    /// What helps if rows lie in the order of visits.
    pub(super) fn order(&self) -> Option<&InOrder> {
        self.layout.order.as_ref()
    }

    /// The visits with one of these rows, which ascend, among their events.
    pub(super) fn visits_of(&self, rows: &[u32]) -> Vec<u32> {
        let Some(order) = &self.layout.order else {
            let has_row = |visit: &VisitRows| {
                let own = self.events(visit);
                let next = rows.partition_point(|row| (*row as usize) < own.start);
                rows.get(next).is_some_and(|row| own.contains(&(*row as usize)))
            };
            return (0..).zip(self.visits()).filter(|(_, visit)| has_row(visit)).map(|(at, _)| at).collect();
        };
        // It takes no branches, which would often be mispredicted.
        let (mut found, mut count, mut last) = (vec![0; rows.len()], 0, u32::MAX);
        let no_events = order.no_events(self.reports_are_events);
        for row in rows {
            let visit = order.visit(*row);
            let has_row = no_events.get(*row as usize / 64).is_none_or(|word| word >> (row % 64) & 1 == 0);
            found[count] = visit;
            count += usize::from(has_row & (visit != last));
            last = if has_row { visit } else { last };
        }
        found.truncate(count);
        found
    }

    /// The names of events, and the number of `page_view` among them.
    pub(super) fn names(&self) -> Result<(Rc<Numbers<'a>>, u32), Damaged> {
        let name = Dimension::Field(Field::EventName);
        let page_view = self.texts(&name)?.find("page_view").unwrap_or(u32::MAX);
        Ok((self.values(&name)?, page_view))
    }

    /// The rows of a visit that count as events.
    #[inline(always)]
    pub(super) const fn events(&self, visit: &VisitRows) -> std::ops::Range<usize> {
        let reports = if self.reports_are_events { visit.reports } else { 0 };
        visit.start as usize..(visit.start + visit.events + reports) as usize
    }
}
