//! The events of one visitor today, where readers are known.

use common::event::Event;
use common::identity::PseudonymOf;
use common::outcome::{Code, Refusal};
use common::site::Site;
use common::store::{Store, StoreError, TimelineFrom};
use common::time::Day;
use common::visitor::Pseudonym;

use crate::Cursor;

/// How many events are read at once, and for one page: what the store keeps has no order by visitor, so
/// that each event of the day is looked at.
const READ: usize = 500;
const MOST_READ: usize = 10 * READ;

/// The visitor that is asked for.
///
/// # Errors
/// When it is no pseudonym, when an offset is given besides, and where readers may be strangers, as they are
/// where reads are open and by share links: they cannot link the events of one visitor.
pub(crate) fn parse(text: &str, of: PseudonymOf, offset: u32) -> Result<Pseudonym, Refusal> {
    if of != PseudonymOf::Day {
        let why = "visitor can be named by readers with a token of their own (ANALYTICS_READ_AUTH=token): each event \
                   has a pseudonym of its own here";
        return Err(Refusal::new(Code::InvalidVisitor, why));
    }
    if offset > 0 {
        return Err(Refusal::new(Code::InvalidOffset, "offset must be 0 or absent where there is a visitor"));
    }
    Pseudonym::parse(text)
        .ok_or_else(|| Refusal::new(Code::InvalidVisitor, "visitor must be a visitor_id that the timeline gave"))
}

/// A page of those events of `today`, and later, that are wanted, and where the next one starts.
pub(crate) async fn page(
    store: &dyn Store,
    site: &Site,
    mut from: TimelineFrom,
    limit: usize,
    today: Day,
    wanted: impl Fn(&Event) -> bool,
) -> Result<(Vec<Event>, Option<Cursor>), StoreError> {
    let mut found = Vec::new();
    let mut last = None;
    for _ in 0..MOST_READ / READ {
        let events = store.timeline(site, from, READ).await?;
        let more = events.len() == READ;
        for event in events {
            if event.created_at.day() < today {
                return Ok((found, None));
            }
            let here = Cursor::behind(&event);
            last = Some(here);
            from = TimelineFrom::Below(here.0, here.1);
            if wanted(&event) {
                found.push(event);
                if found.len() == limit {
                    return Ok((found, last));
                }
            }
        }
        if !more {
            return Ok((found, None));
        }
    }
    Ok((found, last))
}
