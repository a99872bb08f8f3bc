//! Funnels.
//!
//! An attempt begins at an event that passes the first step; each further step takes the earliest event
//! after the one before. Which attempt is a visitor's best is known only when all of its events have
//! been read: visits of cookieless visitors end with their day, explicit visitors go on until the last day if
//! steps may be in several visits.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use foldhash::fast::RandomState;

use super::mask::{self, Mask};
use super::numbers::{Number as _, with_numbers};
use super::opened::{Buffers, Opened};
use super::visitors::Numbering;
use super::work::{ScanError, Work};
use crate::measure::columns::{Columns, Damaged, Numbers, VisitRows};
use crate::measure::question::funnel::{Funnel, FunnelAnswer, FunnelRow, FunnelStep, StepOrder, Within};
use crate::measure::question::{Dimension, Filter, Number, Scope};
use crate::measure::texts::Interner;

/// An event that may be part of an attempt.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// Milliseconds since 1970, or what is in the same order.
    time: i64,
    visit: u32,
    /// A bit for each step that it passes.
    passes: u8,
    /// The number of its value of the dimension.
    value: u32,
}

/// An attempt, as far as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Attempt {
    visit: u32,
    value: u32,
    reached: usize,
    times: [i64; Funnel::MOST_STEPS],
}

/// Answers a funnel from the days that its range touches, the oldest first.
///
/// # Errors
/// [`ScanError`].
pub fn answer(
    funnel: &Funnel,
    days: impl IntoIterator<Item: AsRef<dyn Columns>>,
    work: &Work<'_>,
) -> Result<(FunnelAnswer, BTreeSet<Dimension>), ScanError> {
    let (mut numbering, mut buffers, mut capped) = (Numbering::new(work), Buffers::default(), BTreeSet::new());
    let (mut values, mut rows) = (Interner::default(), Rows::new(funnel));
    // Explicit visitors: their best attempt so far, by number, or the events from which one can still be made.
    let mut best: Vec<Option<Attempt>> = Vec::new();
    let mut pending: HashMap<u32, Vec<Step>, RandomState> = HashMap::default();
    let (mut steps, mut found, mut kept) = (Vec::new(), Vec::new(), 0);
    for day in days {
        work.check()?;
        let columns = day.as_ref();
        let Some(opened) = Opened::new(columns, funnel.range, funnel.reports_are_events, &mut buffers)? else {
            continue;
        };
        let numbers = numbering.of_day(columns)?;
        let Some(day) = Day::new(funnel, &opened, &mut values)? else {
            capped.append(&mut opened.into_capped(&mut buffers));
            continue;
        };
        for (at, visits) in day.visits.chunk_by(|(_, a), (_, b)| a.visitor == b.visitor).enumerate() {
            if at % Work::EVERY == 0 {
                work.check()?;
            }
            let number = numbers.get(visits[0].1.visitor);
            let (mut attempt, mut all) = (None, Vec::new());
            for visit in visits {
                steps.clear();
                day.steps(&opened, visit, &mut steps);
                match funnel.within {
                    Within::Visit => better(&mut attempt, best_of(funnel, &steps)),
                    Within::Seconds(_) => all.append(&mut steps),
                }
            }
            match (number, funnel.within) {
                (Some(number), Within::Seconds(_)) if !all.is_empty() => {
                    kept += all.len();
                    pending.entry(number).or_default().append(&mut all);
                }
                (number, Within::Visit) => found.extend(attempt.map(|attempt| (number, attempt))),
                _ => best_of(funnel, &all).into_iter().for_each(|attempt| rows.add(&attempt)),
            }
        }
        day.set_times(&opened, &mut found)?;
        for (number, attempt) in found.drain(..) {
            match number {
                Some(number) => {
                    let number = number as usize;
                    best.resize(best.len().max(number + 1), None);
                    better(&mut best[number], Some(attempt));
                }
                None => rows.add(&attempt),
            }
        }
        drop(numbers);
        capped.append(&mut opened.into_capped(&mut buffers));
        let explicit = best.capacity() * size_of::<Option<Attempt>>() + kept * size_of::<Step>();
        let of_all = rows.memory() + explicit + values.memory();
        work.check_memory(of_all + size_of_val(&*day.visits) + numbering.memory() + buffers.memory())?;
    }
    for steps in pending.values() {
        best_of(funnel, steps).into_iter().for_each(|attempt| rows.add(&attempt));
    }
    best.iter().flatten().for_each(|attempt| rows.add(attempt));
    Ok((rows.answer(funnel, &values), capped))
}

