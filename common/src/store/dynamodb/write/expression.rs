//! Conditions and updates in the service's expression language.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Condition, Update};
use crate::store::dynamodb::item::{Item, number};

/// Placeholders of names and values, since most short names are reserved words.
#[derive(Debug, Default)]
pub(super) struct Expressions {
    names: HashMap<String, String>,
    values: Item,
}

impl Expressions {
    fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#{}", self.names.len());
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    fn compare(&mut self, name: &str, operator: &str, value: AttributeValue) -> String {
        format!("{} {operator} {}", self.name(name), self.value(value))
    }

    pub(super) fn condition(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::Absent(name) => format!("attribute_not_exists({})", self.name(name)),
            Condition::Equal(name, value) => self.compare(name, "=", value.clone()),
            Condition::AtMost(name, most) => self.compare(name, "<=", number(most)),
            Condition::AtLeast(name, least) => self.compare(name, ">=", number(least)),
            Condition::All(parts) => self.joined(parts, " and "),
            Condition::Any(parts) => self.joined(parts, " or "),
        }
    }

    fn joined(&mut self, parts: &[Condition], operator: &str) -> String {
        let parts: Vec<_> = parts.iter().map(|part| self.condition(part)).collect();
        format!("({})", parts.join(operator))
    }

    pub(super) fn update(&mut self, update: &Update) -> String {
        let set = update.set.iter().map(|(name, value)| self.compare(name, "=", value.clone())).collect();
        let add = update.add.iter().map(|(name, n)| format!("{} {}", self.name(name), self.value(number(n)))).collect();
        let remove = update.remove.iter().map(|name| self.name(name)).collect();
        let clauses: [(&str, Vec<String>); 3] = [("set", set), ("add", add), ("remove", remove)];
        let clauses = clauses.into_iter().filter(|(_, parts)| !parts.is_empty());
        clauses.map(|(clause, parts)| format!("{clause} {}", parts.join(", "))).collect::<Vec<_>>().join(" ")
    }

    /// Names and values as requests take them: none instead of empty.
    pub(super) fn into_parts(self) -> (Option<HashMap<String, String>>, Option<Item>) {
        (Some(self.names).filter(|names| !names.is_empty()), Some(self.values).filter(|values| !values.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_nest() {
        let mut expressions = Expressions::default();
        let condition = Condition::All(vec![
            Condition::absent_or_at_most("z", 7),
            Condition::is("m", Some(number(1))),
            Condition::is("x", None),
            Condition::AtLeast("y".to_owned(), 2),
        ]);
        assert_eq!(
            expressions.condition(&condition),
            "((attribute_not_exists(#0) or #1 <= :0) and #2 = :1 and attribute_not_exists(#3) and #4 >= :2)"
        );
        let (names, values) = expressions.into_parts();
        let (names, values) = (names.unwrap(), values.unwrap());
        assert_eq!((&*names["#1"], &*names["#2"], &values[":0"]), ("z", "m", &number(7)));
    }

    #[test]
    fn updates_have_a_clause_for_each_kind_of_change() {
        let mut expressions = Expressions::default();
        let update = Update::default().set("ttl", number(5)).add("n", 1).add("vd", 2).remove("m1");
        assert_eq!(expressions.update(&update), "set #0 = :0 add #1 :1, #2 :2 remove #3");
        assert_eq!(Expressions::default().update(&Update::default().remove("z")), "remove #0");
        assert_eq!(Expressions::default().into_parts(), (None, None));
    }
}
