//! Live totals, changed by the net effect of many events at once, and read.
//!
//! The same code fills them as events arrive (schema `main`) and recounts them for `verify` and
//! `rebuild` (schema `recount`).

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use foldhash::fast::RandomState;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows::count;
use super::{presence, sites};
use crate::event::Event;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Realtime, Totals};
use crate::time::{Day, Timestamp};
use crate::visitor::VisitorId;

/// The columns of [`Totals`], in the order of its fields.
pub(super) const COLUMNS: [&str; 6] = ["events", "page_views", "letters", "motivation", "anti_motivation", "visitors"];

/// What a batch of events adds, and what is known of the visitors.
#[derive(Debug)]
pub(super) struct Counter {
    sql: Sql,
    /// Visitors that certainly came on these days, each with the position of an event of the day that has its id:
    /// most events need not ask, and refer to that one.
    known: HashMap<(i64, i32, VisitorId), u64, RandomState>,
    /// None of them is of a day before this one.
    known_from: i32,
    pending: BTreeMap<(i64, i32), DayChange>,
}

#[derive(Debug, Default)]
struct DayChange {
    totals: Totals,
    /// New visitors of the day, its week, its month.
    visitors: [u64; 3],
}

impl Counter {
    /// How many visitors are known at most: 40 bytes each, and some.
    const MOST_KNOWN: usize = 100_000;

    pub(super) fn of_schema(schema: &str) -> Self {
        Self { sql: Sql::of_schema(schema), known: HashMap::default(), known_from: i32::MAX, pending: BTreeMap::new() }
    }

    /// Forgets what is known, and changes that are not flushed: after a rollback, or when
    /// another process wrote.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.pending.clear();
    }

    /// Forgets visitors of days before this one, whose events may be gone.
    pub(super) fn forget_before(&mut self, day: Day) {
        // A retention run asks after each of its many steps.
        if self.known_from < day.number() {
            self.known.retain(|(_, of, _), _| *of >= day.number());
            self.known_from = day.number();
        }
    }

    /// The position of an event of this day that has the visitor's id, if it is known.
    pub(super) fn with_id(&self, site: i64, day: Day, visitor: VisitorId) -> Option<u64> {
        self.known.get(&(site, day.number(), visitor)).copied()
    }

    /// Counts one stored event. If its visitor is not known, the row at this position has the id.
    pub(super) fn add(
        &mut self,
        connection: &Connection,
        site: i64,
        event: &Event,
        position: u64,
    ) -> rusqlite::Result<()> {
        let day = event.created_at.day();
        let new = self.visit(connection, site, day, event.visitor, position)?;
        let change = self.pending.entry((site, day.number())).or_default();
        for (counted, new) in change.visitors.iter_mut().zip(new) {
            *counted += u64::from(new);
        }
        change.totals += Totals::of(event);
        Ok(())
    }

    /// Notes a visit; answers whether the visitor is new to the day, the week, the month.
    fn visit(
        &mut self,
        connection: &Connection,
        site: i64,
        day: Day,
        visitor: VisitorId,
        position: u64,
    ) -> rusqlite::Result<[bool; 3]> {
        match self.known.entry((site, day.number(), visitor)) {
            Entry::Occupied(_) => return Ok([false; 3]),
            Entry::Vacant(unknown) => _ = unknown.insert(position),
        }
        self.known_from = self.known_from.min(day.number());
        if self.known.len() > Self::MOST_KNOWN {
            self.known.clear();
        }
        let month = PeriodKey::of(Period::Month, day);
        let week = PeriodKey::of(Period::Week, day);
        let find = |month: Day| -> rusqlite::Result<Option<i64>> {
            let mut find = connection.prepare_cached(&self.sql.find_visitor)?;
            find.query_row(params![site, month.number(), visitor.as_bytes()], |row| row.get(0)).optional()
        };
        let before = find(month.first_day())?;
        let mut days = before.unwrap_or(0);
        let bit = 1 << (day.number() - month.first_day().number());
        if days & bit != 0 {
            return Ok([false; 3]);
        }
        let mut week_days = days & bits_within(month.first_day(), week);
        // A week that lies in two months has its other days in the other month's row.
        for end in [week.first_day(), week.last_day()] {
            let other = PeriodKey::of(Period::Month, end).first_day();
            if other != month.first_day() {
                week_days |= find(other)?.unwrap_or(0) & bits_within(other, week);
            }
        }
        days |= bit;
        let mut put = connection.prepare_cached(&self.sql.put_visitor)?;
        put.execute(params![site, month.first_day().number(), visitor.as_bytes(), days])?;
        Ok([true, week_days == 0, before.is_none()])
    }

    /// Writes all changes. Answers how many visitors are new to their day.
    pub(super) fn flush(&mut self, connection: &Connection) -> rusqlite::Result<u64> {
        let mut new = 0;
        let mut add = connection.prepare_cached(&self.sql.add)?;
        for ((site, day), change) in std::mem::take(&mut self.pending) {
            new += change.visitors[0];
            for (period, visitors) in Period::ALL.into_iter().zip(change.visitors) {
                let bucket = PeriodKey::of(period, Day::from_number(day)).bucket();
                let Totals { events, page_views, letters, motivation, anti_motivation, .. } = change.totals;
                let counts = [events, page_views, letters, motivation, anti_motivation, visitors].map(|n| n as i64);
                let [events, page_views, letters, motivation, anti_motivation, visitors] = counts;
                add.execute(params![site, bucket, events, page_views, letters, motivation, anti_motivation, visitors])?;
            }
        }
        Ok(new)
    }
}