/// What a funnel needs of one day.
struct Day<'a> {
    passes: Passes<'a>,
    /// The visits that may have a part in an attempt, with their places.
    visits: Vec<(u32, VisitRows)>,
    /// Right for the rows of these visits; none if the order of rows is enough to find attempts.
    time: Option<Vec<u32>>,
    in_range: std::ops::Range<u32>,
    midnight: i64,
    /// The dimension's values of visits, or of rows.
    values: Option<(bool, Vec<u32>)>,
    /// Other events may not come between steps, so that they have to be known.
    strict: bool,
}

impl<'a> Day<'a> {
    /// Nothing if no visit has a part in any attempt.
    fn new(funnel: &Funnel, opened: &Opened<'a>, values: &mut Interner) -> Result<Option<Self>, Damaged> {
        let (visits, rows) = mask::of_filters(opened, &funnel.filters)?;
        // Every value of the dimension has its number, and is known to be capped, whether or not it is needed.
        let values = match &funnel.dimension {
            None => None,
            Some(dimension) => {
                let numbers: Vec<u32> = opened.texts(dimension)?.iter().map(|text| values.number(text)).collect();
                let of = opened.values(dimension)?;
                let of = with_numbers!(&*of, |of| of.iter().map(|value| numbers[value.value() as usize]).collect());
                Some((dimension.scope() == Scope::Visit, of))
            }
        };
        // Of these steps a visit must pass one.
        let needed = match (funnel.within, funnel.order) {
            (Within::Visit, _) => &funnel.steps[..1],
            (Within::Seconds(_), StepOrder::Sequential) => &funnel.steps[..],
            // Its events may come between two steps.
            (Within::Seconds(_), StepOrder::Strict) => &[],
        };
        let some = if needed.is_empty() { None } else { mask::passing_rows(opened, needed)? };
        let some = match some {
            Some(rows) if rows.is_empty() => return Ok(None),
            Some(rows) => opened.visits_of(&rows),
            None => (0..opened.visits().len() as u32).collect(),
        };
        // They are far from each other in memory, and copied first, so that they are on their way together.
        let mut some: Vec<_> = some.into_iter().map(|at| (at, opened.visits()[at as usize])).collect();
        some.retain(|(at, visit)| {
            // Reports of no visit take no part.
            let has_row = || rows == Mask::All || opened.events(visit).any(|row| rows.has(row));
            visit.events > 0 && visits.has(*at as usize) && has_row()
        });
        let places = |visits: &[(u32, VisitRows)]| visits.iter().map(|(at, _)| *at).collect::<Vec<_>>();
        // Rows of a visit are in order of time, but for reports.
        let is_enough = funnel.within == Within::Visit && opened.is_whole() && !opened.reports_are_events;
        Ok(Some(Self {
            passes: Passes::new(opened, &funnel.steps)?,
            time: if is_enough { None } else { Some(opened.times_of(&places(&some))?) },
            visits: some,
            in_range: opened.times.clone(),
            midnight: opened.midnight,
            values,
            strict: funnel.order == StepOrder::Strict,
        }))
    }

    /// Adds the events of a visit that takes part, in order of time.
    fn steps(&self, opened: &Opened<'_>, (visit, of): &(u32, VisitRows), steps: &mut Vec<Step>) {
        let visit = *visit;
        for (at, row) in (0..of.events + of.reports).zip(opened.events(of)) {
            // Their order is enough if there are no times.
            let time = match &self.time {
                Some(time) if !self.in_range.contains(&time[row]) => continue,
                Some(time) => self.midnight + i64::from(time[row]),
                None => row as i64,
            };
            let passes = self.passes.of(row);
            // Reports never stand between two steps.
            if passes == 0 && (!self.strict || at >= of.events) {
                continue;
            }
            let value = self
                .values
                .as_ref()
                .map_or(0, |(of_visits, values)| values[if *of_visits { visit as usize } else { row }]);
            steps.push(Step { time, visit, passes, value });
        }
        // Reports follow the events; at the same time, events are first.
        if opened.reports_are_events {
            steps.sort_by_key(|step| step.time);
        }
    }

