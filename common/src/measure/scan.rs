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
//! | `numbers` | numbers of every width |
//! | `groups` | the group of each visit or row |
//! | `pass` | one pass over a day |
//! | `loops` | loops over its visits and rows |
//! | `counts` | what its groups count |
//! | `totals` | what the groups of all days add up to |
//! | `tally` | what one day counts by one dimension, for its summary |
//! | `visitors` | sets of explicit visitors |
//! | [`clicks`], [`funnel`], [`retention`] | questions of another shape |

pub mod clicks;
mod counts;
pub mod funnel;
mod groups;
mod loops;
mod mask;
mod numbers;
mod opened;
mod pass;
pub mod retention;
mod tally;
mod totals;
mod visitors;
pub mod work;

use std::collections::BTreeSet;

pub(super) use self::groups::{buckets, is_custom_event};
use self::opened::{Buffers, Opened};
use self::pass::{Pass, Wanted};
pub(super) use self::tally::tally;
use self::totals::Totals;
pub(super) use self::totals::{Counted, Label};
use self::visitors::Numbering;
pub use self::work::{ScanError, Work};
use super::columns::Columns;
use super::question::{Answer, Dimension, Filter, Goals, Metric, Number, Question, ResultRow, VisitorCount};
use super::summary::expired::Expired;

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
    answer_after(question, None, days, work)
}

/// As [`answer`], with what summaries say of days whose events have expired.
///
/// # Errors
/// [`ScanError`].
pub(super) fn answer_after(
    question: &Question,
    expired: Option<&Expired>,
    days: impl IntoIterator<Item: AsRef<dyn Columns>>,
    work: &Work<'_>,
) -> Result<Answer, ScanError> {
    let mut capped = BTreeSet::new();
    let passes = passes(question).map(|parts| {
        let Parts { filters, dimensions, wanted } = parts?;
        let pass = Pass { question, filters, dimensions, wanted };
        Some((Totals::new(pass.dimensions.len()), pass))
    });
    let mut passes = Vec::from(passes);
    if let Some(expired) = expired {
        for (number, pass) in passes.iter_mut().enumerate() {
            if let Some((totals, _)) = pass {
                expired.each(number, |labels, counted| totals.add(labels, counted));
            }
        }
        capped.extend(expired.capped.iter().cloned());
    }

    let (mut numbering, mut buffers) = (Numbering::new(work), Buffers::default());
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
        drop(numbers);
        capped.append(&mut opened.into_capped(&mut buffers));
        let memory: usize = passes.iter().flatten().map(|(totals, _)| totals.memory()).sum();
        work.check_memory(memory + numbering.memory() + buffers.memory())?;
    }

    let [main, percentage, conversion, group] = &mut passes[..] else { unreachable!("there are four passes") };
    let alone = |passes: &mut Option<(Totals, Pass<'_>)>| passes.as_mut().map(|(totals, _)| totals.visitors(&[]));
    // A base that is not known of all days is not known.
    let known = |pass: usize| expired.is_none_or(|expired| expired.has(pass));
    let shares = Shares { total: alone(percentage).filter(|_| known(1)), base: alone(conversion).filter(|_| known(2)) };
    let mut rows = Vec::new();
    if let Some((totals, pass)) = main {
        totals.each(question.dimensions.is_empty(), |labels, counted| {
            let group_base = group.as_mut().filter(|_| known(3)).map(|(totals, base)| {
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

/// What one of the passes that a question needs counts.
pub(super) struct Parts<'a> {
    pub(super) filters: &'a [Filter],
    /// Places in the question's dimensions.
    pub(super) dimensions: Vec<usize>,
    wanted: Wanted,
}

/// What a question needs: its rows, and the visitors that percentages, conversion rates, and conversion
/// rates of groups are of.
pub(super) fn passes(question: &Question) -> [Option<Parts<'_>>; 4] {
    let asks = |metric: Metric| question.metrics.contains(&metric);
    let all: Vec<usize> = (0..question.dimensions.len()).collect();
    let but_goals = all.iter().copied().filter(|place| question.dimensions[*place] != Dimension::Goal).collect();
    let visitors = |filters, dimensions| Parts { filters, dimensions, wanted: Wanted::default() };
    let (filters, base) = (question.filters.as_slice(), question.conversion_base.as_slice());
    [
        Some(Parts { wanted: Wanted::of(&question.metrics), ..visitors(filters, all) }),
        asks(Metric::Percentage).then(|| visitors(filters, Vec::new())),
        asks(Metric::ConversionRate).then(|| visitors(base, Vec::new())),
        asks(Metric::GroupConversionRate).then(|| visitors(base, but_goals)),
    ]
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
