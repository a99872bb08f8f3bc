//! Requests that are appended together.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::event::Event;
use crate::site::Site;
use crate::store::dynamodb::append::Entry;
use crate::store::dynamodb::errors::{ENGINE, unavailable};
use crate::store::{Appended, Position, Result, StoreError};
use crate::time::Timestamp;

/// Events to append, and where the answer goes.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) events: Vec<Event>,
    pub(super) now: Timestamp,
    /// When they came.
    pub(super) since: Instant,
    pub(super) answer: oneshot::Sender<Result<Vec<Appended>>>,
}

/// Requests whose events are appended together, each event once.
#[derive(Debug)]
pub(super) struct Group {
    requests: Vec<Grouped>,
    /// What became of each entry; none if it failed.
    pub(super) outcomes: Vec<Option<Appended>>,
    pub(super) error: Option<StoreError>,
}

/// A request: the entry of each event, and whether an earlier event had the same id.
#[derive(Debug)]
struct Grouped {
    entries: Vec<(usize, bool)>,
    answer: oneshot::Sender<Result<Vec<Appended>>>,
}

impl Waiting {
    /// Gives up a request that has waited for longer than this, or whose client has gone: what was
    /// refused must not be stored later.
    pub(super) fn within(self, limit: Duration) -> Option<Self> {
        if self.since.elapsed() <= limit {
            return Some(self).filter(|waiting| !waiting.answer.is_closed());
        }
        let _ = self.answer.send(Err(unavailable("requests before this one took too long")));
        None
    }
}

impl Group {
    pub(super) fn new(waiting: Vec<Waiting>) -> (Self, Vec<Entry>) {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<(Site, Uuid), usize> = HashMap::new();
        let requests = waiting.into_iter().map(|Waiting { events, now, answer, .. }| {
            let of_request = events.into_iter().map(|event| {
                let at = *seen.entry((event.site.clone(), event.id)).or_insert(entries.len());
                let repeated = at < entries.len();
                if !repeated {
                    entries.push(Entry { event, now, position: Position(0) });
                }
                (at, repeated)
            });
            Grouped { entries: of_request.collect(), answer }
        });
        let requests = requests.collect();
        (Self { requests, outcomes: vec![None; entries.len()], error: None }, entries)
    }

    /// Answers every request.
    pub(super) fn answer(self) {
        let Self { requests, outcomes, mut error } = self;
        let reason = error.as_ref().map(ToString::to_string).unwrap_or_default();
        for Grouped { entries, answer } in requests {
            let appended: Option<Vec<Appended>> = entries
                .into_iter()
                .map(|(at, repeated)| match outcomes[at] {
                    Some(Appended::Stored) if repeated => Some(Appended::Duplicate),
                    outcome => outcome,
                })
                .collect();
            // The first request that failed is answered the error itself, others its text.
            let result = appended.ok_or_else(|| {
                error.take().unwrap_or_else(|| StoreError::Unavailable { engine: ENGINE, reason: reason.clone() })
            });
            // The client may have gone.
            let _ = answer.send(result);
        }
    }
}
