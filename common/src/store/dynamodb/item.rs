//! Items and their attributes.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::table::{SORT_KEY, TIME_TO_LIVE};
use crate::time::Timestamp;

/// Attributes by name.
pub(super) type Item = HashMap<String, AttributeValue>;

/// The most bytes that the service takes as one item.
pub(super) const LARGEST: usize = 400 * 1024;

pub(super) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// When the service may delete an item.
pub(super) fn ttl(at: Timestamp) -> (String, AttributeValue) {
    (TIME_TO_LIVE.to_owned(), number(at.seconds()))
}

pub(super) fn read_number<T: std::str::FromStr>(item: &Item, name: &str) -> Option<T> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

pub(super) fn read_text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

/// An item's sort key.
pub(super) fn sort_key(item: &Item) -> &str {
    read_text(item, SORT_KEY).unwrap_or_default()
}

/// What an item counts as, by the service's rule: the bytes of names and values, a number half
/// its digits and one more, three and one an entry for maps and lists.
pub(super) fn size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

pub(super) fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::L(values) => 3 + values.iter().map(|value| 1 + value_size(value)).sum::<usize>(),
        AttributeValue::M(values) => {
            3 + values.iter().map(|(name, value)| 1 + name.len() + value_size(value)).sum::<usize>()
        }
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::Ns(numbers) => numbers.iter().map(|digits| digits.len().div_ceil(2) + 1).sum(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_service() {
        let item = Item::from([
            ("pk".to_owned(), text("abc")),
            ("n".to_owned(), number(12_345)),
            ("v".to_owned(), AttributeValue::B(vec![0; 16].into())),
            ("l".to_owned(), AttributeValue::L(vec![text("ab")])),
        ]);
        assert_eq!(size(&item), 5 + 5 + 17 + 7);
    }
}
