//! What cleanup has left: the first days that still have events and totals.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::client::Table;
use super::item::{Item, number, read_number};
use super::keys::{Key, META};
use super::write::{Condition, Write};
use crate::period::{Period, PeriodKey};
use crate::store::Result;
use crate::time::{Day, Timestamp};

/// Days have totals as long as events, and at least this long.
const DAY_TOTALS: i32 = 90;
/// Weeks and months have totals at least this long.
const LONG_TOTALS: i32 = 365;
/// How long a reading is used; cleanup moves it once a day.
const CACHED_FOR: Duration = Duration::from_secs(60);

/// What cleanup has left. The days only move forward, unless a wrong clock had moved them ahead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Retained {
    /// The first day whose events are kept; none before the first cleanup.
    pub(super) events: Option<Day>,
    /// The first day that has totals of its own.
    pub(super) days: Option<Day>,
    /// The first day on which a week or month that has totals may begin.
    pub(super) long: Option<Day>,
}

impl Retained {
    const NAMES: [&str; 3] = ["k", "d", "l"];

    /// What a cleanup leaves.
    pub(super) fn after(cutoff: Day, now: Timestamp) -> Self {
        let bound = |days: i32| Some(cutoff.min(now.day().plus(-days)));
        Self { events: Some(cutoff), days: bound(DAY_TOTALS), long: bound(LONG_TOTALS) }
    }

    const fn fields(self) -> [Option<Day>; 3] {
        [self.events, self.days, self.long]
    }

    const fn of([events, days, long]: [Option<Day>; 3]) -> Self {
        Self { events, days, long }
    }

    /// The later of each.
    fn max(self, other: Self) -> Self {
        let (ours, theirs) = (self.fields(), other.fields());
        Self::of([0, 1, 2].map(|at| ours[at].max(theirs[at])))
    }

    /// The same, with nothing after this day.
    fn lowered(self, to: Day) -> Self {
        Self::of(self.fields().map(|day| day.map(|day| day.min(to))))
    }

    fn read(item: Option<&Item>) -> Self {
        let day = |name| item.and_then(|item| read_number(item, name)).map(Day::from_number);
        Self::of(Self::NAMES.map(day))
    }

    /// What can be recounted: events of days before the retention the service may have deleted,
    /// whether or not a cleanup has recorded it.
    pub(super) fn covered(self, now: Timestamp, retention: i64) -> Self {
        let first = now.day().plus(-i32::try_from(retention).unwrap_or(i32::MAX));
        Self { events: self.events.max(Some(first)), ..self }
    }

    /// Whether a period still has totals.
    pub(super) fn has(self, period: PeriodKey) -> bool {
        let first = if period.period() == Period::Day { self.days } else { self.long };
        first.is_none_or(|first| period.first_day() >= first)
    }

    /// Whether an event of this instant is kept.
    pub(super) fn has_events_of(self, at: Timestamp) -> bool {
        self.events.is_none_or(|first| at.day() >= first)
    }
}

fn key() -> Key {
    Key::new(META, "kept")
}

/// Reads what is recorded, consistently: it may have moved back, so what is known is no lower bound.
pub(super) async fn read(table: &Table) -> Result<Retained> {
    Ok(Retained::read(table.get(&key(), true).await?.as_ref()))
}

/// What is retained, as far as this process knows.
#[derive(Debug, Default)]
pub(super) struct CachedRetained(Mutex<Option<(Instant, Retained)>>);

impl CachedRetained {
    /// What is retained, read at most once in [`CACHED_FOR`].
    pub(super) async fn get(&self, table: &Table) -> Result<Retained> {
        table.check_open()?;
        let cached = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, retained)) = cached.filter(|(at, _)| at.elapsed() < CACHED_FOR) {
            return Ok(retained);
        }
        let asked = Instant::now();
        let retained = read(table).await?;
        Ok(self.keep(asked, retained))
    }

    /// Keeps what was read at `asked`, unless something newer is cached.
    fn keep(&self, asked: Instant, retained: Retained) -> Retained {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *cached {
            Some((at, newer)) if at > asked => newer,
            _ => {
                *cached = Some((asked, retained));
                retained
            }
        }
    }

    /// Moves what is recorded back to this day, where it lies after it.
    pub(super) async fn lower(&self, table: &Table, to: Day) -> Result<Retained> {
        self.replace(table, |stored| stored.lowered(to)).await
    }

    /// Records what a cleanup will leave, before it deletes anything.
    pub(super) async fn advance(&self, table: &Table, to: Retained) -> Result<Retained> {
        self.replace(table, |stored| stored.max(to)).await
    }

    async fn replace(&self, table: &Table, change: impl Fn(Retained) -> Retained) -> Result<Retained> {
        loop {
            let stored = read(table).await?;
            let next = change(stored);
            if next == stored || replace(table, stored, next).await? {
                return Ok(self.keep(Instant::now(), next));
            }
        }
    }
}

/// Puts `next` in the place of `stored`, unless another process has replaced it.
async fn replace(table: &Table, stored: Retained, next: Retained) -> Result<bool> {
    let fields = |retained: Retained| {
        Retained::NAMES.into_iter().zip(retained.fields().map(|day| day.map(|day| number(day.number()))))
    };
    let mut item = key().attributes();
    item.extend(fields(next).filter_map(|(name, day)| Some((name.to_owned(), day?))));
    let unchanged = fields(stored).map(|(name, day)| Condition::is(name, day)).collect();
    let put = Write::put(key(), item).when(Condition::All(unchanged));
    Ok(table.write(&[put]).await?.is_ok())
}
