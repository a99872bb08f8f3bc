//! A counter with a label whose values senders choose.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use prometheus::IntCounterVec;

use crate::time::Timestamp;

/// How many distinct values a label may have before the rest are `OTHER`.
pub const MOST_LABELS: usize = 200;
/// The label of all values that have none of their own.
pub(super) const OTHER: &str = "other";
/// The longest value that is a label, in bytes.
const LONGEST: usize = 100;
/// How many labels may change hands in an hour, each of which makes a time series.
const MOST_CHANGES: usize = 10;
/// How many values without a label are counted.
const MOST_CANDIDATES: usize = 2_000;

/// A counter by a label of at most [`MOST_LABELS`] values. A value has a label as long as one is free. From
/// then on, at the begin of an hour, the values that were counted most in the hour before take over labels
/// that were counted less, so that values which were sent first do not keep the labels from all others. What
/// was counted by a label that is given away is added to `other`: the sum over all labels never falls.
#[derive(Debug)]
pub(super) struct Labelled {
    counter: IntCounterVec,
    values: Mutex<Values>,
}

#[derive(Debug, Default)]
struct Values {
    hour: i64,
    /// Those with a label, and how often they were counted in this hour.
    shown: HashMap<Box<str>, u64>,
    /// Others, and how often they were counted in this hour: those that are more than one in
    /// [`MOST_CANDIDATES`] are among them, whatever else is sent (Misra and Gries).
    candidates: HashMap<Box<str>, u64>,
    /// Values that keep their label.
    pinned: Vec<&'static str>,
}

impl Labelled {
    pub(super) fn new(counter: IntCounterVec) -> Self {
        Self { counter, values: Mutex::default() }
    }

    /// Shows a value from the beginning, and for good.
    pub(super) fn pin(&self, value: &'static str) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.shown.insert(value.into(), 0);
        values.pinned.push(value);
        self.counter.with_label_values(&[value]);
    }

    /// Counts a value once.
    pub(super) fn count(&self, value: &str, now: Timestamp) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        // Requests of the hour before may still be counted after the first of this hour.
        if values.hour < now.hour() {
            values.hour = now.hour();
            values.change_hands(&self.counter);
        }
        let is_shown = values.count(value);
        // Within the lock, or a label that is given away meanwhile would come back.
        self.counter.with_label_values(&[if is_shown { value } else { OTHER }]).inc();
    }
}

impl Values {
    /// Counts a value; answers whether it has a label.
    fn count(&mut self, value: &str) -> bool {
        if let Some(count) = self.shown.get_mut(value) {
            *count += 1;
            return true;
        }
        if value.len() > LONGEST || value == OTHER {
            return false;
        }
        if self.shown.len() < MOST_LABELS {
            self.shown.insert(value.into(), 1);
            return true;
        }
        if let Some(count) = self.candidates.get_mut(value) {
            *count += 1;
        } else if self.candidates.len() < MOST_CANDIDATES {
            self.candidates.insert(value.into(), 1);
        } else {
            self.candidates.retain(|_, count| {
                *count -= 1;
                *count > 0
            });
        }
        false
    }

    /// Gives labels to the values that were counted most in the hour that is over.
    fn change_hands(&mut self, counter: &IntCounterVec) {
        let mut candidates: Vec<_> = std::mem::take(&mut self.candidates).into_iter().collect();
        candidates.sort_unstable_by(|(a, count_a), (b, count_b)| count_b.cmp(count_a).then_with(|| a.cmp(b)));
        let shown = self.shown.iter().filter(|(value, _)| !self.pinned.contains(&&***value));
        let mut shown: Vec<_> = shown.map(|(value, count)| (value.clone(), *count)).collect();
        shown.sort_unstable_by(|(a, count_a), (b, count_b)| count_a.cmp(count_b).then_with(|| a.cmp(b)));
        for ((value, count), (least, least_count)) in candidates.into_iter().zip(shown).take(MOST_CHANGES) {
            if count <= least_count {
                break;
            }
            let counted = counter.with_label_values(&[&*least]).get();
            counter.with_label_values(&[OTHER]).inc_by(counted);
            // There is one: it was just read.
            let _ = counter.remove_label_values(&[&*least]);
            self.shown.remove(&least);
            self.shown.insert(value, 0);
        }
        self.shown.values_mut().for_each(|count| *count = 0);
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Opts;
    use prometheus::core::Collector;

    use super::*;
    use crate::time::HOUR;

    fn labelled() -> Labelled {
        Labelled::new(IntCounterVec::new(Opts::new("a", "a"), &["path"]).unwrap())
    }

    impl Labelled {
        fn labels(&self) -> HashMap<String, u64> {
            let metrics = self.counter.collect().remove(0).take_metric();
            let value = |metric: &prometheus::proto::Metric| metric.get_label()[0].value().to_owned();
            metrics.iter().map(|metric| (value(metric), metric.get_counter().get_value() as u64)).collect()
        }
    }

    #[test]
    fn labels_are_capped() {
        let labelled = labelled();
        let now = Timestamp::from_millis(0);
        for n in 0..1_000 {
            labelled.count(&format!("/{n}"), now);
        }
        labelled.count(&"x".repeat(LONGEST + 1), now);
        let labels = labelled.labels();
        assert_eq!((labels.len(), labels[OTHER], labels["/199"]), (MOST_LABELS + 1, 801, 1));
    }

    #[test]
    fn values_that_were_invented_first_do_not_keep_the_labels() {
        let labelled = labelled();
        labelled.pin("/");
        let hour = |n: i64| Timestamp::from_millis(n * HOUR);
        for n in 0..10_000 {
            labelled.count(&format!("/invented/{n}"), hour(0));
        }
        // Real pages, between inventions that go on.
        let mut invented = 0..;
        let mut real = |now| {
            for page in 0..15 {
                for _ in 0..100 - page {
                    labelled.count(&format!("/real/{page}"), now);
                    labelled.count(&format!("/new/{}", invented.next().unwrap()), now);
                }
            }
        };
        real(hour(1));
        assert!(!labelled.labels().contains_key("/real/0"), "the hour is not over");
        real(hour(2));
        let labels = labelled.labels();
        let shown = |labels: &HashMap<String, u64>| labels.keys().filter(|label| label.starts_with("/real/")).count();
        assert_eq!(
            (shown(&labels), labels["/real/0"]),
            (MOST_CHANGES, 100),
            "so many an hour, the most frequent first"
        );
        real(hour(3));
        let labels = labelled.labels();
        assert_eq!(shown(&labels), 15);
        assert!(labels.len() <= MOST_LABELS + 1 && labels["/"] == 0, "what is pinned stays: {labels:?}");
        let per_hour: u64 = (0..15).map(|page| 2 * (100 - page)).sum();
        assert_eq!(labels.values().sum::<u64>(), 10_000 + 3 * per_hour, "the sum never falls");
    }
}
