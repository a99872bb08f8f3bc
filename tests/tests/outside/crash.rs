//! An answer means durable, and an event counts once, whatever dies when.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};
use tests::clock::{day_of, seconds_from_now};
use tests::http::{Connection, get, post};
use tests::random::Random;
use tests::server::Server;
use tests::{API, list, number, text, uuid};

const ROUNDS: u64 = 5;
const SENDERS: u64 = 12;

/// What one sender knows of its events.
#[derive(Debug, Default)]
struct Log {
    answered: Vec<Value>,
    unanswered: Vec<Value>,
}

/// Sends until the connection dies: first what was left unanswered, then fresh events, one by
/// one and in batches.
async fn sender(server: SocketAddr, mut left: Vec<Value>, visitors: Vec<String>, mut random: Random) -> Log {
    let mut log = Log::default();
    let Ok(mut connection) = Connection::open(server).await else {
        log.unanswered = left;
        return log;
    };
    loop {
        let mut events: Vec<_> = left.split_off(left.len() - left.len().min(20));
        if events.is_empty() {
            let count = if random.below(3) == 0 { 1 + random.below(20) } else { 1 };
            events = (0..count).map(|_| event(&visitors, &mut random)).collect();
        }
        if deliver(&mut connection, &events).await {
            log.answered.extend(events);
        } else {
            log.unanswered.extend(events);
            log.unanswered.extend(left);
            return log;
        }
    }
}

fn event(visitors: &[String], random: &mut Random) -> Value {
    let event_type = *random.one_of(&["page_view", "letter_generate", "cv_theme_change", "button_click"]);
    let mut event = json!({
        "event_type": event_type, "visitor_id": random.one_of(visitors), "event_id": uuid(),
        "site": random.one_of(&["default", "b.example"]), "page_url": "/cv",
        "event_data": {"theme": random.one_of(&["ai", "backend"]), "letter_type": "motivation", "x": 5, "y": 6},
    });
    let seconds = -(random.below(20 * 3600) as i64);
    event["timestamp"] = json!(seconds_from_now(seconds).to_string());
    event
}

/// Whether all of these were answered as stored, now or before.
async fn deliver(connection: &mut Connection, events: &[Value]) -> bool {
    if let [event] = events {
        let answer = connection.send(&post("/event", event)).await;
        return answer.is_ok_and(|answer| matches!(answer.status, 200 | 201));
    }
    match connection.send(&post("/events", &json!(events))).await {
        Ok(answer) if answer.status == 200 => {
            let data = answer.json()["data"].take();
            assert_eq!(data["rejected"], json!([]), "{data}");
            number(&data["stored"]) + number(&data["duplicate"]) == events.len() as u64
        }
        _ => false,
    }
}

/// Every id of a site's timeline, each asked for from a fresh address so that no rate limit
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

