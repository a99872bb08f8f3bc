//! Ceiling and product in turn, and what remains of several rounds.

use anyhow::Result;

use crate::load::{self, Outcome, Plan};
use crate::report::{Report, Row};

/// Rounds of one measurement.
#[derive(Default)]
pub(crate) struct Rounds {
    rate: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    ratio: Vec<f64>,
}

impl Rounds {
    /// Adds what a load did, beside what the ceiling did just before it.
    pub(crate) fn add(&mut self, outcome: &Outcome, ceiling: Option<&Outcome>) {
        self.rate.push(outcome.rate());
        self.p50.push(outcome.percentile(50.0));
        self.p99.push(outcome.percentile(99.0));
        // Ratios are taken round by round, then their median: the two halves of a round met the
        // same machine, the rounds perhaps not.
        self.ratio.extend(ceiling.map(|ceiling| outcome.rate() / ceiling.rate().max(1.0)));
    }

    /// The medians as a row; an exchange does `work` units (requests or events).
    pub(crate) fn row(self, what: &str, connections: usize, work: f64) -> Row {
        let mut row = Row::new(what);
        row.connections = Some(connections);
        row.rate = Some(median(self.rate) * work);
        row.p50_ms = Some(median(self.p50));
        row.p99_ms = Some(median(self.p99));
        row.ratio = (!self.ratio.is_empty()).then(|| median(self.ratio));
        row
    }
}

/// Runs a plan, and tells the report of answers that should not be.
///
/// # Errors
/// When the server cannot be reached or hangs.
pub(crate) async fn run(report: &mut Report, what: &str, plan: Plan) -> Result<Outcome> {
    let outcome = load::run(plan).await?;
    report.check(what, &outcome);
    Ok(outcome)
}

/// The middle one, or the mean of the two in the middle; 0 of nothing.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() {
        0 => 0.0,
        count if count % 2 == 1 => numbers[middle],
        _ => f64::midpoint(numbers[middle - 1], numbers[middle]),
    }
}
