//! A closed day: the events of one site and UTC day as one immutable block of bytes, in columns. A day of
//! very many events is [several](super::closed), divided by visitor.
//!
//! The same set of events gives the same bytes, in whatever order they arrived and on every engine:
//! everything is sorted, and nothing depends on the store. A segment is complete if it has as many
//! events as the store counts on its day, see [`days`](super::days).
//!
//! ```text
//! block   := "MVSG" version:u8 crc32 header sections      the checksum is of all that follows it
//! header  := day visitors explicit visits rows flags count section-head…
//! section-head := kind:u8 length name length    of the name, and of the section's bytes
//! ```
//! Numbers without a width are LEB128; those with one are little-endian. Sections are sorted by kind and
//! name, and lie one after another without gaps. A column that is zero everywhere has no section, so a
//! dimension that a segment has never heard of is unknown for all of its events.
//!
//! | kind | name | holds |
//! |---|---|---|
//! | 0 ids | `visitors` | 16 bytes of each visitor with an explicit id |
//! | 1 of visitors | `visits` | how many visits each has, less one |
//! | 2 of visits | `events`, `reports`, `views`, `duration` | how many, and milliseconds |
//! | 2 of visits | `start` | milliseconds since the visit before of the same visitor, or else since the first visit of the visitor before: twice as many, or if that is later, twice as many less one |
//! | 2 of visits | a dimension of visits | numbers of values |
//! | 3 of rows | `depth`, `visible`, `x`, `y`, a dimension of events | as in [`Column`]; numbers of values |
//! | 4 of rows but each visit's first | `gap` | milliseconds since the row before; of a visit's first report, since the visit's start |
//! | 5 texts | a dimension | its values; entry and exit pages share those of pages |
//!
//! Visitors with an explicit id come first. Each of the two groups is in the order of country, source and
//! start of each visitor's first visit, so that what passes a filter by country, or by country and source,
//! lies together, and most visits belong to the group of the one before. Cookieless visitors are new every
//! day, so that no id of theirs is needed: where their visits begin and end separates them. Within a visit,
//! events come before reports, each in the order of (time, event id); ids of events are not kept.
//!
//! What is read of most columns is read where it is. Which rows make a visit, the texts of a dimension, and numbers
//! of visitors are kept once they have been read; [`Segment::memory`] counts them from the beginning.
//!
//! Columns are described in `numbers.rs`, texts in `dictionary.rs`. These encodings are our own, because
//! they are 300 lines: `tantivy-columnar` and arrow bring more code than a function may weigh, and leave
//! open whether the next version writes the same bytes.

mod bits;
pub(super) mod bytes;
pub(super) mod dictionary;
mod encode;
pub(super) mod numbers;
mod read;

use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use ::bytes::Bytes;

use self::bytes::{Reader, put};
pub use super::columns::{Column, Damaged};
use super::columns::{MOST_VALUES, Visits};
use super::head::Head;
use super::kept::KeptNumbers;
use super::question::Dimension;
use super::texts::Texts;
use super::visitor_numbers::VisitorNumbers;
use crate::event::Event;
use crate::time::Day;

/// The version of the format. Blocks of other versions are rebuilt from the events.
pub const VERSION: u8 = 4;

const MAGIC: &[u8; 4] = b"MVSG";
/// Where the part begins that the checksum covers.
const CHECKED: usize = 9;
/// The most values of a dimension, without the unknown one and with `(other)`.
const MOST_TEXTS: usize = MOST_VALUES + 1;

/// What a section holds; its length follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Ids,
    OfVisitors,
    OfVisits,
    OfRows,
    Gaps,
    Texts,
}

impl Kind {
    const ALL: [Self; 6] = [Self::Ids, Self::OfVisitors, Self::OfVisits, Self::OfRows, Self::Gaps, Self::Texts];
}

/// A closed day of one site. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Segment {
    bytes: Bytes,
    day: Day,
    visitors: usize,
    explicit: usize,
    visits: usize,
    rows: usize,
    property_names_capped: bool,
    memory: usize,
    sections: Arc<[Section]>,
    /// The [`key`] of each section: they are close to each other in memory.
    keys: Arc<[u32]>,
    /// Read when they are first needed.
    layout: Arc<OnceLock<Visits>>,
    numbers: Arc<KeptNumbers<VisitorNumbers>>,
}

