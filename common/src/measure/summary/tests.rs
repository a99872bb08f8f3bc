//! Answers from summaries equal a naive recount of each day.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::expired::Expired;
use super::plan::{Impossible, Plan};
use super::{Origin, Summary};
use crate::event::Event;
use crate::measure::naive::Naive;
use crate::measure::question::{
    Buckets, Dimension, Direction, Field, Filter, Goals, Metric, Number, OrderKey, Question, Range, TimeUnit,
};
use crate::measure::samples::{contains, day, event, events, field, filters, is, property, questions, with_data};
use crate::measure::scan::answer_after;
use crate::measure::segment::Segment;
use crate::measure::tests::UNBOUNDED;
use crate::measure::zone::Zone;
use crate::site::Site;

/// Metrics that add up over days.
const ADDED: [Metric; 4] = [Metric::Visitors, Metric::Visits, Metric::Pageviews, Metric::Events];

fn of_day(events: &[Event], number: i32) -> Segment {
    Segment::build(day(number), events.iter().filter(|event| event.created_at.day() == day(number)))
}

fn summary(events: &[Event], number: i32) -> Summary {
    Summary::of(&[of_day(events, number)], Origin::Stored).unwrap()
}

fn dimensions() -> Vec<Dimension> {
    let fields = [
        Field::Page,
        Field::Hostname,
        Field::EventName,
        Field::Element,
        Field::Theme,
        Field::Source,
        Field::Country,
        Field::EntryPage,
        Field::ExitPage,
        Field::ExitPageHostname,
    ];
    fields.map(field).into_iter().chain([property(), Dimension::Goal]).collect()
}

/// Conditions on one dimension.
fn conditions(dimension: &Dimension) -> impl Strategy<Value = Vec<Filter>> + use<> {
    let values = ["/blog", "", "/", "Google", "FR", "signup", "scroll", "a.example", "1", "cta", "dark"];
    let of = dimension.clone();
    let leaf = prop_oneof![
        3 => prop::sample::select(values.to_vec()).prop_map({ let of = of.clone(); move |value| is(of.clone(), &[value]) }),
        1 => prop::sample::subsequence(values.to_vec(), 2).prop_map({ let of = of.clone(); move |values| is(of.clone(), &values) }),
        1 => prop::sample::select(vec!["/b", "o", ""]).prop_map(move |text| contains(of.clone(), text)),
    ];
    let tree = leaf.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 1..3).prop_map(Filter::Or),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    });
    prop::collection::vec(tree, 0..3)
}

/// Questions that summaries can answer, or nearly.
fn asked() -> impl Strategy<Value = Question> {
    let time = prop::option::of(prop::sample::select(vec![TimeUnit::Day, TimeUnit::Week, TimeUnit::Month]));
    let of = prop::sample::select(dimensions());
    (of, any::<bool>(), time, 0_i32..3, 1_i32..4, any::<bool>())
        .prop_flat_map(|(dimension, grouped, time, first, days, same_base)| {
            let filtered = match &dimension {
                Dimension::Goal => field(Field::EventName),
                other => other.clone(),
            };
            (Just((dimension, grouped, time, first, days, same_base)), conditions(&filtered))
        })
        .prop_map(|((dimension, grouped, time, first, days, same_base), filters)| {
            let range = Range { start: day(first).start(), end: day((first + days).min(3)).start() };
            let is_name = |dimension: &Dimension| *dimension == field(Field::EventName);
            let mut dimensions: Vec<Dimension> = time.map(Dimension::Time).into_iter().collect();
            let on_names = !filters.is_empty() && (is_name(&dimension) || dimension == Dimension::Goal);
            let is_of_pages = dimension == field(Field::Page);
            let reports_are_events = on_names || (grouped && is_name(&dimension));
            if grouped {
                dimensions.push(dimension);
            }
            Question {
                site: Site::default(),
                metrics: Metric::ALL.to_vec(),
                buckets: time.into_iter().map(|unit| Buckets::new(unit, range, &Zone::UTC).unwrap()).collect(),
                dimensions,
                conversion_base: if same_base { filters.clone() } else { Vec::new() },
                entry_filters: if is_of_pages { filters.clone() } else { Vec::new() },
                filters,
                reports_are_events,
                goals: Goals::CustomEvents,
                range,
                zone: Zone::UTC,
                order_by: vec![(OrderKey::Metric(0), Direction::Descending)],
                limit: 100,
                offset: 0,
            }
        })
}

type Rows = BTreeMap<Vec<String>, Vec<Option<Number>>>;

/// Days before `split` from summaries, the others from their events.
fn answered(question: &Question, events: &[Event], split: i32) -> Result<(Rows, Vec<Metric>), Impossible> {
    let plan = Plan::of(question)?;
    let mut expired = Expired::new(&plan);
    for (day, at) in question.expired(day(-5)..day(split)) {
        let number = (0..3).find(|number| self::day(*number) == day).unwrap();
        let summary = summary(events, number);
        let totals = Summary::open(summary.totals_block()).unwrap();
        expired.add(&plan, if plan.is_of_totals() { &totals } else { &summary }, at);
    }
    let rest: Vec<Segment> = (split..3).map(|number| of_day(events, number)).collect();
    let answer = answer_after(question, Some(&expired), rest, &UNBOUNDED).unwrap();
    let rows = answer.rows.into_iter().map(|row| (row.dimensions, row.metrics)).collect();
    Ok((rows, plan.unknown))
}

fn recounted(question: &Question, naive: &Naive) -> Rows {
    naive.answer(question).into_iter().map(|row| (row.dimensions, row.metrics)).collect()
}

