//! Writing a segment.

use std::ops::Range;

use ::bytes::Bytes;

use super::{CHECKED, Kind, MAGIC, Segment, VERSION, dictionary, numbers, put};
use crate::measure::columns::{Column, Columns, VisitRows};
use crate::measure::head::Head;
use crate::measure::layout::Layout;
use crate::measure::question::{Dimension, Field, Scope};

/// What is written: sections by kind and name.
struct Sections(Vec<(Kind, String, Vec<u8>)>);

impl Sections {
    fn put(&mut self, kind: Kind, name: &str, numbers: &[u32]) {
        if numbers.iter().any(|number| *number != 0) {
            self.0.push((kind, name.to_owned(), numbers::encode(numbers)));
        }
    }

    /// The same of a column that is read often, and may therefore take so many times as many bytes.
    fn put_often(&mut self, kind: Kind, name: &str, numbers: &[u32], times: usize) {
        if numbers.iter().any(|number| *number != 0) {
            self.0.push((kind, name.to_owned(), numbers::encode_often(numbers, times)));
        }
    }
}

pub(super) fn encode(head: &Head) -> Segment {
    let mut time = Vec::new();
    // Reading an open day cannot fail.
    let all = head.visits().unwrap_or_default().into_owned().all;
    let _ = head.numbers(Column::Time, &all, &mut time);
    let runs = runs(&all);
    let mut sections = Sections(Vec::new());

    let with_ids = head.explicit().unwrap_or_default().visitors.unwrap_or_default();
    let mut is_explicit = vec![false; runs.len()];
    with_ids.iter().for_each(|visitor| is_explicit[*visitor as usize] = true);
    let start = |visit: u32| time[all[visit as usize].start as usize];
    let ranks = [Field::Country, Field::Source].map(|field| ranks(head, &all, field));
    let mut visitors: Vec<u32> = (0..runs.len() as u32).collect();
    visitors.sort_by_cached_key(|visitor| {
        let visitor = *visitor as usize;
        let first = runs[visitor].start;
        let [country, source] = [0, 1].map(|at: usize| ranks[at][first as usize]);
        (!is_explicit[visitor], country, source, start(first), head.visitor_id(visitor))
    });
    let explicit: Vec<u8> =
        visitors[..with_ids.len()].iter().flat_map(|visitor| head.visitor_id(*visitor as usize)).collect();
    if !explicit.is_empty() {
        sections.0.push((Kind::Ids, "visitors".to_owned(), explicit));
    }

    let order = Layout::of(
        &all,
        |row| time[row as usize],
        visitors.iter().map(|visitor| runs[*visitor as usize].clone()),
        with_ids.len(),
    );
    sections.put(Kind::OfVisitors, "visits", &order.more);
    sections.put(Kind::OfVisits, "start", &order.starts);
    sections.put(Kind::OfVisits, "events", &order.events);
    sections.put(Kind::OfVisits, "reports", &order.reports);
    sections.put(Kind::Gaps, "gap", &order.gaps);
    let mut column = Vec::new();
    for (name, of) in [("views", Column::Views), ("duration", Column::Duration)] {
        let _ = head.numbers(of, &all, &mut column);
        // Views count in most answers, and are a small column.
        sections.put_often(Kind::OfVisits, name, &order.of_visits(&column), 3);
    }
    for (name, of) in
        [("depth", Column::Depth), ("visible", Column::Visible), ("x", Column::ClickX), ("y", Column::ClickY)]
    {
        let _ = head.numbers(of, &all, &mut column);
        sections.put(Kind::OfRows, name, &order.of_rows(&column));
    }
    let names = head.property_names();
    dimensions(head, &all, &order, names.map(|name| Dimension::Property(name.into())), &mut sections);

    sections.0.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let counts = [visitors.len(), with_ids.len(), order.visits.len(), order.rows.len()];
    let block = block(head, counts, &sections.0);
    Segment::open(block).unwrap_or_else(|_| unreachable!("a block that was just written can be opened"))
}

/// Of each visit, the place of its value among the texts of a dimension of visits, in the order of bytes.
fn ranks(head: &Head, visits: &[VisitRows], field: Field) -> Vec<u32> {
    let (dimension, mut column) = (Dimension::Field(field), Vec::new());
    let _ = head.numbers(Column::Value(&dimension), visits, &mut column);
    let (texts, _) = head.texts(&dimension).unwrap_or_default();
    let mut sorted: Vec<u32> = (0..texts.len() as u32).collect();
    sorted.sort_unstable_by(|a, b| texts.get(*a).cmp(texts.get(*b)));
    let mut ranks = vec![0; texts.len()];
    sorted.iter().zip(0..).for_each(|(number, rank)| ranks[*number as usize] = rank);
    column.iter_mut().for_each(|number| *number = ranks[*number as usize]);
    column
}

/// The places of each visitor's visits.
fn runs(visits: &[VisitRows]) -> Vec<Range<u32>> {
    let mut runs = Vec::new();
    for (visit, rows) in (0..).zip(visits).filter(|(_, rows)| rows.events + rows.reports > 0) {
        let visitor = rows.visitor as usize;
        if visitor >= runs.len() {
            runs.resize(visitor + 1, 0..0);
        }
        let run: &mut Range<u32> = &mut runs[visitor];
        *run = if run.start == run.end { visit..visit + 1 } else { run.start..visit + 1 };
    }
    runs
}

fn dimensions(
    head: &Head,
    visits: &[VisitRows],
    order: &Layout,
    properties: impl Iterator<Item = Dimension>,
    sections: &mut Sections,
) {
    let mut column = Vec::new();
    for dimension in Field::ALL.iter().copied().map(Dimension::Field).chain(properties) {
        // Values are sorted, and those that no row has are left out. The values of pages are used by rows;
        // those of entry and exit pages are among them.
        let of_rows = dimension.scope() == Scope::Event;
        let _ = head.numbers(Column::Value(&dimension), visits, &mut column);
        let (texts, capped) = head.texts(&dimension).unwrap_or_default();
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
                let _ = head.numbers(Column::Value(&Dimension::Field(field)), visits, &mut column);
                order.of_rows(&column).iter().for_each(|number| used[*number as usize] = true);
            }
        }
        let mut values: Vec<u32> = (1..texts.len() as u32).filter(|number| used[*number as usize]).collect();
        values.sort_unstable_by(|a, b| texts.get(*a).cmp(texts.get(*b)));
        let mut renamed = vec![0; texts.len()];
        values.iter().zip(1..).for_each(|(value, number)| renamed[*value as usize] = number);
        numbers.iter_mut().for_each(|number| *number = renamed[*number as usize]);
        let name = dimension.to_string();
        // Visits are in the order of these, so that the shortest form of them is very short.
        let is_sorted = matches!(dimension, Dimension::Field(Field::Country | Field::Source));
        let times = if is_sorted { 100 } else { 2 };
        sections.put_often(if of_rows { Kind::OfRows } else { Kind::OfVisits }, &name, &numbers, times);
        if shared.is_none() && !values.is_empty() {
            let texts = dictionary::encode(values.iter().map(|value| texts.get(*value)), capped);
            sections.0.push((Kind::Texts, name, texts));
        }
    }
}

pub(super) fn block(head: &Head, counts: [usize; 4], sections: &[(Kind, String, Vec<u8>)]) -> Bytes {
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
