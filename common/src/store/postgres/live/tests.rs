//! The scripts on a real server: what they change, and that they change it once or not at all.

use std::sync::Arc;

use redis::Value;
use serde_json::json;

use super::applier::Applied;
use super::changes::{Changes, Step};
use super::keys;
use super::limits::Buckets;
use super::link::Link;
use super::reads::ranking;
use super::script::call;
use crate::event::Event;
use crate::metrics::Metrics;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::conformance::samples::{at, event, on_page, visitor, with_data};
use crate::store::{Bucket, Committed, Position, SharedLimits};
use crate::tally::{MOST_VALUES, OTHER};
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
        let link = Arc::new(Link::new(&server.url(), Arc::new(Metrics::new().unwrap())).unwrap());
        assert!(link.probe().await);
        Some(Self { server, link })
    }

    async fn apply(&self, from: u64, events: &[Event], now: Timestamp) -> Applied {
        let committed = committed(from, events);
        let to = from + events.len() as u64;
        let changes = Changes::of(&committed, now);
        let step = Step { site: &Site::default(), store: "store", from, to, message: Vec::new(), now, forget: None };
        Applied::parse(&self.link.ask_one("apply", changes.command(&self.link.scripts, &step)).await.unwrap())
    }

    async fn applied(&self, from: u64, events: &[Event], now: Timestamp) {
        let applied = self.apply(from, events, now).await;
        assert!(matches!(applied, Applied::Now { .. }), "{applied:?}");
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
        let [counters @ .., _, _] = keys::of_period(&Site::default(), key);
        let mut get = redis::cmd("MGET");
        get.arg(&counters[..]);
        self.server.ask(&get).await
    }

    async fn themes(&self, key: PeriodKey, limit: usize) -> Value {
        let [.., themes] = keys::of_period(&Site::default(), key);
        let mut rank = call(&self.link.scripts.rank, &[keys::applied(&Site::default()), themes]);
        rank.arg(limit);
        self.link.ask_one("read", rank).await.unwrap()
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

#[tokio::test]
async fn a_batch_changes_all_periods_of_its_events() {
    let Some(bench) = Bench::start(&[]).await else { return };
    bench.applied(0, &sample(), noon()).await;
    let some = |counts: [u64; 5]| counts.map(Some).to_vec();
    assert_eq!(bench.counters(key(Period::Day)).await, some([3, 1, 2, 1, 1]));
    // The day before was a Sunday: another week, the same month.
    assert_eq!(bench.counters(key(Period::Week)).await, some([3, 1, 2, 1, 1]));
    assert_eq!(bench.counters(key(Period::Month)).await, some([4, 1, 2, 1, 1]));
    let sketch = keys::sketch(&Site::default(), key(Period::Month));
    assert_eq!(bench.server.command::<u64>(&["PFCOUNT", &sketch]).await, 2);
    let mark: String = bench.server.command(&["GET", &keys::applied(&Site::default())]).await;
    assert!(mark.starts_with("store:") && mark.ends_with(":4"), "{mark}");
    let seen: Vec<(Vec<u8>, f64)> =
        bench.server.command(&["ZRANGE", &keys::visitors(&Site::default()), "0", "-1", "WITHSCORES"]).await;
    let expected = [1, 2].map(|who| (visitor(who).as_bytes().to_vec(), noon().millis() as f64));
    assert_eq!(seen[..2], expected);
    assert_eq!(seen[2], (Vec::new(), f64::INFINITY));
}

#[tokio::test]
async fn a_batch_is_applied_once_and_only_where_it_begins() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let (first, second) = (sample(), vec![event("scroll", 3, noon())]);
    assert!(matches!(bench.apply(4, &second, noon()).await, Applied::Lost(_)), "no mark");
    assert_eq!(bench.dump().await, []);
    bench.applied(0, &first, noon()).await;
    let before = bench.dump().await;
    assert!(matches!(bench.apply(0, &first, noon()).await, Applied::At(4)), "again");
    assert!(matches!(bench.apply(5, &second, noon()).await, Applied::At(4)), "too early");
    assert!(matches!(bench.apply(2, &second, noon()).await, Applied::At(4)), "across");
    assert_eq!(bench.dump().await, before);
    bench.server.command::<()>(&["SET", &keys::applied(&Site::default()), "other:-:4"]).await;
    let before = bench.dump().await;
    assert!(matches!(bench.apply(4, &second, noon()).await, Applied::Lost(_)), "another store's");
    assert_eq!(bench.dump().await, before);
}

