//! What the groups of one day count.

use std::ops::Range;

use super::groups::NONE;
use super::totals::Counted;
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

/// What the groups count on one day.
pub(super) struct Counts {
    pub(super) visitors: Vec<Visitors>,
    /// Empty unless it is wanted.
    pub(super) events: Vec<Events>,
    count_events: bool,
    /// Of whole visits, by group.
    pub(super) visits: Vec<Counted>,
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
        Self { visitors, events: Vec::new(), count_events, visits: Vec::new(), explicit: Vec::new() }
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
            if let Some(visit) = visit
                && count.last_visit != visit
            {
                count.last_visit = visit;
                count.visits += 1;
            }
            count.events += 1;
            count.views += u32::from(is_view);
        }
    }

    /// What a group counts of events, if that is wanted.
    #[inline(always)]
    fn of_events(&mut self, group: u32) -> Option<&mut Events> {
        if !self.count_events {
            return None;
        }
        let group = group as usize;
        if group >= self.events.len() {
            self.events.resize(self.visitors.len().max(group + 1), NO_EVENTS);
        }
        self.events.get_mut(group)
    }

    /// What a group counts of whole visits.
    pub(super) fn of_visits(&mut self, group: u32) -> Option<&mut Counted> {
        if group == NONE {
            return None;
        }
        let group = group as usize;
        if group >= self.visits.len() {
            self.visits.resize(group + 1, Counted::default());
        }
        self.visits.get_mut(group)
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
            run.whole.add_to(counted);
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
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Whole {
    pub(super) bounce_visits: u32,
    pub(super) bounces: u32,
    pub(super) duration_visits: u32,
    /// Milliseconds.
    pub(super) duration: u64,
}

impl Whole {
    pub(super) fn add_to(&self, counted: &mut Counted) {
        counted.bounce_visits += u64::from(self.bounce_visits);
        counted.bounces += u64::from(self.bounces);
        counted.duration_visits += u64::from(self.duration_visits);
        counted.duration += self.duration;
    }
}