/// Where the name and the content of a section are.
#[derive(Debug)]
struct Section {
    kind: Kind,
    name: Range<usize>,
    content: Range<usize>,
    /// The texts, and whether there were more, once they have been read.
    texts: OnceLock<(Arc<Texts>, bool)>,
    /// Whether the numbers are known to be possible ones.
    is_checked: AtomicBool,
}

impl Segment {
    /// Builds the segment of a day from its events, in whatever order. Events of other days are passed
    /// over.
    #[must_use]
    pub fn build<'a>(day: Day, events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut head = Head::new(day);
        head.extend(events);
        Self::of(&head)
    }

    /// What the open day is as a segment.
    #[must_use]
    pub fn of(head: &Head) -> Self {
        encode::encode(head)
    }

    /// The block, the same for the same events.
    #[must_use]
    pub fn block(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether a block was written by a release with another format. It is not damaged: it is rebuilt before it
    /// answers anything.
    #[must_use]
    pub fn is_of_another_release(block: &[u8]) -> bool {
        block.starts_with(&MAGIC[..]) && block.get(4).is_some_and(|version| *version != VERSION)
    }

    /// Opens a block: its checksum is compared and its header is read. Columns are read when they are
    /// asked for.
    ///
    /// # Errors
    /// [`Damaged`], also if it is of another version.
    pub fn open(bytes: Bytes) -> Result<Self, Damaged> {
        let checked = bytes.get(CHECKED..).ok_or(Damaged)?;
        let sum = crc32fast::hash(checked).to_le_bytes();
        if bytes[..4] != MAGIC[..] || bytes[4] != VERSION || bytes[5..CHECKED] != sum {
            return Err(Damaged);
        }
        let mut reader = Reader(checked);
        let day = Day::from_number(reader.number_as()?);
        let [visitors, explicit, visits, rows] = [(); 4].map(|()| reader.number_as::<u32>());
        let (visitors, explicit, visits, rows) = (visitors?, explicit?, visits?, rows?);
        let flags = reader.byte()?;
        let count: usize = reader.number_as()?;
        // Each visit has a row and each visitor a visit; 1,024 rows take at least two bytes.
        let most = (bytes.len() as u64 + 1) * 1_024;
        if explicit > visitors || visitors > visits || visits > rows || u64::from(rows) > most || count > bytes.len() {
            return Err(Damaged);
        }
        let mut segment = Self {
            day,
            visitors: visitors as usize,
            explicit: explicit as usize,
            visits: visits as usize,
            rows: rows as usize,
            property_names_capped: flags & 1 != 0,
            memory: 0,
            sections: Arc::default(),
            keys: Arc::default(),
            layout: Arc::default(),
            numbers: Arc::default(),
            bytes: Bytes::new(),
        };
        let mut sections = Vec::with_capacity(count);
        let mut start = 0_usize;
        for _ in 0..count {
            let kind = *Kind::ALL.get(usize::from(reader.byte()?)).ok_or(Damaged)?;
            let length = reader.number_as()?;
            let at = bytes.len() - reader.0.len();
            reader.take(length)?;
            let end = start.checked_add(reader.number_as()?).ok_or(Damaged)?;
            sections.push(Section {
                kind,
                name: at..at + length,
                content: start..end,
                texts: OnceLock::new(),
                is_checked: AtomicBool::new(false),
            });
            start = end;
        }
        let content = bytes.len() - reader.0.len();
        let names_of = |section: &Section| (section.kind, &bytes[section.name.clone()]);
        let sorted = sections.windows(2).all(|pair| names_of(&pair[0]) < names_of(&pair[1]));
        // Checked before contents are moved behind the header, which may overflow if they are longer.
        if start != bytes.len() - content || !sorted {
            return Err(Damaged);
        }
        for section in &mut sections {
            section.content = section.content.start + content..section.content.end + content;
        }
        segment.memory = bytes.len()
            + Visits::memory(segment.visits, segment.rows)
            + size_of::<KeptNumbers<VisitorNumbers>>()
            + size_of::<u32>() * segment.explicit
            + size_of::<Self>()
            + count * (size_of::<Section>() + size_of::<u32>());
        for section in sections.iter().filter(|section| section.kind == Kind::Texts) {
            segment.memory += size_of::<Texts>() + dictionary::memory(&bytes[section.content.clone()])?;
        }
        segment.keys = sections.iter().map(|section| key(section.kind, &bytes[section.name.clone()])).collect();
        (segment.bytes, segment.sections) = (bytes, sections.into());
        Ok(segment)
    }

    /// How many events it has.
    #[must_use]
    pub const fn events(&self) -> usize {
        self.rows
    }

    /// The properties that events have.
    pub(super) fn properties(&self) -> impl Iterator<Item = Dimension> {
        let rows = self.sections.iter().filter(|section| section.kind == Kind::OfRows);
        let names = rows.filter_map(|section| std::str::from_utf8(&self.bytes[section.name.clone()]).ok());
        names.filter_map(Dimension::parse).filter(|dimension| matches!(dimension, Dimension::Property(_)))
    }

    /// The bytes of memory that it takes at most, with everything that is kept once it has been read.
    #[must_use]
    pub const fn memory(&self) -> usize {
        self.memory
    }

    fn section(&self, kind: Kind, name: &str) -> Option<&Section> {
        let key = key(kind, name.as_bytes());
        let is_it = |section: &Section| section.kind == kind && self.bytes[section.name.clone()] == *name.as_bytes();
        let mut sections = self.keys.iter().zip(&*self.sections);
        sections.find(|(other, section)| **other == key && is_it(section)).map(|(_, section)| section)
    }

    fn content(&self, section: &Section) -> &[u8] {
        &self.bytes[section.content.clone()]
    }
}