/// The bits of a month's days that lie in a week.
fn bits_within(month: Day, week: PeriodKey) -> i64 {
    (0..31)
        .filter(|bit| (week.first_day()..=week.last_day()).contains(&month.plus(*bit)))
        .fold(0, |bits, bit| bits | 1 << bit)
}

/// One statement each, for the schema they work on.
#[derive(Debug)]
struct Sql {
    find_visitor: String,
    put_visitor: String,
    add: String,
}

impl Sql {
    fn of_schema(schema: &str) -> Self {
        let sums = COLUMNS.map(|name| format!("{name} = {name} + excluded.{name}")).join(", ");
        Self {
            find_visitor: format!("select days from {schema}.visitors where site = ?1 and month = ?2 and visitor = ?3"),
            put_visitor: format!(
                "insert into {schema}.visitors (site, month, visitor, days) values (?1, ?2, ?3, ?4)
                 on conflict do update set days = excluded.days"
            ),
            add: format!(
                "insert into {schema}.totals (site, bucket, {}) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 on conflict do update set {sums}",
                COLUMNS.join(", ")
            ),
        }
    }
}

/// What happens on a site now, and has happened today.
pub(super) fn realtime(
    connection: &Connection,
    site: &Site,
    now: Timestamp,
    window: i64,
) -> rusqlite::Result<Realtime> {
    let Some(id) = sites::find(connection, site)? else { return Ok(Realtime::default()) };
    let current = presence::current(connection, id, now, window)?;
    let today = totals(connection, site, PeriodKey::of(Period::Day, now.day()))?;
    Ok(Realtime {
        current_visitors: count(current),
        unique_today: today.visitors,
        total_events: today.events,
        letters_today: today.letters,
    })
}

/// The totals of one period.
pub(super) fn totals(connection: &Connection, site: &Site, period: PeriodKey) -> rusqlite::Result<Totals> {
    let Some(id) = sites::find(connection, site)? else { return Ok(Totals::default()) };
    let sql = format!("select {} from totals where site = ?1 and bucket = ?2", COLUMNS.join(", "));
    let found = connection.prepare_cached(&sql)?.query_row(params![id, period.bucket()], |row| read(row, 0));
    Ok(found.optional()?.unwrap_or_default())
}

/// The totals of each day.
pub(super) fn daily(connection: &Connection, site: &Site, days: Range<Day>) -> rusqlite::Result<Vec<(Day, Totals)>> {
    let mut found: HashMap<i64, Totals> = HashMap::new();
    if let Some(id) = sites::find(connection, site)? {
        // Days are the buckets whose lowest two bits are 0.
        let sql = format!(
            "select bucket, {} from totals where site = ?1 and bucket >= ?2 and bucket < ?3 and bucket & 3 = 0",
            COLUMNS.join(", ")
        );
        let bucket = |day: Day| PeriodKey::of(Period::Day, day).bucket();
        let mut find = connection.prepare_cached(&sql)?;
        let rows =
            find.query_map(params![id, bucket(days.start), bucket(days.end)], |row| Ok((row.get(0)?, read(row, 1)?)))?;
        found = rows.collect::<rusqlite::Result<_>>()?;
    }
    let days = (days.start.number()..days.end.number()).map(Day::from_number);
    Ok(days.map(|day| (day, found.remove(&PeriodKey::of(Period::Day, day).bucket()).unwrap_or_default())).collect())
}

/// The [`COLUMNS`] from this column on.
fn read(row: &Row<'_>, from: usize) -> rusqlite::Result<Totals> {
    let field = |at: usize| row.get(from + at).map(count);
    Ok(Totals {
        events: field(0)?,
        page_views: field(1)?,
        letters: field(2)?,
        motivation: field(3)?,
        anti_motivation: field(4)?,
        visitors: field(5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_find_their_days_in_both_months() {
        let day = |text| Day::parse(text).unwrap();
        let week = PeriodKey::of(Period::Week, day("2025-12-31"));
        assert_eq!(bits_within(day("2025-12-01"), week), 0b111 << 28);
        assert_eq!(bits_within(day("2026-01-01"), week), 0b1111);
    }
}
