//! Filters as columns of yes and no.

use std::ops::Range;

use super::numbers::{Number, with_numbers};
use super::opened::Opened;
use crate::measure::columns::{Column, Damaged};
use crate::measure::question::{Dimension, Field, Filter, Leaf, Scope, Test};
use crate::measure::texts::Texts;

/// Which visits, or rows, pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mask {
    All,
    None,
    Some(Vec<bool>),
}

impl Mask {
    /// Whether the one at that place passes.
    #[inline(always)]
    pub(super) fn has(&self, place: usize) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Some(passes) => passes[place],
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::None, _) | (_, Self::None) => Self::None,
            (Self::All, mask) | (mask, Self::All) => mask,
            (Self::Some(mut a), Self::Some(b)) => {
                a.iter_mut().zip(b).for_each(|(a, b)| *a &= b);
                Self::Some(a)
            }
        }
    }

    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, _) | (_, Self::All) => Self::All,
            (Self::None, mask) | (mask, Self::None) => mask,
            (Self::Some(mut a), Self::Some(b)) => {
                a.iter_mut().zip(b).for_each(|(a, b)| *a |= b);
                Self::Some(a)
            }
        }
    }

    fn not(self) -> Self {
        match self {
            Self::All => Self::None,
            Self::None => Self::All,
            Self::Some(mut passes) => {
                passes.iter_mut().for_each(|passes| *passes = !*passes);
                Self::Some(passes)
            }
        }
    }
}

/// The visits and the rows that pass filters, all of which must hold; rows are judged without their visit
/// where that is possible, and only rows in the range pass.
pub(super) fn of_filters(opened: &Opened<'_>, filters: &[Filter]) -> Result<(Mask, Mask), Damaged> {
    let (mut visits, mut rows) = (Mask::All, Mask::All);
    for filter in filters {
        if visits == Mask::None || rows == Mask::None {
            break;
        }
        if is_of_visits(filter) {
            visits = visits.and(of_visits(opened, filter)?);
        } else {
            rows = rows.and(of_rows(opened, filter)?);
        }
    }
    if !opened.is_whole() && visits != Mask::None && rows != Mask::None {
        let time = opened.numbers(Column::Time)?;
        let in_range =
            with_numbers!(&*time, |time| time.iter().map(|time| opened.times.contains(&time.value())).collect());
        rows = rows.and(Mask::Some(in_range));
    }
    Ok((visits, rows))
}

/// Whether it is the same for all events of a visit.
fn is_of_visits(filter: &Filter) -> bool {
    match filter {
        Filter::And(filters) | Filter::Or(filters) => filters.iter().all(is_of_visits),
        Filter::Not(filter) => is_of_visits(filter),
        Filter::HasDone(_) => true,
        Filter::Leaf(leaf) => leaf.dimension.scope() == Scope::Visit,
    }
}

/// The visits that pass a filter which is the same for all events of a visit.
fn of_visits(opened: &Opened<'_>, filter: &Filter) -> Result<Mask, Damaged> {
    of_tree(filter, &|filter| of_visits(opened, filter), &|filter| match filter {
        Filter::HasDone(filter) => has_done(opened, filter),
        Filter::Leaf(leaf) => of_leaf(opened, leaf, &leaf.dimension),
        _ => Ok(Mask::All),
    })
}

/// The visits whose entry page passes filters on `event:page`.
pub(super) fn of_entries(opened: &Opened<'_>, filters: &[Filter]) -> Result<Mask, Damaged> {
    fn of_entry(opened: &Opened<'_>, filter: &Filter) -> Result<Mask, Damaged> {
        of_tree(filter, &|filter| of_entry(opened, filter), &|filter| match filter {
            Filter::Leaf(leaf) => of_leaf(opened, leaf, &Dimension::Field(Field::EntryPage)),
            _ => Ok(Mask::All),
        })
    }
    filters.iter().try_fold(Mask::All, |mask, filter| Ok(mask.and(of_entry(opened, filter)?)))
}

/// The rows that pass any filter.
pub(super) fn of_rows(opened: &Opened<'_>, filter: &Filter) -> Result<Mask, Damaged> {
    if is_of_visits(filter) {
        return Ok(match of_visits(opened, filter)? {
            Mask::Some(visits) => {
                let mut rows = vec![false; opened.rows()];
                for (visit, _) in opened.visits().iter().zip(&visits).filter(|(_, passes)| **passes) {
                    let count = (visit.events + visit.reports) as usize;
                    rows[visit.start as usize..][..count].fill(true);
                }
                Mask::Some(rows)
            }
            mask => mask,
        });
    }
    of_tree(filter, &|filter| of_rows(opened, filter), &|filter| match filter {
        Filter::Leaf(leaf) => of_leaf(opened, leaf, &leaf.dimension),
        _ => Ok(Mask::All),
    })
}

type Of<'a> = &'a dyn Fn(&Filter) -> Result<Mask, Damaged>;

