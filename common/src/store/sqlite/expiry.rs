//! Deleting what is not kept any more: old events, and totals that have outlived their use.

use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, params};

use super::writer::Writer;
use crate::period::{Period, PeriodKey};
use crate::store::{Result, Step};
use crate::time::{DAY, Day, Timestamp};

/// How long a step holds the writer: ingest that arrives meanwhile waits no longer than this
/// and one fsync.
const STEP: Duration = Duration::from_millis(8);
/// Rows a statement deletes at most; the time is looked at in between.
const ROWS: i64 = 500;
/// Totals of days live as long as events, and at least this many days.
const DAY_TOTALS: i32 = 90;
/// Totals of weeks and months live at least this many days.
const LONG_TOTALS: i32 = 365;

/// One bounded step of the retention run.
pub(super) fn delete_before(writer: &mut Writer, cutoff: Day, now: Timestamp) -> Result<Step> {
    let step = writer.transaction(|writer| {
        let started = Instant::now();
        let connection = &writer.connection;
        // Said before the first deletion: a half-deleted day is never recounted.
        connection
            .prepare_cached(
                "insert into meta (name, value) values ('kept_since', ?1)
                 on conflict do update set value = excluded.value where excluded.value > value",
            )?
            .execute([cutoff.number()])?;
        connection
            .prepare_cached(
                "insert into meta (name, value) values ('last_position', ?1)
                 on conflict do update set value = excluded.value where excluded.value > value",
            )?
            .execute([writer.last_position()? as i64])?;
        let mut step = Step::default();
        loop {
            let events = delete_events(connection, cutoff)?;
            step.deleted += events;
            if events == 0 {
                step.done = delete_rest(connection, cutoff, now)? == 0;
            }
            if step.done || started.elapsed() > STEP {
                return Ok(step);
            }
        }
    })?;
    // Events that follow must not refer to texts or events that are gone. What is known of other days stays true,
    // and ingest stays fast.
    writer.forget_before(cutoff);
    writer.changed(now);
    Ok(step)
}

fn delete_events(connection: &Connection, cutoff: Day) -> rusqlite::Result<u64> {
    let site: Option<i64> = connection
        .prepare_cached(
            "select id from sites where exists (
                 select 1 from events where events.site = sites.id and created_at / 1000 < ?1 / 1000
             ) limit 1",
        )?
        .query_row([cutoff.start().millis()], |row| row.get(0))
        .optional()?;
    let Some(site) = site else { return Ok(0) };
    let deleted = connection
        .prepare_cached(
            "delete from events where position in (
                 select position from events
                 where site = ?1 and created_at / 1000 < ?2 / 1000 order by created_at / 1000 limit ?3
             )",
        )?
        .execute(params![site, cutoff.start().millis(), ROWS])?;
    Ok(deleted as u64)
}

/// Deletes up to [`ROWS`] of the first kind of thing that has any left to delete.
fn delete_rest(connection: &Connection, cutoff: Day, now: Timestamp) -> rusqlite::Result<usize> {
    let today = now.day();
    let before = |days: i32| PeriodKey::of(Period::Day, cutoff.min(today.plus(-days))).bucket();
    let delete = |sql: &str, bound: i64| connection.prepare_cached(sql)?.execute(params![bound, ROWS]);

    let mut deleted = delete(
        "delete from texts where (day, number) in (select day, number from texts where day < ?1 order by day limit ?2)",
        cutoff.number().into(),
    )?;
    if deleted == 0 {
        // A month's row still tells of its last week while that week has kept days.
        let month = PeriodKey::of(Period::Month, cutoff.plus(-7)).first_day();
        deleted = delete(
            "delete from visitors where (site, month, visitor) in (
                 select v.site, v.month, v.visitor from sites s join visitors v on v.site = s.id and v.month < ?1 limit ?2
             )",
            month.number().into(),
        )?;
    }
    for (kind, days) in [("= 0", DAY_TOTALS), ("<> 0", LONG_TOTALS)] {
        if deleted == 0 {
            let sql = format!(
                "delete from totals where (site, bucket) in (
                     select t.site, t.bucket from sites s
                     join totals t on t.site = s.id and t.bucket < ?1 and (t.bucket & 3) {kind} limit ?2
                 )"
            );
            deleted = delete(&sql, before(days))?;
        }
    }
    if deleted == 0 {
        deleted = delete(
            "delete from presence where (site, visitor) in (
                 select p.site, p.visitor from sites s join presence p on p.site = s.id and p.last_seen < ?1 limit ?2
             )",
            now.plus(-DAY).millis(),
        )?;
    }
    Ok(deleted)
}
