//! Which values of a day are kept, if a dimension has more than [`MOST_VALUES`](super::MOST_VALUES).

use std::collections::{BTreeMap, BTreeSet};

use super::{Head, Property, Sparse};
use crate::measure::columns::OTHER;
use crate::measure::question::Field;
use crate::measure::record::{ARRIVAL_FIELDS, CLIENT_FIELDS};
use crate::measure::texts::Texts;

/// The kept values of dimensions that have too many; other dimensions keep all.
#[derive(Debug, Clone, Default)]
pub(super) struct Caps {
    pub(super) fields: BTreeMap<Field, Kept>,
    pub(super) properties: BTreeMap<String, Kept>,
    /// The names of the properties that are kept, if there are too many.
    pub(super) names: Option<BTreeSet<String>>,
}

/// What becomes of the values of one dimension.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// For each value the number under which it is kept.
    pub(super) numbers: Vec<u32>,
    /// The values under these numbers.
    pub(super) texts: Texts,
}

impl Kept {
    /// Keeps the unknown value and those that are counted most. Values that are counted 0 times are not
    /// counted as values.
    fn new(texts: &Texts, counts: &[u64], most: usize) -> Option<Self> {
        let mut values: Vec<u32> = (1..texts.len() as u32).filter(|value| counts[*value as usize] > 0).collect();
        if values.len() <= most {
            return None;
        }
        let rank = |value: &u32| (std::cmp::Reverse(counts[*value as usize]), texts.get(*value));
        values.select_nth_unstable_by(most, |a, b| rank(a).cmp(&rank(b)));
        let mut kept = Texts::default();
        kept.push(texts.get(0));
        let mut numbers = vec![u32::MAX; texts.len()];
        numbers[0] = 0;
        for value in &values[..most] {
            numbers[*value as usize] = kept.push(texts.get(*value));
        }
        let other = kept.find(OTHER).unwrap_or_else(|| kept.push(OTHER));
        numbers.iter_mut().filter(|number| **number == u32::MAX).for_each(|number| *number = other);
        Some(Self { numbers, texts: kept })
    }
}

impl Caps {
    pub(super) fn of(head: &Head) -> Self {
        let mut caps = Self::default();
        for field in Field::ALL.iter().copied() {
            let texts = head.texts[field as usize].texts();
            if texts.len() > head.most_values {
                let kept = Kept::new(texts, &count(head, field), head.most_values);
                caps.fields.extend(kept.map(|kept| (field, kept)));
            }
        }
        if head.properties.len() <= head.most_values
            && head.properties.values().all(|property| property.values.texts().len() <= head.most_values)
        {
            return caps;
        }
        // Rows that came twice do not count.
        let mut used = vec![false; head.len()];
        head.visitors
            .iter()
            .flat_map(|visitor| head.places.get(visitor.rows))
            .for_each(|row| used[*row as usize] = true);
        let of_property = |property: &Property| sparse_count(&property.column, property.values.texts().len(), &used);
        if head.properties.len() > head.most_values {
            let mut names: Vec<_> = head
                .properties
                .iter()
                .map(|(name, property)| (std::cmp::Reverse(of_property(property).iter().sum::<u64>()), name))
                .filter(|(count, _)| count.0 > 0)
                .collect();
            names.sort_unstable();
            if names.len() > head.most_values {
                caps.names = Some(names.into_iter().take(head.most_values).map(|(_, name)| name.clone()).collect());
            }
        }
        for (name, property) in &head.properties {
            let texts = property.values.texts();
            if texts.len() > head.most_values {
                let kept = Kept::new(texts, &of_property(property), head.most_values);
                caps.properties.extend(kept.map(|kept| (name.clone(), kept)));
            }
        }
        caps
    }

    /// Whether events keep their property of that name.
    pub(super) fn keeps(&self, name: &str) -> bool {
        self.names.as_ref().is_none_or(|names| names.contains(name))
    }
}

/// How many rows, or visits, have each value of a field.
fn count(head: &Head, field: Field) -> Vec<u64> {
    let mut counts = vec![0; head.texts[field as usize].texts().len()];
    let rows = &head.rows;
    let dense = match field {
        Field::EventName => Some(&rows.name),
        Field::Page => Some(&rows.page),
        Field::Hostname => Some(&rows.hostname),
        _ => None,
    };
    let sparse = match field {
        Field::Theme => Some(&rows.theme),
        Field::LetterType => Some(&rows.letter_type),
        Field::Element => Some(&rows.element),
        _ => None,
    };
    let arrival = ARRIVAL_FIELDS.iter().position(|other| *other == field);
    let client = CLIENT_FIELDS.iter().position(|other| *other == field);
    if let Some(sparse) = sparse {
        let mut used = vec![false; head.len()];
        head.visitors
            .iter()
            .flat_map(|visitor| head.places.get(visitor.rows))
            .for_each(|row| used[*row as usize] = true);
        return sparse_count(sparse, counts.len(), &used);
    }
    for visitor in &head.visitors {
        if let Some(column) = dense {
            head.places.get(visitor.rows).iter().for_each(|row| counts[column[*row as usize] as usize] += 1);
        }
        for visit in head.visits.get(visitor.visits).iter().filter(|visit| visit.events > 0) {
            let first = head.first(visit);
            let value = arrival
                .map(|at| head.arrival_values[rows.arrival[first] as usize][at])
                .or_else(|| client.map(|at| head.client_values[rows.client[first] as usize][at]));
            if let Some(value) = value {
                counts[value as usize] += 1;
            }
        }
    }
    counts
}

fn sparse_count(column: &Sparse, values: usize, used: &[bool]) -> Vec<u64> {
    let mut counts = vec![0; values];
    for (row, number) in column.rows.iter().zip(&column.numbers) {
        counts[*number as usize] += u64::from(used[*row as usize]);
    }
    counts
}
