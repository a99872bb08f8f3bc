//! Recounts of events, naive on purpose: they share nothing with an engine, and with the scan of
//! columns only what is read of one event.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Value, json};

use crate::config::Config;
use crate::cv::{self, theme};
use crate::event::Event;
use crate::measure::naive::Naive;
use crate::measure::query::Query;
use crate::measure::segment::Segment;
use crate::measure::service::Service;
use crate::period::{Period, PeriodKey};
use crate::retention::cutoff;
use crate::site::Site;
use crate::store::{BlockKind, Store, Totals};
use crate::time::{Day, Timestamp};

/// How long events are kept: longer than a heatmap looks back.
pub(super) const RETENTION_DAYS: u32 = 10;
/// The active window, in milliseconds.
const WINDOW: i64 = 300_000;

/// What answers queries about a store whose events are kept for [`RETENTION_DAYS`]. Few visitors of open
/// days stay in a head, so that it answers from pieces too.
pub(super) fn service() -> Service {
    let days = RETENTION_DAYS.to_string();
    Service::new(&Config::from_vars([("ANALYTICS_RETENTION_DAYS".to_owned(), days)]).unwrap()).sealing_early()
}

fn sites(events: &[Event]) -> BTreeSet<Site> {
    events.iter().map(|event| event.site.clone()).collect()
}

fn of_site<'a>(events: &'a [Event], site: &Site) -> Vec<&'a Event> {
    events.iter().filter(|event| event.site == *site).collect()
}

fn periods<'a>(events: &[&'a Event]) -> Vec<(PeriodKey, Vec<&'a Event>)> {
    let mut periods: BTreeMap<PeriodKey, Vec<&Event>> = BTreeMap::new();
    for event in events {
        for period in Period::ALL {
            periods.entry(PeriodKey::of(period, event.created_at.day())).or_default().push(event);
        }
    }
    periods.into_iter().collect()
}

/// The totals of these events.
#[must_use]
pub fn totals(events: &[&Event]) -> Totals {
    let of = |name: &str| events.iter().filter(|event| event.event_type.name() == name).count() as u64;
    let letters = |kind: &str| events.iter().filter(|event| cv::letter_type(event) == Some(kind)).count() as u64;
    let visitors: HashSet<_> = events.iter().map(|event| event.visitor).collect();
    Totals {
        events: events.len() as u64,
        page_views: of("page_view"),
        letters: of("letter_generate"),
        motivation: letters("motivation"),
        anti_motivation: letters("anti_motivation"),
        visitors: visitors.len() as u64,
    }
}

/// The totals of every period, also of events that are not kept any more.
pub(super) async fn totals_of_periods(store: &dyn Store, ever: &[Event]) {
    for site in sites(ever) {
        for (key, within) in periods(&of_site(ever, &site)) {
            assert_eq!(store.totals(&site, key).await.unwrap(), totals(&within), "{site} {key}");
        }
    }
}

/// The events of the days that the retention has not ended for, whether it has deleted the others or not.
fn unexpired(kept: &[Event], now: Timestamp) -> Vec<Event> {
    let first = cutoff(RETENTION_DAYS, now);
    kept.iter().filter(|event| event.created_at.day() >= first).cloned().collect()
}

