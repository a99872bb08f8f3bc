//! The open day, read like a closed one.

use std::borrow::Cow;
use std::sync::Arc;

use super::caps::Caps;
use super::piece::{OfRows, OfVisits, Piece};
use super::{Head, PAGE_VIEW, Property, Rows, Sparse};
use crate::measure::columns::{Column, Columns, Damaged, Explicit, VisitRows, Visits};
use crate::measure::question::{Dimension, Field};
use crate::measure::record::{ARRIVAL_FIELDS, CLIENT_FIELDS};
use crate::measure::texts::Texts;
use crate::time::Day;

/// Visitors of an open day whose rows lie together: those of its head, or those of a piece.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    pub(super) head: &'a Head,
    pub(super) piece: Option<&'a Piece>,
}

/// What is read like a part of an open day.
pub trait AsPart: Send + Sync {
    /// The part.
    fn part(&self) -> Part<'_>;
}

/// What is not in a piece.
impl AsPart for Head {
    fn part(&self) -> Part<'_> {
        Part { head: self, piece: None }
    }
}

impl AsRef<dyn Columns> for Head {
    fn as_ref(&self) -> &(dyn Columns + 'static) {
        self
    }
}

impl<T: AsPart> Columns for T {
    fn day(&self) -> Day {
        self.part().head.day
    }

    fn rows(&self) -> usize {
        self.part().rows()
    }

    fn visits(&self) -> Result<Cow<'_, Visits>, Damaged> {
        let part = self.part();
        Ok(Cow::Owned(match part.piece {
            Some(piece) => piece.visits()?,
            None => Visits { all: part.all_visits()?, order: None },
        }))
    }

    fn offsets(&self, visits: &[VisitRows], of: &[u32], offsets: &mut Vec<u32>) -> Result<(), Damaged> {
        let part = self.part();
        if let Some(piece) = part.piece {
            return piece.offsets(visits, of, offsets);
        }
        part.head.gather(&part.head.rows.time, offsets);
        for visit in of.iter().map(|visit| &visits[*visit as usize]) {
            let own = &mut offsets[visit.start as usize..][..(visit.events + visit.reports) as usize];
            let first = own.first().copied().unwrap_or(0);
            own.iter_mut().for_each(|time| *time = time.wrapping_sub(first));
        }
        Ok(())
    }

    fn times(&self, _: &[VisitRows], _: &[u32], times: &mut Vec<u32>) -> Result<(), Damaged> {
        self.part().times(times)
    }

    fn explicit(&self) -> Result<Explicit<'_>, Damaged> {
        let Part { head, piece } = self.part();
        if let Some(piece) = piece {
            return Ok(Explicit { ids: piece.explicit().into(), visitors: None, numbers: None });
        }
        let numbered = (0..).zip(&head.visitors).filter(|(_, visitor)| visitor.explicit);
        let (visitors, ids) = numbered.map(|(number, visitor)| (number, *visitor.id.as_bytes())).unzip();
        Ok(Explicit { ids: Cow::Owned(ids), visitors: Some(visitors), numbers: None })
    }

    fn numbers(&self, column: Column<'_>, visits: &[VisitRows], numbers: &mut Vec<u32>) -> Result<(), Damaged> {
        let part = self.part();
        match column {
            Column::Time => part.times(numbers),
            Column::Depth => part.of_rows(OfRows::Depth, numbers),
            Column::Visible => part.of_rows(OfRows::Visible, numbers),
            Column::ClickX => part.of_rows(OfRows::ClickX, numbers),
            Column::ClickY => part.of_rows(OfRows::ClickY, numbers),
            Column::Views => part.views(visits, numbers),
            Column::Duration => part.durations(visits, numbers),
            Column::Value(dimension) => {
                let caps = part.head.caps();
                let kept = match dimension {
                    Dimension::Field(field) => caps.fields.get(&source(*field)),
                    Dimension::Property(name) if !caps.keeps(name) => {
                        numbers.clear();
                        numbers.resize(part.rows(), 0);
                        return Ok(());
                    }
                    Dimension::Property(name) => caps.properties.get(&**name),
                    Dimension::Goal | Dimension::Time(_) => return Err(Damaged),
                };
                part.values(dimension, visits, numbers)?;
                if let Some(kept) = kept {
                    kept.rename(numbers);
                }
                Ok(())
            }
        }
    }

    fn texts(&self, dimension: &Dimension) -> Result<(Arc<Texts>, bool), Damaged> {
        let head = self.part().head;
        let (kept, all) = match dimension {
            Dimension::Field(field) => {
                let field = source(*field);
                (head.caps().fields.get(&field), Some(&head.texts[field as usize]))
            }
            Dimension::Property(name) => {
                let property = head.properties.get(&**name).filter(|_| head.caps().keeps(name));
                (head.caps().properties.get(&**name), property.map(|property| &property.values))
            }
            Dimension::Goal | Dimension::Time(_) => return Err(Damaged),
        };
        let texts = match (kept, all) {
            (Some(kept), Some(_)) => Arc::clone(&kept.texts),
            (None, Some(all)) => all.shared(),
            (_, None) => Arc::new(Texts::of(&[""])),
        };
        Ok((texts, kept.is_some()))
    }

    fn property_names_capped(&self) -> bool {
        self.part().head.caps().names.is_some()
    }
}

