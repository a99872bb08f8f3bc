//! Answers questions from the columns of days, closed or open: one pass over each.
//!
//! Filters are evaluated once for each distinct value of a dimension, then as columns of yes and no.
//! Visits whose filters fail are skipped whole, and rows are not read at all where a question concerns
//! whole visits. A visitor's visits lie together, so each group needs only the visitor that it counted
//! last to count distinct ones. Explicit visitors come again on other days: each group has a set of them.
//!
//! | module | what it is |
//! |---|---|
//! | [`work`] | bounds of one scan, and how it fails |
//! | `opened` | a day whose columns are read when they are first needed |
//! | `mask` | filters as columns of yes and no |
//! | `groups` | the group of each visit or row |
//! | `pass` | one pass over a day: what each group counts |
//! | `totals` | what the groups of all days add up to |
//! | `visitors` | sets of explicit visitors |
//! | [`clicks`], [`funnel`], [`retention`] | questions of another shape |

pub mod clicks;
pub mod funnel;
mod groups;
mod mask;
mod opened;
mod pass;
pub mod retention;
mod totals;
mod visitors;
pub mod work;

use std::collections::BTreeSet;

use self::opened::{Buffers, Opened};
use self::pass::{Pass, Wanted};
use self::totals::Totals;
use self::visitors::Numbering;
pub use self::work::{ScanError, Work};
use super::columns::Columns;
use super::question::{Answer, Dimension, Goals, Metric, Number, Question, ResultRow, VisitorCount};

/// Answers a question from the days that its range touches; other days are passed over. Each day may be
/// there once only. The order of days does not matter, and rows come in any order. Each day is dropped
/// before the next is taken.
///
/// # Errors
/// [`ScanError`].
pub fn answer(
    question: &Question,
    days: impl IntoIterator<Item: AsRef<dyn Columns>>,
    work: &Work<'_>,
) -> Result<Answer, ScanError> {
    let asks = |metric: Metric| question.metrics.contains(&metric);
    let ungrouped = Pass { question, filters: &question.filters, dimensions: Vec::new(), wanted: Wanted::default() };
    let all: Vec<usize> = (0..question.dimensions.len()).collect();
    let but_goals: Vec<usize> =
        all.iter().copied().filter(|place| question.dimensions[*place] != Dimension::Goal).collect();
    let base = &question.conversion_base;
    // What is needed besides the rows themselves: visitors that percentages are of.
    let mut passes = vec![
        Some(Pass { dimensions: all, wanted: Wanted::of(&question.metrics), ..ungrouped.clone() }),
        asks(Metric::Percentage).then(|| ungrouped.clone()),
        asks(Metric::ConversionRate).then(|| Pass { filters: base, ..ungrouped.clone() }),
        asks(Metric::GroupConversionRate).then(|| Pass { filters: base, dimensions: but_goals, ..ungrouped.clone() }),
    ]
    .into_iter()
    .map(|pass| pass.map(|pass| (Totals::new(pass.dimensions.len()), pass)))
    .collect::<Vec<_>>();

    let (mut numbering, mut buffers, mut capped) = (Numbering::default(), Buffers::default(), BTreeSet::new());
    for day in days {
        work.check()?;
        let columns = day.as_ref();
        let Some(opened) = Opened::new(columns, question.range, question.reports_are_events, &mut buffers)? else {
            continue;
        };
        let numbers = numbering.of_day(columns)?;
        for (totals, pass) in passes.iter_mut().flatten() {
            pass.run(&opened, &numbers, work, totals)?;
        }
        capped.append(&mut opened.into_capped(&mut buffers));
        let memory: usize = passes.iter().flatten().map(|(totals, _)| totals.memory()).sum();
        work.check_memory(memory + numbering.memory() + buffers.memory())?;
    }

    let [main, percentage, conversion, group] = &mut passes[..] else { unreachable!("there are four passes") };
    let alone = |passes: &mut Option<(Totals, Pass<'_>)>| passes.as_mut().map(|(totals, _)| totals.visitors(&[]));
    let shares = Shares { total: alone(percentage), base: alone(conversion) };
    let mut rows = Vec::new();
    if let Some((totals, pass)) = main {
        totals.each(question.dimensions.is_empty(), |labels, counted| {
            let group_base = group.as_mut().map(|(totals, base)| {
                let of_base = |place: &usize| pass.dimensions.iter().position(|other| other == place);
                let places = base.dimensions.iter().filter_map(of_base);
                totals.visitors(&places.map(|place| labels[place]).collect::<Vec<_>>())
            });
            let metrics = question.metrics.iter().map(|metric| shares.metric(*metric, counted, group_base)).collect();
            let dimensions = (0..).zip(labels).map(|(place, label)| name(question, place, label)).collect();
            rows.push(ResultRow { dimensions, metrics });
        });
    }
    Ok(Answer { rows, visitors: VisitorCount::Distinct, capped: capped.into_iter().collect(), summaries: None })
}

/// What a row shows for a label.
fn name(question: &Question, place: usize, label: &totals::Label<'_>) -> String {
    match (label, &question.dimensions[place], &question.goals) {
        (totals::Label::Text(text), ..) => (*text).to_owned(),
        (totals::Label::Number(number), Dimension::Goal, Goals::Configured(goals)) => {
            goals.get(*number as usize).map(|goal| goal.name.clone()).unwrap_or_default()
        }
        (totals::Label::Number(number), ..) => {
            let labels = groups::buckets(question, place).map(|buckets| buckets.labels());
            labels.and_then(|labels| labels.get(*number as usize)).cloned().unwrap_or_default()
        }
    }
}

/// The visitors that percentages are of.
struct Shares {
    total: Option<u64>,
    base: Option<u64>,
}

impl Shares {
    fn metric(&self, metric: Metric, counted: &totals::Counted, group_base: Option<u64>) -> Option<Number> {
        let decimals = metric.decimals();
        let ratio = |of: u64, base: u64| Number::ratio(of.into(), base, decimals);
        let percent = |of: u64, base: Option<u64>| Number::ratio(i128::from(of) * 100, base.unwrap_or(0), decimals);
        match metric {
            Metric::Visitors => Some(Number::count(counted.visitors)),
            Metric::Visits => Some(Number::count(counted.visits)),
            Metric::Pageviews => Some(Number::count(counted.views)),
            Metric::Events => Some(Number::count(counted.events)),
            Metric::ViewsPerVisit => ratio(counted.views, counted.visits),
            Metric::BounceRate => percent(counted.bounces, Some(counted.bounce_visits)),
            Metric::VisitDuration => ratio(counted.duration, counted.duration_visits.saturating_mul(1_000)),
            Metric::ScrollDepth => ratio(counted.depth, counted.depth_visits),
            Metric::TimeOnPage => ratio(counted.visible, counted.visible_visits.saturating_mul(1_000)),
            Metric::Percentage => percent(counted.visitors, self.total),
            Metric::ConversionRate => percent(counted.visitors, self.base),
            Metric::GroupConversionRate => percent(counted.visitors, group_base),
        }
    }
}
