//! The latest events of one site, ready to be sent: what slow clients are caught up from.

use std::collections::VecDeque;

use axum::extract::ws::Utf8Bytes;
use common::store::Position;
use tokio::time::Instant;

use super::MOST_MISSED;

/// How many bytes of messages are kept, a site.
const MOST_BYTES: usize = 256 * 1024;
/// How many messages one reading answers.
const MOST_AT_ONCE: usize = 32;

/// The places of the last [`MOST_MISSED`] events, and the messages of the newest of them, as
/// far as [`MOST_BYTES`] reach. Entries are numbered as they come; a number is what a reader
/// remembers.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: VecDeque<Entry>,
    /// The number of the oldest entry, or of the next one when there is none.
    oldest: u64,
    /// How many of the oldest entries have had their messages taken out.
    stripped: usize,
    bytes: usize,
    last: Option<Position>,
}

#[derive(Debug)]
struct Entry {
    position: Position,
    came: Instant,
    message: Option<Utf8Bytes>,
}

/// A message, the place of its event, and when the event came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) position: Position,
    pub(super) came: Instant,
    pub(super) message: Utf8Bytes,
}

/// What there is from a number on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Nothing yet.
    UpToDate,
    /// These, oldest first; there may be more after them.
    Next(Vec<Placed>),
    /// The event at this place and others, whose messages are not in memory any more.
    InStore(Position),
    /// Events that are not here any more; this is the next number.
    TooLate(u64),
}

impl Log {
    /// The number that the next entry will have.
    pub(super) fn next(&self) -> u64 {
        self.oldest + self.entries.len() as u64
    }

    /// The number of the first entry after a place.
    pub(super) fn next_after(&self, position: Position) -> u64 {
        self.oldest + self.entries.partition_point(|entry| entry.position <= position) as u64
    }

    /// The place of the last event that came, if any did.
    pub(super) const fn last(&self) -> Option<Position> {
        self.last
    }

    /// Adds the next event, unless it came before; without a message when there is none to be
    /// had now.
    pub(super) fn push(&mut self, position: Position, message: Option<Utf8Bytes>) {
        if self.last >= Some(position) {
            return;
        }
        self.last = Some(position);
        self.bytes += message.as_ref().map_or(0, |message| message.len());
        self.entries.push_back(Entry { position, came: Instant::now(), message });
        if self.entries.len() > MOST_MISSED
            && let Some(Entry { message, .. }) = self.entries.pop_front()
        {
            self.oldest += 1;
            self.stripped = self.stripped.saturating_sub(1);
            self.bytes -= message.map_or(0, |message| message.len());
        }
        while self.bytes > MOST_BYTES
            && let Some(entry) = self.entries.get_mut(self.stripped)
        {
            self.bytes -= entry.message.take().map_or(0, |message| message.len());
            self.stripped += 1;
        }
    }

    /// Events were lost that cannot be read again: every client is too late.
    pub(super) fn tear(&mut self) {
        self.oldest = self.next() + 1;
        self.entries.clear();
        self.stripped = 0;
        self.bytes = 0;
    }

    /// As [`Self::tear`], and places that follow may have been those of events that are gone.
    pub(super) fn begin_anew(&mut self) {
        self.tear();
        self.last = None;
    }

    /// What there is from a number on.
    pub(super) fn read(&self, from: u64) -> Reading {
        let Some(first) = from.checked_sub(self.oldest) else { return Reading::TooLate(self.next()) };
        let mut rest = self.entries.range((first as usize).min(self.entries.len())..).peekable();
        match rest.peek() {
            None => Reading::UpToDate,
            Some(Entry { position, message: None, .. }) => Reading::InStore(*position),
            Some(_) => {
                let placed = |Entry { position, came, message }: &Entry| {
                    message.clone().map(|message| Placed { position: *position, came: *came, message })
                };
                Reading::Next(rest.take(MOST_AT_ONCE).map_while(placed).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(positions: impl IntoIterator<Item = u64>, length: usize) -> Log {
        let mut log = Log::default();
        for position in positions {
            log.push(Position(position), Some("x".repeat(length).into()));
        }
        log
    }

    fn positions(reading: Reading) -> Vec<u64> {
        match reading {
            Reading::Next(next) => next.iter().map(|placed| placed.position.0).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_log_is_read_from_a_number_on() {
        let log = log([12, 15, 15, 14, 20], 1);
        assert_eq!(positions(log.read(0)), [12, 15, 20], "each once, in order");
        assert_eq!(positions(log.read(2)), [20]);
        assert_eq!(log.read(3), Reading::UpToDate);
        assert_eq!(log.next(), 3);
        assert_eq!([11, 12, 19, 20].map(|place| log.next_after(Position(place))), [0, 1, 2, 3]);
        assert_eq!(Log::default().read(0), Reading::UpToDate);
    }

    #[test]
    fn more_than_was_kept_is_too_late() {
        let most = MOST_MISSED as u64;
        let log = log(1..=most + 1, 1);
        assert_eq!(log.read(0), Reading::TooLate(most + 1));
        assert_eq!(positions(log.read(1)), (2..2 + MOST_AT_ONCE as u64).collect::<Vec<_>>());
        assert_eq!(log.entries.len(), MOST_MISSED);
    }

    #[test]
    fn messages_are_bounded_in_bytes() {
        let log = log(1..=100, MOST_BYTES / 50);
        assert_eq!(log.read(0), Reading::InStore(Position(1)));
        assert_eq!(log.read(49), Reading::InStore(Position(50)));
        assert_eq!(positions(log.read(50))[0], 51);
        assert!(log.bytes <= MOST_BYTES);
    }

    #[test]
    fn an_event_without_a_message_is_in_the_store() {
        let mut log = log([1], 1);
        log.push(Position(2), None);
        log.push(Position(3), Some("x".into()));
        assert_eq!(positions(log.read(0)), [1]);
        assert_eq!(log.read(1), Reading::InStore(Position(2)));
        assert_eq!(positions(log.read(2)), [3]);
    }

    #[test]
    fn after_a_tear_every_client_is_too_late() {
        let mut log = log([1, 2], 1);
        log.tear();
        let Reading::TooLate(next) = log.read(2) else { panic!("{log:?}") };
        assert_eq!(log.read(next), Reading::UpToDate);
        log.push(Position(2), Some("x".into()));
        assert_eq!(log.read(next), Reading::UpToDate, "came before");
        log.push(Position(9), Some("x".into()));
        assert_eq!(positions(log.read(next)), [9]);
        log.begin_anew();
        let Reading::TooLate(next) = log.read(next + 1) else { panic!("{log:?}") };
        log.push(Position(2), Some("x".into()));
        assert_eq!(positions(log.read(next)), [2], "another event at a place that was given before");
    }
}
