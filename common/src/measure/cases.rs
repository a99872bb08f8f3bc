//! Cases of the query language: events, a query, and the answer that follows from the rules.

use std::path::Path;

use serde_json::{Value, json};

use super::columns::Columns;
use super::facts::{ArrivalFields, ClientFields};
use super::head::Head;
use super::query::{Context, FunnelQuery, Query, RetentionQuery};
use super::samples::{event, from, with_data};
use super::scan::{self, funnel, retention};
use super::segment::Segment;
use super::tests::UNBOUNDED;
use crate::event::Event;
use crate::time::{Day, Timestamp};

/// Cases that are kept outside of the project, if they are there.
const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/queries/cases.json");
/// What an event says of its source and channel is derived at ingest, and tested there.
const DERIVED: [&str; 4] = ["referrer", "utm_source", "utm_medium", "utm_campaign"];

fn events(case: &Value) -> Vec<Event> {
    let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let mut visitors: Vec<String> = Vec::new();
    let events = (0..).zip(case["events"].as_array().unwrap());
    events
        .map(|(id, said)| {
            let name = text(said, "v");
            let visitor = visitors.iter().position(|other| *other == name).unwrap_or_else(|| {
                visitors.push(name);
                visitors.len() - 1
            });
            let page = format!("{}{}", if said["host"].is_null() { "" } else { "https://" }, text(said, "host"));
            let mut event = event(id, visitor as u64, 0, &text(said, "type"), &format!("{page}{}", text(said, "page")));
            event.created_at = Timestamp::parse(&text(said, "t")).unwrap();
            // Only retention asks which visitors can be recognised; elsewhere equal names are equal visitors.
            let explicit = case["kind"] != "retention" || said["explicit"] == 1;
            let client = ClientFields {
                country: &text(said, "country"),
                device: &text(said, "device"),
                explicit,
                ..ClientFields::default()
            };
            let event = with_data(event, &said["props"]);
            from(event, &ArrivalFields::default(), &client)
        })
        .collect()
}

fn context(case: &Value) -> Context<'static> {
    Context::at(Timestamp::parse(case["query"]["now"].as_str().unwrap_or("2026-11-28T12:00:00Z")).unwrap())
}

/// The query as a client sends it: without the clock, and with goals as the context that they are.
fn query(case: &Value) -> Value {
    let mut query = case["query"].clone();
    query.as_object_mut().unwrap().retain(|key, _| key != "now" && key != "goals");
    query
}

fn answer(case: &Value) -> Value {
    let events = events(case);
    let mut days: Vec<Day> = events.iter().map(|event| event.created_at.day()).collect();
    days.sort_unstable();
    days.dedup();
    let columns: Vec<Box<dyn Columns>> = days
        .iter()
        .enumerate()
        .map(|(number, day)| {
            let mut head = Head::new(*day);
            head.extend(&events);
            if number % 2 == 0 { Box::new(Segment::of(&head)) as Box<dyn Columns> } else { Box::new(head) }
        })
        .collect();
    let names = case["query"]["goals"].as_array().cloned().unwrap_or_default();
    let goals: Vec<_> =
        names.iter().map(|name| super::question::Goal::parse(name.as_str().unwrap()).unwrap()).collect();
    let mut context = Context { goals: &goals, ..context(case) };
    context.first_day = days.first().copied();
    match case["kind"].as_str().unwrap() {
        "query" => {
            let query = Query::parse(&query(case), &context).unwrap();
            let answer = scan::answer(&query.question, &columns, &UNBOUNDED).unwrap();
            let (results, _) = query.results(answer, None);
            let rows = serde_json::to_value(results).unwrap()["results"].as_array().cloned().unwrap();
            rows.iter().map(|row| json!([row["dimensions"], row["metrics"]])).collect()
        }
        "funnel" => {
            use super::question::funnel::FunnelStep;
            let query = FunnelQuery::parse(&query(case), &context).unwrap();
            let (answer, _) = funnel::answer(&query.funnel, &columns, &UNBOUNDED).unwrap();
            let steps = &answer.rows[0].steps;
            let before = [&steps[..1], steps].concat();
            let step = |(step, before): (&FunnelStep, &FunnelStep)| json!({"visitors": step.visitors, "drop_off": before.visitors - step.visitors, "median_seconds": step.median_seconds});
            steps.iter().zip(&before).map(step).collect()
        }
        _ => {
            let query = RetentionQuery::parse(&query(case), &context).unwrap();
            let answer = retention::answer(&query.retention, &columns, &UNBOUNDED).unwrap();
            let weeks = query.retention.weeks.labels();
            let cohorts = answer.cohorts.iter();
            cohorts.map(|c| json!({"week": weeks[c.week], "visitors": c.visitors, "returned": c.returned})).collect()
        }
    }
}

/// Numbers are compared by value: 50.0 is 50.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(key, a)| same(a, &b[key])),
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (a, b) => a == b,
    }
}

#[test]
fn cases_have_the_answers_that_follow_from_the_rules() {
    let Ok(text) = std::fs::read_to_string(Path::new(CASES)) else { return };
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    let wrong: Vec<String> = cases
        .iter()
        .filter(|case| ["query", "funnel", "retention"].contains(&case["kind"].as_str().unwrap()))
        .filter(|case| {
            let events = case["events"].as_array().unwrap();
            !events.iter().any(|event| DERIVED.iter().any(|key| event.get(*key).is_some()))
        })
        .filter_map(|case| {
            let got = answer(case);
            (!same(&got, &case["answer"]))
                .then(|| format!("{} {}\n  {got}\n  {}", case["n"], case["title"], case["answer"]))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
