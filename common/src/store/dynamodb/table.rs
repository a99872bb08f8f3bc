//! The table: two string keys, no index, a time to live.
//!
//! There is no index on purpose: an index costs a write for each event and is never read
//! consistently. The items are in `keys.rs`.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TimeToLiveSpecification,
};

use super::errors::{Failure, failed};
use crate::store::Result;

/// The partition key, a string.
pub const PARTITION_KEY: &str = "pk";
/// The sort key, a string.
pub const SORT_KEY: &str = "sk";
/// The attribute from whose second on an item may be deleted by the service.
pub const TIME_TO_LIVE: &str = "ttl";

/// Creates the table where no deployment does: in emulators and tests. One that exists stays as it is.
///
/// # Errors
/// When the service refuses.
pub async fn create_table(client: &Client, name: &str) -> Result<()> {
    let key = |name: &str, kind: KeyType| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let attribute =
        |name: &str| AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build();
    let created = client
        .create_table()
        .table_name(name)
        .key_schema(key(PARTITION_KEY, KeyType::Hash).map_err(failed)?)
        .key_schema(key(SORT_KEY, KeyType::Range).map_err(failed)?)
        .attribute_definitions(attribute(PARTITION_KEY).map_err(failed)?)
        .attribute_definitions(attribute(SORT_KEY).map_err(failed)?)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await;
    match created.map_err(Failure::of) {
        Ok(_) => {}
        Err(Failure::Refused(error)) if error.is_resource_in_use_exception() => return Ok(()),
        Err(error) => return Err(error.store_error()),
    }
    let ttl = TimeToLiveSpecification::builder().attribute_name(TIME_TO_LIVE).enabled(true).build();
    client
        .update_time_to_live()
        .table_name(name)
        .time_to_live_specification(ttl.map_err(failed)?)
        .send()
        .await
        .map_err(|error| Failure::of(error).store_error())?;
    Ok(())
}
