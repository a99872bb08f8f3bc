//! A transaction while it is put together, within the bounds of the service: no two actions on
//! one item, so many actions, so many bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};

use super::errors::failed;
use super::item::{Item, LARGEST, number, size};
use super::keys::Key;
use super::table::PARTITION_KEY;
use crate::store::Result;

/// Actions that one transaction may have.
pub(super) const MOST_ACTIONS: usize = 100;
/// Bytes that one transaction may have, less some for what surrounds the items.
pub(super) const MOST_BYTES: usize = 4 * 1024 * 1024 - 256 * 1024;
/// The attribute of totals that are being recounted: since when.
pub(super) const LOCKED: &str = "z";

/// What must hold, or else the transaction is cancelled.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    /// Nothing.
    None,
    /// The item is not there yet.
    New,
    /// What is added to `n` leaves it at this or below.
    Room(u64),
    /// These attributes have these values, or are absent.
    Was(BTreeMap<String, Option<AttributeValue>>),
    /// Nobody has locked the item since this instant.
    Open(i64),
}

/// What is changed of an item.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    /// Added to numbers.
    pub(super) add: BTreeMap<String, i64>,
    /// Set.
    pub(super) set: BTreeMap<String, AttributeValue>,
    /// Taken away.
    pub(super) remove: BTreeSet<String>,
    /// What must hold before.
    pub(super) condition: Condition,
}

impl Change {
    /// Nothing, under this condition.
    pub(super) const fn when(condition: Condition) -> Self {
        Self { add: BTreeMap::new(), set: BTreeMap::new(), remove: BTreeSet::new(), condition }
    }

    /// Adds to a number.
    pub(super) fn add(mut self, name: impl Into<String>, n: i64) -> Self {
        *self.add.entry(name.into()).or_default() += n;
        self
    }

    /// Sets an attribute.
    pub(super) fn set(mut self, (name, value): (String, AttributeValue)) -> Self {
        self.set.insert(name, value);
        self
    }

    /// Both changes, one after the other.
    fn then(&mut self, other: Self) {
        for (name, n) in other.add {
            *self.add.entry(name).or_default() += n;
        }
        self.set.extend(other.set);
        self.remove.extend(other.remove);
        match (&mut self.condition, other.condition) {
            // What was before the first change counts.
            (Condition::Was(first), Condition::Was(second)) => {
                for (name, value) in second {
                    first.entry(name).or_insert(value);
                }
            }
            (mine @ Condition::None, theirs) => *mine = theirs,
            _ => {}
        }
    }

    fn size(&self) -> usize {
        let set: usize =
            self.set.iter().map(|(name, value)| name.len() + size(&Item::from([(name.clone(), value.clone())]))).sum();
        set + self.add.keys().map(|name| name.len() + 12).sum::<usize>()
    }
}

/// What is done to one item.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// Written; whether it must not be there yet.
    Put {
        /// All of it.
        item: Item,
        /// Whether it must not be there yet.
        new: bool,
    },
    /// Changed.
    Change(Change),
    /// Deleted, if a number is what it was.
    Delete {
        /// The number's name.
        name: &'static str,
        /// What it must be.
        was: i64,
    },
}

impl Action {
    fn size(&self) -> usize {
        match self {
            Self::Put { item, .. } => size(item),
            Self::Change(change) => change.size(),
            Self::Delete { .. } => 0,
        }
    }
}

/// Actions in the order in which they were added; the service names them by it.
#[derive(Debug, Default)]
pub(super) struct Draft {
    actions: Vec<(Key, Action)>,
    places: HashMap<Key, usize>,
    bytes: usize,
}

impl Draft {
    pub(super) fn len(&self) -> usize {
        self.actions.len()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.actions.iter().map(|(key, _)| key)
    }

    /// The item of an action.
    pub(super) fn at(&self, place: usize) -> Option<&(Key, Action)> {
        self.actions.get(place)
    }