/// What a script that fails halfway has changed is void, because the mark is gone.
#[tokio::test]
async fn what_fails_halfway_takes_the_mark_away() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let mark = keys::applied(&Site::default());
    for broken in
        keys::of_period(&Site::default(), key(Period::Month)).into_iter().chain([keys::visitors(&Site::default())])
    {
        bench.server.command::<()>(&["FLUSHALL"]).await;
        bench.applied(0, &sample(), noon()).await;
        bench.server.command::<()>(&["DEL", &broken]).await;
        assert!(matches!(bench.apply(4, &sample_by(3, 4), noon()).await, Applied::Lost(_)), "without {broken}");
        assert!(!bench.server.command::<bool>(&["EXISTS", &mark]).await, "{broken}");

        bench.server.command::<()>(&["FLUSHALL"]).await;
        bench.applied(0, &sample(), noon()).await;
        bench.server.command::<()>(&["DEL", &broken]).await;
        bench.server.command::<()>(&["HSET", &broken, "a", "b"]).await;
        assert!(matches!(bench.apply(4, &sample_by(3, 4), noon()).await, Applied::Lost(_)), "with a wrong {broken}");
        assert!(!bench.server.command::<bool>(&["EXISTS", &mark]).await, "{broken}");
    }
    bench.server.command::<()>(&["FLUSHALL"]).await;
    bench.server.command::<()>(&["HSET", &mark, "a", "b"]).await;
    assert!(matches!(bench.apply(4, &sample(), noon()).await, Applied::Lost(_)));
}

/// A server without room refuses the first write, so that nothing has changed.
#[tokio::test]
async fn a_full_server_changes_nothing() {
    let Some(bench) = Bench::start(&[]).await else { return };
    bench.applied(0, &sample(), noon()).await;
    let before = bench.dump().await;
    bench.server.command::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let committed = committed(4, &sample());
    let changes = Changes::of(&committed, noon());
    let site = Site::default();
    let step = Step { site: &site, store: "store", from: 4, to: 8, message: Vec::new(), now: noon(), forget: None };
    let refused = bench.link.ask_one("apply", changes.command(&bench.link.scripts, &step)).await;
    assert!(refused.is_err());
    assert!(bench.link.is_open(), "a server without room is as good as away");
    bench.server.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(bench.dump().await, before);
    assert!(bench.link.probe().await);
    bench.applied(4, &sample(), noon()).await;
}

#[tokio::test]
async fn keys_live_as_long_as_the_contract_says() {
    let Some(bench) = Bench::start(&[]).await else { return };
    bench.applied(0, &sample(), noon()).await;
    for period in Period::ALL {
        let expected = keys::seconds_left(key(period), noon()) as i64;
        for name in keys::of_period(&Site::default(), key(period)) {
            let left: i64 = bench.server.command(&["TTL", &name]).await;
            assert!((expected - 10..=expected).contains(&left), "{name}: {left} of {expected}");
        }
    }
    // Later events do not move it.
    let name = &keys::of_period(&Site::default(), key(Period::Day))[6];
    bench.server.command::<()>(&["EXPIRE", name, "77"]).await;
    bench.applied(4, &sample(), noon()).await;
    let left: i64 = bench.server.command(&["TTL", name]).await;
    assert!(left <= 77);
}

