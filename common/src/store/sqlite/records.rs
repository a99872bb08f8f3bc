//! Records: bytes of the core, by id.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::writer::Writer;
use crate::store::{RecordKind, Result};

pub(super) fn put(writer: &mut Writer, kind: RecordKind, id: Uuid, bytes: &[u8]) -> Result<()> {
    Ok(writer.transaction(|writer| {
        let mut put = writer.connection.prepare_cached(
            "insert into records (kind, id, bytes) values (?1, ?2, ?3)
             on conflict do update set bytes = excluded.bytes",
        )?;
        put.execute(params![kind as i64, id.as_bytes(), bytes]).map(drop)
    })?)
}

pub(super) fn read(connection: &Connection, kind: RecordKind, id: Uuid) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut find = connection.prepare_cached("select bytes from records where kind = ?1 and id = ?2")?;
    find.query_row(params![kind as i64, id.as_bytes()], |row| row.get(0)).optional()
}

pub(super) fn all(connection: &Connection, kind: RecordKind) -> rusqlite::Result<Vec<(Uuid, Vec<u8>)>> {
    let mut find = connection.prepare_cached("select id, bytes from records where kind = ?1 order by id")?;
    find.query_map([kind as i64], |row| Ok((Uuid::from_bytes(row.get(0)?), row.get(1)?)))?.collect()
}

pub(super) fn delete(writer: &mut Writer, kind: RecordKind, id: Uuid) -> Result<bool> {
    Ok(writer.transaction(|writer| {
        let mut delete = writer.connection.prepare_cached("delete from records where kind = ?1 and id = ?2")?;
        delete.execute(params![kind as i64, id.as_bytes()]).map(|deleted| deleted > 0)
    })?)
}
