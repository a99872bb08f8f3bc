//! What a stretch of a site's events changes in Redis: their net effect, as `apply.lua` reads it.

use std::collections::BTreeMap;

use foldhash::fast::RandomState;
use indexmap::{IndexMap, IndexSet};
use redis::Cmd;
use uuid::Uuid;

use super::keys;
use super::script::{Scripts, call};
use super::sites::Mark;
use crate::event_type::EventType;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::Committed;
use crate::tally;
use crate::time::{Day, HOUR, Timestamp};
use crate::visitor::VisitorId;

/// The changes of consecutive events of one site.
#[derive(Debug, Default)]
pub(super) struct Changes {
    days: BTreeMap<Day, DayChange>,
    /// When visitors were last seen.
    seen: IndexMap<VisitorId, i64, RandomState>,
    /// For each event its day, and its visitor's place there, if that is the first such one.
    firsts: Vec<Option<(Day, usize)>>,
    /// The last event and its position.
    last: Option<(u64, Uuid)>,
}

/// What is added to a day and to the week and month it lies in.
#[derive(Debug, Default)]
pub(super) struct DayChange {
    /// Events, page views, letters, of these motivation, anti-motivation: as the keys are.
    pub(super) counters: [u64; 5],
    pub(super) visitors: IndexSet<VisitorId, RandomState>,
    /// In the order in which they came.
    pub(super) themes: IndexMap<String, u64, RandomState>,
}

impl Changes {
    /// Of these events, in order of position. Who was last seen more than an hour before
    /// `now` is nobody to remember as current.
    pub(super) fn of(events: &[Committed], now: Timestamp) -> Self {
        let last = events.last().map(|last| (last.position.0, last.event.id));
        let mut changes = Self { firsts: Vec::with_capacity(events.len()), last, ..Self::default() };
        for Committed { event, .. } in events {
            let day = event.created_at.day();
            let change = changes.days.entry(day).or_default();
            let letter = tally::letter_type(event);
            let counted = [
                true,
                event.event_type == EventType::PageView,
                event.event_type == EventType::LetterGenerate,
                letter == Some("motivation"),
                letter == Some("anti_motivation"),
            ];
            change.counters.iter_mut().zip(counted).for_each(|(n, counted)| *n += u64::from(counted));
            if let Some(theme) = tally::theme(event) {
                *change.themes.entry(theme).or_default() += 1;
            }
            let (place, first) = change.visitors.insert_full(event.visitor);
            changes.firsts.push(first.then_some((day, place)));
            if event.created_at > now.plus(-HOUR) {
                let seen = changes.seen.entry(event.visitor).or_default();
                *seen = (*seen).max(event.created_at.millis());
            }
        }
        changes
    }

    /// By day.
    pub(super) fn days(&self) -> &BTreeMap<Day, DayChange> {
        &self.days
    }

    /// For each event, where its visitor stands if the event is the first of visitor and day.
    pub(super) fn firsts(&self) -> &[Option<(Day, usize)>] {
        &self.firsts
    }

    /// The call of `apply.lua` that makes these changes.
    pub(super) fn command(&self, scripts: &Scripts, step: &Step<'_>) -> Cmd {
        let [top, since] = keys::themes_top(step.site);
        let mut names = vec![keys::applied(step.site), keys::visitors(step.site), top, since];
        let lives: Vec<[u64; 3]> = self
            .days
            .keys()
            .map(|day| {
                Period::ALL.map(|period| {
                    let key = PeriodKey::of(period, *day);
                    let seconds = keys::seconds_left(key, step.now);
                    if seconds > 0 {
                        names.extend(keys::of_period(step.site, key));
                    }
                    seconds
                })
            })
            .collect();
        let mut command = call(&scripts.apply, &names);
        let last = self.last.filter(|(position, _)| *position == step.to).map(|(_, id)| id);
        command.arg(step.store).arg(step.from).arg(Mark::place(last, step.to));
        command.arg(keys::channel(step.site)).arg(&step.message);
        match step.forget {
            Some(before) => command.arg(before.millis()),
            None => command.arg(""),
        };
        command.arg(self.seen.len());
        for (visitor, at) in &self.seen {
            command.arg(*at).arg(visitor.as_bytes());
        }
        for ((day, change), life) in self.days.iter().zip(lives) {
            command.arg(day.number()).arg(&life).arg(&change.counters).arg(change.visitors.len());
            for visitor in &change.visitors {
                command.arg(visitor.as_bytes());
            }
            command.arg(change.themes.len());
            for (theme, n) in &change.themes {
                command.arg(theme).arg(*n);
            }
        }
        command
    }
}

/// Whose changes they are, and which.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) site: &'a Site,
    pub(super) store: &'a str,
    pub(super) from: u64,
    pub(super) to: u64,
    /// What the feed is told; nothing when empty.
    pub(super) message: Vec<u8>,
    pub(super) now: Timestamp,
    /// Visitors last seen before this are forgotten on the way.
    pub(super) forget: Option<Timestamp>,
}
