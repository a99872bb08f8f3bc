//! What the fuzzer calls with arbitrary bytes (`fuzz/`). Each target checks what must hold of any input; a
//! panic is a finding. The tests here run the corpus in `fuzz/corpus/`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "for tests: a panic is a finding")]

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::bots::is_bot;
use crate::event::{Event, EventData, MAX_CLOCK_SKEW, MAX_LATENESS, SentEvent};
use crate::http::Params;
use crate::json::mend;
use crate::measure::columns::{Column, Columns};
use crate::measure::facts::{Facts, Headers, Observed};
use crate::measure::head::Head;
use crate::measure::plausible::{v1, v2};
use crate::measure::query::{Context, FunnelQuery, Query, RetentionQuery, json};
use crate::measure::question::{Answer, Dimension, Field, Question};
use crate::measure::scan::{self, ScanError, Work};
use crate::measure::segment::{Segment, VERSION};
use crate::outcome::Code;
use crate::site::Site;
use crate::time::{DAY, HOUR, Timestamp};
use crate::url::Url;

/// The most bytes of a block whose columns are read: reading takes longer than opening.
const LARGEST_BLOCK: usize = 4 * 1024;
/// The most rows of one. A block of zeros may claim 1,024 rows a byte.
const MOST_ROWS: usize = 100_000;

/// The time in all targets.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::parse("2026-11-28T12:00:00Z").unwrap()
}

/// A body of `POST /event`, which is also taken for the headers of its request.
pub fn event(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let headers = Headers::read(|_| Some(&text), true);
    let _ = is_bot(&text);

    let body = mend(bytes);
    let Ok(raw) = serde_json::from_slice::<&RawValue>(&body) else { return };
    let Ok(sent) = SentEvent::parse(raw.get(), now()) else { return };
    let facts = Facts::derive(&Observed {
        user_agent: &text,
        headers: &headers,
        context: &sent.context,
        place: None,
        explicit: sent.visitor.is_some(),
        page_url: sent.page_url.as_ref(),
        referrer: sent.referrer.as_ref(),
        ad_click: sent.ad_click,
        site: sent.site.as_str(),
        origins: &[],
    });
    let [arrival, client] = facts.stored();
    assert_eq!(Facts::from_text(arrival, client), facts, "facts are bounded when they are derived");

    let created_at = sent.timestamp.unwrap_or(now());
    assert!((now().plus(-MAX_LATENESS)..=now().plus(MAX_CLOCK_SKEW)).contains(&created_at));
    assert!(sent.data.as_json().len() <= EventData::LARGEST);
    assert_eq!(EventData::new(&sent.data.fields()).as_ref(), Ok(&sent.data));
    sent.page_url.iter().chain(&sent.referrer).for_each(is_normal);

    let event = Event {
        id: sent.id.unwrap_or_default(),
        site: sent.site,
        visitor: sent.visitor.unwrap_or_else(|| Uuid::from_u128(1).into()),
        event_type: sent.event_type,
        data: sent.data,
        page_url: sent.page_url,
        referrer: sent.referrer,
        created_at,
        facts,
    };
    let built = Segment::build(created_at.day(), [&event]);
    let segment = Segment::open(Bytes::copy_from_slice(built.block())).expect("what is built can be opened");
    assert_eq!(segment.events(), 1);
    read_all(&segment).expect("what is built can be read");
}

/// An address of a page, as a sender names it.
pub fn url(bytes: &[u8]) {
    is_normal(&Url::new(&String::from_utf8_lossy(bytes)));
}

fn is_normal(url: &Url) {
    let text = url.as_str();
    assert_eq!(Url::new(text).as_str(), text, "the normal form is its own normal form");
    assert!(text.chars().count() <= Url::LONGEST && !text.contains(char::is_control) && !text.contains('#'));
    let kept = |name: &str| matches!(name, "theme" | "ref" | "source") || name.starts_with("utm_");
    let (_, query) = text.split_once('?').unwrap_or_default();
    assert!(query.is_empty() || form_urlencoded::parse(query.as_bytes()).all(|(name, _)| kept(&name)), "{text}");
    let _ = url.page();
}

