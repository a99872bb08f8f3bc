//! What the groups of one day count.

use std::ops::Range;

use super::groups::NONE;
use crate::measure::columns::kind;

/// The visitors of one group. It is small, so that the groups of a day fit into the processor's nearest
/// cache.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visitors {
    /// The visitor that was counted last: a visitor's visits lie together, so that no other is asked for.
    pub(super) last: u32,
    /// Cookieless ones.
    pub(super) count: u32,
}

pub(super) const NO_VISITORS: Visitors = Visitors { last: u32::MAX, count: 0 };

/// What else one group counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Events {
    last_visit: u32,
    pub(super) visits: u32,
    pub(super) events: u32,
    pub(super) views: u32,
}

pub(super) const NO_EVENTS: Events = Events { last_visit: u32::MAX, visits: 0, events: 0, views: 0 };

impl Events {
    /// Counts an event of a visit.
    #[inline(always)]
    pub(super) fn count(&mut self, visit: u32, is_view: bool) {
        self.visits += u32::from(self.last_visit != visit);
        self.last_visit = visit;
        self.events += 1;
        self.views += u32::from(is_view);
    }
}

/// What the groups count on one day.
pub(super) struct Counts {
    pub(super) visitors: Vec<Visitors>,
    /// Empty unless it is wanted.
    pub(super) events: Vec<Events>,
    count_events: bool,
    /// Of whole visits, by group. Empty unless it is wanted.
    pub(super) visits: Vec<Whole>,
    /// Of reports, by group. Empty unless it is wanted.
    pub(super) reports: Vec<Reports>,
    /// Explicit visitors of groups: (group, number), each once.
    pub(super) explicit: Vec<(u32, u32)>,
}

/// A visitor, and its number if it is an explicit one.
pub(super) type Who = (u32, Option<u32>);

impl Counts {
    /// So many groups without events.
    pub(super) fn new(groups: usize, count_events: bool) -> Self {
        // One more is counted by loops that need a place for what they do not count.
        let mut visitors = Vec::with_capacity(groups + 1);
        visitors.resize(groups, NO_VISITORS);
        let (events, visits, reports, explicit) = Default::default();
        Self { visitors, events, count_events, visits, reports, explicit }
    }

    /// Counts a visitor.
    #[inline(always)]
    pub(super) fn count_visitor(&mut self, group: u32, (visitor, number): Who) {
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
    }

    /// Counts an event and its visitor. Reports of no visit have none.
    #[inline(always)]
    pub(super) fn count(&mut self, group: u32, who: Who, visit: Option<u32>, is_view: bool) {
        self.count_visitor(group, who);
        if let Some(count) = self.of_events(group) {
            match visit {
                Some(visit) => count.count(visit, is_view),
                None => (count.events, count.views) = (count.events + 1, count.views + u32::from(is_view)),
            }
        }
    }

    /// What a group counts of events, if that is wanted.
    #[inline(always)]
    fn of_events(&mut self, group: u32) -> Option<&mut Events> {
        if !self.count_events {
            return None;
        }
        of_group(&mut self.events, group, self.visitors.len(), NO_EVENTS)
    }

    /// What a group counts of whole visits.
    pub(super) fn of_visits(&mut self, group: u32) -> Option<&mut Whole> {
        of_group(&mut self.visits, group, self.visitors.len(), Whole::default())
    }

    /// What a group counts of reports.
    pub(super) fn of_reports(&mut self, group: u32) -> Option<&mut Reports> {
        of_group(&mut self.reports, group, self.visitors.len(), Reports::default())
    }

    /// Adds what visits of one group count that lie together. It is not copied: the copy would read several numbers
    /// at a time that were written one by one just before, for which a processor has to wait.
    pub(super) fn add(&mut self, run: &Run) {
        if run.group == NONE || run.visits == 0 {
            return;
        }
        self.visitors[run.group as usize] = run.visitors;
        if let Some(count) = self.of_events(run.group) {
            count.visits += run.visits;
            count.events += run.events;
            count.views += run.views;
        }
        if (run.whole.bounce_visits > 0 || run.whole.duration_visits > 0)
            && let Some(counted) = self.of_visits(run.group)
        {
            counted.add(&run.whole);
        }
    }

    /// A run of visits of this group, without any yet.
    pub(super) fn run(&mut self, group: u32) -> Run {
        if group == NONE {
            return Run { group, ..Run::NONE };
        }
        let at = group as usize;
        if at >= self.visitors.len() {
            self.visitors.resize(at + 1, NO_VISITORS);
        }
        Run { group, visitors: self.visitors[at], ..Run::NONE }
    }
}

/// What visits of one group count that lie together. Counting them in one place is faster than finding their
/// group's for each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) group: u32,
    pub(super) visitors: Visitors,
    pub(super) visits: u32,
    pub(super) events: u32,
    pub(super) views: u32,
    pub(super) whole: Whole,
}

impl Run {
    pub(super) const NONE: Self = Self {
        group: NONE,
        visitors: NO_VISITORS,
        visits: 0,
        events: 0,
        views: 0,
        whole: Whole { bounce_visits: 0, bounces: 0, duration_visits: 0, duration: 0 },
    };

    /// Counts visits of this group that lie together, and their visitors, who have no explicit ids. It reads nothing
    /// but the [`kinds`](crate::measure::columns::kinds) of all visits: the place of its first visit stands for a
    /// visitor, which none with an explicit id has as a number, as their visits come first.
    pub(super) fn count(&mut self, all: &[u8], places: Range<usize>) {
        let (kinds, start) = (&all[places.clone()], places.start);
        let has_events = |kind: &u8| *kind != 0;
        let (Some(first), Some(last)) = (kinds.iter().position(has_events), kinds.iter().rposition(has_events)) else {
            return;
        };
        let visitor = |place: usize| {
            let first = all[..=place].iter().rposition(|kind| kind & kind::FIRST != 0);
            first.unwrap_or(place) as u32
        };
        // All of them but the first visitor have their first visit here.
        let is_continued = kinds[first] & kind::FIRST == 0 && visitor(start + first) != self.visitors.last;
        let begun: u32 = kinds.iter().map(|kind| u32::from(kind & kind::FIRST != 0)).sum();
        self.visitors.count += begun + u32::from(is_continued);
        self.visitors.last = visitor(start + last);
        self.visits += with_events(kinds);
    }
}

/// How many of these kinds of visits have events.
pub(super) fn with_events(kinds: &[u8]) -> u32 {
    kinds.iter().map(|kind| u32::from(*kind != 0)).sum()
}

/// What is counted of whole visits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) bounce_visits: u32,
    pub(super) bounces: u32,
    pub(super) duration_visits: u32,
    /// Milliseconds.
    pub(super) duration: u64,
}

impl Whole {
    #[inline(always)]
    pub(super) fn add(&mut self, other: &Self) {
        self.bounce_visits += other.bounce_visits;
        self.bounces += other.bounces;
        self.duration_visits += other.duration_visits;
        self.duration += other.duration;
    }
}

/// What is counted of the reports of visits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reports {
    pub(super) depth_visits: u32,
    pub(super) depth: u64,
    pub(super) visible_visits: u32,
    /// Milliseconds.
    pub(super) visible: u64,
}

/// The place of a group, which is made with those of all groups there are.
#[inline(always)]
fn of_group<T: Copy>(counted: &mut Vec<T>, group: u32, groups: usize, nothing: T) -> Option<&mut T> {
    if group == NONE {
        return None;
    }
    let group = group as usize;
    if group >= counted.len() {
        counted.resize(groups.max(group + 1), nothing);
    }
    counted.get_mut(group)
}
