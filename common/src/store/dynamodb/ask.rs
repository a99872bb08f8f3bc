//! Reading and deleting items in numbers: whole ranges, and many by name, whatever pieces the
//! service cuts the answers into.

#[cfg(test)]
mod tests;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, DeleteRequest, KeysAndAttributes, PutRequest, ReturnConsumedCapacity, WriteRequest,
};

use super::client::{Pauses, Tables, Units};
use super::draft::Draft;
use super::errors::{Failure, failed, unavailable};
use super::item::{Item, LARGEST, size};
use super::keys::Key;
use super::table::{PARTITION_KEY, SORT_KEY};
use crate::store::Result;

/// Items that one request may ask for by name.
const MOST_GOT: usize = 100;
/// Items that one request may delete.
const MOST_WRITTEN: usize = 25;

/// An item that the service would not take.
#[derive(Debug, thiserror::Error)]
#[error("an item is larger than {LARGEST} bytes")]
pub(super) struct TooLarge;

/// A range of one partition, both ends included.
#[derive(Debug, Clone)]
pub(super) struct Range {
    pub(super) pk: String,
    pub(super) from: String,
    pub(super) to: String,
}

impl Range {
    pub(super) fn new(pk: impl Into<String>, from: impl Into<String>, to: impl Into<String>) -> Self {
        Self { pk: pk.into(), from: from.into(), to: to.into() }
    }
}

/// How a range is read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Way {
    /// Whether everything that was ever answered must be seen; twice the price.
    pub(super) consistent: bool,
    /// Whether from the end on.
    pub(super) backwards: bool,
    /// How many items to look at in one request; all that fit when there is none.
    pub(super) page: Option<i32>,
}

/// Reads a range piece by piece (at most 1 MB each, by the service's rule).
#[derive(Debug)]
pub(super) struct Pages<'a> {
    tables: &'a Tables,
    range: Range,
    way: Way,
    next: Option<Option<Item>>,
}

impl Pages<'_> {
    /// The next piece; `None` at the end. A piece may be empty.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Item>>> {
        let Some(start) = self.next.take() else { return Ok(None) };
        let answer = self
            .tables
            .ask(|| {
                self.tables
                    .client
                    .query()
                    .table_name(&*self.tables.table)
                    .key_condition_expression("#p = :p and #s between :from and :to")
                    .expression_attribute_names("#p", PARTITION_KEY)
                    .expression_attribute_names("#s", SORT_KEY)
                    .expression_attribute_values(":p", AttributeValue::S(self.range.pk.clone()))
                    .expression_attribute_values(":from", AttributeValue::S(self.range.from.clone()))
                    .expression_attribute_values(":to", AttributeValue::S(self.range.to.clone()))
                    .consistent_read(self.way.consistent)
                    .scan_index_forward(!self.way.backwards)
                    .set_limit(self.way.page)
                    .set_exclusive_start_key(start.clone())
                    .return_consumed_capacity(ReturnConsumedCapacity::Total)
                    .send()
            })
            .await
            .map_err(Failure::store_error)?;
        self.tables.used(Units::Read, answer.consumed_capacity.as_slice());
        self.next = answer.last_evaluated_key.map(Some);
        Ok(Some(answer.items.unwrap_or_default()))
    }
}