/// A site's aggregates against what was sent.
async fn compare(server: &Server, site: &str, sent: &BTreeMap<String, Value>) {
    let of_site: Vec<_> = sent.values().filter(|event| event["site"] == site).collect();
    let day = |event: &Value| day_of(text(&event["timestamp"]).parse().unwrap()).to_string();
    let days: BTreeSet<_> = of_site.iter().map(|event| day(event)).collect();
    for date in days {
        let of_day: Vec<_> = of_site.iter().filter(|event| day(event) == date).collect();
        let of_type = |name: &str| of_day.iter().filter(|event| event["event_type"] == name).count() as u64;
        let visitors: BTreeSet<_> = of_day.iter().map(|event| text(&event["visitor_id"])).collect();
        let stats = server.data(&format!("/stats?site={site}&date={date}")).await;
        assert_eq!(
            ["total_events", "page_views", "letters_generated", "unique_visitors"].map(|name| number(&stats[name])),
            [of_day.len() as u64, of_type("page_view"), of_type("letter_generate"), visitors.len() as u64],
            "{site} on {date}"
        );
    }
    let of_type = |name: &str| of_site.iter().filter(|event| event["event_type"] == name).count() as u64;
    let themes = server.data(&format!("/themes?site={site}")).await;
    let views: u64 = list(&themes).iter().map(|row| number(&row["views"])).sum();
    assert_eq!(views, of_type("page_view") + of_type("cv_theme_change"), "themes of {site}");
    let clicks = server.data(&format!("/heatmap?site={site}&hours=48")).await;
    let clicks: u64 = list(&clicks).iter().map(|row| number(&row["count"])).sum();
    assert_eq!(clicks, of_type("button_click"), "clicks of {site}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments() {
    let mut random = Random::seeded();
    let visitors: Vec<_> = (0..40).map(|_| uuid()).collect();
    let mut server = Server::new().await;
    let mut sent = BTreeMap::new();
    let mut answered = 0;
    let mut left: Vec<Vec<Value>> = (0..SENDERS).map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        let senders: Vec<_> = left
            .into_iter()
            .map(|left| tokio::spawn(sender(server.address, left, visitors.clone(), random.fork())))
            .collect();
        tokio::time::sleep(random.millis(50, 700)).await;
        let home = server.kill().await;
        left = Vec::new();
        for sender in senders {
            let log = sender.await.unwrap();
            answered += log.answered.len();
            let all = log.answered.into_iter().chain(log.unanswered.iter().cloned());
            sent.extend(all.map(|event| (text(&event["event_id"]).to_owned(), event)));
            left.push(log.unanswered);
        }
        server = home.serve().await;
    }
    let unanswered: Vec<_> = left.into_iter().flatten().collect();
    eprintln!("{} events, {answered} answered in time, {} to send again", sent.len(), unanswered.len());
    assert!(answered > 0, "the servers lived long enough to answer something");
    let mut connection = server.connect().await.unwrap();
    for events in unanswered.chunks(500) {
        assert!(deliver(&mut connection, events).await);
    }

    for site in ["default", "b.example"] {
        let mut found = timeline(&server, site).await;
        found.sort_unstable();
        let of_site = sent.iter().filter(|(_, event)| event["site"] == site);
        let expected: Vec<_> = of_site.map(|(id, _)| id.clone()).collect();
        assert_eq!(found.len(), expected.len(), "{site}");
        assert_eq!(found, expected, "{site}");
        compare(&server, site, &sent).await;
    }

    let home = server.kill().await;
    home.run(&["verify"]).await.expect_code(0);
    home.run(&["rebuild"]).await.expect_code(0);
    home.run(&["verify"]).await.expect_code(0);
    let server = home.serve().await;
    for site in ["default", "b.example"] {
        compare(&server, site, &sent).await;
    }
}

/// The same events once more, all at once and from many senders, change nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_retries() {
    let server = Server::new().await;
    let mut random = Random::seeded();
    let visitors = [uuid(), uuid(), uuid()];
    let events: Vec<_> = (0..100).map(|_| event(&visitors, &mut random)).collect();
    let senders: Vec<_> = (0..8)
        .map(|n| {
            let (address, events) = (server.address, events.clone());
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await.unwrap();
                for events in events.chunks(1 + 7 * (n % 4)) {
                    assert!(deliver(&mut connection, events).await);
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    let sent: BTreeMap<_, _> = events.into_iter().map(|event| (text(&event["event_id"]).to_owned(), event)).collect();
    for site in ["default", "b.example"] {
        compare(&server, site, &sent).await;
    }
    let scrape = server.scrape().await;
    assert_eq!(scrape.sum("maicivy_ingest_outcomes_total", &[("outcome", "stored")]) as u64, 100);
    assert_eq!(scrape.sum("maicivy_ingest_outcomes_total", &[("outcome", "duplicate")]) as u64, 700);
    server.kill().await.run(&["verify"]).await.expect_code(0);
}
