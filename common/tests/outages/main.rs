//! Redis stopped, frozen, emptied, set back, full, and PostgreSQL beside it: events keep being
//! stored, answers keep being right, and afterwards Redis's projection is right again by itself.
//!
//! Needs `ANALYTICS_TEST_POSTGRES` and `ANALYTICS_TEST_REDIS`, as the conformance suite does,
//! and a `redis-server` to start servers of its own that may be killed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "shown of a test that fails, or when asked for")]

mod functions;
mod instances;
mod latency;
mod outages;
mod random;
mod restored;
#[path = "../servers/mod.rs"]
mod servers;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::cv::{letter_type, theme};
use common::event::Event;
use common::metrics::Metrics;
use common::period::{Period, PeriodKey};
use common::site::Site;
use common::store::conformance::samples::{at, event, on_page, on_site, quiet, with_data};
use common::store::postgres::{Options, Postgres};
use common::store::roles::*;
use common::store::{Appended, StoreError, Totals};
use common::testing::redis::RedisServer;
use common::time::{SECOND, Timestamp};
use serde_json::json;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use self::servers::{Databases, PATIENT};

/// How long repairs may take.
const PATIENCE: Duration = Duration::from_secs(60);
const WINDOW: i64 = 300 * SECOND;

/// Held by every test, and exclusively by those that measure time.
static TURN: RwLock<()> = RwLock::const_new(());

/// A store on servers of its own, and what it was given.
struct Bench {
    _turn: Turn,
    databases: Databases,
    redis: RedisServer,
    metrics: Arc<Metrics>,
    store: Postgres,
    events: Vec<Event>,
    now: Timestamp,
}