/// What differs for most kinds and names.
fn key(kind: Kind, name: &[u8]) -> u32 {
    crc32fast::hash(name).rotate_left(kind as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::columns::{Column, Columns as _};
    use crate::measure::samples::{day, event};

    /// The block with other numbers in a section.
    fn with(segment: &Segment, head: &Head, kind: Kind, name: &str, numbers: &[u32]) -> Bytes {
        let sections = segment.sections.iter().map(|section| {
            let own = String::from_utf8(segment.bytes[section.name.clone()].to_vec()).unwrap();
            let content = match (section.kind, &*own) == (kind, name) {
                true => numbers::encode(numbers),
                false => segment.content(section).to_vec(),
            };
            (section.kind, own, content)
        });
        let counts = [segment.visitors, segment.explicit, segment.visits, segment.rows];
        encode::block(head, counts, &sections.collect::<Vec<_>>())
    }

    /// A section of as many bytes as a number can say.
    #[test]
    fn a_section_longer_than_the_block_is_damage() {
        let mut checked = vec![0; 6];
        checked.extend([1, Kind::Gaps as u8, 0]);
        put(u64::MAX, &mut checked);
        let sum = crc32fast::hash(&checked).to_le_bytes();
        let block = [&MAGIC[..], &[VERSION], &sum, &checked].concat();
        assert!(Segment::open(block.into()).is_err());
    }

    /// Sums of views are as small as sums of events, so that none overflows.
    #[test]
    fn more_views_than_events_are_damage() {
        let mut head = Head::new(day(0));
        head.extend(&[event(1, 1, 0, "page_view", "/"), event(2, 2, 0, "page_view", "/")]);
        let segment = Segment::of(&head);
        for (views, is_right) in [([1, 1], true), ([0, 2], true), ([1, 2], false), ([u32::MAX, 1], false)] {
            let changed = Segment::open(with(&segment, &head, Kind::OfVisits, "views", &views)).unwrap();
            let mut read = Vec::new();
            for _ in 0..2 {
                assert_eq!(changed.numbers(Column::Views, &[], &mut read).is_ok(), is_right, "{views:?}");
            }
        }
    }
}
