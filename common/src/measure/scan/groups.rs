//! The group of each visit or row: one number for the values of up to three dimensions.

use std::hash::BuildHasher;
use std::rc::Rc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::mask::Mask;
use super::numbers::{Number, with_numbers};
use super::opened::Opened;
use crate::event_type::EventType;
use crate::measure::columns::{Column, Damaged, Numbers, OTHER};
use crate::measure::question::{Buckets, Dimension, Field, Goals, Question, Scope};
use crate::time::Timestamp;

/// The group of what belongs to none.
pub(super) const NONE: u32 = u32::MAX;
/// Up to so many combinations of values, a group's number is computed; beyond, it is looked up.
const MOST_COMPUTED: u64 = 1 << 16;

/// Values of one dimension, as numbers from `first` on.
#[derive(Debug, Clone)]
pub(super) struct Values<'a> {
    numbers: Of<'a>,
    /// Added to each number.
    pub(super) first: u32,
    /// How many values there may be.
    count: u32,
    /// The values that decide where a visit belongs with its bounce and duration, if those of its rows
    /// do not: its entry page is that.
    entry: Option<Rc<Numbers<'a>>>,
    /// Whether bounces and durations cannot be grouped by it at all.
    events_only: bool,
}

/// Of what there is a number.
#[derive(Debug, Clone)]
pub(super) enum Of<'a> {
    Same,
    Visits(Rc<Numbers<'a>>),
    Rows(Rc<Numbers<'a>>),
}

/// The buckets of the time dimension at that place of the question's dimensions.
pub(in crate::measure) fn buckets(question: &Question, place: usize) -> Option<&Buckets> {
    let times = question.dimensions.iter().take(place).filter(|dimension| dimension.scope() == Scope::Time);
    question.buckets.get(times.count())
}

/// Whether this is the name of an event that is not built in, or stands for such.
pub(in crate::measure) fn is_custom_event(name: &str) -> bool {
    matches!(EventType::parse(name), Some(EventType::Custom(_))) || name == OTHER
}

impl<'a> Values<'a> {
    /// Of one dimension of a question; `goal` is the goal whose rows are looked at. `of_visits` tells whether
    /// [`Groups::of_visit`] will be asked.
    pub(super) fn of(
        opened: &Opened<'a>,
        question: &Question,
        place: usize,
        goal: u32,
        of_visits: bool,
    ) -> Result<Self, Damaged> {
        let dimension = &question.dimensions[place];
        let same = |first| Self { numbers: Of::Same, first, count: 1, entry: None, events_only: false };
        match dimension {
            Dimension::Time(_) => match buckets(question, place) {
                Some(buckets) => Self::of_time(opened, buckets),
                None => Ok(same(0)),
            },
            Dimension::Goal if matches!(question.goals, Goals::Configured(_)) => {
                Ok(Self { events_only: true, ..same(goal) })
            }
            Dimension::Goal => Self::of_custom_events(opened),
            Dimension::Field(_) | Dimension::Property(_) => Self::of_dimension(opened, dimension, of_visits),
        }
    }

    fn of_dimension(opened: &Opened<'a>, dimension: &Dimension, visits: bool) -> Result<Self, Damaged> {
        let count = opened.texts(dimension)?.len() as u32;
        let mut numbers = opened.values(dimension)?;
        let entry = match dimension {
            Dimension::Field(Field::Page) => Some(Field::EntryPage),
            Dimension::Field(Field::Hostname) => Some(Field::EntryPageHostname),
            Dimension::Field(
                Field::EntryPage | Field::ExitPage | Field::EntryPageHostname | Field::ExitPageHostname,
            ) => {
                numbers = viewed(opened, &numbers)?;
                None
            }
            _ => None,
        };
        let of_visits = dimension.scope() == Scope::Visit;
        let entry = match entry.filter(|_| visits) {
            Some(field) => Some(viewed(opened, &*opened.values(&Dimension::Field(field))?)?),
            None => None,
        };
        Ok(Self {
            events_only: !of_visits && entry.is_none(),
            numbers: if of_visits { Of::Visits(numbers) } else { Of::Rows(numbers) },
            first: 0,
            count,
            entry,
        })
    }

    /// The names of events that are not built in.
    fn of_custom_events(opened: &Opened<'a>) -> Result<Self, Damaged> {
        let name = Dimension::Field(Field::EventName);
        let texts = opened.texts(&name)?;
        let custom: Vec<bool> = texts.iter().map(is_custom_event).collect();
        let numbers = opened.values(&name)?;
        let custom = |number: u32| if custom[number as usize] { number } else { NONE };
        let numbers = with_numbers!(&*numbers, |numbers| numbers.iter().map(|number| custom(number.value())).collect());
        Ok(Self {
            numbers: Of::Rows(Rc::new(Numbers::Words(numbers))),
            first: 0,
            count: texts.len() as u32,
            entry: None,
            events_only: true,
        })
    }

    fn of_time(opened: &Opened<'a>, buckets: &Buckets) -> Result<Self, Damaged> {
        let start = Timestamp::from_millis(opened.midnight + i64::from(opened.times.start));
        let end = opened.midnight + i64::from(opened.times.end);
        let from = buckets.buckets().partition_point(|bucket| bucket.range.end <= start);
        let of_day: Vec<_> =
            buckets.buckets()[from..].iter().take_while(|bucket| bucket.range.start.millis() < end).collect();
        let labels = || of_day.iter().map(|bucket| bucket.label);
        let (first, last) = (labels().min().unwrap_or(0), labels().max().unwrap_or(0));
        let base = Self { numbers: Of::Same, first, count: 1, entry: None, events_only: false };
        if first == last {
            return Ok(base);
        }
        let of_midnight = |instant: Timestamp| instant.millis() - opened.midnight;
        let ends: Vec<i64> = of_day.iter().map(|bucket| of_midnight(bucket.range.end)).collect();
        let starts: Vec<i64> = of_day.iter().map(|bucket| of_midnight(bucket.range.start)).collect();
        let mut at = 0;
        // Rows of a visit are mostly in the bucket of the row before.
        let mut label = |time: u32| {
            let time = i64::from(time);
            if !(starts[at]..ends[at]).contains(&time) {
                at = ends.partition_point(|end| *end <= time).min(ends.len() - 1);
            }
            if (starts[at]..ends[at]).contains(&time) { of_day[at].label - first } else { NONE }
        };
        let times = opened.numbers(Column::Time)?;
        let numbers = with_numbers!(&*times, |times| times.iter().map(|time| label(time.value())).collect());
        Ok(Self { numbers: Of::Rows(Rc::new(Numbers::Words(numbers))), count: last - first + 1, ..base })
    }

    #[inline(always)]
    fn at(&self, visit: usize, row: usize) -> u32 {
        match &self.numbers {
            Of::Same => 0,
            Of::Visits(numbers) => numbers.get(visit),
            Of::Rows(numbers) => numbers.get(row),
        }
    }
}

/// Values of visits, without those of visits that have no page view.
fn viewed<'a>(opened: &Opened<'a>, numbers: &Numbers<'a>) -> Result<Rc<Numbers<'a>>, Damaged> {
    let views = opened.numbers(Column::Views)?;
    let number = |visit| if views.get(visit) == 0 { NONE } else { numbers.get(visit) };
    Ok(Rc::new(Numbers::Words((0..opened.visits().len()).map(number).collect())))
}

/// The numbers of groups, and back.
#[derive(Debug)]
pub(super) struct Groups<'a> {
    values: Vec<Values<'a>>,
    /// Of each group's values, if they are looked up.
    found: Option<Found>,
    /// How many groups there are, if they are computed.
    computed: usize,
}