/// The field whose texts are the values of this one.
pub(super) const fn source(field: Field) -> Field {
    match field {
        Field::EntryPage | Field::ExitPage => Field::Page,
        Field::EntryPageHostname | Field::ExitPageHostname => Field::Hostname,
        field => field,
    }
}

impl Part<'_> {
    /// How many places the columns of rows have.
    fn rows(&self) -> usize {
        self.piece.map_or_else(|| self.head.places.all().len(), Piece::rows)
    }

    /// The visits, by place; unused places have no rows.
    pub(super) fn all_visits(&self) -> Result<Vec<VisitRows>, Damaged> {
        if let Some(piece) = self.piece {
            return Ok(piece.visits()?.all);
        }
        Ok(self.head.visits.all().to_vec())
    }

    fn times(&self, times: &mut Vec<u32>) -> Result<(), Damaged> {
        match self.piece {
            Some(piece) => piece.times(times),
            None => {
                self.head.gather(&self.head.rows.time, times);
                Ok(())
            }
        }
    }

    fn of_rows(&self, column: OfRows, numbers: &mut Vec<u32>) -> Result<(), Damaged> {
        if let Some(piece) = self.piece {
            return piece.of_rows(column, numbers);
        }
        let (head, rows) = (self.head, &self.head.rows);
        match column {
            OfRows::Name => head.gather(&rows.name, numbers),
            OfRows::Page => head.gather(&rows.page, numbers),
            OfRows::Hostname => head.gather(&rows.hostname, numbers),
            sparse => head.scatter(rows.sparse(sparse), numbers),
        }
        Ok(())
    }

    /// The numbers of the values of a dimension, before there were too many.
    pub(super) fn values(
        &self,
        dimension: &Dimension,
        visits: &[VisitRows],
        numbers: &mut Vec<u32>,
    ) -> Result<(), Damaged> {
        let head = self.head;
        let field = match dimension {
            Dimension::Field(field) => *field,
            Dimension::Property(name) => {
                let property = head.properties.get(&**name);
                match (self.piece, property) {
                    (Some(piece), Some(property)) => return piece.property(property.number, numbers),
                    (None, Some(property)) => head.scatter(&property.column, numbers),
                    (_, None) => {
                        numbers.clear();
                        numbers.resize(self.rows(), 0);
                    }
                }
                return Ok(());
            }
            Dimension::Goal | Dimension::Time(_) => return Err(Damaged),
        };
        let at = |list: &[Field]| list.iter().position(|other| *other == field);
        match field {
            Field::EventName => self.of_rows(OfRows::Name, numbers),
            Field::Page => self.of_rows(OfRows::Page, numbers),
            Field::Hostname => self.of_rows(OfRows::Hostname, numbers),
            Field::Theme => self.of_rows(OfRows::Theme, numbers),
            Field::LetterType => self.of_rows(OfRows::LetterType, numbers),
            Field::Element => self.of_rows(OfRows::Element, numbers),
            Field::EntryPage => match self.piece {
                Some(piece) => piece.of_visits_with_events(OfVisits::EntryPage, visits, numbers),
                None => self.viewed(OfRows::Page, false, visits, numbers),
            },
            Field::ExitPage => self.viewed(OfRows::Page, true, visits, numbers),
            Field::EntryPageHostname => self.viewed(OfRows::Hostname, false, visits, numbers),
            Field::ExitPageHostname => self.viewed(OfRows::Hostname, true, visits, numbers),
            _ => match at(&ARRIVAL_FIELDS) {
                Some(at) => {
                    self.facts(OfVisits::Arrival, |number| head.arrival_values[number as usize][at], visits, numbers)
                }
                None => {
                    let at = at(&CLIENT_FIELDS).ok_or(Damaged)?;
                    self.facts(OfVisits::Client, |number| head.client_values[number as usize][at], visits, numbers)
                }
            },
        }
    }

    /// Which places of rows, or rows of the head, belong to a visitor.
    pub(super) fn used_rows(&self) -> Vec<bool> {
        let mut used = vec![false; self.piece.map_or(self.head.rows.time.len(), Piece::rows)];
        // Reading a part cannot fail.
        for visit in self.all_visits().unwrap_or_default() {
            for place in visit.start..visit.start + visit.events + visit.reports {
                let row = if self.piece.is_some() { place } else { self.head.places.all()[place as usize] };
                used[row as usize] = true;
            }
        }
        used
    }

    /// Calls `each` with the places of [`Self::used_rows`] and numbers of a property's values that are not 0.
    pub(super) fn each_of_property(&self, property: &Property, mut each: impl FnMut(usize, u32)) {
        let column = &property.column;
        match self.piece {
            // Reading a part cannot fail.
            Some(piece) => _ = piece.each_of_property(property.number, each),
            None => column.rows.iter().zip(&column.numbers).for_each(|(row, number)| each(*row as usize, *number)),
        }
    }

    /// A fact of the first event of each visit; reports of no visit have none.
    fn facts(
        &self,
        of: OfVisits,
        value: impl Fn(u32) -> u32,
        visits: &[VisitRows],
        numbers: &mut Vec<u32>,
    ) -> Result<(), Damaged> {
        let fact = |number: u32, visit: &VisitRows| if visit.events == 0 { 0 } else { value(number) };
        if let Some(piece) = self.piece {
            piece.of_visits(of, numbers)?;
            numbers.iter_mut().zip(visits).for_each(|(number, visit)| *number = fact(*number, visit));
            return Ok(());
        }
        let rows = if of == OfVisits::Arrival { &self.head.rows.arrival } else { &self.head.rows.client };
        let first = |visit: &VisitRows| rows[self.head.places.all()[visit.start as usize] as usize];
        numbers.clear();
        numbers.extend(visits.iter().map(|visit| if visit.events == 0 { 0 } else { fact(first(visit), visit) }));
        Ok(())
    }

    /// A value of the first or last page view of each visit.
    pub(super) fn viewed(
        &self,
        of: OfRows,
        last: bool,
        visits: &[VisitRows],
        numbers: &mut Vec<u32>,
    ) -> Result<(), Damaged> {
        let (mut values, mut names) = (Vec::new(), Vec::new());
        self.of_rows(of, &mut values)?;
        self.of_rows(OfRows::Name, &mut names)?;
        of_each(visits, numbers, |visit| {
            let mut views = (visit.start..visit.start + visit.events).filter(|row| names[*row as usize] == PAGE_VIEW);
            let view = if last { views.next_back() } else { views.next() };
            view.map_or(0, |row| values[row as usize])
        });
        Ok(())
    }

    /// The page views of each visit.
    pub(super) fn views(&self, visits: &[VisitRows], numbers: &mut Vec<u32>) -> Result<(), Damaged> {
        if let Some(piece) = self.piece {
            return piece.of_visits_with_events(OfVisits::Views, visits, numbers);
        }
        let mut names = Vec::new();
        self.of_rows(OfRows::Name, &mut names)?;
        of_each(visits, numbers, |visit| {
            let own = &names[visit.start as usize..][..visit.events as usize];
            own.iter().map(|name| u32::from(*name == PAGE_VIEW)).sum()
        });
        Ok(())
    }

    /// Milliseconds from the first event of each visit to its last.
    fn durations(&self, visits: &[VisitRows], numbers: &mut Vec<u32>) -> Result<(), Damaged> {
        let mut times = Vec::new();
        self.times(&mut times)?;
        of_each(visits, numbers, |visit| {
            let own = &times[visit.start as usize..][..visit.events as usize];
            own.last().copied().unwrap_or(0) - own.first().copied().unwrap_or(0)
        });
        Ok(())
    }
}