#[tokio::test]
async fn an_old_day_counts_in_its_longer_periods_only() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let old = with_data(event("cv_theme_change", 1, noon().plus(-100 * DAY)), &json!({"theme": "a"}));
    bench.applied(0, std::slice::from_ref(&old), noon()).await;
    let of = |period| PeriodKey::of(period, old.created_at.day());
    assert_eq!(bench.counters(of(Period::Day)).await, [None; 5]);
    assert_eq!(bench.counters(of(Period::Month)).await[0], Some(1));
    let sketch = keys::sketch(&Site::default(), of(Period::Month));
    assert_eq!(bench.server.command::<u64>(&["PFCOUNT", &sketch]).await, 1);
    // Which themes that day still took is PostgreSQL's to know.
    let Value::Array(answer) = bench.themes(of(Period::Month), 5).await else { panic!() };
    assert_eq!(answer[1], Value::Nil);
    bench.applied(1, std::slice::from_ref(&old), noon()).await;
    assert_eq!(bench.counters(of(Period::Month)).await[0], Some(2));
}

fn ranked(answer: Value) -> (u64, Vec<(String, u64)>) {
    let Value::Array(parts) = answer else { panic!("{answer:?}") };
    let ranking = ranking(&parts[1], &parts[2..]).unwrap();
    (ranking.total, ranking.rows)
}

#[tokio::test]
async fn themes_are_ranked_with_ties_by_name() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let theme = |name: &str| with_data(event("cv_theme_change", 1, noon()), &json!({"theme": name}));
    bench.applied(0, &["b", "a", "c", "é", "c", "a", "z", "z", "z"].map(theme), noon()).await;
    let row = |name: &str, n| (name.to_owned(), n);
    let day = key(Period::Day);
    let all = vec![row("z", 3), row("a", 2), row("c", 2), row("b", 1), row("é", 1)];
    for limit in 1..=5 {
        let (sum, rows) = ranked(bench.themes(day, limit).await);
        assert_eq!((sum, &rows[..]), (9, &all[..limit]));
    }
    assert_eq!(ranked(bench.themes(day, 100).await).1, all);
    bench.applied(9, &[theme("é"), theme("é")], noon()).await;
    assert_eq!(ranked(bench.themes(key(Period::Month), 2).await), (11, vec![row("z", 3), row("é", 3)]));
}

#[tokio::test]
async fn a_day_takes_so_many_themes_and_no_more() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let theme = |number: usize| with_data(event("cv_theme_change", 1, noon()), &json!({"theme": format!("t{number}")}));
    let events: Vec<Event> = (0..MOST_VALUES + 3).map(theme).collect();
    let mut from = 0;
    for part in events.chunks(3_000) {
        bench.applied(from, part, noon()).await;
        from += part.len() as u64;
    }
    bench.applied(from, &[theme(0), theme(MOST_VALUES)], noon()).await;
    let (sum, rows) = ranked(bench.themes(key(Period::Week), 2).await);
    assert_eq!(sum, MOST_VALUES as u64 + 5);
    assert_eq!(rows, [(OTHER.to_owned(), 4), ("t0".to_owned(), 2)]);
}

