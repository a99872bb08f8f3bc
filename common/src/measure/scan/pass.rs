//! One pass over a day: what each group counts.

use super::groups::{Groups, NONE, Of, Values};
use super::mask::{self, Mask};
use super::opened::Opened;
use super::totals::{Counted, Totals};
use super::visitors::Numbers;
use super::work::{ScanError, Work};
use crate::measure::columns::{Column, Damaged};
use crate::measure::question::{Dimension, Field, Filter, Goals, Metric, Question};

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
    events: bool,
    views: bool,
    bounces: bool,
    durations: bool,
    reports: bool,
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

    const fn only_visitors(self) -> bool {
        !(self.events || self.views || self.bounces || self.durations)
    }
}

/// As many rows as most visits have.
const SHORT: usize = 8;

/// The visitors of one group on one day. It is small, so that the groups of a day fit into the
/// processor's nearest cache.
#[derive(Debug, Clone, Copy)]
struct Visitors {
    last: u32,
    /// Cookieless ones.
    count: u32,
}

const NO_VISITORS: Visitors = Visitors { last: u32::MAX, count: 0 };

/// What else one group counts on one day.
#[derive(Debug, Clone, Copy)]
struct Events {
    last_visit: u32,
    visits: u32,
    events: u32,
    views: u32,
}

const NO_EVENTS: Events = Events { last_visit: u32::MAX, visits: 0, events: 0, views: 0 };

/// What the groups count on one day.
struct Counts {
    visitors: Vec<Visitors>,
    /// Empty unless it is wanted.
    events: Vec<Events>,
    count_events: bool,
    /// Of whole visits, by group.
    visits: Vec<Counted>,
    /// Explicit visitors of groups: (group, number), each once.
    explicit: Vec<(u32, u32)>,
}

/// A visitor's place, and its number if it is an explicit one.
type Who = (usize, Option<u32>);

impl Counts {
    /// Counts an event, or several of one visit. Reports of no visit have none.
    #[inline(always)]
    fn count(&mut self, group: u32, (visitor, number): Who, visit: Option<usize>, events: u32, views: u32) {
        let at = group as usize;
        if at >= self.visitors.len() {
            self.visitors.resize(at + 1, NO_VISITORS);
        }
        let visitors = &mut self.visitors[at];
        if visitors.last != visitor as u32 {
            visitors.last = visitor as u32;
            match number {
                Some(number) => self.explicit.push((group, number)),
                None => visitors.count += 1,
            }
        }
        if !self.count_events {
            return;
        }
        if at >= self.events.len() {
            self.events.resize(self.visitors.len(), NO_EVENTS);
        }
        let count = &mut self.events[at];
        if let Some(visit) = visit
            && count.last_visit != visit as u32
        {
            count.last_visit = visit as u32;
            count.visits += 1;
        }
        count.events += events;
        count.views += views;
    }

    /// What a group counts of whole visits.
    fn of_visits(&mut self, group: u32) -> Option<&mut Counted> {
        if group == NONE {
            return None;
        }
        let group = group as usize;
        if group >= self.visits.len() {
            self.visits.resize(group + 1, Counted::default());
        }
        self.visits.get_mut(group)
    }
}

impl Pass<'_> {
    /// Adds a day to the totals.
    pub(super) fn run(
        &self,
        opened: &Opened<'_>,
        numbers: &Numbers,
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

    fn run_one(
        &self,
        opened: &Opened<'_>,
        numbers: &Numbers,
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
        let mut counts = Counts {
            visitors: vec![NO_VISITORS; groups.len()],
            events: Vec::new(),
            count_events: self.wanted.events,
            visits: Vec::new(),
            explicit: Vec::new(),
        };
        let loop_ = Loop { pass: self, opened, numbers, work, visits };
        match (&of, rows) {
            (Of::Same, Mask::All) if !opened.reports_are_events => loop_.visits(|_| 0, &mut groups, &mut counts)?,
            (Of::Visits(of), Mask::All) if !opened.reports_are_events => {
                loop_.visits(|visit| of[visit], &mut groups, &mut counts)?;
            }
            (Of::Same, rows) => loop_.rows(|_, _| 0, |row| rows.has(row), &mut groups, &mut counts)?,
            (Of::Visits(of), rows) => {
                loop_.rows(|visit, _| of[visit], |row| rows.has(row), &mut groups, &mut counts)?;
            }
            (Of::Rows(of), Mask::All)
                if *visits == Mask::All && self.wanted.only_visitors() && opened.is_in_order() =>
            {
                loop_.all_rows(of, &mut counts)?;
            }
            (Of::Rows(of), Mask::All) => loop_.rows(|_, row| of[row], |_| true, &mut groups, &mut counts)?,
            (Of::Rows(of), rows) => loop_.rows(|_, row| of[row], |row| rows.has(row), &mut groups, &mut counts)?,
        }
        if self.wanted.reports {
            let group = |visit: usize, row: usize| match &of {
                Of::Same => 0,
                Of::Visits(of) => of[visit],
                Of::Rows(of) => of[row],
            };
            loop_.reports(group, rows, &mut counts)?;
        }
        self.add(opened, &groups, counts, totals)
    }

    /// Adds what the groups of a day counted to those of all days.
    fn add(&self, opened: &Opened<'_>, groups: &Groups, counts: Counts, totals: &mut Totals) -> Result<(), ScanError> {
        let mut places = totals.of_day(self.question, &self.dimensions, opened)?;
        let mut rows = vec![NONE; groups.len()];
        for (group, row) in rows.iter_mut().enumerate() {
            let visitors = counts.visitors.get(group).copied().unwrap_or(NO_VISITORS);
            let events = counts.events.get(group).copied().unwrap_or(NO_EVENTS);
            let of_visits = counts.visits.get(group).copied().unwrap_or_default();
            let has_events = visitors.last != u32::MAX;
            if !has_events && of_visits == Counted::default() {
                continue;
            }
            *row = places.row(groups.values(group));
            let counted = Counted {
                days: has_events.into(),
                visitors: visitors.count.into(),
                visits: events.visits.into(),
                events: events.events.into(),
                views: events.views.into(),
                ..of_visits
            };
            places.add(*row, &counted);
        }
        for (group, visitor) in counts.explicit {
            places.add_visitor(rows[group as usize], visitor);
        }
        Ok(())
    }
}

