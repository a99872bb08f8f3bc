//! What must hold always: any events give the same segment in whatever order they arrive, and any
//! question has the answer that a naive recount has.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::closed::ClosedDay;
use super::columns::{Column, Columns, MOST_VALUES};
use super::head::{AsPart, Head, Part};
use super::naive::Naive;
use super::query::{Context, FunnelQuery, Query};
use super::question::{Field, Number, Question, ResultRow};
use super::samples::{day, event, events, funnels, questions, with_data};
use super::scan::{Work, answer, funnel};
use super::segment::Segment;
use super::summary::{Origin, Summary};
use crate::event::Event;

/// Scans of all tests number visitors together.
pub(super) static UNBOUNDED: LazyLock<Work<'static>> =
    LazyLock::new(|| Work { memory: usize::MAX, stopped: &|| false, visitors: Arc::default() });

/// When visitors are sealed: after each event those whose rows all came before a row, if it has one.
type Seals = Vec<Option<usize>>;

fn seals() -> impl Strategy<Value = Seals> {
    prop::collection::vec(prop::option::weighted(0.3, 0_usize..40), 60)
}

/// Adds events one after another, as they are read from a store.
fn open_day(mut head: Head, events: &[Event], seals: &Seals) -> Arc<Head> {
    for (at, event) in events.iter().enumerate() {
        for (visitor, instant) in head.reopen([event]) {
            head.forget(visitor, instant);
            let known = events[..at].iter();
            head.extend(known.filter(|known| known.visitor == visitor && known.created_at == instant));
        }
        assert!(!head.has(event) && head.len() <= at);
        head.extend([event]);
        if let Some(before) = seals.get(at).copied().flatten() {
            head.seal(before);
        }
    }
    Arc::new(head)
}

/// A part of an open day.
struct OpenPart(Arc<Head>, usize);

impl AsPart for OpenPart {
    fn part(&self) -> Part<'_> {
        self.0.part_at(self.1)
    }
}

fn parts(head: &Arc<Head>) -> impl Iterator<Item = Box<dyn Columns>> {
    (0..head.count_parts()).map(|part| Box::new(OpenPart(Arc::clone(head), part)) as Box<dyn Columns>)
}

/// The three days of samples: the first closed, the second open, the third closed.
fn days(events: &[Event], seals: &Seals) -> Vec<Box<dyn Columns>> {
    let of_day = |number| events.iter().filter(move |event| event.created_at.day() == day(number));
    let open: Vec<Event> = of_day(1).cloned().collect();
    let mut days: Vec<Box<dyn Columns>> = parts(&open_day(Head::new(day(1)), &open, seals)).collect();
    days.insert(0, Box::new(Segment::build(day(0), of_day(0))));
    days.push(Box::new(Segment::build(day(2), of_day(2))));
    days
}

