//! What a question takes from summaries, and what it cannot have from them.

use super::is_of_views;
use crate::measure::question::{Buckets, Dimension, Field, Filter, Goals, Metric, Question, Scope, Test, TimeUnit};
use crate::measure::scan::{Parts, passes};

/// Why summaries cannot answer a question at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::measure) enum Impossible {
    Dimensions,
    Clock,
    Goals,
    Filters,
    HasDone,
    Metrics,
}

impl Impossible {
    pub(in crate::measure) const fn reason(self) -> &'static str {
        match self {
            Self::Dimensions => "daily summaries have no combinations of dimensions, only each by itself",
            Self::Clock => "daily summaries know no hours and no weekdays, only days, weeks and months",
            Self::Goals => "daily summaries know no configured goals",
            Self::Filters => "daily summaries can be filtered by one dimension only, the one that is asked for",
            Self::HasDone => "daily summaries know no has_done: they hold no visits",
            Self::Metrics => "daily summaries hold none of these metrics",
        }
    }
}

/// What one pass takes.
#[derive(Debug, Clone)]
pub(super) struct Take<'a> {
    /// The dimension whose rows are taken; none for the totals.
    pub(super) dimension: Option<Dimension>,
    /// Its place among the pass's dimensions; none if the rows that pass the filters are added up.
    pub(super) place: Option<usize>,
    /// How many dimensions the pass has.
    pub(super) dimensions: usize,
    pub(super) filters: &'a [Filter],
    /// The buckets of the times among the pass's dimensions, with their places.
    pub(super) times: Vec<(usize, &'a Buckets)>,
    /// Whether only names of custom events are rows.
    pub(super) custom_events: bool,
    pub(super) reports_are_events: bool,
    /// Whether bounces and durations are taken.
    pub(super) bounces: bool,
    pub(super) durations: bool,
}

/// What a question takes from summaries.
#[derive(Debug, Clone)]
pub(in crate::measure) struct Plan<'a> {
    /// For each pass of the scan, what it takes, if it can.
    pub(super) takes: [Option<Take<'a>>; 4],
    /// Metrics that are not known of expired days.
    pub(in crate::measure) unknown: Vec<Metric>,
}

impl<'a> Plan<'a> {
    /// What a question takes.
    pub(in crate::measure) fn of(question: &'a Question) -> Result<Self, Impossible> {
        let [main, percentage, conversion, group] = passes(question);
        let main = Take::of(question, &main.ok_or(Impossible::Metrics)?)?;
        let base = |parts: Option<Parts<'a>>| {
            let take = Take::of(question, &parts?).ok()?;
            take.knows(Metric::Visitors).then_some(take)
        };
        let takes = [None, base(percentage), base(conversion), base(group)];
        let knows = |metric: &Metric| match metric {
            Metric::Percentage => takes[1].is_some() && main.knows(Metric::Visitors),
            Metric::ConversionRate => takes[2].is_some() && main.knows(Metric::Visitors),
            Metric::GroupConversionRate => takes[3].is_some() && main.knows(Metric::Visitors),
            metric => main.knows(*metric),
        };
        let unknown: Vec<Metric> = question.metrics.iter().copied().filter(|metric| !knows(metric)).collect();
        if unknown.len() == question.metrics.len() {
            return Err(Impossible::Metrics);
        }
        let mut plan = Self { unknown, takes };
        plan.takes[0] = Some(main);
        Ok(plan)
    }

    /// Whether the totals of each day are enough.
    pub(in crate::measure) fn is_of_totals(&self) -> bool {
        self.takes.iter().flatten().all(|take| take.dimension.is_none())
    }
}

