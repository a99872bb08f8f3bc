//! More than one request may hold: 1 MB a page, 25 items a batch, 100 actions and 4 MB a
//! transaction, against a service that keeps to its rules.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use common::event::{Event, EventData};
use common::store::conformance::samples::{at, event, on_page, quiet, site, with_data};
use common::store::dynamodb::table::PARTITION_KEY;
use common::store::roles::*;
use common::store::{Appended, Position, TimelineFrom};
use common::time::DAY;
use common::url::Url;
use serde_json::json;

use crate::table::Table;

/// Nearly as large as an event can be: 24 KB.
fn large(number: u64) -> Event {
    let page = format!("/?ref={}", "\u{10ffff}".repeat(Url::LONGEST));
    let mut event = on_page(event("page_view", number % 5, at("2025-12-08T10:00:00Z").plus(number as i64 * 10)), &page);
    event.referrer = event.page_url.clone();
    with_data(event, &json!({"k": "x".repeat(EventData::LARGEST - 8)}))
}

#[tokio::test]
async fn what_is_larger_than_a_page_is_stored_read_and_deleted_whole() {
    let Some(table) = Table::fresh().await else { return };
    let store = table.open().await;
    let events: Vec<Event> = (0..130).map(large).collect();
    let now = at("2025-12-08T10:00:02Z");
    let answers = store.append(events.clone(), now).await.unwrap();
    assert!(answers.iter().all(|answer| *answer == Appended::Stored), "{answers:?}");

    let mut partitions: BTreeMap<String, usize> = BTreeMap::new();
    for item in table.items().await {
        *partitions.entry(item.pk().to_owned()).or_default() += 1;
    }
    let (partition, items) = partitions.into_iter().filter(|(pk, _)| pk.starts_with("e#")).max_by_key(|p| p.1).unwrap();
    let query = table.client.query().table_name(&table.name).key_condition_expression("#p = :p");
    let query = query.expression_attribute_names("#p", PARTITION_KEY);
    let page = query.expression_attribute_values(":p", AttributeValue::S(partition)).send().await.unwrap();
    assert!(
        page.count < items as i32 && page.last_evaluated_key.is_some(),
        "the service cuts: {} of {items}",
        page.count
    );

    let mut newest = events.clone();
    newest.reverse();
    assert_eq!(store.timeline(&site(), TimelineFrom::all(0), 1_000).await.unwrap(), newest);
    let committed = store.committed_after(&site(), Position(0), 1_000).await.unwrap();
    assert_eq!(committed.into_iter().map(|committed| committed.event).collect::<Vec<_>>(), events);
    assert_eq!(store.verify(now, quiet()).await.unwrap().differences, []);

    let later = now.plus(100 * DAY);
    let mut deleted = 0;
    loop {
        let step = store.delete_before(later.day(), later).await.unwrap();
        deleted += step.deleted;
        if step.done {
            break;
        }
    }
    assert_eq!(deleted, 130);
    assert!(table.items().await.iter().all(|item| !item.pk().starts_with("e#")));
}