fn scanned(question: &Question, days: &[Box<dyn Columns>]) -> Vec<ResultRow> {
    let mut rows = answer(question, days, &UNBOUNDED).unwrap().rows;
    rows.sort_by(|a, b| a.dimensions.cmp(&b.dimensions));
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn answers_equal_a_naive_recount(
        events in events().prop_shuffle(),
        seals in seals(),
        questions in prop::collection::vec(questions(), 4),
    ) {
        let (days, naive) = (days(&events, &seals), Naive::new(&events));
        for question in questions {
            prop_assert_eq!(scanned(&question, &days), naive.answer(&question), "{:#?}", question);
        }
    }

    #[test]
    fn funnels_equal_a_naive_recount(
        events in events().prop_shuffle(),
        seals in seals(),
        funnels in prop::collection::vec(funnels(), 4),
    ) {
        let (days, naive) = (days(&events, &seals), Naive::new(&events));
        for funnel in funnels {
            let (answer, _) = funnel::answer(&funnel, &days, &UNBOUNDED).unwrap();
            let rows: BTreeMap<String, Vec<(u64, Option<Number>)>> = answer
                .rows
                .into_iter()
                .map(|row| {
                    let steps = row.steps.iter().map(|step| (step.visitors, step.median_seconds));
                    (row.value.unwrap_or_default(), steps.collect())
                })
                .collect();
            let median = |times: &[i64]| {
                let middle = times.get(times.len() / 2)? + times[(times.len() - 1) / 2];
                Number::ratio(middle.into(), 2_000, 0)
            };
            let expected: BTreeMap<_, Vec<_>> = naive
                .funnel(&funnel)
                .into_iter()
                .map(|(value, steps)| (value, steps.iter().map(|(visitors, times)| (*visitors, median(times))).collect()))
                .collect();
            prop_assert_eq!(rows, expected, "{:#?}", funnel);
        }
    }

    #[test]
    fn the_values_that_are_kept_do_not_depend_on_who_is_sealed(
        events in events().prop_shuffle(),
        seals in seals(),
        most in 1_usize..4,
        questions in prop::collection::vec(questions(), 4),
    ) {
        let of_day: Vec<Event> = events.into_iter().filter(|event| event.created_at.day() == day(1)).collect();
        let days = |seals| parts(&open_day(Head::with_cap(day(1), most), &of_day, seals)).collect::<Vec<_>>();
        let (whole, sealed) = (days(&Seals::new()), days(&seals));
        for question in questions {
            prop_assert_eq!(scanned(&question, &sealed), scanned(&question, &whole), "{:#?}", question);
        }
    }

    #[test]
    fn a_segment_is_the_same_in_whatever_order_events_arrive(events in events().prop_shuffle(), parts in 1_usize..5) {
        let mut sorted = events.clone();
        sorted.sort_by_key(|event| event.id);
        let mut head = Head::new(day(0));
        // Batches that overlap, as they do when a log is read while it grows.
        for part in 0..parts {
            let batch = events.len() * part / parts..(events.len() * (part + 1) / parts + 3).min(events.len());
            head.extend(&events[batch]);
        }
        let segment = Segment::build(day(0), &sorted);
        let of_head = Segment::of(&head);
        prop_assert_eq!(segment.block(), of_head.block());
        prop_assert!(Segment::open(segment.block().to_vec().into()).is_ok());
    }

    #[test]
    fn a_day_in_several_segments_is_the_same_whatever_was_sealed(
        events in events().prop_shuffle(),
        seals in seals(),
        most in 1_usize..20,
        questions in prop::collection::vec(questions(), 4),
    ) {
        let of_day: Vec<Event> = events.into_iter().filter(|event| event.created_at.day() == day(1)).collect();
        let sealed = || Arc::into_inner(open_day(Head::new(day(1)), &of_day, &seals)).unwrap();
        let mut sorted = of_day.clone();
        sorted.sort_by_key(|event| event.id);
        let mut head = Head::new(day(1));
        head.extend(&sorted);
        let (one, several) = (Segment::of(&head), ClosedDay::with_most(head, most));
        let (again, whole) = (ClosedDay::with_most(sealed(), most), ClosedDay::of(sealed()));
        prop_assert_eq!(again.block(), several.block());
        prop_assert_eq!(whole.block(), one.block());
        prop_assert_eq!(several.events(), of_day.len());
        for question in questions {
            let of_one: Vec<Box<dyn Columns>> = vec![Box::new(one.clone())];
            let of_several: Vec<Box<dyn Columns>> =
                several.segments().iter().map(|segment| Box::new(segment.clone()) as Box<dyn Columns>).collect();
            prop_assert_eq!(scanned(&question, &of_several), scanned(&question, &of_one), "{:#?}", question);
        }
        let summary = |segments: &[Segment]| Summary::of(segments, Origin::Stored).unwrap().block().to_vec();
        prop_assert_eq!(summary(several.segments()), summary(&[one]));
        let block = several.block();
        prop_assert!(ClosedDay::open(block[..block.len() - 1].to_vec().into()).is_err());
    }

    #[test]
    fn damaged_segments_are_refused(events in events(), at in any::<prop::sample::Index>(), bit in 0_u8..8, question in questions()) {
        let mut bytes = Segment::build(day(0), &events).block().to_vec();
        prop_assert!(Segment::open(bytes.clone().into()).is_ok());
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Segment::open(bytes.clone().into()).is_err());
        prop_assert!(Segment::open(bytes[..at].to_vec().into()).is_err());
        // Also with a checksum that fits, whatever is read is an error or an answer.
        bytes[at] ^= 1 << bit;
        let at = 9 + at % (bytes.len() - 9);
        bytes[at] ^= 1 << bit;
        let sum = crc32fast::hash(&bytes[9..]).to_le_bytes();
        bytes[5..9].copy_from_slice(&sum);
        if let Ok(segment) = Segment::open(bytes.into()) {
            let _ = answer(&question, &[&segment], &UNBOUNDED);
        }
    }
}

