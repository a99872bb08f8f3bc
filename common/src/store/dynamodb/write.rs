//! Conditional writes: of one or many items, together or not at all, and once even if the answer is lost
//! and they are sent again.

mod expression;
#[cfg(test)]
mod tests;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Delete, Put, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, Update as TransactUpdate,
};

use self::expression::Expressions;
use super::client::{Backoff, Table, Units};
use super::errors::{Failure, failed, is_transient, unavailable};
use super::item::{Item, size};
use super::keys::Key;
use crate::store::Result;

/// Writes that one transaction may have.
pub(super) const MOST_WRITES: usize = 100;
/// Bytes that one transaction may have, less some for what surrounds the items.
pub(super) const MOST_BYTES: usize = 4 * 1024 * 1024 - 256 * 1024;

/// What must hold, or else nothing is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    /// The attribute is absent.
    Absent(String),
    /// The attribute has this value.
    Equal(String, AttributeValue),
    /// The attribute is a number, and not greater.
    AtMost(String, i64),
    /// The attribute is a number, and not less.
    AtLeast(String, i64),
    /// All of these hold.
    All(Vec<Self>),
    /// One of these holds.
    Any(Vec<Self>),
}

impl Condition {
    /// The attribute has this value, or is absent when there is none.
    pub(super) fn is(name: impl Into<String>, value: Option<AttributeValue>) -> Self {
        match value {
            Some(value) => Self::Equal(name.into(), value),
            None => Self::Absent(name.into()),
        }
    }

    /// The attribute is absent or not greater.
    pub(super) fn absent_or_at_most(name: &str, most: i64) -> Self {
        Self::Any(vec![Self::Absent(name.to_owned()), Self::AtMost(name.to_owned(), most)])
    }
}

/// Changes of an item's attributes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Update {
    set: Vec<(String, AttributeValue)>,
    add: Vec<(String, i64)>,
    remove: Vec<String>,
}

impl Update {
    pub(super) fn set(mut self, name: impl Into<String>, value: AttributeValue) -> Self {
        self.set.push((name.into(), value));
        self
    }

    /// Adds to a number; an absent one is 0.
    pub(super) fn add(mut self, name: impl Into<String>, n: i64) -> Self {
        self.add.push((name.into(), n));
        self
    }

    pub(super) fn remove(mut self, name: impl Into<String>) -> Self {
        self.remove.push(name.into());
        self
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Action {
    Put(Item),
    Update(Update),
    Delete,
}

/// A write of one item.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Write {
    key: Key,
    action: Action,
    condition: Option<Condition>,
}

impl Write {
    /// Replaces the whole item; `item` includes its key.
    pub(super) const fn put(key: Key, item: Item) -> Self {
        Self { key, action: Action::Put(item), condition: None }
    }

    pub(super) const fn update(key: Key, update: Update) -> Self {
        Self { key, action: Action::Update(update), condition: None }
    }

    pub(super) const fn delete(key: Key) -> Self {
        Self { key, action: Action::Delete, condition: None }
    }

    /// Only if this holds.
    pub(super) fn when(self, condition: Condition) -> Self {
        Self { condition: Some(condition), ..self }
    }

    /// About how many bytes of a transaction it takes.
    pub(super) fn size(&self) -> usize {
        let attributes = match &self.action {
            Action::Put(item) => size(item),
            Action::Update(update) => {
                let set: usize =
                    update.set.iter().map(|(name, value)| 2 * name.len() + super::item::value_size(value)).sum();
                set + update.add.iter().map(|(name, _)| name.len() + 12).sum::<usize>()
            }
            Action::Delete => 0,
        };
        self.key.pk.len() + self.key.sk.len() + attributes
    }

