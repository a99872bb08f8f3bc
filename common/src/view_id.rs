//! A page view that two may report: the page-view layer of the server, which answered the
//! request, and the tracker in the page, unless something blocks it.
//!
//! The layer names the view in the answer; the tracker repeats the name. Both reports of one
//! visitor get the same event id from it, so that the second is a duplicate. A name counts for
//! [`ViewId::FRESH_FOR`] and is different for every visitor: a cache between server and browsers
//! may hand one answer to many visitors, or to one visitor again, and each of them is a view.

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::time::{SECOND, Timestamp};
use crate::visitor::VisitorId;

/// The name of a page view: a UUID of version 7, which begins with the time of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewId(Uuid);

impl ViewId {
    /// How long after the request a report may name the view, in milliseconds: 5 minutes.
    pub const FRESH_FOR: i64 = 300 * SECOND;

    /// The name of a view at `now`, as random as `id`.
    #[must_use]
    pub fn new(now: Timestamp, id: Uuid) -> Self {
        Self(with_time(now, id))
    }

    /// Reads one; `None` for what no layer has made.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().filter(|id| id.get_version_num() == 7).map(Self)
    }

    /// When the page was requested, by the server's clock.
    #[must_use]
    pub fn requested_at(self) -> Timestamp {
        let id = self.0.as_bytes();
        let millis = id[..6].iter().fold(0, |millis, byte| millis << 8 | i64::from(*byte));
        Timestamp::from_millis(millis)
    }

    /// Whether a report of this time is of the view, and not of a cached copy of its answer.
    #[must_use]
    pub fn is_fresh(self, reported_at: Timestamp) -> bool {
        (reported_at.millis() - self.requested_at().millis()).abs() <= Self::FRESH_FOR
    }

    /// The id of the event, the same in the report of the layer and in that of the tracker.
    #[must_use]
    pub fn event_id(self, visitor: VisitorId) -> Uuid {
        let digest = Sha256::new().chain_update(self.0).chain_update(visitor.as_bytes()).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        with_time(self.requested_at(), Uuid::from_bytes(bytes))
    }
}

impl std::fmt::Display for ViewId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A version 7 of `id` that begins with `time`.
fn with_time(time: Timestamp, id: Uuid) -> Uuid {
    let mut random = [0; 10];
    random.copy_from_slice(&id.as_bytes()[6..]);
    Builder::from_unix_timestamp_millis(time.millis().unsigned_abs(), &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_millis(1_765_200_000_123)
    }

    fn view() -> ViewId {
        ViewId::new(now(), Uuid::from_u128(0x5eed_5eed_5eed_5eed_5eed_5eed_5eed_5eed))
    }

    #[test]
    fn it_tells_when_the_page_was_requested() {
        assert_eq!(view().requested_at(), now());
        assert_eq!(ViewId::parse(&view().to_string()), Some(view()));
    }

    #[test]
    fn what_no_layer_has_made_is_none() {
        for text in ["", "x", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"] {
            assert_eq!(ViewId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn one_visitor_has_one_event_and_others_have_others() {
        let visitor = |n| VisitorId::from(Uuid::from_u128(n));
        assert_eq!(view().event_id(visitor(1)), view().event_id(visitor(1)));
        assert_ne!(view().event_id(visitor(1)), view().event_id(visitor(2)));
        assert_eq!(ViewId(view().event_id(visitor(1))).requested_at(), now(), "ids lie together by time");
    }

    #[test]
    fn it_is_fresh_for_minutes() {
        for (later, fresh) in [(0, true), (ViewId::FRESH_FOR, true), (ViewId::FRESH_FOR + 1, false), (-1, true)] {
            assert_eq!(view().is_fresh(now().plus(later)), fresh, "{later}");
        }
    }
}
