//! Queries, whose answers must not depend on where the columns of a day come from.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Fixture;
use super::samples::{at, day, event, on_page, put, site, with_data};
use crate::config::Config;
use crate::event::Event;
use crate::measure::days::Counts;
use crate::measure::facts::{Arrival, ArrivalFields, Client, ClientFields, Facts};
use crate::measure::query::{FunnelQuery, Query};
use crate::measure::service::Service;
use crate::measure::site_goals::SiteGoals;
use crate::site::Site;
use crate::store::{BlockKind, Store};
use crate::time::{Day, Timestamp};

const NOW: &str = "2025-12-08T12:00:00Z";

pub(super) fn service() -> Service {
    Service::new(&Config::from_vars([]).unwrap())
}

fn from(mut event: Event, source: &str, country: &str) -> Event {
    let arrival = Arrival::new(&ArrivalFields { source, ..ArrivalFields::default() });
    let client = Client::new(&ClientFields { country, ..ClientFields::default() });
    event.facts = Facts { arrival, client };
    event
}

pub(super) fn view(who: u64, when: &str, page: &str) -> Event {
    from(on_page(event("page_view", who, at(when)), page), "Search", "FR")
}

async fn ask(service: &Service, store: &dyn Store, query: Value) -> Value {
    let now = at(NOW);
    let counts: Counts = service.counts(store, &site(), now).await.unwrap();
    let context = service.context(store, &site(), &counts, Query::asks_all(&query), now).await.unwrap();
    let query = Query::parse(&query, &context).unwrap();
    let (results, _) = service.query(store, &query, &counts, now).await.unwrap();
    json!(results)["results"].as_array().unwrap().iter().map(|row| json!([row["dimensions"], row["metrics"]])).collect()
}

fn pages(first: &str, last: &str) -> Value {
    json!({
        "metrics": ["visitors", "visits", "pageviews", "bounce_rate", "visit_duration"],
        "dimensions": ["event:page"], "date_range": [first, last],
    })
}

async fn segment(store: &dyn Store, of: Day) -> Option<Vec<u8>> {
    let blocks = store.blocks(&site(), BlockKind::Segment, of..of.plus(1)).await.unwrap();
    blocks.into_iter().map(|(_, block)| block).next()
}

/// A closed day is answered from its events, from the block, after the block is lost or damaged, and
/// with events that came late: always the same.
pub async fn closed_days_are_answered_from_segments(mut fixture: impl Fixture) {
    let store = fixture.store();
    let (monday, range) = (day("2025-12-01"), ("2025-12-01", "2025-12-01"));
    put(
        store,
        &[
            view(1, "2025-12-01T10:00:00Z", "/"),
            view(1, "2025-12-01T10:01:00Z", "/cv"),
            view(2, "2025-12-01T11:00:00Z", "/"),
            view(3, "2025-12-02T00:00:00Z", "/"),
        ],
    )
    .await;
    let asked = pages(range.0, range.1);
    let expected = json!([[["/"], [2, 2, 2, 50, 30]], [["/cv"], [1, 1, 1, null, null]]]);
    assert_eq!(ask(&service(), store, asked.clone()).await, expected);
    let stored = segment(store, monday).await.expect("a segment is stored for later readers");
    assert_eq!(segment(store, monday.plus(1)).await, None, "of days that were asked for");

    fixture.reopen().await;
    let store = fixture.store();
    let service = service();
    for block in [stored.clone(), b"damaged".to_vec(), stored[..stored.len() - 1].to_vec(), Vec::new()] {
        store.put_block(&site(), BlockKind::Segment, monday, block).await.unwrap();
        assert_eq!(ask(&self::service(), store, asked.clone()).await, expected);
        assert_eq!(segment(store, monday).await.as_ref(), Some(&stored), "it is rebuilt, the same to the byte");
    }
    assert_eq!(ask(&service, store, asked.clone()).await, expected);
    put(store, &[view(2, "2025-12-01T11:00:10Z", "/cv")]).await;
    let expected = json!([[["/"], [2, 2, 2, 0, 35]], [["/cv"], [2, 2, 2, null, null]]]);
    assert_eq!(ask(&service, store, asked.clone()).await, expected, "a late event is part of the next answer");
    assert_eq!(ask(&self::service(), store, asked).await, expected);
}

/// Today is complete in every answer: what was acknowledged before, late, twice, or by another store
/// on the same data.
pub async fn open_days_are_answered_as_events_arrive(mut fixture: impl Fixture) {
    let service = service();
    let asked = pages("2025-12-07", "2025-12-08");
    let first = view(1, "2025-12-08T10:00:00Z", "/");
    put(fixture.store(), &[first.clone(), view(2, "2025-12-07T23:59:59Z", "/old")]).await;
    let row = |page: &str, visitors: u64, visits: u64, views: u64, bounces: Value, duration: Value| {
        json!([[page], [visitors, visits, views, bounces, duration]])
    };
    let old = row("/old", 1, 1, 1, json!(100), json!(0));
    let root = row("/", 1, 1, 1, json!(100), json!(0));
    assert_eq!(ask(&service, fixture.store(), asked.clone()).await, json!([root, old]));

    put(fixture.store(), &[view(1, "2025-12-08T09:59:00Z", "/cv")]).await;
    fixture.store().append(vec![first], at(NOW)).await.unwrap();
    let cv = row("/cv", 1, 1, 1, json!(0), json!(60));
    let root = row("/", 1, 1, 1, Value::Null, Value::Null);
    assert_eq!(ask(&service, fixture.store(), asked.clone()).await, json!([root, cv, old]));

    fixture.reopen().await;
    put(fixture.store(), &[view(3, "2025-12-08T10:00:00Z", "/")]).await;
    let root = row("/", 2, 2, 2, json!(100), json!(0));
    assert_eq!(ask(&service, fixture.store(), asked.clone()).await, json!([root, cv, old]));
    assert_eq!(ask(&self::service(), fixture.store(), asked).await, json!([root, cv, old]));
    assert_eq!(segment(fixture.store(), day("2025-12-07")).await, None, "days that are open have no segment");
}

