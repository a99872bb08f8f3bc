//! Events and questions to test with: few distinct values of each kind, so that they meet.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::facts::{Arrival, ArrivalFields, Client, ClientFields, Facts};
use super::question::funnel::{Funnel, StepOrder, Within};
use super::question::{Buckets, Dimension, Field, Filter, Goal, Goals, Leaf, Metric, Question, Range, Test, TimeUnit};
use super::zone::Zone;
use crate::event::{Event, EventData};
use crate::event_type::EventType;
use crate::site::Site;
use crate::time::{DAY, Day};
use crate::url::Url;

/// The first of the days on which samples happen.
pub(super) const FIRST_DAY: i32 = 20_000;

pub(super) fn day(number: i32) -> Day {
    Day::from_number(FIRST_DAY + number)
}

/// An event on a page, `millis` after the start of the first day.
pub(super) fn event(id: u64, visitor: u64, millis: i64, event_type: &str, page: &str) -> Event {
    Event {
        id: Uuid::from_u64_pair(0x0190, id),
        site: Site::default(),
        visitor: Uuid::from_u64_pair(0xfeed, visitor).into(),
        event_type: EventType::parse(event_type).unwrap(),
        data: EventData::EMPTY,
        page_url: (!page.is_empty()).then(|| Url::new(page)),
        referrer: None,
        created_at: day(0).start().plus(millis),
        facts: Facts::default(),
    }
}

pub(super) fn with_data(mut event: Event, data: &Value) -> Event {
    event.data = EventData::new(data.as_object().unwrap_or(&Map::new())).unwrap();
    event
}

pub(super) fn from(mut event: Event, arrival: &ArrivalFields<'_>, client: &ClientFields<'_>) -> Event {
    event.facts = Facts { arrival: Arrival::new(arrival), client: Client::new(client) };
    event
}

/// Events of three days, each with an id of its own.
pub(super) fn events() -> impl Strategy<Value = Vec<Event>> {
    let one = (
        (0_u64..7, 0_i64..3, prop_oneof![0_i64..180, 1_380_i64..1_440], 0_i64..4),
        0_usize..9,
        0_usize..5,
        (0_usize..4, 0_usize..3, 0_usize..3),
        any::<u8>(),
    );
    prop::collection::vec(one, 0..60).prop_map(|list| {
        let made =
            (0..).zip(list).map(|(id, ((visitor, day, minute, rest), kind, page, (source, country, prop), more))| {
                // Times on the minute meet the edges of visits, hours and ranges; a few lie between them.
                let millis = day * DAY + minute * 60_000 + if rest == 0 { 500 } else { 0 };
                let types =
                    ["page_view", "page_view", "page_view", "scroll", "scroll", "hover", "click", "signup", "buy"];
                let pages = ["https://a.example/", "/blog", "/blog/x", "https://b.example/blog", ""];
                let data = match types[kind] {
                    "scroll" => json!({"depth": more % 101, "visible_seconds": f64::from(more % 7) / 2.0}),
                    "hover" => json!({"visible_seconds": more % 5}),
                    "click" => json!({"x": 10, "y": more % 100, "element": if prop == 0 { "cta" } else { "menu" }}),
                    _ => [json!({}), json!({"k": 1.0}), json!({"k": "b", "theme": "dark"})][prop].clone(),
                };
                let source = ["Direct / None", "Google", "News", "Google"][source];
                let explicit = visitor < 3;
                // Cookieless visitors have a new id every day.
                let visitor = if explicit { visitor } else { visitor + 100 * day as u64 };
                from(
                    with_data(event(id, visitor, millis, types[kind], pages[page]), &data),
                    &ArrivalFields { source, ..ArrivalFields::default() },
                    &ClientFields { country: ["", "FR", "DE"][country], explicit, ..ClientFields::default() },
                )
            });
        made.collect()
    })
}

pub(super) fn property() -> Dimension {
    Dimension::Property("k".into())
}

pub(super) fn is(dimension: Dimension, values: &[&str]) -> Filter {
    let mut values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
    values.sort();
    Filter::Leaf(Leaf { dimension, test: Test::Is(values), case_sensitive: true })
}

pub(super) fn contains(dimension: Dimension, value: &str) -> Filter {
    Filter::Leaf(Leaf { dimension, test: Test::Contains(vec![value.to_owned()]), case_sensitive: true })
}

pub(super) fn field(field: Field) -> Dimension {
    Dimension::Field(field)
}

fn event_leaf() -> impl Strategy<Value = Filter> {
    prop::sample::select(vec![
        is(field(Field::Page), &["/blog"]),
        is(field(Field::Page), &["/", ""]),
        contains(field(Field::Page), "/blog"),
        is(field(Field::Hostname), &["a.example"]),
        is(property(), &["1"]),
        is(property(), &[""]),
        is(field(Field::EventName), &["signup", "scroll"]),
        is(field(Field::Element), &["cta"]),
    ])
}

