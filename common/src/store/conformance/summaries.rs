//! What remains of days whose events have expired, and what is compared and repaired.

use serde_json::{Value, json};

use super::Fixture;
use super::queries::{service, view};
use super::samples::{at, day, event, put, quiet, site};
use crate::measure::query::{FunnelQuery, Query, RetentionQuery};
use crate::measure::segment::Segment;
use crate::measure::summary::{Origin, Summary};
use crate::retention::cutoff;
use crate::store::{BlockKind, Store};
use crate::time::{Day, Timestamp};

const NOW: &str = "2025-12-08T12:00:00Z";
/// Four months later.
const LATER: &str = "2026-04-08T12:00:00Z";

async fn ask(store: &dyn Store, query: &Value, now: &str) -> (Value, Value) {
    let (service, now) = (service(), at(now));
    let counts = service.counts(store, &site(), now).await.unwrap();
    let context = service.context(store, &site(), &counts, Query::asks_all(query), now).await.unwrap();
    let query = Query::parse(query, &context).unwrap();
    let (results, meta) = service.query(store, &query, &counts, now).await.unwrap();
    let rows = json!(results)["results"].as_array().unwrap().clone();
    (rows.iter().map(|row| json!([row["dimensions"], row["metrics"]])).collect(), json!(meta))
}

fn by(dimensions: &Value, filters: &Value) -> Value {
    json!({
        "metrics": ["visitors", "visits", "pageviews", "bounce_rate", "visit_duration"],
        "dimensions": dimensions, "filters": filters, "date_range": ["2025-11-01", "2025-12-05"],
    })
}

async fn fill(store: &dyn Store) {
    put(
        store,
        &[
            view(1, "2025-11-10T10:00:00Z", "/"),
            view(1, "2025-11-10T10:01:00Z", "/cv"),
            view(2, "2025-11-10T11:00:00Z", "/"),
            event("signup", 2, at("2025-11-10T11:00:05Z")),
            view(3, "2025-12-01T23:59:59Z", "/"),
            view(4, "2025-12-02T00:00:00Z", "/cv"),
        ],
    )
    .await;
}

/// Deletes events as the retention run does.
async fn expire(store: &dyn Store, now: Timestamp) {
    while !store.delete_before(cutoff(90, now), now).await.unwrap().done {}
    store.delete_blocks(BlockKind::Segment, cutoff(90, now)).await.unwrap();
}

pub async fn expired_days_are_answered_from_summaries(mut fixture: impl Fixture) {
    let store = fixture.store();
    fill(store).await;
    let questions = [
        by(&json!([]), &json!([])),
        by(&json!(["time:month"]), &json!([])),
        by(&json!(["event:page"]), &json!([])),
        by(&json!(["time:day", "visit:source"]), &json!([["is", "visit:source", ["Search"]]])),
        by(&json!(["visit:entry_page"]), &json!([["contains", "visit:entry_page", ["c"]]])),
        json!({"metrics": ["visitors", "events", "conversion_rate"], "dimensions": ["event:goal"],
               "date_range": ["2025-11-01", "2025-12-05"]}),
    ];
    let mut expected = Vec::new();
    for question in &questions {
        let (rows, meta) = ask(store, question, NOW).await;
        assert_eq!((&meta["visitors"], &meta["summaries"]), (&json!("distinct"), &Value::Null), "{meta}");
        expected.push(rows);
    }
    let service = service();
    assert_eq!(service.summarise(store, at(NOW)).await.unwrap().days, 3);
    assert_eq!(service.summarise(store, at(NOW)).await.unwrap().days, 0, "they are there");
    put(store, &[view(4, "2025-12-02T00:30:00Z", "/late")]).await;
    assert_eq!(service.summarise(store, at(NOW)).await.unwrap().days, 1, "a late event");

    let later = at(LATER);
    assert_eq!(service.summarise(store, later).await.unwrap().days, 0);
    expire(store, later).await;
    assert_eq!(service.summarise(store, later).await.unwrap().days, 0, "nothing is made of nothing");
    fixture.reopen().await;
    let store = fixture.store();
    put(store, &[view(9, "2026-04-08T10:00:00Z", "/new")]).await;
    for (question, expected) in questions.iter().zip(&expected).skip(3) {
        let (rows, meta) = ask(store, question, LATER).await;
        assert_eq!((&meta["visitors"], &meta["summaries"]), (&json!("daily"), &json!("used")), "{meta}");
        assert_eq!(meta["first_day_of_events"], "2026-01-08");
        let late = question["dimensions"][0] == "time:day";
        assert!(late || rows == *expected, "{question}: {rows} {expected}");
    }
    let (rows, _) = ask(store, &questions[2], LATER).await;
    let expected = json!([
        [["/"], [3, 3, 3, 33, 22]],
        [["/cv"], [2, 2, 2, 100, 0]],
        [[""], [1, 1, 0, null, null]],
        [["/late"], [1, 1, 1, 100, 0]],
    ]);
    assert_eq!(rows, expected);

    let all = json!({"metrics": ["visitors", "pageviews"], "date_range": "all"});
    let (rows, meta) = ask(store, &all, LATER).await;
    assert_eq!(rows, json!([[[], [5, 7]]]));
    assert_eq!((&meta["visitors"], &meta["summaries"]), (&json!("mixed"), &json!("used")));
    assert_eq!(meta["range"][0], "2025-11-10T00:00:00.000Z");
}

