//! One visitor's data: found, and erased.

use std::collections::HashSet;

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::keep;
use super::rows::{COLUMNS, EVENTS, VISITOR, committed};
use super::sites::find as site_id;
use super::totals::COLUMNS as FIGURES;
use super::writer::Writer;
use crate::event::Event;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::visitors::{ERASED_AT_ONCE, days_of, is_only_day};
use crate::store::{Result, Totals};
use crate::time::{Day, Timestamp};
use crate::visitor::VisitorId;

/// A visitor's months. The table is sorted by month first: each of the few months is looked up.
const MONTHS: &str = "with recursive months (month) as (
        select min(month) from visitors where site = ?1
        union all
        select (select min(v.month) from visitors v where v.site = ?1 and v.month > months.month)
        from months where months.month is not null
    )
    select v.month, v.days from months
    join visitors v on v.site = ?1 and v.month = months.month and v.visitor = ?2 order by v.month";

/// The days on which a visitor came.
pub(super) fn visit_days(connection: &Connection, site: &Site, visitor: VisitorId) -> rusqlite::Result<Vec<Day>> {
    let Some(id) = site_id(connection, site)? else { return Ok(Vec::new()) };
    days(connection, id, visitor)
}

fn days(connection: &Connection, site: i64, visitor: VisitorId) -> rusqlite::Result<Vec<Day>> {
    let mut find = connection.prepare_cached(MONTHS)?;
    let months = find.query_map(params![site, visitor.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let months = months.collect::<rusqlite::Result<Vec<(i32, i64)>>>()?;
    Ok(months.into_iter().flat_map(|(month, bits)| days_of(Day::from_number(month), bits)).collect())
}

/// A visitor's events of a day, oldest first.
pub(super) fn events(
    connection: &Connection,
    site: &Site,
    visitor: VisitorId,
    day: Day,
    after: Option<(Timestamp, Uuid)>,
    limit: usize,
) -> rusqlite::Result<Vec<Event>> {
    ordered_events(connection, site, visitor, day, after, ("e.created_at, e.id", limit))
}

/// As many of a visitor's events of a day as are erased at once. Those that have the visitor's id come last, as
/// others refer to them.
fn next_to_erase(connection: &Connection, site: &Site, visitor: VisitorId, day: Day) -> rusqlite::Result<Vec<Event>> {
    ordered_events(connection, site, visitor, day, None, ("typeof(e.visitor) = 'blob'", ERASED_AT_ONCE))
}

fn ordered_events(
    connection: &Connection,
    site: &Site,
    visitor: VisitorId,
    day: Day,
    after: Option<(Timestamp, Uuid)>,
    (order, limit): (&str, usize),
) -> rusqlite::Result<Vec<Event>> {
    let Some(id) = site_id(connection, site)? else { return Ok(Vec::new()) };
    // Times begin with the day; no id comes before this one, which is of no version.
    let (at, after) = after.map_or((day.start().millis() - 1, Uuid::max()), |(at, id)| (at.millis(), id));
    let sql = format!(
        "select {COLUMNS} from {EVENTS}
         where e.site = ?1 and e.created_at / 1000 >= ?2 / 1000 and e.created_at / 1000 < ?3 / 1000
           and {VISITOR} = ?4 and (e.created_at, e.id) > (?5, ?6)
         order by {order} limit ?7"
    );
    let (start, end) = (day.start().millis(), day.plus(1).start().millis());
    let values = params![id, start, end, visitor.as_bytes(), at, after.as_bytes(), limit as i64];
    let mut find = connection.prepare_cached(&sql)?;
    find.query_map(values, |row| Ok(committed(site, row)?.event))?.collect()
}

/// One step of erasing a visitor's events of a day.
pub(super) fn erase_events(
    writer: &mut Writer,
    site: &Site,
    visitor: VisitorId,
    day: Day,
    now: Timestamp,
) -> Result<u64> {
    let erased = writer.transaction(|writer| {
        // Positions of events that are gone are not given again.
        let last = writer.last_position()? as i64;
        let connection = &writer.connection;
        let Some(id) = site_id(connection, site)? else { return Ok(0) };
        let events = next_to_erase(connection, site, visitor, day)?;
        keep::note_old_pages(connection)?;
        keep::put(connection, "last_position", last)?;
        let texts = delete(connection, id, &events)?;
        delete_unused_texts(connection, day, texts)?;
        if i64::from(day.number()) >= keep::fact(connection, "kept_since")?.unwrap_or(0) {
            let is_last = events.len() < ERASED_AT_ONCE;
            let gone = if is_last { is_only_day(&days(connection, id, visitor)?, day) } else { [false; 3] };
            subtract(connection, id, day, &events, gone)?;
            if is_last {
                remove_day(connection, id, visitor, day)?;
            }
        }
        Ok(events.len() as u64)
    })?;
    // Numbers of texts that are gone must not be remembered, nor visits.
    writer.forget();
    writer.changed(now);
    Ok(erased)
}

/// Deletes events; answers the numbers of their texts.
fn delete(connection: &Connection, site: i64, events: &[Event]) -> rusqlite::Result<HashSet<i64>> {
    let mut delete = connection.prepare_cached(
        "delete from events where site = ?1 and id = ?2 returning page_url, referrer, arrival, client",
    )?;
    let mut texts = HashSet::new();
    for event in events {
        let of: [Option<i64>; 4] = delete.query_row(params![site, event.id.as_bytes()], |row| {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
        })?;
        texts.extend(of.into_iter().flatten());
    }
    Ok(texts)
}

/// Deletes those of a day's texts that no event of the day has.
fn delete_unused_texts(connection: &Connection, day: Day, mut texts: HashSet<i64>) -> rusqlite::Result<()> {
    let mut find = connection.prepare_cached(
        "select e.page_url, e.referrer, e.arrival, e.client from sites s cross join events e
         where e.site = s.id and e.created_at / 1000 >= ?1 / 1000 and e.created_at / 1000 < ?2 / 1000",
    )?;
    let mut rows = find.query([day.start().millis(), day.plus(1).start().millis()])?;
    // Most texts of a visitor are those of others, too, so that this ends early.
    while !texts.is_empty()
        && let Some(row) = rows.next()?
    {
        for column in 0..4 {
            if let Some(text) = row.get::<_, Option<i64>>(column)? {
                texts.remove(&text);
            }
        }
    }
    let mut delete = connection.prepare_cached("delete from texts where day = ?1 and number = ?2")?;
    texts.into_iter().try_for_each(|text| delete.execute([i64::from(day.number()), text]).map(drop))
}

/// Takes events out of the totals of their day, its week and its month, and the visitor out of those where
/// `gone` says so.
fn subtract(connection: &Connection, site: i64, day: Day, events: &[Event], gone: [bool; 3]) -> rusqlite::Result<()> {
    let mut sum = Totals::default();
    events.iter().for_each(|event| sum += Totals::of(event));
    let Totals { events, page_views, letters, motivation, anti_motivation, .. } = sum;
    let less = FIGURES.map(|name| format!("{name} = {name} - ?")).join(", ");
    let mut update = connection.prepare_cached(&format!("update totals set {less} where site = ? and bucket = ?"))?;
    for (period, gone) in Period::ALL.into_iter().zip(gone) {
        let figures = [events, page_views, letters, motivation, anti_motivation, u64::from(gone)].map(|n| n as i64);
        let [events, page_views, letters, motivation, anti_motivation, visitors] = figures;
        let bucket = PeriodKey::of(period, day).bucket();
        update.execute(params![events, page_views, letters, motivation, anti_motivation, visitors, site, bucket])?;
    }
    connection.prepare_cached("delete from totals where site = ?1 and events = 0")?.execute([site]).map(drop)
}

fn remove_day(connection: &Connection, site: i64, visitor: VisitorId, day: Day) -> rusqlite::Result<()> {
    let month = PeriodKey::of(Period::Month, day).first_day();
    let bit = 1_i64 << (day.number() - month.number());
    let key = params![site, month.number(), visitor.as_bytes(), bit];
    connection
        .prepare_cached("update visitors set days = days & ~?4 where site = ?1 and month = ?2 and visitor = ?3")?
        .execute(key)?;
    connection
        .prepare_cached("delete from visitors where site = ?1 and month = ?2 and visitor = ?3 and days & ~?4 = 0")?
        .execute(key)
        .map(drop)
}

/// Deletes a visitor's days, and that the visitor is present.
pub(super) fn forget_visitor(writer: &mut Writer, site: &Site, visitor: VisitorId) -> Result<()> {
    writer.transaction(|writer| {
        writer.count_erasure()?;
        keep::note_old_pages(&writer.connection)?;
        let connection = &writer.connection;
        let Some(id) = site_id(connection, site)? else { return Ok(()) };
        let mut months: Vec<Day> = days(connection, id, visitor)?;
        months.iter_mut().for_each(|day| *day = PeriodKey::of(Period::Month, *day).first_day());
        months.dedup();
        let mut delete =
            connection.prepare_cached("delete from visitors where site = ?1 and month = ?2 and visitor = ?3")?;
        for month in months {
            delete.execute(params![id, month.number(), visitor.as_bytes()])?;
        }
        connection
            .prepare_cached("delete from presence where site = ?1 and visitor = ?2")?
            .execute(params![id, visitor.as_bytes()])
            .map(drop)
    })?;
    writer.forget();
    writer.erased(site);
    Ok(())
}
