//! Deletion: old days, and totals that have outlived their use.
//!
//! What is kept from now on is recorded first. Then each day goes as a whole partition: it is
//! detached and renamed, in one transaction that no question and no event waits for longer than
//! [`LOCK_TIMEOUT`]; then it is dropped. What a crash leaves is found by its name.

use std::collections::HashSet;
use std::time::Duration;

use tokio_postgres::error::{Error, SqlState};
use tokio_postgres::{Client, Transaction};

use super::connection::{Connections, unavailable};
use super::totals::visitors_since;
use super::values::count;
use super::{keep, partitions};
use crate::period::{Period, PeriodKey};
use crate::store::{Result, Step};
use crate::time::{Day, Timestamp};

/// How long others wait behind a detaching at most; it is tried again, less and less often.
const LOCK_TIMEOUT: &str = "100ms";
/// How often a detaching is tried in one step.
const TRIES: u32 = 10;
/// By how much longer each pause between two tries is than the one before.
const PAUSE: Duration = Duration::from_millis(50);
/// The other transactions that hold a lock on one of two tables.
const HOLDERS: &str = "select distinct virtualtransaction from pg_locks
    where locktype = 'relation' and granted and pid <> pg_backend_pid()
      and database = (select oid from pg_database where datname = current_database())
      and relation in (to_regclass($1), to_regclass($2))";
/// Rows that one statement deletes at most.
const ROWS: i64 = 10_000;
/// Totals of days live as long as events, and at least this long.
const DAY_TOTALS: i32 = 90;
/// Totals of weeks and months live at least this long.
const LONG_TOTALS: i32 = 365;
/// Deleting may take longer than a question.
const SESSION: &str = "set statement_timeout = '5min'";

/// Partitions that were detached and wait to be dropped; the comment on one that had events says
/// of which day.
const EXPIRED: &str = "analytics_expired_";
/// How many events such a table has: the day's totals are exact, and are deleted later; counting
/// again would read all events.
const COUNT: &str = "select coalesce(sum(t.events), 0)::int8
    from analytics_sites s join analytics_totals t on t.site = s.id
        and t.bucket = (to_date(obj_description(to_regclass($1), 'pg_class'), 'YYYYMMDD') - date '1970-01-01')::int8 * 4";

/// One bounded step of the retention run.
pub(super) async fn delete_before(connections: &Connections, cutoff: Day, now: Timestamp) -> Result<Step> {
    let mut client = connections.own().await?;
    client.batch_execute(SESSION).await?;
    // What is made ahead must not be what is dropped.
    partitions::ensure(&mut client, &partitions::ahead(now.day().max(cutoff)), || ()).await?;
    let before = keep::kept_since(&client).await?;
    let kept_since = before.map_or(cutoff, |before| before.max(cutoff));
    if before != Some(kept_since) {
        keep::note(&client, "kept_since", kept_since.number().into()).await?;
        keep::note_change(&client).await?;
    }
    if let Some(table) = first_table(&client, EXPIRED).await? {
        return Ok(Step { deleted: drop_table(&client, &table).await?, done: false });
    }
    // The ids of a month go when its last day has gone.
    let day = partitions::day_name(cutoff);
    let month = &partitions::day_name(PeriodKey::of(Period::Month, cutoff).first_day())[..6];
    for (prefix, end, parent) in
        [(partitions::EVENTS, &*day, "analytics_events"), (partitions::IDS, month, "analytics_event_ids")]
    {
        if let Some(table) = first_table(&client, prefix).await?
            && table[prefix.len()..] < *end
        {
            detach(&mut client, &table, parent).await?;
            return Ok(Step { deleted: 0, done: false });
        }
    }
    let deleted = delete_rest(&client, kept_since, cutoff, now).await?;
    Ok(Step { deleted: 0, done: deleted == 0 })
}

/// The first table of our schema, by name, that begins like this and goes on with digits.
async fn first_table(client: &Client, prefix: &str) -> Result<Option<String>, Error> {
    let row = client
        .query_opt(
            "select relname::text from pg_class
             where relnamespace = (select relnamespace from pg_class where oid = 'analytics_events'::regclass)
               and relkind = 'r' and relname ~ ('^' || $1 || '[0-9]+$')
             order by relname limit 1",
            &[&prefix],
        )
        .await?;
    row.map(|row| row.try_get(0)).transpose()
}

