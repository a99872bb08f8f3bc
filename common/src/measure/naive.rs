//! The semantics of questions, written down once more as plainly as possible, to compare with: it shares
//! with the scan what is read of one event and how a leaf tests a value, and nothing else.

#![allow(clippy::unwrap_used, reason = "for tests: a panic is a finding")]

use std::collections::{BTreeMap, BTreeSet, HashMap};

#[cfg(test)]
use super::question::funnel::{Funnel, StepOrder, Within};
use super::question::{Dimension, Field, Filter, Goals, Metric, Number, Question, ResultRow, TimeUnit};
use super::record::{ARRIVAL_FIELDS, CLIENT_FIELDS, Record, arrival_values, client_values, is_report};
use crate::event::Event;
use crate::event_type::EventType;
use crate::time::Day;

/// A visitor: explicit ones are the same on all days, cookieless ones new every day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Explicit([u8; 16]),
    Cookieless([u8; 16], Day),
}

/// An event and what is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) event: Event,
    pub(crate) who: Who,
    pub(crate) is_report: bool,
    values: HashMap<Dimension, String>,
    depth: u32,
    visible: u32,
    /// The number of its visit.
    pub(crate) visit: Option<usize>,
}

/// A visit: the events that belong to it, in order, reports included.
#[derive(Debug, Default)]
pub(crate) struct Visit {
    pub(crate) members: Vec<usize>,
}

#[derive(Debug)]
pub(crate) struct Naive {
    pub(crate) seen: Vec<Seen>,
    pub(crate) visits: Vec<Visit>,
}

impl Naive {
    pub(crate) fn new(events: &[Event]) -> Self {
        let explicit: BTreeSet<([u8; 16], Day)> = events
            .iter()
            .filter(|event| event.facts.client.fields().explicit)
            .map(|event| (*event.visitor.as_bytes(), event.created_at.day()))
            .collect();
        let mut sorted = events.to_vec();
        sorted.sort_by_key(|event| (event.visitor, event.created_at, is_report(&event.event_type), event.id));
        let mut naive = Self { seen: Vec::new(), visits: Vec::new() };
        for event in sorted {
            let (id, day) = (*event.visitor.as_bytes(), event.created_at.day());
            let who = if explicit.contains(&(id, day)) { Who::Explicit(id) } else { Who::Cookieless(id, day) };
            naive.see(event, who);
        }
        naive
    }

    /// Events come in the order of visitor and time, at equal times reports last, then by id.
    fn see(&mut self, event: Event, who: Who) {
        let (number, is_report) = (self.seen.len(), is_report(&event.event_type));
        let before =
            |seen: &&Seen| seen.event.visitor == event.visitor && seen.event.created_at.day() == event.created_at.day();
        let latest = self.seen.iter().rev().find(|seen| before(seen) && !seen.is_report).and_then(|seen| seen.visit);
        // The visit lives as long as no 30 minutes pass between what belongs to it.
        let alive = latest.is_some_and(|visit| {
            let times = self.visits[visit].members.iter().map(|member| self.seen[*member].event.created_at.millis());
            let mut last = None;
            for time in times {
                match last {
                    Some(before) if time - before >= 1_800_000 => {}
                    _ => last = Some(time),
                }
            }
            event.created_at.millis() - last.unwrap() < 1_800_000
        });
        let visit = match latest {
            Some(latest) if is_report || alive => Some(latest),
            _ if is_report => None,
            _ => {
                self.visits.push(Visit::default());
                Some(self.visits.len() - 1)
            }
        };
        if let Some(visit) = visit {
            self.visits[visit].members.push(number);
        }
        let record = Record::of(&event);
        let mut values: HashMap<Dimension, String> = HashMap::from([
            (Dimension::Field(Field::EventName), event.event_type.name().to_owned()),
            (Dimension::Field(Field::Page), record.page.to_string()),
            (Dimension::Field(Field::Hostname), record.hostname.to_string()),
            (Dimension::Field(Field::Theme), record.theme.unwrap_or_default()),
            (Dimension::Field(Field::LetterType), record.letter_type.unwrap_or_default().to_owned()),
            (Dimension::Field(Field::Element), record.element.unwrap_or_default()),
        ]);
        let (arrival, client) = (event.facts.arrival.fields(), event.facts.client.fields());
        let facts = ARRIVAL_FIELDS.into_iter().zip(arrival_values(&arrival));
        for (field, value) in facts.chain(CLIENT_FIELDS.into_iter().zip(client_values(&client))) {
            values.insert(Dimension::Field(field), value.to_owned());
        }
        values.extend(record.properties.into_iter().map(|(name, value)| (Dimension::Property(name.into()), value)));
        let (depth, visible) = (record.depth, record.visible);
        self.seen.push(Seen { event, who, is_report, values, depth, visible, visit });
    }

