//! The service's limits on how much one request may hold, at their bounds.

use serde_json::{Value, json};

use super::*;
use crate::store::StoreError;
use crate::store::dynamodb::item::text;
use crate::store::dynamodb::scripted::Scripted;

fn keys(count: usize) -> Vec<Key> {
    (0..count).map(|number| Key::new("p", format!("{number:04}"))).collect()
}

fn sort_keys(items: &[Item]) -> Vec<String> {
    let mut keys: Vec<_> = items.iter().map(|item| item[SORT_KEY].as_s().unwrap().clone()).collect();
    keys.sort();
    keys
}

/// The keys that a request reads.
fn got(request: &Value) -> &[Value] {
    request["RequestItems"]["table"]["Keys"].as_array().unwrap()
}

/// The items that a request writes.
fn written(request: &Value) -> &[Value] {
    request["RequestItems"]["table"].as_array().unwrap()
}

#[tokio::test]
async fn items_are_read_a_hundred_at_a_time() {
    for (count, expected) in [
        (0, vec![]),
        (1, vec![1]),
        (25, vec![25]),
        (26, vec![26]),
        (99, vec![99]),
        (100, vec![100]),
        (101, vec![100, 1]),
        (250, vec![100, 100, 50]),
    ] {
        let (service, table) = Scripted::table(|_, operation, request| {
            assert_eq!(operation, "BatchGetItem");
            json!({"Responses": {"table": got(request)}})
        });
        let found = table.get_all(&keys(count), false).await.unwrap();
        assert_eq!(
            service.requests().iter().map(|request| got(request).len()).collect::<Vec<_>>(),
            expected,
            "{count}"
        );
        assert_eq!(sort_keys(&found), keys(count).iter().map(|key| key.sk.clone()).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn items_are_written_twenty_five_at_a_time() {
    for (count, expected) in [
        (0, vec![]),
        (1, vec![1]),
        (24, vec![24]),
        (25, vec![25]),
        (26, vec![25, 1]),
        (100, vec![25; 4]),
        (101, vec![25, 25, 25, 25, 1]),
    ] {
        for deleted in [true, false] {
            let (service, table) = Scripted::table(|_, operation, _| {
                assert_eq!(operation, "BatchWriteItem");
                json!({})
            });
            if deleted {
                table.delete_all(&keys(count)).await.unwrap();
            } else {
                table.put_all(keys(count).iter().map(Key::attributes).collect()).await.unwrap();
            }
            let requests = service.requests();
            assert_eq!(requests.iter().map(|request| written(request).len()).collect::<Vec<_>>(), expected, "{count}");
            let kind = if deleted { "DeleteRequest" } else { "PutRequest" };
            let all: usize = requests.iter().flat_map(written).filter(|request| request.get(kind).is_some()).count();
            assert_eq!(all, count);
        }
    }
}

#[tokio::test]
async fn what_stays_unprocessed_is_requested_again_and_nothing_else() {
    let (service, table) = Scripted::table(|_, _, request| {
        // A third at a time.
        let (done, rest) = got(request).split_at(got(request).len().div_ceil(3));
        let unprocessed = if rest.is_empty() { json!({}) } else { json!({"table": {"Keys": rest}}) };
        json!({"Responses": {"table": done}, "UnprocessedKeys": unprocessed})
    });
    let found = table.get_all(&keys(12), true).await.unwrap();
    assert_eq!(sort_keys(&found).len(), 12);
    let requests = service.requests();
    assert_eq!(requests.iter().map(|request| got(request).len()).collect::<Vec<_>>(), [12, 8, 5, 3, 2, 1]);
    for request in &requests {
        assert_eq!(request["RequestItems"]["table"]["ConsistentRead"], true, "also when it is requested again");
    }

    let (service, table) = Scripted::table(|number, _, request| match number {
        0 => json!({"UnprocessedItems": {"table": &written(request)[20..]}}),
        1 => json!({"UnprocessedItems": {"table": &written(request)[1..2]}}),
        _ => json!({}),
    });
    table.delete_all(&keys(30)).await.unwrap();
    let requests = service.requests();
    let sizes: Vec<_> = requests.iter().map(|request| written(request).len()).collect();
    assert_eq!(sizes, [25, 5, 1, 5], "the next batch waits for the one before");
    assert_eq!(written(&requests[2])[0], written(&requests[0])[21]);
}

#[tokio::test]
async fn retries_end() {
    let (service, table) = Scripted::table(|_, operation, request| match operation {
        "BatchGetItem" => json!({"UnprocessedKeys": {"table": {"Keys": got(request)}}}),
        _ => json!({"UnprocessedItems": {"table": written(request)}}),
    });
    let some = keys(3);
    let (got, deleted) = tokio::join!(table.get_all(&some, false), table.delete_all(&some));
    assert!(matches!(got, Err(StoreError::Unavailable { .. })), "{got:?}");
    assert!(matches!(deleted, Err(StoreError::Unavailable { .. })), "{deleted:?}");
    // Delays grow, or there would be thousands.
    assert!((4..80).contains(&service.requests().len()), "{}", service.requests().len());
}

#[tokio::test]
async fn a_range_is_read_to_its_end_whatever_its_pages() {
    let item = |number: usize| json!({"pk": {"S": "p"}, "sk": {"S": format!("{number:04}")}});
    let (service, table) = Scripted::table(move |number, operation, _| {
        assert_eq!(operation, "Query");
        // As much as 1 MB holds each time; a page may be empty.
        let items: Vec<_> = if number == 1 { vec![] } else { (0..3).map(|at| item(number * 3 + at)).collect() };
        match number {
            0..=2 => json!({"Items": items, "LastEvaluatedKey": item(number * 3 + 2)}),
            _ => json!({"Items": items}),
        }
    });
    let found = table.all(Range::new("p", "0", "9"), true).await.unwrap();
    let expected: Vec<_> = [0, 1, 2, 6, 7, 8, 9, 10, 11].iter().map(|number| format!("{number:04}")).collect();
    assert_eq!(found.iter().map(|item| item[SORT_KEY].as_s().unwrap().clone()).collect::<Vec<_>>(), expected);
    let requests = service.requests();
    let starts: Vec<_> = requests.iter().map(|request| request["ExclusiveStartKey"]["sk"]["S"].as_str()).collect();
    assert_eq!(starts, [None, Some("0002"), Some("0005"), Some("0008")]);
    assert!(requests.iter().all(|request| request["ConsistentRead"] == true));
}

#[tokio::test]
async fn an_empty_range_is_not_requested() {
    let (service, table) = Scripted::table(|_, _, _| json!({"Items": []}));
    assert_eq!(table.all(Range::new("p", "2", "1"), false).await.unwrap(), []);
    assert_eq!(service.requests(), Vec::<Value>::new());
    assert_eq!(table.all(Range::new("p", "1", "1"), false).await.unwrap(), []);
    assert_eq!(service.requests().len(), 1);
}

#[tokio::test]
async fn what_is_too_large_for_an_item_is_not_sent() {
    let (service, table) = Scripted::table(|_, _, _| json!({}));
    let mut item = Key::new("p", "s").attributes();
    item.insert("x".to_owned(), text("x".repeat(LARGEST - size(&item) - 1)));
    assert_eq!(size(&item), LARGEST);
    table.put_all(vec![item.clone()]).await.unwrap();
    assert_eq!(service.requests().len(), 1);
    item.insert("y".to_owned(), text(""));
    assert!(matches!(table.put_all(vec![item]).await, Err(StoreError::Other { .. })));
    assert_eq!(service.requests().len(), 1);
}
