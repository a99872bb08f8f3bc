//! Measures summaries: their size, how long one takes to build, and how long questions about twelve months
//! take with the embedded engine, opened anew for each.
//!
//! ```text
//! cargo run --release --package common --features sqlite --example summaries -- 5000
//! ```
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program for the terminal that stops at what is wrong")]

use std::sync::Arc;
use std::time::Instant;

use common::config::Config;
use common::event::{Event, EventData};
use common::event_type::EventType;
use common::measure::facts::{Arrival, ArrivalFields, Client, ClientFields, Facts};
use common::measure::query::Query;
use common::measure::segment::Segment;
use common::measure::service::Service;
use common::measure::summary::{Origin, Summary};
use common::metrics::Metrics;
use common::site::Site;
use common::store::sqlite::Sqlite;
use common::store::{BlockKind, Store, roles::*};
use common::time::{DAY, Day, Timestamp};
use common::url::Url;
use serde_json::{Value, json};
use uuid::Uuid;

const DAYS: i32 = 365;
const PAGES: u64 = 2_000;

/// Numbers that look random and are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((u128::from(self.0 >> 16) * u128::from(bound)) >> 48) as u64
    }

    /// A tenth of the numbers below `bound` comes nine times out of ten.
    fn often_small(&mut self, bound: u64) -> u64 {
        if self.below(10) < 9 { self.below((bound / 10).max(1)) } else { self.below(bound) }
    }
}

/// The page views of a day, four a visitor.
fn events(day: Day, count: u64, random: &mut Random) -> Vec<Event> {
    let mut events = Vec::with_capacity(count as usize);
    for number in 0..count / 4 {
        let source = format!("source{}.example", random.often_small(60));
        let client = Client::new(&ClientFields {
            country: ["FR", "DE", "US", "GB", "CA", "BE", "CH", "ES", "IT", "NL"][random.below(10) as usize],
            device: ["desktop", "mobile", "tablet"][random.below(3) as usize],
            browser: ["Chrome", "Firefox", "Safari", "Edge"][random.below(4) as usize],
            ..ClientFields::default()
        });
        let arrival = Arrival::new(&ArrivalFields { source: &source, channel: "Referral", ..ArrivalFields::default() });
        let start = random.below(DAY as u64 - 3_600_000) as i64;
        for view in 0..4 {
            let page = random.often_small(PAGES);
            events.push(Event {
                id: Uuid::from_u64_pair(number, events.len() as u64),
                site: Site::default(),
                visitor: Uuid::from_u64_pair(day.number() as u64, number).into(),
                event_type: EventType::PageView,
                data: EventData::EMPTY,
                page_url: Some(Url::new(&format!("https://example.com/blog/a-page-about-something-{page}"))),
                referrer: None,
                created_at: day.start().plus(start + view * 60_000),
                facts: Facts { arrival: arrival.clone(), client: client.clone() },
            });
        }
    }
    events
}

async fn ask(store: &dyn Store, query: &Value, now: Timestamp) -> (usize, Value) {
    let (service, site) = (Service::new(&Config::from_vars([]).expect("defaults")), Site::default());
    let counts = service.counts(store, &site, now).await.expect("counts");
    let context = service.context(store, &site, &counts, Query::asks_all(query), now).await.expect("a context");
    let query = Query::parse(query, &context).expect("a query");
    let (results, meta) = service.query(store, &query, &counts, now).await.expect("an answer");
    (results.results.len(), json!(meta)["summaries"].clone())
}

#[tokio::main]
async fn main() {
    let count: u64 = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(5_000);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("summaries.db");
    let open = || async { Sqlite::open(&path, Arc::new(Metrics::new().expect("metrics"))).await.expect("a store") };
    let now = Timestamp::parse("2026-11-28T12:00:00Z").expect("a time");
    let (store, mut random) = (open().await, Random(7));
    let (mut bytes, mut built) = (0, 0.0);
    for number in 0..DAYS {
        let day = now.day().plus(-100 - number);
        let segment = Segment::build(day, &events(day, count, &mut random));
        let start = Instant::now();
        let summary = Summary::of(std::slice::from_ref(&segment), Origin::Stored).expect("a summary");
        built += start.elapsed().as_secs_f64();
        bytes += summary.block().len();
        let site = Site::default();
        store.put_block(&site, BlockKind::Summary, day, summary.block().to_vec()).await.expect("stored");
        store.put_block(&site, BlockKind::Totals, day, summary.totals_block()).await.expect("stored");
    }
    println!(
        "{DAYS} days of {count} events: {} KiB a summary, {:.1} ms to build one",
        bytes / DAYS as usize / 1_024,
        built * 1e3 / f64::from(DAYS)
    );
    store.close().await;
    let year = json!(["2025-08-21", "2026-08-20"]);
    for (name, query) in [
        ("overview", json!({"metrics": ["visitors", "visits", "pageviews", "bounce_rate"], "date_range": year})),
        ("by month", json!({"metrics": ["visitors"], "dimensions": ["time:month"], "date_range": year})),
        ("sources", json!({"metrics": ["visitors"], "dimensions": ["visit:source"], "date_range": year})),
        ("pages", json!({"metrics": ["visitors"], "dimensions": ["event:page"], "date_range": year})),
    ] {
        let mut times = Vec::new();
        let mut answer = (0, Value::Null);
        for _ in 0..9 {
            let store = open().await;
            let start = Instant::now();
            answer = ask(&store, &query, now).await;
            times.push(start.elapsed().as_secs_f64() * 1e3);
            store.close().await;
        }
        times.sort_by(f64::total_cmp);
        println!("12 months, {name}: {:.1} ms ({} rows, summaries {})", times[4], answer.0, answer.1);
    }
}