struct Loop<'a> {
    pass: &'a Pass<'a>,
    opened: &'a Opened<'a>,
    numbers: &'a Numbers,
    work: &'a Work<'a>,
    visits: &'a Mask,
}

impl Loop<'_> {
    /// Calls `each` for every visit that passes, with its visitor.
    #[inline(always)]
    fn each_visit(&self, mut each: impl FnMut(usize, usize)) -> Result<(), ScanError> {
        let mut until_check = Work::EVERY;
        for (visitor, visits) in self.opened.layout.visitors.iter().enumerate() {
            for visit in visits.start as usize..(visits.start + visits.count) as usize {
                if self.visits.has(visit) {
                    each(visitor, visit);
                }
            }
            match until_check.checked_sub(visits.count as usize) {
                Some(rest) => until_check = rest,
                None => {
                    until_check = Work::EVERY;
                    self.work.check()?;
                }
            }
        }
        Ok(())
    }

    /// Counts the visitors of all rows of visits that lie in order. Visits are short, so that a loop over
    /// the rows of each would cost more than its rows: first each row gets its visitor, then rows are
    /// counted without looking where a visit ends.
    fn all_rows(&self, groups: &[u32], counts: &mut Counts) -> Result<(), ScanError> {
        let mut of_row = self.opened.buffer();
        of_row.clear();
        of_row.resize(groups.len() + SHORT, NONE);
        self.each_visit(|visitor, visit| {
            let rows = self.opened.events(visit);
            if let Some(number) = self.numbers.get(visitor) {
                for group in groups[rows].iter().filter(|group| **group != NONE) {
                    counts.count(*group, (visitor, Some(number)), None, 0, 0);
                }
                return;
            }
            // Writing a fixed number of places takes no branches. Those beyond the visit's are reports, or
            // are written again by the visits after it.
            let end = rows.end;
            of_row[rows.start..][..SHORT].fill(visitor as u32);
            if rows.len() > SHORT {
                of_row[rows].fill(visitor as u32);
            }
            of_row[end..][..SHORT].fill(NONE);
        })?;
        for (group, visitor) in groups.iter().zip(&of_row) {
            let Some(visitors) = counts.visitors.get_mut(*group as usize) else { continue };
            let is_new = *visitor != NONE && visitors.last != *visitor;
            visitors.count += u32::from(is_new);
            visitors.last = if *visitor == NONE { visitors.last } else { *visitor };
        }
        self.opened.give_back(of_row);
        Ok(())
    }

    /// All events of a visit belong to one group: rows are not read.
    fn visits(&self, group: impl Fn(usize) -> u32, groups: &mut Groups, counts: &mut Counts) -> Result<(), ScanError> {
        let views = if self.pass.wanted.views { Some(self.opened.numbers(Column::Views)?) } else { None };
        let (whole, is_same) = (WholeVisits::new(self.pass, self.opened)?, groups.are_of_visits());
        self.each_visit(|visitor, visit| {
            let rows = self.opened.layout.visits[visit];
            let group = group(visit);
            if rows.events == 0 {
                return;
            }
            if group != NONE {
                let views = views.as_ref().map_or(0, |views| views[visit]);
                counts.count(group, (visitor, self.numbers.get(visitor)), Some(visit), rows.events, views);
            }
            if whole.is_wanted() {
                let group = if is_same { group } else { groups.of_visit(visit, rows.start as usize) };
                whole.count(visit, rows.events, group, counts);
            }
        })
    }

    fn rows(
        &self,
        group: impl Fn(usize, usize) -> u32,
        passes: impl Fn(usize) -> bool,
        groups: &mut Groups,
        counts: &mut Counts,
    ) -> Result<(), ScanError> {
        let names = if self.pass.wanted.views { Some(self.opened.names()?) } else { None };
        let whole = WholeVisits::new(self.pass, self.opened)?;
        // Reports follow the events of their visit, so that the first row is not always the first in time.
        let time = match self.opened.reports_are_events && whole.is_wanted() {
            true => Some(self.opened.numbers(Column::Time)?),
            false => None,
        };
        let wanted = whole.is_wanted();
        self.each_visit(|visitor, visit| {
            let who = (visitor, self.numbers.get(visitor));
            let mut first = None;
            let in_visit = (self.opened.layout.visits[visit].events > 0).then_some(visit);
            for row in self.opened.events(visit) {
                if !passes(row) {
                    continue;
                }
                if wanted {
                    first = match (first, &time) {
                        (Some(first), Some(time)) if time[row] < time[first] => Some(row),
                        (first, _) => first.or(Some(row)),
                    };
                }
                let group = group(visit, row);
                if group != NONE {
                    let view = names.as_ref().is_some_and(|(names, page_view)| names[row] == *page_view);
                    counts.count(group, who, in_visit, 1, u32::from(view));
                }
            }
            if let (Some(first), Some(visit)) = (first, in_visit) {
                whole.count(visit, self.opened.layout.visits[visit].events, groups.of_visit(visit, first), counts);
            }
        })
    }

    /// Counts the scroll depths and visible times of each visit and page.
    fn reports(&self, group: impl Fn(usize, usize) -> u32, rows: &Mask, counts: &mut Counts) -> Result<(), ScanError> {
        let page = self.opened.values(&Dimension::Field(Field::Page))?;
        let (depth, visible) = (self.opened.numbers(Column::Depth)?, self.opened.numbers(Column::Visible)?);
        let mut pages = Vec::new();
        self.each_visit(|_, visit| {
            let of = self.opened.layout.visits[visit];
            if of.events == 0 || of.reports == 0 {
                return;
            }
            let start = (of.start + of.events) as usize;
            for row in start..start + of.reports as usize {
                if rows.has(row) && depth[row] + visible[row] > 0 {
                    let group = group(visit, row);
                    if group != NONE {
                        pages.push((group, page[row], depth[row], visible[row]));
                    }
                }
            }
            pages.sort_unstable();
            for reports in pages.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
                let deepest = reports.iter().map(|report| report.2).max().unwrap_or(0);
                let times = reports.iter().map(|report| report.3).filter(|visible| *visible > 0);
                let Some(counted) = counts.of_visits(reports[0].0) else { continue };
                if deepest > 0 {
                    counted.depth_visits += 1;
                    counted.depth += u64::from(deepest - 1);
                }
                if times.clone().next().is_some() {
                    counted.visible_visits += 1;
                    counted.visible += times.map(|visible| u64::from(visible - 1)).sum::<u64>();
                }
            }
            pages.clear();
        })
    }
}

