//! Filters as columns of yes and no.

use super::opened::Opened;
use crate::measure::columns::{Column, Damaged};
use crate::measure::question::{Dimension, Field, Filter, Leaf, Scope};

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

    fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
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
        rows = rows.and(Mask::Some(time.iter().map(|time| opened.times.contains(time)).collect()));
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
                for (visit, _) in opened.layout.visits.iter().zip(&visits).filter(|(_, passes)| **passes) {
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

/// Each distinct value is tested once. The values of `dimension` are those of the leaf's own.
fn of_leaf(opened: &Opened<'_>, leaf: &Leaf, dimension: &Dimension) -> Result<Mask, Damaged> {
    let passes: Vec<bool> = opened.texts(dimension)?.iter().map(|text| leaf.passes(text)).collect();
    if passes.iter().all(|passes| *passes) {
        return Ok(Mask::All);
    }
    if passes.iter().all(|passes| !*passes) {
        return Ok(Mask::None);
    }
    let values = opened.values(dimension)?;
    Ok(Mask::Some(values.iter().map(|value| passes[*value as usize]).collect()))
}

/// The visits of which some event passes, in the range or not. Reports that belong to no visit have none.
fn has_done(opened: &Opened<'_>, filter: &Filter) -> Result<Mask, Damaged> {
    let rows = of_rows(opened, filter)?;
    let visits = opened.layout.visits.iter().enumerate();
    Ok(Mask::Some(visits.map(|(at, visit)| visit.events > 0 && opened.events(at).any(|row| rows.has(row))).collect()))
}
