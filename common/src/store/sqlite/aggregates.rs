//! Everything that is counted from events, changed by the net effect of many of them at once.
//!
//! The same code fills the aggregates as events arrive (schema `main`) and recounts them for
//! `verify` and `rebuild` (schema `recount`): the order of positions decides which values a
//! full day still takes, so a recount takes the same ones.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use rusqlite::{Connection, OptionalExtension, params};

use crate::event::Event;
use crate::period::{Period, PeriodKey};
use crate::tally::{Dimension, MOST_VALUES, OTHER, Tally};
use crate::time::Day;
use crate::visitor::VisitorId;

/// The changes of a batch of events, and what is known of the aggregates they change.
#[derive(Debug)]
pub(super) struct Aggregates {
    sql: Sql,
    /// Visitors that certainly came on these days: most events need not ask.
    known: HashSet<(i64, i32, VisitorId), RandomState>,
    /// Distinct values of a site's day, by dimension; of click targets under none.
    distinct: HashMap<(i64, i32, Option<Dimension>), usize>,
    pending: Pending,
}

/// In the order of first appearance where it matters which value came first.
#[derive(Debug, Default)]
struct Pending {
    days: BTreeMap<(i64, i32), DayChange>,
    presence: HashMap<(i64, VisitorId), i64, RandomState>,
}

#[derive(Debug, Default)]
struct DayChange {
    counters: IndexMap<(Dimension, Cow<'static, str>), i64, RandomState>,
    /// New visitors of the day, its week, its month.
    visitors: [i64; 3],
    clicks: IndexMap<(i64, String, String, u8, u8), i64>,
}

impl Aggregates {
    /// How many visitors are known at most: 24 bytes each, and some.
    const MOST_KNOWN: usize = 100_000;

    pub(super) fn of_schema(schema: &str) -> Self {
        Self {
            sql: Sql::of_schema(schema),
            known: HashSet::default(),
            distinct: HashMap::new(),
            pending: Pending::default(),
        }
    }

    /// Forgets what is known, and changes that are not flushed: after a rollback, or when
    /// somebody else wrote.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.distinct.clear();
        self.pending = Pending::default();
    }

    /// Counts one stored event; answers whether its visitor is new to its day.
    pub(super) fn add(&mut self, connection: &Connection, site: i64, event: &Event) -> rusqlite::Result<bool> {
        let day = event.created_at.day();
        let tally = Tally::of(event);
        let new = self.visit(connection, site, day, event.visitor)?;
        let change = self.pending.days.entry((site, day.number())).or_default();
        for (counted, new) in change.visitors.iter_mut().zip(new) {
            *counted += i64::from(new);
        }
        for counter in tally.counters.into_iter().flatten() {
            *change.counters.entry(counter).or_default() += 1;
        }
        if let Some(click) = tally.click {
            let cell = (event.created_at.hour(), click.page, click.element, click.x, click.y);
            *change.clicks.entry(cell).or_default() += 1;
        }
        let seen = self.pending.presence.entry((site, event.visitor)).or_default();
        *seen = (*seen).max(event.created_at.millis());
        Ok(new[0])
    }

