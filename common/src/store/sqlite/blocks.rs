//! Blocks: bytes of the core, beside the events.

use std::ops::Range;

use rusqlite::{Connection, params};

use super::writer::Writer;
use crate::site::Site;
use crate::store::{BlockKind, Result};
use crate::time::Day;

/// Blocks that one transaction deletes at most: ingest waits for it.
const DELETED_AT_ONCE: i64 = 50;

pub(super) fn put(writer: &mut Writer, site: &Site, kind: BlockKind, day: Day, bytes: &[u8]) -> Result<()> {
    Ok(writer.transaction(|writer| {
        let mut put = writer.connection.prepare_cached(
            "insert into blocks (kind, site, day, bytes) values (?1, ?2, ?3, ?4)
             on conflict do update set bytes = excluded.bytes",
        )?;
        put.execute(params![kind as i64, site.as_str(), day.number(), bytes]).map(drop)
    })?)
}

pub(super) fn read(
    connection: &Connection,
    site: &Site,
    kind: BlockKind,
    days: Range<Day>,
) -> rusqlite::Result<Vec<(Day, Vec<u8>)>> {
    let mut find = connection.prepare_cached(
        "select day, bytes from blocks where kind = ?1 and site = ?2 and day >= ?3 and day < ?4 order by day",
    )?;
    let values = params![kind as i64, site.as_str(), days.start.number(), days.end.number()];
    find.query_map(values, |row| Ok((Day::from_number(row.get(0)?), row.get(1)?)))?.collect()
}

pub(super) fn delete_one(writer: &mut Writer, site: &Site, kind: BlockKind, day: Day) -> Result<()> {
    let site = site.as_str();
    Ok(writer.transaction(|writer| {
        let mut delete =
            writer.connection.prepare_cached("delete from blocks where kind = ?1 and site = ?2 and day = ?3")?;
        delete.execute(params![kind as i64, site, day.number()]).map(drop)
    })?)
}

/// One bounded step; 0 when nothing is left.
pub(super) fn delete(writer: &mut Writer, kind: BlockKind, before: Day) -> Result<u64> {
    let deleted = writer.transaction(|writer| {
        let mut delete = writer.connection.prepare_cached(
            "delete from blocks where rowid in (select rowid from blocks where kind = ?1 and day < ?2 limit ?3)",
        )?;
        delete.execute(params![kind as i64, before.number(), DELETED_AT_ONCE])
    })?;
    Ok(deleted as u64)
}