/// The known metrics of rows that have something in one of them.
fn known(rows: &Rows, unknown: &[Metric]) -> Rows {
    let row = |metrics: &Vec<Option<Number>>| {
        let pairs = Metric::ALL.iter().zip(metrics);
        pairs.filter(|(metric, _)| !unknown.contains(metric)).map(|(_, value)| *value).collect()
    };
    rows.iter().map(|(dimensions, metrics)| (dimensions.clone(), row(metrics))).collect()
}

fn added(rows: &Rows, to: &mut BTreeMap<Vec<String>, [i64; 4]>) {
    for (dimensions, metrics) in rows {
        let sums = to.entry(dimensions.clone()).or_default();
        for (sum, metric) in sums.iter_mut().zip(ADDED) {
            let place = Metric::ALL.iter().position(|other| *other == metric).unwrap();
            *sum += metrics[place].map_or(0, |number| number.scaled());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_day_is_answered_as_from_its_events(events in events(), questions in prop::collection::vec(asked(), 6)) {
        let naive = Naive::new(&events);
        for mut question in questions {
            question.range.end = question.range.start.day().plus(1).start();
            let Ok((rows, unknown)) = answered(&question, &events, 3) else { continue };
            let expected = recounted(&question, &naive);
            prop_assert_eq!(known(&rows, &unknown), known(&expected, &unknown), "{:?} {:#?}", unknown, question);
        }
    }

    #[test]
    fn days_add_up(events in events(), questions in prop::collection::vec(asked(), 6), split in 2_i32..4) {
        let naive = Naive::new(&events);
        for question in questions {
            let Ok((rows, unknown)) = answered(&question, &events, split) else { continue };
            if ADDED.iter().any(|metric| unknown.contains(metric)) {
                continue;
            }
            let (mut sums, mut expected) = (BTreeMap::new(), BTreeMap::new());
            added(&rows, &mut sums);
            for number in 0..3 {
                let mut of_day = question.clone();
                of_day.range.start = question.range.start.max(day(number).start());
                of_day.range.end = question.range.end.min(day(number + 1).start());
                if of_day.range.start < of_day.range.end {
                    added(&recounted(&of_day, &naive), &mut expected);
                }
            }
            prop_assert_eq!(sums, expected, "{:#?}", question);
        }
    }

    #[test]
    fn what_needs_events_is_refused_or_right(events in events(), question in questions(), filters in filters()) {
        let question = Question { filters, ..question };
        let _ = answered(&question, &events, 3);
    }

    #[test]
    fn the_same_events_give_the_same_bytes(events in events().prop_shuffle()) {
        let mut sorted = events.clone();
        sorted.sort_by_key(|event| event.id);
        let (a, b) = (summary(&events, 0), summary(&sorted, 0));
        prop_assert_eq!(a.block(), b.block());
        prop_assert_eq!(a.events(), of_day(&events, 0).events() as u64);
        let opened = Summary::open(a.block().to_vec()).unwrap();
        prop_assert_eq!(opened.totals_block(), b.totals_block());
        for event in &events {
            let id = event.visitor.as_bytes();
            prop_assert!(!a.block().windows(16).any(|bytes| bytes == id), "a visitor is in it");
        }
    }

    #[test]
    fn damaged_summaries_are_refused(events in events(), at in any::<prop::sample::Index>(), bit in 0_u8..8, question in asked()) {
        let mut bytes = summary(&events, 0).block().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Summary::open(bytes.clone()).is_err());
        prop_assert!(Summary::open(bytes[..at].to_vec()).is_err());
        // Also with a checksum that fits, whatever is read is an error or an answer.
        bytes[at] ^= 1 << bit;
        let at = 9 + at % (bytes.len() - 9);
        bytes[at] ^= 1 << bit;
        let sum = crc32fast::hash(&bytes[9..]).to_le_bytes();
        bytes[5..9].copy_from_slice(&sum);
        if let (Ok(summary), Ok(plan)) = (Summary::open(bytes), Plan::of(&question)) {
            Expired::new(&plan).add(&plan, &summary, day(0).start());
        }
    }
}

#[test]
fn many_properties_are_cut_to_those_that_most_events_have() {
    let mut events = Vec::new();
    for number in 0..400_u64 {
        let data = serde_json::json!({ format!("rare{number}"): 1, "often": "x" });
        events.push(with_data(event(number, number, number as i64, "signup", "/"), &data));
    }
    let summary = summary(&events, 0);
    let mut rows = Vec::new();
    let each = |text: &str, counted: &crate::measure::scan::Counted| rows.push((text.to_owned(), counted.visitors));
    assert_eq!(summary.rows(&Dimension::Property("often".into()), each), Ok(true), "some names are lost");
    assert_eq!(rows, [("x".to_owned(), 400)]);
}

#[test]
fn local_days_are_wholly_in_or_out() {
    let paris = Zone::parse("Europe/Paris").unwrap();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut question = proptest::strategy::ValueTree::current(&asked().new_tree(&mut runner).unwrap());
    let local = |number: i32| paris.start_of_day(day(number));
    question.zone = paris.clone();
    let days = |question: &Question| -> Vec<i32> {
        question.expired(day(-100)..day(2)).map(|(of, _)| of.number() - day(0).number()).collect()
    };
    question.range = Range { start: local(0), end: local(3) };
    assert_eq!(days(&question), [0, 1], "the third day is kept");
    question.range = Range { start: local(0).plus(1), end: local(1).plus(1) };
    assert_eq!(days(&question), [1]);
    question.range = Range { start: local(0), end: local(1) };
    assert_eq!(days(&question), [0]);
}
