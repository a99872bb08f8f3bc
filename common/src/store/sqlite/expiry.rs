//! What is not kept: old events, aggregates that have outlived their use, secrets.

use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, params};

use super::writer::Writer;
use crate::period::{Period, PeriodKey};
use crate::store::{CLAIM, Result, Secret, SecretName, Step};
use crate::time::{DAY, Day, Timestamp};

/// How long a step holds the writer: ingest that arrives meanwhile waits no longer than this
/// and one fsync.
const STEP: Duration = Duration::from_millis(8);
/// Rows a statement deletes at most; the time is looked at in between.
const ROWS: i64 = 500;
/// Click cells are asked for 168 hours back at most.
const CLICK_DAYS: i32 = 8;
/// Day counters live as long as events, and at least this long.
const DAY_COUNTERS: i32 = 90;
/// Week and month counters live at least this long.
const LONG_COUNTERS: i32 = 365;

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
        let mut aggregates = 0;
        loop {
            let events = delete_events(connection, cutoff)?;
            step.deleted += events;
            if events == 0 {
                let rest = delete_rest(connection, cutoff, now)?;
                aggregates += rest;
                step.done = rest == 0;
            }
            if step.done || started.elapsed() > STEP {
                return Ok((step, aggregates > 0));
            }
        }
    });
    let (step, aggregates) = step?;
    // Numbers of addresses and targets that are gone must not be remembered; as long as only
    // events go, what is known stays true, and ingest stays fast.
    if aggregates {
        writer.forget();
    }
    writer.changed(now);
    Ok(step)
}

fn delete_events(connection: &Connection, cutoff: Day) -> rusqlite::Result<u64> {
    let site: Option<i64> = connection
        .prepare_cached(
            "select id from sites where exists (
                 select 1 from events where events.site = sites.id and created_at < ?1
             ) limit 1",
        )?
        .query_row([cutoff.start().millis()], |row| row.get(0))
        .optional()?;
    let Some(site) = site else { return Ok(0) };
    let deleted = connection
        .prepare_cached(
            "delete from events where position in (
                 select position from events where site = ?1 and created_at < ?2 order by created_at limit ?3
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
        "delete from strings where id in (select id from strings where day < ?1 order by day limit ?2)",
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
    if deleted == 0 {
        deleted = delete(
            "delete from clicks where (site, hour, target, x, y) in (
                 select c.site, c.hour, c.target, c.x, c.y from sites s join clicks c on c.site = s.id and c.hour < ?1 limit ?2
             )",
            today.plus(-CLICK_DAYS).start().hour(),
        )?;
    }
    if deleted == 0 {
        deleted = delete(
            "delete from click_targets where id in (
                 select t.id from sites s join click_targets t on t.site = s.id and t.day < ?1 limit ?2
             )",
            today.plus(-CLICK_DAYS).number().into(),
        )?;
    }
    for (kind, days) in [("= 0", DAY_COUNTERS), ("<> 0", LONG_COUNTERS)] {
        if deleted == 0 {
            let sql = format!(
                "delete from counters where (site, bucket, dimension, value) in (
                     select c.site, c.bucket, c.dimension, c.value from sites s
                     join counters c on c.site = s.id and c.bucket < ?1 and (c.bucket & 3) {kind} limit ?2
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

/// Notes a fact about the store.
pub(super) fn note(writer: &mut Writer, name: &'static str, value: i64) -> Result<()> {
    Ok(writer.transaction(|writer| {
        let mut put = writer.connection.prepare_cached(
            "insert into meta (name, value) values (?1, ?2) on conflict do update set value = excluded.value",
        )?;
        put.execute(params![name, value]).map(drop)
    })?)
}

/// Moves what is recorded as kept back, where it lies after this day.
pub(super) fn lower_kept(writer: &mut Writer, to: Day) -> Result<()> {
    Ok(writer.transaction(|writer| {
        let mut lower =
            writer.connection.prepare_cached("update meta set value = min(value, ?1) where name = 'kept_since'")?;
        lower.execute([to.number()]).map(drop)
    })?)
}

/// Notes the claim of the day's retention run, unless it is done or another process's. What was
/// recorded by a clock that was ahead does not count.
pub(super) fn claim_cleanup(writer: &mut Writer, now: Timestamp) -> Result<bool> {
    let today = now.day();
    Ok(writer.transaction(|writer| {
        let claim = writer.connection.prepare_cached(
            "insert into meta (name, value)
             select 'cleanup_claimed', ?1
             where not exists (
                 select 1 from meta where name = 'last_cleaned' and value >= ?2 and value < ?3
             )
             on conflict do update set value = excluded.value where abs(value - excluded.value) >= ?4",
        );
        let (start, end) = (today.start().millis(), today.plus(1).start().millis());
        Ok(claim?.execute([now.millis(), start, end, CLAIM])? > 0)
    })?)
}

fn name_of(name: SecretName) -> String {
    match name {
        SecretName::Salt(day) => format!("salt/{day}"),
        SecretName::Pseudonyms => "pseudonyms".to_owned(),
    }
}

/// The first writer's secret, while it lives.
pub(super) fn secret(writer: &mut Writer, name: SecretName, fresh: Secret, now: Timestamp) -> Result<Secret> {
    let name = name_of(name);
    Ok(writer.transaction(|writer| {
        writer
            .connection
            .prepare_cached(
                "insert into secrets (name, bytes, expires) values (?1, ?2, ?3)
                 on conflict do update set bytes = excluded.bytes, expires = excluded.expires
                 where secrets.expires <= ?4",
            )?
            .execute(params![name, fresh.bytes, fresh.expires.map(Timestamp::millis), now.millis()])?;
        writer.connection.prepare_cached("select bytes, expires from secrets where name = ?1")?.query_row(
            [name],
            |row| {
                let expires: Option<i64> = row.get(1)?;
                Ok(Secret { bytes: row.get(0)?, expires: expires.map(Timestamp::from_millis) })
            },
        )
    })?)
}

/// Overwrites expired secrets with zeros, in the file and in the log.
pub(super) fn destroy_secrets(writer: &mut Writer, now: Timestamp) -> Result<u64> {
    let expired: i64 = writer
        .connection
        .prepare_cached("select count(*) from secrets where expires <= ?1")?
        .query_row([now.millis()], |row| row.get(0))?;
    if expired == 0 {
        return Ok(0);
    }
    writer.connection.pragma_update(None, "secure_delete", true)?;
    let deleted = writer.transaction(|writer| {
        writer.connection.prepare_cached("delete from secrets where expires <= ?1")?.execute([now.millis()])
    });
    writer.connection.pragma_update(None, "secure_delete", false)?;
    // Older copies of the page stand in the log until it is cut off.
    writer.cut_log()?;
    Ok(deleted? as u64)
}
