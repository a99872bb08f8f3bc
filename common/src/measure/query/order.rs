//! Order of rows, and the rows of one page.

use std::cmp::Ordering;
use std::collections::HashMap;

use serde_json::{Value, json};

use super::input::{Result, list, refused, suggest, text};
use crate::measure::question::{Dimension, Direction, Metric, OrderKey, Question, ResultRow};

const DIRECTIONS: [&str; 2] = ["asc", "desc"];

/// Reads `order_by`; by default time ascending, or else the first metric descending.
pub(super) fn parse(
    value: Option<&Value>,
    metrics: &[Metric],
    dimensions: &[Dimension],
) -> Result<Vec<(OrderKey, Direction)>> {
    let is_time = |dimension: &Dimension| matches!(dimension, Dimension::Time(_));
    let Some(value) = value else {
        let times = dimensions.iter().enumerate().filter(|(_, dimension)| is_time(dimension));
        let mut order: Vec<_> = times.map(|(place, _)| (OrderKey::Dimension(place), Direction::Ascending)).collect();
        order.push((OrderKey::Metric(0), Direction::Descending));
        return Ok(order);
    };
    let mut order: Vec<(OrderKey, Direction)> = Vec::new();
    for (number, item) in list(value, "order_by")?.iter().enumerate() {
        let place = format!("order_by[{number}]");
        let [name, direction] = item.as_array().map(Vec::as_slice).unwrap_or_default() else {
            return Err(refused(format!("{place} must be [metric or dimension, \"asc\" or \"desc\"]")));
        };
        let name = text(name, &format!("{place}[0]"))?;
        let direction = match text(direction, &format!("{place}[1]"))? {
            "asc" => Direction::Ascending,
            "desc" => Direction::Descending,
            other => return Err(refused(format!("{place}[1] is no direction{}", suggest(other, DIRECTIONS)))),
        };
        let metric = metrics.iter().position(|metric| metric.name() == name).map(OrderKey::Metric);
        let dimension = || {
            let same = |dimension: &Dimension| dimension.to_string() == name || name == "time" && is_time(dimension);
            dimensions.iter().position(same).map(OrderKey::Dimension)
        };
        let key = metric.or_else(dimension).ok_or_else(|| {
            let names: Vec<_> = dimensions.iter().map(Dimension::to_string).collect();
            let asked = metrics.iter().map(|metric| metric.name()).chain(names.iter().map(String::as_str));
            refused(format!("{place}[0] is not a metric or dimension of the query{}", suggest(name, asked)))
        })?;
        if order.iter().any(|(other, _)| *other == key) {
            return Err(refused(format!("{place} is there twice")));
        }
        order.push((key, direction));
    }
    Ok(order)
}

/// The order as it is written.
pub(super) fn written(order: &[(OrderKey, Direction)], metrics: &[Metric], dimensions: &[Dimension]) -> Value {
    let one = |(key, direction): &(OrderKey, Direction)| {
        let name = match key {
            OrderKey::Metric(place) => metrics[*place].name().to_owned(),
            OrderKey::Dimension(place) => dimensions[*place].to_string(),
        };
        json!([name, DIRECTIONS[usize::from(*direction == Direction::Descending)]])
    };
    order.iter().map(one).collect()
}

/// The rows of the question's page, in order.
pub(super) fn page(mut rows: Vec<ResultRow>, question: &Question) -> Vec<ResultRow> {
    let places = places(question);
    let by_dimension = |a: &ResultRow, b: &ResultRow, place: usize| {
        let (a, b) = (&a.dimensions[place], &b.dimensions[place]);
        match &places[place] {
            Some(places) => places.get(a.as_str()).cmp(&places.get(b.as_str())),
            None => a.cmp(b),
        }
    };
    let compare = |a: &ResultRow, b: &ResultRow| {
        for (key, direction) in &question.order_by {
            let order = match key {
                OrderKey::Dimension(place) => directed(by_dimension(a, b, *place), *direction),
                OrderKey::Metric(place) => match (a.metrics[*place], b.metrics[*place]) {
                    (Some(a), Some(b)) => directed(a.cmp(&b), *direction),
                    // Null comes last either way.
                    (a, b) => a.is_none().cmp(&b.is_none()),
                },
            };
            if order != Ordering::Equal {
                return order;
            }
        }
        let ties = (0..question.dimensions.len()).map(|place| by_dimension(a, b, place));
        ties.fold(Ordering::Equal, Ordering::then)
    };
    let wanted = question.offset.saturating_add(question.limit);
    if wanted < rows.len() {
        rows.select_nth_unstable_by(wanted, compare);
        rows.truncate(wanted);
    }
    rows.sort_unstable_by(compare);
    rows.drain(..question.offset.min(rows.len()));
    rows
}

/// The place of each label of the time dimensions; none for other dimensions.
pub(super) fn places(question: &Question) -> Vec<Option<HashMap<&str, usize>>> {
    let mut buckets = question.buckets.iter();
    let place = |dimension: &Dimension| match dimension {
        Dimension::Time(_) => {
            let labels = buckets.next()?.labels().iter();
            Some(labels.enumerate().map(|(place, label)| (label.as_str(), place)).collect())
        }
        _ => None,
    };
    question.dimensions.iter().map(place).collect()
}

fn directed(order: Ordering, direction: Direction) -> Ordering {
    if direction == Direction::Descending { order.reverse() } else { order }
}