/// Makes the numbers those of each visit.
fn of_each(visits: &[VisitRows], numbers: &mut Vec<u32>, number: impl Fn(&VisitRows) -> u32) {
    numbers.clear();
    numbers.extend(visits.iter().map(number));
}

impl Rows {
    /// A column that most rows have no number in.
    pub(super) const fn sparse(&self, column: OfRows) -> &Sparse {
        match column {
            OfRows::Theme => &self.theme,
            OfRows::LetterType => &self.letter_type,
            OfRows::Element => &self.element,
            OfRows::Depth => &self.depth,
            OfRows::Visible => &self.visible,
            OfRows::ClickX => &self.click[0],
            _ => &self.click[1],
        }
    }

    pub(super) const fn sparse_mut(&mut self, column: OfRows) -> &mut Sparse {
        match column {
            OfRows::Theme => &mut self.theme,
            OfRows::LetterType => &mut self.letter_type,
            OfRows::Element => &mut self.element,
            OfRows::Depth => &mut self.depth,
            OfRows::Visible => &mut self.visible,
            OfRows::ClickX => &mut self.click[0],
            _ => &mut self.click[1],
        }
    }
}

impl Head {
    pub(super) fn caps(&self) -> &Caps {
        self.caps.get_or_init(|| Caps::of(self))
    }

    fn gather(&self, column: &[u32], numbers: &mut Vec<u32>) {
        numbers.clear();
        numbers.extend(self.places.all().iter().map(|row| column[*row as usize]));
    }

    fn scatter(&self, column: &Sparse, numbers: &mut Vec<u32>) {
        numbers.clear();
        numbers.resize(self.places.all().len(), 0);
        if column.rows.is_empty() {
            return;
        }
        let dense = column.dense(self.rows.time.len());
        for (number, row) in numbers.iter_mut().zip(self.places.all()) {
            *number = dense[*row as usize];
        }
    }
}