/// Bounces and durations.
struct WholeVisits {
    entries: Option<Mask>,
    views: Option<std::rc::Rc<Vec<u32>>>,
    durations: Option<std::rc::Rc<Vec<u32>>>,
}

impl WholeVisits {
    fn new(pass: &Pass<'_>, opened: &Opened<'_>) -> Result<Self, Damaged> {
        let Wanted { bounces, durations, .. } = pass.wanted;
        let entries = || mask::of_entries(opened, &pass.question.entry_filters);
        Ok(Self {
            entries: bounces.then(entries).transpose()?,
            views: bounces.then(|| opened.numbers(Column::Views)).transpose()?,
            durations: durations.then(|| opened.numbers(Column::Duration)).transpose()?,
        })
    }

    const fn is_wanted(&self) -> bool {
        self.views.is_some() || self.durations.is_some()
    }

    #[inline(always)]
    fn count(&self, visit: usize, events: u32, group: u32, counts: &mut Counts) {
        let Some(counted) = counts.of_visits(group) else { return };
        if let (Some(views), Some(entries)) = (&self.views, &self.entries)
            && entries.has(visit)
        {
            counted.bounce_visits += 1;
            counted.bounces += u64::from(views[visit] == 1 && events == 1);
        }
        if let Some(durations) = &self.durations {
            counted.duration_visits += 1;
            counted.duration += u64::from(durations[visit]);
        }
    }
}
