//! Loops over the visits and rows of a day.

use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;

use super::counts::{Counts, NO_EVENTS, NO_VISITORS, Run, Whole, with_events};
use super::groups::{Groups, NONE};
use super::mask::{self, Mask};
use super::numbers::{Number, with_numbers};
use super::opened::{NEAR, Opened};
use super::pass::Wanted;
use super::visitors::DayNumbers;
use super::work::{ScanError, Work};
use crate::measure::columns::{Column, Damaged, InOrder, Numbers, VisitRows, kind, kinds};
use crate::measure::question::{Dimension, Field, Filter};

/// The visits and rows of a day that are counted.
pub(super) struct Loop<'a, 'd> {
    pub(super) wanted: Wanted,
    /// Filters on entry pages, for bounces.
    pub(super) entry_filters: &'a [Filter],
    pub(super) opened: &'a Opened<'d>,
    pub(super) numbers: &'a DayNumbers<'d>,
    pub(super) work: &'a Work<'a>,
    pub(super) visits: &'a Mask,
}

/// The places from `start` on that pass, at the beginning of `places`. Eight of which none passes are passed
/// over together; of others it takes no branches, which would often be mispredicted.
fn chosen<'a>(start: usize, passes: &[bool], places: &'a mut Vec<u32>) -> &'a [u32] {
    let mut count = 0;
    if places.len() < passes.len() {
        places.resize(passes.len(), 0);
    }
    for (from, passes) in (start as u32..).step_by(8).zip(passes.chunks(8)) {
        if passes.first_chunk().is_some_and(|eight| mask::are_all(eight, false)) {
            continue;
        }
        for (at, passes) in (from..).zip(passes) {
            places[count] = at;
            count += usize::from(*passes);
        }
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

    /// Calls `each` for runs of visits that pass and lie together, several at a time.
    fn each_runs(&self, mut each: impl FnMut(&[Range<usize>])) -> Result<(), ScanError> {
        let (count, mut runs) = (self.opened.visits().len(), Vec::with_capacity(NEAR));
        for start in (0..count).step_by(Work::EVERY) {
            self.work.check()?;
            let end = count.min(start + Work::EVERY);
            let mut add = |run: Range<usize>| {
                runs.push(start + run.start..start + run.end);
                if runs.len() == NEAR {
                    each(&runs);
                    runs.clear();
                }
            };
            match self.visits {
                Mask::All => add(0..end - start),
                Mask::None => {}
                Mask::Some(passes) => mask::each_run(&passes[start..end], add),
            }
        }
        each(&runs);
        Ok(())
    }

    /// Whether [`Self::all_rows`] counts what is wanted: reports do not tell which visit they are of.
    pub(super) const fn counts_all_rows(&self) -> bool {
        self.wanted.only_visitors() || !self.opened.reports_are_events
    }

    /// Counts all rows of the visits that pass, if visits lie in order. They are short, so that a loop over the
    /// rows of each would cost more than its rows: of visits that lie together, rows are counted without looking
    /// where one ends.
    pub(super) fn all_rows<N: Number>(
        &self,
        of_rows: &[N],
        order: &InOrder,
        groups: &mut Groups<'_>,
        counts: &mut Counts,
    ) -> Result<(), ScanError> {
        // What is not counted is counted there.
        let nowhere = counts.visitors.len();
        counts.visitors.push(NO_VISITORS);
        if self.wanted.events {
            counts.events.resize(nowhere + 1, NO_EVENTS);
            self.runs_of_rows::<N, true>(of_rows, order, counts)?;
            counts.events.truncate(nowhere);
        } else {
            self.runs_of_rows::<N, false>(of_rows, order, counts)?;
        }
        counts.visitors.truncate(nowhere);
        self.whole_visits(&WholeVisits::new(self)?, groups, counts)
    }

    fn runs_of_rows<N: Number, const EVENTS: bool>(
        &self,
        groups: &[N],
        order: &InOrder,
        counts: &mut Counts,
    ) -> Result<(), ScanError> {
        let (all, views) = (self.opened.visits(), self.views()?);
        self.each_runs(|runs| {
            // Rows that are far from each other in memory are read first, so that they are on their way together.
            let read = |sum: u32, run: &Range<usize>| sum ^ groups[all[run.start].start as usize].value();
            std::hint::black_box(runs.iter().fold(0, read));
            for run in runs {
                let explicit = run.start..run.end.min(order.explicit);
                for (at, visit) in explicit.clone().zip(all.get(explicit).unwrap_or_default()) {
                    let who = (visit.visitor, self.numbers.get(visit.visitor));
                    for row in self.opened.events(visit) {
                        let group = groups[row].value();
                        if group != NONE && EVENTS {
                            counts.count(group, who, Some(at as u32), bits_from(&views, row) & 1 != 0);
                        } else if group != NONE {
                            counts.count_visitor(group, who);
                        }
                    }
                }
                let start = run.start.max(order.explicit);
                if let Some([first, .., last] | [first @ last]) = all.get(start..run.end) {
                    let end = (last.start + last.events + last.reports) as usize;
                    let rows = Rows { start: first.start as usize, end, visit: start, visitor: first.visitor };
                    rows.count::<N, EVENTS>(groups, order, &views, self.opened.reports_are_events, counts);
                }
            }
        })
    }

    /// A bit for each row that is a page view, 64 of them a word; empty if they are not wanted.
    fn views(&self) -> Result<Vec<u64>, Damaged> {
        if !self.wanted.views {
            return Ok(Vec::new());
        }
        let (names, page_view) = self.opened.names()?;
        let add = |bits: u64, name: u32| bits << 1 | u64::from(name == page_view);
        Ok(with_numbers!(&*names, |names| {
            let words = names.chunks(64).map(|names| names.iter().rev().fold(0, |bits, name| add(bits, name.value())));
            words.collect()
        }))
    }

    /// All events of a visit belong to one group: rows are not read. `run` tells where those end that have the
    /// group of the first of these places and lie together.
    pub(super) fn visits(
        &self,
        group: impl Fn(usize) -> u32,
        run: impl Fn(Range<usize>) -> usize,
        groups: &mut Groups<'_>,
        counts: &mut Counts,
    ) -> Result<(), ScanError> {
        let views = if self.wanted.views { Some(self.opened.numbers(Column::Views)?) } else { None };
        // A visit may belong to another group with its bounce and duration.
        let (whole, apart) = match WholeVisits::new(self)? {
            whole if whole.is_wanted() && !groups.are_of_visits() => (WholeVisits::default(), Some(whole)),
            whole => (whole, None),
        };
        let (all, order) = (self.opened.visits(), self.opened.order());
        let explicit = order.map_or(all.len(), |order| order.explicit);
        let kinds = order.map_or_else(|| Cow::Owned(kinds(all)), |order| Cow::Borrowed(&order.kinds[..]));
        self.each_runs(|runs| {
            // As in `all_rows`.
            let read = |sum: u32, run: &Range<usize>| sum ^ all[run.start].start ^ group(run.start);
            std::hint::black_box(runs.iter().fold(0, read));
            for places in runs {
                let mut at = places.start;
                while at < places.end {
                    // Visits of one group that lie together.
                    let of = group(at);
                    let most = if at < explicit { places.end.min(explicit) } else { places.end };
                    let end = run(at..most);
                    if of != NONE {
                        let mut own = counts.run(of);
                        if at < explicit {
                            self.count_explicit(&all[at..end], &mut own, &mut counts.explicit);
                        } else {
                            own.count(&kinds, at..end);
                        }
                        if self.wanted.events {
                            own.events = all[at..end].iter().map(|visit| visit.events).sum();
                        }
                        if let Some(views) = &views {
                            own.views = sum_of_visits(views, &kinds[at..end], at) as u32;
                        }
                        whole.count(&kinds[at..end], at, &mut own.whole);
                        counts.add(&own);
                    }
                    at = end;
                }
            }
        })?;
        self.whole_visits(&apart.unwrap_or_default(), groups, counts)
    }

    /// Counts visits of which all events pass in the groups to which they belong with their bounces and durations.
    fn whole_visits(
        &self,
        whole: &WholeVisits<'_>,
        groups: &mut Groups<'_>,
        counts: &mut Counts,
    ) -> Result<(), ScanError> {
        if !whole.is_wanted() {
            return Ok(());
        }
        self.each_visit(|at, visit| {
            if visit.events > 0
                && let Some(counted) = counts.of_visits(groups.of_visit(at, visit.start as usize))
            {
                counted.add(&whole.of(at, visit.events));
            }
        })
    }

    /// Counts visits of one group that lie together, and their visitors, who may have explicit ids.
    fn count_explicit(&self, visits: &[VisitRows], run: &mut Run, explicit: &mut Vec<(u32, u32)>) {
        for visit in visits.iter().filter(|visit| visit.events > 0) {
            if run.visitors.last != visit.visitor {
                run.visitors.last = visit.visitor;
                match self.numbers.get(visit.visitor) {
                    Some(number) => explicit.push((run.group, number)),
                    None => run.visitors.count += 1,
                }
            }
            run.visits += 1;
        }
    }

    pub(super) fn rows(
        &self,
        group: impl Fn(usize, usize) -> u32,
        rows: &Mask,
        groups: &mut Groups<'_>,
        counts: &mut Counts,
    ) -> Result<(), ScanError> {
        let names = if self.wanted.views { Some(self.opened.names()?) } else { None };
        let whole = WholeVisits::new(self)?;
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
                    counts.count(group, who, in_visit, view);
                }
            }
            if let Some(first) = first.filter(|_| in_visit.is_some())
                && let Some(counted) = counts.of_visits(groups.of_visit(at, first))
            {
                counted.add(&whole.of(at, visit.events));
            }
        })
    }

    /// Counts the scroll depths and visible times of each visit and page.
    pub(super) fn reports(
        &self,
        group: impl Fn(usize, usize) -> u32,
        rows: &Mask,
        counts: &mut Counts,
    ) -> Result<(), ScanError> {
        let page = self.opened.values(&Dimension::Field(Field::Page))?;
        let (depth, visible) = (self.opened.numbers(Column::Depth)?, self.opened.numbers(Column::Visible)?);
        let mut pages = Vec::new();
        self.each_visit(|visit, of| {
            if of.events == 0 || of.reports == 0 {
                return;
            }
            let start = (of.start + of.events) as usize;
            for row in start..start + of.reports as usize {
                if rows.has(row) && (depth.get(row) > 0 || visible.get(row) > 0) {
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
                let Some(counted) = counts.of_reports(reports[0].0) else { continue };
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

/// Rows of cookieless visitors that lie together.
#[derive(Debug, Clone, Copy)]
struct Rows {
    start: usize,
    end: usize,
    /// The visit that begins at the first of them, and its visitor.
    visit: usize,
    visitor: u32,
}

impl Rows {
    /// Counts them, in the last group what is in none. It takes no branches, which would often be mispredicted.
    fn count<N: Number, const EVENTS: bool>(
        self,
        groups: &[N],
        order: &InOrder,
        views: &[u64],
        reports_are_events: bool,
        counts: &mut Counts,
    ) {
        let (visitors, events) = (&mut counts.visitors[..], &mut counts.events[..]);
        let nowhere = visitors.len() - 1;
        let is_first = bits_from(&order.visitors, self.start) & 1;
        let mut visitor = self.visitor.wrapping_sub(is_first as u32);
        let no_events = order.no_events(reports_are_events);
        let (mut visit, mut row) = ((self.visit as u32).wrapping_sub(1), self.start);
        while row < self.end {
            let rows = row..self.end.min((row | 63) + 1);
            let (mut firsts, mut begun) = (bits_from(&order.visitors, row), bits_from(&order.visits, row));
            let mut views = bits_from(views, row);
            let mut no_events = bits_from(no_events, row);
            row = rows.end;
            for group in &groups[rows] {
                visitor = visitor.wrapping_add(firsts as u32 & 1);
                let group = if no_events & 1 == 0 { (group.value() as usize).min(nowhere) } else { nowhere };
                let of_group = &mut visitors[group];
                of_group.count += u32::from(of_group.last != visitor);
                of_group.last = visitor;
                (firsts, no_events) = (firsts >> 1, no_events >> 1);
                if EVENTS {
                    visit = visit.wrapping_add(begun as u32 & 1);
                    events[group].count(visit, views & 1 != 0);
                    (begun, views) = (begun >> 1, views >> 1);
                }
            }
        }
    }
}

/// The bit of a row and those of the rows after it, as far as they are in one word; none of words that are not there.
#[inline(always)]
fn bits_from(words: &[u64], row: usize) -> u64 {
    words.get(row / 64).map_or(0, |word| word >> (row % 64))
}

/// Adds up a column of visits, from place `from` on, over those that have events.
fn sum_of_visits(column: &Numbers<'_>, kinds: &[u8], from: usize) -> u64 {
    let of = |number: u32, kind: u8| u64::from(if kind == 0 { 0 } else { number });
    with_numbers!(column, |numbers| {
        numbers[from..][..kinds.len()].iter().zip(kinds).map(|(number, kind)| of(number.value(), *kind)).sum()
    })
}

/// Bounces and durations.
#[derive(Default)]
struct WholeVisits<'a> {
    entries: Option<Mask>,
    views: Option<Rc<Numbers<'a>>>,
    durations: Option<Rc<Numbers<'a>>>,
}

impl<'a> WholeVisits<'a> {
    fn new(of: &Loop<'_, 'a>) -> Result<Self, Damaged> {
        let (Wanted { bounces, durations, .. }, opened) = (of.wanted, of.opened);
        let entries = || mask::of_entries(opened, of.entry_filters);
        Ok(Self {
            entries: bounces.then(entries).transpose()?,
            views: bounces.then(|| opened.numbers(Column::Views)).transpose()?,
            durations: durations.then(|| opened.numbers(Column::Duration)).transpose()?,
        })
    }

    const fn is_wanted(&self) -> bool {
        self.views.is_some() || self.durations.is_some()
    }

    /// What one visit counts.
    #[inline(always)]
    fn of(&self, visit: usize, events: u32) -> Whole {
        let mut whole = Whole::default();
        if let (Some(views), Some(entries)) = (&self.views, &self.entries)
            && entries.has(visit)
        {
            whole.bounce_visits = 1;
            whole.bounces = u32::from((views.get(visit) == 1) & (events == 1));
        }
        if let Some(durations) = &self.durations {
            whole.duration_visits = 1;
            whole.duration = durations.get(visit).into();
        }
        whole
    }

    /// Counts visits of these [`kinds`] that lie together, from place `from` on: those of them that have events.
    /// Its loops take no branches, so that many visits are looked at together.
    fn count(&self, kinds: &[u8], from: usize, whole: &mut Whole) {
        if let (Some(views), Some(entries)) = (&self.views, &self.entries) {
            let own = from..from + kinds.len();
            let some = |(kind, at): (&u8, usize)| if entries.has(at) { *kind } else { 0 };
            let kinds: Cow<'_, [u8]> = match entries {
                Mask::All => kinds.into(),
                _ => kinds.iter().zip(own.clone()).map(some).collect(),
            };
            let is_bounce = |views: u32, kind: u8| u32::from((views == 1) & (kind & kind::ONE_EVENT != 0));
            whole.bounce_visits += with_events(&kinds);
            whole.bounces += with_numbers!(&**views, |views| {
                views[own].iter().zip(&*kinds).map(|(views, kind)| is_bounce(views.value(), *kind)).sum::<u32>()
            });
        }
        if let Some(durations) = &self.durations {
            whole.duration_visits += with_events(kinds);
            whole.duration += sum_of_visits(durations, kinds, from);
        }
    }
}
