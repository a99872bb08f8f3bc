//! Records: bytes of the core, by id.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

use super::batch::Range;
use super::client::Table;
use super::item::{Item, sort_key, text};
use super::keys::{self, END};
use super::table::PARTITION_KEY;
use super::write::{Condition, Write};
use crate::store::{RecordKind, Result};

/// The bytes.
const BYTES: &str = "b";

fn bytes(item: &Item) -> Option<Vec<u8>> {
    Some(item.get(BYTES)?.as_b().ok()?.as_ref().to_vec())
}

pub(super) async fn put(table: &Table, kind: RecordKind, id: Uuid, bytes: Vec<u8>) -> Result<()> {
    let mut item = keys::record(kind, id).attributes();
    item.insert(BYTES.to_owned(), AttributeValue::B(Blob::new(bytes)));
    table.put_all(vec![item]).await
}

pub(super) async fn read(table: &Table, kind: RecordKind, id: Uuid) -> Result<Option<Vec<u8>>> {
    Ok(table.get(&keys::record(kind, id), true).await?.as_ref().and_then(bytes))
}

pub(super) async fn all(table: &Table, kind: RecordKind) -> Result<Vec<(Uuid, Vec<u8>)>> {
    let items = table.all(Range::new(keys::records(kind), " ", END), true).await?;
    Ok(items.iter().filter_map(|item| Some((sort_key(item).parse().ok()?, bytes(item)?))).collect())
}

pub(super) async fn delete(table: &Table, kind: RecordKind, id: Uuid) -> Result<bool> {
    let present = Condition::Equal(PARTITION_KEY.to_owned(), text(keys::records(kind)));
    let delete = Write::delete(keys::record(kind, id)).when(present);
    Ok(table.write(&[delete]).await?.is_ok())
}
