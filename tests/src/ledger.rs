//! What was sent and what was answered, kept beside what the server then says: nothing
//! acknowledged may be missing, and nothing may count twice.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::clock::{day_of, seconds_from_now};
use crate::engine::Engine;
use crate::http::{Connection, get, post};
use crate::random::Random;
use crate::server::Server;
use crate::{API, list, number, text, uuid};

/// The sites that events are made for.
pub const SITES: [&str; 2] = ["default", "b.example"];

/// What one sender knows of its events.
#[derive(Debug, Default)]
pub struct Log {
    /// Acknowledged as stored, now or before.
    pub answered: Vec<Value>,
    /// Sent and not acknowledged: stored or not, which is unknown.
    pub unanswered: Vec<Value>,
    /// How often each status was answered; 0 stands for no answer.
    pub statuses: BTreeMap<u16, usize>,
    /// How long each answer to a single event took, and when it was asked for.
    pub latencies: Vec<(Instant, Duration)>,
}

/// An event of one of a few types, sites, themes and letters, by one of these visitors, within
/// the last 20 hours.
#[must_use]
pub fn event(visitors: &[String], random: &mut Random) -> Value {
    let event_type = *random.one_of(&["page_view", "letter_generate", "cv_theme_change", "button_click"]);
    let mut event = json!({
        "event_type": event_type, "visitor_id": random.one_of(visitors), "event_id": uuid(),
        "site": random.one_of(&SITES), "page_url": "/cv",
        "event_data": {"theme": random.one_of(&["ai", "backend"]), "letter_type": "motivation", "x": 5, "y": 6},
    });
    let seconds = -(random.below(20 * 3600) as i64);
    event["timestamp"] = json!(seconds_from_now(seconds).to_string());
    event
}

/// Sends these, one by itself and several as a batch; answers the status, 0 when there was no
/// answer, and in place of a 200 that does not acknowledge all of a batch.
pub async fn deliver(connection: &mut Connection, events: &[Value]) -> u16 {
    if let [event] = events {
        return connection.send(&post("/event", event)).await.map_or(0, |answer| answer.status);
    }
    match connection.send(&post("/events", &json!(events))).await {
        Ok(answer) if answer.status == 200 => {
            let data = answer.json()["data"].take();
            assert_eq!(data["rejected"], json!([]), "{data}");
            if number(&data["stored"]) + number(&data["duplicate"]) == events.len() as u64 { 200 } else { 0 }
        }
        Ok(answer) => answer.status,
        Err(_) => 0,
    }
}

