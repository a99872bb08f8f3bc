//! Where visitors clicked.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::RandomState;

use super::{ScanError, Work};
use crate::measure::columns::{Column, Columns};
use crate::measure::question::{Dimension, Field};
use crate::measure::texts::{Interner, Texts};
use crate::time::{DAY, HOUR};

/// A place on a page and how often it was clicked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClickedPlace {
    /// The page's path; `/` of clicks that named no page.
    pub page: String,
    /// 0 to 100, percent from the left.
    pub x: u8,
    /// 0 to 100, percent from the top.
    pub y: u8,
    /// Clicks.
    pub count: u64,
    /// The element clicked most often there, ties by name; empty when none was named.
    pub element: String,
}

/// What clicks are counted by: page, x, y, element.
type Cell = (u32, u32, u32, u32);

/// The clicked places of one page, or of all, in these hours since the Unix epoch: most clicked first,
/// ties by page, then `y`, then `x`; at most `limit`.
///
/// # Errors
/// [`ScanError`].
pub fn answer(
    page: Option<&str>,
    hours: &Range<i64>,
    limit: usize,
    days: impl IntoIterator<Item: AsRef<dyn Columns>>,
    work: &Work<'_>,
) -> Result<Vec<ClickedPlace>, ScanError> {
    let (mut names, mut cells) = (Interner::with(&[""]), HashMap::default());
    for day in days {
        work.check()?;
        count(day.as_ref(), page, hours, &mut names, &mut cells)?;
        work.check_memory(names.memory() + cells.capacity() * size_of::<(Cell, u64)>())?;
    }
    Ok(places(cells, names.texts(), limit))
}

/// Adds the clicks of one day.
fn count(
    columns: &dyn Columns,
    page: Option<&str>,
    hours: &Range<i64>,
    names: &mut Interner,
    cells: &mut HashMap<Cell, u64, RandomState>,
) -> Result<(), ScanError> {
    let midnight = columns.day().start().millis();
    let of_day = |hour: i64| hour.saturating_mul(HOUR).saturating_sub(midnight).clamp(0, DAY) as u32;
    let times = of_day(hours.start)..of_day(hours.end);
    let visits = columns.visits()?;
    let read = |column: Column<'_>| {
        let mut numbers = Vec::new();
        columns.numbers(column, &visits.all, &mut numbers).map(|()| numbers)
    };
    let text = |dimension: &Dimension| columns.texts(dimension).map(|(texts, _)| texts);
    let lefts = read(Column::ClickX)?;
    if times.is_empty() || lefts.iter().all(|x| *x == 0) {
        return Ok(());
    }
    let (page_of, element_of) = (Dimension::Field(Field::Page), Dimension::Field(Field::Element));
    let (pages, elements) = (text(&page_of)?, text(&element_of)?);
    let wanted = |number: u32| page.is_none_or(|page| shown(pages.get(number)) == page);
    let (tops, at) = (read(Column::ClickY)?, read(Column::Time)?);
    let (page_at, element_at) = (read(Column::Value(&page_of))?, read(Column::Value(&element_of))?);
    // Clicks are events, which come before the reports of their visit.
    for row in visits.all.iter().flat_map(|visit| visit.start as usize..(visit.start + visit.events) as usize) {
        if lefts[row] != 0 && times.contains(&at[row]) && wanted(page_at[row]) {
            let page = names.number(shown(pages.get(page_at[row])));
            let element = names.number(elements.get(element_at[row]));
            *cells.entry((page, lefts[row] - 1, tops[row].saturating_sub(1), element)).or_default() += 1;
        }
    }
    Ok(())
}

/// The page that a click is shown on.
const fn shown(page: &str) -> &str {
    if page.is_empty() { "/" } else { page }
}

fn places(cells: HashMap<Cell, u64, RandomState>, names: &Texts, limit: usize) -> Vec<ClickedPlace> {
    /// Clicks of a place, and its element so far with that one's clicks.
    type Counted = (u64, (u64, u32));
    let mut counted: HashMap<(u32, u32, u32), Counted, RandomState> = HashMap::default();
    for ((page, x, y, element), clicks) in cells {
        let (sum, best) = counted.entry((page, x, y)).or_default();
        *sum += clicks;
        let better = clicks > best.0 || clicks == best.0 && names.get(element) < names.get(best.1);
        if element != 0 && better {
            *best = (clicks, element);
        }
    }
    let mut counted: Vec<_> = counted.into_iter().collect();
    counted.sort_unstable_by(|((page_a, x_a, y_a), (sum_a, _)), ((page_b, x_b, y_b), (sum_b, _))| {
        let pages = || names.get(*page_a).cmp(names.get(*page_b));
        sum_b.cmp(sum_a).then_with(pages).then_with(|| (y_a, x_a).cmp(&(y_b, x_b)))
    });
    counted.truncate(limit);
    let place = |((page, x, y), (count, (_, element))): ((u32, u32, u32), Counted)| ClickedPlace {
        page: names.get(page).to_owned(),
        x: x as u8,
        y: y as u8,
        count,
        element: names.get(element).to_owned(),
    };
    counted.into_iter().map(place).collect()
}
