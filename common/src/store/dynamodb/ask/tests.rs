//! The service's rules on how much may be asked at once, at their bounds.

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

/// The keys of a request for items by name.
fn got(request: &Value) -> &[Value] {
    request["RequestItems"]["table"]["Keys"].as_array().unwrap()
}

/// The items of a request that writes several.
fn written(request: &Value) -> &[Value] {
    request["RequestItems"]["table"].as_array().unwrap()
}

#[tokio::test]
async fn items_are_got_a_hundred_at_a_time() {
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
        let (service, tables) = Scripted::tables(|_, operation, request| {
            assert_eq!(operation, "BatchGetItem");
            json!({"Responses": {"table": got(request)}})
        });
        let found = tables.get_all(&keys(count), false).await.unwrap();
        assert_eq!(service.asked().iter().map(|request| got(request).len()).collect::<Vec<_>>(), expected, "{count}");
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
            let (service, tables) = Scripted::tables(|_, operation, _| {
                assert_eq!(operation, "BatchWriteItem");
                json!({})
            });
            if deleted {
                tables.delete_all(&keys(count)).await.unwrap();
            } else {
                tables.put_all(keys(count).iter().map(Key::attributes).collect()).await.unwrap();
            }
            let asked = service.asked();
            assert_eq!(asked.iter().map(|request| written(request).len()).collect::<Vec<_>>(), expected, "{count}");
            let kind = if deleted { "DeleteRequest" } else { "PutRequest" };
            let all: usize = asked.iter().flat_map(written).filter(|request| request.get(kind).is_some()).count();
            assert_eq!(all, count);
        }
    }
}

#[tokio::test]
async fn what_stays_unprocessed_is_asked_for_again_and_nothing_else() {
    let (service, tables) = Scripted::tables(|_, _, request| {
        // A third at a time.
        let (done, rest) = got(request).split_at(got(request).len().div_ceil(3));
        let unprocessed = if rest.is_empty() { json!({}) } else { json!({"table": {"Keys": rest}}) };
        json!({"Responses": {"table": done}, "UnprocessedKeys": unprocessed})
    });
    let found = tables.get_all(&keys(12), true).await.unwrap();
    assert_eq!(sort_keys(&found).len(), 12);
    let asked = service.asked();
    assert_eq!(asked.iter().map(|request| got(request).len()).collect::<Vec<_>>(), [12, 8, 5, 3, 2, 1]);
    for request in &asked {
        assert_eq!(request["RequestItems"]["table"]["ConsistentRead"], true, "also when it is asked again");
    }

    let (service, tables) = Scripted::tables(|number, _, request| match number {
        0 => json!({"UnprocessedItems": {"table": &written(request)[20..]}}),
        1 => json!({"UnprocessedItems": {"table": &written(request)[1..2]}}),
        _ => json!({}),
    });
    tables.delete_all(&keys(30)).await.unwrap();
    let asked = service.asked();
    let sizes: Vec<_> = asked.iter().map(|request| written(request).len()).collect();
    assert_eq!(sizes, [25, 5, 1, 5], "the next batch waits for the one before");
    assert_eq!(written(&asked[2])[0], written(&asked[0])[21]);
}

#[tokio::test]
async fn patience_ends() {
    let (service, tables) = Scripted::tables(|_, operation, request| match operation {
        "BatchGetItem" => json!({"UnprocessedKeys": {"table": {"Keys": got(request)}}}),
        _ => json!({"UnprocessedItems": {"table": written(request)}}),
    });
    let some = keys(3);
    let (got, deleted) = tokio::join!(tables.get_all(&some, false), tables.delete_all(&some));
    assert!(matches!(got, Err(StoreError::Unavailable { .. })), "{got:?}");
    assert!(matches!(deleted, Err(StoreError::Unavailable { .. })), "{deleted:?}");
    // Pauses grow, or there would be thousands.
    assert!((4..80).contains(&service.asked().len()), "{}", service.asked().len());
}

#[tokio::test]
async fn a_range_is_read_to_its_end_in_whatever_pieces_it_comes() {
    let item = |number: usize| json!({"pk": {"S": "p"}, "sk": {"S": format!("{number:04}")}});
    let (service, tables) = Scripted::tables(move |number, operation, _| {
        assert_eq!(operation, "Query");
        // As much as 1 MB holds each time; a piece of items that were all left out is empty.
        let items: Vec<_> = if number == 1 { vec![] } else { (0..3).map(|at| item(number * 3 + at)).collect() };
        match number {
            0..=2 => json!({"Items": items, "LastEvaluatedKey": item(number * 3 + 2)}),
            _ => json!({"Items": items}),
        }
    });
    let found = tables.all(Range::new("p", "0", "9"), true).await.unwrap();
    let expected: Vec<_> = [0, 1, 2, 6, 7, 8, 9, 10, 11].iter().map(|number| format!("{number:04}")).collect();
    assert_eq!(found.iter().map(|item| item[SORT_KEY].as_s().unwrap().clone()).collect::<Vec<_>>(), expected);
    let asked = service.asked();
    let starts: Vec<_> = asked.iter().map(|request| request["ExclusiveStartKey"]["sk"]["S"].as_str()).collect();
    assert_eq!(starts, [None, Some("0002"), Some("0005"), Some("0008")]);
    assert!(asked.iter().all(|request| request["ConsistentRead"] == true));
}

#[tokio::test]
async fn an_empty_range_is_not_asked_for() {
    let (service, tables) = Scripted::tables(|_, _, _| json!({"Items": []}));
    assert_eq!(tables.all(Range::new("p", "2", "1"), false).await.unwrap(), []);
    assert_eq!(service.asked(), Vec::<Value>::new());
    assert_eq!(tables.all(Range::new("p", "1", "1"), false).await.unwrap(), []);
    assert_eq!(service.asked().len(), 1);
}

#[tokio::test]
async fn what_is_too_large_for_an_item_is_not_sent() {
    let (service, tables) = Scripted::tables(|_, _, _| json!({}));
    let mut item = Key::new("p", "s").attributes();
    item.insert("x".to_owned(), text("x".repeat(LARGEST - size(&item) - 1)));
    assert_eq!(size(&item), LARGEST);
    tables.put_all(vec![item.clone()]).await.unwrap();
    assert_eq!(service.asked().len(), 1);
    item.insert("y".to_owned(), text(""));
    assert!(matches!(tables.put_all(vec![item]).await, Err(StoreError::Other { .. })));
    assert_eq!(service.asked().len(), 1);
}
