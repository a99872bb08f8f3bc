//! Reads of one item, of ranges and of many keys, and batches of unconditional writes, in requests
//! of whatever size the service takes.

#[cfg(test)]
mod tests;

use aws_sdk_dynamodb::types::{
    AttributeValue, DeleteRequest, KeysAndAttributes, PutRequest, ReturnConsumedCapacity, WriteRequest,
};

use super::client::{Backoff, Table, Units};
use super::errors::{Failure, failed, unavailable};
use super::item::{Item, LARGEST, size};
use super::keys::Key;
use super::table::{PARTITION_KEY, SORT_KEY};
use crate::store::Result;

/// Keys that one request may read.
const MOST_READ: usize = 100;
/// Items that one request may write.
const MOST_WRITTEN: usize = 25;

/// An item that the service would not take.
#[derive(Debug, thiserror::Error)]
#[error("an item is larger than {LARGEST} bytes")]
struct TooLarge;

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
pub(super) struct Scan {
    /// Whether every acknowledged write must be seen; twice the price.
    pub(super) consistent: bool,
    /// Whether from the end on.
    pub(super) backwards: bool,
    /// How many items to read in one request; without it as many as fit into 1 MB.
    pub(super) page: Option<i32>,
}

/// Reads a range page by page (at most 1 MB each, by the service's rule).
#[derive(Debug)]
pub(super) struct Pages<'a> {
    table: &'a Table,
    range: Range,
    scan: Scan,
    next: Option<Option<Item>>,
}

impl Pages<'_> {
    /// Whether all pages have been read.
    pub(super) const fn is_done(&self) -> bool {
        self.next.is_none()
    }

    /// The next page, which may be empty; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Item>>> {
        let Some(start) = self.next.take() else { return Ok(None) };
        let query = self.table.client.query().table_name(&*self.table.name);
        let query = query
            .key_condition_expression("#p = :p and #s between :from and :to")
            .expression_attribute_names("#p", PARTITION_KEY)
            .expression_attribute_names("#s", SORT_KEY)
            .expression_attribute_values(":p", AttributeValue::S(self.range.pk.clone()))
            .expression_attribute_values(":from", AttributeValue::S(self.range.from.clone()))
            .expression_attribute_values(":to", AttributeValue::S(self.range.to.clone()))
            .consistent_read(self.scan.consistent)
            .scan_index_forward(!self.scan.backwards)
            .set_limit(self.scan.page)
            .set_exclusive_start_key(start)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = self.table.request(|| query.clone().send()).await.map_err(Failure::store_error)?;
        self.table.meter(Units::Read, answer.consumed_capacity.as_slice());
        self.next = answer.last_evaluated_key.map(Some);
        Ok(Some(answer.items.unwrap_or_default()))
    }
}

impl Table {
    pub(super) fn pages(&self, range: Range, scan: Scan) -> Pages<'_> {
        // The service refuses an empty range.
        let next = (range.from <= range.to).then_some(None);
        Pages { table: self, range, scan, next }
    }

    /// All items of a range.
    pub(super) async fn all(&self, range: Range, consistent: bool) -> Result<Vec<Item>> {
        let mut pages = self.pages(range, Scan { consistent, ..Scan::default() });
        let mut items = Vec::new();
        while let Some(page) = pages.next().await? {
            items.extend(page);
        }
        Ok(items)
    }

    /// One item.
    pub(super) async fn get(&self, key: &Key, consistent: bool) -> Result<Option<Item>> {
        let get = self.client.get_item().table_name(&*self.name).set_key(Some(key.attributes()));
        let get = get.consistent_read(consistent).return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = self.request(|| get.clone().send()).await.map_err(Failure::store_error)?;
        self.meter(Units::Read, answer.consumed_capacity.as_slice());
        Ok(answer.item)
    }

    /// Those of these items that exist, in no order.
    pub(super) async fn get_all(&self, keys: &[Key], consistent: bool) -> Result<Vec<Item>> {
        let mut found = Vec::new();
        for keys in keys.chunks(MOST_READ) {
            let mut left: Vec<Item> = keys.iter().map(Key::attributes).collect();
            let mut backoff = Backoff::start();
            while !left.is_empty() {
                let keys = KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(consistent);
                let get = self.client.batch_get_item().request_items(&*self.name, keys.build().map_err(failed)?);
                let get = get.return_consumed_capacity(ReturnConsumedCapacity::Total);
                let answer = self.request(|| get.clone().send()).await.map_err(Failure::store_error)?;
                self.meter(Units::Read, answer.consumed_capacity());
                found.extend(answer.responses.unwrap_or_default().into_values().flatten());
                let unprocessed = answer.unprocessed_keys.unwrap_or_default();
                left = unprocessed.into_values().flat_map(|keys| keys.keys).collect();
                if !left.is_empty() && !backoff.wait().await {
                    return Err(unavailable("the table is busy: keys stay unprocessed"));
                }
            }
        }
        Ok(found)
    }

    /// Deletes these items, whether or not they exist.
    pub(super) async fn delete_all(&self, keys: &[Key]) -> Result<()> {
        let requests = keys.iter().map(|key| {
            let request = DeleteRequest::builder().set_key(Some(key.attributes())).build().map_err(failed)?;
            Ok(WriteRequest::builder().delete_request(request).build())
        });
        self.write_all(requests.collect::<Result<Vec<_>>>()?).await
    }

    /// Writes these items, whether or not they exist.
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

    /// Each request writes another item.
    async fn write_all(&self, requests: Vec<WriteRequest>) -> Result<()> {
        for requests in requests.chunks(MOST_WRITTEN) {
            let mut left = requests.to_vec();
            let mut backoff = Backoff::start();
            while !left.is_empty() {
                let write = self.client.batch_write_item().request_items(&*self.name, left);
                let write = write.return_consumed_capacity(ReturnConsumedCapacity::Total);
                let answer = self.request(|| write.clone().send()).await.map_err(Failure::store_error)?;
                self.meter(Units::Write, answer.consumed_capacity());
                left = answer.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
                if !left.is_empty() && !backoff.wait().await {
                    return Err(unavailable("the table is busy: items stay unprocessed"));
                }
            }
        }
        Ok(())
    }
}
