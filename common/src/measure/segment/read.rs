//! Reading the columns of a segment.

use super::{Damaged, Kind, Segment, dictionary, numbers};
use crate::measure::columns::{Column, Columns, Layout, VisitRows, VisitorVisits};
use crate::measure::question::{Dimension, Field, Scope};
use crate::measure::texts::Texts;
use crate::time::Day;

impl Segment {
    /// The numbers of a section, zeros if it is left out.
    fn column(&self, kind: Kind, name: &str, numbers: &mut Vec<u32>) -> Result<(), Damaged> {
        let count = match kind {
            Kind::OfVisitors => self.visitors,
            Kind::OfVisits => self.visits,
            Kind::OfRows => self.rows,
            Kind::Gaps => self.rows - self.visits,
            Kind::Ids | Kind::Texts => return Err(Damaged),
        };
        match self.section(kind, name) {
            Some(content) => numbers::decode(content, count, numbers),
            None => {
                numbers.clear();
                numbers.resize(count, 0);
                Ok(())
            }
        }
    }

    /// Adds up starts and gaps to times.
    fn times(&self, times: &mut Vec<u32>) -> Result<(), Damaged> {
        let (mut layout, mut starts, mut gaps) = (Layout::default(), Vec::new(), Vec::new());
        self.layout(&mut layout)?;
        self.column(Kind::OfVisits, "start", &mut starts)?;
        self.column(Kind::Gaps, "gap", &mut gaps)?;
        times.clear();
        times.reserve(self.rows);
        // Sums wrap, so that damaged numbers are wrong times and nothing worse.
        let (mut first_before, mut gaps) = (0_u32, gaps.into_iter());
        for (at, visitor) in layout.visitors.iter().enumerate() {
            let mut before = if at == self.explicit { 0 } else { first_before };
            let own = visitor.start as usize..(visitor.start + visitor.count) as usize;
            for (place, (visit, start)) in layout.visits[own.clone()].iter().zip(&starts[own]).enumerate() {
                before = before.wrapping_add(*start);
                if place == 0 {
                    first_before = before;
                }
                let mut time = before;
                for row in 0..visit.events + visit.reports {
                    if row == visit.events {
                        time = before;
                    }
                    if row > 0 {
                        time = time.wrapping_add(gaps.next().ok_or(Damaged)?);
                    }
                    times.push(time);
                }
            }
        }
        Ok(())
    }

    /// The dimension whose texts are the values of this one.
    fn texts_name(dimension: &Dimension) -> String {
        match dimension {
            Dimension::Field(Field::EntryPage | Field::ExitPage) => Field::Page.name().to_owned(),
            Dimension::Field(Field::EntryPageHostname | Field::ExitPageHostname) => Field::Hostname.name().to_owned(),
            dimension => dimension.to_string(),
        }
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

    fn layout(&self, layout: &mut Layout) -> Result<(), Damaged> {
        let (mut more, mut reports) = (Vec::new(), Vec::new());
        self.column(Kind::OfVisitors, "visits", &mut more)?;
        layout.visitors.clear();
        layout.visitors.reserve(more.len());
        let mut start = 0_u32;
        for more in more.iter().copied() {
            let count = more.checked_add(1).ok_or(Damaged)?;
            layout.visitors.push(VisitorVisits { start, count });
            start = start.checked_add(count).ok_or(Damaged)?;
        }
        let mut events = more;
        self.column(Kind::OfVisits, "events", &mut events)?;
        self.column(Kind::OfVisits, "reports", &mut reports)?;
        layout.visits.clear();
        layout.visits.reserve(events.len());
        let mut row = 0_u32;
        for (events, reports) in events.iter().copied().zip(reports) {
            layout.visits.push(VisitRows { start: row, events, reports });
            let rows = events.checked_add(reports).filter(|rows| *rows > 0).ok_or(Damaged)?;
            row = row.checked_add(rows).ok_or(Damaged)?;
        }
        let complete = start as usize == self.visits && row as usize == self.rows;
        if complete { Ok(()) } else { Err(Damaged) }
    }

    fn explicit(&self, visitors: &mut Vec<(u32, [u8; 16])>) -> Result<(), Damaged> {
        visitors.clear();
        let content = self.section(Kind::Ids, "visitors").unwrap_or_default();
        let (ids, []) = content.as_chunks::<16>() else { return Err(Damaged) };
        visitors.extend((0..).zip(ids.iter().copied()));
        if visitors.len() == self.explicit { Ok(()) } else { Err(Damaged) }
    }

    fn numbers(&self, column: Column<'_>, numbers: &mut Vec<u32>) -> Result<(), Damaged> {
        match column {
            Column::Time => self.times(numbers),
            Column::Depth => self.column(Kind::OfRows, "depth", numbers),
            Column::Visible => self.column(Kind::OfRows, "visible", numbers),
            Column::ClickX => self.column(Kind::OfRows, "x", numbers),
            Column::ClickY => self.column(Kind::OfRows, "y", numbers),
            Column::Views => self.column(Kind::OfVisits, "views", numbers),
            Column::Duration => self.column(Kind::OfVisits, "duration", numbers),
            Column::Value(dimension) => {
                let kind = match dimension.scope() {
                    Scope::Event => Kind::OfRows,
                    Scope::Visit => Kind::OfVisits,
                    Scope::Time => return Err(Damaged),
                };
                self.column(kind, &dimension.to_string(), numbers)?;
                let texts = self.section(Kind::Texts, &Self::texts_name(dimension));
                let most = texts.map_or(Ok(0), dictionary::count)?;
                let largest = numbers.iter().copied().max().unwrap_or(0);
                if largest as usize <= most { Ok(()) } else { Err(Damaged) }
            }
        }
    }

    fn texts(&self, dimension: &Dimension, texts: &mut Texts) -> Result<bool, Damaged> {
        let unknown = match dimension {
            Dimension::Field(field) => field.unknown(),
            _ => "",
        };
        match self.section(Kind::Texts, &Self::texts_name(dimension)) {
            Some(content) => dictionary::decode(content, unknown, texts),
            None => {
                texts.clear();
                texts.push(unknown);
                Ok(false)
            }
        }
    }

    fn property_names_capped(&self) -> bool {
        self.property_names_capped
    }
}
