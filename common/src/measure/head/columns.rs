//! The open day, read like a closed one.

use std::borrow::Cow;
use std::sync::Arc;

use super::caps::Caps;
use super::{Head, Rows, Sparse, Visit};
use crate::measure::columns::{Column, Columns, Damaged, VisitRows, Visits};
use crate::measure::question::{Dimension, Field};
use crate::measure::record::{ARRIVAL_FIELDS, CLIENT_FIELDS};
use crate::measure::texts::Texts;
use crate::time::Day;

impl AsRef<dyn Columns> for Head {
    fn as_ref(&self) -> &(dyn Columns + 'static) {
        self
    }
}

impl Columns for Head {
    fn day(&self) -> Day {
        self.day
    }

    fn rows(&self) -> usize {
        self.places.all().len()
    }

    fn visits(&self) -> Result<Cow<'_, Visits>, Damaged> {
        let mut visits = vec![VisitRows::default(); self.visits.all().len()];
        for (number, visitor) in (0_u32..).zip(&self.visitors) {
            let places = &mut visits[visitor.visits.start() as usize..];
            for (place, Visit { start, events, reports, .. }) in places.iter_mut().zip(self.visits.get(visitor.visits))
            {
                *place = VisitRows { start: *start, events: *events, reports: *reports, visitor: number };
            }
        }
        Ok(Cow::Owned(Visits { all: visits, starts: Vec::new() }))
    }

    fn offsets(&self, visits: &[VisitRows], of: &[u32], offsets: &mut Vec<u32>) -> Result<(), Damaged> {
        self.gather(&self.rows.time, offsets);
        for visit in of.iter().map(|visit| &visits[*visit as usize]) {
            let own = &mut offsets[visit.start as usize..][..(visit.events + visit.reports) as usize];
            let first = own.first().copied().unwrap_or(0);
            own.iter_mut().for_each(|time| *time = time.wrapping_sub(first));
        }
        Ok(())
    }

    fn times(&self, _: &[VisitRows], _: &[u32], times: &mut Vec<u32>) -> Result<(), Damaged> {
        self.gather(&self.rows.time, times);
        Ok(())
    }

    fn explicit(&self, visitors: &mut Vec<(u32, [u8; 16])>) -> Result<(), Damaged> {
        visitors.clear();
        let numbered = (0_u32..).zip(&self.visitors).filter(|(_, visitor)| visitor.explicit);
        visitors.extend(numbered.map(|(number, visitor)| (number, *visitor.id.as_bytes())));
        Ok(())
    }

    fn numbers(&self, column: Column<'_>, numbers: &mut Vec<u32>) -> Result<(), Damaged> {
        let rows = &self.rows;
        match column {
            Column::Time => self.gather(&rows.time, numbers),
            Column::Depth => self.scatter(&rows.depth, numbers),
            Column::Visible => self.scatter(&rows.visible, numbers),
            Column::ClickX => self.scatter(&rows.click[0], numbers),
            Column::ClickY => self.scatter(&rows.click[1], numbers),
            Column::Views => self.of_visits(|visit| visit.views, numbers),
            Column::Duration => self.of_visits(|visit| self.duration(visit), numbers),
            Column::Value(Dimension::Field(field)) => self.values(*field, numbers),
            Column::Value(Dimension::Property(name)) => match self.properties.get(&**name) {
                Some(property) if self.caps().keeps(name) => {
                    self.scatter(&property.column, numbers);
                    if let Some(kept) = self.caps().properties.get(&**name) {
                        numbers.iter_mut().for_each(|number| *number = kept.numbers[*number as usize]);
                    }
                }
                _ => self.scatter(&Sparse::default(), numbers),
            },
            Column::Value(Dimension::Goal | Dimension::Time(_)) => return Err(Damaged),
        }
        Ok(())
    }

    fn texts(&self, dimension: &Dimension) -> Result<(Arc<Texts>, bool), Damaged> {
        let (kept, all) = match dimension {
            Dimension::Field(field) => {
                let field = source(*field);
                (self.caps().fields.get(&field), Some(&self.texts[field as usize]))
            }
            Dimension::Property(name) => {
                let property = self.properties.get(&**name).filter(|_| self.caps().keeps(name));
                (self.caps().properties.get(&**name), property.map(|property| &property.values))
            }
            Dimension::Goal | Dimension::Time(_) => return Err(Damaged),
        };
        let texts = match (kept, all) {
            (Some(kept), Some(_)) => kept.texts.clone(),
            (None, Some(all)) => all.texts().clone(),
            (_, None) => Texts::of(&[""]),
        };
        Ok((Arc::new(texts), kept.is_some()))
    }

    fn property_names_capped(&self) -> bool {
        self.caps().names.is_some()
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

impl Head {
    pub(super) fn caps(&self) -> &Caps {
        self.caps.get_or_init(|| Caps::of(self))
    }

    fn values(&self, field: Field, numbers: &mut Vec<u32>) {
        let Rows { page, hostname, arrival, client, .. } = &self.rows;
        let at = |list: &[Field]| list.iter().position(|other| *other == field).unwrap_or_default();
        // The first page view has a page, reports of no visit have no facts.
        let viewed = |column: &[u32], visit: &Visit, row: u32| if visit.views == 0 { 0 } else { column[row as usize] };
        match field {
            Field::EventName => self.gather(&self.rows.name, numbers),
            Field::Page => self.gather(page, numbers),
            Field::Hostname => self.gather(hostname, numbers),
            Field::Theme => self.scatter(&self.rows.theme, numbers),
            Field::LetterType => self.scatter(&self.rows.letter_type, numbers),
            Field::Element => self.scatter(&self.rows.element, numbers),
            Field::EntryPage => self.of_visits(|visit| viewed(page, visit, visit.entry), numbers),
            Field::ExitPage => self.of_visits(|visit| viewed(page, visit, visit.exit), numbers),
            Field::EntryPageHostname => self.of_visits(|visit| viewed(hostname, visit, visit.entry), numbers),
            Field::ExitPageHostname => self.of_visits(|visit| viewed(hostname, visit, visit.exit), numbers),
            field if ARRIVAL_FIELDS.contains(&field) => {
                let at = at(&ARRIVAL_FIELDS);
                let value = |visit: &Visit| self.arrival_values[arrival[self.first(visit)] as usize][at];
                self.of_visits(|visit| if visit.events == 0 { 0 } else { value(visit) }, numbers);
            }
            _ => {
                let at = at(&CLIENT_FIELDS);
                let value = |visit: &Visit| self.client_values[client[self.first(visit)] as usize][at];
                self.of_visits(|visit| if visit.events == 0 { 0 } else { value(visit) }, numbers);
            }
        }
        if let Some(kept) = self.caps().fields.get(&source(field)) {
            numbers.iter_mut().for_each(|number| *number = kept.numbers[*number as usize]);
        }
    }

    fn of_visits(&self, number: impl Fn(&Visit) -> u32, numbers: &mut Vec<u32>) {
        numbers.clear();
        numbers.extend(self.visits.all().iter().map(number));
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
        let mut dense = vec![0; self.rows.time.len()];
        for (row, number) in column.rows.iter().zip(&column.numbers) {
            dense[*row as usize] = *number;
        }
        for (number, row) in numbers.iter_mut().zip(self.places.all()) {
            *number = dense[*row as usize];
        }
    }
}
