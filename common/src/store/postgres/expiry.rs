//! What is not kept: old days, aggregates that have outlived their use, secrets.
//!
//! What is kept from now on is written down first. Then each day goes as a whole partition: its
//! distinct visitors are copied to `analytics_visitors` and the partition is detached and renamed,
//! in one transaction that no question and no event waits for longer than [`LOCK_WAIT`]; then it
//! is dropped. What a crash leaves is found by its name. The copies go when all weeks and months
//! of their days are over, and only the number of visitors of each period stays.
//!
//! None of this depends on Redis.

use std::collections::BTreeSet;

use tokio_postgres::error::{Error, SqlState};
use tokio_postgres::{Client, GenericClient, Transaction};

use super::connection::{Connections, unavailable};
use super::facts::{self, Horizon};
use super::partitions;
use super::truth::Truth;
use super::values::count;
use crate::period::{Period, PeriodKey};
use crate::store::{CLAIM, Result, Secret, SecretName, Step};
use crate::time::{Day, Timestamp};

/// How long others wait behind a detaching at most; it is tried again, less and less often.
const LOCK_WAIT: &str = "100ms";
/// How often a detaching is tried in one step.
const TRIES: u32 = 20;
/// How long a partition's visitors may have to wait to be copied. Only events of that old day are
/// held up meanwhile; a vacuum of it is cancelled by the server after a second.
const COPY_WAIT: &str = "5s";
/// The longest that a week goes on after a month that it began in, in days.
const WEEK: i32 = 7;
/// Rows that one statement deletes at most.
const ROWS: i64 = 10_000;
/// Click cells are asked for 168 hours back at most.
const CLICK_DAYS: i32 = 8;
/// Questions about days are answered as long as events, and at least this long.
const DAY_COUNTERS: i32 = 90;
/// Questions about weeks and months are answered at least this long.
const LONG_COUNTERS: i32 = 365;
/// Old partitions of what is being cleaned up take longer than a question may.
const SLOW: &str = "set statement_timeout = '5min'";

/// Partitions that were detached and wait to be dropped; the comment on one that had events says
/// of which day.
const EXPIRED: &str = "analytics_expired_";
/// How many events such a table has: the day's counters are exact, and are deleted later; counting
/// again would read all events.
const COUNT: &str = "select coalesce(sum(c.n), 0)::int8
    from analytics_sites s join analytics_counters c on c.site = s.id and c.dimension = 0
        and c.day = to_date(obj_description(to_regclass($1), 'pg_class'), 'YYYYMMDD')";

