//! What must hold always: for any sequence of events, duplicates, restarts, rebuilds and
//! disturbances, the aggregates equal a recount of the events.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use uuid::Uuid;

use super::Fixture;
use super::keeping::quiet;
use super::samples::{at, event, on_page, on_site, with_data};
use crate::event::Event;
use crate::period::{Period, PeriodKey};
use crate::store::{Appended, Store, StoreError, Totals};
use crate::tally::{Tally, theme};
use crate::time::{DAY, Timestamp};

/// What may happen.
#[derive(Debug, Clone)]
enum Action {
    /// A batch, some of it sent before.
    Append(Vec<Sent>),
    /// The batch of before, again.
    Again,
    Restart,
    Rebuild,
    /// Something that the engine depends on is disturbed, in this way.
    Disturb(u8),
}

/// Numbers that make an event; few of each, so that they meet.
#[derive(Debug, Clone)]
struct Sent {
    id: u64,
    site: u8,
    visitor: u64,
    kind: u8,
    value: u8,
    minutes_ago: i64,
}

fn sent() -> impl Strategy<Value = Sent> {
    (0_u64..60, 0_u8..2, 0_u64..6, 0_u8..6, 0_u8..4, 0_i64..1_440)
        .prop_map(|(id, site, visitor, kind, value, minutes_ago)| Sent { id, site, visitor, kind, value, minutes_ago })
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => prop::collection::vec(sent(), 1..12).prop_map(Action::Append),
        2 => Just(Action::Again),
        1 => Just(Action::Restart),
        1 => Just(Action::Rebuild),
        2 => (0_u8..4).prop_map(Action::Disturb),
    ]
}

fn made(sent: &Sent, now: Timestamp) -> Event {
    let when = now.plus(-sent.minutes_ago * 60_000);
    let page = format!("/{}?theme=t{}", sent.value % 2, sent.value);
    let event = match sent.kind {
        0 => on_page(event("page_view", sent.visitor, when), &page),
        1 => with_data(event("cv_theme_change", sent.visitor, when), &json!({"theme": format!("t{}", sent.value)})),
        2 => with_data(
            event("letter_generate", sent.visitor, when),
            &json!({"letter_type": if sent.value.is_multiple_of(2) { "motivation" } else { "anti_motivation" }}),
        ),
        3 => on_page(
            with_data(event("click", sent.visitor, when), &json!({"x": sent.value, "y": 9, "button": "b"})),
            &page,
        ),
        _ => event(&format!("custom{}", sent.value), sent.visitor, when),
    };
    let mut event = on_site(event, &format!("s{}", sent.site));
    event.id = Uuid::from_u64_pair(1, sent.id);
    event
}

pub async fn aggregates_equal_a_recount(mut fixture: impl Fixture) {
    let mut runner = TestRunner::new(Config::default());
    for round in 0..12 {
        // Each round goes on in the same store, days later: what is there stays right.
        let actions = prop::collection::vec(action(), 1..12).new_tree(&mut runner).unwrap().current();
        let start = at("2025-12-24T00:30:00Z").plus(round * 3 * DAY);
        run(&mut fixture, actions, start).await;
    }
}

async fn run(fixture: &mut impl Fixture, actions: Vec<Action>, start: Timestamp) {
    let mut kept: BTreeMap<(String, Uuid), Event> = BTreeMap::new();
    for event in all_events(fixture.store()).await {
        kept.insert((event.site.to_string(), event.id), event);
    }
    let mut now = start;
    let mut last = Vec::new();
    for action in actions {
        now = now.plus(37 * 60_000);
        match action {
            Action::Restart => fixture.reopen().await,
            Action::Disturb(way) => fixture.disturb(way).await,
            Action::Rebuild => {
                patiently(async || fixture.store().rebuild(now, quiet()).await).await;
            }
            Action::Again => append(fixture.store(), last.clone(), now, &mut kept).await,
            Action::Append(batch) => {
                last = batch.iter().map(|sent| made(sent, now)).collect();
                append(fixture.store(), last.clone(), now, &mut kept).await;
            }
        }
    }
    let events: Vec<Event> = kept.into_values().collect();
    compare(fixture.store(), &events, now).await;
    assert_eq!(fixture.store().verify(now, quiet()).await.unwrap().differences, []);
}

