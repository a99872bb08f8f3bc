//! Counters of what was not stored.

use std::ops::Range;

use rusqlite::{Connection, params};

use super::rows::count;
use super::writer::Writer;
use crate::outcome::NotStored;
use crate::site::Site;
use crate::store::Result;
use crate::store::not_stored::Counts;
use crate::time::Day;

/// Rows that one transaction deletes at most: ingest waits for it.
const DELETED_AT_ONCE: i64 = 5_000;

pub(super) fn add(writer: &mut Writer, site: &Site, day: Day, counts: &Counts) -> Result<()> {
    Ok(writer.transaction(|writer| {
        let mut add = writer.connection.prepare_cached(
            "insert into not_stored (site, day, outcome, n) values (?1, ?2, ?3, ?4)
             on conflict do update set n = n + excluded.n",
        )?;
        for (outcome, n) in counts {
            add.execute(params![site.as_str(), day.number(), outcome.name(), *n as i64])?;
        }
        Ok(())
    })?)
}

pub(super) fn read(connection: &Connection, site: &Site, days: Range<Day>) -> rusqlite::Result<Counts> {
    let mut sums = connection.prepare_cached(
        "select outcome, sum(n) from not_stored where site = ?1 and day >= ?2 and day < ?3 group by outcome",
    )?;
    let rows = sums.query_map(params![site.as_str(), days.start.number(), days.end.number()], |row| {
        Ok((NotStored::from_name(&row.get::<_, String>(0)?), count(row.get(1)?)))
    })?;
    let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
    Ok(rows.into_iter().filter_map(|(outcome, n)| Some((outcome?, n))).collect())
}

/// One bounded step; 0 when nothing is left.
pub(super) fn delete(writer: &mut Writer, before: Day) -> Result<usize> {
    Ok(writer.transaction(|writer| {
        let mut delete = writer.connection.prepare_cached(
            "delete from not_stored where (site, day, outcome) in
                 (select site, day, outcome from not_stored where day < ?1 limit ?2)",
        )?;
        delete.execute(params![before.number(), DELETED_AT_ONCE])
    })?)
}
