//! A day that is being scanned: each column is read when it is first needed, and once.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use crate::measure::columns::{Column, Columns, Damaged, Layout};
use crate::measure::question::{Dimension, Field, Range};
use crate::measure::texts::Texts;
use crate::time::{DAY, Timestamp};

/// Space for columns that is used again for the next day.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    layout: Layout,
    numbers: Vec<Vec<u32>>,
}

impl Buffers {
    pub(super) fn memory(&self) -> usize {
        let Layout { visitors, visits, scratch } = &self.layout;
        let scratch = scratch.iter().map(|numbers| 4 * numbers.capacity()).sum::<usize>();
        let layout = size_of_val(&**visitors) + size_of_val(&**visits) + scratch;
        layout + self.numbers.iter().map(|numbers| 4 * numbers.capacity()).sum::<usize>()
    }
}

/// The day, and what was read of it.
pub(super) struct Opened<'a> {
    columns: &'a dyn Columns,
    pub(super) layout: Layout,
    /// The part of the range that lies in the day, in milliseconds since midnight.
    pub(super) times: std::ops::Range<u32>,
    pub(super) midnight: i64,
    /// Whether `scroll` and `hover` are ordinary events.
    pub(super) reports_are_events: bool,
    free: RefCell<Vec<Vec<u32>>>,
    read: RefCell<Vec<(Key, Rc<Vec<u32>>)>>,
    texts: RefCell<Vec<(Dimension, Rc<Texts>)>>,
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
        let mut layout = std::mem::take(&mut buffers.layout);
        columns.layout(&mut layout)?;
        Ok(Some(Self {
            columns,
            layout,
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
        buffers.layout = self.layout;
        buffers.numbers = self.free.into_inner();
        let read = self.read.into_inner().into_iter();
        buffers.numbers.extend(read.filter_map(|(_, numbers)| Rc::try_unwrap(numbers).ok()));
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
    pub(super) fn numbers(&self, column: Column<'static>) -> Result<Rc<Vec<u32>>, Damaged> {
        self.cached(Key::Other(column), column)
    }

    /// [`Column::Time`], right for the rows of the visits that `of` is true of.
    pub(super) fn times(&self, of: &dyn Fn(usize) -> bool) -> Result<Rc<Vec<u32>>, Damaged> {
        let mut numbers = self.buffer();
        self.columns.times(&self.layout, of, &mut numbers)?;
        Ok(Rc::new(numbers))
    }

    /// The numbers of the values of a dimension.
    pub(super) fn values(&self, dimension: &Dimension) -> Result<Rc<Vec<u32>>, Damaged> {
        self.cached(Key::Value(dimension.clone()), Column::Value(dimension))
    }

    fn cached(&self, key: Key, column: Column<'_>) -> Result<Rc<Vec<u32>>, Damaged> {
        if let Some((_, numbers)) = self.read.borrow().iter().find(|(other, _)| *other == key) {
            return Ok(Rc::clone(numbers));
        }
        let mut numbers = self.buffer();
        match column {
            Column::Time => self.columns.times(&self.layout, &|_| true, &mut numbers)?,
            column => self.columns.numbers(column, &mut numbers)?,
        }
        let numbers = Rc::new(numbers);
        self.read.borrow_mut().push((key, Rc::clone(&numbers)));
        Ok(numbers)
    }

    /// The values of a dimension.
    pub(super) fn texts(&self, dimension: &Dimension) -> Result<Rc<Texts>, Damaged> {
        if let Some((_, texts)) = self.texts.borrow().iter().find(|(other, _)| other == dimension) {
            return Ok(Rc::clone(texts));
        }
        let mut texts = Texts::default();
        let mut capped = self.columns.texts(dimension, &mut texts)?;
        capped |= matches!(dimension, Dimension::Property(_)) && self.columns.property_names_capped();
        if capped {
            self.capped.borrow_mut().insert(dimension.clone());
        }
        let texts = Rc::new(texts);
        self.texts.borrow_mut().push((dimension.clone(), Rc::clone(&texts)));
        Ok(texts)
    }

    /// Space that is used again.
    pub(super) fn buffer(&self) -> Vec<u32> {
        self.free.borrow_mut().pop().unwrap_or_default()
    }

    pub(super) fn give_back(&self, buffer: Vec<u32>) {
        self.free.borrow_mut().push(buffer);
    }

    /// Whether rows come in the order of visitors and their visits, as they do in closed days.
    pub(super) fn is_in_order(&self) -> bool {
        let Layout { visitors, visits, .. } = &self.layout;
        visitors.is_sorted_by_key(|visits| visits.start) && visits.is_sorted_by_key(|visit| visit.start)
    }

    /// The names of events, and the number of `page_view` among them.
    pub(super) fn names(&self) -> Result<(Rc<Vec<u32>>, u32), Damaged> {
        let name = Dimension::Field(Field::EventName);
        let page_view = self.texts(&name)?.find("page_view").unwrap_or(u32::MAX);
        Ok((self.values(&name)?, page_view))
    }

    /// The rows of a visit that count as events.
    pub(super) fn events(&self, visit: usize) -> std::ops::Range<usize> {
        let rows = self.layout.visits[visit];
        let reports = if self.reports_are_events { rows.reports } else { 0 };
        rows.start as usize..(rows.start + rows.events + reports) as usize
    }
}