/// Sends until the connection dies or `stop` is set: first what was left unanswered, then fresh
/// events, one by one and in batches. What is refused is sent again later.
pub async fn send(
    server: SocketAddr,
    left: Vec<Value>,
    visitors: Vec<String>,
    mut random: Random,
    stop: Arc<AtomicBool>,
) -> Log {
    let mut log = Log { unanswered: left, ..Log::default() };
    let Ok(mut connection) = Connection::open(server).await else { return log };
    while !stop.load(Ordering::Relaxed) {
        let again = log.unanswered.len().min(20);
        let mut events = log.unanswered.split_off(log.unanswered.len() - again);
        if events.is_empty() {
            let count = if random.below(3) == 0 { 1 + random.below(20) } else { 1 };
            events = (0..count).map(|_| event(&visitors, &mut random)).collect();
        }
        let asked = Instant::now();
        let status = deliver(&mut connection, &events).await;
        *log.statuses.entry(status).or_default() += 1;
        match status {
            200 | 201 => {
                if events.len() == 1 {
                    log.latencies.push((asked, asked.elapsed()));
                }
                log.answered.extend(events);
            }
            0 => {
                log.unanswered.extend(events);
                return log;
            }
            _ => {
                log.unanswered.extend(events);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    log
}

/// All events that were sent, by their ids, and those of them still to be acknowledged.
#[derive(Debug)]
pub struct Ledger {
    /// Every event sent.
    pub sent: BTreeMap<String, Value>,
    /// How many were acknowledged.
    pub answered: usize,
    /// How often each status was answered.
    pub statuses: BTreeMap<u16, usize>,
    /// Of single events: when each was asked for, and how long it took.
    pub latencies: Vec<(Instant, Duration)>,
    visitors: Vec<String>,
    left: Vec<Vec<Value>>,
    random: Random,
}

/// Senders under way.
#[derive(Debug)]
pub struct Sending {
    senders: Vec<JoinHandle<Log>>,
    stop: Arc<AtomicBool>,
}

impl Ledger {
    /// An empty one, for so many senders at a time.
    #[must_use]
    pub fn new(senders: usize) -> Self {
        Self {
            sent: BTreeMap::new(),
            answered: 0,
            statuses: BTreeMap::new(),
            latencies: Vec::new(),
            visitors: (0..40).map(|_| uuid()).collect(),
            left: (0..senders).map(|_| Vec::new()).collect(),
            random: Random::seeded(),
        }
    }

    /// The randomness of the test.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Starts the senders, spread over these servers. [`Ledger::finish`] takes their logs.
    pub fn start(&mut self, servers: &[SocketAddr]) -> Sending {
        let stop = Arc::new(AtomicBool::new(false));
        let left = std::mem::take(&mut self.left);
        let senders = left.into_iter().enumerate().map(|(n, left)| {
            let server = servers[n % servers.len()];
            tokio::spawn(send(server, left, self.visitors.clone(), self.random.fork(), Arc::clone(&stop)))
        });
        Sending { senders: senders.collect(), stop }
    }

    /// Tells the senders to stop, and writes down what they did.
    pub async fn finish(&mut self, sending: Sending) {
        sending.stop.store(true, Ordering::Relaxed);
        for sender in sending.senders {
            let log = sender.await.expect("a sender ends");
            self.answered += log.answered.len();
            let all = log.answered.into_iter().chain(log.unanswered.iter().cloned());
            self.sent.extend(all.map(|event| (text(&event["event_id"]).to_owned(), event)));
            for (status, count) in log.statuses {
                *self.statuses.entry(status).or_default() += count;
            }
            self.latencies.extend(log.latencies);
            self.left.push(log.unanswered);
        }
    }

    /// Sends everything once more that was not acknowledged.
    pub async fn settle(&mut self, server: &Server) {
        let unanswered: Vec<_> = self.left.iter_mut().flat_map(std::mem::take).collect();
        let (sent, answered, again) = (self.sent.len(), self.answered, unanswered.len());
        eprintln!("{sent} events, {answered} answered in time, {again} to send again; statuses {:?}", self.statuses);
        let mut connection = server.connect().await.expect("the server takes connections");
        for events in unanswered.chunks(500) {
            let status = deliver(&mut connection, events).await;
            assert!(matches!(status, 200 | 201), "{status}");
        }
    }

    /// Fails the test unless the server has every event that was sent, once, and says so in all
    /// its figures.
    pub async fn compare(&self, server: &Server) {
        for site in SITES {
            let mut found = timeline(server, site).await;
            found.sort_unstable();
            let of_site = self.sent.iter().filter(|(_, event)| event["site"] == site);
            let expected: Vec<_> = of_site.map(|(id, _)| id.clone()).collect();
            assert_eq!(found.len(), expected.len(), "{site}");
            assert_eq!(found, expected, "{site}");
            figures(server, site, &self.sent).await;
        }
    }
}

/// Every id of a site's timeline, each page asked for from a fresh address so that no rate limit
/// is in the way.
async fn timeline(server: &Server, site: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut question = format!("{API}/timeline?site={site}&limit=100");
    for page in 0_u32.. {
        let [_, b, c, d] = page.to_be_bytes();
        let answer = server.send(get(&*question).from(Ipv4Addr::new(127, 100 + b, c, 1 + d % 250))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        ids.extend(list(&body["data"]).iter().map(|event| text(&event["id"]).to_owned()));
        match body["meta"]["next_cursor"].as_str() {
            Some(cursor) => question = format!("{API}/timeline?site={site}&limit=100&cursor={cursor}"),
            None => break,
        }
    }
    ids
}

/// Fails the test unless a site's aggregates are what was sent.
pub async fn figures(server: &Server, site: &str, sent: &BTreeMap<String, Value>) {
    let Err(wrong) = differences(server, site, sent).await else { return };
    // Wrong for a moment and wrong for good are mistakes of different kinds.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let later = differences(server, site, sent).await;
    panic!("{site}: {wrong}; 5 s later: {}", later.err().unwrap_or_else(|| "right".to_owned()));
}

/// A site's aggregates against what was sent.
///
/// # Errors
/// The first that is wrong.
pub async fn differences(server: &Server, site: &str, sent: &BTreeMap<String, Value>) -> Result<(), String> {
    let of_site: Vec<_> = sent.values().filter(|event| event["site"] == site).collect();
    let day = |event: &Value| day_of(text(&event["timestamp"]).parse().expect("a time")).to_string();
    let same = |what: String, found: u64, expected: u64, slack: u64| {
        let close = found.abs_diff(expected) <= slack;
        if close { Ok(()) } else { Err(format!("{what}: {found} in place of {expected}")) }
    };
    let days: BTreeSet<_> = of_site.iter().map(|event| day(event)).collect();
    for date in days {
        let of_day: Vec<_> = of_site.iter().filter(|event| day(event) == date).collect();
        let of_type = |name: &str| of_day.iter().filter(|event| event["event_type"] == name).count() as u64;
        let visitors = of_day.iter().map(|event| text(&event["visitor_id"])).collect::<BTreeSet<_>>().len() as u64;
        let stats = server.data(&format!("/stats?site={site}&date={date}")).await;
        for (name, expected, slack) in [
            ("total_events", of_day.len() as u64, 0),
            ("page_views", of_type("page_view"), 0),
            ("letters_generated", of_type("letter_generate"), 0),
            ("unique_visitors", visitors, Engine::of(server).slack(visitors)),
        ] {
            same(format!("{name} of {date}"), number(&stats[name]), expected, slack)?;
        }
    }
    let of_type = |name: &str| of_site.iter().filter(|event| event["event_type"] == name).count() as u64;
    let sum = |rows: &Value, name: &str| list(rows).iter().map(|row| number(&row[name])).sum::<u64>();
    let themes = server.data(&format!("/themes?site={site}")).await;
    same("theme views".to_owned(), sum(&themes, "views"), of_type("page_view") + of_type("cv_theme_change"), 0)?;
    let clicks = server.data(&format!("/heatmap?site={site}&hours=48")).await;
    same("clicks".to_owned(), sum(&clicks, "count"), of_type("button_click"), 0)
}
