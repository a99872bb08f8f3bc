//! Reading the columns of a segment.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Damaged, Kind, Section, Segment, dictionary, numbers};
use crate::measure::columns::{Column, Columns, Explicit, Numbers, VisitRows, Visits};
use crate::measure::layout;
use crate::measure::question::{Dimension, Field, Scope};
use crate::measure::texts::Texts;
use crate::time::Day;

impl Segment {
    /// The numbers of a section, zeros if it is left out.
    fn column(&self, kind: Kind, name: &str, numbers: &mut Vec<u32>) -> Result<(), Damaged> {
        let count = self.count(kind)?;
        match self.section(kind, name) {
            Some(section) => numbers::decode(self.content(section), count, numbers),
            None => {
                numbers.clear();
                numbers.resize(count, 0);
                Ok(())
            }
        }
    }

    /// How many numbers a column has.
    const fn count(&self, kind: Kind) -> Result<usize, Damaged> {
        match kind {
            Kind::OfVisitors => Ok(self.visitors),
            Kind::OfVisits => Ok(self.visits),
            Kind::OfRows => Ok(self.rows),
            Kind::Gaps => Ok(self.rows - self.visits),
            Kind::Ids | Kind::Texts => Err(Damaged),
        }
    }

    /// Where a column is, and its name.
    fn place(column: Column<'_>) -> Result<(Kind, Cow<'_, str>), Damaged> {
        Ok(match column {
            Column::Time => return Err(Damaged),
            Column::Depth => (Kind::OfRows, "depth".into()),
            Column::Visible => (Kind::OfRows, "visible".into()),
            Column::ClickX => (Kind::OfRows, "x".into()),
            Column::ClickY => (Kind::OfRows, "y".into()),
            Column::Views => (Kind::OfVisits, "views".into()),
            Column::Duration => (Kind::OfVisits, "duration".into()),
            Column::Value(dimension) => match dimension.scope() {
                Scope::Event => (Kind::OfRows, Self::name(dimension)),
                Scope::Visit => (Kind::OfVisits, Self::name(dimension)),
                Scope::Time => return Err(Damaged),
            },
        })
    }

    /// Checks once that the numbers of a dimension have texts, and that there are no more views than events.
    fn check(&self, column: Column<'_>, section: &Section, numbers: &Numbers<'_>) -> Result<(), Damaged> {
        let is_right = match column {
            _ if section.is_checked.load(Ordering::Relaxed) => return Ok(()),
            Column::Value(dimension) => {
                let texts = self.section(Kind::Texts, &Self::texts_name(dimension));
                let most = texts.map_or(Ok(0), |texts| dictionary::count(self.content(texts)))?;
                largest(numbers) as usize <= most
            }
            Column::Views => sum(numbers) <= self.rows as u64,
            _ => true,
        };
        section.is_checked.store(is_right, Ordering::Relaxed);
        if is_right { Ok(()) } else { Err(Damaged) }
    }

    fn read_visits(&self) -> Result<Visits, Damaged> {
        let (mut more, mut events, mut reports) = (Vec::new(), Vec::new(), Vec::new());
        self.column(Kind::OfVisitors, "visits", &mut more)?;
        self.column(Kind::OfVisits, "events", &mut events)?;
        self.column(Kind::OfVisits, "reports", &mut reports)?;
        let all = layout::visits(&more, &events, &reports, self.rows)?;
        Ok(Visits::in_order(all, self.explicit, self.rows))
    }

    /// The times at which visits begin.
    fn starts(&self, visits: &[VisitRows]) -> Result<Vec<u32>, Damaged> {
        let mut starts = Vec::new();
        self.column(Kind::OfVisits, "start", &mut starts)?;
        layout::begin(visits, self.explicit, &mut starts)?;
        Ok(starts)
    }

    /// The dimension whose texts are the values of this one.
    fn texts_name(dimension: &Dimension) -> Cow<'_, str> {
        match dimension {
            Dimension::Field(Field::EntryPage | Field::ExitPage) => Field::Page.name().into(),
            Dimension::Field(Field::EntryPageHostname | Field::ExitPageHostname) => Field::Hostname.name().into(),
            dimension => Self::name(dimension),
        }
    }

    /// As it is displayed.
    fn name(dimension: &Dimension) -> Cow<'_, str> {
        match dimension {
            Dimension::Field(field) => field.name().into(),
            dimension => dimension.to_string().into(),
        }
    }
}

// Loops that do not return early are vectorised, and several times as fast.

