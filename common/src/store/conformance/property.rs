//! What must hold always: for any sequence of events, duplicates, restarts, rebuilds and
//! disturbances, the aggregates equal a recount of the events.
//!
//! A failure prints the shortest sequence that still fails, and the seed: `PROPTEST_RNG_SEED`
//! makes the same sequences again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use uuid::Uuid;

use super::Fixture;
use super::queries::service;
use super::samples::{at, event, on_page, on_site, quiet, with_data};
use crate::cv::{self, theme};
use crate::event::Event;
use crate::period::{Period, PeriodKey};
use crate::store::{Appended, Store, StoreError, Totals};
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

/// Sequences that are tried, each in a fresh store.
const CASES: u32 = 4;
/// Days between two rounds of a sequence, which go on in the same store: what is there stays
/// right.
const ROUND: i64 = 3 * DAY;
/// Bounds of the search for a shorter sequence that fails: stores that are made, milliseconds.
const MAX_SHRINK_ITERS: u32 = 500;
const MAX_SHRINK_MS: u32 = 60_000;

/// A sequence of actions after which the aggregates are not those of the events.
#[derive(Debug)]
pub struct Failure {
    seed: u64,
    reason: String,
    rounds: Vec<Vec<Action>>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, reason, rounds } = self;
        write!(f, "{reason}\nafter these rounds of actions: {rounds:#?}\nrepeat it with PROPTEST_RNG_SEED={seed}")
    }
}

/// # Panics
/// When a sequence fails.
pub async fn aggregates_equal_a_recount<F: Fixture>(fresh: impl AsyncFn() -> Option<F>) {
    if let Err(failure) = recount(fresh, Config::default()) {
        panic!("{failure}");
    }
}

/// Tries sequences in stores made by `fresh`, from a random seed unless `config` has one. Needs a
/// runtime of several threads.
///
/// # Errors
/// The shortest sequence found that fails.
pub fn recount<F: Fixture>(fresh: impl AsyncFn() -> Option<F>, config: Config) -> Result<(), Failure> {
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => Uuid::new_v4().as_u64_pair().0,
    };
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: MAX_SHRINK_ITERS,
        max_shrink_time: MAX_SHRINK_MS,
        ..config
    });
    let rounds = prop::collection::vec(prop::collection::vec(action(), 1..12), 1..6);
    let tried = runner.run(&rounds, |rounds| {
        block_in_place(|| {
            Handle::current().block_on(async {
                let Some(mut fixture) = fresh().await else { return };
                let mut start = at("2025-12-24T00:30:00Z");
                for actions in rounds {
                    run(&mut fixture, actions, start).await;
                    start = start.plus(ROUND);
                }
            });
        });
        Ok(())
    });
    match tried {
        Ok(()) => Ok(()),
        Err(TestError::Fail(reason, rounds)) => Err(Failure { seed, reason: reason.to_string(), rounds }),
        Err(TestError::Abort(reason)) => Err(Failure { seed, reason: reason.to_string(), rounds: Vec::new() }),
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

/// The recount is naive on purpose: it shares nothing with an engine.
async fn compare(store: &dyn Store, events: &[Event], now: Timestamp) {
    let service = service();
    let sites: BTreeSet<_> = events.iter().map(|event| event.site.clone()).collect();
    for site in sites {
        let here: Vec<&Event> = events.iter().filter(|event| event.site == site).collect();
        for period in Period::ALL {
            let keys: BTreeSet<_> = here.iter().map(|event| PeriodKey::of(period, event.created_at.day())).collect();
            for key in keys {
                let within: Vec<_> =
                    here.iter().copied().filter(|event| PeriodKey::of(period, event.created_at.day()) == key).collect();
                assert_eq!(store.totals(&site, key).await.unwrap(), totals(&within), "{site} {key}");
                let mut themes: HashMap<String, u64> = HashMap::new();
                within.iter().filter_map(|event| theme(event)).for_each(|theme| *themes.entry(theme).or_default() += 1);
                let mut themes: Vec<_> = themes.into_iter().collect();
                themes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
                let days = key.first_day()..key.last_day().plus(1);
                assert_eq!(service.themes(store, &site, days, 100, now).await.unwrap().rows, themes);
            }
        }
        let current: HashSet<_> =
            here.iter().filter(|event| event.created_at > now.plus(-300_000)).map(|event| event.visitor).collect();
        let realtime = store.realtime(&site, now, 300_000).await.unwrap();
        assert_eq!(realtime.current_visitors, current.len() as u64);
        let hours = now.hour() - 7 * 24..now.hour() + 48;
        let within = |event: &&&Event| hours.contains(&event.created_at.hour());
        let clicks = here.iter().filter(within).filter(|event| event.event_type.is_click()).count();
        let places = service.clicks(store, &site, None, hours.clone(), 10_000, now).await.unwrap();
        assert_eq!(places.iter().map(|place| place.count).sum::<u64>(), clicks as u64);
    }
}

fn totals(events: &[&Event]) -> Totals {
    let of = |name: &str| events.iter().filter(|event| event.event_type.name() == name).count() as u64;
    let letters = |kind: &str| events.iter().filter(|event| cv::letter_type(event) == Some(kind)).count() as u64;
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
