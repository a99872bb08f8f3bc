//! `verify` and `rebuild`: totals counted anew beside the stored ones, by the code that counts
//! events as they arrive, and compared row by row.

use rusqlite::{Connection, Row, params};

use super::keep::fact;
use super::presence;
use super::rows::{COLUMNS, EVENTS, committed};
use super::totals::{self, Counter};
use crate::period::PeriodKey;
use crate::site::Site;
use crate::store::{Committed, Difference, Recount};
use crate::time::{Day, HOUR, Timestamp};

/// What is called as it goes on.
type Report<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// What the kept events still cover.
#[derive(Debug, Clone, Copy)]
struct Covered {
    /// Periods that begin before this day have lost events.
    since: Day,
    now: Timestamp,
}

/// Recounts on one snapshot: the events are read, and nothing but the temporary schema
/// `recount` is written.
pub(super) fn verify(connection: &Connection, now: Timestamp, progress: Report<'_>) -> rusqlite::Result<Recount> {
    connection.execute_batch("attach '' as recount")?;
    let recounted = (|| {
        connection.execute_batch("begin")?;
        let recounted = count_again(connection, now, progress).map(|(recount, _)| recount);
        connection.execute_batch("rollback")?;
        recounted
    })();
    connection.execute_batch("detach recount")?;
    recounted
}

/// Recounts while holding the write lock, and puts what was counted in the place of what was
/// stored.
pub(super) fn rebuild(connection: &Connection, now: Timestamp, progress: Report<'_>) -> rusqlite::Result<Recount> {
    connection.execute_batch("attach '' as recount")?;
    let recounted = (|| {
        connection.execute_batch("begin immediate")?;
        let replaced = count_again(connection, now, progress).and_then(|(recount, covered)| {
            replace(connection, covered)?;
            Ok(recount)
        });
        connection.execute_batch(if replaced.is_ok() { "commit" } else { "rollback" })?;
        replaced
    })();
    connection.execute_batch("detach recount")?;
    recounted
}

fn count_again(connection: &Connection, now: Timestamp, progress: Report<'_>) -> rusqlite::Result<(Recount, Covered)> {
    for table in ["totals", "visitors"] {
        let sql: String = connection.query_row(
            "select sql from main.sqlite_schema where type = 'table' and name = ?1",
            [table],
            |row| row.get(0),
        )?;
        let name = format!("create table {table}");
        connection.execute_batch(&sql.to_lowercase().replacen(&name, &format!("create table recount.{table}"), 1))?;
    }
    let since = fact(connection, "kept_since")?.unwrap_or(0);
    let covered = Covered { since: Day::from_number(since as i32), now };
    let events = add_all(connection, covered, progress)?;
    let mut recount = Recount { events, ..Recount::default() };
    compare(connection, covered, &mut recount)?;
    Ok((recount, covered))
}

fn add_all(connection: &Connection, covered: Covered, progress: Report<'_>) -> rusqlite::Result<u64> {
    let start = covered.since.start().millis();
    let total: i64 =
        connection.query_row("select count(*) from main.events where created_at >= ?1", [start], |row| row.get(0))?;
    let sites: std::collections::HashMap<i64, Site> = {
        let mut find = connection.prepare("select id, name from main.sites")?;
        let rows =
            find.query_map([], |row| Ok((row.get(0)?, Site::parse(&row.get::<_, String>(1)?).unwrap_or_default())))?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    let sql =
        format!("select {COLUMNS}, e.site as site_id from main.{EVENTS} where e.created_at >= ?1 order by e.position");
    let mut find = connection.prepare(&sql)?;
    let mut rows = find.query([start])?;
    let mut counter = Counter::of_schema("recount");
    let mut done = 0;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get("site_id")?;
        let site = sites.get(&id).cloned().unwrap_or_default();
        let Committed { position, event } = committed(&site, row)?;
        counter.add(connection, id, &event, position.0)?;
        done += 1;
        if done % 10_000 == 0 {
            counter.flush(connection)?;
            progress(done, total.unsigned_abs());
        }
    }
    counter.flush(connection)?;
    progress(done, total.unsigned_abs());
    Ok(done)
}

/// A comparison: how both sides are read as (site, …, n), and how a row is called.
struct Comparison {
    columns: &'static str,
    main: String,
    recount: String,
    name: fn(&Row<'_>) -> rusqlite::Result<String>,
}

fn comparisons(covered: Covered) -> [Comparison; 3] {
    let since = covered.since.number();
    let recent = covered.now.plus(-HOUR);
    let make = |columns, sql: String, name| {
        let (main, recount) = (sql.replace("SCHEMA", "main"), sql.replace("SCHEMA", "recount"));
        Comparison { columns, main, recount, name }
    };
    let figures = totals::COLUMNS.map(|name| {
        format!("select site, bucket, '{name}' as figure, {name} as n from SCHEMA.totals where bucket >= {since} * 4")
    });
    [
        make("site, bucket, figure", figures.join(" union all "), |row| {
            let key = PeriodKey::from_bucket(row.get(1)?).map(|key| key.to_string()).unwrap_or_default();
            Ok(format!("site {}, {key}, {}", row.get::<_, i64>(0)?, row.get::<_, String>(2)?))
        }),
        make(
            "site, month, visitor",
            format!("select site, month, visitor, days as n from SCHEMA.visitors where month >= {since}"),
            |row| {
                let (site, month): (i64, i64) = (row.get(0)?, row.get(1)?);
                Ok(format!("site {site}, days of a visitor in the month from day {month}"))
            },
        ),
        Comparison {
            columns: "site, visitor",
            main: presence::latest(recent),
            recount: presence::latest_of_events(recent),
            name: |row| Ok(format!("site {}, last seen of a visitor", row.get::<_, i64>(0)?)),
        },
    ]
}

fn compare(connection: &Connection, covered: Covered, recount: &mut Recount) -> rusqlite::Result<()> {
    for comparison in comparisons(covered) {
        let Comparison { columns, main, recount: again, name } = &comparison;
        let compared: i64 = connection.query_row(&format!("select count(*) from ({again})"), [], |row| row.get(0))?;
        recount.aggregates += compared.unsigned_abs();
        let width = columns.split(',').count();
        let sql = format!(
            "select {columns}, sum(expected), sum(found) from (
                 select {columns}, 0 as expected, n as found from ({main})
                 union all select {columns}, n, 0 from ({again})
             ) group by {columns} having sum(expected) <> sum(found)"
        );
        let mut find = connection.prepare(&sql)?;
        let mut rows = find.query([])?;
        while let Some(row) = rows.next()? {
            recount.different += 1;
            if recount.differences.len() < Recount::MOST_LISTED {
                recount.differences.push(Difference {
                    aggregate: name(row)?,
                    expected: row.get(width)?,
                    found: row.get(width + 1)?,
                });
            }
        }
    }
    Ok(())
}

fn replace(connection: &Connection, covered: Covered) -> rusqlite::Result<()> {
    let since = covered.since.number();
    connection.execute("delete from main.totals where bucket >= ?1 * 4", params![since])?;
    connection
        .execute("insert into main.totals select * from recount.totals where bucket >= ?1 * 4", params![since])?;
    connection.execute("delete from main.visitors where month >= ?1", params![since])?;
    connection.execute("insert into main.visitors select * from recount.visitors where month >= ?1", params![since])?;
    presence::replace(connection, covered.now)
}
