//! What must hold always: for any sequence of events, duplicates, late events and imports,
//! restarts, rebuilds, cleanups and disturbances, every answer equals a recount of the events.
//!
//! A failure prints the shortest sequence that still fails, and the seed: `PROPTEST_RNG_SEED`
//! makes the same sequences again.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use uuid::Uuid;

use super::Fixture;
use super::recount::{self, RETENTION_DAYS};
use super::samples::{at, event, on_page, on_site, quiet, visitor, with_data};
use crate::event::Event;
use crate::measure::facts::{Client, ClientFields, Facts};
use crate::measure::service::Service;
use crate::retention::cutoff;
use crate::site::Site;
use crate::store::{Appended, Store, StoreError};
use crate::time::{DAY, Day, Timestamp};
use crate::visitor_data::Erased;

/// What may happen.
#[derive(Debug, Clone)]
enum Action {
    /// A batch, some of it sent before, some of it as late as only imports are.
    Append(Vec<Sent>),
    /// The batch of before, again.
    Again,
    /// Queries, after which columns are in memory.
    Ask,
    Restart,
    Rebuild,
    /// The nightly run.
    Cleanup,
    /// What is stored of a visitor of a site is erased.
    Erase(u8, u64),
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
    days_ago: i64,
}

fn sent() -> impl Strategy<Value = Sent> {
    let days_ago = prop_oneof![4 => Just(0), 1 => 1..i64::from(RETENTION_DAYS)];
    (0_u64..60, 0_u8..2, 0_u64..6, 0_u8..8, 0_u8..4, 0_i64..1_440, days_ago).prop_map(
        |(id, site, visitor, kind, value, minutes_ago, days_ago)| Sent {
            id,
            site,
            visitor,
            kind,
            value,
            minutes_ago,
            days_ago,
        },
    )
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => prop::collection::vec(sent(), 1..12).prop_map(Action::Append),
        2 => Just(Action::Again),
        2 => Just(Action::Ask),
        1 => Just(Action::Restart),
        1 => Just(Action::Rebuild),
        1 => Just(Action::Cleanup),
        1 => (0_u8..2, 0_u64..6).prop_map(|(site, visitor)| Action::Erase(site, visitor)),
        2 => (0_u8..4).prop_map(Action::Disturb),
    ]
}

fn made(sent: &Sent, now: Timestamp) -> Event {
    // Imports leave out what is too old to be kept.
    let oldest = cutoff(RETENTION_DAYS, now).start();
    let when = now.plus(-sent.minutes_ago * 60_000 - sent.days_ago * DAY).max(oldest);
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
        4 => on_page(
            with_data(event("scroll", sent.visitor, when), &json!({"depth": 20 * sent.value, "visible_seconds": 3})),
            &page,
        ),
        _ => with_data(event(&format!("custom{}", sent.value), sent.visitor, when), &json!({"k": sent.value})),
    };
    let mut event = on_site(event, &format!("s{}", sent.site));
    event.id = Uuid::from_u64_pair(1, sent.id);
    let country = ["", "FR", "DE", "FR"][usize::from(sent.value)];
    // A visitor is explicit or not: what others are called depends on the day.
    let fields = ClientFields { country, explicit: sent.visitor < 3, ..ClientFields::default() };
    event.facts = Facts { client: Client::new(&fields), ..Facts::default() };
    event
}