#[tokio::test]
async fn who_changes_a_days_sketch_is_told() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let who = |numbers: &[u64]| numbers.iter().map(|who| event("scroll", *who, noon())).collect::<Vec<_>>();
    for (from, numbers, expected) in
        [(0, &[1_u64, 2, 1][..], &[true, true][..]), (3, &[2, 3], &[false, true]), (5, &[1], &[false])]
    {
        let Applied::Now { days, .. } = bench.apply(from, &who(numbers), noon()).await else { panic!() };
        assert_eq!(days.len(), 1);
        assert_eq!(days[0].changed(), expected);
        assert_eq!(days[0].grew(), expected.iter().filter(|new| **new).count() as i64);
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
        let mut begin = call(&bench.link.scripts.begin, &[token.clone(), keys::applied(&site)]);
        begin.arg(who).arg(60);
        begin
    };
    bench.applied(0, &sample(), noon()).await;
    let ask = async |command| bench.link.ask_one("rebuild", command).await.unwrap();
    assert_eq!(ask(fill("me")).await, Value::Int(0), "not begun");
    assert_eq!(ask(begin("me")).await, Value::Int(1));
    assert!(!bench.server.command::<bool>(&["EXISTS", &keys::applied(&site)]).await);
    assert_eq!(ask(fill("me")).await, Value::Int(1));
    assert_eq!(ask(begin("other")).await, Value::Int(1));
    assert_eq!(ask(fill("me")).await, Value::Int(0), "another one's now");
    bench.server.command::<()>(&["FLUSHALL"]).await;
    assert_eq!(ask(fill("other")).await, Value::Int(0), "flushed");
}

#[tokio::test]
async fn buckets_empty_and_say_when_to_come_back() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let buckets = Buckets::new(Arc::clone(&bench.link), true);
    let bucket = |key, most| Bucket { name: "events", key, most };
    let charge = async |key, most, tokens| buckets.charge(bucket(key, most), tokens).await.unwrap();
    assert_eq!(charge(1, 2, 1).await, Ok(()));
    assert_eq!(charge(1, 2, 1).await, Ok(()));
    let wait = charge(1, 2, 1).await.unwrap_err();
    assert!((29..=30).contains(&wait), "{wait}");
    let wait = charge(1, 2, 2).await.unwrap_err();
    assert!((59..=60).contains(&wait), "{wait}");
    assert_eq!(charge(2, 2, 1).await, Ok(()), "each key has its own");
    // All or none, and no more than there can be.
    assert_eq!(charge(3, 100, 1).await, Ok(()));
    assert!(charge(3, 100, 100).await.is_err());
    assert_eq!(charge(3, 100, 99).await, Ok(()));
    assert_eq!(charge(4, 100, 500).await, Ok(()));
    assert_eq!(charge(4, 100, 1).await, Err(1));
    assert_eq!(charge(4, 100, 0).await, Ok(()), "nothing is there even in an empty bucket");
    // A bucket that fills in no time never empties.
    for _ in 0..10 {
        assert_eq!(charge(5, u32::MAX, 1_000_000).await, Ok(()));
    }
    // Keys go by themselves when their buckets are full again.
    let left: i64 = bench.server.command(&["PTTL", &keys::bucket("events", 2)]).await;
    assert!((0..=30_002).contains(&left), "{left}");
    bench.server.pause();
    assert_eq!(buckets.charge(bucket(1, 2), 1).await, None, "it cannot tell");
    bench.server.resume();
}

/// Ten thousand charges of one bucket from many tasks at once: exactly as many as there are pass.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn charges_at_the_same_time_share_one_bucket() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let buckets = Arc::new(Buckets::new(Arc::clone(&bench.link), true));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let buckets = Arc::clone(&buckets);
        tasks.spawn(async move {
            let mut passed = 0;
            for _ in 0..20 {
                // Fills by one in six seconds.
                let bucket = Bucket { name: "events", key: 7, most: 10 };
                passed += u32::from(buckets.charge(bucket, 1).await.unwrap().is_ok());
            }
            passed
        });
    }
    let passed: u32 = tasks.join_all().await.into_iter().sum();
    assert!((10..=12).contains(&passed), "{passed}");
}

