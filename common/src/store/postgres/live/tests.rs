//! The scripts on a real server: what they change, and that they change it once or not at all.

mod limits;

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use serde_json::json;

use super::keys;
use super::link::Link;
use super::periods::ALWAYS;
use super::projection::{Applied, Step};
use super::script::call;
use super::watermark::Watermark;
use crate::event::Event;
use crate::metrics::Metrics;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::conformance::samples::{at, event, on_page, visitor, with_data};
use crate::store::{Committed, Position};
use crate::testing::redis::RedisServer;
use crate::time::{DAY, Timestamp};

/// A server and a link to it.
struct Bench {
    server: RedisServer,
    link: Arc<Link>,
}

impl Bench {
    async fn start(options: &[&str]) -> Option<Self> {
        let server = RedisServer::start(options).await?;
        let link = Arc::new(Link::new(&server.url(), "store", Arc::new(Metrics::new().unwrap())).unwrap());
        assert!(link.probe().await);
        Some(Self { server, link })
    }

    /// With a watermark and a list of periods, as a rebuild of a site without events leaves it.
    async fn with_watermark() -> Option<Self> {
        let bench = Self::start(&[]).await?;
        bench.set_watermark().await;
        Some(bench)
    }

    async fn set_watermark(&self) {
        let watermark = Watermark { position: 0, last: None }.text("store");
        self.server.command::<()>(&["SET", &keys::watermark(&Site::default()), &watermark]).await;
        self.server.command::<()>(&["ZADD", &keys::periods(&Site::default()), "+inf", ALWAYS]).await;
    }

    async fn apply(&self, from: u64, events: &[Event], now: Timestamp) -> Applied {
        let (committed, to) = (committed(from, events), from + events.len() as u64);
        let step = Step { site: &Site::default(), store: "store", from, to, events: &committed, now };
        Applied::read(&self.link.ask_one("apply", step.command(&self.link.scripts)).await.unwrap(), from, to)
    }

    async fn applied(&self, from: u64, events: &[Event], now: Timestamp) {
        assert_eq!(self.apply(from, events, now).await, Applied::Done);
    }

    /// All that there is, to compare before and after.
    async fn dump(&self) -> Vec<(String, Vec<u8>)> {
        let mut keys: Vec<String> = self.server.command(&["KEYS", "analytics:{*"]).await;
        keys.sort();
        let mut dump = Vec::new();
        for key in keys {
            let value = self.server.command(&["DUMP", &key]).await;
            dump.push((key, value));
        }
        dump
    }

    async fn counters(&self, key: PeriodKey) -> Vec<Option<u64>> {
        let [counters @ .., _] = keys::of_period(&Site::default(), key);
        let mut get = redis::cmd("MGET");
        get.arg(&counters[..]);
        self.server.ask(&get).await
    }

    async fn ranking(&self, key: &str) -> Vec<(String, u64)> {
        self.server.command(&["ZREVRANGE", key, "0", "-1", "WITHSCORES"]).await
    }
}

fn committed(from: u64, events: &[Event]) -> Vec<Committed> {
    let numbered = events.iter().cloned().zip(from + 1..);
    numbered.map(|(event, position)| Committed { position: Position(position), event }).collect()
}

fn noon() -> Timestamp {
    at("2025-12-08T12:00:00Z")
}

fn key(period: Period) -> PeriodKey {
    PeriodKey::of(period, noon().day())
}

fn sample() -> Vec<Event> {
    sample_by(1, 2)
}

fn sample_by(one: u64, other: u64) -> Vec<Event> {
    let letter = |kind: &str| with_data(event("letter_generate", other, noon()), &json!({"letter_type": kind}));
    vec![
        on_page(event("page_view", one, noon()), "/cv?theme=a"),
        letter("motivation"),
        letter("anti_motivation"),
        event("scroll", one, noon().plus(-DAY)),
    ]
}

fn theme(name: &str) -> Event {
    with_data(event("cv_theme_change", 1, noon()), &json!({"theme": name}))
}