#[test]
fn a_report_belongs_to_the_visit_that_begins_in_the_same_millisecond() {
    for (view, report) in [(1, 2), (2, 1)] {
        let events = [event(view, 1, 5, "page_view", "/"), event(report, 1, 5, "scroll", "/")];
        let mut head = Head::new(day(0));
        events.iter().for_each(|event| head.extend([event]));
        for columns in [&head as &dyn Columns, &Segment::build(day(0), &events)] {
            let visits = columns.visits().unwrap();
            let visits = visits.all.iter().filter(|visit| visit.events + visit.reports > 0);
            let visits: Vec<(u32, u32)> = visits.map(|visit| (visit.events, visit.reports)).collect();
            assert_eq!(visits, [(1, 1)], "the view has id {view}");
        }
        assert_eq!(Naive::new(&events).visits.len(), 1);
        assert_eq!(Naive::new(&events).visits[0].members.len(), 2);
    }
}

/// Rows are marked and visits searched eight at a time, so there are more of both.
#[test]
fn long_visits_and_many_reports_are_counted_like_short_ones() {
    let (mut events, mut id) = (Vec::new(), 0);
    let mut add = |visitor: u64, time: i64, name: &str, page: u64| {
        id += 1;
        events.push(event(id, visitor, time, name, &format!("/{page}")));
    };
    for visitor in 0..30_u64 {
        let start = visitor as i64 * 40;
        // Reports before the first visit belong to none.
        (0..visitor % 12).for_each(|report| add(visitor, start + report as i64, "scroll", report));
        (0..1 + visitor % 25).for_each(|view| add(visitor, start + 20 + view as i64, "page_view", view));
        (0..visitor % 19).for_each(|report| add(visitor, start + 50 + report as i64, "scroll", report));
        (0..visitor % 3).for_each(|view| add(visitor, start + 4_000_000 + view as i64, "page_view", view));
    }
    let (days, naive) = (days(&events, &Seals::new()), Naive::new(&events));
    let context = Context::at(day(1).start());
    let is = |page: &str| serde_json::json!(["is", "event:page", [page]]);
    for filters in [serde_json::json!([]), serde_json::json!([is("/7")]), serde_json::json!([["has_done", is("/20")]])]
    {
        for reports_are_events in [false, true] {
            let query = serde_json::json!({
                "metrics": ["visitors"], "dimensions": ["event:page"], "filters": filters,
                "date_range": [day(0).to_string(), day(0).to_string()],
            });
            let mut question = Query::parse(&query, &context).unwrap().question;
            question.reports_are_events = reports_are_events;
            assert_eq!(scanned(&question, &days), naive.answer(&question), "{filters} {reports_are_events}");
        }
    }
    let query =
        serde_json::json!({"date_range": [day(0).to_string(), day(0).to_string()], "steps": [is("/9"), is("/20")]});
    let funnel = FunnelQuery::parse(&query, &context).unwrap().funnel;
    let (answer, _) = funnel::answer(&funnel, &days, &UNBOUNDED).unwrap();
    let expected: Vec<u64> = naive.funnel(&funnel)[""].iter().map(|(visitors, _)| *visitors).collect();
    assert_eq!(answer.rows[0].steps.iter().map(|step| step.visitors).collect::<Vec<_>>(), expected);
}

#[test]
fn the_most_frequent_values_are_kept() {
    let mut events: Vec<Event> = Vec::new();
    for (page, count) in [("/a", 3), ("/b", 2), ("/c", 2), ("/d", 1)] {
        for _ in 0..count {
            let id = events.len() as u64;
            events.push(with_data(event(id, id, id as i64, "page_view", page), &serde_json::json!({ page: page })));
        }
    }
    let mut head = Head::with_cap(day(0), 2);
    head.extend(&events);
    let segment = Segment::of(&head);
    for columns in [&head as &dyn Columns, &segment] {
        let page = super::samples::field(super::question::Field::Page);
        let (texts, capped) = columns.texts(&page).unwrap();
        assert!(capped);
        let mut texts: Vec<&str> = texts.iter().collect();
        texts.sort_unstable();
        assert_eq!(texts, ["", "(other)", "/a", "/b"]);
        assert!(columns.property_names_capped());
    }
}

