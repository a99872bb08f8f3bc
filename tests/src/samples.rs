//! Visits to test queries with: events of all kinds, on many days, with all that is derived of them.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::clock::day_of;
use crate::random::Random;
use crate::uuid;

/// The site that they are of.
pub const SITE: &str = "cv.example";

/// Pages, some of them not in their normal form.
pub const PAGES: [&str; 9] =
    ["/", "/", "/cv", "/cv", "/blog/a", "/blog/b", "/blog/c/", "/caf\u{e9}//x/../menu", "/cv?theme=ai&n=1"];

/// The latest change of clocks in Paris.
fn change_of_clocks() -> Timestamp {
    let paris = TimeZone::get("Europe/Paris").expect("a time zone");
    paris.preceding(Timestamp::now()).next().expect("clocks changed before").timestamp()
}

/// Visits of the last months, and around the change of clocks, as lines of an export.
#[must_use]
pub fn event_lines(random: &mut Random) -> String {
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
            writeln!(lines, "{event}").expect("text can be written");
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
#[must_use]
pub fn arriving(random: &mut Random) -> Vec<Value> {
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