/// Sequences that are tried, each in a fresh store.
const CASES: u32 = 4;
/// Time between two rounds of a sequence, which go on in the same store: what is there stays
/// right, becomes closed, and too old.
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
                let mut history = History::new();
                let mut start = at("2025-12-24T00:30:00Z");
                for actions in rounds {
                    history.go_on(&mut fixture, actions, start).await;
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

/// What happened to a store.
struct History {
    /// The events that are kept.
    kept: BTreeMap<(String, Uuid), Event>,
    /// All events that were ever stored: weeks and months outlive their events.
    ever: Vec<Event>,
    /// Answers queries all the time, through restarts of the store.
    service: Service,
    last: Vec<Event>,
    erasures: u64,
    now: Timestamp,
}

impl History {
    fn new() -> Self {
        let (kept, ever, last) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { kept, ever, service: recount::service(), last, erasures: 0, now: Timestamp::from_millis(0) }
    }

    async fn go_on(&mut self, fixture: &mut impl Fixture, actions: Vec<Action>, start: Timestamp) {
        self.now = start;
        for action in actions {
            self.now = self.now.plus(37 * 60_000);
            match action {
                Action::Restart => fixture.reopen().await,
                Action::Disturb(way) => fixture.disturb(way).await,
                Action::Ask => self.ask(fixture.store()).await,
                Action::Rebuild => {
                    patiently(async || fixture.store().rebuild(self.now, quiet()).await).await;
                }
                Action::Cleanup => self.clean_up(fixture.store()).await,
                Action::Erase(site, visitor) => self.erase(fixture.store(), site, visitor).await,
                Action::Again => self.append(fixture.store(), self.last.clone()).await,
                Action::Append(batch) => {
                    self.last = batch.iter().map(|sent| made(sent, self.now)).collect();
                    self.append(fixture.store(), self.last.clone()).await;
                }
            }
        }
        self.compare(fixture.store()).await;
    }

    async fn append(&mut self, store: &dyn Store, mut events: Vec<Event>) {
        // A batch of an earlier round may be too old by now.
        events.retain(|event| event.created_at.day() >= cutoff(RETENTION_DAYS, self.now));
        let mut tries = 0;
        let answers = patiently(async || {
            tries += 1;
            store.append(events.clone(), self.now).await
        })
        .await;
        for (event, answer) in events.into_iter().zip(answers) {
            let key = (event.site.to_string(), event.id);
            // What was refused may have been stored all the same.
            assert!(tries > 1 || (answer == Appended::Duplicate) == self.kept.contains_key(&key), "{event:?}");
            if let std::collections::btree_map::Entry::Vacant(entry) = self.kept.entry(key) {
                self.ever.push(entry.insert(event).clone());
            }
        }
    }

    async fn clean_up(&mut self, store: &dyn Store) {
        let cutoff: Day = cutoff(RETENTION_DAYS, self.now);
        while !patiently(async || store.delete_before(cutoff, self.now).await).await.done {}
        self.kept.retain(|_, event| event.created_at.day() >= cutoff);
    }

    /// What has expired stays counted, as if it were of a visitor who never comes again.
    async fn erase(&mut self, store: &dyn Store, site: u8, who: u64) {
        let (site, visitor) = (Site::parse(&format!("s{site}")).unwrap(), visitor(who));
        patiently(async || self.service.erase(store, &site, visitor, self.now, &mut Erased::default()).await).await;
        let is_erased = |event: &Event| event.site == site && event.visitor == visitor;
        self.kept.retain(|_, event| !is_erased(event));
        let since = store.kept_since().await.unwrap();
        let has_expired = |event: &Event| since.is_some_and(|since| event.created_at.day() < since);
        self.ever.retain(|event| !is_erased(event) || has_expired(event));
        self.erasures += 1;
        for event in self.ever.iter_mut().filter(|event| is_erased(event)) {
            event.visitor = Uuid::from_u64_pair(0xdead << 32 | self.erasures, who).into();
        }
    }

    async fn ask(&self, store: &dyn Store) {
        let kept: Vec<Event> = self.kept.values().cloned().collect();
        recount::queries(&self.service, store, &kept, self.now).await;
    }

    async fn compare(&self, store: &dyn Store) {
        let kept: Vec<Event> = self.kept.values().cloned().collect();
        recount::totals_of_periods(store, &self.ever).await;
        recount::fixed_questions(&self.service, store, &kept, self.now).await;
        for service in [&self.service, &recount::service()] {
            recount::queries(service, store, &kept, self.now).await;
        }
        recount::segments(store, &kept, self.now).await;
        assert_eq!(store.verify(self.now, quiet()).await.unwrap().differences, []);
    }
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
