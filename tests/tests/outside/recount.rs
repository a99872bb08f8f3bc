//! Queries against an independent recount: a program in Python, written from the contract alone
//! (`tests/recount`), computes from the exported events what the product must answer.

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tests::access_log::{self, AccessLog, Line};
use tests::clock::{away_from_midnight, day_of, days_ago};
use tests::home::Home;
use tests::random::Random;
use tests::server::Server;
use tests::{BROWSER, binary, uuid};
use tokio::process::Command;
use tokio::time::timeout;

const SITE: &str = "cv.example";

/// Long enough for the latest change of clocks to be kept all year.
const RETENTION_DAYS: &str = "300";

/// The recount takes a few seconds, but other tests run beside it.
const RECOUNT_TIMEOUT: Duration = Duration::from_secs(180);

/// Asks the server everything that `tests/recount/queries.py` lists about a site.
async fn recounted(server: &Server, site: &str) {
    let export = server.home.path().join("recount.jsonl");
    let _ = std::fs::remove_file(&export);
    server.home.run(&["export", "--output", &export.display().to_string()]).await.expect_code(0);
    let mut program = Command::new("python3");
    program.arg("-B").arg(binary::workspace().join("tests/recount/recount.py"));
    program.arg(server.address.to_string()).arg(export).arg(site).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(RECOUNT_TIMEOUT, program.output()).await.expect("in time").expect("python3 runs");
    let [found, failure] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    eprintln!("{found}");
    assert!(output.status.success(), "{failure}");
}

#[tokio::test]
async fn a_site_of_our_own() {
    away_from_midnight().await;
    let home = Home::new().env("ANALYTICS_RETENTION_DAYS", RETENTION_DAYS);
    let mut random = Random::seeded();
    let log = home.write("access.log", access_log(&mut random).text());
    home.run(&["import", "--site", SITE, &log]).await.expect_code(0);
    let lines = home.write("events.jsonl", event_lines(&mut random));
    home.run(&["import", "--format", "events", &lines]).await.expect_code(0);
    let server = home.serve().await;
    server.store_all(&arriving(&mut random)).await;
    recounted(&server, SITE).await;
    // An event of a closed day, and others of the open one: both are in the next answers.
    let late = home.write("late.jsonl", event_lines(&mut random));
    home.run(&["import", "--format", "events", &late]).await.expect_code(0);
    server.store_all(&arriving(&mut random)).await;
    recounted(&server, SITE).await;
}

/// A real site's log, where it is at hand.
#[tokio::test]
async fn a_real_log() {
    let Some(path) = access_log::real() else { return };
    away_from_midnight().await;
    let home = Home::new().env("ANALYTICS_RETENTION_DAYS", RETENTION_DAYS);
    home.run(&["import", "--rebase", &path]).await.expect_code(0);
    recounted(&home.serve().await, "default").await;
}

