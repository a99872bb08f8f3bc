//! Today's figures while events arrive, and when they are very many.

use std::time::{Duration, Instant};

use common::config::Config;
use common::event::Event;
use common::event_type::EventType;
use common::measure::query::Query;
use common::measure::service::{QueryError, Service};
use common::site::Site;
use common::store::Store;
use common::time::{DAY, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::events::{self, Random};
use crate::questions::last_day;

/// Events that are there already.
const BEFORE: usize = 100_000;
/// Events a tenth of a second.
const BATCH: usize = 500;
const PACE: Duration = Duration::from_millis(100);

/// Stores 5,000 events a second, and after every tenth of a second asks for figures, which must include
/// all of them.
pub(crate) async fn measure(seconds: u64, store: &dyn Store) -> Value {
    let today = last_day().plus(1);
    let now = today.start().plus(DAY - 1);
    let batches = seconds as usize * 10;
    let events = events::of_day(today, (BEFORE + batches * BATCH) as u64, &mut Random(11));
    let (before, arriving) = events.split_at(BEFORE);
    for batch in before.chunks(10_000) {
        store.append(batch.to_vec(), now).await.expect("events are stored");
    }
    let service = Service::new(&Config::from_vars([]).expect("defaults"));
    let pages = json!({"metrics": ["visitors", "pageviews", "bounce_rate"], "date_range": "day", "dimensions": ["event:page"], "limit": 10});
    let all = json!({"metrics": ["events"], "date_range": "day"});
    let mut stored = count(before);
    ask(&service, store, &all, now).await;
    let (mut times, start) = (Vec::new(), Instant::now());
    for (number, batch) in (0..).zip(arriving.chunks(BATCH).take(batches)) {
        tokio::time::sleep_until((start + PACE * number).into()).await;
        store.append(batch.to_vec(), now).await.expect("events are stored");
        stored += count(batch);
        let asked = Instant::now();
        ask(&service, store, &pages, now).await;
        times.push(asked.elapsed().as_secs_f64() * 1e3);
        let counted = ask(&service, store, &all, now).await;
        assert_eq!(counted[0]["metrics"][0], stored, "an answer includes every event that was stored before");
    }
    times.sort_by(f64::total_cmp);
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    json!({"events": events.len(), "p50_ms": at(50), "p99_ms": at(99), "most_ms": at(100)})
}

/// Events of a large day that are made at a time.
const SLICE: u64 = 100_000;

/// Stores so many events of today and asks with default bounds: first when nothing is in memory, until the
/// day has been read from the log, then again, and then each time after further events.
pub(crate) async fn large(count: u64, store: &dyn Store) -> Value {
    let today = last_day().plus(1);
    let now = today.start().plus(DAY - 1);
    let mut random = Random(13);
    let mut slice = |number: u64, count: u64| {
        let mut events = events::of_day(today, count, &mut random);
        for event in &mut events {
            let ids = |id: Uuid| id.as_u64_pair();
            let (high, low) = ids(event.id);
            event.id = Uuid::from_u64_pair(high, low | number << 32);
            let (high, low) = ids(Uuid::from_bytes(*event.visitor.as_bytes()));
            if high != events::RETURNING {
                event.visitor = Uuid::from_u64_pair(high, low | number << 32).into();
            }
        }
        events
    };
    for number in 0..count / SLICE {
        for batch in slice(number, SLICE).chunks(10_000) {
            store.append(batch.to_vec(), now).await.expect("events are stored");
        }
    }
    let config = Config::from_vars([]).expect("defaults");
    let service = Service::new(&config);
    let pages = json!({"metrics": ["visitors", "pageviews", "bounce_rate"], "date_range": "day", "dimensions": ["event:page"], "limit": 10});
    let (idle, start) = (crate::resident("VmRSS:"), Instant::now());
    let mut refused = 0;
    while let Err(error) = try_ask(&service, store, &pages, now).await {
        assert!(matches!(error, QueryError::Late), "{error}");
        refused += 1;
    }
    let first = start.elapsed().as_secs_f64() * 1e3;
    let (read, mut again, mut after) = (crate::resident("VmRSS:"), Vec::new(), Vec::new());
    let more = slice(count / SLICE, 20 * BATCH as u64);
    for batch in more.chunks(BATCH).take(20) {
        let start = Instant::now();
        ask(&service, store, &pages, now).await;
        again.push(start.elapsed().as_secs_f64() * 1e3);
        store.append(batch.to_vec(), now).await.expect("events are stored");
        let start = Instant::now();
        ask(&service, store, &pages, now).await;
        after.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    json!({
        "events": count, "first_ms": first, "late": refused, "again_ms": median(again), "after_more_ms": median(after),
        "idle_bytes": idle, "read_bytes": read, "most_bytes": crate::resident("VmHWM:"), "bound_bytes": config.query_memory,
    })
}

async fn ask(service: &Service, store: &dyn Store, query: &Value, now: Timestamp) -> Value {
    try_ask(service, store, query, now).await.expect("an answer")
}

async fn try_ask(service: &Service, store: &dyn Store, query: &Value, now: Timestamp) -> Result<Value, QueryError> {
    let counts = service.counts(store, &Site::default(), now).await.expect("counts");
    let context = service.context(store, &Site::default(), &counts, false, now).await.expect("a context");
    let query = Query::parse(query, &context).expect("a query");
    Ok(json!(service.query(store, &query, &counts, now).await?.0)["results"].clone())
}

/// How many are no reports.
fn count(events: &[Event]) -> usize {
    events.iter().filter(|event| !matches!(event.event_type, EventType::Scroll | EventType::Hover)).count()
}
