//! Which values of a day are kept, if a dimension has more than [`MOST_VALUES`](super::MOST_VALUES).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Head, Property};
use crate::event_type::EventType;
use crate::measure::columns::OTHER;
use crate::measure::question::{Dimension, Field, Scope};
use crate::measure::texts::{Interner, Texts};

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
    pub(super) texts: Arc<Texts>,
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
        Some(Self { numbers, texts: Arc::new(kept) })
    }

    /// Renames the numbers of a column.
    pub(super) fn rename(&self, numbers: &mut [u32]) {
        numbers.iter_mut().for_each(|number| *number = self.numbers[*number as usize]);
    }
}

impl Caps {
    /// Counts over the head and all pieces, whose columns are in memory, so that reading them cannot fail.
    pub(super) fn of(head: &Head) -> Self {
        let mut caps = Self::default();
        for field in Field::ALL.iter().copied() {
            let texts = head.texts[field as usize].texts();
            if texts.len() > head.most_values {
                let mut counts = count(head, field);
                if field == Field::EventName {
                    keep_built_in_types(&head.texts[field as usize], &mut counts);
                }
                let kept = Kept::new(texts, &counts, head.most_values);
                caps.fields.extend(kept.map(|kept| (field, kept)));
            }
        }
        let is_capped = |property: &&Property| property.values.texts().len() > head.most_values;
        if head.properties.len() <= head.most_values && !head.properties.values().any(|of| is_capped(&of)) {
            return caps;
        }
        let used: Vec<_> = head.parts().map(|part| (part, part.used_rows())).collect();
        let of_property = |property: &Property| {
            let mut counts = vec![0; property.values.texts().len()];
            for (part, used) in &used {
                part.each_of_property(property, |row, number| counts[number as usize] += u64::from(used[row]));
            }
            counts
        };
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
        for (name, property) in head.properties.iter().filter(|(_, property)| is_capped(property)) {
            let kept = Kept::new(property.values.texts(), &of_property(property), head.most_values);
            caps.properties.extend(kept.map(|kept| (name.clone(), kept)));
        }
        caps
    }

    /// Whether events keep their property of that name.
    pub(super) fn keeps(&self, name: &str) -> bool {
        self.names.as_ref().is_none_or(|names| names.contains(name))
    }
}

/// Ranks built-in types of events before all that senders invent.
fn keep_built_in_types(types: &Interner, counts: &mut [u64]) {
    for built_in in (0..).map_while(EventType::from_number) {
        if let Some(count) = types.find(built_in.name()).and_then(|number| counts.get_mut(number as usize))
            && *count > 0
        {
            *count = u64::MAX;
        }
    }
}

/// How many rows, or visits, have each value of a field.
fn count(head: &Head, field: Field) -> Vec<u64> {
    let (mut counts, mut numbers) = (vec![0; head.texts[field as usize].texts().len()], Vec::new());
    for part in head.parts() {
        let Ok(visits) = part.all_visits() else { continue };
        if part.values(&Dimension::Field(field), &visits, &mut numbers).is_err() {
            continue;
        }
        for (place, visit) in visits.iter().enumerate() {
            if field.scope() == Scope::Event {
                let own = &numbers[visit.start as usize..][..(visit.events + visit.reports) as usize];
                own.iter().for_each(|number| counts[*number as usize] += 1);
            } else if visit.events > 0 {
                counts[numbers[place] as usize] += 1;
            }
        }
    }
    counts
}