/// What a bucket with plenty owes reaches Redis, and is taken there whatever is left.
#[tokio::test]
async fn a_bucket_with_plenty_is_charged_later_and_counted_all_the_same() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let [one, two] = [(), ()].map(|()| Arc::new(Buckets::new(Arc::clone(&bench.link), true)));
    let bucket = Bucket { name: "events", key: 9, most: 1_000 };
    let charge = async |buckets: &Buckets, tokens| buckets.charge(bucket, tokens).await.unwrap();
    assert_eq!(charge(&one, 100).await, Ok(()), "asked: nothing was known");
    assert_eq!(charge(&two, 1).await, Ok(()));
    for _ in 0..100 {
        assert_eq!(charge(&one, 2).await, Ok(()));
    }
    // Nobody sends yet: Redis has heard of the first charges only.
    let left = async || bench.server.command::<i64>(&["PTTL", &keys::bucket("events", 9)]).await;
    assert!(left().await <= 6_100, "{}", left().await);
    // More than half a bucket would be gone, so it is asked, and hears all before.
    assert!(charge(&one, 700).await.is_err());
    assert!((17_000..=18_100).contains(&left().await), "{}", left().await);
    assert_eq!(charge(&one, 600).await, Ok(()), "301 were taken, and some came back");

    // Another one is wrong for a moment, at most: what it let pass empties the bucket, no more.
    assert_eq!(charge(&two, 300).await, Ok(()));
    let sender = Arc::clone(&two);
    let sender = tokio::spawn(async move { sender.send().await });
    while charge(&two, 1).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!((59_000..=60_001).contains(&left().await), "{}", left().await);
    assert!(charge(&one, 60).await.is_err());
    sender.abort();
}

/// What many buckets owe is charged by few calls.
#[tokio::test]
async fn many_buckets_are_charged_together() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let buckets = Arc::new(Buckets::new(Arc::clone(&bench.link), true));
    let all: Vec<Bucket> = (0..150_u128)
        .map(|key| Bucket { name: if key % 3 == 0 { "reads" } else { "events" }, key, most: 60 })
        .collect();
    for bucket in &all {
        assert_eq!(buckets.charge(*bucket, 10).await, Some(Ok(())), "asked: nothing was known");
        assert!(buckets.charge_at_once(*bucket, 10));
    }
    let calls = async || {
        let stats: String = bench.server.command(&["INFO", "commandstats"]).await;
        let calls = stats.split_once("cmdstat_evalsha:calls=").and_then(|(_, rest)| rest.split_once(','));
        calls.unwrap().0.parse::<u32>().unwrap()
    };
    let before = calls().await;
    let sender = Arc::clone(&buckets);
    let sender = tokio::spawn(async move { sender.send().await });
    for bucket in &all {
        // A token comes back a second, and a full bucket's key goes.
        let key = keys::bucket(bucket.name, bucket.key);
        let charged = async { while bench.server.command::<i64>(&["PTTL", &key]).await <= 10_001 {} };
        tokio::time::timeout(std::time::Duration::from_secs(9), charged).await.unwrap();
    }
    assert_eq!(calls().await - before, 2, "one for each name");
    sender.abort();
}

#[tokio::test]
async fn without_anybody_to_send_buckets_are_always_asked() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let buckets = Buckets::new(Arc::clone(&bench.link), false);
    let bucket = Bucket { name: "events", key: 9, most: 1_000_000 };
    for n in 1..=3_u32 {
        assert_eq!(buckets.charge(bucket, 100_000).await, Some(Ok(())));
        let left: i64 = bench.server.command(&["PTTL", &keys::bucket("events", 9)]).await;
        assert!(left > i64::from(n) * 6_000 - 1_000, "{left}");
    }
}

#[tokio::test]
async fn scripts_are_loaded_again_when_they_are_gone() {
    let Some(bench) = Bench::start(&[]).await else { return };
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
    // A probe a second, whoever asks.
    while !bench.link.probe().await {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(bench.link.ask_one("read", redis::cmd("PING")).await.is_ok());
}

#[test]
fn a_bad_address_is_told_without_its_password() {
    let error = Link::new("redis://:hunter2@[", Arc::new(Metrics::new().unwrap())).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!text.contains("hunter2"), "{text}");
}
