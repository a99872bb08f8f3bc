//! Measures segments and scans on generated events: their size, and how long questions take on one
//! thread with all segments in memory.
//!
//! ```text
//! cargo run --release --package common --example scan -- 10000000
//! ```
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program for the terminal that stops at what is wrong")]

use std::time::Instant;

use common::event::{Event, EventData};
use common::event_type::EventType;
use common::measure::facts::{Arrival, ArrivalFields, Client, ClientFields, Facts};
use common::measure::head::Head;
use common::measure::query::{Context, FunnelQuery, Query};
use common::measure::scan::{self, Work, funnel};
use common::measure::segment::Segment;
use common::site::Site;
use common::time::{DAY, Day, Timestamp};
use common::url::Url;
use serde_json::{Value, json};
use uuid::Uuid;

const DAYS: i32 = 90;
const PAGES: u64 = 2_000;
const VIEWS_A_VISIT: u64 = 4;

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

/// The events of a day: visits of 1 to 7 views with a few clicks and reports; nine tenths of the visitors
/// are cookieless, one tenth has an id and returns.
fn events(day: Day, count: u64, random: &mut Random) -> Vec<Event> {
    let returning = (count * DAYS as u64 / VIEWS_A_VISIT / 10 / 5).max(1);
    let mut events = Vec::with_capacity(count as usize);
    while (events.len() as u64) < count {
        let explicit = random.below(10) == 0;
        let visitor = if explicit {
            Uuid::from_u64_pair(1, random.below(returning))
        } else {
            Uuid::from_u64_pair(random.0, random.below(u64::MAX))
        };
        let source = random.often_small(60);
        let client = Client::new(&ClientFields {
            country: ["FR", "DE", "US", "GB", "CA", "BE", "CH", "ES", "IT", "NL"]
                [random.often_small(100) as usize % 10],
            language: ["fr", "en", "de", "es"][random.below(4) as usize],
            device: ["desktop", "mobile", "tablet"][random.below(3) as usize],
            browser: ["Chrome", "Firefox", "Safari", "Edge"][random.below(4) as usize],
            browser_version: ["128", "129", "130", "131", "132"][random.below(5) as usize],
            os: ["Windows", "Android", "iOS", "Mac OS X", "Linux"][random.below(5) as usize],
            os_version: ["10", "11", "14", "15", "17", "18"][random.below(6) as usize],
            screen: ["S", "M", "L", "XL"][random.below(4) as usize],
            explicit,
            ..ClientFields::default()
        });
        let name = format!("source{source}.example");
        let arrival = if source < 2 {
            Arrival::default()
        } else {
            Arrival::new(&ArrivalFields {
                source: &name,
                channel: "Referral",
                referrer: &format!("{name}/"),
                ..ArrivalFields::default()
            })
        };
        let mut time = random.below(DAY as u64 - 4 * 3_600_000);
        for _ in 0..1 + random.below(2 * VIEWS_A_VISIT - 1) {
            let kind = random.below(20);
            let (name, data) = match kind {
                0 => ("button_click", json!({"x": random.below(100), "y": random.below(100), "element": "cta"})),
                1 => ("signup", json!({"plan": if random.below(2) == 0 { "free" } else { "plus" }})),
                2 | 3 => ("scroll", json!({"depth": random.below(101), "visible_seconds": random.below(120)})),
                _ => ("page_view", json!({})),
            };
            let page = random.often_small(PAGES);
            let at = day.start().plus(time as i64);
            events.push(Event {
                id: Uuid::from_u64_pair((at.millis() as u64) << 16, events.len() as u64),
                site: Site::default(),
                visitor: visitor.into(),
                event_type: EventType::parse(name).expect("a name"),
                data: data.as_object().map_or(EventData::EMPTY, |data| EventData::new(data).expect("data")),
                page_url: Some(Url::new(&format!("https://example.com/blog/a-page-about-something-{page}"))),
                referrer: None,
                created_at: at,
                facts: Facts { arrival: arrival.clone(), client: client.clone() },
            });
            time += 1_000 + random.below(120_000);
        }
    }
    events
}