/// A query of any kind, as JSON: it is refused, or means the same when it is written again, and has the same
/// answer from open and closed days.
pub fn query(bytes: &[u8]) {
    let Ok(value) = json(bytes) else { return };
    let context = Context { first_day: Some(now().plus(-90 * DAY).day()), ..Context::at(now()) };
    if let Ok(query) = Query::parse(&value, &context) {
        let again = Query::parse(query.canonical(), &context).expect("a canonical query is a query");
        assert_eq!(again.key(), query.key());
        for question in std::iter::once(&query.question).chain(&query.comparison) {
            let sorted = |rows: Result<Answer, ScanError>| {
                let mut rows = rows.expect("the scan is not bounded here").rows;
                rows.sort_by(|a, b| a.dimensions.cmp(&b.dimensions));
                rows
            };
            let open = sorted(scan::answer(question, &SAMPLES.0, &unbounded()));
            assert_eq!(sorted(scan::answer(question, &SAMPLES.1, &unbounded())), open);
        }
    }
    if let Ok(query) = FunnelQuery::parse(&value, &context) {
        let again = FunnelQuery::parse(query.canonical(), &context).expect("a canonical funnel is a funnel");
        assert_eq!(again.key(), query.key());
        let open = scan::funnel::answer(&query.funnel, &SAMPLES.0, &unbounded());
        assert_eq!(scan::funnel::answer(&query.funnel, &SAMPLES.1, &unbounded()), open);
    }
    if let Ok(query) = RetentionQuery::parse(&value, &context) {
        let again = RetentionQuery::parse(query.canonical(), &context).expect("a canonical retention is one");
        assert_eq!(again.key(), query.key());
    }
    let _ = v2::Request::parse(&value, &context);
}

/// The query string of any read.
pub fn parameters(text: &str) {
    let params = Params::parse(text);
    if let Some(site) = params.get("site").and_then(Site::parse) {
        assert_eq!(Site::parse(site.as_str()), Some(site));
    }
    let _ = params.period_key(now());
    if let Ok(limit) = params.number("limit", 1..=100, 50_usize, Code::InvalidLimit) {
        assert!((1..=100).contains(&limit));
    }
    for path in [v1::Path::RealtimeVisitors, v1::Path::Aggregate, v1::Path::Timeseries, v1::Path::Breakdown] {
        let _ = v1::Request::parse(path, params.all(), &Context::at(now()));
    }
}

/// A stored block behind its checksum: it is damaged, or can be read.
pub fn segment(bytes: &[u8]) {
    if bytes.len() > LARGEST_BLOCK {
        return;
    }
    let checksum = crc32fast::hash(bytes).to_le_bytes();
    let block = [b"MVSG", &[VERSION][..], &checksum, bytes].concat();
    let Ok(segment) = Segment::open(block.into()) else { return };
    if segment.events() <= MOST_ROWS {
        let _ = read_all(&segment);
    }
}

fn unbounded() -> Work<'static> {
    Work { memory: usize::MAX, stopped: &|| false, visitors: Arc::default() }
}

/// Reads every column, and answers questions of each kind.
fn read_all(segment: &Segment) -> Result<(), ScanError> {
    let all = || std::iter::once(segment);
    let mut damaged = None;
    let mut note = |read: Result<(), ScanError>| damaged = damaged.or(read.err());
    let mut numbers = Vec::new();
    note(segment.visits().map(drop).map_err(Into::into));
    note(segment.explicit().map(drop).map_err(Into::into));
    let fields = Field::ALL.iter().copied().map(Dimension::Field);
    for dimension in fields.chain([Dimension::Property("a".into())]) {
        let read = segment.numbers(Column::Value(&dimension), &[], &mut numbers);
        let texts = segment.texts(&dimension);
        if let (Ok(()), Ok((texts, _))) = (read, &texts) {
            let largest = numbers.iter().max().map_or(0, |number| *number as usize);
            assert!(largest < texts.iter().count(), "numbers of {dimension} have texts");
        }
        note(read.and(texts.map(drop)).map_err(Into::into));
    }
    let others = [Column::Time, Column::Depth, Column::Visible, Column::ClickX, Column::ClickY];
    for column in others.into_iter().chain([Column::Views, Column::Duration]) {
        note(segment.numbers(column, &[], &mut numbers).map_err(Into::into));
    }
    for question in &QUESTIONS.0 {
        note(scan::answer(question, all(), &unbounded()).map(drop));
    }
    note(scan::funnel::answer(&QUESTIONS.1.funnel, all(), &unbounded()).map(drop));
    note(scan::retention::answer(&QUESTIONS.2.retention, all(), &unbounded()).map(drop));
    let hours = 0..i64::MAX;
    note(scan::clicks::answer(None, &hours, 10, all(), &unbounded()).map(drop));
    damaged.map_or(Ok(()), Err)
}

