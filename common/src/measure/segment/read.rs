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

    /// The times at which visits begin. Sums wrap, so that damaged numbers are wrong times and nothing worse.
    fn starts(&self, layout: &Layout) -> Result<Vec<u32>, Damaged> {
        let mut starts = Vec::new();
        self.column(Kind::OfVisits, "start", &mut starts)?;
        let mut first_before = 0_u32;
        for (at, visitor) in layout.visitors.iter().enumerate() {
            let mut before = if at == self.explicit { 0 } else { first_before };
            let own = starts.get_mut(visitor.start as usize..(visitor.start + visitor.count) as usize);
            let own = own.ok_or(Damaged)?;
            for start in own.iter_mut() {
                before = before.wrapping_add(*start);
                *start = before;
            }
            first_before = own.first().copied().unwrap_or(first_before);
        }
        Ok(starts)
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
        let [mut more, mut reports] = std::mem::take(&mut layout.scratch);
        self.column(Kind::OfVisitors, "visits", &mut more)?;
        layout.visitors.clear();
        layout.visitors.reserve(more.len());
        // Sums cannot overflow; if one is wrong, so is the last one.
        let mut next = 0_u64;
        layout.visitors.extend(more.iter().map(|more| {
            let start = next as u32;
            next += u64::from(*more) + 1;
            VisitorVisits { start, count: more.wrapping_add(1) }
        }));
        let mut events = more;
        self.column(Kind::OfVisits, "events", &mut events)?;
        self.column(Kind::OfVisits, "reports", &mut reports)?;
        layout.visits.clear();
        layout.visits.reserve(events.len());
        let (mut row, mut has_empty) = (0_u64, false);
        layout.visits.extend(events.iter().zip(&reports).map(|(events, reports)| {
            let start = row as u32;
            let rows = u64::from(*events) + u64::from(*reports);
            row += rows;
            has_empty |= rows == 0;
            VisitRows { start, events: *events, reports: *reports }
        }));
        layout.scratch = [events, reports];
        let complete = next == self.visits as u64 && row == self.rows as u64 && !has_empty;
        if complete { Ok(()) } else { Err(Damaged) }
    }

    /// Adds up starts and gaps.
    fn times(&self, layout: &Layout, of: &dyn Fn(usize) -> bool, times: &mut Vec<u32>) -> Result<(), Damaged> {
        let (starts, mut gaps) = (self.starts(layout)?, Vec::new());
        self.column(Kind::Gaps, "gap", &mut gaps)?;
        times.resize(self.rows, 0);
        for (at, visit) in layout.visits.iter().enumerate().filter(|(at, _)| of(*at)) {
            let (start, count) = (visit.start as usize, (visit.events + visit.reports) as usize);
            let times = times.get_mut(start..start + count).ok_or(Damaged)?;
            // Each visit before has a gap less than rows.
            let gaps = start.checked_sub(at).and_then(|first| gaps.get(first..first + count - 1)).ok_or(Damaged)?;
            let begun = *starts.get(at).ok_or(Damaged)?;
            times[0] = begun;
            for row in 1..count {
                let before = if row == visit.events as usize { begun } else { times[row - 1] };
                times[row] = before.wrapping_add(gaps[row - 1]);
            }
        }
        Ok(())
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
            Column::Time => {
                let mut layout = Layout::default();
                self.layout(&mut layout)?;
                self.times(&layout, &|_| true, numbers)
            }
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
                // Without an end before the last one, the loop is several times as fast.
                let most = u32::try_from(most).unwrap_or(u32::MAX);
                let too_large = numbers.iter().fold(false, |any, number| any | (*number > most));
                if too_large { Err(Damaged) } else { Ok(()) }
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
