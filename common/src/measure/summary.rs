//! What remains of a day when its events have expired: for each value of each single dimension how many
//! visitors, visits, page views, events and bounces there were, and how long visits lasted. No visitor is
//! in it, and nothing that tells two visitors apart.
//!
//! ```text
//! block   := "MVSU" version:u8 crc32 day events flags totals totals count section-head… section…
//! section-head := length name length      of the name, and of the section's bytes
//! section := dictionary counts…           values but the unknown one; counts of the unknown one come first
//! totals, counts := visitors visits events views entries bounces duration
//! ```
//! Numbers are LEB128, the checksum is of all that follows it, and sections are sorted by name: the same
//! events give the same bytes on every engine. The first totals are those of events, in the second scroll
//! and hover reports are events too, as they are where `event:name` is asked for. `entries` is the base of
//! bounces and of duration (milliseconds): all visits by dimensions of visits, those that entered there by
//! page and host of events. A dimension without a section is unknown for all events of the day.
//!
//! A block without sections is what most questions need. It is stored a second time by itself
//! ([`BlockKind::Totals`](crate::store::BlockKind::Totals)), so that a year is read in a few milliseconds.
//!
//! | module | what it is |
//! |---|---|
//! | `build` | makes a summary from the columns of a day |
//! | `plan` | what a question takes from summaries, and what it cannot have from them |
//! | `reading` | reads the summaries that a question needs, and says how far they answered it |
//! | `expired` | adds up what a question takes from the summaries of many days |

mod build;
pub(in crate::measure) mod expired;
pub(in crate::measure) mod plan;
pub(in crate::measure) mod reading;
#[cfg(test)]
mod tests;

use std::ops::Range;

use super::columns::Damaged;
use super::question::{Dimension, Field};
use super::scan::Counted;
use super::segment::bytes::{Reader, put};
use super::segment::dictionary;
use crate::time::Day;

/// The version of the format. Blocks of other versions cannot be read.
pub const VERSION: u8 = 1;

const MAGIC: &[u8; 4] = b"MVSU";
/// Where the part begins that the checksum covers.
const CHECKED: usize = 9;
/// Set if a summary was made of stored events, not set if it was made of a log that was imported late.
const STORED: u8 = 1;
/// Set if events had more names of properties than are kept.
const PROPERTIES_CAPPED: u8 = 2;

/// Where the events of a summary were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// In the store.
    Stored,
    /// In a log that was imported when the day had already expired.
    Imported,
}

/// The summary of one UTC day of one site.
#[derive(Debug, Clone)]
pub struct Summary {
    bytes: Vec<u8>,
    day: Day,
    events: u64,
    flags: u8,
    totals: [Counted; 2],
    sections: Vec<Section>,
}

/// Where the name and the content of a section are.
#[derive(Debug, Clone)]
struct Section {
    name: Range<usize>,
    content: Range<usize>,
}

impl Summary {
    /// Opens a block: its checksum is compared and its beginning is read.
    ///
    /// # Errors
    /// [`Damaged`], also if it is of another version.
    pub fn open(bytes: Vec<u8>) -> Result<Self, Damaged> {
        let checked = bytes.get(CHECKED..).ok_or(Damaged)?;
        let sum = crc32fast::hash(checked).to_le_bytes();
        if bytes[..4] != MAGIC[..] || bytes[4] != VERSION || bytes[5..CHECKED] != sum {
            return Err(Damaged);
        }
        let mut reader = Reader(checked);
        let day = Day::from_number(reader.number_as()?);
        let (events, flags) = (reader.number()?, reader.byte()?);
        let totals = [read(&mut reader)?, read(&mut reader)?];
        let count: usize = reader.number_as()?;
        if count > bytes.len() {
            return Err(Damaged);
        }
        let mut sections = Vec::with_capacity(count);
        let mut start = 0_usize;
        for _ in 0..count {
            let length = reader.number_as()?;
            let at = bytes.len() - reader.0.len();
            reader.take(length)?;
            let end = start.checked_add(reader.number_as()?).ok_or(Damaged)?;
            sections.push(Section { name: at..at + length, content: start..end });
            start = end;
        }
        if start != reader.0.len() {
            return Err(Damaged);
        }
        let content = bytes.len() - reader.0.len();
        for section in &mut sections {
            section.content = section.content.start + content..section.content.end + content;
        }
        if !sections.windows(2).all(|pair| bytes[pair[0].name.clone()] < bytes[pair[1].name.clone()]) {
            return Err(Damaged);
        }
        Ok(Self { day, events, flags, totals, sections, bytes })
    }