const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 \
                     (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";

const PAGES: [&str; 9] =
    ["/", "/", "/cv", "/cv", "/blog/a", "/blog/b", "/blog/c/", "/caf\u{e9}//x/../menu", "/cv?theme=ai&n=1"];

fn access_log(random: &mut Random) -> AccessLog {
    let mut log = AccessLog::default();
    for _ in 0..300 {
        let line = Line {
            address: random.one_of::<&str>(&["198.18.5.9", "198.18.5.10", "198.18.7.1", "2001:db8::7"]),
            request: &format!("GET {}", random.one_of(&PAGES)),
            user_agent: random.one_of::<&str>(&[BROWSER, PHONE]),
            ..Line::default()
        };
        log.combined(days_ago(1 + random.below(40) as i64), line);
    }
    log
}

/// The latest change of clocks in Paris.
fn change_of_clocks() -> Timestamp {
    let paris = TimeZone::get("Europe/Paris").unwrap();
    paris.preceding(Timestamp::now()).next().unwrap().timestamp()
}

/// Visits of the last months, and around the change of clocks, as lines of an export.
fn event_lines(random: &mut Random) -> String {
    let explicit: Vec<String> = (0..25).map(|_| uuid()).collect();
    let (now, clocks) = (Timestamp::now(), change_of_clocks());
    let mut lines = String::new();
    for number in 0..350 {
        let mut at = match number % 7 {
            0 => clocks + SignedDuration::from_mins(random.below(3 * 1_440) as i64 - 1_440),
            1 => now - SignedDuration::from_mins(100 + random.below(4_000) as i64),
            _ => now - SignedDuration::from_mins(100 + random.below(75 * 1_440) as i64),
        };
        at += SignedDuration::from_millis(random.below(1_000) as i64);
        let named = random.below(3) == 0;
        let mut visitor = if named { random.one_of(&explicit).clone() } else { uuid() };
        let arrival = random.one_of(&ARRIVALS);
        let client = format!("{}{}", random.one_of(&CLIENTS), if named { "1" } else { "" });
        for _ in 0..1 + random.below(7) {
            if at >= now {
                break;
            }
            let (event_type, data) = action(random);
            let event = json!({
                "id": uuid(), "site": SITE, "visitor_id": visitor, "event_type": event_type, "event_data": data,
                "page_url": page(random), "created_at": at.to_string(), "arrival": arrival, "client": client.trim_end(),
            });
            writeln!(lines, "{event}").unwrap();
            let seconds = *random.one_of(&[0, 1, 20, 20, 90, 600, 1_799, 1_800, 2_400]);
            let day = day_of(at);
            at += SignedDuration::from_millis(1_000 * seconds + *random.one_of(&[0, 0, 1, 499, 500, 999]));
            if !named && day_of(at) != day {
                // Without an explicit id, the next UTC day makes another visitor.
                visitor = uuid();
            }
        }
    }
    lines
}

/// Source, channel, referrer and the five parts of a campaign.
const ARRIVALS: [&str; 6] = [
    "",
    "Google\tOrganic Search\twww.google.com/",
    "news.example\tReferral\tnews.example/item",
    "=1+1\tEmail\t\t=1+1\temail\tspring",
    "say \"hi\", now\tReferral\t\tsay \"hi\", now",
    "Google\tPaid Search\t\tgoogle\tcpc\tspring\theader\tshoes",
];

/// Country, region, city, language, device, browser, its version, system, its version, screen;
/// behind them comes whether the visitor is explicit.
const CLIENTS: [&str; 5] = [
    "FR\tFR-IDF\tParis\tfr\tdesktop\tFirefox\t140\tLinux\t\tL\t",
    "BE\t\t\tfr\tmobile\tSafari\t18\tiOS\t18.5\tXS\t",
    "DE\tDE-BE\tBerlin\tde\tdesktop\tChrome\t139\tWindows\t11\tXL\t",
    "\t\t\ten\ttablet\tChrome\t138\tAndroid\t14\tS\t",
    "\t\t\t\t\t\t\t\t\t\t",
];

fn page(random: &mut Random) -> String {
    let host = *random.one_of(&["", "", "https://cv.example", "https://docs.cv.example"]);
    format!("{host}{}", random.one_of(&PAGES))
}

fn action(random: &mut Random) -> (&'static str, Value) {
    let number = random.below(100);
    let seats = random.one_of(&[json!(3), json!(3.0), json!("3"), json!(2.5), json!("")]).clone();
    match random.below(12) {
        0 => (
            "signup",
            json!({"plan": random.one_of(&["pro", "free"]), "seats": seats, "paid": number.is_multiple_of(2),
            "quote": random.one_of(&["a,b", "=2", "-1", "line\nbreak", "plain"]), "deep": [number]}),
        ),
        1 => ("scroll", json!({"depth": number, "visible_seconds": number % 40})),
        2 => ("hover", json!({"visible_seconds": 1 + number % 9})),
        3 => ("button_click", json!({"element": "cta", "x": number, "y": 5})),
        4 => ("letter_generate", json!({"letter_type": random.one_of(&["motivation", "anti_motivation"])})),
        5 => ("cv_theme_change", json!({"theme": random.one_of(&["ai", "backend"])})),
        6 => ("newsletter:open", json!({"seats": seats})),
        _ => ("page_view", json!({})),
    }
}

/// What browsers send today.
fn arriving(random: &mut Random) -> Vec<Value> {
    let visitors: Vec<String> = (0..12).map(|_| uuid()).collect();
    (0..120)
        .map(|_| {
            let (event_type, event_data) = action(random);
            let at = Timestamp::now() - SignedDuration::from_millis(60_000 + random.below(80_000_000) as i64);
            json!({
                "event_type": event_type, "event_data": event_data, "site": SITE, "page_url": page(random),
                "visitor_id": random.one_of(&visitors), "event_id": uuid(), "timestamp": at.to_string(),
                "referrer": "https://www.google.com/", "context": {"timezone": "Europe/Paris", "screen_width": 1_000},
            })
        })
        .collect()
}
