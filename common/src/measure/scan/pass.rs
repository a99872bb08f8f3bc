//! One pass over a day: what each group counts.

use std::rc::Rc;

use super::groups::{Groups, NONE, Of, Values};
use super::mask::{self, Mask};
use super::numbers::{Number, with_numbers};
use super::opened::{NEAR, Opened};
use super::totals::{Counted, Totals};
use super::visitors::DayNumbers;
use super::work::{ScanError, Work};
use crate::measure::columns::{Column, Damaged, Numbers, VisitRows};
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

/// A visitor, and its number if it is an explicit one.
type Who = (u32, Option<u32>);

impl Counts {
    /// Counts an event, or several of one visit. Reports of no visit have none.
    #[inline(always)]
    fn count(&mut self, group: u32, (visitor, number): Who, visit: Option<u32>, events: u32, views: u32) {
        let at = group as usize;
        if at >= self.visitors.len() {
            self.visitors.resize(at + 1, NO_VISITORS);
        }
        let visitors = &mut self.visitors[at];
        if visitors.last != visitor {
            visitors.last = visitor;
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
            && count.last_visit != visit
        {
            count.last_visit = visit;
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
        let mut counts = Counts {
            visitors: vec![NO_VISITORS; groups.len()],
            events: Vec::new(),
            count_events: self.wanted.events,
            visits: Vec::new(),
            explicit: Vec::new(),
        };
        if *visits == Mask::All && *rows == Mask::All {
            numbers.find_all();
        }
        let loop_ = Loop { pass: self, opened, numbers, work, visits };
        match (&of, rows) {
            (Of::Same, Mask::All) if !opened.reports_are_events => loop_.visits(|_| 0, &mut groups, &mut counts)?,
            (Of::Visits(of), Mask::All) if !opened.reports_are_events => {
                with_numbers!(&**of, |of| loop_.visits(|visit| of[visit].value(), &mut groups, &mut counts))?;
            }
            (Of::Same, rows) => loop_.rows(|_, _| 0, rows, &mut groups, &mut counts)?,
            (Of::Visits(of), rows) => loop_.rows(|visit, _| of.get(visit), rows, &mut groups, &mut counts)?,
            (Of::Rows(of), Mask::All)
                if *visits == Mask::All && self.wanted.only_visitors() && opened.is_in_order() =>
            {
                with_numbers!(&**of, |of| loop_.all_rows(of, &mut counts))?;
            }
            (Of::Rows(of), rows) => {
                with_numbers!(&**of, |of| loop_.rows(|_, row| of[row].value(), rows, &mut groups, &mut counts))?;
            }
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

struct Loop<'a, 'd> {
    pass: &'a Pass<'a>,
    opened: &'a Opened<'d>,
    numbers: &'a DayNumbers<'d>,
    work: &'a Work<'a>,
    visits: &'a Mask,
}

/// So many rows are marked together; most visits have fewer.
const MARKED: usize = 8;
/// The first row of a visitor, and a row that is not counted.
const NEW: u8 = 1;
const PASSED_OVER: u8 = 2;

/// The places from `start` on that pass, at the beginning of `places`. It takes no branches, which would often
/// be mispredicted.
fn chosen<'a>(start: usize, passes: &[bool], places: &'a mut Vec<u32>) -> &'a [u32] {
    let mut count = 0;
    if places.len() < passes.len() {
        places.resize(passes.len(), 0);
    }
    for (at, passes) in (start as u32..).zip(passes) {
        places[count] = at;
        count += usize::from(*passes);
    }
    &places[..count]
}

impl Loop<'_, '_> {
    /// Calls `each` for every visit that passes.
    #[inline(always)]
    fn each_visit(&self, each: impl FnMut(usize, &VisitRows)) -> Result<(), ScanError> {
        self.each_visit_after(|_, _| 0, each)
    }

    /// The same after reading something of many visits that are far from each other in memory: what each
    /// needs is then on its way together.
    #[inline(always)]
    fn each_visit_after(
        &self,
        read: impl Fn(usize, &VisitRows) -> u32,
        mut each: impl FnMut(usize, &VisitRows),
    ) -> Result<(), ScanError> {
        if *self.visits == Mask::None {
            return Ok(());
        }
        let (all, mut buffer) = (self.opened.visits(), self.opened.buffer());
        let mut copied = [VisitRows::default(); NEAR];
        for (start, visits) in (0..).step_by(Work::EVERY).zip(all.chunks(Work::EVERY)) {
            self.work.check()?;
            let places = match self.visits {
                Mask::Some(passes) => Some(chosen(start, &passes[start..start + visits.len()], &mut buffer)),
                _ => None,
            };
            for from in (0..places.map_or(visits.len(), <[_]>::len)).step_by(NEAR) {
                let (near, places) = match places {
                    None => (&visits[from..visits.len().min(from + NEAR)], &[][..]),
                    Some(places) => {
                        let places = &places[from..places.len().min(from + NEAR)];
                        let near = &mut copied[..places.len()];
                        near.iter_mut().zip(places).for_each(|(near, at)| *near = all[*at as usize]);
                        let sum = |sum: u32, (near, at): (&VisitRows, &u32)| sum ^ read(*at as usize, near);
                        std::hint::black_box(near.iter().zip(places).fold(0, sum));
                        (&*near, places)
                    }
                };
                // One call, so that it is compiled in place.
                for (number, rows) in near.iter().enumerate() {
                    each(places.get(number).map_or(start + from + number, |at| *at as usize), rows);
                }
            }
        }
        self.opened.give_back(buffer);
        Ok(())
    }

    /// Counts the visitors of all rows of a day whose visits lie in order. Visits are short, so that a loop
    /// over the rows of each would cost more than its rows: first it is marked where a visitor begins, then
    /// rows are counted without looking where a visit ends.
    fn all_rows<N: Number>(&self, groups: &[N], counts: &mut Counts) -> Result<(), ScanError> {
        let mut marks = vec![0; groups.len() + MARKED];
        let (mut counted_from, mut next, mut before) = (0, 0, None);
        self.each_visit(|_, visit| {
            let end = (visit.start + visit.events) as usize;
            if let Some(number) = self.numbers.get(visit.visitor) {
                for group in &groups[self.opened.events(visit)] {
                    if group.value() != NONE {
                        counts.count(group.value(), (visit.visitor, Some(number)), None, 0, 0);
                    }
                }
                counted_from = end + visit.reports as usize;
                next = visit.visitor + 1;
                return;
            }
            // Writing a fixed number of places takes no branches. Those beyond the visit's rows are written
            // again by the visits after it.
            let mut first = [0; MARKED];
            first[0] = if before == Some(visit.visitor) { 0 } else { NEW };
            before = Some(visit.visitor);
            let of_reports = if self.opened.reports_are_events { 0 } else { PASSED_OVER };
            let mut after = [of_reports; MARKED];
            if visit.events == 0 {
                after[0] |= first[0];
            }
            marks[visit.start as usize..][..MARKED].copy_from_slice(&first);
            if visit.events as usize > MARKED {
                marks[visit.start as usize + MARKED..end].fill(0);
            }
            marks[end..][..MARKED].copy_from_slice(&after);
            if visit.reports as usize > MARKED {
                marks[end + MARKED..end + visit.reports as usize].fill(of_reports);
            }
        })?;
        // What is not counted is counted there.
        let nowhere = counts.visitors.len();
        counts.visitors.push(NO_VISITORS);
        let (visitors, mut visitor) = (&mut counts.visitors[..], next);
        for (group, mark) in groups.iter().zip(&marks).skip(counted_from) {
            visitor += u32::from(mark & NEW);
            let group = if mark & PASSED_OVER == 0 { (group.value() as usize).min(nowhere) } else { nowhere };
            let visitors = &mut visitors[group];
            visitors.count += u32::from(visitors.last != visitor);
            visitors.last = visitor;
        }
        counts.visitors.pop();
        Ok(())
    }

    /// All events of a visit belong to one group: rows are not read.
    fn visits(
        &self,
        group: impl Fn(usize) -> u32,
        groups: &mut Groups<'_>,
        counts: &mut Counts,
    ) -> Result<(), ScanError> {
        let views = if self.pass.wanted.views { Some(self.opened.numbers(Column::Views)?) } else { None };
        let (whole, is_same) = (WholeVisits::new(self.pass, self.opened)?, groups.are_of_visits());
        self.each_visit(|at, visit| {
            let group = group(at);
            if visit.events == 0 {
                return;
            }
            if group != NONE {
                let views = views.as_ref().map_or(0, |views| views.get(at));
                let who = (visit.visitor, self.numbers.get(visit.visitor));
                counts.count(group, who, Some(at as u32), visit.events, views);
            }
            if whole.is_wanted() {
                let group = if is_same { group } else { groups.of_visit(at, visit.start as usize) };
                whole.count(at, visit.events, group, counts);
            }
        })
    }

    fn rows(
        &self,
        group: impl Fn(usize, usize) -> u32,
        rows: &Mask,
        groups: &mut Groups<'_>,
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
        let read = |at: usize, visit: &VisitRows| group(at, (visit.start as usize).min(self.opened.rows() - 1));
        self.each_visit_after(read, |at, visit| {
            let mut who = None;
            let mut first = None;
            let in_visit = (visit.events > 0).then_some(at as u32);
            for row in self.opened.events(visit) {
                if !rows.has(row) {
                    continue;
                }
                if wanted {
                    first = match (first, &time) {
                        (Some(first), Some(time)) if time.get(row) < time.get(first) => Some(row),
                        (first, _) => first.or(Some(row)),
                    };
                }
                let group = group(at, row);
                if group != NONE {
                    let view = names.as_ref().is_some_and(|(names, page_view)| names.get(row) == *page_view);
                    let who = *who.get_or_insert_with(|| (visit.visitor, self.numbers.get(visit.visitor)));
                    counts.count(group, who, in_visit, 1, u32::from(view));
                }
            }
            if let Some(first) = first.filter(|_| in_visit.is_some()) {
                whole.count(at, visit.events, groups.of_visit(at, first), counts);
            }
        })
    }

    /// Counts the scroll depths and visible times of each visit and page.
    fn reports(&self, group: impl Fn(usize, usize) -> u32, rows: &Mask, counts: &mut Counts) -> Result<(), ScanError> {
        let page = self.opened.values(&Dimension::Field(Field::Page))?;
        let (depth, visible) = (self.opened.numbers(Column::Depth)?, self.opened.numbers(Column::Visible)?);
        let mut pages = Vec::new();
        self.each_visit(|visit, of| {
            if of.events == 0 || of.reports == 0 {
                return;
            }
            let start = (of.start + of.events) as usize;
            for row in start..start + of.reports as usize {
                if rows.has(row) && depth.get(row) + visible.get(row) > 0 {
                    let group = group(visit, row);
                    if group != NONE {
                        pages.push((group, page.get(row), depth.get(row), visible.get(row)));
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
struct WholeVisits<'a> {
    entries: Option<Mask>,
    views: Option<Rc<Numbers<'a>>>,
    durations: Option<Rc<Numbers<'a>>>,
}

impl<'a> WholeVisits<'a> {
    fn new(pass: &Pass<'_>, opened: &Opened<'a>) -> Result<Self, Damaged> {
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
            counted.bounces += u64::from((views.get(visit) == 1) & (events == 1));
        }
        if let Some(durations) = &self.durations {
            counted.duration_visits += 1;
            counted.duration += u64::from(durations.get(visit));
        }
    }
}