/// Questions about all time.
static QUESTIONS: LazyLock<(Vec<Question>, FunnelQuery, RetentionQuery)> = LazyLock::new(|| {
    let context = Context::at(now());
    let whole = r#"{"date_range":["2015-01-01","2040-01-01"],"metrics":["visitors","visits","pageviews","events",
        "bounce_rate","visit_duration","views_per_visit"]"#;
    let questions = [
        "",
        r#","dimensions":["event:page","visit:country"]"#,
        r#","dimensions":["visit:source"],"filters":[["contains","event:page",["a"]]]"#,
        r#","dimensions":["time:day"],"filters":[["has_done",["is","event:name",["page_view"]]]]"#,
        r#","dimensions":["event:page"],"filters":[["is","event:props:a",["b"]],["not",["is","visit:os",[""]]]]"#,
    ];
    let question = |rest: &str| {
        let value = json(format!("{whole}{rest}}}").as_bytes()).unwrap();
        Query::parse(&value, &context).unwrap().question
    };
    let funnel = br#"{"date_range":["2015-01-01","2040-01-01"],
        "steps":[["is","event:name",["page_view"]],["contains","event:page",["a"]]]}"#;
    (
        questions.into_iter().map(question).collect(),
        FunnelQuery::parse(&json(funnel).unwrap(), &context).unwrap(),
        RetentionQuery::parse(&json(br#"{"weeks":8}"#).unwrap(), &context).unwrap(),
    )
});

/// Some days, open and closed.
static SAMPLES: LazyLock<(Vec<Head>, Vec<Segment>)> = LazyLock::new(|| {
    let events = r#"[
        {"event_type":"page_view","page_url":"https://a.example/blog?utm_source=x"},
        {"event_type":"scroll","page_url":"https://a.example/blog","event_data":{"depth":70,"visible_seconds":4.5}},
        {"event_type":"signup","page_url":"/b","event_data":{"plan":"a","n":1.5,"ok":true}},
        {"event_type":"click","page_url":"/b","event_data":{"x":10,"y":20,"element":"cta"}},
        {"event_type":"page_view","page_url":"/b","referrer":"https://www.google.com/"},
        {"event_type":"letter_generate","event_data":{"letter_type":"motivation"}},
        {"event_type":"page_view"}
    ]"#;
    let events: Vec<&RawValue> = serde_json::from_str(events).unwrap();
    let events: Vec<Event> = (0..60)
        .map(|number: u8| {
            let sent = SentEvent::parse(events[usize::from(number) % events.len()].get(), now()).unwrap();
            let visitor = u128::from(number % 11);
            let client = ["FR", "", "DE\tx\ty\tfr"][usize::from(number % 3)];
            let facts = Facts { client: Facts::from_text(None, Some(client)).client, ..Facts::default() };
            Event {
                id: Uuid::from_u128(number.into()),
                site: sent.site,
                visitor: Uuid::from_u128(visitor).into(),
                event_type: sent.event_type,
                data: sent.data,
                page_url: sent.page_url,
                referrer: sent.referrer,
                created_at: now().plus(-i64::from(number) * HOUR / 2),
                facts,
            }
        })
        .collect();
    let heads: Vec<Head> = (0..3)
        .map(|age| {
            let day = now().plus(-age * DAY).day();
            let mut head = Head::new(day);
            head.extend(events.iter().filter(|event| event.created_at.day() == day));
            head
        })
        .collect();
    let segments = heads.iter().map(Segment::of).collect();
    (heads, segments)
});

#[cfg(test)]
mod tests {
    use crate::testing::run_corpus;

    #[test]
    fn events() {
        run_corpus("event", super::event);
    }

    #[test]
    fn urls() {
        run_corpus("url", super::url);
    }

    #[test]
    fn queries() {
        run_corpus("query", super::query);
    }

    #[test]
    fn segments() {
        run_corpus("segment", super::segment);
    }
}