/// One bounded step of the retention run.
pub(super) async fn delete_before(
    connections: &Connections,
    truth: &Truth,
    cutoff: Day,
    now: Timestamp,
) -> Result<Step> {
    let mut client = connections.own().await?;
    client.batch_execute(SLOW).await?;
    // What is made ahead must not be what is dropped.
    partitions::ensure(&mut client, &partitions::ahead(now.day().max(cutoff)), || ()).await?;
    let before = facts::horizon(&client).await?;
    let today = now.day();
    let after = Horizon {
        kept_since: Some(cutoff.max(before.kept())),
        days_since: cutoff.min(today.plus(-DAY_COUNTERS)).max(before.days_since),
        long_since: cutoff.min(today.plus(-LONG_COUNTERS)).max(before.long_since),
        ..before
    };
    if after != before {
        write_horizon(&client, after).await?;
        truth.note_horizon(after);
    }
    if let Some(table) = first_table(&client, EXPIRED).await? {
        return Ok(Step { deleted: drop_table(&client, &table).await?, done: false });
    }
    let day = partitions::day_name(cutoff);
    if let Some(table) = first_table(&client, partitions::EVENTS).await?
        && table[partitions::EVENTS.len()..] < *day
    {
        detach(&mut client, &table).await?;
        return Ok(Step { deleted: 0, done: false });
    }
    // The ids of a month go when its last day has gone.
    let month = partitions::day_name(PeriodKey::of(Period::Month, cutoff).first_day());
    if let Some(table) = first_table(&client, partitions::IDS).await?
        && table[partitions::IDS.len()..] < month[..6]
    {
        detach(&mut client, &table).await?;
        return Ok(Step { deleted: 0, done: false });
    }
    let over = Horizon {
        visitors_since: PeriodKey::of(Period::Month, after.kept().plus(-WEEK)).first_day().max(after.visitors_since),
        ..after
    };
    if over != after {
        count_visitors(&mut client, over).await?;
        truth.note_horizon(over);
        return Ok(Step { deleted: 0, done: false });
    }
    let deleted = delete_rest(&client, after, now).await?;
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

/// Writes down what is kept from now on.
async fn write_horizon(client: &impl GenericClient, horizon: Horizon) -> Result<(), Error> {
    let (names, days): (Vec<&str>, Vec<i64>) = [
        ("kept_since", horizon.kept()),
        ("day_counters_since", horizon.days_since),
        ("long_counters_since", horizon.long_since),
        ("visitors_since", horizon.visitors_since),
    ]
    .map(|(name, day)| (name, i64::from(day.number())))
    .into_iter()
    .unzip();
    client
        .execute(
            "insert into analytics_meta (name, value) select * from unnest($1::text[], $2::int8[])
             on conflict (name) do update set value = greatest(analytics_meta.value, excluded.value)",
            &[&names, &days],
        )
        .await
        .map(drop)
}

/// Counts the distinct visitors of all periods that are over: of those that began before
/// `visitors_since`, all events are gone.
async fn count_visitors(client: &mut Client, horizon: Horizon) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    let days = transaction
        .query("select distinct day from analytics_visitors where day < $1", &[&horizon.visitors_since])
        .await?;
    let mut periods = BTreeSet::new();
    for row in &days {
        let day: Day = row.try_get(0)?;
        periods.extend(Period::ALL.map(|period| PeriodKey::of(period, day)));
    }
    periods.retain(|key| horizon.answers(*key) && !horizon.has_visitors(*key));
    let buckets: Vec<i64> = periods.iter().map(|key| key.bucket()).collect();
    let first: Vec<Day> = periods.iter().map(|key| key.first_day()).collect();
    let last: Vec<Day> = periods.iter().map(|key| key.last_day()).collect();
    transaction
        .execute(
            "insert into analytics_uniques (site, bucket, n)
             select s.id, q.bucket, count(distinct v.visitor)
             from analytics_sites s
             cross join unnest($1::int8[], $2::date[], $3::date[]) as q (bucket, first, last)
             join analytics_visitors v on v.site = s.id and v.day between q.first and q.last
             group by s.id, q.bucket
             on conflict (site, bucket) do update set n = greatest(analytics_uniques.n, excluded.n)",
            &[&buckets, &first, &last],
        )
        .await?;
    write_horizon(&transaction, horizon).await?;
    transaction.commit().await
}

/// Detaches a partition and gives it a name that nothing looks at; copies its visitors before, if
/// it has any.
async fn detach(client: &mut Client, table: &str) -> Result<()> {
    let parent = if table.starts_with(partitions::IDS) { "analytics_event_ids" } else { "analytics_events" };
    let mut transaction = client.transaction().await?;
    if let Some(day) = table.strip_prefix(partitions::EVENTS) {
        // Locked first: no event may come in between.
        let copied = transaction
            .batch_execute(&format!(
                "set local lock_timeout = '{COPY_WAIT}';
                 lock table {table} in share row exclusive mode;
                 insert into analytics_visitors (site, day, visitor)
                 select distinct site, date '{day}', visitor from {table} on conflict do nothing"
            ))
            .await;
        match copied {
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => return Ok(()),
            copied => copied?,
        }
    }
    for attempt in 0..TRIES {
        match try_detach(&mut transaction, table, parent).await {
            Ok(()) => return Ok(transaction.commit().await?),
            Err(error) if is_locked(&error) => {
                tokio::time::sleep(std::time::Duration::from_millis(50 * u64::from(attempt))).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(unavailable("an old partition is in use"))
}

/// Detaches in an instant between others' transactions.
///
/// Sites are locked first, as writers do: so all writers are through, and `expired` says which
/// ids were given before. Those of days that are not kept stand for nothing from now on.
async fn try_detach(transaction: &mut Transaction<'_>, table: &str, parent: &str) -> Result<(), Error> {
    let transaction = transaction.savepoint("detach").await?;
    transaction.batch_execute(&format!("set local lock_timeout = '{LOCK_WAIT}'")).await?;
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
async fn delete_rest(client: &Client, horizon: Horizon, now: Timestamp) -> Result<u64, Error> {
    let clicks = now.day().plus(-CLICK_DAYS);
    // Days are summed up to weeks and months for as long as these are answered.
    let counters = horizon.days_since.min(horizon.long_since);
    let first_hour = i32::try_from(clicks.start().hour()).unwrap_or(i32::MAX);
    let mut deleted = client
        .execute(
            "delete from analytics_clicks where ctid = any (array(
                 select c.ctid from analytics_sites s join analytics_clicks c on c.site = s.id and c.hour < $1 limit $2
             ))",
            &[&first_hour, &ROWS],
        )
        .await?;
    for (table, day) in [
        ("analytics_click_targets", clicks),
        ("analytics_counters", counters),
        ("analytics_visitors", horizon.visitors_since),
    ] {
        if deleted == 0 {
            let sql = format!(
                "delete from {table} where ctid = any (array(
                     select t.ctid from analytics_sites s join {table} t on t.site = s.id and t.day < $1 limit $2
                 ))"
            );
            deleted = client.execute(&sql, &[&day, &ROWS]).await?;
        }
    }
    for table in ["analytics_uniques", "analytics_sketches"] {
        if deleted == 0 {
            // The lowest two bits tell days from weeks and months.
            let sql = format!(
                "delete from {table}
                 where bucket & 3 = 0 and bucket < $1::int8 * 4 or bucket & 3 <> 0 and bucket < $2::int8 * 4"
            );
            let (days, long) = (i64::from(horizon.days_since.number()), i64::from(horizon.long_since.number()));
            deleted = client.execute(&sql, &[&days, &long]).await?;
        }
    }
    Ok(deleted)
}