    /// Whether there is room for these actions beside `reserved` more.
    pub(super) fn fits(&self, actions: &[(Key, Action)], reserved: usize) -> bool {
        let new = actions.iter().filter(|(key, _)| !self.places.contains_key(key)).count();
        let bytes: usize = actions.iter().map(|(key, action)| key.pk.len() + key.sk.len() + action.size()).sum();
        actions.iter().all(|(_, action)| action.size() <= LARGEST)
            && self.actions.len() + new + reserved <= MOST_ACTIONS
            && self.bytes + bytes <= MOST_BYTES
    }

    /// Adds an action; one on the same item becomes one with it.
    pub(super) fn add(&mut self, key: Key, action: Action) {
        self.bytes += key.pk.len() + key.sk.len() + action.size();
        match self.places.get(&key) {
            None => {
                self.places.insert(key.clone(), self.actions.len());
                self.actions.push((key, action));
            }
            Some(place) => match (&mut self.actions[*place].1, action) {
                (Action::Change(first), Action::Change(second)) => first.then(second),
                (first, second) => *first = second,
            },
        }
    }

    /// The request's actions.
    pub(super) fn requests(&self, table: &str) -> Result<Vec<TransactWriteItem>> {
        self.actions.iter().map(|(key, action)| request(table, key, action)).collect()
    }
}

fn request(table: &str, key: &Key, action: &Action) -> Result<TransactWriteItem> {
    let request = TransactWriteItem::builder();
    Ok(match action {
        Action::Put { item, new } => {
            let mut put = Put::builder().table_name(table).set_item(Some(item.clone()));
            if *new {
                // The one that is there tells whether it is ours, of which we did not hear.
                put = put
                    .condition_expression("attribute_not_exists(#p)")
                    .expression_attribute_names("#p", PARTITION_KEY)
                    .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            }
            request.put(put.build().map_err(failed)?).build()
        }
        Action::Delete { name, was } => {
            let delete = Delete::builder()
                .table_name(table)
                .set_key(Some(key.attributes()))
                .condition_expression("#n = :n")
                .expression_attribute_names("#n", *name)
                .expression_attribute_values(":n", number(was));
            request.delete(delete.build().map_err(failed)?).build()
        }
        Action::Change(change) => request.update(update(table, key, change)?).build(),
    })
}