    /// The block, the same for the same events.
    #[must_use]
    pub fn block(&self) -> &[u8] {
        &self.bytes
    }

    /// The block without its sections.
    #[must_use]
    pub fn totals_block(&self) -> Vec<u8> {
        build::block(self.day, self.events, self.flags, &self.totals, &[])
    }

    /// The day.
    #[must_use]
    pub const fn day(&self) -> Day {
        self.day
    }

    /// How many events it was made of, scroll and hover reports included.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// Where these events were.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        if self.flags & STORED == 0 { Origin::Imported } else { Origin::Stored }
    }

    /// What all events of the day count together.
    pub(in crate::measure) const fn totals(&self, reports_are_events: bool) -> &Counted {
        &self.totals[reports_are_events as usize]
    }

    /// Calls `each` with every value of a dimension that has events, and what they count. Answers whether
    /// there were more values than are kept.
    pub(in crate::measure) fn rows(
        &self,
        dimension: &Dimension,
        mut each: impl FnMut(&str, &Counted),
    ) -> Result<bool, Damaged> {
        let unknown = match dimension {
            Dimension::Field(field) => field.unknown(),
            _ => "",
        };
        let is_property = matches!(dimension, Dimension::Property(_));
        let lost = is_property && self.flags & PROPERTIES_CAPPED != 0;
        let name = dimension.to_string();
        let find = |section: &Section| self.bytes[section.name.clone()].cmp(name.as_bytes());
        let Ok(at) = self.sections.binary_search_by(find) else {
            if is_property && self.totals[0].days > 0 {
                each(unknown, &Counted { bounce_visits: 0, duration_visits: 0, ..self.totals[0] });
            }
            return Ok(lost);
        };
        let content = &self.bytes[self.sections[at].content.clone()];
        let mut reader = Reader(content);
        let length: usize = reader.number_as()?;
        let (texts, capped) = dictionary::decode(reader.take(length)?, unknown)?;
        for text in texts.iter() {
            let counted = read(&mut reader)?;
            if counted.days > 0 {
                each(text, &counted);
            }
        }
        reader.end()?;
        Ok(capped || lost)
    }
}

/// Whether values of visits without a page view are not among the rows of a dimension.
pub(super) const fn is_of_views(dimension: &Dimension) -> bool {
    matches!(
        dimension,
        Dimension::Field(Field::EntryPage | Field::ExitPage | Field::EntryPageHostname | Field::ExitPageHostname)
    )
}

fn read(reader: &mut Reader<'_>) -> Result<Counted, Damaged> {
    let [visitors, visits, events, views, entries, bounces, duration] = [(); 7].map(|()| reader.number());
    let (visitors, entries) = (visitors?, entries?);
    // Sums of years are far from overflow, whatever a damaged block says.
    let sane = |number: Result<u64, Damaged>| number.map(|number| number.min(1 << 48));
    Ok(Counted {
        days: (visitors > 0).into(),
        visitors: sane(Ok(visitors))?,
        visits: sane(visits)?,
        events: sane(events)?,
        views: sane(views)?,
        bounce_visits: sane(Ok(entries))?,
        bounces: sane(bounces)?,
        duration_visits: sane(Ok(entries))?,
        duration: sane(duration)?,
        ..Counted::default()
    })
}

fn write(counted: &Counted, bytes: &mut Vec<u8>) {
    let Counted { visitors, visits, events, views, bounce_visits, bounces, duration, .. } = *counted;
    [visitors, visits, events, views, bounce_visits, bounces, duration].iter().for_each(|number| put(*number, bytes));
}