pub async fn what_summaries_do_not_know_is_said(fixture: impl Fixture) {
    let store = fixture.store();
    fill(store).await;
    service().summarise(store, at(NOW)).await.unwrap();
    expire(store, at(LATER)).await;
    for (dimensions, filters, part) in [
        (json!(["event:page", "visit:source"]), json!([]), "combinations"),
        (json!(["time:hour_of_day"]), json!([]), "hours"),
        (json!(["event:page"]), json!([["is", "visit:source", ["Search"]]]), "filtered by one dimension"),
        (json!([]), json!([["has_done", ["is", "event:page", ["/"]]]]), "has_done"),
    ] {
        let (rows, meta) = ask(store, &by(&dimensions, &filters), LATER).await;
        let rows = rows.as_array().unwrap();
        assert!(rows.iter().all(|row| row[1][0] == 0), "{rows:?}");
        assert_eq!(meta["summaries"], "impossible", "{meta}");
        assert!(meta["summaries_reason"].as_str().unwrap().contains(part), "{meta}");
    }
    let several = json!([["is", "event:page", ["/", "/cv"]]]);
    let (rows, meta) = ask(store, &by(&json!([]), &several), LATER).await;
    assert_eq!(rows[0][1][2], 5, "views add up");
    assert_eq!(meta["summaries"], "partly");
    assert!(meta["summaries_reason"].as_str().unwrap().contains("visitors, visits"), "{meta}");
    let old = json!({"metrics": ["visitors"], "date_range": ["2020-01-01", "2025-12-05"]});
    let (rows, meta) = ask(store, &old, LATER).await;
    assert_eq!(rows, json!([[[], [4]]]));
    assert_eq!(meta["summaries_reason"], "summaries are kept since 2024-03-08");

    let (service, now) = (service(), at(LATER));
    let counts = service.counts(store, &site(), now).await.unwrap();
    let context = service.context(store, &site(), &counts, true, now).await.unwrap();
    let steps = json!([["is", "event:page", ["/"]], ["is", "event:page", ["/cv"]]]);
    for (range, is_missed) in [(json!("all"), true), (json!("day"), false)] {
        let query = FunnelQuery::parse(&json!({"date_range": range, "steps": steps}), &context).unwrap();
        let (_, meta) = service.funnel(store, &query, &counts, now).await.unwrap();
        assert_eq!(meta.summaries, is_missed.then_some("impossible"));
        assert_eq!(meta.first_day_of_events.is_some(), is_missed);
    }
    let query = RetentionQuery::parse(&json!({}), &context).unwrap();
    let (_, meta) = service.retention(store, &query, &counts, now).await.unwrap();
    assert_eq!(meta.summaries, Some("impossible"));
}

pub async fn derived_data_is_compared_and_repaired(fixture: impl Fixture) {
    let store = fixture.store();
    fill(store).await;
    let (service, now) = (service(), at(NOW));
    let compare = async |repair| service.compare_derived(store, repair, now, quiet()).await.unwrap();
    assert_eq!(compare(false).await.aggregates, 0, "what is not there is no difference");
    service.summarise(store, now).await.unwrap();
    let fine = compare(false).await;
    assert_eq!((fine.events, fine.aggregates, fine.different), (6, 9, 0), "{:?}", fine.differences);
    put(store, &[view(4, "2025-12-02T00:30:00Z", "/late")]).await;
    assert_eq!(compare(false).await.different, 0, "it is replaced before it answers anything");

    let first = day("2025-11-10");
    let block = async |kind, day: Day| store.blocks(&site(), kind, day..day.plus(1)).await.unwrap().pop().unwrap().1;
    let (segment, summary) = (block(BlockKind::Segment, first).await, block(BlockKind::Summary, first).await);
    let mut of_another_release = segment.clone();
    of_another_release[4] -= 1;
    store.put_block(&site(), BlockKind::Segment, first, of_another_release).await.unwrap();
    assert_eq!(compare(false).await.different, 0, "the first question rebuilds it");
    // As many events, of other visitors.
    let others: Vec<_> = (5..9).map(|who| view(who, "2025-11-10T10:00:00Z", "/other")).collect();
    let other = Segment::build(first, &others);
    let other_summary = Summary::of(std::slice::from_ref(&other), Origin::Stored).unwrap();
    store.put_block(&site(), BlockKind::Segment, first, other.block().to_vec()).await.unwrap();
    store.put_block(&site(), BlockKind::Summary, first, other_summary.block().to_vec()).await.unwrap();
    store.put_block(&site(), BlockKind::Totals, day("2025-12-01"), b"damaged".to_vec()).await.unwrap();
    let found = compare(false).await;
    let told: Vec<&str> = found.differences.iter().map(|difference| difference.aggregate.as_str()).collect();
    let expected = [
        "default 2025-11-10 segment, in events",
        "default 2025-11-10 summary, in events",
        "default 2025-12-01 totals of the summary, in events",
    ];
    assert_eq!(told, expected);
    assert_eq!(compare(true).await.different, 3);
    let repaired = compare(false).await;
    assert_eq!((repaired.aggregates, repaired.different), (9, 0));
    assert_eq!(block(BlockKind::Segment, first).await, segment);
    assert_eq!(block(BlockKind::Summary, first).await, summary);
    let late = Summary::open(block(BlockKind::Totals, day("2025-12-02")).await).unwrap();
    assert_eq!(late.events(), 2, "what was older is new");
}
