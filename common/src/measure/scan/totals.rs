//! What the groups of all days add up to.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::groups::NONE;
use super::opened::Opened;
use super::visitors::VisitorSet;
use crate::measure::columns::Damaged;
use crate::measure::question::{Dimension, Field, Goals, Question};
use crate::measure::texts::{Interner, Texts};

/// Numbers of one group; all of them add up over days but for explicit visitors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::measure) struct Counted {
    /// Days on which it has an event.
    pub(in crate::measure) days: u64,
    pub(in crate::measure) visitors: u64,
    pub(in crate::measure) visits: u64,
    pub(in crate::measure) events: u64,
    pub(in crate::measure) views: u64,
    pub(in crate::measure) bounce_visits: u64,
    pub(in crate::measure) bounces: u64,
    pub(in crate::measure) duration_visits: u64,
    /// Milliseconds.
    pub(in crate::measure) duration: u64,
    pub(in crate::measure) depth_visits: u64,
    pub(in crate::measure) depth: u64,
    pub(in crate::measure) visible_visits: u64,
    /// Milliseconds.
    pub(in crate::measure) visible: u64,
}

impl Counted {
    pub(in crate::measure) fn add(&mut self, other: &Self) {
        self.days += other.days;
        self.visitors += other.visitors;
        self.visits += other.visits;
        self.events += other.events;
        self.views += other.views;
        self.bounce_visits += other.bounce_visits;
        self.bounces += other.bounces;
        self.duration_visits += other.duration_visits;
        self.duration += other.duration;
        self.depth_visits += other.depth_visits;
        self.depth += other.depth;
        self.visible_visits += other.visible_visits;
        self.visible += other.visible;
    }
}

/// A value of a dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::measure) enum Label<'a> {
    /// A text.
    Text(&'a str),
    /// The number of a bucket of time or of a goal.
    Number(u32),
}

/// The rows of an answer.
#[derive(Debug)]
pub(super) struct Totals {
    dimensions: usize,
    /// The values of each dimension; unused of times and goals, whose numbers are the same on all days.
    texts: [Interner; 3],
    is_text: [bool; 3],
    /// For each dimension the texts of the day before, with their numbers.
    before: [Option<Known>; 3],
    /// The row of each value, if there is one dimension.
    of_value: Vec<u32>,
    /// The row of all values together, if there are others.
    numbers: HashMap<[u32; 3], u32, RandomState>,
    rows: Vec<([u32; 3], Counted)>,
    /// The explicit visitors of each row, apart, so that they are close to each other in memory.
    explicit: Vec<VisitorSet>,
    /// The bytes that these take.
    explicit_memory: usize,
}

impl Totals {
    pub(super) fn new(dimensions: usize) -> Self {
        Self {
            dimensions,
            texts: Default::default(),
            is_text: [false; 3],
            before: Default::default(),
            of_value: Vec::new(),
            numbers: HashMap::default(),
            rows: Vec::new(),
            explicit: Vec::new(),
            explicit_memory: 0,
        }
    }

    /// Where the groups of a day are added.
    pub(super) fn of_day<'a>(
        &'a mut self,
        question: &Question,
        dimensions: &[usize],
        opened: &Opened<'_>,
    ) -> Result<Places<'a>, Damaged> {
        let mut days = Vec::with_capacity(dimensions.len());
        for (at, place) in dimensions.iter().enumerate() {
            let name = Dimension::Field(Field::EventName);
            let texts = match &question.dimensions[*place] {
                Dimension::Time(_) => None,
                Dimension::Goal => matches!(question.goals, Goals::CustomEvents).then(|| opened.texts(&name)),
                dimension => Some(opened.texts(dimension)),
            };
            let texts = texts.transpose()?;
            self.is_text[at] = texts.is_some();
            let before = self.before[at].take();
            days.push(texts.map(|texts| match before {
                Some(before) => before.next(texts),
                None => Known { numbers: vec![NONE; texts.len()], texts },
            }));
        }
        Ok(Places { totals: self, days })
    }

    /// The visitors of the row with these labels.
    pub(super) fn visitors(&mut self, labels: &[Label<'_>]) -> u64 {
        let mut key = [0; 3];
        for (at, label) in labels.iter().enumerate() {
            key[at] = match label {
                Label::Text(text) => self.texts[at].find(text).unwrap_or(NONE),
                Label::Number(number) => *number,
            };
        }
        let row = match self.dimensions {
            1 => self.of_value.get(key[0] as usize),
            _ => self.numbers.get(&key),
        };
        let row = row.and_then(|row| Some((self.rows.get(*row as usize)?, self.explicit.get_mut(*row as usize)?)));
        row.map_or(0, |((_, counted), explicit)| counted.visitors + explicit.count())
    }

    /// Adds numbers to the row with these labels; visitors are counted once more.
    pub(super) fn add(&mut self, labels: &[Label<'_>], counted: &Counted) {
        let mut key = [0; 3];
        for (at, label) in labels.iter().enumerate() {
            self.is_text[at] = matches!(label, Label::Text(_));
            key[at] = match label {
                Label::Text(text) => self.texts[at].number(text),
                Label::Number(number) => *number,
            };
        }
        let row = self.row(key);
        self.rows[row as usize].1.add(counted);
    }

    /// The row of these numbers among all texts, buckets and goals.
    #[inline]
    fn row(&mut self, key: [u32; 3]) -> u32 {
        let Self { dimensions, of_value, numbers, rows, explicit, .. } = self;
        let row = if *dimensions == 1 {
            let at = key[0] as usize;
            if at >= of_value.len() {
                of_value.resize(at + 1, NONE);
            }
            &mut of_value[at]
        } else {
            numbers.entry(key).or_insert(NONE)
        };
        if *row == NONE {
            *row = rows.len() as u32;
            rows.push((key, Counted::default()));
            explicit.push(VisitorSet::default());
        }
        *row
    }

    /// Calls `each` with the labels and numbers of every row that has an event, or, if `at_least_one`, of
    /// the only row in any case.
    pub(super) fn each(&mut self, at_least_one: bool, mut each: impl FnMut(&[Label<'_>], &Counted)) {
        if at_least_one && self.rows.is_empty() {
            each(&[], &Counted::default());
        }
        for ((key, counted), explicit) in self.rows.iter().zip(&mut self.explicit) {
            if !at_least_one && counted.days == 0 {
                continue;
            }
            let label = |at: usize| match self.is_text[at] {
                true => Label::Text(self.texts[at].texts().get(key[at])),
                false => Label::Number(key[at]),
            };
            let labels: [_; 3] = std::array::from_fn(label);
            each(&labels[..self.dimensions], &Counted { visitors: counted.visitors + explicit.count(), ..*counted });
        }
    }

    /// The bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
        self.texts.iter().map(Interner::memory).sum::<usize>()
            + self.of_value.capacity() * 4
            + self.numbers.capacity() * 17
            + self.rows.capacity() * size_of::<([u32; 3], Counted)>()
            + self.explicit.capacity() * size_of::<VisitorSet>()
            + self.explicit_memory
    }
}

/// The rows to which the groups of one day are added.
pub(super) struct Places<'a> {
    totals: &'a mut Totals,
    /// For each dimension with texts, the number among all texts of each of the day's.
    days: Vec<Option<Known>>,
}

/// The texts of a day, and the number of each among those of all days, if it is known yet.
#[derive(Debug)]
struct Known {
    texts: Arc<Texts>,
    numbers: Vec<u32>,
}

impl Known {
    /// The texts of another day, or of another part of this one. Those that are not found among the texts of before
    /// are looked up when they are needed.
    fn next(self, texts: Arc<Texts>) -> Self {
        // Parts of an open day share their texts.
        if Arc::ptr_eq(&self.texts, &texts) {
            return self;
        }
        let known = |place: &u32| self.numbers.get(*place as usize).copied().unwrap_or(NONE);
        let numbers = texts.places_in(&self.texts).iter().map(known).collect();
        Self { texts, numbers }
    }
}

/// What a day knows of numbers helps the next.
impl Drop for Places<'_> {
    fn drop(&mut self) {
        for (before, day) in self.totals.before.iter_mut().zip(&mut self.days) {
            *before = day.take();
        }
    }
}