#[tokio::test]
async fn a_batch_changes_all_periods_of_its_events() {
    let Some(bench) = Bench::with_watermark().await else { return };
    bench.applied(0, &sample(), noon()).await;
    let some = |counts: [u64; 5]| counts.map(Some).to_vec();
    assert_eq!(bench.counters(key(Period::Day)).await, some([3, 1, 2, 1, 1]));
    // The day before was a Sunday: another week, the same month.
    assert_eq!(bench.counters(key(Period::Week)).await, some([3, 1, 2, 1, 1]));
    assert_eq!(bench.counters(key(Period::Month)).await, some([4, 1, 2, 1, 1]));
    for (period, visitors) in [(Period::Day, 2), (Period::Week, 2), (Period::Month, 2)] {
        let sketch = keys::sketch(&Site::default(), key(period));
        assert_eq!(bench.server.command::<u64>(&["PFCOUNT", &sketch]).await, visitors, "{period:?}");
    }
    let mark: String = bench.server.command(&["GET", &keys::watermark(&Site::default())]).await;
    assert!(mark.starts_with("store:") && mark.ends_with(":4"), "{mark}");
    let seen: Vec<(Vec<u8>, f64)> =
        bench.server.command(&["ZRANGE", &keys::visitors(&Site::default()), "0", "-1", "WITHSCORES"]).await;
    assert_eq!(seen, [1, 2].map(|who| (visitor(who).as_bytes().to_vec(), noon().millis() as f64)));
}

#[tokio::test]
async fn a_batch_is_applied_once_and_only_where_it_begins() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let (first, second) = (sample(), vec![event("scroll", 3, noon())]);
    assert_eq!(bench.apply(0, &first, noon()).await, Applied::Lost, "no watermark");
    assert_eq!(bench.dump().await, []);
    bench.set_watermark().await;
    bench.applied(0, &first, noon()).await;
    let before = bench.dump().await;
    assert_eq!(bench.apply(0, &first, noon()).await, Applied::Done, "again");
    assert_eq!(bench.apply(5, &second, noon()).await, Applied::Early);
    assert_eq!(bench.apply(2, &sample(), noon()).await, Applied::Elsewhere);
    assert_eq!(bench.dump().await, before);
    bench.server.command::<()>(&["SET", &keys::watermark(&Site::default()), "other:-:4"]).await;
    let before = bench.dump().await;
    assert_eq!(bench.apply(4, &second, noon()).await, Applied::Lost, "another store's");
    assert_eq!(bench.dump().await, before);
}

/// A script that fails halfway deletes the watermark, and with it everything else is void.
#[tokio::test]
async fn a_failure_halfway_deletes_the_watermark() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let mark = keys::watermark(&Site::default());
    let of_month = keys::of_period(&Site::default(), key(Period::Month));
    for (broken, wrong_only) in
        of_month.into_iter().map(|key| (key, false)).chain([(keys::visitors(&Site::default()), true)])
    {
        for wrong in if wrong_only { &[true][..] } else { &[false, true] } {
            bench.server.command::<()>(&["FLUSHALL"]).await;
            bench.set_watermark().await;
            bench.applied(0, &sample(), noon()).await;
            bench.server.command::<()>(&["DEL", &broken]).await;
            if *wrong {
                bench.server.command::<()>(&["HSET", &broken, "a", "b"]).await;
            }
            assert_eq!(bench.apply(4, &sample_by(3, 4), noon()).await, Applied::Lost, "{broken}, wrong: {wrong}");
            assert!(!bench.server.command::<bool>(&["EXISTS", &mark]).await, "{broken}");
        }
    }
    bench.server.command::<()>(&["FLUSHALL"]).await;
    bench.server.command::<()>(&["HSET", &mark, "a", "b"]).await;
    assert_eq!(bench.apply(4, &sample(), noon()).await, Applied::Lost);
}