/// Themes, clicks and current visitors.
pub(super) async fn fixed_questions(service: &Service, store: &dyn Store, kept: &[Event], now: Timestamp) {
    let kept = unexpired(kept, now);
    for site in sites(&kept) {
        let here = of_site(&kept, &site);
        for (key, within) in periods(&here) {
            let mut themes: HashMap<String, u64> = HashMap::new();
            within.iter().filter_map(|event| theme(event)).for_each(|theme| *themes.entry(theme).or_default() += 1);
            let mut themes: Vec<_> = themes.into_iter().collect();
            themes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let days = key.first_day()..key.last_day().plus(1);
            assert_eq!(service.themes(store, &site, days, 100, now).await.unwrap().rows, themes, "{site} {key}");
        }
        let current = here.iter().filter(|event| event.created_at > now.plus(-WINDOW)).map(|event| event.visitor);
        let realtime = store.realtime(&site, now, WINDOW).await.unwrap();
        assert_eq!(realtime.current_visitors, current.collect::<HashSet<_>>().len() as u64, "{site}");
        let hours = now.hour() - 7 * 24..now.hour() + 48;
        let within = |event: &&&Event| hours.contains(&event.created_at.hour());
        let clicks = here.iter().filter(within).filter(|event| event.event_type.is_click()).count();
        let places = service.clicks(store, &site, None, hours.clone(), 10_000, now).await.unwrap();
        assert_eq!(places.iter().map(|place| place.count).sum::<u64>(), clicks as u64, "{site}");
    }
}

/// A few queries with all metrics, filters of all kinds, and days of a zone that are no UTC days.
fn asked() -> [Value; 5] {
    [
        json!({"metrics": ["visitors", "visits", "pageviews", "events", "views_per_visit", "bounce_rate", "visit_duration"]}),
        json!({
            "metrics": ["visitors", "bounce_rate", "visit_duration", "scroll_depth", "time_on_page", "percentage"],
            "dimensions": ["event:page"],
        }),
        json!({
            "metrics": ["visitors", "visits", "events"], "dimensions": ["time:day", "visit:country"],
            "timezone": "Europe/Paris",
        }),
        json!({
            "metrics": ["visitors", "conversion_rate", "group_conversion_rate"], "dimensions": ["visit:entry_page"],
            "filters": [["is", "event:goal", ["custom1", "custom2"]], ["not", ["contains", "event:theme", ["t3"]]]],
        }),
        json!({
            "metrics": ["visitors", "events"], "dimensions": ["event:props:k", "event:name"],
            "filters": [["has_done", ["matches", "event:name", ["^custom"]]], ["is_not", "visit:country", ["DE"]]],
        }),
    ]
}

/// Queries about all days that are kept.
pub(super) async fn queries(service: &Service, store: &dyn Store, kept: &[Event], now: Timestamp) {
    let kept = unexpired(kept, now);
    for site in sites(&kept) {
        let here: Vec<Event> = of_site(&kept, &site).into_iter().cloned().collect();
        let naive = Naive::new(&here);
        for mut asked in asked() {
            asked["site"] = json!(site.as_str());
            asked["date_range"] = json!("all");
            asked["limit"] = json!(10_000);
            let counts = service.counts(store, &site, now).await.unwrap();
            let context = service.context(store, &site, &counts, true, now).await.unwrap();
            let query = Query::parse(&asked, &context).unwrap();
            let (found, _) = service.query(store, &query, &counts, now).await.unwrap();
            let mut found: Vec<_> = found.results.into_iter().map(|row| (row.dimensions, row.metrics)).collect();
            found.sort_by(|a, b| a.0.cmp(&b.0));
            let expected: Vec<_> =
                naive.answer(&query.question).into_iter().map(|row| (row.dimensions, row.metrics)).collect();
            assert_eq!(found, expected, "{asked}");
        }
    }
}

/// The stored columns of closed days are those of their events; queries have stored them.
pub(super) async fn segments(store: &dyn Store, kept: &[Event], now: Timestamp) {
    let kept = unexpired(kept, now);
    for site in sites(&kept) {
        let here = of_site(&kept, &site);
        let yesterday = now.day().plus(-1);
        let days: BTreeSet<Day> =
            here.iter().map(|event| event.created_at.day()).filter(|day| *day < yesterday).collect();
        for day in days {
            let events = here.iter().copied().filter(|event| event.created_at.day() == day);
            let stored = store.blocks(&site, BlockKind::Segment, day..day.plus(1)).await.unwrap().pop();
            let expected = Segment::build(day, events).block().to_vec();
            assert!(stored.is_some_and(|(_, block)| block == expected), "segment of {site} {day}");
        }
    }
}