fn largest(numbers: &Numbers<'_>) -> u32 {
    match numbers {
        Numbers::Bytes(numbers) => numbers.iter().fold(0, |largest, number| largest.max((*number).into())),
        Numbers::Shorts(numbers) => {
            numbers.iter().fold(0, |largest, number| largest.max(u16::from_le_bytes(*number).into()))
        }
        Numbers::Words(numbers) => numbers.iter().fold(0, |largest, number| largest.max(*number)),
    }
}

fn sum(numbers: &Numbers<'_>) -> u64 {
    match numbers {
        Numbers::Bytes(numbers) => numbers.iter().map(|number| u64::from(*number)).sum(),
        Numbers::Shorts(numbers) => numbers.iter().map(|number| u64::from(u16::from_le_bytes(*number))).sum(),
        Numbers::Words(numbers) => numbers.iter().map(|number| u64::from(*number)).sum(),
    }
}

impl AsRef<dyn Columns> for Segment {
    fn as_ref(&self) -> &(dyn Columns + 'static) {
        self
    }
}

impl Columns for Segment {
    fn day(&self) -> Day {
        self.day
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn visits(&self) -> Result<Cow<'_, Visits>, Damaged> {
        let visits = match self.layout.get() {
            Some(visits) => visits,
            None => {
                let visits = self.read_visits()?;
                self.layout.get_or_init(|| visits)
            }
        };
        Ok(Cow::Borrowed(visits))
    }

    /// Adds up gaps.
    fn offsets(&self, visits: &[VisitRows], of: &[u32], offsets: &mut Vec<u32>) -> Result<(), Damaged> {
        let (places, mut gaps) = (layout::gaps_of(visits, of), Vec::new());
        match self.section(Kind::Gaps, "gap") {
            Some(section) => numbers::decode_some(self.content(section), self.count(Kind::Gaps)?, places, &mut gaps)?,
            None => gaps.resize(places.map(|places| places.len()).sum(), 0),
        }
        offsets.resize(self.rows, 0);
        layout::offsets(visits, of, &gaps, offsets)
    }

    fn times(&self, visits: &[VisitRows], of: &[u32], times: &mut Vec<u32>) -> Result<(), Damaged> {
        let starts = self.starts(visits)?;
        self.offsets(visits, of, times)?;
        for at in of {
            let visit = visits[*at as usize];
            let own = &mut times[visit.start as usize..][..(visit.events + visit.reports) as usize];
            own.iter_mut().for_each(|time| *time = time.wrapping_add(starts[*at as usize]));
        }
        Ok(())
    }

    fn explicit(&self) -> Result<Explicit<'_>, Damaged> {
        let content = self.section(Kind::Ids, "visitors").map_or(&[][..], |section| self.content(section));
        match content.as_chunks() {
            (ids, []) if ids.len() == self.explicit => {
                Ok(Explicit { ids: ids.into(), visitors: None, numbers: Some(&self.numbers) })
            }
            _ => Err(Damaged),
        }
    }

    fn numbers(&self, column: Column<'_>, _: &[VisitRows], numbers: &mut Vec<u32>) -> Result<(), Damaged> {
        if column == Column::Time {
            let visits = self.visits()?;
            let all: Vec<u32> = (0..visits.all.len() as u32).collect();
            return self.times(&visits.all, &all, numbers);
        }
        let (kind, name) = Self::place(column)?;
        self.column(kind, &name, numbers)?;
        let Some(section) = self.section(kind, &name) else { return Ok(()) };
        let read = Numbers::Words(std::mem::take(numbers));
        let checked = self.check(column, section, &read);
        if let Numbers::Words(read) = read {
            *numbers = read;
        }
        checked
    }

    fn flat(&self, column: Column<'_>) -> Result<Option<Numbers<'_>>, Damaged> {
        if column == Column::Time {
            return Ok(None);
        }
        let (kind, name) = Self::place(column)?;
        let Some(section) = self.section(kind, &name) else { return Ok(None) };
        let flat = numbers::flat(self.content(section), self.count(kind)?)?;
        if let Some(numbers) = &flat {
            self.check(column, section, numbers)?;
        }
        Ok(flat)
    }

    fn texts(&self, dimension: &Dimension) -> Result<(Arc<Texts>, bool), Damaged> {
        let unknown = match dimension {
            Dimension::Field(field) => field.unknown(),
            _ => "",
        };
        let Some(section) = self.section(Kind::Texts, &Self::texts_name(dimension)) else {
            return Ok((Arc::new(Texts::of(&[unknown])), false));
        };
        if let Some(read) = section.texts.get() {
            return Ok(read.clone());
        }
        let (texts, capped) = dictionary::decode(self.content(section), unknown)?;
        Ok(section.texts.get_or_init(|| (Arc::new(texts), capped)).clone())
    }

    fn property_names_capped(&self) -> bool {
        self.property_names_capped
    }
}
