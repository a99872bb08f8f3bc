//! Made-up events of a day, the same every time.

use common::event::{Event, EventData};
use common::event_type::EventType;
use common::measure::facts::{Arrival, ArrivalFields, Client, ClientFields, Facts};
use common::site::Site;
use common::time::{DAY, Day};
use common::url::Url;
use serde_json::json;
use uuid::Uuid;

/// How many days have events.
pub(crate) const DAYS: u64 = 90;
const PAGES: u64 = 2_000;
const VIEWS_A_VISIT: u64 = 4;
/// The first half of the id of a visitor who returns; that of all others is greater.
pub(crate) const RETURNING: u64 = 1;

/// Numbers that look random.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((u128::from(self.0 >> 16) * u128::from(bound)) >> 48) as u64
    }

    /// A tenth of the numbers below `bound` comes nine times out of ten.
    fn often_small(&mut self, bound: u64) -> u64 {
        if self.below(10) < 9 { self.below((bound / 10).max(1)) } else { self.below(bound) }
    }

    fn one_of(&mut self, texts: &[&'static str]) -> &'static str {
        texts[self.below(texts.len() as u64) as usize]
    }
}

/// The path of a page.
pub(crate) fn page(number: u64) -> String {
    format!("/blog/a-page-about-something-{number}")
}

/// The name of a source; two are no name.
pub(crate) fn source(number: u64) -> String {
    format!("source{number}.example")
}

/// The events of a day: visits of 1 to 7 events, most of them page views, with a few clicks and reports.
/// Nine tenths of the visitors are cookieless, one tenth has an id and returns.
pub(crate) fn of_day(day: Day, count: u64, random: &mut Random) -> Vec<Event> {
    let returning = (count * DAYS / VIEWS_A_VISIT / 10 / 5).max(1);
    let mut events = Vec::with_capacity(count as usize + 8);
    let mut visitors = 0;
    while (events.len() as u64) < count {
        visitors += 1;
        let explicit = random.below(10) == 0;
        let visitor = match explicit {
            true => Uuid::from_u64_pair(RETURNING, random.below(returning)),
            false => Uuid::from_u64_pair(2 + day.number() as u64, visitors),
        };
        let facts = Facts { arrival: arrival(random), client: client(explicit, random) };
        let mut time = random.below(DAY as u64 - 4 * 3_600_000);
        for _ in 0..1 + random.below(2 * VIEWS_A_VISIT - 1) {
            let (name, data) = match random.below(20) {
                0 => ("button_click", json!({"x": random.below(100), "y": random.below(100), "element": "cta"})),
                1 => ("signup", json!({"plan": random.one_of(&["free", "plus"])})),
                2 | 3 => ("scroll", json!({"depth": random.below(101), "visible_seconds": random.below(120)})),
                _ => ("page_view", json!({})),
            };
            let at = day.start().plus(time as i64);
            let address = format!("https://example.com{}", page(random.often_small(PAGES)));
            events.push(Event {
                id: Uuid::from_u64_pair((at.millis() as u64) << 16 | 0x7000, 1 << 63 | events.len() as u64),
                site: Site::default(),
                visitor: visitor.into(),
                event_type: EventType::parse(name).expect("a name"),
                data: data.as_object().map_or(EventData::EMPTY, |data| EventData::new(data).expect("data")),
                page_url: Some(Url::new(&address)),
                referrer: None,
                created_at: at,
                facts: facts.clone(),
            });
            time += 1_000 + random.below(120_000);
        }
    }
    events
}

fn arrival(random: &mut Random) -> Arrival {
    let number = random.often_small(60);
    let name = source(number);
    let from = ArrivalFields { source: &name, channel: "Referral", referrer: &name, ..ArrivalFields::default() };
    if number < 2 { Arrival::default() } else { Arrival::new(&from) }
}

fn client(explicit: bool, random: &mut Random) -> Client {
    let countries = ["FR", "DE", "US", "GB", "CA", "BE", "CH", "ES", "IT", "NL"];
    Client::new(&ClientFields {
        country: countries[random.often_small(100) as usize % 10],
        language: random.one_of(&["fr", "en", "de", "es"]),
        device: random.one_of(&["desktop", "mobile", "tablet"]),
        browser: random.one_of(&["Chrome", "Firefox", "Safari", "Edge"]),
        browser_version: random.one_of(&["128", "129", "130", "131", "132"]),
        os: random.one_of(&["Windows", "Android", "iOS", "Mac OS X", "Linux"]),
        os_version: random.one_of(&["10", "11", "14", "15", "17", "18"]),
        screen: random.one_of(&["S", "M", "L", "XL"]),
        explicit,
        ..ClientFields::default()
    })
}