    fn request(&self, table: &str) -> Result<TransactWriteItem> {
        let mut expressions = Expressions::default();
        let condition = self.condition.as_ref().map(|condition| expressions.condition(condition));
        let old = condition.is_some().then_some(ReturnValuesOnConditionCheckFailure::AllOld);
        let request = TransactWriteItem::builder();
        let request = match &self.action {
            Action::Put(item) => {
                let (names, values) = expressions.into_parts();
                let put = Put::builder().table_name(table).set_item(Some(item.clone()));
                let put = put.set_condition_expression(condition).set_return_values_on_condition_check_failure(old);
                let put = put.set_expression_attribute_names(names).set_expression_attribute_values(values);
                request.put(put.build().map_err(failed)?)
            }
            Action::Update(update) => {
                let expression = expressions.update(update);
                let (names, values) = expressions.into_parts();
                let update = TransactUpdate::builder().table_name(table).set_key(Some(self.key.attributes()));
                let update = update.update_expression(expression).set_condition_expression(condition);
                let update = update.set_return_values_on_condition_check_failure(old);
                let update = update.set_expression_attribute_names(names).set_expression_attribute_values(values);
                request.update(update.build().map_err(failed)?)
            }
            Action::Delete => {
                let (names, values) = expressions.into_parts();
                let delete = Delete::builder().table_name(table).set_key(Some(self.key.attributes()));
                let delete =
                    delete.set_condition_expression(condition).set_return_values_on_condition_check_failure(old);
                let delete = delete.set_expression_attribute_names(names).set_expression_attribute_values(values);
                request.delete(delete.build().map_err(failed)?)
            }
        };
        Ok(request.build())
    }
}

/// What became of a transaction.
#[derive(Debug, PartialEq)]
pub(super) enum Transacted {
    /// All was written.
    Done,
    /// Nothing was written; why, for each write.
    Cancelled(Vec<Reason>),
}

/// What one write has to do with the cancellation of its transaction.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reason {
    /// Nothing.
    None,
    /// Its condition did not hold of this item, which is empty when there is none.
    Refused(Item),
    /// Another transaction writes the item, or the service is busy.
    Conflict,
}

impl Table {
    /// Writes all of these items or none; each item once. The caller judges a conflict.
    pub(super) async fn transact(&self, writes: &[Write]) -> Result<Transacted> {
        let items = writes.iter().map(|write| write.request(&self.name)).collect::<Result<Vec<_>>>()?;
        // With the same token a transaction that is sent again is executed once. Tokens are compared
        // across all tables of an account.
        let token = uuid::Uuid::new_v4().simple().to_string();
        let transaction = self.client.transact_write_items().set_transact_items(Some(items));
        let transaction = transaction.client_request_token(token);
        let transaction = transaction.return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.request(|| transaction.clone().send()).await {
            Ok(answer) => {
                self.meter(Units::Write, answer.consumed_capacity());
                Ok(Transacted::Done)
            }
            Err(Failure::Refused(error)) => match *error {
                TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                    let reasons = cancelled.cancellation_reasons().iter().map(reason).collect::<Option<Vec<_>>>();
                    reasons
                        .filter(|reasons| reasons.iter().any(|reason| *reason != Reason::None))
                        .map(Transacted::Cancelled)
                        .ok_or_else(|| failed(TransactWriteItemsError::TransactionCanceledException(cancelled)))
                }
                other => Err(failed(other)),
            },
            Err(other) => Err(other.store_error()),
        }
    }

    /// Writes all of these items or none, at most [`MOST_WRITES`], and retries conflicts. When a
    /// condition does not hold, the error is the item of which it does not, empty if there is none.
    pub(super) async fn write(&self, writes: &[Write]) -> Result<Result<(), Item>> {
        let mut backoff = Backoff::start();
        loop {
            match self.transact(writes).await? {
                Transacted::Done => return Ok(Ok(())),
                Transacted::Cancelled(reasons) => {
                    let refused = reasons.into_iter().find_map(|reason| match reason {
                        Reason::Refused(item) => Some(item),
                        Reason::None | Reason::Conflict => None,
                    });
                    if let Some(item) = refused {
                        return Ok(Err(item));
                    }
                    if !backoff.wait().await {
                        return Err(unavailable("the table is busy: a transaction conflicts with others"));
                    }
                }
            }
        }
    }
}

/// `None` for a reason that a retry does not help.
fn reason(reason: &CancellationReason) -> Option<Reason> {
    match reason.code().unwrap_or("None") {
        "None" => Some(Reason::None),
        "ConditionalCheckFailed" => Some(Reason::Refused(reason.item.clone().unwrap_or_default())),
        "TransactionConflict" => Some(Reason::Conflict),
        code if is_transient(code) || is_transient(&format!("{code}Exception")) => Some(Reason::Conflict),
        _ => None,
    }
}
