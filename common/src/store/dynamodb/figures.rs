//! Questions about figures: each sums small items of the days it is about.

use std::collections::BTreeMap;
use std::ops::Range as Days;

use super::ask::Range;
use super::client::Tables;
use super::counted::{in_totals, name};
use super::facts::Kept;
use super::item::{Item, read_number, sort_key};
use super::keys::{self, END};
use super::stored::NUMBERED;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Result, Totals};
use crate::tally::Dimension;
use crate::tally::{Ranking, Span};
use crate::time::Day;

/// The items of a partition whose sort keys begin with these days, the last one included.
pub(super) fn of_days(pk: String, first: Day, last: Day) -> Range {
    Range::new(pk, keys::day(first), format!("{}{END}", keys::day(last)))
}

/// A number of a totals item, or none.
pub(super) fn field(item: &Item, name: &str) -> u64 {
    read_number::<i64>(item, name).map_or(0, |n| n.max(0).unsigned_abs())
}

fn total(items: &[Item], name: &str) -> u64 {
    items.iter().map(|item| field(item, name)).sum()
}

/// Under which name visitors that are new to such a period are counted.
pub(super) const fn visitors(period: Period) -> &'static str {
    match period {
        Period::Day => name::DAY_VISITORS,
        Period::Week => name::WEEK_VISITORS,
        Period::Month => name::MONTH_VISITORS,
    }
}

pub(super) fn sum(items: &[Item], period: Period) -> Totals {
    let of_type = |event_type| total(items, &in_totals(Dimension::EventType, event_type).unwrap_or_default());
    Totals {
        events: total(items, name::EVENTS),
        page_views: of_type("page_view"),
        letters: of_type("letter_generate"),
        motivation: total(items, name::MOTIVATION),
        anti_motivation: total(items, name::ANTI_MOTIVATION),
        visitors: total(items, visitors(period)),
    }
}

pub(super) async fn totals(
    tables: &Tables,
    kept: Kept,
    site: &Site,
    period: PeriodKey,
    consistent: bool,
) -> Result<Totals> {
    if !kept.has(period) {
        return Ok(Totals::default());
    }
    let range = of_days(keys::totals(site), period.first_day(), period.last_day());
    Ok(sum(&tables.all(range, consistent).await?, period.period()))
}

/// A stretch of days, and which visitors are counted in it.
struct Stretch {
    first: Day,
    last: Day,
    period: Period,
}

impl Stretch {
    /// `None` when its figures are gone.
    fn of(span: Span, kept: Kept) -> Option<Self> {
        match span {
            Span::Period(key) => {
                kept.has(key).then(|| Self { first: key.first_day(), last: key.last_day(), period: key.period() })
            }
            Span::Since(day) => Some(Self {
                first: kept.days.map_or(day, |first| first.max(day)),
                // The last day there is.
                last: Day::from_number(i32::MAX),
                period: Period::Day,
            }),
        }
    }
}

/// The counts of each value of a dimension in these totals.
fn counts_in_totals(items: &[Item], dimension: Dimension, period: Period, counts: &mut BTreeMap<String, u64>) {
    let mut add = |value: &str, name: &str| {
        let n = total(items, name);
        if n > 0 {
            *counts.entry(value.to_owned()).or_default() += n;
        }
    };
    let mut add_counted = |value: &str| {
        if let Some(name) = in_totals(dimension, value) {
            add(value, &name);
        }
    };
    match dimension {
        Dimension::All => add_counted(""),
        Dimension::EventType => NUMBERED.iter().for_each(|event_type| add_counted(event_type.name())),
        Dimension::LetterType => ["motivation", "anti_motivation"].into_iter().for_each(add_counted),
        Dimension::Visitors => add("", visitors(period)),
        Dimension::Theme => {}
    }
}

pub(super) async fn ranking(
    tables: &Tables,
    kept: Kept,
    site: &Site,
    dimension: Dimension,
    span: Span,
    limit: usize,
    consistent: bool,
) -> Result<Ranking> {
    let Some(stretch) = Stretch::of(span, kept) else { return Ok(Ranking::default()) };
    let mut counts = BTreeMap::new();
    if dimension != Dimension::Theme {
        let items = tables.all(of_days(keys::totals(site), stretch.first, stretch.last), consistent).await?;
        counts_in_totals(&items, dimension, stretch.period, &mut counts);
    }
    if dimension.is_open() {
        let range = of_days(keys::values(site, dimension), stretch.first, stretch.last);
        for item in tables.all(range, consistent).await? {
            if let Some((_, _, value)) = keys::read_value(sort_key(&item)) {
                *counts.entry(value.to_owned()).or_default() += field(&item, name::EVENTS);
            }
        }
    }
    let mut ranking = Ranking { total: counts.values().sum(), rows: counts.into_iter().collect() };
    // Stable: ties stay in the order of their values.
    ranking.rows.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    ranking.rows.truncate(limit);
    Ok(ranking)
}

pub(super) async fn daily(
    tables: &Tables,
    kept: Kept,
    site: &Site,
    dimension: Dimension,
    value: &str,
    days: Days<Day>,
    consistent: bool,
) -> Result<Vec<(Day, u64)>> {
    let first = kept.days.map_or(days.start, |first| first.max(days.start));
    let mut counts: BTreeMap<Day, u64> = BTreeMap::new();
    if first < days.end {
        let last = days.end.plus(-1);
        let in_totals = match dimension {
            Dimension::Visitors => Some(visitors(Period::Day).to_owned()),
            _ => in_totals(dimension, value),
        };
        let pk = if in_totals.is_some() { keys::totals(site) } else { keys::values(site, dimension) };
        for item in tables.all(of_days(pk, first, last), consistent).await? {
            let sk = sort_key(&item);
            let (day, name) = match &in_totals {
                Some(name) => (keys::read_day(sk), name.as_str()),
                None => {
                    (keys::read_value(sk).filter(|(_, _, found)| *found == value).map(|(day, ..)| day), name::EVENTS)
                }
            };
            if let Some(day) = day {
                *counts.entry(day).or_default() += field(&item, name);
            }
        }
    }
    let days = (days.start.number()..days.end.number()).map(Day::from_number);
    Ok(days.map(|day| (day, counts.get(&day).copied().unwrap_or(0))).collect())
}

pub(super) async fn sites(tables: &Tables, consistent: bool) -> Result<Vec<Site>> {
    let items = tables.all(Range::new(keys::SITES, " ", END), consistent).await?;
    Ok(items.iter().filter_map(|item| Site::parse(sort_key(item))).collect())
}