    fn events_of(&self, visit: usize) -> Vec<&Seen> {
        self.visits[visit].members.iter().map(|member| &self.seen[*member]).filter(|seen| !seen.is_report).collect()
    }

    fn views_of(&self, visit: usize) -> Vec<&Seen> {
        self.events_of(visit).into_iter().filter(|seen| seen.event.event_type == EventType::PageView).collect()
    }

    /// The value of any dimension but goals and times.
    pub(crate) fn value(&self, seen: &Seen, dimension: &Dimension) -> String {
        use Field::{EntryPage, EntryPageHostname, ExitPage, ExitPageHostname, Hostname, Page};
        let own = |seen: &Seen, dimension: &Dimension| seen.values.get(dimension).cloned().unwrap_or_default();
        let Dimension::Field(field) = dimension else { return own(seen, dimension) };
        if matches!(field, Field::EventName | Page | Hostname | Field::Theme | Field::LetterType | Field::Element) {
            return own(seen, dimension);
        }
        let Some(visit) = seen.visit else { return field.unknown().to_owned() };
        let views = self.views_of(visit);
        let of = |view: Option<&&Seen>, field| view.map(|view| own(view, &Dimension::Field(field))).unwrap_or_default();
        match field {
            EntryPage => of(views.first(), Page),
            ExitPage => of(views.last(), Page),
            EntryPageHostname => of(views.first(), Hostname),
            ExitPageHostname => of(views.last(), Hostname),
            _ => own(self.events_of(visit)[0], dimension),
        }
    }

    pub(crate) fn passes(&self, seen: &Seen, filter: &Filter, reports: bool) -> bool {
        match filter {
            Filter::And(filters) => filters.iter().all(|filter| self.passes(seen, filter, reports)),
            Filter::Or(filters) => filters.iter().any(|filter| self.passes(seen, filter, reports)),
            Filter::Not(filter) => !self.passes(seen, filter, reports),
            Filter::Leaf(leaf) => leaf.passes(&self.value(seen, &leaf.dimension)),
            Filter::HasDone(filter) => seen.visit.is_some_and(|visit| {
                let members = self.visits[visit].members.iter().map(|member| &self.seen[*member]);
                members.filter(|seen| reports || !seen.is_report).any(|seen| self.passes(seen, filter, reports))
            }),
        }
    }

    /// The rows to which an event belongs: none, one or several, as it reaches goals.
    fn keys(&self, question: &Question, seen: &Seen, dimensions: &[Dimension]) -> Vec<Vec<String>> {
        let mut keys = vec![Vec::new()];
        for dimension in dimensions {
            let values: Vec<String> = match dimension {
                Dimension::Goal => match &question.goals {
                    Goals::Configured(goals) => {
                        let reached =
                            goals.iter().filter(|goal| self.passes(seen, &goal.filter, question.reports_are_events));
                        reached.map(|goal| goal.name.clone()).collect()
                    }
                    Goals::CustomEvents => match &seen.event.event_type {
                        EventType::Custom(name) => vec![name.to_string()],
                        _ => Vec::new(),
                    },
                },
                Dimension::Time(unit) => vec![label(question, *unit, seen)],
                dimension if self.has_no_view(seen, dimension) => Vec::new(),
                dimension => vec![self.value(seen, dimension)],
            };
            keys = keys
                .iter()
                .flat_map(|key| values.iter().map(|value| [&key[..], std::slice::from_ref(value)].concat()))
                .collect();
        }
        keys
    }

