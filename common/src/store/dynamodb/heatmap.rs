//! Where was clicked.

use std::collections::BTreeMap;
use std::ops::Range as Hours;

use super::ask::Range;
use super::client::Tables;
use super::figures::field;
use super::item::{Item, read_number, read_text, sort_key};
use super::keys::{self, END};
use crate::site::Site;
use crate::store::Result;
use crate::tally::Click;
use crate::tally::ClickCell;

/// The hour of a cell, its place, and how often it was clicked.
pub(super) fn read(item: &Item) -> Option<(i64, Click, u64)> {
    let click = Click {
        page: read_text(item, "page")?.to_owned(),
        element: read_text(item, "el")?.to_owned(),
        x: read_number(item, "x")?,
        y: read_number(item, "y")?,
    };
    Some((keys::read_hour(sort_key(item))?, click, field(item, "n")))
}

pub(super) async fn heatmap(
    tables: &Tables,
    site: &Site,
    page: Option<&str>,
    hours: Hours<i64>,
    limit: usize,
    consistent: bool,
) -> Result<Vec<ClickCell>> {
    if hours.is_empty() {
        return Ok(Vec::new());
    }
    let last = format!("{}{END}", keys::hour(hours.end - 1));
    let range = Range::new(keys::clicks(site), keys::hour(hours.start), last);
    // Sorted by page, then y, then x, which is how ties are.
    let mut places: BTreeMap<(String, u8, u8), BTreeMap<String, u64>> = BTreeMap::new();
    let mut pages = tables.pages(range, super::ask::Way { consistent, ..Default::default() });
    while let Some(items) = pages.next().await? {
        for (_, click, n) in items.iter().filter_map(read) {
            if page.is_none_or(|page| page == click.page) {
                let elements = places.entry((click.page, click.y, click.x)).or_default();
                *elements.entry(click.element).or_default() += n;
            }
        }
    }
    let mut cells: Vec<_> = places
        .into_iter()
        .map(|((page, y, x), elements)| ClickCell {
            page,
            x,
            y,
            count: elements.values().sum(),
            element: most(elements),
        })
        .collect();
    cells.sort_by_key(|cell| std::cmp::Reverse(cell.count));
    cells.truncate(limit);
    Ok(cells)
}

/// The element clicked most often, of equals the first by name; none is the last resort.
fn most(elements: BTreeMap<String, u64>) -> String {
    let named = elements.into_iter().filter(|(element, _)| !element.is_empty());
    let best = named.reduce(|best, other| if other.1 > best.1 { other } else { best });
    best.map(|(element, _)| element).unwrap_or_default()
}