#[derive(Debug, Default)]
struct Found {
    numbers: HashTable<u32>,
    values: Vec<[u32; 3]>,
    hasher: RandomState,
}

impl<'a> Groups<'a> {
    pub(super) fn new(values: Vec<Values<'a>>) -> Self {
        let combinations = values.iter().map(|values| u64::from(values.count)).product::<u64>();
        let found = (combinations > MOST_COMPUTED && values.len() > 1).then(Found::default);
        Self { values, found, computed: combinations as usize }
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.found.as_ref().map_or(self.computed, |found| found.values.len())
    }

    /// The values of a group, one for each dimension.
    #[inline(always)]
    pub(super) fn values(&self, group: usize) -> [u32; 3] {
        match &self.values[..] {
            // Of most questions, and of many groups a day.
            [values] => [group as u32 + values.first, 0, 0],
            _ => self.values_of_several(group),
        }
    }

    fn values_of_several(&self, group: usize) -> [u32; 3] {
        let mut numbers = [0; 3];
        match &self.found {
            Some(found) => numbers = found.values[group],
            None => {
                let mut rest = group;
                for (number, values) in numbers.iter_mut().zip(&self.values) {
                    *number = (rest % values.count.max(1) as usize) as u32;
                    rest /= values.count.max(1) as usize;
                }
            }
        }
        for (number, values) in numbers.iter_mut().zip(&self.values) {
            *number += values.first;
        }
        numbers
    }

