//! Makes a summary from the columns of a closed day.

use std::collections::BTreeSet;

use super::{CHECKED, MAGIC, Origin, PROPERTIES_CAPPED, STORED, Summary, VERSION, write};
use crate::measure::columns::{Column, Columns, Damaged};
use crate::measure::question::{Dimension, Field};
use crate::measure::scan::{self, Counted, ScanError};
use crate::measure::segment::bytes::put;
use crate::measure::segment::{Segment, dictionary};
use crate::time::Day;

/// The most properties that a summary has values of: those that most events have.
const MOST_PROPERTIES: usize = 200;

impl Summary {
    /// Summarises a closed day, of which these are all segments.
    ///
    /// # Errors
    /// [`Damaged`], if a segment is.
    pub fn of(segments: &[Segment], origin: Origin) -> Result<Self, Damaged> {
        let day = segments.first().ok_or(Damaged)?.day();
        let (properties, all) = properties(segments)?;
        let mut totals = [Counted::default(); 2];
        for (totals, reports_are_events) in totals.iter_mut().zip([false, true]) {
            tally(segments, None, reports_are_events, |_, counted| *totals = *counted)?;
        }
        let fields = Field::ALL.iter().copied().map(Dimension::Field);
        let mut sections = fields
            .chain(properties)
            .map(|dimension| Ok((dimension.to_string(), section(segments, &dimension)?)))
            .collect::<Result<Vec<_>, Damaged>>()?;
        sections.sort_unstable();
        let mut flags = if origin == Origin::Stored { STORED } else { 0 };
        if !all || segments.iter().any(Segment::property_names_capped) {
            flags |= PROPERTIES_CAPPED;
        }
        let events = segments.iter().map(|segment| segment.events() as u64).sum();
        Self::open(block(day, events, flags, &totals, &sections))
    }
}

/// The properties to summarise, and whether they are all there are.
fn properties(segments: &[Segment]) -> Result<(Vec<Dimension>, bool), Damaged> {
    let properties: BTreeSet<Dimension> = segments.iter().flat_map(Segment::properties).collect();
    if properties.len() <= MOST_PROPERTIES {
        return Ok((properties.into_iter().collect(), true));
    }
    let (mut counted, mut numbers) = (Vec::with_capacity(properties.len()), Vec::new());
    for property in properties {
        let mut count = 0;
        for segment in segments {
            segment.numbers(Column::Value(&property), &[], &mut numbers)?;
            count += numbers.iter().filter(|number| **number != 0).count();
        }
        counted.push((std::cmp::Reverse(count), property));
    }
    counted.sort_unstable();
    counted.truncate(MOST_PROPERTIES);
    Ok((counted.into_iter().map(|(_, property)| property).collect(), false))
}

fn section(segments: &[Segment], dimension: &Dimension) -> Result<Vec<u8>, Damaged> {
    let unknown = match dimension {
        Dimension::Field(field) => field.unknown(),
        _ => "",
    };
    let (mut of_unknown, mut rows) = (Counted::default(), Vec::new());
    let is_name = *dimension == Dimension::Field(Field::EventName);
    let capped = tally(segments, Some(dimension), is_name, |text, counted| match text == unknown {
        true => of_unknown = *counted,
        false => rows.push((text.to_owned(), *counted)),
    })?;
    rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let texts = dictionary::encode(rows.iter().map(|(text, _)| text.as_str()), capped);
    let mut bytes = Vec::with_capacity(texts.len() + 10 * (rows.len() + 1));
    put(texts.len() as u64, &mut bytes);
    bytes.extend_from_slice(&texts);
    write(&of_unknown, &mut bytes);
    rows.iter().for_each(|(_, counted)| write(counted, &mut bytes));
    Ok(bytes)
}

fn tally(
    segments: &[Segment],
    dimension: Option<&Dimension>,
    reports_are_events: bool,
    each: impl FnMut(&str, &Counted),
) -> Result<bool, Damaged> {
    // Nothing stops it, and it may use what it needs.
    scan::tally(segments, dimension, reports_are_events, each).map_err(|error| match error {
        ScanError::Damaged(_) | ScanError::Stopped | ScanError::TooLarge => Damaged,
    })
}

/// The bytes of a block.
pub(super) fn block(
    day: Day,
    events: u64,
    flags: u8,
    totals: &[Counted; 2],
    sections: &[(String, Vec<u8>)],
) -> Vec<u8> {
    let mut checked = Vec::new();
    put(day.number() as u64, &mut checked);
    put(events, &mut checked);
    checked.push(flags);
    totals.iter().for_each(|counted| write(counted, &mut checked));
    put(sections.len() as u64, &mut checked);
    for (name, content) in sections {
        put(name.len() as u64, &mut checked);
        checked.extend_from_slice(name.as_bytes());
        put(content.len() as u64, &mut checked);
    }
    sections.iter().for_each(|(_, content)| checked.extend_from_slice(content));
    let mut block = Vec::with_capacity(CHECKED + checked.len());
    block.extend_from_slice(MAGIC);
    block.push(VERSION);
    block.extend_from_slice(&crc32fast::hash(&checked).to_le_bytes());
    block.append(&mut checked);
    block
}
