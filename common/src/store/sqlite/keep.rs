//! Secrets, and what retention runs record.

use std::ops::RangeInclusive;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::connection::{BUSY, ENGINE};
use super::writer::Writer;
use crate::store::{CLAIM, Result, Secret, SecretName, StoreError};
use crate::time::{Day, Timestamp};

/// Says that the log may hold secrets and events that were destroyed.
const OLD_PAGES_IN_LOG: &str = "secrets_in_log";

/// How long events wait at most until the readers are gone that keep the log from being cut off after a
/// retention run.
const CUT_WITHIN: Duration = Duration::from_millis(100);

/// How many visitors were erased, so that other processes notice it.
pub(super) const ERASURES: &str = "erasures";

/// Notes that a retention run succeeded, and cuts off the log, in which older copies of pages hold what the
/// run has deleted; if a reader is in the way, the next run does so.
pub(super) fn cleaned(writer: &mut Writer, at: Timestamp) -> Result<()> {
    note(writer, "last_cleaned", at.millis())?;
    writer.connection.busy_timeout(CUT_WITHIN)?;
    let cut = writer.cut_log();
    writer.connection.busy_timeout(BUSY)?;
    cut?;
    Ok(())
}

/// A fact about the store.
pub(super) fn fact(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    connection.prepare_cached("select value from meta where name = ?1")?.query_row([name], |row| row.get(0)).optional()
}

/// The days of the oldest and of the newest event until an instant.
pub(super) fn event_days(connection: &Connection, until: Timestamp) -> rusqlite::Result<Option<RangeInclusive<Day>>> {
    // One step into the index of each site, and end.
    let end = |direction: &str| {
        format!(
            "(select created_at from events where site = sites.id and created_at / 1000 <= ?1 / 1000 and created_at <= ?1
              order by created_at / 1000 {direction} limit 1)"
        )
    };
    let sql = format!("select min({}), max({}) from sites", end("asc"), end("desc"));
    let mut find = connection.prepare_cached(&sql)?;
    let (oldest, newest): (Option<i64>, Option<i64>) =
        find.query_row([until.millis()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let day = |millis| Timestamp::from_millis(millis).day();
    Ok(oldest.zip(newest).map(|(oldest, newest)| day(oldest)..=day(newest)))
}

/// Notes a fact about the store.
pub(super) fn note(writer: &mut Writer, name: &'static str, value: i64) -> Result<()> {
    Ok(writer.transaction(|writer| put(&writer.connection, name, value))?)
}

pub(super) fn put(connection: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(
        "insert into meta (name, value) values (?1, ?2) on conflict do update set value = excluded.value",
    )?;
    put.execute(params![name, value]).map(drop)
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
    if expired > 0 {
        writer.transaction(|writer| {
            note_old_pages(&writer.connection)?;
            writer.connection.prepare_cached("delete from secrets where expires <= ?1")?.execute([now.millis()])
        })?;
    }
    cut_log(writer)?;
    Ok(expired.unsigned_abs())
}

/// Notes, in a transaction that overwrites, that the log has to be cut off afterwards.
pub(super) fn note_old_pages(connection: &Connection) -> rusqlite::Result<()> {
    put(connection, OLD_PAGES_IN_LOG, 1)
}

/// Cuts off the log if it may hold what was overwritten. While a reader holds an older snapshot that cannot
/// be done: then it is an error, and the next call tries again, after a restart too.
pub(super) fn cut_log(writer: &mut Writer) -> Result<()> {
    if fact(&writer.connection, OLD_PAGES_IN_LOG)?.unwrap_or(0) > 0 {
        if !writer.cut_log()? {
            let reason =
                "the log still holds what was destroyed, because a reader has an older snapshot; it is tried again";
            return Err(StoreError::Unavailable { engine: ENGINE, reason: reason.to_owned() });
        }
        note(writer, OLD_PAGES_IN_LOG, 0)?;
    }
    Ok(())
}