    fn has_no_view(&self, seen: &Seen, dimension: &Dimension) -> bool {
        let of_views = [Field::EntryPage, Field::ExitPage, Field::EntryPageHostname, Field::ExitPageHostname]
            .map(Dimension::Field);
        of_views.contains(dimension) && seen.visit.is_none_or(|visit| self.views_of(visit).is_empty())
    }

    /// The row of a visit's bounce and duration.
    fn visit_key(&self, question: &Question, first: &Seen, visit: usize) -> Option<Vec<String>> {
        let views = self.views_of(visit);
        let entry = |field| Some(self.value(views.first()?, &Dimension::Field(field)));
        let dimensions = question.dimensions.iter().map(|dimension| match dimension {
            Dimension::Field(field @ (Field::Page | Field::Hostname)) => entry(*field),
            Dimension::Time(unit) => Some(label(question, *unit, first)),
            Dimension::Field(field) if field.name().starts_with("visit:") => {
                (!self.has_no_view(first, dimension)).then(|| self.value(first, dimension))
            }
            _ => None,
        });
        dimensions.collect()
    }

    fn matching<'a>(&'a self, question: &Question, filters: &[Filter]) -> Vec<&'a Seen> {
        let reports = question.reports_are_events;
        let matches = |seen: &&Seen| {
            question.range.contains(seen.event.created_at)
                && filters.iter().all(|filter| self.passes(seen, filter, reports))
        };
        self.seen.iter().filter(matches).collect()
    }

    /// All rows, by their labels.
    pub(crate) fn answer(&self, question: &Question) -> Vec<ResultRow> {
        let counts = |seen: &&&Seen| question.reports_are_events || !seen.is_report;
        let all = self.matching(question, &question.filters);
        let matching: Vec<&Seen> = all.iter().filter(counts).copied().collect();
        let base: Vec<&Seen> =
            self.matching(question, &question.conversion_base).iter().filter(counts).copied().collect();
        let who = |events: &[&Seen]| events.iter().map(|seen| seen.who).collect::<BTreeSet<_>>().len() as u64;

        let mut rows: BTreeMap<Vec<String>, Vec<&Seen>> = BTreeMap::new();
        for seen in &matching {
            for key in self.keys(question, seen, &question.dimensions) {
                rows.entry(key).or_default().push(seen);
            }
        }
        if question.dimensions.is_empty() {
            rows.entry(Vec::new()).or_default();
        }

        // Bounces and durations of visits that have a matching event.
        let mut whole: BTreeMap<Vec<String>, Vec<usize>> = BTreeMap::new();
        let visits: BTreeSet<usize> = matching.iter().filter_map(|seen| seen.visit).collect();
        for visit in visits {
            // Of reports and events at the same time, events are first.
            let of_visit = matching.iter().filter(|seen| seen.visit == Some(visit));
            let first = of_visit.min_by_key(|seen| (seen.event.created_at, seen.is_report, seen.event.id)).unwrap();
            if let Some(key) = self.visit_key(question, first, visit) {
                whole.entry(key).or_default().push(visit);
            }
        }

        let mut answer = Vec::new();
        for (key, events) in &rows {
            let visits: BTreeSet<usize> = events.iter().filter_map(|seen| seen.visit).collect();
            let views = events.iter().filter(|seen| seen.event.event_type == EventType::PageView).count() as u64;
            let whole = whole.get(key).cloned().unwrap_or_default();
            let reported = self.reported(question, &all, key);
            let group = self.group_base(question, &base, key);
            let metrics = question.metrics.iter().map(|metric| {
                let percent = |of: u64, base: u64| Number::ratio(i128::from(of) * 100, base, metric.decimals());
                let mean = |values: &[u64], unit: u64| {
                    Number::ratio(values.iter().sum::<u64>().into(), values.len() as u64 * unit, 0)
                };
                match metric {
                    Metric::Visitors => Some(Number::count(who(events))),
                    Metric::Visits => Some(Number::count(visits.len() as u64)),
                    Metric::Pageviews => Some(Number::count(views)),
                    Metric::Events => Some(Number::count(events.len() as u64)),
                    Metric::ViewsPerVisit => Number::ratio(views.into(), visits.len() as u64, 2),
                    Metric::BounceRate => {
                        let entered = |visit: &&usize| {
                            let entry = self
                                .views_of(**visit)
                                .first()
                                .map(|view| self.value(view, &page()))
                                .unwrap_or_default();
                            question.entry_filters.iter().all(|filter| page_passes(filter, &entry))
                        };
                        let counted: Vec<_> = whole.iter().filter(entered).collect();
                        let bounced =
                            |visit: &&&usize| self.events_of(***visit).len() == 1 && self.views_of(***visit).len() == 1;
                        percent(counted.iter().filter(bounced).count() as u64, counted.len() as u64)
                    }
                    Metric::VisitDuration => {
                        let duration = |visit: &usize| {
                            let events = self.events_of(*visit);
                            let at = |seen: Option<&&Seen>| seen.unwrap().event.created_at.millis();
                            (at(events.last()) - at(events.first())) as u64
                        };
                        mean(&whole.iter().map(duration).collect::<Vec<_>>(), 1_000)
                    }
                    Metric::ScrollDepth => {
                        let depths = reported.values().filter_map(|reports| {
                            reports.iter().filter(|(depth, _)| *depth > 0).map(|(depth, _)| u64::from(depth - 1)).max()
                        });
                        mean(&depths.collect::<Vec<_>>(), 1)
                    }
                    Metric::TimeOnPage => {
                        let times = reported.values().filter_map(|reports| {
                            let times: Vec<u64> = reports
                                .iter()
                                .filter(|(_, time)| *time > 0)
                                .map(|(_, time)| u64::from(time - 1))
                                .collect();
                            (!times.is_empty()).then(|| times.iter().sum())
                        });
                        mean(&times.collect::<Vec<_>>(), 1_000)
                    }
                    Metric::Percentage => percent(who(events), who(&matching)),
                    Metric::ConversionRate => percent(who(events), who(&base)),
                    Metric::GroupConversionRate => percent(who(events), group),
                }
            });
            answer.push(ResultRow { dimensions: key.clone(), metrics: metrics.collect() });
        }
        answer
    }

    /// The visitors who reach each step, and the milliseconds since the step before, ascending, for each
    /// value of the dimension.
    #[cfg(test)]
    pub(crate) fn funnel(&self, funnel: &Funnel) -> BTreeMap<String, Vec<(u64, Vec<i64>)>> {
        let reports = funnel.reports_are_events;
        let counts = |seen: &&Seen| funnel.range.contains(seen.event.created_at) && (reports || !seen.is_report);
        // Visits with an event that passes the filters; of each visitor the events that may be steps.
        let takes_part = |seen: &&Seen| funnel.filters.iter().all(|filter| self.passes(seen, filter, reports));
        let visits: BTreeSet<usize> =
            self.seen.iter().filter(counts).filter(takes_part).filter_map(|seen| seen.visit).collect();
        let mut events: BTreeMap<(Who, Option<usize>), Vec<&Seen>> = BTreeMap::new();
        for seen in
            self.seen.iter().filter(counts).filter(|seen| seen.visit.is_some_and(|visit| visits.contains(&visit)))
        {
            let alone = if funnel.within == Within::Visit { seen.visit } else { None };
            events.entry((seen.who, alone)).or_default().push(seen);
        }
        let mut best: BTreeMap<Who, Vec<&Seen>> = BTreeMap::new();
        for ((who, _), mut events) in events {
            // A late report belongs to a visit that has ended, and comes before an event that starts the next.
            events.sort_by_key(|seen| (seen.event.created_at, seen.visit, seen.is_report, seen.event.id));
            let attempt = self.longest(funnel, &events, &[]).into_iter().map(|at| events[at]).collect::<Vec<_>>();
            let before = best.entry(who).or_default();
            if attempt.len() > before.len()
                || attempt.len() == before.len()
                    && !attempt.is_empty()
                    && attempt[0].event.created_at < before[0].event.created_at
            {
                *before = attempt;
            }
        }
        let empty = || vec![(0, Vec::new()); funnel.steps.len()];
        let mut rows = BTreeMap::new();
        if funnel.dimension.is_none() {
            rows.insert(String::new(), empty());
        }
        for attempt in best.values().filter(|attempt| !attempt.is_empty()) {
            let value = funnel.dimension.as_ref().map(|dimension| self.value(attempt[0], dimension));
            let row = rows.entry(value.unwrap_or_default()).or_insert_with(empty);
            for (step, seen) in attempt.iter().enumerate() {
                row[step].0 += 1;
                if step > 0 {
                    row[step].1.push(seen.event.created_at.millis() - attempt[step - 1].event.created_at.millis());
                    row[step].1.sort_unstable();
                }
            }
        }
        rows
    }

    /// The longest continuation of an attempt, of those the one whose events come first, by trying all.
    #[cfg(test)]
    fn longest(&self, funnel: &Funnel, events: &[&Seen], attempt: &[usize]) -> Vec<usize> {
        let mut best = attempt.to_vec();
        let Some(step) = funnel.steps.get(attempt.len()) else { return best };
        for at in attempt.last().map_or(0, |last| last + 1)..events.len() {
            let time = |at: usize| events[at].event.created_at.millis();
            let between = attempt.last().map_or(&events[..0], |last| &events[last + 1..at]);
            let passes_any =
                |seen: &&&Seen| funnel.steps.iter().any(|step| self.passes(seen, step, funnel.reports_are_events));
            let in_between = between.iter().filter(|seen| !seen.is_report || passes_any(seen)).count();
            let allowed = attempt.is_empty() || funnel.order == StepOrder::Sequential || in_between == 0;
            let in_time = match (attempt.first(), funnel.within) {
                (Some(first), Within::Seconds(seconds)) => time(at) - time(*first) <= i64::from(seconds) * 1_000,
                _ => true,
            };
            if allowed && in_time && self.passes(events[at], step, funnel.reports_are_events) {
                let found = self.longest(funnel, events, &[attempt, &[at]].concat());
                if found.len() > best.len() {
                    best = found;
                }
            }
        }
        best
    }

    /// What reports say of each visit and page of a row.
    fn reported(
        &self,
        question: &Question,
        all: &[&Seen],
        key: &Vec<String>,
    ) -> BTreeMap<(usize, String), Vec<(u32, u32)>> {
        let mut reported: BTreeMap<(usize, String), Vec<(u32, u32)>> = BTreeMap::new();
        for seen in all.iter().filter(|seen| seen.is_report) {
            let Some(visit) = seen.visit else { continue };
            if self.keys(question, seen, &question.dimensions).contains(key) {
                reported.entry((visit, self.value(seen, &page()))).or_default().push((seen.depth, seen.visible));
            }
        }
        reported
    }

    fn group_base(&self, question: &Question, base: &[&Seen], key: &[String]) -> u64 {
        let kept = |dimension: &Dimension| *dimension != Dimension::Goal;
        let dimensions: Vec<Dimension> =
            question.dimensions.iter().filter(|dimension| kept(dimension)).cloned().collect();
        let labels: Vec<String> = question
            .dimensions
            .iter()
            .zip(key)
            .filter(|(dimension, _)| kept(dimension))
            .map(|(_, label)| label.clone())
            .collect();
        let of_row = base.iter().filter(|seen| self.keys(question, seen, &dimensions).contains(&labels));
        of_row.map(|seen| seen.who).collect::<BTreeSet<_>>().len() as u64
    }
}

fn page() -> Dimension {
    Dimension::Field(Field::Page)
}

fn page_passes(filter: &Filter, value: &str) -> bool {
    match filter {
        Filter::And(filters) => filters.iter().all(|filter| page_passes(filter, value)),
        Filter::Or(filters) => filters.iter().any(|filter| page_passes(filter, value)),
        Filter::Not(filter) => !page_passes(filter, value),
        Filter::Leaf(leaf) => leaf.passes(value),
        Filter::HasDone(_) => true,
    }
}

fn label(question: &Question, unit: TimeUnit, seen: &Seen) -> String {
    let buckets = question.buckets.iter().find(|buckets| buckets.unit() == unit).unwrap();
    buckets.labels()[buckets.find(seen.event.created_at).unwrap().label as usize].clone()
}
