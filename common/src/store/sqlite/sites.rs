//! The sites that are known, at most [`Site::MOST`] but for those that were admitted.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::writer::Writer;
use crate::site::Site;
use crate::store::Result;

/// The number of the next site. That of a site which was removed is not used again: a reader may have
/// looked it up before, and would take the new site's rows for the old one's.
const NEXT: &str = "1 + max(coalesce((select max(id) from sites), 0),
    coalesce((select value from meta where name = 'last_site'), 0))";

/// All sites, by name.
pub(super) fn sites(connection: &Connection) -> rusqlite::Result<Vec<Site>> {
    let mut find = connection.prepare_cached("select name from sites order by name")?;
    let names = find.query_map([], |row| row.get::<_, String>(0))?;
    Ok(names.collect::<rusqlite::Result<Vec<_>>>()?.iter().filter_map(|name| Site::parse(name)).collect())
}

/// A site's number; `None` when it is not known.
pub(super) fn find(connection: &Connection, site: &Site) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("select id from sites where name = ?1")?
        .query_row([site.as_str()], |row| row.get(0))
        .optional()
}

/// A site's number, which it is given if there is room; `None` when it would be one too many.
pub(super) fn find_or_make(connection: &Connection, site: &Site) -> rusqlite::Result<Option<i64>> {
    if let Some(id) = find(connection, site)? {
        return Ok(Some(id));
    }
    let mut make = connection.prepare_cached(&format!(
        "insert into sites (id, name) select {NEXT}, ?1 where (select count(*) from sites) < ?2 returning id"
    ))?;
    make.query_row(params![site.as_str(), Site::MOST as i64], |row| row.get(0)).optional()
}

/// Makes these sites known, however many there are.
pub(super) fn admit(writer: &mut Writer, sites: &BTreeSet<Site>) -> Result<()> {
    Ok(writer.transaction(|writer| {
        let mut make = writer.connection.prepare_cached(&format!(
            "insert into sites (id, name) values ({NEXT}, ?1) on conflict (name) do nothing"
        ))?;
        sites.iter().try_for_each(|site| make.execute([site.as_str()]).map(drop))
    })?)
}

/// Removes a site of which neither events nor visitors are kept, with its totals. Other processes notice
/// when they begin their next transaction, as they notice every write.
pub(super) fn remove(writer: &mut Writer, site: &Site) -> Result<bool> {
    let removed = writer.transaction(|writer| {
        let connection = &writer.connection;
        let id: Option<i64> = connection
            .prepare_cached(
                "select id from sites s where name = ?1
                     and not exists (select 1 from events where site = s.id)
                     and not exists (select 1 from visitors where site = s.id)",
            )?
            .query_row([site.as_str()], |row| row.get(0))
            .optional()?;
        let Some(id) = id else { return Ok(false) };
        for sql in [
            "insert into meta (name, value) values ('last_site', ?1)
             on conflict do update set value = excluded.value where excluded.value > value",
            "delete from totals where site = ?1",
            "delete from presence where site = ?1",
            "delete from sites where id = ?1",
        ] {
            connection.prepare_cached(sql)?.execute([id])?;
        }
        Ok(true)
    })?;
    if removed {
        writer.forget();
        writer.answers_changed();
    }
    Ok(removed)
}
