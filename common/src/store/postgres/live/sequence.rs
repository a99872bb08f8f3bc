//! A site's events in order of position, each once, from whichever way they come: own commits,
//! other instances' messages, PostgreSQL.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::store::Committed;

/// How many events wait at most for those before them; more are read again later.
const MOST_WAITING: usize = 10_000;

/// How far a site was delivered, and what cannot be delivered yet.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    last: u64,
    /// The event at the last position, if it was here.
    last_id: Option<Uuid>,
    /// By the position after which they begin: up to which, and the events.
    waiting: BTreeMap<u64, (u64, Vec<Committed>)>,
    held: usize,
}

impl Sequence {
    /// Events up to here are old.
    pub(super) fn after(last: u64) -> Self {
        Self { last, ..Self::default() }
    }

    /// The last position that was delivered.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The event at the last position, if it is known.
    pub(super) fn last_id(&self) -> Option<Uuid> {
        self.last_id
    }

    /// Notes which event is the last one, if that is still at this position.
    pub(super) fn learn(&mut self, last: u64, id: Uuid) {
        if self.last == last {
            self.last_id = Some(id);
        }
    }

    /// Whether events wait for others before them.
    pub(super) fn has_gap(&self) -> bool {
        self.gap_until().is_some()
    }

    /// Up to where events are missing that others wait for.
    pub(super) fn gap_until(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|(from, _)| *from)
    }

    /// Takes all events after `from` up to `to`, and answers those that are due now. Events below
    /// were delivered before; events above a gap wait until it is filled.
    pub(super) fn offer(&mut self, from: u64, to: u64, events: Vec<Committed>) -> Vec<Committed> {
        if to <= self.last {
            return Vec::new();
        }
        if from > self.last {
            if self.held + events.len() <= MOST_WAITING && !self.waiting.contains_key(&from) {
                self.held += events.len();
                self.waiting.insert(from, (to, events));
            }
            return Vec::new();
        }
        let mut due = self.take(to, events);
        while let Some(entry) = self.waiting.first_entry().filter(|entry| *entry.key() <= self.last) {
            let (to, events) = entry.remove();
            self.held -= events.len();
            due.extend(self.take(to, events));
        }
        due
    }

    fn take(&mut self, to: u64, mut events: Vec<Committed>) -> Vec<Committed> {
        events.retain(|event| event.position.0 > self.last);
        self.pass(to, events.last());
        events
    }

    /// Notes that events up to here were delivered or are not needed; `latest` is the latest of them.
    fn pass(&mut self, to: u64, latest: Option<&Committed>) {
        if to > self.last {
            self.last = to;
            self.last_id = latest.filter(|latest| latest.position.0 == to).map(|latest| latest.event.id);
        }
    }

    /// Events up to here are not needed; `latest` is the latest of them, if it is here.
    pub(super) fn skip_to(&mut self, to: u64, latest: Option<&Committed>) {
        self.pass(to, latest);
        self.waiting.clear();
        self.held = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::event::{Event, EventData};
    use crate::event_type::EventType;
    use crate::measure::facts::Facts;
    use crate::site::Site;
    use crate::store::Position;
    use crate::time::Timestamp;

    fn events(range: std::ops::RangeInclusive<u64>) -> Vec<Committed> {
        let event = |position| Event {
            id: Uuid::from_u128(u128::from(position)),
            site: Site::default(),
            visitor: Uuid::nil().into(),
            event_type: EventType::Scroll,
            data: EventData::EMPTY,
            page_url: None,
            referrer: None,
            created_at: Timestamp::from_millis(0),
            facts: Facts::default(),
        };
        range.map(|position| Committed { position: Position(position), event: event(position) }).collect()
    }

    fn positions(events: &[Committed]) -> Vec<u64> {
        events.iter().map(|event| event.position.0).collect()
    }

    #[test]
    fn gaps_wait_and_repeats_are_dropped() {
        let mut sequence = Sequence::after(4);
        assert_eq!(positions(&sequence.offer(6, 8, events(7..=8))), [0; 0]);
        assert!(sequence.has_gap());
        assert_eq!(positions(&sequence.offer(4, 6, events(5..=6))), [5, 6, 7, 8]);
        assert_eq!(positions(&sequence.offer(4, 8, events(5..=8))), [0; 0]);
        assert_eq!(positions(&sequence.offer(6, 10, events(7..=10))), [9, 10]);
        assert!(!sequence.has_gap());
        // Events of dropped days are missing, and not waited for.
        assert_eq!(positions(&sequence.offer(10, 20, events(19..=20))), [19, 20]);
        assert_eq!(sequence.last(), 20);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut sequence = Sequence::after(0);
        for start in 0..3_000 {
            sequence.offer(10 + start * 10, 20 + start * 10, events(11 + start * 10..=20 + start * 10));
        }
        assert_eq!(sequence.held, MOST_WAITING);
        sequence.skip_to(7, None);
        assert!(!sequence.has_gap() && sequence.held == 0 && sequence.last() == 7);
    }

    proptest! {
        /// Pieces of 1 to 60, offered in any order, some twice and in other cuts, until nothing
        /// is missing.
        #[test]
        fn everything_is_heard_once_and_in_order(cuts in prop::collection::vec((0_u64..60, 1_u64..9), 0..80)) {
            let mut sequence = Sequence::after(0);
            let mut heard = Vec::new();
            for (from, length) in cuts {
                let to = (from + length).min(60);
                heard.extend(positions(&sequence.offer(from, to, events(from + 1..=to))));
            }
            let from = sequence.last();
            heard.extend(positions(&sequence.offer(from, 60, events(from + 1..=60))));
            prop_assert_eq!(heard, (1..=60).collect::<Vec<_>>());
        }
    }
}