impl Tables {
    pub(super) fn pages(&self, range: Range, way: Way) -> Pages<'_> {
        // An empty range is a mistake in the service's eyes.
        let next = (range.from <= range.to).then_some(None);
        Pages { tables: self, range, way, next }
    }

    /// All items of a range.
    pub(super) async fn all(&self, range: Range, consistent: bool) -> Result<Vec<Item>> {
        let mut pages = self.pages(range, Way { consistent, ..Way::default() });
        let mut items = Vec::new();
        while let Some(page) = pages.next().await? {
            items.extend(page);
        }
        Ok(items)
    }

    /// One item.
    pub(super) async fn get(&self, key: &Key, consistent: bool) -> Result<Option<Item>> {
        let answer = self
            .ask(|| {
                self.client
                    .get_item()
                    .table_name(&*self.table)
                    .set_key(Some(key.attributes()))
                    .consistent_read(consistent)
                    .return_consumed_capacity(ReturnConsumedCapacity::Total)
                    .send()
            })
            .await
            .map_err(Failure::store_error)?;
        self.used(Units::Read, answer.consumed_capacity.as_slice());
        Ok(answer.item)
    }

    /// Those of these items that are there, in no order.
    pub(super) async fn get_all(&self, keys: &[Key], consistent: bool) -> Result<Vec<Item>> {
        let mut found = Vec::new();
        for keys in keys.chunks(MOST_GOT) {
            let mut left: Vec<Item> = keys.iter().map(Key::attributes).collect();
            let mut pauses = Pauses::start();
            while !left.is_empty() {
                let request = KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(consistent);
                let request = request.build().map_err(failed)?;
                let answer = self
                    .ask(|| {
                        self.client
                            .batch_get_item()
                            .request_items(&*self.table, request.clone())
                            .return_consumed_capacity(ReturnConsumedCapacity::Total)
                            .send()
                    })
                    .await
                    .map_err(Failure::store_error)?;
                self.used(Units::Read, answer.consumed_capacity());
                found.extend(answer.responses.unwrap_or_default().into_values().flatten());
                let unprocessed = answer.unprocessed_keys.unwrap_or_default();
                left = unprocessed.into_values().flat_map(|keys| keys.keys).collect();
                if !left.is_empty() && !pauses.pause().await {
                    return Err(unavailable("it is busy: keys stay unprocessed"));
                }
            }
        }
        Ok(found)
    }

    /// Deletes these items; those that are not there are as good as deleted.
    pub(super) async fn delete_all(&self, keys: &[Key]) -> Result<()> {
        let requests = keys.iter().map(|key| {
            let request = DeleteRequest::builder().set_key(Some(key.attributes())).build().map_err(failed)?;
            Ok(WriteRequest::builder().delete_request(request).build())
        });
        self.write_all(requests.collect::<Result<Vec<_>>>()?).await
    }

    /// Writes these items, whatever is there.
    pub(super) async fn put_all(&self, items: Vec<Item>) -> Result<()> {
        let requests = items.into_iter().map(|item| {
            if size(&item) > LARGEST {
                return Err(failed(TooLarge));
            }
            let request = PutRequest::builder().set_item(Some(item)).build().map_err(failed)?;
            Ok(WriteRequest::builder().put_request(request).build())
        });
        self.write_all(requests.collect::<Result<Vec<_>>>()?).await
    }

    /// Each request is about another item.
    async fn write_all(&self, requests: Vec<WriteRequest>) -> Result<()> {
        for requests in requests.chunks(MOST_WRITTEN) {
            let mut left = requests.to_vec();
            let mut pauses = Pauses::start();
            while !left.is_empty() {
                let answer = self
                    .ask(|| {
                        self.client
                            .batch_write_item()
                            .request_items(&*self.table, left.clone())
                            .return_consumed_capacity(ReturnConsumedCapacity::Total)
                            .send()
                    })
                    .await
                    .map_err(Failure::store_error)?;
                self.used(Units::Write, answer.consumed_capacity());
                left = answer.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
                if !left.is_empty() && !pauses.pause().await {
                    return Err(unavailable("it is busy: items stay unprocessed"));
                }
            }
        }
        Ok(())
    }

    /// Changes these items together or not at all; answers false when a condition does not hold.
    pub(super) async fn transact(&self, draft: &Draft) -> Result<bool> {
        let requests = draft.requests(&self.table)?;
        let mut pauses = Pauses::start();
        loop {
            let token = uuid::Uuid::new_v4().simple().to_string();
            let sent = self
                .ask(|| {
                    self.client
                        .transact_write_items()
                        .set_transact_items(Some(requests.clone()))
                        .client_request_token(&token)
                        .return_consumed_capacity(ReturnConsumedCapacity::Total)
                        .send()
                })
                .await;
            match sent {
                Ok(answer) => {
                    self.used(Units::Write, answer.consumed_capacity());
                    return Ok(true);
                }
                Err(Failure::Refused(error)) => match *error {
                    TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                        let codes = || cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code());
                        if codes().any(|code| code == "ConditionalCheckFailed") {
                            return Ok(false);
                        }
                        if !codes().any(|code| code == "TransactionConflict") || !pauses.pause().await {
                            return Err(failed(TransactWriteItemsError::TransactionCanceledException(cancelled)));
                        }
                    }
                    other => return Err(failed(other)),
                },
                Err(error) => return Err(error.store_error()),
            }
        }
    }
}