/// A period whose keys were evicted is rebuilt; one that never had keys begins with zeros.
#[tokio::test]
async fn a_period_that_had_keys_does_not_begin_anew() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let site = Site::default();
    let of = |period| keys::of_period(&site, key(period)).to_vec();
    let gone = [
        of(Period::Day),
        of(Period::Week),
        of(Period::Month),
        vec![keys::themes(&site, noon().day())],
        vec![keys::periods(&site)],
    ];
    for gone in gone {
        bench.server.command::<()>(&["FLUSHALL"]).await;
        bench.set_watermark().await;
        bench.applied(0, &sample(), noon()).await;
        let mut delete = vec!["DEL"];
        delete.extend(gone.iter().map(String::as_str));
        assert_eq!(bench.server.command::<usize>(&delete).await, gone.len());
        assert_eq!(bench.apply(4, &sample_by(3, 4), noon()).await, Applied::Lost, "{gone:?}");
    }
}

/// A server without room refuses the first write, so that nothing has changed.
#[tokio::test]
async fn a_full_server_changes_nothing() {
    let Some(bench) = Bench::with_watermark().await else { return };
    bench.applied(0, &sample(), noon()).await;
    let before = bench.dump().await;
    bench.server.command::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let (events, site) = (committed(4, &sample()), Site::default());
    let step = Step { site: &site, store: "store", from: 4, to: 8, events: &events, now: noon() };
    assert!(bench.link.ask_one("apply", step.command(&bench.link.scripts)).await.is_err());
    assert!(bench.link.is_open(), "a server without room is as good as away");
    bench.server.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(bench.dump().await, before);
    assert!(bench.link.probe().await);
    bench.applied(4, &sample(), noon()).await;
}

#[tokio::test]
async fn keys_live_as_long_as_the_contract_says() {
    let Some(bench) = Bench::with_watermark().await else { return };
    bench.applied(0, &sample(), noon()).await;
    let ttl = async |name: &str| bench.server.command::<i64>(&["TTL", name]).await;
    for period in Period::ALL {
        let expected = keys::seconds_left(key(period), noon()) as i64;
        let mut names = keys::of_period(&Site::default(), key(period)).to_vec();
        if period == Period::Day {
            names.push(keys::themes(&Site::default(), noon().day()));
        }
        for name in names {
            let left = ttl(&name).await;
            assert!((expected - 10..=expected).contains(&left), "{name}: {left} of {expected}");
        }
    }
}

#[tokio::test]
async fn an_old_day_counts_in_its_longer_periods_only() {
    let Some(bench) = Bench::with_watermark().await else { return };
    let old = with_data(event("cv_theme_change", 1, noon().plus(-100 * DAY)), &json!({"theme": "a"}));
    bench.applied(0, std::slice::from_ref(&old), noon()).await;
    let of = |period| PeriodKey::of(period, old.created_at.day());
    assert_eq!(bench.counters(of(Period::Day)).await, [None; 5]);
    assert_eq!(bench.counters(of(Period::Month)).await[0], Some(1));
    let sketch = keys::sketch(&Site::default(), of(Period::Month));
    assert_eq!(bench.server.command::<u64>(&["PFCOUNT", &sketch]).await, 1);
    assert_eq!(bench.ranking(&keys::themes_top(&Site::default())).await, []);
    bench.applied(1, std::slice::from_ref(&old), noon()).await;
    assert_eq!(bench.counters(of(Period::Month)).await[0], Some(2));
}

#[tokio::test]
async fn themes_are_ranked_by_day_and_together() {
    let Some(bench) = Bench::with_watermark().await else { return };
    bench.applied(0, &["b", "a", "a"].map(theme), noon()).await;
    let yesterday = Event { created_at: noon().plus(-DAY), ..theme("b") };
    bench.applied(3, &[yesterday.clone(), yesterday], noon()).await;
    let row = |name: &str, n| (name.to_owned(), n);
    assert_eq!(bench.ranking(&keys::themes(&Site::default(), noon().day())).await, [row("a", 2), row("b", 1)]);
    assert_eq!(bench.ranking(&keys::themes_top(&Site::default())).await, [row("b", 3), row("a", 2)]);
}