/// Detaches a partition and gives it a name that nothing looks at.
///
/// While a long transaction holds one of the two tables, such as a dump's, it is not tried: that could
/// not succeed, and events would wait behind every try.
async fn detach(client: &mut Client, table: &str, parent: &str) -> Result<()> {
    let mut transaction = client.transaction().await?;
    let mut before = holders(&transaction, table, parent).await?;
    for attempt in 0..TRIES {
        if !before.is_empty() {
            tokio::time::sleep(PAUSE * (attempt + 1)).await;
        }
        let now = holders(&transaction, table, parent).await?;
        if before.is_disjoint(&now) {
            match try_detach(&mut transaction, table, parent).await {
                Ok(()) => return Ok(transaction.commit().await?),
                Err(error) if is_locked(&error) => tokio::time::sleep(PAUSE * attempt).await,
                Err(error) => return Err(error.into()),
            }
        }
        before = now;
    }
    Err(unavailable("a long transaction, such as a dump, holds an old partition; it is tried again"))
}

async fn holders(client: &Transaction<'_>, table: &str, parent: &str) -> Result<HashSet<String>, Error> {
    let rows = client.query(HOLDERS, &[&table, &parent]).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Detaches in a moment between others' transactions.
///
/// Sites are locked first, as writers do, so that all writers are done, and `expired` says which
/// positions were given before. Ids of days that are not kept are no duplicates from now on.
async fn try_detach(transaction: &mut Transaction<'_>, table: &str, parent: &str) -> Result<(), Error> {
    let transaction = transaction.savepoint("detach").await?;
    transaction.batch_execute(&format!("set local lock_timeout = '{LOCK_TIMEOUT}'")).await?;
    transaction.batch_execute(partitions::LOCK).await?;
    let attached = transaction
        .query_opt("select oid::int8, relispartition from pg_class where oid = to_regclass($1)", &[&table])
        .await?;
    let Some(row) = attached else { return Ok(()) };
    let (oid, attached): (i64, bool) = (row.try_get(0)?, row.try_get(1)?);
    transaction.batch_execute("select from analytics_sites order by id for no key update").await?;
    transaction.batch_execute("update analytics_sites set expired = position where expired < position").await?;
    if attached {
        transaction.batch_execute(&format!("alter table {parent} detach partition {table}")).await?;
    }
    if let Some(day) = table.strip_prefix(partitions::EVENTS) {
        transaction.batch_execute(&format!("comment on table {table} is '{day}'")).await?;
    }
    transaction.batch_execute(&format!("alter table {table} rename to {EXPIRED}{oid}")).await?;
    transaction.commit().await
}

fn is_locked(error: &Error) -> bool {
    matches!(error.code(), Some(&SqlState::LOCK_NOT_AVAILABLE | &SqlState::T_R_DEADLOCK_DETECTED))
}

/// Drops a table that was detached; answers how many events went with it.
async fn drop_table(client: &Client, table: &str) -> Result<u64, Error> {
    let row = client.query_one(COUNT, &[&table]).await?;
    client.batch_execute(&format!("drop table {table}")).await?;
    Ok(count(row.try_get(0)?))
}

/// Deletes up to [`ROWS`] of the first kind of thing that has any left to delete.
async fn delete_rest(client: &Client, kept_since: Day, cutoff: Day, now: Timestamp) -> Result<u64, Error> {
    let today = now.day();
    let before = |days: i32| PeriodKey::of(Period::Day, cutoff.min(today.plus(-days))).bucket();
    let mut deleted = client
        .execute(
            "delete from analytics_visitors where ctid = any (array(
                 select v.ctid from analytics_sites s join analytics_visitors v on v.site = s.id and v.month < $1 limit $2
             ))",
            &[&visitors_since(kept_since), &ROWS],
        )
        .await?;
    for (kind, days) in [("= 0", DAY_TOTALS), ("<> 0", LONG_TOTALS)] {
        if deleted == 0 {
            let sql = format!(
                "delete from analytics_totals where ctid = any (array(
                     select t.ctid from analytics_sites s
                     join analytics_totals t on t.site = s.id and t.bucket < $1 and t.bucket & 3 {kind} limit $2
                 ))"
            );
            deleted = client.execute(&sql, &[&before(days), &ROWS]).await?;
        }
    }
    Ok(deleted)
}
