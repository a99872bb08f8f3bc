//! What is kept beside events: secrets, claims of retention runs, and facts about the store.

use std::ops::RangeInclusive;

use tokio_postgres::Client;
use tokio_postgres::error::{Error, SqlState};

use super::connection::{Connections, unavailable};
use crate::store::{CLAIM, Result, Secret, SecretName};
use crate::time::{Day, Timestamp};

/// Whether deleted secrets may still stand in their table's file.
const SECRETS_IN_FILE: &str = "secrets_in_file";
/// How long destroying secrets waits for their table; those who read it wait behind it.
const SECRETS_LOCK_TIMEOUT: &str = "1s";

/// Reads one fact of `analytics_meta`.
pub(super) async fn fact(client: &Client, name: &str) -> Result<Option<i64>, Error> {
    let row = client.query_opt("select value from analytics_meta where name = $1", &[&name]).await?;
    row.map(|row| row.try_get(0)).transpose()
}

/// Records one fact.
pub(super) async fn note(client: &Client, name: &str, value: i64) -> Result<(), Error> {
    let put = "insert into analytics_meta (name, value) values ($1, $2)
        on conflict (name) do update set value = excluded.value";
    client.execute(put, &[&name, &value]).await.map(drop)
}

/// Notes that answers have changed other than by events: other processes look for it twice a second,
/// and do not use answers of before any more.
pub(super) async fn note_change(client: &Client) -> Result<(), Error> {
    let note = "insert into analytics_meta (name, value) values ('changes', 1)
        on conflict (name) do update set value = analytics_meta.value + 1";
    client.execute(note, &[]).await.map(drop)
}

/// Notes that a visitor was erased, for other processes: the feed may have delivered events that are gone.
pub(super) async fn note_erasure(client: &Client) -> Result<(), Error> {
    let note = "insert into analytics_meta (name, value) values ('erasures', 1)
        on conflict (name) do update set value = analytics_meta.value + 1";
    client.execute(note, &[]).await.map(drop)
}

/// The first day whose events are all there, once days were dropped.
pub(super) async fn kept_since(client: &Client) -> Result<Option<Day>, Error> {
    let number = fact(client, "kept_since").await?;
    Ok(number.map(|number| Day::from_number(i32::try_from(number).unwrap_or(i32::MAX))))
}

/// Moves the first kept day back to this one, where it lies after it.
pub(super) async fn lower_kept(client: &Client, to: Day) -> Result<(), Error> {
    let lower = "update analytics_meta set value = least(value, $1) where name = 'kept_since'";
    client.execute(lower, &[&i64::from(to.number())]).await?;
    note_change(client).await
}

/// A small write that is durable when it returns: a server in recovery, one that is read only and
/// one without room refuse it.
pub(super) async fn write_check(client: &Client) -> Result<(), Error> {
    let write = "insert into analytics_meta (name, value) values ('checked', 1)
        on conflict (name) do update set value = analytics_meta.value + 1";
    client.execute(write, &[]).await.map(drop)
}

/// The days of the oldest and of the newest event until an instant.
pub(super) async fn event_days(client: &Client, until: Timestamp) -> Result<Option<RangeInclusive<Day>>, Error> {
    // Partitions are ordered by time: each site's first and last event is found by the index of
    // the first partition that has one.
    let row = client
        .query_one(
            "select min(oldest.created_at), max(newest.created_at) from analytics_sites s
             cross join lateral (
                 select created_at from analytics_events where site = s.id and created_at <= $1
                 order by created_at limit 1
             ) oldest
             cross join lateral (
                 select created_at from analytics_events where site = s.id and created_at <= $1
                 order by created_at desc limit 1
             ) newest",
            &[&until],
        )
        .await?;
    let (oldest, newest): (Option<Timestamp>, Option<Timestamp>) = (row.try_get(0)?, row.try_get(1)?);
    Ok(oldest.zip(newest).map(|(oldest, newest)| oldest.day()..=newest.day()))
}

/// Notes when a retention run succeeded. On a connection of its own, as the whole run: questions may
/// take all of the pool.
pub(super) async fn cleaned(connections: &Connections, at: Timestamp) -> Result<()> {
    Ok(note(&connections.own().await?, "last_cleaned", at.millis()).await?)
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

/// Deletes expired secrets and moves the others to a new file, since deleted rows stay in the old one.
/// `truncate` makes it, which unlike `vacuum full` takes along nothing that an older snapshot may still
/// see. While a dump holds the table that is not possible: then it is an error, and the next call tries
/// again, whichever process makes it.
pub(super) async fn destroy_secrets(connections: &Connections, now: Timestamp) -> Result<u64> {
    let mut client = connections.own().await?;
    let delete = "with gone as (delete from analytics_secrets where expires <= $1 returning name),
             noted as (
                 insert into analytics_meta (name, value) select $2, 1 where exists (select from gone)
                 on conflict (name) do update set value = 1
             )
         select count(*) from gone";
    let deleted: i64 = client.query_one(delete, &[&now, &SECRETS_IN_FILE]).await?.try_get(0)?;
    if fact(&client, SECRETS_IN_FILE).await?.unwrap_or(0) > 0 {
        match rewrite_secrets(&mut client).await {
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                let reason = "the file of analytics_secrets still holds expired salts, because the table is locked; \
                              it is tried again";
                return Err(unavailable(reason));
            }
            rewritten => rewritten?,
        }
    }
    Ok(deleted.unsigned_abs())
}

/// Writes the secrets that there are to a new file, and has the old one removed.
async fn rewrite_secrets(client: &mut Client) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    transaction.batch_execute(&format!("set local lock_timeout = '{SECRETS_LOCK_TIMEOUT}'")).await?;
    transaction.batch_execute("lock table analytics_secrets in access exclusive mode").await?;
    let kept = transaction.query("select name, bytes, expires from analytics_secrets", &[]).await?;
    transaction.batch_execute("truncate analytics_secrets").await?;
    for row in kept {
        let (name, bytes): (&str, &[u8]) = (row.try_get(0)?, row.try_get(1)?);
        let expires: Option<Timestamp> = row.try_get(2)?;
        let insert = "insert into analytics_secrets (name, bytes, expires) values ($1, $2, $3)";
        transaction.execute(insert, &[&name, &bytes, &expires]).await?;
    }
    transaction.execute("delete from analytics_meta where name = $1", &[&SECRETS_IN_FILE]).await?;
    transaction.commit().await
}
