//! What a question takes from the summaries of many days, added up.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;

use super::Summary;
use super::plan::{Plan, Take, passes_value};
use crate::event_type::EventType;
use crate::measure::columns::Damaged;
use crate::measure::question::Dimension;
use crate::measure::scan::{Counted, Label, is_custom_event};
use crate::measure::texts::Interner;
use crate::time::Timestamp;

/// The rows of one pass.
#[derive(Debug, Default)]
struct Sums {
    texts: Interner,
    /// By bucket of each time, and number of the text.
    rows: HashMap<[u32; 3], Counted, RandomState>,
    /// Which of the places is a text's.
    text: Option<usize>,
    places: usize,
}

/// What summaries say of the expired days of a question.
#[derive(Debug, Default)]
pub(in crate::measure) struct Expired {
    sums: [Option<Sums>; 4],
    /// Days that have a summary.
    pub(in crate::measure) days: usize,
    /// Whether a summary was damaged.
    pub(in crate::measure) damaged: bool,
    pub(in crate::measure) capped: BTreeSet<Dimension>,
}

impl Expired {
    /// Before the first day.
    pub(in crate::measure) fn new(plan: &Plan<'_>) -> Self {
        let sums = |take: &Option<Take<'_>>| {
            take.as_ref().map(|take| Sums { text: take.place, places: take.dimensions, ..Sums::default() })
        };
        Self { sums: std::array::from_fn(|pass| sums(&plan.takes[pass])), ..Self::default() }
    }

    /// Adds a day. `at` is when the local day begins that it stands for.
    pub(in crate::measure) fn add(&mut self, plan: &Plan<'_>, summary: &Summary, at: Timestamp) {
        self.days += 1;
        for (take, sums) in plan.takes.iter().zip(&mut self.sums) {
            if let (Some(take), Some(sums)) = (take, sums) {
                match sums.add(take, summary, at) {
                    Ok(false) => {}
                    Ok(true) => self.capped.extend(take.dimension.clone()),
                    Err(Damaged) => self.damaged = true,
                }
            }
        }
    }

    /// Calls `each` with the rows of a pass.
    pub(in crate::measure) fn each(&self, pass: usize, mut each: impl FnMut(&[Label<'_>], &Counted)) {
        let Some(sums) = &self.sums[pass] else { return };
        for (key, counted) in &sums.rows {
            let label = |at: usize| match sums.text == Some(at) {
                true => Label::Text(sums.texts.texts().get(key[at])),
                false => Label::Number(key[at]),
            };
            each(&std::array::from_fn::<_, 3, _>(label)[..sums.places], counted);
        }
    }

    /// Whether a pass could take what it needs.
    pub(in crate::measure) const fn has(&self, pass: usize) -> bool {
        self.sums[pass].is_some()
    }

    /// The bytes of memory that it takes.
    pub(in crate::measure) fn memory(&self) -> usize {
        let row = size_of::<([u32; 3], Counted)>() + 1;
        self.sums.iter().flatten().map(|sums| sums.texts.memory() + sums.rows.capacity() * row).sum()
    }
}

impl Sums {
    fn add(&mut self, take: &Take<'_>, summary: &Summary, at: Timestamp) -> Result<bool, Damaged> {
        let mut key = [0; 3];
        for (place, buckets) in &take.times {
            // Days of the range without a bucket are none.
            let Some(bucket) = buckets.find(at) else { return Ok(false) };
            key[*place] = bucket.label;
        }
        let Self { texts, rows, .. } = self;
        let mut sum = |key: [u32; 3], counted: &Counted| {
            let mut counted = *counted;
            if !take.bounces {
                (counted.bounce_visits, counted.bounces) = (0, 0);
            }
            if !take.durations {
                (counted.duration_visits, counted.duration) = (0, 0);
            }
            rows.entry(key).or_default().add(&counted);
        };
        let Some(dimension) = &take.dimension else {
            let totals = summary.totals(take.reports_are_events);
            if totals.days > 0 {
                sum(key, totals);
            }
            return Ok(false);
        };
        let is_name = *dimension == Dimension::Field(crate::measure::question::Field::EventName);
        summary.rows(dimension, |text, counted| {
            let is_report = is_name
                && !take.reports_are_events
                && [EventType::Scroll, EventType::Hover].iter().any(|report| report.name() == text);
            let other = take.custom_events && !is_custom_event(text);
            if is_report || other || !take.filters.iter().all(|filter| passes_value(filter, text)) {
                return;
            }
            if let Some(place) = take.place {
                key[place] = texts.number(text);
            }
            sum(key, counted);
        })
    }
}