fn main() {
    let count: u64 = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let last = Day::parse("2026-11-27").expect("a day");
    let (mut random, mut segments, mut built) = (Random(7), Vec::new(), 0.0);
    for number in 0..DAYS {
        let day = last.plus(number + 1 - DAYS);
        let events = events(day, count / DAYS as u64, &mut random);
        let start = Instant::now();
        segments.push(Segment::build(day, &events));
        built += start.elapsed().as_secs_f64();
    }
    let events: usize = segments.iter().map(Segment::events).sum();
    let bytes: usize = segments.iter().map(|segment| segment.block().len()).sum();
    println!(
        "{events} events, {:.2} bytes an event, {:.2} µs an event to build",
        bytes as f64 / events as f64,
        built * 1e6 / events as f64
    );

    let now = last.plus(1).start().plus(DAY / 2);
    let fr = json!([["is", "visit:country", ["FR"]]]);
    let pages = json!(["event:page"]);
    for (name, query) in [
        ("top pages, 30 days", json!({"metrics": ["visitors"], "date_range": "30d", "dimensions": pages})),
        ("top pages, 90 days", json!({"metrics": ["visitors"], "date_range": "90d", "dimensions": pages})),
        (
            "top pages, 90 days, country",
            json!({"metrics": ["visitors"], "date_range": "90d", "dimensions": pages, "filters": fr}),
        ),
        (
            "sources, bounce rate and duration, 90 days",
            json!({"metrics": ["visitors", "bounce_rate", "visit_duration"], "date_range": "90d", "dimensions": ["visit:source"]}),
        ),
        (
            "daily series, source, 90 days",
            json!({"metrics": ["visitors", "pageviews"], "date_range": "90d", "dimensions": ["time:day"], "filters": [["is", "visit:source", ["source4.example"]]]}),
        ),
        (
            "daily series, Paris, 90 days",
            json!({"metrics": ["visitors", "pageviews"], "date_range": "90d", "timezone": "Europe/Paris", "dimensions": ["time:day"]}),
        ),
        (
            "all figures of pages, 90 days",
            json!({"metrics": ["visitors", "visits", "pageviews", "bounce_rate", "time_on_page", "scroll_depth"], "date_range": "90d", "dimensions": pages}),
        ),
    ] {
        let query = Query::parse(&query, &Context::at(now)).expect("a query");
        measure(name, || scan::answer(&query.question, &segments, &work()).expect("an answer").rows.len());
    }
    let page = |number: u64| json!(["is", "event:page", [format!("/blog/a-page-about-something-{number}")]]);
    let steps: Vec<Value> = (0..3).map(page).chain([json!(["is", "event:name", ["signup"]])]).collect();
    let query = FunnelQuery::parse(&json!({"date_range": "90d", "steps": steps}), &Context::at(now)).expect("a funnel");
    measure("a four-step funnel, 90 days", || {
        funnel::answer(&query.funnel, &segments, &work()).expect("an answer").0.rows.len()
    });

    // The open day: 5,000 events a second arrive, and a question is asked ten times a second.
    let today = last.plus(1);
    let arriving = self::events(today, 300_000, &mut random);
    let mut head = Head::new(today);
    head.extend(&arriving[..200_000]);
    let now: Timestamp = today.start().plus(DAY - 1);
    let query = json!({"metrics": ["visitors", "pageviews", "bounce_rate"], "date_range": "day", "dimensions": pages});
    let query = Query::parse(&query, &Context::at(now)).expect("a query");
    let (mut worst, start) = (0.0_f64, Instant::now());
    for batch in arriving[200_000..].chunks(500) {
        let start = Instant::now();
        head.extend(batch);
        scan::answer(&query.question, [&head], &work()).expect("an answer");
        worst = worst.max(start.elapsed().as_secs_f64());
    }
    println!(
        "today, {} events: mean {:.1} ms, worst {:.1} ms, {:.0} bytes an event in memory",
        head.len(),
        start.elapsed().as_secs_f64() * 1e3 / 200.0,
        worst * 1e3,
        head.memory() as f64 / head.len() as f64
    );
}

fn work() -> Work<'static> {
    Work { memory: 1 << 30, stopped: &|| false }
}

/// The median of nine runs, after one that is not counted.
fn measure(name: &str, run: impl Fn() -> usize) {
    let rows = run();
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name}: {:.1} ms ({rows} rows)", times[4]);
}
