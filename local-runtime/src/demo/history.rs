//! Days that lie in the past, stored at once: what a site would have if it had been visited before.

use common::App;
use common::collect::allowed_site;
use common::event::{Event, SentEvent};
use common::measure::facts::{Facts, Headers, Observed};
use common::site::Site;
use common::store::Appended;
use common::time::{DAY, SECOND, Timestamp};

use super::dice::Dice;
use super::visits::Visitor;
use super::{DemoError, Summary};

/// Visits of a weekday at the end; there are fewer before, and at weekends.
const VISITS: u64 = 160;
/// The longest pause between two events of a visit, in seconds.
const PAUSE: u64 = 90;
/// Events that are stored together.
const BATCH: usize = 500;

/// Stores the visits of the last `days` days.
///
/// # Errors
/// When the site is not measured, or the store fails.
pub(super) async fn store(app: &App, site: &Site, days: u32) -> Result<Summary, DemoError> {
    allowed_site(app, site)?;
    let now = app.now();
    let mut dice = Dice::new();
    let mut summary = Summary::default();
    let mut batch = Vec::new();
    for back in (0..i64::from(days)).rev() {
        let start = now.day().plus(-i32::try_from(back).unwrap_or_default()).start();
        for _ in 0..visits(&mut dice, back, i64::from(days), start) {
            // Most visits are by day.
            let hours = dice.below(13) + dice.below(12);
            let arrival = start.plus((i64::try_from(hours * 3_600 + dice.below(3_600)).unwrap_or_default()) * SECOND);
            summary.visitors += 1;
            batch.extend(visit(&mut dice, site, arrival).into_iter().filter(|event| event.created_at <= now));
            if batch.len() >= BATCH {
                summary.events += append(app, std::mem::take(&mut batch), now).await?;
            }
        }
    }
    summary.events += append(app, batch, now).await?;
    Ok(summary)
}

/// How many visits a day has: more from week to week, fewer at weekends.
fn visits(dice: &mut Dice, back: i64, days: i64, start: Timestamp) -> u64 {
    let grown =
        VISITS / 2 + VISITS / 2 * u64::try_from(days - back).unwrap_or_default() / u64::try_from(days).unwrap_or(1);
    // 1 January 1970 was a Thursday.
    let weekend = matches!((start.millis() / DAY + 3) % 7, 5 | 6);
    let usual = if weekend { grown * 3 / 5 } else { grown };
    usual * 4 / 5 + dice.below(usual * 2 / 5 + 1)
}

/// The events of one visit.
fn visit(dice: &mut Dice, site: &Site, arrival: Timestamp) -> Vec<Event> {
    let mut visitor = Visitor::arrive(dice);
    let mut at = arrival;
    let mut events = Vec::new();
    while let Some(event) = visitor.next(site) {
        // A made-up event is a valid one.
        let sent = SentEvent::parse(&event.to_string(), at).ok();
        events.extend(sent.and_then(|sent| made(sent, visitor.user_agent, at)));
        at = at.plus(i64::try_from(2 + dice.below(PAUSE)).unwrap_or_default() * SECOND);
    }
    events
}

fn made(sent: SentEvent, user_agent: &str, at: Timestamp) -> Option<Event> {
    let facts = Facts::derive(&Observed {
        user_agent,
        headers: &Headers::default(),
        context: &sent.context,
        place: None,
        // No visitor returns on another day.
        explicit: false,
        page_url: sent.page_url.as_ref(),
        referrer: sent.referrer.as_ref(),
        ad_click: sent.ad_click,
        site: sent.site.as_str(),
        origins: &[],
    });
    Some(Event {
        id: sent.id?,
        site: sent.site,
        visitor: sent.visitor?,
        event_type: sent.event_type,
        data: sent.data,
        page_url: sent.page_url,
        referrer: sent.referrer,
        created_at: at,
        facts,
    })
}

async fn append(app: &App, batch: Vec<Event>, now: Timestamp) -> Result<u64, DemoError> {
    let mut stored = 0;
    if !batch.is_empty() {
        for appended in app.append(&batch, now).await? {
            match appended {
                Appended::Stored => stored += 1,
                Appended::Duplicate => {}
                Appended::TooManySites => return Err(DemoError::TooManySites),
            }
        }
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visit_is_made_of_events_in_their_order() {
        let (mut dice, site) = (Dice::seeded(5), Site::parse("demo.example").unwrap_or_default());
        let arrival = Timestamp::from_millis(1_700_000_000_000);
        for _ in 0..200 {
            let events = visit(&mut dice, &site, arrival);
            assert_eq!(events[0].created_at, arrival);
            assert!(events.is_sorted_by_key(|event| event.created_at));
            assert!(events.iter().all(|event| event.site == site && event.visitor == events[0].visitor));
        }
    }
}
