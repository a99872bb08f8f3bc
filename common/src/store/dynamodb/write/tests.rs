//! Transactions and conditional writes against a scripted service.

use serde_json::{Value, json};

use super::*;
use crate::store::StoreError;
use crate::store::dynamodb::item::{number, text};
use crate::store::dynamodb::scripted::{Answer, Scripted};

fn key() -> Key {
    Key::new("p", "s")
}

fn cancelled(reasons: &Value) -> Answer {
    Answer::Error("TransactionCanceledException", json!({"CancellationReasons": reasons}))
}

#[tokio::test]
async fn a_cancelled_transaction_says_why_for_each_write() {
    let (_, table) = Scripted::table(|number, _, _| match number {
        0 => cancelled(&json!([
            {"Code": "None"}, {"Code": "ConditionalCheckFailed", "Item": {"x": {"S": "there"}}},
            {"Code": "ConditionalCheckFailed"}, {"Code": "TransactionConflict"}, {"Code": "ThrottlingError"},
        ])),
        _ => cancelled(&json!([{"Code": "None"}, {"Code": "ValidationError"}])),
    });
    let there = Item::from([("x".to_owned(), text("there"))]);
    assert_eq!(
        table.transact(&[]).await.unwrap(),
        Transacted::Cancelled(vec![
            Reason::None,
            Reason::Refused(there),
            Reason::Refused(Item::new()),
            Reason::Conflict,
            Reason::Conflict,
        ])
    );
    assert!(matches!(table.transact(&[]).await, Err(StoreError::Other { .. })), "a retry does not help");
}

#[tokio::test]
async fn conflicts_are_retried_and_refusals_are_not() {
    let (service, table) = Scripted::table(|number, _, _| match number {
        0 | 1 => cancelled(&json!([{"Code": "TransactionConflict"}])),
        2 => Answer::Output(json!({"ConsumedCapacity": [{"CapacityUnits": 2.0}]})),
        _ => cancelled(&json!([{"Code": "ConditionalCheckFailed", "Item": {"x": {"N": "3"}}}, {"Code": "None"}])),
    });
    let writes = [Write::delete(key()).when(Condition::Absent("x".to_owned()))];
    assert_eq!(table.write(&writes).await.unwrap(), Ok(()));
    assert_eq!(table.consumed().write, 2.0);
    let there = Item::from([("x".to_owned(), number(3))]);
    assert_eq!(table.write(&writes).await.unwrap(), Err(there));
    let requests = service.requests();
    assert_eq!(requests.len(), 4);
    assert_ne!(requests[0]["ClientRequestToken"], requests[1]["ClientRequestToken"], "another attempt, not a repeat");
}

#[tokio::test]
async fn a_refusal_answers_what_is_there() {
    let (service, table) = Scripted::table(|_, _, _| json!({}));
    let writes = [
        Write::put(key(), key().attributes()),
        Write::update(key(), Update::default().add("n", 1)),
        Write::delete(key()),
    ];
    table.transact(&writes.clone().map(|write| write.when(Condition::Absent("x".to_owned())))).await.unwrap();
    table.transact(&writes).await.unwrap();
    let requests = service.requests();
    for (at, action) in ["Put", "Update", "Delete"].into_iter().enumerate() {
        let [conditional, other] = [0, 1].map(|request: usize| &requests[request]["TransactItems"][at][action]);
        assert_eq!(conditional["ReturnValuesOnConditionCheckFailure"], "ALL_OLD");
        assert_eq!(conditional["ConditionExpression"], "attribute_not_exists(#0)");
        assert_eq!(
            (&other["ConditionExpression"], &other["ReturnValuesOnConditionCheckFailure"]),
            (&json!(null), &json!(null))
        );
    }
}

#[test]
fn what_a_write_takes_of_a_transaction_is_not_underestimated() {
    let mut item = key().attributes();
    item.insert("x".to_owned(), text("x".repeat(1_000)));
    assert_eq!(Write::put(key(), item).size(), 2 + 3 + 3 + 1_001);
    let update = Update::default().set("ttl", number(1_700_000_000)).add("n", 1).add("vd", 1);
    assert!(Write::update(key(), update).size() >= 2 + 3 + 6 + 1 + 3 + 2 + 3);
}
