//! Cases of the query language: events, a query, and the answer that follows from the rules.

use std::path::Path;

use serde_json::{Value, json};

use super::Fixture;
use super::samples::{event, on_page, on_site, put, with_data};
use crate::config::Config;
use crate::event::Event;
use crate::measure::facts::{Client, ClientFields, Context as Surroundings, Facts, Headers, Observed};
use crate::measure::query::{Context, FunnelQuery, Query, RetentionQuery};
use crate::measure::question::Goal;
use crate::measure::service::Service;
use crate::site::Site;
use crate::store::Store;
use crate::time::Timestamp;
use crate::url::Url;

/// Cases that are kept outside of the project, if they are there.
const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/queries/cases.json");
/// Parameters of a page that tell where a visit came from.
const CAMPAIGN: [&str; 3] = ["utm_source", "utm_medium", "utm_campaign"];

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The page as a browser names it.
fn page(said: &Value) -> String {
    let host = if said["host"].is_null() { String::new() } else { format!("https://{}", text(said, "host")) };
    let named = CAMPAIGN.iter().filter(|name| !said[**name].is_null());
    let campaign: Vec<String> = named.map(|name| format!("{name}={}", text(said, name))).collect();
    let query = if campaign.is_empty() { String::new() } else { format!("?{}", campaign.join("&")) };
    format!("{host}{}{query}", text(said, "page"))
}

/// What a request with this event tells, and what the case says of its visitor.
fn facts(case: &Value, said: &Value, event: &Event) -> Facts {
    let referrer = said["referrer"].as_str().map(Url::new);
    let derived = Facts::derive(&Observed {
        user_agent: "",
        headers: &Headers::default(),
        context: &Surroundings::default(),
        place: None,
        explicit: false,
        page_url: event.page_url.as_ref(),
        referrer: referrer.as_ref(),
        ad_click: false,
        site: event.site.as_str(),
        origins: &[],
    });
    // Only retention asks which visitors can be recognised; elsewhere equal names are equal visitors.
    let explicit = case["kind"] != "retention" || said["explicit"] == 1;
    let client = Client::new(&ClientFields {
        country: text(said, "country"),
        device: text(said, "device"),
        explicit,
        ..ClientFields::default()
    });
    Facts { client, ..derived }
}

fn events(case: &Value, site: &Site) -> Vec<Event> {
    let mut visitors: Vec<&str> = Vec::new();
    let mut events = Vec::new();
    for said in case["events"].as_array().unwrap() {
        let name = text(said, "v");
        let who = visitors.iter().position(|other| *other == name).unwrap_or_else(|| {
            visitors.push(name);
            visitors.len() - 1
        });
        let mut event = event(text(said, "type"), who as u64, Timestamp::parse(text(said, "t")).unwrap());
        if !page(said).is_empty() {
            event = on_page(event, &page(said));
        }
        if said["props"].is_object() {
            event = with_data(event, &said["props"]);
        }
        let event = on_site(event, site.as_str());
        events.push(Event { facts: facts(case, said, &event), ..event });
    }
    events
}

/// The query as a client sends it: without the clock, and with goals as the context that they are.
fn query(case: &Value, site: &Site) -> Value {
    let mut query = case["query"].clone();
    let map = query.as_object_mut().unwrap();
    map.retain(|key, _| key != "now" && key != "goals");
    map.insert("site".to_owned(), json!(site.as_str()));
    query
}

async fn answer(store: &dyn Store, service: &Service, case: &Value) -> Value {
    let site = Site::parse(&format!("case-{}", case["n"])).unwrap();
    let events = events(case, &site);
    if !events.is_empty() {
        put(store, &events).await;
    }
    let now = Timestamp::parse(case["query"]["now"].as_str().unwrap_or("2026-11-28T12:00:00Z")).unwrap();
    let (query, counts) = (query(case, &site), service.counts(store, &site, now).await.unwrap());
    let context = service.context(store, &site, &counts, Query::asks_all(&query), now).await.unwrap();
    let names = case["query"]["goals"].as_array().cloned().unwrap_or_default();
    let goals: Vec<_> = names.iter().map(|name| Goal::parse(name.as_str().unwrap()).unwrap()).collect();
    let context = Context { goals: goals.into(), ..context };
    match text(case, "kind") {
        "query" => {
            let query = Query::parse(&query, &context).unwrap();
            let (results, _) = service.query(store, &query, &counts, now).await.unwrap();
            let rows = json!(results)["results"].as_array().cloned().unwrap();
            rows.iter().map(|row| json!([row["dimensions"], row["metrics"]])).collect()
        }
        "funnel" => {
            let query = FunnelQuery::parse(&query, &context).unwrap();
            json!(service.funnel(store, &query, &counts, now).await.unwrap().0)["results"][0]["steps"].clone()
        }
        _ => {
            let query = RetentionQuery::parse(&query, &context).unwrap();
            json!(service.retention(store, &query, &counts, now).await.unwrap().0)["results"].clone()
        }
    }
}

/// Whether an answer has all that is expected of it. Numbers are compared by value: 50.0 is 50.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => b.iter().all(|(key, b)| a.get(key).is_some_and(|a| same(a, b))),
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (a, b) => a == b,
    }
}

pub async fn cases_have_the_answers_that_follow_from_the_rules(fixture: impl Fixture) {
    let Ok(cases) = std::fs::read_to_string(Path::new(CASES)) else { return };
    let cases: Vec<Value> = serde_json::from_str(&cases).unwrap();
    let service = Service::new(&Config::from_vars([]).unwrap());
    let mut wrong = Vec::new();
    for case in cases.iter().filter(|case| ["query", "funnel", "retention"].contains(&text(case, "kind"))) {
        let got = answer(fixture.store(), &service, case).await;
        if !same(&got, &case["answer"]) {
            wrong.push(format!("{} {}\n  {got}\n  {}", case["n"], case["title"], case["answer"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