#[tokio::test]
async fn themes_are_bounded() {
    const MOST: usize = 10_000;
    let Some(bench) = Bench::with_watermark().await else { return };
    let events: Vec<Event> = (0..MOST + 3).map(|number| theme(&format!("t{number}"))).collect();
    let mut from = 0;
    for part in events.chunks(3_000) {
        bench.applied(from, part, noon()).await;
        from += part.len() as u64;
    }
    bench.applied(from, &[theme("t0"), theme(&format!("t{MOST}"))], noon()).await;
    for key in [keys::themes(&Site::default(), noon().day()), keys::themes_top(&Site::default())] {
        let rows = bench.ranking(&key).await;
        assert_eq!(rows.len(), MOST + 1, "{key}");
        assert_eq!(rows[..2], [("(other)".to_owned(), 4), ("t0".to_owned(), 2)], "{key}");
    }
}

#[tokio::test]
async fn a_rebuild_stops_when_its_token_is_gone() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let site = Site::default();
    let token = keys::rebuilding(&site);
    let fill = |who: &str| {
        let mut fill = call(&bench.link.scripts.fill, &[token.clone(), "analytics:{default}:x".to_owned()]);
        fill.arg(who).arg("SET").arg(1).arg(1).arg("y");
        fill
    };
    let begin = |who: &str| {
        let mut begin = call(&bench.link.scripts.begin, &[token.clone(), keys::watermark(&site)]);
        begin.arg(who).arg(60);
        begin
    };
    bench.set_watermark().await;
    let ask = async |command| bench.link.ask_one("rebuild", command).await.unwrap();
    assert_eq!(ask(fill("me")).await, Value::Int(0), "not begun");
    assert_eq!(ask(begin("me")).await, Value::Int(1));
    assert!(!bench.server.command::<bool>(&["EXISTS", &keys::watermark(&site)]).await);
    assert_eq!(ask(fill("me")).await, Value::Int(1));
    assert_eq!(ask(begin("other")).await, Value::Int(1));
    assert_eq!(ask(fill("me")).await, Value::Int(0), "another process's now");
    bench.server.command::<()>(&["FLUSHALL"]).await;
    assert_eq!(ask(fill("other")).await, Value::Int(0), "flushed");
}

/// A claim keeps other stores out until it is given up.
#[tokio::test]
async fn a_redis_is_for_one_store() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let other = Link::new(&bench.server.url(), "other", Arc::new(Metrics::new().unwrap())).unwrap();
    assert!(!other.probe().await);
    assert!(other.is_open());
    bench.link.renew_claim().await.unwrap();
    bench.link.release_claim().await;
    let taken = async {
        while !other.probe().await {
            tokio::time::sleep(Duration::from_millis(10)).await
        }
    };
    tokio::time::timeout(Duration::from_secs(20), taken).await.unwrap();
    assert!(bench.link.renew_claim().await.is_err());
    assert!(bench.link.is_open(), "it is another store's now");
}

#[tokio::test]
async fn scripts_are_loaded_again_when_they_are_gone() {
    let Some(bench) = Bench::with_watermark().await else { return };
    bench.applied(0, &sample(), noon()).await;
    bench.server.command::<()>(&["SCRIPT", "FLUSH", "SYNC"]).await;
    bench.applied(4, &sample(), noon()).await;
}

#[tokio::test]
async fn a_dead_server_is_noticed_and_found_again() {
    let Some(mut bench) = Bench::start(&[]).await else { return };
    bench.server.kill();
    assert!(bench.link.ask_one("read", redis::cmd("PING")).await.is_err());
    assert!(bench.link.is_open());
    assert!(!bench.link.probe().await, "still dead");
    bench.server.run().await;
    // One probe a second, however many ask.
    while !bench.link.probe().await {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(bench.link.ask_one("read", redis::cmd("PING")).await.is_ok());
}

#[test]
fn a_bad_address_is_told_without_its_password() {
    let error = Link::new("redis://:hunter2@[", "store", Arc::new(Metrics::new().unwrap())).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!text.contains("hunter2"), "{text}");
}
