//! Salts of cookieless visitors and the key of pseudonyms, in the table of the secrets.

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure};

use super::client::{Tables, Units};
use super::errors::{Failure, unavailable};
use super::item::{Item, number, read_number, sort_key, ttl};
use super::keys::{Key, SECRETS};
use super::table::{PARTITION_KEY, SORT_KEY};
use crate::store::{Result, Secret, SecretName};
use crate::time::{DAY, Timestamp};

/// Milliseconds from which on a secret is as good as gone.
const EXPIRES: &str = "x";

fn key(name: SecretName) -> Key {
    Key::new(
        SECRETS,
        match name {
            SecretName::Salt(day) => format!("salt/{day}"),
            SecretName::Pseudonyms => "pseudonyms".to_owned(),
        },
    )
}

fn read(item: &Item) -> Option<Secret> {
    let bytes: [u8; 32] = item.get("b")?.as_b().ok()?.as_ref().try_into().ok()?;
    Some(Secret { bytes, expires: read_number(item, EXPIRES).map(Timestamp::from_millis) })
}

/// The first writer's secret, while it lives. It is looked for before it is written, so that
/// those who only ever read need not be allowed to write.
pub(super) async fn secret(tables: &Tables, name: SecretName, fresh: Secret, now: Timestamp) -> Result<Secret> {
    let found = tables
        .ask(|| {
            tables
                .client
                .get_item()
                .table_name(&*tables.secrets)
                .set_key(Some(key(name).attributes()))
                .consistent_read(true)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
        })
        .await
        .map_err(Failure::store_error)?;
    tables.used(Units::Read, found.consumed_capacity.as_slice());
    let alive = |secret: &Secret| secret.expires.is_none_or(|expires| expires > now);
    if let Some(secret) = found.item.as_ref().and_then(read).filter(alive) {
        return Ok(secret);
    }
    put(tables, name, fresh, now).await
}

async fn put(tables: &Tables, name: SecretName, fresh: Secret, now: Timestamp) -> Result<Secret> {
    let mut item = key(name).attributes();
    item.insert("b".to_owned(), AttributeValue::B(Blob::new(fresh.bytes)));
    if let Some(expires) = fresh.expires {
        // The service may take its time; it is destroyed by hand long before.
        item.extend([(EXPIRES.to_owned(), number(expires.millis())), ttl(expires.plus(DAY))]);
    }
    let written = tables
        .ask(|| {
            tables
                .client
                .put_item()
                .table_name(&*tables.secrets)
                .set_item(Some(item.clone()))
                .condition_expression("attribute_not_exists(#p) or #x <= :now")
                .expression_attribute_names("#p", PARTITION_KEY)
                .expression_attribute_names("#x", EXPIRES)
                .expression_attribute_values(":now", number(now.millis()))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
        })
        .await;
    match written {
        Ok(answer) => {
            tables.used(Units::Write, answer.consumed_capacity.as_slice());
            Ok(fresh)
        }
        Err(Failure::Refused(error)) => match *error {
            PutItemError::ConditionalCheckFailedException(refusal) => refusal
                .item
                .as_ref()
                .and_then(read)
                .ok_or_else(|| unavailable("the stored secret is missing from the refusal of the new one")),
            other => Err(Failure::Refused(Box::new(other)).store_error()),
        },
        Err(error) => Err(error.store_error()),
    }
}

/// Deletes expired secrets; answers how many there were.
pub(super) async fn destroy(tables: &Tables, now: Timestamp) -> Result<u64> {
    let mut start = None;
    let mut destroyed = 0;
    loop {
        let answer = tables
            .ask(|| {
                tables
                    .client
                    .query()
                    .table_name(&*tables.secrets)
                    .key_condition_expression("#p = :p")
                    .filter_expression("#x <= :now")
                    .projection_expression("#p, #s, #x")
                    .expression_attribute_names("#p", PARTITION_KEY)
                    .expression_attribute_names("#s", SORT_KEY)
                    .expression_attribute_names("#x", EXPIRES)
                    .expression_attribute_values(":p", AttributeValue::S(SECRETS.to_owned()))
                    .expression_attribute_values(":now", number(now.millis()))
                    .set_exclusive_start_key(start.clone())
                    .return_consumed_capacity(ReturnConsumedCapacity::Total)
                    .send()
            })
            .await
            .map_err(Failure::store_error)?;
        tables.used(Units::Read, answer.consumed_capacity.as_slice());
        for item in answer.items() {
            destroyed += u64::from(delete(tables, sort_key(item), now).await?);
        }
        start = answer.last_evaluated_key;
        if start.is_none() {
            return Ok(destroyed);
        }
    }
}

/// Unless it was renewed meanwhile.
async fn delete(tables: &Tables, name: &str, now: Timestamp) -> Result<bool> {
    let deleted = tables
        .ask(|| {
            tables
                .client
                .delete_item()
                .table_name(&*tables.secrets)
                .set_key(Some(Key::new(SECRETS, name).attributes()))
                .condition_expression("#x <= :now")
                .expression_attribute_names("#x", EXPIRES)
                .expression_attribute_values(":now", number(now.millis()))
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
        })
        .await;
    match deleted {
        Ok(answer) => {
            tables.used(Units::Write, answer.consumed_capacity.as_slice());
            Ok(true)
        }
        Err(Failure::Refused(error)) => match *error {
            DeleteItemError::ConditionalCheckFailedException(_) => Ok(false),
            other => Err(Failure::Refused(Box::new(other)).store_error()),
        },
        Err(error) => Err(error.store_error()),
    }
}