/// Asks again while the store is unavailable, as a sender does: it comes back by itself.
async fn patiently<T>(mut ask: impl AsyncFnMut() -> Result<T, StoreError>) -> T {
    for _ in 0..100 {
        match ask().await {
            Err(StoreError::Unavailable { .. }) => tokio::time::sleep(Duration::from_millis(50)).await,
            answer => return answer.unwrap(),
        }
    }
    ask().await.unwrap()
}

async fn append(store: &dyn Store, events: Vec<Event>, now: Timestamp, kept: &mut BTreeMap<(String, Uuid), Event>) {
    let mut tries = 0;
    let answers = patiently(async || {
        tries += 1;
        store.append(events.clone(), now).await
    })
    .await;
    for (event, answer) in events.into_iter().zip(answers) {
        let key = (event.site.to_string(), event.id);
        // Who refuses may have stored it all the same.
        assert!(tries > 1 || (answer == Appended::Duplicate) == kept.contains_key(&key), "{event:?}");
        kept.entry(key).or_insert(event);
    }
}

async fn all_events(store: &dyn Store) -> Vec<Event> {
    let mut events = Vec::new();
    for site in store.sites().await.unwrap() {
        events.extend(store.timeline(&site, crate::store::TimelineFrom::all(0), 10_000).await.unwrap());
    }
    events
}

/// The recount is naive on purpose: it shares nothing with an engine but [`Tally`].
async fn compare(store: &dyn Store, events: &[Event], now: Timestamp) {
    let sites: HashSet<_> = events.iter().map(|event| event.site.clone()).collect();
    for site in sites {
        let here: Vec<&Event> = events.iter().filter(|event| event.site == site).collect();
        for period in Period::ALL {
            let keys: HashSet<_> = here.iter().map(|event| PeriodKey::of(period, event.created_at.day())).collect();
            for key in keys {
                let within: Vec<_> =
                    here.iter().copied().filter(|event| PeriodKey::of(period, event.created_at.day()) == key).collect();
                assert_eq!(store.totals(&site, key).await.unwrap(), totals(&within), "{site} {key}");
                let mut themes: HashMap<String, u64> = HashMap::new();
                within.iter().filter_map(|event| theme(event)).for_each(|theme| *themes.entry(theme).or_default() += 1);
                let mut themes: Vec<_> = themes.into_iter().collect();
                themes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
                let span = crate::store::Span::Period(key);
                let ranking = store.ranking(&site, crate::tally::Dimension::Theme, span, 100).await.unwrap();
                assert_eq!(ranking.rows, themes);
            }
        }
        let current: HashSet<_> =
            here.iter().filter(|event| event.created_at > now.plus(-300_000)).map(|event| event.visitor).collect();
        let realtime = store.realtime(&site, now, 300_000).await.unwrap();
        assert_eq!(realtime.current_visitors, current.len() as u64);
        let clicks = here.iter().filter(|event| Tally::of(event).click.is_some()).count();
        let cells = store.heatmap(&site, None, 0..i64::MAX, 10_000).await.unwrap();
        assert_eq!(cells.iter().map(|cell| cell.count).sum::<u64>(), clicks as u64);
    }
}

fn totals(events: &[&Event]) -> Totals {
    let of = |name: &str| events.iter().filter(|event| event.event_type.name() == name).count() as u64;
    let letters =
        |kind: &str| events.iter().filter(|event| crate::tally::letter_type(event) == Some(kind)).count() as u64;
    let visitors: HashSet<_> = events.iter().map(|event| event.visitor).collect();
    Totals {
        events: events.len() as u64,
        page_views: of("page_view"),
        letters: of("letter_generate"),
        motivation: letters("motivation"),
        anti_motivation: letters("anti_motivation"),
        visitors: visitors.len() as u64,
    }
}
