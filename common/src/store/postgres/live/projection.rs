//! The projection of a site's figures in Redis: what its events change there, and whether it is
//! as far as PostgreSQL.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use indexmap::{IndexMap, IndexSet};
use redis::{Cmd, Value};

use super::keys;
use super::periods::Listed;
use super::script::{Scripts, call};
use super::watermark::last_text;
use crate::cv;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Committed, Totals};
use crate::time::{Day, HOUR, Timestamp};
use crate::visitor::VisitorId;

/// How a site's keys stand to its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum SyncState {
    /// They receive every event as it is committed.
    #[default]
    InSync,
    /// They lack events, which are read from PostgreSQL.
    Behind,
    /// They are missing, damaged or of other events: they are rebuilt.
    Lost,
}

/// All sites that are not in sync.
#[derive(Debug, Default)]
pub(super) struct SyncStates(Mutex<HashMap<Site, SyncState>>);

impl SyncStates {
    fn lock(&self) -> MutexGuard<'_, HashMap<Site, SyncState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of a site.
    pub(super) fn of(&self, site: &Site) -> SyncState {
        self.lock().get(site).copied().unwrap_or_default()
    }

    /// Notes that a site is not in sync; a worse state stays.
    pub(super) fn worsen(&self, site: &Site, state: SyncState) {
        let mut states = self.lock();
        let before = states.entry(site.clone()).or_default();
        *before = state.max(*before);
    }

    /// Notes that a site's state has improved.
    pub(super) fn improve(&self, site: &Site, state: SyncState) {
        let mut states = self.lock();
        if state == SyncState::InSync {
            states.remove(site);
        } else {
            states.insert(site.clone(), state);
        }
    }

    /// Sites that are not in sync.
    pub(super) fn out_of_sync(&self) -> Vec<(Site, SyncState)> {
        self.lock().iter().map(|(site, state)| (site.clone(), *state)).collect()
    }
}

/// What consecutive events of one site add.
#[derive(Debug, Default)]
pub(super) struct Delta {
    days: BTreeMap<Day, DayDelta>,
    /// When visitors were last seen.
    seen: IndexMap<VisitorId, i64, RandomState>,
}

/// What is added to a day, and to the week and month that it lies in.
#[derive(Debug, Default)]
struct DayDelta {
    totals: Totals,
    visitors: IndexSet<VisitorId, RandomState>,
    themes: IndexMap<String, u64, RandomState>,
}

/// The counters in the order of their keys.
pub(super) fn counters(totals: &Totals) -> [u64; 5] {
    let Totals { events, page_views, letters, motivation, anti_motivation, visitors: _ } = *totals;
    [events, page_views, letters, motivation, anti_motivation]
}

impl Delta {
    /// Of these events. Visitors that were last seen more than an hour before `now` are not
    /// remembered as seen.
    pub(super) fn of(events: &[Committed], now: Timestamp) -> Self {
        let mut delta = Self::default();
        for Committed { event, .. } in events {
            let day = delta.days.entry(event.created_at.day()).or_default();
            day.totals += Totals::of(event);
            day.visitors.insert(event.visitor);
            if let Some(theme) = cv::theme(event) {
                *day.themes.entry(theme).or_default() += 1;
            }
            if event.created_at > now.plus(-HOUR) {
                let seen = delta.seen.entry(event.visitor).or_default();
                *seen = (*seen).max(event.created_at.millis());
            }
        }
        delta
    }

    /// The call of `apply.lua` that adds it.
    pub(super) fn command(&self, scripts: &Scripts, step: &Step<'_>) -> Cmd {
        let site = step.site;
        let mut names = vec![keys::watermark(site), keys::visitors(site), keys::themes_top(site), keys::periods(site)];
        let lives: Vec<[(PeriodKey, u64); 3]> = self
            .days
            .keys()
            .map(|day| {
                let periods = Period::ALL.map(|period| PeriodKey::of(period, *day));
                let lives = periods.map(|key| (key, keys::seconds_left(key, step.now)));
                if lives[0].1 > 0 {
                    names.push(keys::themes(site, *day));
                }
                for (key, _) in lives.into_iter().filter(|(_, seconds)| *seconds > 0) {
                    names.extend(keys::of_period(site, key));
                }
                lives
            })
            .collect();
        let mut command = call(&scripts.apply, &names);
        let last = step.events.last().filter(|last| last.position.0 == step.to).map(|last| last.event.id);
        command.arg(step.store).arg(step.from).arg(step.to).arg(last_text(last));
        command.arg(self.seen.len());
        for (visitor, at) in &self.seen {
            command.arg(*at).arg(visitor.as_bytes());
        }
        for ((date, day), lives) in self.days.iter().zip(lives) {
            for (key, seconds) in lives {
                command.arg(seconds).arg(Listed::Period(key).member());
            }
            command.arg(Listed::Themes(*date).member());
            command.arg(&counters(&day.totals)).arg(day.visitors.len());
            for visitor in &day.visitors {
                command.arg(visitor.as_bytes());
            }
            command.arg(day.themes.len());
            for (theme, n) in &day.themes {
                command.arg(theme).arg(*n);
            }
        }
        command
    }
}

/// All events of a site after `from` up to `to`.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) site: &'a Site,
    pub(super) store: &'a str,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) events: &'a [Committed],
    pub(super) now: Timestamp,
}

impl Step<'_> {
    /// The call of `apply.lua` for these events.
    pub(super) fn command(&self, scripts: &Scripts) -> Cmd {
        Delta::of(self.events, self.now).command(scripts, self)
    }
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Applied {
    /// Its events are applied, by this process or by another one.
    Done,
    /// The site stands before them.
    Early,
    /// The site stands elsewhere.
    Elsewhere,
    /// The site must be rebuilt.
    Lost,
}

impl Applied {
    /// Reads the answer of `apply.lua`.
    pub(super) fn read(answer: &Value, from: u64, to: u64) -> Self {
        let Value::Int(at) = answer else { return Self::Lost };
        match u64::try_from(*at) {
            Err(_) => Self::Lost,
            Ok(at) if at >= to => Self::Done,
            Ok(at) if at < from => Self::Early,
            Ok(_) => Self::Elsewhere,
        }
    }
}