#[test]
fn built_in_types_are_kept_however_many_are_invented() {
    let types = ["page_view", "a", "a", "b", "b", "letter_generate", "c"];
    let events = (0..).zip(types).map(|(id, event_type)| event(id, id, id as i64, event_type, "/"));
    let mut head = Head::with_cap(day(0), 3);
    head.extend(&events.collect::<Vec<_>>());
    for columns in [&head as &dyn Columns, &Segment::of(&head)] {
        let (texts, _) = columns.texts(&super::samples::field(Field::EventName)).unwrap();
        let mut texts: Vec<&str> = texts.iter().collect();
        texts.sort_unstable();
        assert_eq!(texts, ["", "(other)", "a", "letter_generate", "page_view"]);
    }
}

/// Senders' clocks may be five minutes ahead: before midnight, a day can be filled that has not begun.
#[test]
fn a_day_that_was_filled_before_it_began_counts_what_happens_on_it() {
    let invented = |number: u64| event(number, 1, number as i64, &format!("invented{number}"), &format!("/x/{number}"));
    let invented: Vec<Event> = (0..=MOST_VALUES as u64).map(invented).collect();
    let real = |number: u64| {
        let event_type = if number.is_multiple_of(2) { "page_view" } else { "signup" };
        event(100_000 + number, number, 600_000 + number as i64, event_type, "/real")
    };
    let real: Vec<Event> = (0..6).map(real).collect();
    let mut head = Head::new(day(0));
    head.extend(&invented);
    assert!(head.is_capped());
    head.extend(&real);
    let segment = Segment::of(&head);
    for columns in [&head as &dyn Columns, &segment] {
        for (field, kept) in [(Field::EventName, "signup"), (Field::EventName, "page_view"), (Field::Page, "/real")] {
            let dimension = super::samples::field(field);
            let (texts, capped) = columns.texts(&dimension).unwrap();
            let (mut numbers, number) = (Vec::new(), texts.iter().position(|text| text == kept));
            columns.numbers(Column::Value(&dimension), &columns.visits().unwrap().all, &mut numbers).unwrap();
            let count = numbers.iter().filter(|value| Some(**value as usize) == number).count();
            assert_eq!((capped, count), (true, if kept == "/real" { 6 } else { 3 }), "{kept}");
        }
    }
}

#[test]
fn an_open_day_takes_few_bytes_an_event() {
    let views = |visitors: u64| (0..3 * visitors).map(|id| event(id, id / 3, id as i64 * 500, "page_view", "/"));
    for visitors in [10_000, 20_000, 40_000] {
        let events: Vec<Event> = views(visitors).collect();
        let mut head = Head::new(day(0));
        events.chunks(2_000).for_each(|batch| head.extend(batch));
        let bytes = head.memory() / head.len();
        // Ids of events and visitors are 21 of them.
        assert!((60..=84).contains(&bytes), "{bytes} bytes an event of {visitors} visitors");
        let before = head.memory();
        head.seal(head.len());
        let bytes = head.memory() / head.len();
        // Ids of visitors, and where they are, are nearly all of them: events of samples differ little.
        assert!((7..=9).contains(&bytes), "{bytes} bytes an event, {before} bytes before");
    }
}

#[test]
fn a_scan_stops_when_it_is_told_to_or_needs_too_much() {
    use super::scan::ScanError;
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut question = questions().new_tree(&mut runner).unwrap().current();
    (question.range.start, question.range.end) = (day(0).start(), day(1).start());
    let segment = Segment::build(day(0), &[event(1, 1, 1, "page_view", "/")]);
    let scan = |memory, stopped: bool| {
        let work = Work { memory, stopped: &|| stopped, visitors: Arc::default() };
        answer(&question, &[&segment], &work).err()
    };
    assert_eq!(scan(usize::MAX, true), Some(ScanError::Stopped));
    assert_eq!(scan(1, false), Some(ScanError::TooLarge));
    assert_eq!(scan(usize::MAX, false), None);
}