impl<'a> Take<'a> {
    fn of(question: &'a Question, parts: &Parts<'a>) -> Result<Self, Impossible> {
        let mut take = Self {
            dimension: None,
            place: None,
            dimensions: parts.dimensions.len(),
            filters: parts.filters,
            times: Vec::new(),
            custom_events: false,
            reports_are_events: question.reports_are_events,
            bounces: true,
            durations: true,
        };
        for (at, place) in parts.dimensions.iter().enumerate() {
            let dimension = match &question.dimensions[*place] {
                Dimension::Time(TimeUnit::Day | TimeUnit::Week | TimeUnit::Month) => {
                    let buckets = crate::measure::scan::buckets(question, *place).ok_or(Impossible::Clock)?;
                    take.times.push((at, buckets));
                    continue;
                }
                Dimension::Time(_) => return Err(Impossible::Clock),
                Dimension::Goal if matches!(question.goals, Goals::Configured(_)) => return Err(Impossible::Goals),
                Dimension::Goal => {
                    take.custom_events = true;
                    Dimension::Field(Field::EventName)
                }
                dimension => dimension.clone(),
            };
            if take.place.replace(at).is_some() {
                return Err(Impossible::Dimensions);
            }
            take.dimension = Some(dimension);
        }
        if let Some(filtered) = only_dimension(parts.filters)? {
            match &take.dimension {
                Some(dimension) if dimension != filtered => return Err(Impossible::Filters),
                // A visit without a page view has no row, but may pass a filter.
                None if is_of_views(filtered) && parts.filters.iter().all(|filter| passes_value(filter, "")) => {
                    return Err(Impossible::Filters);
                }
                _ => take.dimension = Some(filtered.clone()),
            }
        }
        let is_name = take.dimension == Some(Dimension::Field(Field::EventName));
        if take.reports_are_events && !is_name && take.dimension.is_some() {
            return Err(Impossible::Filters);
        }
        (take.bounces, take.durations) = take.whole_visits();
        Ok(take)
    }

    /// Whether bounces and durations of whole visits are in the rows that are taken.
    fn whole_visits(&self) -> (bool, bool) {
        let grouped = self.place.is_some();
        match &self.dimension {
            None => (true, true),
            Some(dimension) if dimension.scope() == Scope::Visit => (true, true),
            // A filter on pages counts only bounces of visits that entered at one of them, but all durations.
            // Visits without a page view, which are in no row, enter at the unknown page.
            Some(Dimension::Field(Field::Page)) => {
                (grouped || !self.filters.iter().all(|filter| passes_value(filter, "")), grouped)
            }
            Some(Dimension::Field(Field::Hostname)) => (grouped, grouped),
            Some(_) => (false, false),
        }
    }

    fn knows(&self, metric: Metric) -> bool {
        // Rows of several values overlap, unless each visit or event has one value.
        let adds_up = self.dimension.is_none() || self.place.is_some() || is_of_one_value(self.filters);
        let of_visits = self.dimension.as_ref().is_some_and(|dimension| dimension.scope() == Scope::Visit);
        match metric {
            Metric::Visitors => adds_up,
            Metric::Visits | Metric::ViewsPerVisit => adds_up || of_visits,
            Metric::Events | Metric::Pageviews => true,
            Metric::BounceRate => self.bounces,
            Metric::VisitDuration => self.durations,
            _ => false,
        }
    }
}

/// The dimension that all filters are on, if there are any.
fn only_dimension(filters: &[Filter]) -> Result<Option<&Dimension>, Impossible> {
    let mut found = None;
    for filter in filters {
        let dimension = match filter {
            Filter::And(filters) | Filter::Or(filters) => only_dimension(filters)?,
            Filter::Not(filter) => only_dimension(std::slice::from_ref(filter))?,
            Filter::HasDone(_) => return Err(Impossible::HasDone),
            Filter::Leaf(leaf) => Some(&leaf.dimension),
        };
        match (found, dimension) {
            (Some(one), Some(other)) if one != other => return Err(Impossible::Filters),
            (one, other) => found = one.or(other),
        }
    }
    Ok(found)
}

/// Whether at most one value can pass.
fn is_of_one_value(filters: &[Filter]) -> bool {
    filters.iter().any(|filter| match filter {
        Filter::Leaf(leaf) => leaf.case_sensitive && matches!(&leaf.test, Test::Is(texts) if texts.len() == 1),
        _ => false,
    })
}

/// Whether a value passes a filter whose leaves are all on its dimension.
pub(super) fn passes_value(filter: &Filter, value: &str) -> bool {
    match filter {
        Filter::And(filters) => filters.iter().all(|filter| passes_value(filter, value)),
        Filter::Or(filters) => filters.iter().any(|filter| passes_value(filter, value)),
        Filter::Not(filter) => !passes_value(filter, value),
        Filter::HasDone(_) => false,
        Filter::Leaf(leaf) => leaf.passes(value),
    }
}
