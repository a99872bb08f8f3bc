//! Writing a segment.

use ::bytes::Bytes;

use super::{CHECKED, Kind, MAGIC, Segment, VERSION, dictionary, numbers, put};
use crate::measure::columns::{Column, Columns, Layout};
use crate::measure::head::Head;
use crate::measure::question::{Dimension, Field, Scope};
use crate::measure::texts::Texts;

/// What is written: sections by kind and name.
struct Sections(Vec<(Kind, String, Vec<u8>)>);

impl Sections {
    fn put(&mut self, kind: Kind, name: &str, numbers: &[u32]) {
        if numbers.iter().any(|number| *number != 0) {
            self.0.push((kind, name.to_owned(), numbers::encode(numbers)));
        }
    }
}

/// The order in which the places of a head are written.
#[derive(Default)]
struct Order {
    visits: Vec<u32>,
    rows: Vec<u32>,
}

impl Order {
    fn of_visits(&self, column: &[u32]) -> Vec<u32> {
        self.visits.iter().map(|place| column[*place as usize]).collect()
    }

    fn of_rows(&self, column: &[u32]) -> Vec<u32> {
        self.rows.iter().map(|place| column[*place as usize]).collect()
    }
}

pub(super) fn encode(head: &Head) -> Segment {
    let (mut layout, mut time, mut ids) = (Layout::default(), Vec::new(), Vec::new());
    // Reading an open day cannot fail.
    let _ = (head.layout(&mut layout), head.numbers(Column::Time, &mut time), head.explicit(&mut ids));
    let mut sections = Sections(Vec::new());

    let mut is_explicit = vec![false; layout.visitors.len()];
    ids.iter().for_each(|(visitor, _)| is_explicit[*visitor as usize] = true);
    let start = |visit: u32| time[layout.visits[visit as usize].start as usize];
    let mut visitors: Vec<u32> = (0..layout.visitors.len() as u32).collect();
    visitors.sort_by_cached_key(|visitor| {
        let visitor = *visitor as usize;
        (!is_explicit[visitor], start(layout.visitors[visitor].start), head.visitor_id(visitor))
    });
    let explicit: Vec<u8> =
        visitors[..ids.len()].iter().flat_map(|visitor| head.visitor_id(*visitor as usize)).collect();
    if !explicit.is_empty() {
        sections.0.push((Kind::Ids, "visitors".to_owned(), explicit));
    }

    let (mut order, mut more, mut starts, mut gaps) = (Order::default(), Vec::new(), Vec::new(), Vec::new());
    let (mut events, mut reports) = (Vec::new(), Vec::new());
    let mut first_before = 0;
    for (at, visitor) in visitors.iter().enumerate() {
        let visits = layout.visitors[*visitor as usize];
        more.push(visits.count - 1);
        if at == ids.len() {
            first_before = 0;
        }
        let mut before = first_before;
        first_before = start(visits.start);
        for visit in visits.start..visits.start + visits.count {
            let rows = layout.visits[visit as usize];
            let begun = start(visit);
            starts.push(begun - before);
            before = begun;
            order.visits.push(visit);
            events.push(rows.events);
            reports.push(rows.reports);
            let mut last = begun;
            for row in rows.start..rows.start + rows.events + rows.reports {
                if row == rows.start + rows.events {
                    last = begun;
                }
                let time = time[row as usize];
                if row > rows.start {
                    gaps.push(time - last);
                }
                last = time;
                order.rows.push(row);
            }
        }
    }
    sections.put(Kind::OfVisitors, "visits", &more);
    sections.put(Kind::OfVisits, "start", &starts);
    sections.put(Kind::OfVisits, "events", &events);
    sections.put(Kind::OfVisits, "reports", &reports);
    sections.put(Kind::Gaps, "gap", &gaps);
    let mut column = Vec::new();
    for (name, of) in [("views", Column::Views), ("duration", Column::Duration)] {
        let _ = head.numbers(of, &mut column);
        sections.put(Kind::OfVisits, name, &order.of_visits(&column));
    }
    for (name, of) in
        [("depth", Column::Depth), ("visible", Column::Visible), ("x", Column::ClickX), ("y", Column::ClickY)]
    {
        let _ = head.numbers(of, &mut column);
        sections.put(Kind::OfRows, name, &order.of_rows(&column));
    }
    let names = head.property_names();
    dimensions(head, &order, names.map(|name| Dimension::Property(name.into())), &mut sections);

    sections.0.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let counts = [visitors.len(), ids.len(), order.visits.len(), order.rows.len()];
    let block = block(head, counts, &sections.0);
    Segment::open(block).unwrap_or_else(|_| unreachable!("a block that was just written can be opened"))
}