    fn number(&mut self, numbers: [u32; 3]) -> u32 {
        if numbers.contains(&NONE) {
            return NONE;
        }
        let Some(Found { numbers: table, values, hasher }) = &mut self.found else {
            let mut group = 0;
            for (number, values) in numbers.iter().zip(&self.values).rev() {
                group = group * values.count + number;
            }
            return group;
        };
        let hash = hasher.hash_one(numbers);
        if let Some(group) = table.find(hash, |group| values[*group as usize] == numbers) {
            return *group;
        }
        let group = values.len() as u32;
        values.push(numbers);
        table.insert_unique(hash, group, |group| hasher.hash_one(values[*group as usize]));
        group
    }

    fn numbers_at(&self, number: impl Fn(&Values<'_>) -> u32) -> [u32; 3] {
        let mut numbers = [0; 3];
        numbers.iter_mut().zip(&self.values).for_each(|(to, values)| *to = number(values));
        numbers
    }

    /// The groups of all visits and rows that pass.
    pub(super) fn of_day(&mut self, opened: &Opened<'_>, visits: &Mask, rows: &Mask) -> Of<'a> {
        let varying: Vec<&Of<'_>> =
            self.values.iter().map(|values| &values.numbers).filter(|numbers| !matches!(numbers, Of::Same)).collect();
        match varying[..] {
            [] => {
                // A group has a number before it counts.
                let numbers = self.numbers_at(|_| 0);
                self.number(numbers);
                return Of::Same;
            }
            [Of::Visits(numbers)] if self.found.is_none() => return Of::Visits(Rc::clone(numbers)),
            [Of::Rows(numbers)] if self.found.is_none() => return Of::Rows(Rc::clone(numbers)),
            _ => {}
        }
        let passing = (0..opened.visits().len()).filter(|visit| visits.has(*visit));
        if varying.iter().all(|numbers| matches!(numbers, Of::Visits(_))) {
            let mut groups = vec![NONE; opened.visits().len()];
            for visit in passing {
                let numbers = self.numbers_at(|values| values.at(visit, 0));
                groups[visit] = self.number(numbers);
            }
            return Of::Visits(Rc::new(Numbers::Words(groups)));
        }
        let mut groups = vec![NONE; opened.rows()];
        for visit in passing {
            let of = opened.visits()[visit];
            let own = of.start as usize..(of.start + of.events + of.reports) as usize;
            for (row, group) in own.clone().zip(&mut groups[own]).filter(|(row, _)| rows.has(*row)) {
                let numbers = self.numbers_at(|values| values.at(visit, row));
                *group = self.number(numbers);
            }
        }
        Of::Rows(Rc::new(Numbers::Words(groups)))
    }

    /// Whether the rows of a visit, and the visit with its bounce and duration, belong to one group.
    pub(super) fn are_of_visits(&self) -> bool {
        self.values
            .iter()
            .all(|values| !values.events_only && values.entry.is_none() && !matches!(values.numbers, Of::Rows(_)))
    }

    /// The group to which a visit belongs with its bounce and duration, by its first matching row.
    pub(super) fn of_visit(&mut self, visit: usize, first: usize) -> u32 {
        // Of most questions, and of every visit.
        if let ([Values { entry: Some(entry), .. }], None) = (&self.values[..], &self.found) {
            return entry.get(visit);
        }
        if self.values.iter().any(|values| values.events_only) {
            return NONE;
        }
        let at = |values: &Values<'_>| {
            values.entry.as_ref().map_or_else(|| values.at(visit, first), |entry| entry.get(visit))
        };
        let numbers = self.numbers_at(at);
        self.number(numbers)
    }
}