/// What was derived from requests and what events say are both there to group and filter by.
pub async fn facts_and_properties_are_dimensions(fixture: impl Fixture) {
    let store = fixture.store();
    for (of, hour) in [("2025-12-01", 10), ("2025-12-08", 11)] {
        let at = |minute: i64| format!("{of}T{hour}:{minute:02}:00Z");
        put(
            store,
            &[
                view(1, &at(0), "https://cv.example/"),
                with_data(
                    event("signup", 1, Timestamp::parse(&at(1)).unwrap()),
                    &json!({"plan": "plus", "seats": 2.0}),
                ),
                from(on_page(event("page_view", 2, Timestamp::parse(&at(2)).unwrap()), "/"), "News", "DE"),
            ],
        )
        .await;
        let ask = async |metrics: Value, dimension: &str, filters: Value| {
            let query =
                json!({"metrics": metrics, "dimensions": [dimension], "filters": filters, "date_range": [of, of]});
            self::ask(&service(), store, query).await
        };
        let visitors = json!(["visitors"]);
        assert_eq!(ask(visitors.clone(), "visit:source", json!([])).await, json!([[["News"], [1]], [["Search"], [1]]]));
        let german = json!([["is", "visit:country", ["DE"]]]);
        assert_eq!(ask(visitors.clone(), "visit:source", german).await, json!([[["News"], [1]]]));
        let plus = json!([["is", "event:props:plan", ["plus"]]]);
        assert_eq!(ask(json!(["events"]), "event:props:seats", plus).await, json!([[["2"], [1]]]));
        let hosts = ask(visitors, "event:hostname", json!([["is", "event:name", ["page_view"]]])).await;
        assert_eq!(hosts, json!([[[""], [1]], [["cv.example"], [1]]]));
    }
}

/// Many at the same time get the same answer while events arrive.
pub async fn queries_are_answered_while_events_arrive(fixture: impl Fixture) {
    let store = fixture.store();
    let service = Arc::new(service());
    let query = json!({"metrics": ["pageviews"], "date_range": "day"});
    for round in 1..=10_u64 {
        put(store, &[view(round, "2025-12-08T10:00:00Z", "/"), view(round, "2025-12-08T11:59:00Z", "/cv")]).await;
        let ask = || self::ask(&service, store, query.clone());
        let (a, b, c) = tokio::join!(ask(), ask(), ask());
        let expected = json!([[[], [2 * round]]]);
        assert_eq!((a, b, c), (expected.clone(), expected.clone(), expected));
    }
}

/// Goals and funnels of a site are part of the meaning of its queries, in every process that reads the store, and
/// no cleanup or rebuild touches them.
pub async fn goals_of_a_site_are_kept(mut fixture: impl Fixture) {
    let store = fixture.store();
    let now = at(NOW);
    let signup = |who, when| event("signup", who, at(when));
    let events = [
        view(1, "2025-12-08T10:00:00Z", "/prices"),
        signup(1, "2025-12-08T10:01:00Z"),
        view(2, "2025-12-08T10:00:00Z", "/prices/all"),
    ];
    put(store, &events).await;
    let ours = service();
    let given = json!({
        "goals": [{"name": "Signed up", "event": "signup"}, {"name": "Prices", "page": "/prices*"}],
        "funnels": [{"name": "Sale", "steps": [{"page": "/prices*"}, {"event": "signup"}]}],
    });
    let goals = SiteGoals::parse(&given, &[]).unwrap();
    assert_eq!(ours.site_goals(store, &site()).await.unwrap().json(), json!({"goals": [], "funnels": []}));
    ours.put_site_goals(store, &site(), goals.clone()).await.unwrap();
    store.delete_before(day("2025-12-01"), now).await.unwrap();
    ours.compare_derived(store, true, now, Arc::new(|_, _| {})).await.unwrap();
    fixture.reopen().await;
    let store = fixture.store();
    for service in [ours, service()] {
        assert_eq!(service.site_goals(store, &site()).await.unwrap().json(), given);
        let rows = json!({"metrics": ["visitors"], "dimensions": ["event:goal"], "date_range": "day"});
        assert_eq!(ask(&service, store, rows).await, json!([[["Prices"], [2]], [["Signed up"], [1]]]));
        let counts = service.counts(store, &site(), now).await.unwrap();
        let context = service.context(store, &site(), &counts, false, now).await.unwrap();
        let funnel = FunnelQuery::parse(&json!({"funnel": "Sale", "date_range": "day"}), &context).unwrap();
        let (results, _) = service.funnel(store, &funnel, &counts, now).await.unwrap();
        assert_eq!(results.results[0].steps.iter().map(|step| step.visitors).collect::<Vec<_>>(), [2, 1]);
        let unknown = FunnelQuery::parse(&json!({"funnel": "Sales", "date_range": "day"}), &context).unwrap_err();
        assert!(unknown.message.contains("Sale"), "{}", unknown.message);
    }
    let other = Site::parse("other").unwrap();
    assert_eq!(service().site_goals(store, &other).await.unwrap().json(), json!({"goals": [], "funnels": []}));
}