/// Notes when a retention run succeeded. On a connection of its own, as the whole run: questions may
/// take all of the pool.
pub(super) async fn cleaned(connections: &Connections, at: Timestamp) -> Result<()> {
    let client = connections.own().await?;
    client
        .execute(
            "insert into analytics_meta (name, value) values ('last_cleaned', $1)
             on conflict (name) do update set value = excluded.value",
            &[&at.millis()],
        )
        .await?;
    Ok(())
}

/// Notes the claim of the day's retention run, unless it is done or another process's. What was
/// recorded by a clock that was ahead does not count.
pub(super) async fn claim_cleanup(connections: &Connections, now: Timestamp) -> Result<bool> {
    connections
        .ask("meta", |client| async move {
            client
                .execute(
                    "insert into analytics_meta (name, value)
                     select 'cleanup_claimed', $1::int8
                     where not exists (
                         select from analytics_meta where name = 'last_cleaned' and value >= $2 and value < $3
                     )
                     on conflict (name) do update set value = excluded.value
                     where abs(analytics_meta.value - excluded.value) >= $4::int8",
                    &[&now.millis(), &now.day().start().millis(), &now.day().plus(1).start().millis(), &CLAIM],
                )
                .await
        })
        .await
        .map(|changed| changed > 0)
}

/// The first writer's secret, while it lives.
pub(super) async fn secret(
    connections: &Connections,
    name: SecretName,
    fresh: Secret,
    now: Timestamp,
) -> Result<Secret> {
    let name = match name {
        SecretName::Salt(day) => format!("salt/{day}"),
        SecretName::Pseudonyms => "pseudonyms".to_owned(),
    };
    connections
        .ask("secret", |client| async {
            let client = client;
            client
                .execute(
                    "insert into analytics_secrets (name, bytes, expires) values ($1, $2, $3)
                     on conflict (name) do update set bytes = excluded.bytes, expires = excluded.expires
                     where analytics_secrets.expires <= $4",
                    &[&name, &&fresh.bytes[..], &fresh.expires, &now],
                )
                .await?;
            let row =
                client.query_one("select bytes, expires from analytics_secrets where name = $1", &[&name]).await?;
            let mut bytes = [0; 32];
            let stored: &[u8] = row.try_get(0)?;
            bytes.iter_mut().zip(stored).for_each(|(byte, stored)| *byte = *stored);
            Ok(Secret { bytes, expires: row.try_get(1)? })
        })
        .await
}

/// Deletes expired secrets and rewrites the table, so that its file no longer has them.
pub(super) async fn destroy_secrets(connections: &Connections, now: Timestamp) -> Result<u64> {
    let client = connections.own().await?;
    let deleted = client.execute("delete from analytics_secrets where expires <= $1", &[&now]).await?;
    if deleted > 0 {
        client.batch_execute("vacuum (full) analytics_secrets").await?;
    }
    Ok(deleted)
}