    /// Replaces the rows of attempts by times, if they were found without. Only the time between steps
    /// matters from here on.
    fn set_times(&self, opened: &Opened<'_>, found: &mut [(Option<u32>, Attempt)]) -> Result<(), Damaged> {
        let mut further: Vec<&mut Attempt> =
            found.iter_mut().map(|(_, attempt)| attempt).filter(|attempt| attempt.reached > 1).collect();
        if self.time.is_some() || further.is_empty() {
            return Ok(());
        }
        let visits: Vec<u32> = further.iter().map(|attempt| attempt.visit).collect();
        let offsets = opened.offsets_of(&visits)?;
        for attempt in &mut further {
            let reached = attempt.reached;
            attempt.times[..reached].iter_mut().for_each(|time| *time = offsets[*time as usize].into());
        }
        opened.give_back(offsets);
        Ok(())
    }
}

/// Which steps a row passes, a bit for each. Steps on the values of one dimension are tested together,
/// each value once.
struct Passes<'a> {
    /// The numbers of rows in a column, and the steps that each value of it passes.
    by_value: Vec<(Rc<Numbers<'a>>, Vec<u8>)>,
    /// Of each row, for steps that are more than a test of one value.
    by_row: Vec<u8>,
}

impl<'a> Passes<'a> {
    fn new(opened: &Opened<'a>, steps: &[Filter]) -> Result<Self, Damaged> {
        let mut passes = Self { by_value: Vec::new(), by_row: Vec::new() };
        let mut leaves: Vec<(&Dimension, Vec<u8>)> = Vec::new();
        for (step, bit) in steps.iter().zip((0..).map(|step| 1_u8 << step)) {
            match step {
                Filter::Leaf(leaf) if leaf.dimension.scope() == Scope::Event => {
                    let texts = opened.texts(&leaf.dimension)?;
                    let known = leaves.iter().position(|(dimension, _)| **dimension == leaf.dimension);
                    let at = known.unwrap_or_else(|| {
                        leaves.push((&leaf.dimension, vec![0; texts.len()]));
                        leaves.len() - 1
                    });
                    let passing = mask::passing(leaf, &texts);
                    let of_value = leaves[at].1.iter_mut().zip(&passing);
                    of_value.for_each(|(passes, passing)| *passes |= bit & u8::from(*passing).wrapping_neg());
                }
                step => match mask::of_rows(opened, step)? {
                    Mask::None => {}
                    mask => {
                        passes.by_row.resize(opened.rows(), 0);
                        let rows = passes.by_row.iter_mut().enumerate();
                        rows.for_each(|(row, passes)| *passes |= bit * u8::from(mask.has(row)));
                    }
                },
            }
        }
        for (dimension, of_value) in leaves {
            if of_value.iter().any(|passes| *passes > 0) {
                passes.by_value.push((opened.values(dimension)?, of_value));
            }
        }
        Ok(passes)
    }

    /// The steps that a row passes.
    #[inline(always)]
    fn of(&self, row: usize) -> u8 {
        let by_row = self.by_row.get(row).copied().unwrap_or(0);
        self.by_value.iter().fold(by_row, |passes, (values, of_value)| passes | of_value[values.get(row) as usize])
    }
}

/// Keeps the attempt that came further; of equals the first, which is the earlier one.
#[inline(always)]
fn better(attempt: &mut Option<Attempt>, other: Option<Attempt>) {
    let reached = |attempt: &Option<Attempt>| attempt.map_or(0, |attempt| attempt.reached);
    if reached(&other) > reached(attempt) {
        *attempt = other;
    }
}