fn dimensions(head: &Head, order: &Order, properties: impl Iterator<Item = Dimension>, sections: &mut Sections) {
    let (mut column, mut texts) = (Vec::new(), Texts::default());
    for dimension in Field::ALL.iter().copied().map(Dimension::Field).chain(properties) {
        // Values are sorted, and those that no row has are left out. The values of pages are used by rows;
        // those of entry and exit pages are among them.
        let of_rows = dimension.scope() == Scope::Event;
        let _ = head.numbers(Column::Value(&dimension), &mut column);
        let capped = head.texts(&dimension, &mut texts).unwrap_or(false);
        let mut numbers = if of_rows { order.of_rows(&column) } else { order.of_visits(&column) };
        let shared = match dimension {
            Dimension::Field(Field::EntryPage | Field::ExitPage) => Some(Field::Page),
            Dimension::Field(Field::EntryPageHostname | Field::ExitPageHostname) => Some(Field::Hostname),
            _ => None,
        };
        let mut used = vec![false; texts.len()];
        match shared {
            None => numbers.iter().for_each(|number| used[*number as usize] = true),
            Some(field) => {
                let mut column = Vec::new();
                let _ = head.numbers(Column::Value(&Dimension::Field(field)), &mut column);
                order.of_rows(&column).iter().for_each(|number| used[*number as usize] = true);
            }
        }
        let mut values: Vec<u32> = (1..texts.len() as u32).filter(|number| used[*number as usize]).collect();
        values.sort_unstable_by(|a, b| texts.get(*a).cmp(texts.get(*b)));
        let mut renamed = vec![0; texts.len()];
        values.iter().zip(1..).for_each(|(value, number)| renamed[*value as usize] = number);
        numbers.iter_mut().for_each(|number| *number = renamed[*number as usize]);
        let name = dimension.to_string();
        sections.put(if of_rows { Kind::OfRows } else { Kind::OfVisits }, &name, &numbers);
        if shared.is_none() && !values.is_empty() {
            let texts = dictionary::encode(values.iter().map(|value| texts.get(*value)), capped);
            sections.0.push((Kind::Texts, name, texts));
        }
    }
}

fn block(head: &Head, counts: [usize; 4], sections: &[(Kind, String, Vec<u8>)]) -> Bytes {
    let mut checked = Vec::new();
    put(head.day().number() as u64, &mut checked);
    counts.iter().for_each(|count| put(*count as u64, &mut checked));
    checked.push(u8::from(head.property_names_capped()));
    put(sections.len() as u64, &mut checked);
    for (kind, name, content) in sections {
        checked.push(*kind as u8);
        put(name.len() as u64, &mut checked);
        checked.extend_from_slice(name.as_bytes());
        put(content.len() as u64, &mut checked);
    }
    sections.iter().for_each(|(_, _, content)| checked.extend_from_slice(content));
    let mut block = Vec::with_capacity(CHECKED + checked.len());
    block.extend_from_slice(MAGIC);
    block.push(VERSION);
    block.extend_from_slice(&crc32fast::hash(&checked).to_le_bytes());
    block.append(&mut checked);
    block.into()
}
