//! One pass over a day: what each group counts.

use std::ops::Range;

use super::counts::{Counts, NO_EVENTS, NO_VISITORS, Reports, Whole};
use super::groups::{Groups, NONE, Of, Values};
use super::loops::Loop;
use super::mask::{self, Mask};
use super::numbers::{Number, with_numbers};
use super::opened::Opened;
use super::totals::{Counted, Totals};
use super::visitors::DayNumbers;
use super::work::{ScanError, Work};
use crate::measure::columns::Damaged;
use crate::measure::question::{Dimension, Filter, Goals, Metric, Question};

/// What is counted of a question's events.
#[derive(Debug, Clone)]
pub(super) struct Pass<'a> {
    pub(super) question: &'a Question,
    pub(super) filters: &'a [Filter],
    /// Places in the question's dimensions.
    pub(super) dimensions: Vec<usize>,
    pub(super) wanted: Wanted,
}

/// What is counted besides visitors.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted {
    pub(super) events: bool,
    pub(super) views: bool,
    pub(super) bounces: bool,
    pub(super) durations: bool,
    pub(super) reports: bool,
}

impl Wanted {
    pub(super) fn of(metrics: &[Metric]) -> Self {
        let any = |of: &[Metric]| of.iter().any(|metric| metrics.contains(metric));
        Self {
            events: any(&[Metric::Visits, Metric::Events, Metric::Pageviews, Metric::ViewsPerVisit]),
            views: any(&[Metric::Pageviews, Metric::ViewsPerVisit]),
            bounces: any(&[Metric::BounceRate]),
            durations: any(&[Metric::VisitDuration]),
            reports: any(&[Metric::ScrollDepth, Metric::TimeOnPage]),
        }
    }

    pub(super) const fn only_visitors(self) -> bool {
        !(self.events || self.views || self.bounces || self.durations)
    }
}

impl Pass<'_> {
    /// Adds a day to the totals.
    pub(super) fn run<'d>(
        &self,
        opened: &Opened<'d>,
        numbers: &DayNumbers<'d>,
        work: &Work<'_>,
        totals: &mut Totals,
    ) -> Result<(), ScanError> {
        let (visits, rows) = mask::of_filters(opened, self.filters)?;
        let by_goal = self.dimensions.iter().any(|place| self.question.dimensions[*place] == Dimension::Goal);
        match &self.question.goals {
            Goals::Configured(goals) if by_goal => {
                for (number, goal) in (0..).zip(goals) {
                    let rows = rows.clone().and(mask::of_rows(opened, &goal.filter)?);
                    self.run_one(opened, numbers, work, (&visits, &rows), number, totals)?;
                }
                Ok(())
            }
            _ => self.run_one(opened, numbers, work, (&visits, &rows), 0, totals),
        }
    }

    fn run_one<'d>(
        &self,
        opened: &Opened<'d>,
        numbers: &DayNumbers<'d>,
        work: &Work<'_>,
        (visits, rows): (&Mask, &Mask),
        goal: u32,
        totals: &mut Totals,
    ) -> Result<(), ScanError> {
        if *visits == Mask::None || *rows == Mask::None {
            return Ok(());
        }
        let of_visits = self.wanted.bounces || self.wanted.durations;
        let values = self.dimensions.iter().map(|place| Values::of(opened, self.question, *place, goal, of_visits));
        let mut groups = Groups::new(values.collect::<Result<_, Damaged>>()?);
        let of = groups.of_day(opened, visits, rows);
        let mut counts = Counts::new(groups.len(), self.wanted.events);
        let loop_ =
            Loop { wanted: self.wanted, entry_filters: &self.question.entry_filters, opened, numbers, work, visits };
        match (&of, rows) {
            (Of::Same, Mask::All) if !opened.reports_are_events => {
                loop_.visits(|_| 0, |places| places.end, &mut groups, &mut counts)?;
            }
            (Of::Visits(of), Mask::All) if !opened.reports_are_events => {
                with_numbers!(&**of, |of| {
                    let run = |places: Range<usize>| places.start + Number::run(&of[places]);
                    loop_.visits(|visit| of[visit].value(), run, &mut groups, &mut counts)
                })?;
            }
            (Of::Same, rows) => loop_.rows(|_, _| 0, rows, &mut groups, &mut counts)?,
            (Of::Visits(of), rows) => loop_.rows(|visit, _| of.get(visit), rows, &mut groups, &mut counts)?,
            (Of::Rows(of), rows) => match opened.order().filter(|_| *rows == Mask::All && loop_.counts_all_rows()) {
                Some(order) => with_numbers!(&**of, |of| loop_.all_rows(of, order, &mut groups, &mut counts))?,
                None => {
                    with_numbers!(&**of, |of| loop_.rows(|_, row| of[row].value(), rows, &mut groups, &mut counts))?
                }
            },
        }
        if self.wanted.reports {
            let group = |visit: usize, row: usize| match &of {
                Of::Same => 0,
                Of::Visits(of) => of.get(visit),
                Of::Rows(of) => of.get(row),
            };
            loop_.reports(group, rows, &mut counts)?;
        }
        self.add(opened, &groups, counts, totals)
    }

    /// Adds what the groups of a day counted to those of all days.
    fn add(
        &self,
        opened: &Opened<'_>,
        groups: &Groups<'_>,
        counts: Counts,
        totals: &mut Totals,
    ) -> Result<(), ScanError> {
        let mut places = totals.of_day(self.question, &self.dimensions, opened)?;
        let mut rows = vec![NONE; groups.len()];
        if self.wanted.only_visitors() && !self.wanted.reports {
            let counted = counts.visitors.iter().enumerate().filter(|(_, visitors)| visitors.last != u32::MAX);
            for (group, visitors) in counted {
                rows[group] = places.row(groups.values(group));
                places.add_visitors(rows[group], visitors.count);
            }
            places.add_explicit(&rows, &counts.explicit);
            return Ok(());
        }
        for (group, row) in rows.iter_mut().enumerate() {
            let visitors = counts.visitors.get(group).copied().unwrap_or(NO_VISITORS);
            let events = counts.events.get(group).copied().unwrap_or(NO_EVENTS);
            let whole = counts.visits.get(group).copied().unwrap_or_default();
            let reports = counts.reports.get(group).copied().unwrap_or_default();
            let has_events = visitors.last != u32::MAX;
            if !has_events && whole == Whole::default() && reports == Reports::default() {
                continue;
            }
            *row = places.row(groups.values(group));
            let counted = Counted {
                days: has_events.into(),
                visitors: visitors.count.into(),
                visits: events.visits.into(),
                events: events.events.into(),
                views: events.views.into(),
                bounce_visits: whole.bounce_visits.into(),
                bounces: whole.bounces.into(),
                duration_visits: whole.duration_visits.into(),
                duration: whole.duration,
                depth_visits: reports.depth_visits.into(),
                depth: reports.depth,
                visible_visits: reports.visible_visits.into(),
                visible: reports.visible,
            };
            places.add(*row, &counted);
        }
        places.add_explicit(&rows, &counts.explicit);
        Ok(())
    }
}