impl Places<'_> {
    /// The row of a group with these values.
    #[inline]
    pub(super) fn row(&mut self, values: [u32; 3]) -> u32 {
        let mut key = [0; 3];
        for (at, day) in self.days.iter_mut().enumerate() {
            key[at] = values[at];
            if let Some(Known { numbers, texts }) = day {
                let number = &mut numbers[values[at] as usize];
                if *number == NONE {
                    *number = self.totals.texts[at].number(texts.get(values[at]));
                }
                key[at] = *number;
            }
        }
        self.totals.row(key)
    }

    pub(super) fn add(&mut self, row: u32, counted: &Counted) {
        self.totals.rows[row as usize].1.add(counted);
    }

    /// Adds a day with so many visitors and nothing else.
    pub(super) fn add_visitors(&mut self, row: u32, visitors: u32) {
        let counted = &mut self.totals.rows[row as usize].1;
        counted.days += 1;
        counted.visitors += u64::from(visitors);
    }

    /// Adds explicit visitors of the groups that have these rows: those of each group together, because the
    /// sets of rows are far from each other in memory.
    pub(super) fn add_explicit(&mut self, rows: &[u32], visitors: &[(u32, u32)]) {
        // First how many each group has, then where they begin, in the end where they end.
        let mut places = vec![0; rows.len()];
        visitors.iter().for_each(|(group, _)| places[*group as usize] += 1);
        let mut before = 0;
        for place in &mut places {
            (*place, before) = (before, before + *place);
        }
        let mut sorted = vec![0; visitors.len()];
        for (group, visitor) in visitors {
            let place = &mut places[*group as usize];
            sorted[*place] = *visitor;
            *place += 1;
        }
        let mut start = 0;
        for (row, end) in rows.iter().zip(places) {
            if start < end {
                self.totals.explicit_memory += self.totals.explicit[*row as usize].extend(&sorted[start..end]);
            }
            start = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More texts than are compared together, and days that lack some of them.
    #[test]
    fn texts_of_the_day_before_keep_their_numbers() {
        let all: Vec<String> = (0..300).map(|number| format!("/page/{number:03}")).collect();
        let of = |kept: &dyn Fn(usize) -> bool| -> Vec<&str> {
            let texts = all.iter().enumerate().filter(|(number, _)| kept(*number));
            std::iter::once("").chain(texts.map(|(_, text)| text.as_str())).collect()
        };
        let days =
            [of(&|_| true), of(&|number| number % 97 != 5), of(&|number| !(40..200).contains(&number)), of(&|_| false)];
        for before in &days {
            for day in &days {
                let known =
                    Known { texts: Arc::new(Texts::of(before)), numbers: (1_000..).take(before.len()).collect() };
                let next = known.next(Arc::new(Texts::of(day)));
                for (text, number) in day.iter().zip(&next.numbers) {
                    let expected = before.iter().position(|other| other == text).map_or(NONE, |at| 1_000 + at as u32);
                    assert_eq!(*number, expected, "{text}");
                }
            }
        }
    }
}