/// Whose turn it is.
#[allow(dead_code, reason = "guards are held, not read")]
enum Turn {
    Ours(RwLockReadGuard<'static, ()>),
    Mine(RwLockWriteGuard<'static, ()>),
    /// That of a bench beside it.
    Others,
}

impl Bench {
    async fn start() -> Option<Self> {
        Self::with(PATIENT).await
    }

    /// While no other test runs.
    async fn alone() -> Option<Self> {
        Self::new(PATIENT, Turn::Mine(TURN.write().await)).await
    }

    /// One more.
    async fn beside(&self) -> Option<Self> {
        Self::new(PATIENT, Turn::Others).await
    }

    async fn with(options: Options) -> Option<Self> {
        Self::new(options, Turn::Ours(TURN.read().await)).await
    }

    async fn new(options: Options, turn: Turn) -> Option<Self> {
        let databases = Databases::fresh().await?;
        let redis = RedisServer::start(&[]).await?;
        let metrics = Arc::new(Metrics::new().unwrap());
        let store = Postgres::open(&databases.postgres, &redis.url(), options, Arc::clone(&metrics)).await.unwrap();
        let now = at("2025-12-31T12:00:00Z");
        Some(Self { _turn: turn, databases, redis, metrics, store, events: Vec::new(), now })
    }

    /// Another instance on the same servers.
    async fn another(&self, options: Options) -> Postgres {
        let metrics = Arc::new(Metrics::new().unwrap());
        Postgres::open(&self.databases.postgres, &self.redis.url(), options, metrics).await.unwrap()
    }

    async fn reopen(&mut self) {
        self.store.close().await;
        self.metrics = Arc::new(Metrics::new().unwrap());
        let (postgres, redis) = (&self.databases.postgres, self.redis.url());
        self.store = Postgres::open(postgres, &redis, PATIENT, Arc::clone(&self.metrics)).await.unwrap();
    }

    /// Events of all kinds, by a few visitors, over two sites and the last day.
    fn made(&self, count: usize) -> Vec<Event> {
        let made = (self.events.len()..self.events.len() + count).map(|number| {
            let who = (number * 7 % 11) as u64;
            let when = self.now.plus(-(number as i64 * 777_777 % 86_400_000));
            let event = match number % 4 {
                0 => on_page(event("page_view", who, when), &format!("/cv?theme=t{}", number % 3)),
                1 => with_data(event("cv_theme_change", who, when), &json!({"theme": format!("t{}", number % 5)})),
                2 => with_data(event("letter_generate", who, when), &json!({"letter_type": "motivation"})),
                _ => event("scroll", who, self.now),
            };
            on_site(event, if number % 5 == 0 { "b" } else { "a" })
        });
        made.collect()
    }

    /// Appends new events, all of which must be stored.
    async fn append(&mut self, count: usize) {
        let events = self.made(count);
        let answers = self.store.append(events.clone(), self.now).await.unwrap();
        assert!(answers.iter().all(|answer| matches!(answer, Appended::Stored)), "{answers:?}");
        self.events.extend(events);
    }

    /// All answers, against a naive count.
    async fn check(&self) {
        check(&self.store, &self.events, self.now).await;
    }

    /// Waits until nothing is degraded any more.
    async fn healed(&self) {
        healed(&self.store).await;
    }

    /// Healed, and right by its own judgement too; so is the projection.
    async fn well(&self) {
        self.healed().await;
        self.check().await;
        let recount = self.store.verify(self.now, quiet()).await.unwrap();
        assert_eq!(recount.differences, []);
        assert_eq!(recount.events, self.events.len() as u64);
        self.projected().await;
    }

    /// Waits until Redis has all events of both sites, and compares all that other programs read.
    async fn projected(&self) {
        let started = Instant::now();
        for site in ["a", "b"].map(|name| Site::parse(name).unwrap()) {
            let here = of_site(&self.events, &site);
            while here.len() as u64 != self.watermark(&site).await || self.metrics.redis_sites_behind.get() > 0 {
                assert!(started.elapsed() < PATIENCE, "{site}: {} of {}", self.watermark(&site).await, here.len());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let mut themes = BTreeMap::<String, u64>::new();
            here.iter().filter_map(|event| theme(event)).for_each(|theme| *themes.entry(theme).or_default() += 1);
            // Where another database has as many events, its watermark stands until it is found out.
            loop {
                let top: Vec<(String, u64)> =
                    self.redis.command(&["ZRANGE", &key(&site, "themes:top"), "0", "-1", "WITHSCORES"]).await;
                let top = top.into_iter().collect::<BTreeMap<_, _>>();
                if top == themes {
                    break;
                }
                assert!(started.elapsed() < PATIENCE, "{site}: {top:?} in place of {themes:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            self.figures_are_projected(&site, &here).await;
            // A repair does not know the time exactly: earlier visitors may stay until they are trimmed.
            let since = self.now.plus(-3_600 * SECOND).millis() + 1;
            let mut seen = BTreeMap::new();
            for event in here.iter().filter(|event| event.created_at.millis() >= since) {
                let at = seen.entry(event.visitor.as_bytes().to_vec()).or_insert(event.created_at.millis());
                *at = event.created_at.millis().max(*at);
            }
            let last = ["ZRANGEBYSCORE", &key(&site, "realtime:visitors"), &since.to_string(), "+inf", "WITHSCORES"];
            let last: Vec<(Vec<u8>, f64)> = self.redis.command(&last).await;
            assert_eq!(last.into_iter().map(|(who, at)| (who, at as i64)).collect::<BTreeMap<_, _>>(), seen, "{site}");
        }
    }

    async fn watermark(&self, site: &Site) -> u64 {
        let mark: Option<String> = self.redis.command(&["GET", &key(site, "watermark")]).await;
        mark.and_then(|mark| mark.rsplit_once(':')?.1.parse().ok()).unwrap_or(0)
    }

    /// Counters, and sketches, which are exact for so few visitors.
    async fn figures_are_projected(&self, site: &Site, here: &[&Event]) {
        for period in Period::ALL {
            for day in [self.now.day(), self.now.day().plus(-1)] {
                let period_key = PeriodKey::of(period, day);
                let within = here.iter().filter(|event| PeriodKey::of(period, event.created_at.day()) == period_key);
                let expected = totals(&within.copied().collect::<Vec<_>>());
                if expected.events == 0 {
                    continue;
                }
                for (name, expected) in [
                    ("total_events", expected.events),
                    ("page_views", expected.page_views),
                    ("letters_generated", expected.letters),
                    ("letters_motivation", expected.motivation),
                    ("letters_anti_motivation", expected.anti_motivation),
                ] {
                    let name = key(site, &format!("stats:{}:{period_key}:{name}", period.name()));
                    assert_eq!(self.redis.command::<Option<u64>>(&["GET", &name]).await, Some(expected), "{name}");
                }
                let sketch = key(site, &format!("visitors:unique:{}:{period_key}", period.name()));
                assert_eq!(self.redis.command::<u64>(&["PFCOUNT", &sketch]).await, expected.visitors, "{sketch}");
            }
        }
    }

    /// Deletes keys with an expiry whose names have this in them, as a server does whose policy is
    /// `volatile-lru`.
    async fn evict(&self, named: &str) {
        let keys: Vec<String> = self.redis.command(&["KEYS", "analytics:{*"]).await;
        let mut evicted = 0;
        for key in keys.iter().filter(|key| key.contains(named)) {
            if self.redis.command::<i64>(&["TTL", key]).await > 0 {
                evicted += self.redis.command::<usize>(&["UNLINK", key]).await;
            }
        }
        assert!(evicted >= 12, "those of one period of two sites: {evicted}");
    }

    /// How many bytes Redis uses.
    async fn used_memory(&self) -> u64 {
        let info: String = self.redis.command(&["INFO", "memory"]).await;
        info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().trim().parse().unwrap()
    }

    /// Waits until sites have been rebuilt in Redis so often since the process started.
    async fn rebuilt(&self, times: u64) {
        let started = Instant::now();
        while self.metrics.redis_rebuilds_total.get() < times {
            assert!(started.elapsed() < PATIENCE, "{} of {times}", self.metrics.redis_rebuilds_total.get());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn is_degraded(&self) -> bool {
        !self.store.degraded().is_empty()
    }

    /// Waits until it has noticed.
    async fn degraded(&self) {
        let started = Instant::now();
        while !self.is_degraded() {
            assert!(started.elapsed() < PATIENCE, "it is not noticed");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn healed(store: &Postgres) {
    let started = Instant::now();
    while !store.degraded().is_empty() {
        assert!(started.elapsed() < PATIENCE, "it does not heal");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A key of a site.
fn key(site: &Site, name: &str) -> String {
    format!("analytics:{{{site}}}:{name}")
}

fn of_site<'a>(events: &'a [Event], site: &Site) -> Vec<&'a Event> {
    events.iter().filter(|event| event.site == *site).collect()
}

fn totals(events: &[&Event]) -> Totals {
    let of = |name: &str| events.iter().filter(|event| event.event_type.name() == name).count() as u64;
    let letters = |kind: &str| events.iter().filter(|event| letter_type(event) == Some(kind)).count() as u64;
    Totals {
        events: events.len() as u64,
        page_views: of("page_view"),
        letters: of("letter_generate"),
        motivation: letters("motivation"),
        anti_motivation: letters("anti_motivation"),
        visitors: events.iter().map(|event| event.visitor).collect::<HashSet<_>>().len() as u64,
    }
}

/// Asks until it is answered: a question may be refused while connections are cut, but an answer is
/// never wrong.
async fn again<T>(question: impl AsyncFn() -> Result<T, StoreError>) -> T {
    for _ in 0..20 {
        match question().await {
            Ok(answer) => return answer,
            Err(StoreError::Unavailable { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("it is not answered");
}

async fn check(store: &Postgres, events: &[Event], now: Timestamp) {
    for site in ["a", "b"].map(|name| Site::parse(name).unwrap()) {
        let here = of_site(events, &site);
        for period in Period::ALL {
            for key in [now, now.plus(-86_400_000)].map(|at| PeriodKey::of(period, at.day())) {
                let within = |event: &&&Event| PeriodKey::of(period, event.created_at.day()) == key;
                let within: Vec<&Event> = here.iter().filter(within).copied().collect();
                assert_eq!(again(async || store.totals(&site, key).await).await, totals(&within), "{site} {key}");
            }
        }
        let today = PeriodKey::of(Period::Day, now.day());
        let within = |event: &&&Event| PeriodKey::of(Period::Day, event.created_at.day()) == today;
        let today = totals(&here.iter().filter(within).copied().collect::<Vec<_>>());
        let realtime = again(async || store.realtime(&site, now, WINDOW).await).await;
        let current: HashSet<_> =
            here.iter().filter(|event| event.created_at > now.plus(-WINDOW)).map(|event| event.visitor).collect();
        assert_eq!(realtime.current_visitors, current.len() as u64, "{site}");
        assert_eq!((realtime.total_events, realtime.unique_today), (today.events, today.visitors), "{site}");
    }
}