    /// Notes a visit; answers whether the visitor is new to the day, the week, the month.
    fn visit(
        &mut self,
        connection: &Connection,
        site: i64,
        day: Day,
        visitor: VisitorId,
    ) -> rusqlite::Result<[bool; 3]> {
        if !self.known.insert((site, day.number(), visitor)) {
            return Ok([false; 3]);
        }
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

    /// Writes all changes.
    pub(super) fn flush(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let pending = std::mem::take(&mut self.pending);
        for ((site, day), change) in pending.days {
            let day = Day::from_number(day);
            let keys = Period::ALL.map(|period| PeriodKey::of(period, day));
            let mut add = connection.prepare_cached(&self.sql.add_counter)?;
            for (key, new) in keys.iter().zip(change.visitors) {
                if new > 0 {
                    add.execute(params![site, key.bucket(), Dimension::Visitors as i64, "", new])?;
                }
            }
            for ((dimension, value), n) in change.counters {
                let fits = !dimension.is_open() || self.value_fits(connection, site, keys[0], dimension, &value)?;
                let value = if fits { &*value } else { OTHER };
                for key in keys {
                    add.execute(params![site, key.bucket(), dimension as i64, value, n])?;
                }
            }
            self.add_clicks(connection, site, day, change.clicks)?;
        }
        let mut see = connection.prepare_cached(&self.sql.see)?;
        for ((site, visitor), at) in pending.presence {
            see.execute(params![site, visitor.as_bytes(), at])?;
        }
        Ok(())
    }

    /// Whether a day counts this value by its own name: it does already, or has room for it.
    fn value_fits(
        &mut self,
        connection: &Connection,
        site: i64,
        day: PeriodKey,
        dimension: Dimension,
        value: &str,
    ) -> rusqlite::Result<bool> {
        let mut find = connection.prepare_cached(&self.sql.find_counter)?;
        if find.exists(params![site, day.bucket(), dimension as i64, value])? {
            return Ok(true);
        }
        let place = (site, day.first_day().number(), Some(dimension));
        let distinct = match self.distinct.get(&place) {
            Some(distinct) => *distinct,
            None => {
                let mut count = connection.prepare_cached(&self.sql.count_values)?;
                let count: i64 =
                    count.query_row(params![site, day.bucket(), dimension as i64, OTHER], |row| row.get(0))?;
                count as usize
            }
        };
        Ok(self.take_place(place, distinct))
    }

    fn take_place(&mut self, place: (i64, i32, Option<Dimension>), distinct: usize) -> bool {
        // Late events touch few days; more than a thousand counts is an import passing through.
        if self.distinct.len() > 1_000 {
            self.distinct.clear();
        }
        let fits = distinct < MOST_VALUES;
        self.distinct.insert(place, distinct + usize::from(fits));
        fits
    }

    fn add_clicks(
        &mut self,
        connection: &Connection,
        site: i64,
        day: Day,
        clicks: IndexMap<(i64, String, String, u8, u8), i64>,
    ) -> rusqlite::Result<()> {
        for ((hour, page, element, x, y), n) in clicks {
            let target = match self.find_target(connection, site, day, &page, &element)? {
                Some(target) => target,
                None => self.make_target(connection, site, day, &page, &element)?,
            };
            let mut add = connection.prepare_cached(&self.sql.add_click)?;
            add.execute(params![site, hour, target, x, y, n])?;
        }
        Ok(())
    }

    fn find_target(
        &self,
        connection: &Connection,
        site: i64,
        day: Day,
        page: &str,
        element: &str,
    ) -> rusqlite::Result<Option<i64>> {
        let mut find = connection.prepare_cached(&self.sql.find_target)?;
        find.query_row(params![site, day.number(), page, element], |row| row.get(0)).optional()
    }

    fn make_target(
        &mut self,
        connection: &Connection,
        site: i64,
        day: Day,
        page: &str,
        element: &str,
    ) -> rusqlite::Result<i64> {
        let place = (site, day.number(), None);
        let distinct = match self.distinct.get(&place) {
            Some(distinct) => *distinct,
            None => {
                let mut count = connection.prepare_cached(&self.sql.count_targets)?;
                let count: i64 = count.query_row(params![site, day.number(), OTHER], |row| row.get(0))?;
                count as usize
            }
        };
        let (page, element) = if self.take_place(place, distinct) { (page, element) } else { (OTHER, "") };
        if let Some(target) = self.find_target(connection, site, day, page, element)? {
            return Ok(target);
        }
        let mut make = connection.prepare_cached(&self.sql.make_target)?;
        make.query_row(params![site, day.number(), page, element], |row| row.get(0))
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
    add_counter: String,
    find_counter: String,
    count_values: String,
    find_target: String,
    count_targets: String,
    make_target: String,
    add_click: String,
    see: String,
}

impl Sql {
    fn of_schema(schema: &str) -> Self {
        Self {
            find_visitor: format!("select days from {schema}.visitors where site = ?1 and month = ?2 and visitor = ?3"),
            put_visitor: format!(
                "insert into {schema}.visitors (site, month, visitor, days) values (?1, ?2, ?3, ?4)
                 on conflict do update set days = excluded.days"
            ),
            add_counter: format!(
                "insert into {schema}.counters (site, bucket, dimension, value, n) values (?1, ?2, ?3, ?4, ?5)
                 on conflict do update set n = n + excluded.n"
            ),
            find_counter: format!(
                "select 1 from {schema}.counters where site = ?1 and bucket = ?2 and dimension = ?3 and value = ?4"
            ),
            count_values: format!(
                "select count(*) from {schema}.counters
                 where site = ?1 and bucket = ?2 and dimension = ?3 and value <> ?4"
            ),
            find_target: format!(
                "select id from {schema}.click_targets where site = ?1 and day = ?2 and page = ?3 and element = ?4"
            ),
            count_targets: format!(
                "select count(*) from {schema}.click_targets where site = ?1 and day = ?2 and page <> ?3"
            ),
            make_target: format!(
                "insert into {schema}.click_targets (site, day, page, element) values (?1, ?2, ?3, ?4) returning id"
            ),
            add_click: format!(
                "insert into {schema}.clicks (site, hour, target, x, y, n) values (?1, ?2, ?3, ?4, ?5, ?6)
                 on conflict do update set n = n + excluded.n"
            ),
            see: format!(
                "insert into {schema}.presence (site, visitor, last_seen) values (?1, ?2, ?3)
                 on conflict do update set last_seen = excluded.last_seen where excluded.last_seen > last_seen"
            ),
        }
    }
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
