//! Measures queries on generated events, for the section `queries` of `make bench`: how long they take on
//! one thread with all segments in memory and with none, and what memory they take.
//!
//! ```text
//! queries make EVENTS FOLDER     segments in a SQLite store, and tables for another database
//! queries warm FOLDER [NUMBER]   each question, or one for a profiler, with all segments in memory
//! queries cold FOLDER            the same through the service, with nothing in memory and default bounds
//! queries today SECONDS FOLDER   today's figures while 5,000 events a second are stored
//! queries large EVENTS FOLDER    today's figures of very many events, with default bounds
//! queries derive                 what is derived from a request at ingest
//! ```
//! Each prints JSON.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program for the terminal that stops at what is wrong")]

mod derive;
mod events;
mod questions;
mod tables;
mod today;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::config::Config;
use common::measure::days::Counts;
use common::measure::scan::{self, Work, funnel};
use common::measure::segment::Segment;
use common::measure::service::Service;
use common::metrics::Metrics;
use common::site::Site;
use common::store::sqlite::Sqlite;
use common::store::{BlockKind, Blocks};
use common::time::Day;
use serde_json::{Value, json};

use crate::events::{DAYS, Random};
use crate::questions::{Asked, Question, last_day, now};
use crate::tables::Tables;

// As in the server, whose memory this is about.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds of each question, of which the median counts, after one run that does not.
const ROUNDS: usize = 7;
/// How much longer a round is than what its times are rounded to, which is the tick of the kernel's clock.
const ROUND: Duration = Duration::from_millis(100);
/// The file of how many events each day has.
const COUNTS: &str = "counts.json";

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse().expect("a number");
    let answer = match arguments[..] {
        ["make", count, folder] => make(number(count), Path::new(folder)).await,
        ["warm", folder] => warm(Path::new(folder), questions::all()).await,
        ["warm", folder, at] => warm(Path::new(folder), vec![questions::all().swap_remove(number(at) as usize)]).await,
        ["cold", folder] => cold(Path::new(folder)).await,
        ["today", seconds, folder] => today::measure(number(seconds), &store(Path::new(folder)).await).await,
        ["large", count, folder] => today::large(number(count), &store(Path::new(folder)).await).await,
        ["derive"] => derive::measure(),
        _ => panic!("see the beginning of common/examples/queries/main.rs"),
    };
    println!("{answer}");
}

async fn store(folder: &Path) -> Sqlite {
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    Sqlite::open(&folder.join("analytics.db"), metrics).await.expect("a store")
}

fn days() -> impl Iterator<Item = Day> {
    (1..=DAYS as i32).rev().map(|before| last_day().plus(1 - before))
}

async fn make(count: u64, folder: &Path) -> Value {
    let (store, mut tables) = (store(folder).await, Tables::create(folder).expect("tables"));
    let (mut random, mut counts, mut total, mut bytes, mut seconds) = (Random(7), Vec::new(), 0, 0, 0.0);
    for day in days() {
        let events = events::of_day(day, count.div_ceil(DAYS), &mut random);
        tables.add(&events).expect("tables are written");
        let start = Instant::now();
        let segment = Segment::build(day, &events);
        seconds += start.elapsed().as_secs_f64();
        total += events.len();
        counts.push(events.len());
        bytes += segment.block().len();
        let (site, block) = (Site::default(), segment.block().to_vec());
        store.put_block(&site, BlockKind::Segment, day, block).await.expect("a block is stored");
    }
    tables.finish().expect("tables are written");
    std::fs::write(folder.join(COUNTS), json!(counts).to_string()).expect("counts are written");
    json!({
        "events": total, "bytes_an_event": bytes as f64 / total as f64, "build_us_an_event": seconds * 1e6 / total as f64,
    })
}

/// All segments that were made, the oldest first.
async fn segments(folder: &Path) -> Vec<Segment> {
    let range = last_day().plus(1 - DAYS as i32)..last_day().plus(1);
    let blocks = store(folder).await.blocks(&Site::default(), BlockKind::Segment, range).await.expect("blocks");
    blocks.into_iter().map(|(_, block)| Segment::open(block.into()).expect("a segment")).collect()
}

async fn warm(folder: &Path, questions: Vec<Question>) -> Value {
    let segments = segments(folder).await;
    let work = Work { memory: 1 << 30, stopped: &|| false, visitors: Arc::default() };
    let ask = |question: &Question| match &question.asked {
        Asked::Query(query) => {
            let answer = scan::answer(&query.question, &segments, &work).expect("an answer");
            json!(query.results(answer, None).0)["results"].clone()
        }
        Asked::Funnel(query) => {
            let (answer, _) = funnel::answer(&query.funnel, &segments, &work).expect("an answer");
            json!(query.results(answer))["results"].clone()
        }
    };
    let measured = questions.iter().map(|question| {
        let rows = ask(question);
        let rounds: Vec<(f64, f64)> = (0..ROUNDS)
            .map(|_| {
                let (start, worked, mut runs) = (Instant::now(), processor_time(), 0.0);
                while processor_time() - worked < ROUND {
                    ask(question);
                    runs += 1.0;
                }
                let millis = |time: Duration| time.as_secs_f64() * 1e3 / runs;
                (millis(processor_time() - worked), millis(start.elapsed()))
            })
            .collect();
        let median = |mut times: Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times[ROUNDS / 2]
        };
        let (worked, elapsed): (Vec<f64>, Vec<f64>) = rounds.into_iter().unzip();
        json!({"name": question.name, "ms": median(worked), "elapsed_ms": median(elapsed), "rows": rows})
    });
    measured.collect()
}

/// For how long this thread has had a processor, as Linux counts it. What other processes do counts little.
fn processor_time() -> Duration {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(spent.split(' ').next().and_then(|spent| spent.parse().ok()).expect("nanoseconds"))
}

async fn cold(folder: &Path) -> Value {
    let store = store(folder).await;
    let config = Config::from_vars([]).expect("defaults");
    // The store has blocks but no events that it could count.
    let counts = std::fs::read_to_string(folder.join(COUNTS)).expect("counts");
    let counts: Vec<u64> = serde_json::from_str(&counts).expect("counts");
    let counts: Counts = days().zip(counts).collect();
    let idle = resident("VmRSS:");
    let service = Service::new(&config);
    for question in questions::all().iter().cycle().take(30) {
        ask(&service, &store, question, &counts).await;
    }
    drop(service);
    let most = resident("VmHWM:");
    let mut times = Vec::new();
    for question in questions::all() {
        let service = Service::new(&config);
        let start = Instant::now();
        ask(&service, &store, &question, &counts).await;
        times.push(json!({"name": question.name, "ms": start.elapsed().as_secs_f64() * 1e3}));
    }
    json!({"questions": times, "idle_bytes": idle, "most_bytes": most, "bound_bytes": config.query_memory})
}

async fn ask(service: &Service, store: &Sqlite, question: &Question, counts: &Counts) {
    match &question.asked {
        Asked::Query(query) => _ = service.query(store, query, counts, now()).await.expect("an answer"),
        Asked::Funnel(query) => _ = service.funnel(store, query, counts, now()).await.expect("an answer"),
    }
}

/// Resident memory of this process in bytes, as Linux counts it; 0 elsewhere.
fn resident(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).unwrap_or(0) * 1_024
}
