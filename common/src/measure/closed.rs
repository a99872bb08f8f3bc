//! A closed day: one segment, or several if it has very many events.
//!
//! ```text
//! block := segment                         of a day of at most 2^18 events
//!        | "MVSS" (length:u32 segment)…    of others; length is little-endian
//! ```
//! A scan reads one segment after the other as it reads days, so that it takes no more memory for a large
//! day. They are divided by visitor: first come those with an explicit id, and both groups go on to the next
//! segment at a whole second of the visitors' first events. So the same events give the same bytes.

use ::bytes::Bytes;

use super::columns::{Columns, Damaged};
use super::head::Head;
use super::segment::Segment;
use crate::event::Event;
use crate::time::Day;

const MAGIC: &[u8; 4] = b"MVSS";
/// The most events of a segment, unless there are more of the visitors of one second.
const MOST_EVENTS: usize = 1 << 18;

/// A closed day of one site. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClosedDay {
    block: Bytes,
    segments: Vec<Segment>,
}

impl ClosedDay {
    /// Builds a day from its events, in whatever order. Events of other days are passed over.
    #[must_use]
    pub fn build<'a>(day: Day, events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut head = Head::new(day);
        head.extend(events);
        Self::of(head)
    }

    /// What an open day is once it is closed.
    #[must_use]
    pub fn of(head: Head) -> Self {
        Self::with_most(head, MOST_EVENTS)
    }

    /// The same in segments of fewer events.
    pub(super) fn with_most(head: Head, most: usize) -> Self {
        let (day, mut segments) = (Columns::day(&head), Vec::new());
        head.into_groups(most, |head| segments.push(Segment::of(head)));
        if segments.is_empty() {
            // All events that were sealed are gone from the log.
            segments.push(Segment::of(&Head::new(day)));
        }
        let block = match &segments[..] {
            [segment] => segment.block().to_vec(),
            segments => {
                let size = |segment: &Segment| 4 + segment.block().len();
                let mut block = Vec::with_capacity(MAGIC.len() + segments.iter().map(size).sum::<usize>());
                block.extend_from_slice(MAGIC);
                for segment in segments {
                    block.extend_from_slice(&(segment.block().len() as u32).to_le_bytes());
                    block.extend_from_slice(segment.block());
                }
                block
            }
        };
        drop(segments);
        Self::open(block.into()).unwrap_or_else(|_| unreachable!("a block that was just written can be opened"))
    }

    /// Whether a block was written by a release with another format of segments, see
    /// [`Segment::is_of_another_release`].
    #[must_use]
    pub fn is_of_another_release(block: &[u8]) -> bool {
        let first = block.strip_prefix(MAGIC).map_or(block, |segments| segments.get(4..).unwrap_or_default());
        Segment::is_of_another_release(first)
    }

    /// Opens a block.
    ///
    /// # Errors
    /// [`Damaged`], also if a segment is of another version.
    pub fn open(block: Bytes) -> Result<Self, Damaged> {
        if !block.starts_with(MAGIC) {
            return Ok(Self { segments: vec![Segment::open(block.clone())?], block });
        }
        let (mut segments, mut at) = (Vec::new(), MAGIC.len());
        while let Some((length, rest)) = block[at..].split_first_chunk() {
            let length = u32::from_le_bytes(*length) as usize;
            let start = at + 4;
            if length > rest.len() {
                return Err(Damaged);
            }
            segments.push(Segment::open(block.slice(start..start + length))?);
            at = start + length;
        }
        if at == block.len() && !segments.is_empty() { Ok(Self { block, segments }) } else { Err(Damaged) }
    }

    /// The block, the same for the same events.
    #[must_use]
    pub fn block(&self) -> &[u8] {
        &self.block
    }

    /// Its segments. No visitor is in two of them.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// How many events it has.
    #[must_use]
    pub fn events(&self) -> usize {
        self.segments.iter().map(Segment::events).sum()
    }

    /// The bytes of memory that it takes at most, see [`Segment::memory`].
    #[must_use]
    pub fn memory(&self) -> usize {
        self.segments.iter().map(Segment::memory).sum()
    }
}
