//! The open day: events as they are committed, in columns that can be scanned at any time.
//!
//! Rows never move: each event is appended to every column, in the order of arrival. What changes is
//! which rows make a visit. Each visitor has a run of row numbers and a run of visits; a batch of events
//! sorts the rows and forms the visits of the visitors in it again, and touches nothing else. A scan
//! gathers the columns that it needs in the order of visits.
//!
//! A head takes several times as many bytes an event as a segment. So visitors who have not been seen for a
//! while are sealed: they move to a piece, which is as small as a segment. A visitor who comes
//! again moves back, so that all rows of a visitor are in one place, and a scan reads pieces as it reads
//! days. It may be any visitor who is sealed, at any time; answers do not depend on it.

mod caps;
mod columns;
mod piece;
mod runs;
mod seal;
mod sealed;

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::OnceLock;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use self::caps::Caps;
pub use self::columns::{AsPart, Part};
use self::runs::{Run, Runs};
use self::sealed::Sealed;
use super::columns::{MOST_VALUES, VisitRows};
use super::question::Field;
use super::record::{ARRIVAL_FIELDS, CLIENT_FIELDS, Record, arrival_values, client_values};
use super::texts::Interner;
use super::visits::{Formed, Moment, form};
use crate::event::Event;
use crate::event_type::EventType;
use crate::time::Day;
use crate::visitor::VisitorId;

/// The number of `page_view` among the names of events; those of `scroll` and `hover` follow.
const PAGE_VIEW: u32 = 1;
const SCROLL: u32 = 2;
const HOVER: u32 = 3;

/// One UTC day of one site, to which events are added.
#[derive(Debug, Clone)]
pub struct Head {
    day: Day,
    most_values: usize,
    /// The values of each field, by `Field as usize`. Entry and exit pages are pages.
    texts: Vec<Interner>,
    arrivals: Interner,
    arrival_values: Vec<[u32; ARRIVAL_FIELDS.len()]>,
    clients: Interner,
    client_values: Vec<[u32; CLIENT_FIELDS.len()]>,
    rows: Rows,
    properties: BTreeMap<String, Property>,
    /// The number of each visitor, by the hash of its id.
    numbers: HashTable<u32>,
    hasher: RandomState,
    visitors: Vec<Visitor>,
    places: Runs<u32>,
    /// Their rows are places in `places`.
    visits: Runs<VisitRows>,
    /// Visitors with rows that are not part of a visit yet.
    changed: Vec<u32>,
    /// How many events there are, duplicates included.
    events: usize,
    sealed: Sealed,
    /// The bytes of the head from which on visitors are sealed.
    seal_at: usize,
    /// Which values are kept, worked out when it is first asked for after a change.
    caps: OnceLock<Caps>,
}

/// Columns of rows, in the order of arrival.
#[derive(Debug, Clone, Default)]
struct Rows {
    time: Vec<u32>,
    id: Vec<[u8; 16]>,
    name: Vec<u32>,
    page: Vec<u32>,
    hostname: Vec<u32>,
    arrival: Vec<u32>,
    client: Vec<u32>,
    theme: Sparse,
    letter_type: Sparse,
    element: Sparse,
    depth: Sparse,
    visible: Sparse,
    click: [Sparse; 2],
}

/// The rows whose number is not 0, ascending, and these numbers.
#[derive(Debug, Clone, Default)]
struct Sparse {
    rows: Vec<u32>,
    numbers: Vec<u32>,
}

impl Sparse {
    fn push(&mut self, row: u32, number: u32) {
        if number != 0 {
            push(&mut self.rows, row);
            push(&mut self.numbers, number);
        }
    }

    /// The numbers of all rows.
    fn dense(&self, rows: usize) -> Vec<u32> {
        let mut dense = vec![0; rows];
        self.rows.iter().zip(&self.numbers).for_each(|(row, number)| dense[*row as usize] = *number);
        dense
    }
}

#[derive(Debug, Clone)]
struct Property {
    number: u32,
    values: Interner,
    column: Sparse,
}

#[derive(Debug, Clone)]
struct Visitor {
    id: VisitorId,
    explicit: bool,
    changed: bool,
    /// Whether it has rows that were sealed, see [`Head::reopen`].
    was_sealed: bool,
    rows: Run,
    visits: Run,
}

impl Head {
    /// A day without events.
    #[must_use]
    pub fn new(day: Day) -> Self {
        Self::with_cap(day, MOST_VALUES)
    }