fn update(table: &str, key: &Key, change: &Change) -> Result<Update> {
    let mut names = HashMap::new();
    let mut values = Item::new();
    let mut name = |text: &str| {
        let short = format!("#{}", names.len());
        names.insert(short.clone(), text.to_owned());
        short
    };
    let mut value = |value: AttributeValue| {
        let short = format!(":{}", values.len());
        values.insert(short.clone(), value);
        short
    };
    let mut clauses = Vec::new();
    let set: Vec<_> =
        change.set.iter().map(|(attribute, to)| format!("{} = {}", name(attribute), value(to.clone()))).collect();
    let add: Vec<_> =
        change.add.iter().map(|(attribute, n)| format!("{} {}", name(attribute), value(number(n)))).collect();
    let remove: Vec<_> = change.remove.iter().map(|attribute| name(attribute)).collect();
    for (clause, parts) in [("set", set), ("add", add), ("remove", remove)] {
        if !parts.is_empty() {
            clauses.push(format!("{clause} {}", parts.join(", ")));
        }
    }
    let condition = match &change.condition {
        Condition::None => None,
        Condition::New => Some(format!("attribute_not_exists({})", name(PARTITION_KEY))),
        Condition::Room(most) => {
            let added = change.add.get("n").copied().unwrap_or(0).unsigned_abs();
            let (name, room) = (name("n"), value(number(most.saturating_sub(added))));
            Some(format!("attribute_not_exists({name}) or {name} <= {room}"))
        }
        Condition::Was(were) => {
            let were: Vec<_> = were
                .iter()
                .map(|(attribute, was)| match was {
                    Some(was) => format!("{} = {}", name(attribute), value(was.clone())),
                    None => format!("attribute_not_exists({})", name(attribute)),
                })
                .collect();
            Some(were.join(" and "))
        }
        Condition::Open(stale) => {
            let (name, stale) = (name(LOCKED), value(number(stale)));
            Some(format!("attribute_not_exists({name}) or {name} < {stale}"))
        }
    };
    Update::builder()
        .table_name(table)
        .set_key(Some(key.attributes()))
        .update_expression(clauses.join(" "))
        .set_condition_expression(condition)
        .set_expression_attribute_names(Some(names))
        .set_expression_attribute_values((!values.is_empty()).then_some(values))
        .build()
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::dynamodb::item::text;

    fn put(number: usize, bytes: usize) -> (Key, Action) {
        let key = Key::new("p", number.to_string());
        let mut item = key.attributes();
        item.insert("x".to_owned(), text("x".repeat(bytes)));
        (key, Action::Put { item, new: true })
    }

    #[test]
    fn a_transaction_has_at_most_a_hundred_actions() {
        let mut draft = Draft::default();
        for number in 0..100 {
            let action = put(number, 10);
            assert!(draft.fits(std::slice::from_ref(&action), 0));
            draft.add(action.0, action.1);
        }
        assert!(!draft.fits(&[put(100, 10)], 0), "one more item is one too many");
        assert!(draft.fits(&[put(7, 10)], 0), "an item that is in it already is none more");
        assert!(!draft.fits(&[], 1), "what is reserved counts");
    }

    #[test]
    fn a_transaction_has_at_most_four_megabytes() {
        let mut draft = Draft::default();
        let mut number = 0;
        while draft.fits(&[put(number, 300_000)], 0) {
            let (key, action) = put(number, 300_000);
            draft.add(key, action);
            number += 1;
        }
        assert_eq!(number, 13);
        let bytes: usize = draft.actions.iter().map(|(_, action)| action.size()).sum();
        assert!(bytes <= 4 * 1024 * 1024);
    }

    #[test]
    fn no_item_has_more_than_four_hundred_kilobytes() {
        let sized = |bytes: usize| {
            let (key, action) = put(0, 0);
            put(0, bytes - action.size()).1.size().eq(&bytes).then(|| (key, put(0, bytes - action.size()).1))
        };
        assert!(Draft::default().fits(&[sized(LARGEST).unwrap()], 0));
        assert!(!Draft::default().fits(&[sized(LARGEST + 1).unwrap()], 0));
    }

    #[test]
    fn no_item_is_acted_on_twice() {
        let key = Key::new("t", "1");
        let mut draft = Draft::default();
        let was = |value| Condition::Was([("m".to_owned(), value)].into());
        draft.add(key.clone(), Action::Change(Change::when(was(None)).add("n", 1).set(("m".to_owned(), number(1)))));
        let second = Change::when(was(Some(number(1)))).add("n", 2).set(("m".to_owned(), number(3)));
        draft.add(key, Action::Change(second));
        assert_eq!(draft.len(), 1);
        let requests = draft.requests("table").unwrap();
        let update = requests[0].update().unwrap();
        assert_eq!(update.update_expression(), "set #0 = :0 add #1 :1");
        assert_eq!(update.condition_expression(), Some("attribute_not_exists(#2)"));
        let values = update.expression_attribute_values().unwrap();
        assert_eq!((&values[":0"], &values[":1"]), (&number(3), &number(3)));
    }

    #[test]
    fn room_is_what_is_left_after_adding() {
        let key = Key::new("h", "1");
        let mut draft = Draft::default();
        for _ in 0..3 {
            draft.add(key.clone(), Action::Change(Change::when(Condition::Room(10)).add("n", 1)));
        }
        let requests = draft.requests("table").unwrap();
        let values = requests[0].update().unwrap().expression_attribute_values().unwrap();
        assert!(values.values().any(|value| *value == number(7)), "{values:?}");
    }
}