fn of_tree(filter: &Filter, inner: Of<'_>, leaf: Of<'_>) -> Result<Mask, Damaged> {
    match filter {
        Filter::And(filters) => filters.iter().try_fold(Mask::All, |mask, filter| Ok(mask.and(inner(filter)?))),
        Filter::Or(filters) => filters.iter().try_fold(Mask::None, |mask, filter| Ok(mask.or(inner(filter)?))),
        Filter::Not(filter) => Ok(inner(filter)?.not()),
        Filter::HasDone(_) | Filter::Leaf(_) => leaf(filter),
    }
}

/// Whether all eight pass, or none.
#[inline(always)]
pub(super) fn are_all(eight: &[bool; 8], pass: bool) -> bool {
    u64::from_le_bytes(eight.map(u8::from)) == if pass { 0x0101_0101_0101_0101 } else { 0 }
}

/// Calls `each` for runs of places that pass, in order.
#[inline(always)]
pub(super) fn each_run(passes: &[bool], mut each: impl FnMut(Range<usize>)) {
    // The first place from `at` on that does not pass, or the first that does.
    let end = |mut at: usize, pass: bool| {
        while passes.get(at..).and_then(<[bool]>::first_chunk).is_some_and(|eight| are_all(eight, pass)) {
            at += 8;
        }
        while passes.get(at) == Some(&pass) {
            at += 1;
        }
        at
    };
    let mut at = end(0, false);
    while at < passes.len() {
        let run = at..end(at, true);
        at = end(run.end, false);
        each(run);
    }
}

/// The rows that pass any of these filters, ascending; nothing if all do.
pub(super) fn passing_rows(opened: &Opened<'_>, filters: &[Filter]) -> Result<Option<Vec<u32>>, Damaged> {
    // A value that few rows have is found faster than a column of yes and no is written and read.
    if let [Filter::Leaf(leaf)] = filters
        && leaf.dimension.scope() == Scope::Event
        && let Some([(first, last)]) = runs(&passing(leaf, &*opened.texts(&leaf.dimension)?)).as_deref()
    {
        let (values, mut rows) = (opened.values(&leaf.dimension)?, Vec::new());
        with_numbers!(&*values, |values| Number::find(values, *first, *last, &mut rows));
        return Ok(Some(rows));
    }
    let or = |mask: Mask, filter| Ok(mask.or(of_rows(opened, filter)?));
    Ok(match filters.iter().try_fold(Mask::None, or)? {
        Mask::All => None,
        Mask::None => Some(Vec::new()),
        Mask::Some(passes) => {
            let mut rows = Vec::new();
            each_run(&passes, |run| rows.extend(run.start as u32..run.end as u32));
            Some(rows)
        }
    })
}

/// Each distinct value is tested once. The values of `dimension` are those of the leaf's own.
fn of_leaf(opened: &Opened<'_>, leaf: &Leaf, dimension: &Dimension) -> Result<Mask, Damaged> {
    let passes = passing(leaf, &*opened.texts(dimension)?);
    if passes.iter().all(|passes| *passes) {
        return Ok(Mask::All);
    }
    if passes.iter().all(|passes| !*passes) {
        return Ok(Mask::None);
    }
    let values = opened.values(dimension)?;
    Ok(Mask::Some(with_numbers!(&*values, |values| select(values, &passes))))
}

/// Which texts pass, by number.
pub(super) fn passing(leaf: &Leaf, texts: &Texts) -> Vec<bool> {
    match &leaf.test {
        Test::Is(wanted) if leaf.case_sensitive => {
            let mut passes = vec![false; texts.len()];
            wanted.iter().filter_map(|text| texts.find(text)).for_each(|number| passes[number as usize] = true);
            passes
        }
        _ => texts.iter().map(|text| leaf.passes(text)).collect(),
    }
}

/// So many runs of values are compared with each number; looking numbers up takes longer than that.
const MOST_RUNS: usize = 4;

/// The first and last value of each run of values that pass, if they are few.
fn runs(passes: &[bool]) -> Option<Vec<(u32, u32)>> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for (value, _) in (0_u32..).zip(passes).filter(|(_, passes)| **passes) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == value => *last = value,
            _ => runs.push((value, value)),
        }
        if runs.len() > MOST_RUNS {
            return None;
        }
    }
    Some(runs)
}

/// Which numbers are those of values that pass.
fn select<N: Number>(numbers: &[N], passes: &[bool]) -> Vec<bool> {
    let Some(runs) = runs(passes) else {
        return numbers.iter().map(|number| passes[number.value() as usize]).collect();
    };
    let mut selected = vec![false; numbers.len()];
    for (first, last) in runs {
        N::select(numbers, first, last, &mut selected);
    }
    selected
}

/// The visits of which some event passes, in the range or not. Reports that belong to no visit have none.
fn has_done(opened: &Opened<'_>, filter: &Filter) -> Result<Mask, Damaged> {
    let all = opened.visits();
    Ok(match passing_rows(opened, std::slice::from_ref(filter))? {
        Some(rows) if rows.is_empty() => Mask::None,
        Some(rows) => {
            let mut visits = vec![false; all.len()];
            for visit in opened.visits_of(&rows) {
                visits[visit as usize] = all[visit as usize].events > 0;
            }
            Mask::Some(visits)
        }
        None => Mask::Some(all.iter().map(|visit| visit.events > 0).collect()),
    })
}