    /// A day without events that keeps fewer distinct values.
    pub(super) fn with_cap(day: Day, most_values: usize) -> Self {
        let texts = Field::ALL.iter().map(|field| match field {
            Field::EventName => Interner::with(&["", "page_view", "scroll", "hover"]),
            field => Interner::with(&[field.unknown()]),
        });
        Self {
            day,
            most_values,
            texts: texts.collect(),
            arrivals: Interner::default(),
            arrival_values: Vec::new(),
            clients: Interner::default(),
            client_values: Vec::new(),
            rows: Rows::default(),
            properties: BTreeMap::new(),
            numbers: HashTable::new(),
            hasher: RandomState::default(),
            visitors: Vec::new(),
            places: Runs::default(),
            visits: Runs::default(),
            changed: Vec::new(),
            events: 0,
            sealed: Sealed::default(),
            seal_at: 0,
            caps: OnceLock::new(),
        }
    }

    /// Adds events in any order, late ones included. Events of other days are passed over, and so are
    /// events that it has already. No visitor of theirs may be sealed. The cost is that of the events, and
    /// of sorting again what else their visitors did on this day.
    pub fn extend<'a>(&mut self, events: impl IntoIterator<Item = &'a Event>) {
        for event in events {
            if event.created_at.day() == self.day {
                self.push(event);
            }
        }
        self.form_changed();
    }

    fn form_changed(&mut self) {
        self.caps = OnceLock::new();
        let mut formed = Vec::new();
        for visitor in std::mem::take(&mut self.changed) {
            self.form_visits(visitor, &mut formed);
        }
    }

    /// The number of a visitor who is not sealed.
    fn find(&self, visitor: VisitorId) -> Option<u32> {
        let hash = self.hasher.hash_one(visitor);
        self.numbers.find(hash, |number| self.visitors[*number as usize].id == visitor).copied()
    }

    /// Whether it has this event, of a visitor who is not sealed.
    pub(super) fn has(&self, event: &Event) -> bool {
        let rows = self.find(event.visitor).map(|number| self.places.get(self.visitors[number as usize].rows));
        rows.is_some_and(|rows| rows.iter().any(|row| self.rows.id[*row as usize] == *event.id.as_bytes()))
    }

    /// How many events it has, duplicates included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.events
    }

    /// Whether it has no events.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it has more distinct values of a dimension than are kept.
    pub(super) fn is_capped(&self) -> bool {
        // The unknown value is always kept.
        let exceeds = |texts: &Interner| texts.texts().len() > self.most_values + 1;
        self.texts.iter().any(exceeds)
            || self.properties.len() > self.most_values
            || self.properties.values().any(|property| exceeds(&property.values))
    }

    /// The bytes of memory that it takes, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        let properties = self.properties.iter();
        let properties =
            properties.map(|(name, property)| name.len() + size_of::<Property>() + property.values.memory());
        self.texts.iter().map(Interner::memory).sum::<usize>()
            + self.arrivals.memory()
            + self.clients.memory()
            + size_of_val(&*self.arrival_values)
            + size_of_val(&*self.client_values)
            + properties.sum::<usize>()
            + self.sealed.memory()
            + self.unsealed_memory()
    }

    /// What visitors who are not sealed take of it.
    fn unsealed_memory(&self) -> usize {
        let sparse = |column: &Sparse| 8 * column.rows.capacity();
        let rows = &self.rows;
        let few = [&rows.theme, &rows.letter_type, &rows.element, &rows.depth, &rows.visible];
        let properties = self.properties.values().map(|property| sparse(&property.column));
        rows.time.capacity() * (16 + 6 * 4)
            + few.into_iter().chain(&rows.click).map(sparse).sum::<usize>()
            + properties.sum::<usize>()
            + self.visitors.capacity() * size_of::<Visitor>()
            + self.numbers.allocation_size()
            + self.places.memory()
            + self.visits.memory()
    }

    /// The stored id of the visitor at that place of the layout.
    pub(super) fn visitor_id(&self, visitor: usize) -> [u8; 16] {
        *self.visitors[visitor].id.as_bytes()
    }

    /// The names of the properties that are kept.
    pub(super) fn property_names(&self) -> impl Iterator<Item = &str> {
        self.properties.keys().map(String::as_str).filter(|name| self.caps().keeps(name))
    }

    fn push(&mut self, event: &Event) {
        let row = self.rows.time.len() as u32;
        let record = Record::of(event);
        let of_field = |texts: &mut Vec<Interner>, field: Field, text: &str| texts[field as usize].number(text);
        let texts = &mut self.texts;
        let name = match &event.event_type {
            EventType::PageView => PAGE_VIEW,
            EventType::Scroll => SCROLL,
            EventType::Hover => HOVER,
            other => of_field(texts, Field::EventName, other.name()),
        };
        let rows = &mut self.rows;
        let midnight = self.day.start().millis();
        push(&mut rows.time, (event.created_at.millis() - midnight) as u32);
        push(&mut rows.id, *event.id.as_bytes());
        push(&mut rows.name, name);
        push(&mut rows.page, of_field(texts, Field::Page, &record.page));
        push(&mut rows.hostname, of_field(texts, Field::Hostname, &record.hostname));
        rows.theme.push(row, of_field(texts, Field::Theme, record.theme.as_deref().unwrap_or_default()));
        rows.letter_type.push(row, of_field(texts, Field::LetterType, record.letter_type.unwrap_or_default()));
        rows.element.push(row, of_field(texts, Field::Element, record.element.as_deref().unwrap_or_default()));
        rows.depth.push(row, record.depth);
        rows.visible.push(row, record.visible);
        for (column, place) in rows.click.iter_mut().zip(record.click) {
            column.push(row, place);
        }

        let arrival = self.arrivals.number(event.facts.arrival.to_stored());
        if arrival as usize == self.arrival_values.len() {
            let values = arrival_values(&event.facts.arrival.fields());
            self.arrival_values.push(numbered(texts, ARRIVAL_FIELDS, values));
        }
        push(&mut rows.arrival, arrival);
        let client = self.clients.number(event.facts.client.to_stored());
        let fields = event.facts.client.fields();
        if client as usize == self.client_values.len() {
            self.client_values.push(numbered(texts, CLIENT_FIELDS, client_values(&fields)));
        }
        push(&mut rows.client, client);

        for (name, value) in record.properties {
            let (number, values) = (self.properties.len() as u32, || Interner::with(&[""]));
            let property = self.properties.entry(name).or_insert_with(|| Property {
                number,
                values: values(),
                column: Sparse::default(),
            });
            property.column.push(row, property.values.number(&value));
        }
        self.push_to_visitor(event, fields.explicit, row);
    }

    fn push_to_visitor(&mut self, event: &Event, explicit: bool, row: u32) {
        self.events += 1;
        let number = self.visitor(event.visitor);
        self.visitors[number as usize].explicit |= explicit;
        self.push_row(number, row);
    }

    /// The number of a visitor, a new one if it has none yet.
    fn visitor(&mut self, id: VisitorId) -> u32 {
        if let Some(number) = self.find(id) {
            return number;
        }
        let next = self.visitors.len() as u32;
        let (rows, visits) = (Run::default(), Run::default());
        push(&mut self.visitors, Visitor { id, explicit: false, changed: false, was_sealed: false, rows, visits });
        let (visitors, hasher) = (&self.visitors, &self.hasher);
        let hash = |number: &u32| hasher.hash_one(visitors[*number as usize].id);
        self.numbers.insert_unique(hash(&next), next, hash);
        next
    }

    fn push_row(&mut self, number: u32, row: u32) {
        let visitor = &mut self.visitors[number as usize];
        if !visitor.changed {
            visitor.changed = true;
            self.changed.push(number);
        }
        self.places.push(&mut visitor.rows, row);
    }

    fn form_visits(&mut self, number: u32, formed: &mut Vec<Formed>) {
        let visitor = &mut self.visitors[number as usize];
        visitor.changed = false;
        let rows = &self.rows;
        let is_report = |row: u32| matches!(rows.name[row as usize], SCROLL | HOVER);
        let key = |row: &u32| (rows.time[*row as usize], is_report(*row), rows.id[*row as usize]);
        let places = self.places.get_mut(visitor.rows);
        places.sort_by_key(key);
        let mut kept = 0;
        for at in 0..places.len() {
            if kept == 0 || key(&places[at]) != key(&places[kept - 1]) {
                places[kept] = places[at];
                kept += 1;
            }
        }
        self.places.truncate(&mut visitor.rows, kept);
        let places = self.places.get_mut(visitor.rows);
        let moment = |row: u32| Moment { time: rows.time[row as usize], is_report: is_report(row) };
        form(places, moment, formed);

        self.visits.truncate(&mut visitor.visits, 0);
        let mut start = 0;
        for Formed { events, reports } in formed.drain(..) {
            let place = visitor.rows.start() + start;
            self.visits.push(&mut visitor.visits, VisitRows { start: place, events, reports, visitor: number });
            start += events + reports;
        }
    }
}

fn numbered<const N: usize>(texts: &mut [Interner], fields: [Field; N], values: [&str; N]) -> [u32; N] {
    let mut values = values.into_iter();
    fields.map(|field| texts[field as usize].number(values.next().unwrap_or_default()))
}

/// Adds an item. A vector without room grows by an eighth: if it doubled, up to half of the memory of a
/// day would be unused.
fn push<T>(items: &mut Vec<T>, item: T) {
    make_room(items, 1);
    items.push(item);
}

fn make_room<T>(items: &mut Vec<T>, more: usize) {
    if items.capacity() - items.len() < more {
        items.reserve_exact(more.max(items.len() / 8).max(16));
    }
}