/// The attempt that comes furthest, the earliest of those, among events in order of time.
fn best_of(funnel: &Funnel, steps: &[Step]) -> Option<Attempt> {
    let count = funnel.steps.len();
    let is_start = |step: &Step| step.passes & 1 != 0;
    let first = steps.iter().position(is_start)?;
    // For each event and step: the first event from there on that passes. Only later attempts need it.
    let needs_more = matches!((funnel.order, funnel.within), (StepOrder::Sequential, Within::Seconds(_)));
    let next: Vec<[u32; Funnel::MOST_STEPS]> = if needs_more { next_of(&steps[first..]) } else { Vec::new() };
    let last = match funnel.within {
        Within::Visit => i64::MAX,
        Within::Seconds(seconds) => i64::from(seconds) * 1_000,
    };
    let mut best: Option<Attempt> = None;
    for (start, begun) in steps.iter().enumerate().skip(first).filter(|(_, step)| is_start(step)) {
        let mut attempt =
            Attempt { visit: begun.visit, value: begun.value, reached: 1, times: [begun.time; Funnel::MOST_STEPS] };
        let mut at = start;
        while attempt.reached < count {
            let passes = |step: &Step| step.passes & (1 << attempt.reached) != 0;
            let found = match funnel.order {
                StepOrder::Strict => steps.get(at + 1).filter(|step| passes(step)).map(|_| at + 1),
                StepOrder::Sequential if needs_more => {
                    let found = next.get(at + 1 - first).map_or(u32::MAX, |next| next[attempt.reached]);
                    (found != u32::MAX).then_some(found as usize + first)
                }
                StepOrder::Sequential => steps[at + 1..].iter().position(passes).map(|found| at + 1 + found),
            };
            match found.filter(|found| steps[*found].time - begun.time <= last) {
                Some(found) => at = found,
                None => break,
            }
            attempt.times[attempt.reached] = steps[at].time;
            attempt.reached += 1;
        }
        if best.is_none_or(|best| best.reached < attempt.reached) {
            best = Some(attempt);
        }
        // Without a window, nothing comes further than the first attempt.
        let first_is_best = funnel.order == StepOrder::Sequential && funnel.within == Within::Visit;
        if attempt.reached == count || first_is_best {
            break;
        }
    }
    best
}

fn next_of(steps: &[Step]) -> Vec<[u32; Funnel::MOST_STEPS]> {
    let mut next = vec![[u32::MAX; Funnel::MOST_STEPS]; steps.len()];
    let mut after = [u32::MAX; Funnel::MOST_STEPS];
    for (at, step) in steps.iter().enumerate().rev() {
        let passed = after.iter_mut().enumerate().filter(|(number, _)| step.passes & (1 << number) != 0);
        passed.for_each(|(_, after)| *after = at as u32);
        next[at] = after;
    }
    next
}

/// The attempts of all visitors, by value.
struct Rows {
    steps: usize,
    rows: BTreeMap<u32, Row>,
    kept: usize,
}

/// The visitors who reached each step, and their seconds since the step before, in milliseconds.
#[derive(Default, Clone)]
struct Row {
    visitors: Vec<u64>,
    times: Vec<Vec<i64>>,
}

impl Rows {
    fn new(funnel: &Funnel) -> Self {
        let mut rows = Self { steps: funnel.steps.len(), rows: BTreeMap::new(), kept: 0 };
        if funnel.dimension.is_none() {
            rows.row(0);
        }
        rows
    }

    fn row(&mut self, value: u32) -> &mut Row {
        let steps = self.steps;
        self.rows.entry(value).or_insert_with(|| Row { visitors: vec![0; steps], times: vec![Vec::new(); steps] })
    }

    fn add(&mut self, attempt: &Attempt) {
        self.kept += attempt.reached;
        let row = self.row(attempt.value);
        for step in 0..attempt.reached {
            row.visitors[step] += 1;
            if step > 0 {
                row.times[step].push(attempt.times[step] - attempt.times[step - 1]);
            }
        }
    }

    fn memory(&self) -> usize {
        self.kept * 8 + self.rows.len() * self.steps * size_of::<(u64, Vec<i64>)>()
    }

    fn answer(self, funnel: &Funnel, values: &Interner) -> FunnelAnswer {
        let total_rows = self.rows.len();
        let mut rows: Vec<FunnelRow> = self
            .rows
            .into_iter()
            .map(|(value, Row { visitors, times })| FunnelRow {
                value: funnel.dimension.is_some().then(|| values.texts().get(value).to_owned()),
                steps: visitors
                    .into_iter()
                    .zip(times)
                    .map(|(visitors, times)| FunnelStep { visitors, median_seconds: median(times) })
                    .collect(),
            })
            .collect();
        let first = |row: &FunnelRow| row.steps.first().map_or(0, |step| step.visitors);
        rows.sort_by(|a, b| first(b).cmp(&first(a)).then_with(|| a.value.cmp(&b.value)));
        rows.truncate(funnel.limit);
        FunnelAnswer { rows, total_rows }
    }
}

/// The median of milliseconds in whole seconds; of two in the middle, their mean.
fn median(mut times: Vec<i64>) -> Option<Number> {
    if times.is_empty() {
        return None;
    }
    let middle = times.len() / 2;
    let (below, high, above) = times.select_nth_unstable(middle);
    let low = if below.len() == above.len() { *high } else { below.iter().copied().max().unwrap_or(*high) };
    Number::ratio(i128::from(low) + i128::from(*high), 2_000, 0)
}
