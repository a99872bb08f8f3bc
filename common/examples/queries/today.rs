//! Today's figures while events arrive.

use std::time::{Duration, Instant};

use common::config::Config;
use common::event::Event;
use common::event_type::EventType;
use common::measure::query::Query;
use common::measure::service::Service;
use common::site::Site;
use common::store::Store;
use common::time::{DAY, Timestamp};
use serde_json::{Value, json};

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

async fn ask(service: &Service, store: &dyn Store, query: &Value, now: Timestamp) -> Value {
    let counts = service.counts(store, &Site::default(), now).await.expect("counts");
    let context = service.context(store, &Site::default(), &counts, false, now).await.expect("a context");
    let query = Query::parse(query, &context).expect("a query");
    json!(service.query(store, &query, &counts, now).await.expect("an answer").0)["results"].clone()
}

/// How many are no reports.
fn count(events: &[Event]) -> usize {
    events.iter().filter(|event| !matches!(event.event_type, EventType::Scroll | EventType::Hover)).count()
}