fn visit_leaf() -> impl Strategy<Value = Filter> {
    prop::sample::select(vec![
        is(field(Field::Country), &["FR"]),
        is(field(Field::Source), &["Google", "News"]),
        is(field(Field::EntryPage), &["/blog", ""]),
        contains(field(Field::ExitPage), "x"),
    ])
}

fn tree(leaf: impl Strategy<Value = Filter> + 'static) -> impl Strategy<Value = Filter> {
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 1..3).prop_map(Filter::Or),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
}

pub(super) fn filters() -> impl Strategy<Value = Vec<Filter>> {
    let has_done = tree(event_leaf()).prop_map(|filter| Filter::HasDone(Box::new(filter)));
    let leaf = prop_oneof![3 => event_leaf(), 3 => visit_leaf(), 1 => has_done];
    prop::collection::vec(tree(leaf), 0..3)
}

pub(super) fn range() -> impl Strategy<Value = Range> {
    let whole = (0_i64..3, 1_i64..4).prop_map(|(day, days)| (day * DAY, (day + days).min(3) * DAY));
    let minute = || prop_oneof![0_i64..180, 1_380_i64..1_440];
    let any =
        (0_i64..3, minute(), 0_i64..3, minute()).prop_map(|(a, b, c, d)| (a * DAY + b * 60_000, c * DAY + d * 60_000));
    prop_oneof![2 => whole, 1 => any].prop_map(|(a, b)| {
        let at = |millis: i64| day(0).start().plus(millis);
        Range { start: at(a.min(b)), end: at(a.max(b)) }
    })
}

/// Questions of every shape.
pub(super) fn questions() -> impl Strategy<Value = Question> {
    let dimensions = prop::sample::subsequence(
        vec![
            field(Field::Page),
            field(Field::Hostname),
            field(Field::EventName),
            property(),
            field(Field::Source),
            field(Field::Country),
            field(Field::EntryPage),
            field(Field::ExitPageHostname),
            Dimension::Goal,
            Dimension::Time(TimeUnit::Day),
            Dimension::Time(TimeUnit::Hour),
            Dimension::Time(TimeUnit::HourOfDay),
        ],
        0..=2,
    );
    let goals = prop_oneof![
        Just(Goals::CustomEvents),
        Just(Goals::Configured(vec![
            Goal { name: "Visit /blog*".to_owned(), filter: contains(field(Field::Page), "/blog") },
            Goal { name: "signup".to_owned(), filter: is(field(Field::EventName), &["signup"]) },
        ])),
    ];
    (filters(), filters(), dimensions, goals, range(), any::<bool>()).prop_map(
        |(filters, conversion_base, dimensions, goals, range, reports_are_events)| {
            let units = dimensions.iter().filter_map(|dimension| match dimension {
                Dimension::Time(unit) => Buckets::new(*unit, range, &Zone::UTC),
                _ => None,
            });
            Question {
                site: Site::default(),
                metrics: Metric::ALL.to_vec(),
                buckets: units.collect(),
                dimensions,
                entry_filters: filters.iter().filter(|filter| is_of_pages(filter)).cloned().collect(),
                filters,
                conversion_base,
                reports_are_events,
                goals,
                range,
                zone: Zone::UTC,
                order_by: Vec::new(),
                limit: 100,
                offset: 0,
            }
        },
    )
}

/// Funnels of every shape.
pub(super) fn funnels() -> impl Strategy<Value = Funnel> {
    let within = prop_oneof![
        Just(Within::Visit),
        prop::sample::select(vec![60, 3_600, 86_400, 200_000]).prop_map(Within::Seconds)
    ];
    let order = prop_oneof![Just(StepOrder::Sequential), Just(StepOrder::Strict)];
    let dimension = prop::option::of(prop::sample::select(vec![field(Field::Page), field(Field::Source), property()]));
    let steps = prop::collection::vec(prop_oneof![3 => event_leaf(), 1 => tree(event_leaf())], 2..4);
    (steps, order, within, filters(), any::<bool>(), dimension, range()).prop_map(
        |(steps, order, within, filters, reports_are_events, dimension, range)| Funnel {
            site: Site::default(),
            steps,
            order,
            within,
            filters,
            reports_are_events,
            dimension,
            range,
            limit: 1_000,
        },
    )
}

fn is_of_pages(filter: &Filter) -> bool {
    match filter {
        Filter::And(filters) | Filter::Or(filters) => filters.iter().all(is_of_pages),
        Filter::Not(filter) => is_of_pages(filter),
        Filter::HasDone(_) => false,
        Filter::Leaf(leaf) => leaf.dimension == field(Field::Page),
    }
}
