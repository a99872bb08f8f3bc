//! Secrets, and the records of retention runs.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::batch::Range;
use super::client::Table;
use super::errors::unavailable;
use super::item::{Item, number, read_number, ttl};
use super::keys::{self, END, Key, META, SECRETS};
use super::table::PARTITION_KEY;
use super::write::{Condition, Update, Write};
use crate::store::{CLAIM, Result, Secret, SecretName, Waited};
use crate::time::{DAY, Timestamp};

/// The bytes of a secret.
const BYTES: &str = "b";
/// Milliseconds from which on a secret has expired.
const EXPIRES: &str = "x";

/// When the retention run of a day was claimed.
const CLAIMED: &str = "claimed";
/// When a retention run succeeded.
const CLEANED: &str = "cleaned";
/// Scheduled retention runs that waited.
const WAITED: &str = "waited";

fn secret_key(name: SecretName) -> Key {
    let name = match name {
        SecretName::Salt(day) => format!("salt/{day}"),
        SecretName::Pseudonyms => "pseudonyms".to_owned(),
    };
    Key::new(SECRETS, name)
}

fn read_secret(item: &Item) -> Option<Secret> {
    let bytes: [u8; 32] = item.get(BYTES)?.as_b().ok()?.as_ref().try_into().ok()?;
    Some(Secret { bytes, expires: read_number(item, EXPIRES).map(Timestamp::from_millis) })
}

/// The first writer's secret, until it expires. It is read before it is written, so functions that
/// only ever read one need no permission to write.
pub(super) async fn secret(secrets: &Table, name: SecretName, fresh: Secret, now: Timestamp) -> Result<Secret> {
    let key = secret_key(name);
    let valid = |secret: &Secret| secret.expires.is_none_or(|expires| expires > now);
    let found = secrets.get(&key, true).await?;
    if let Some(secret) = found.as_ref().and_then(read_secret).filter(valid) {
        return Ok(secret);
    }
    let mut item = key.attributes();
    item.insert(BYTES.to_owned(), AttributeValue::B(Blob::new(fresh.bytes)));
    if let Some(expires) = fresh.expires {
        // The service may delete it late; `destroy_secrets` does it in time.
        item.extend([(EXPIRES.to_owned(), number(expires.millis())), ttl(expires.plus(DAY))]);
    }
    let absent = Condition::Absent(PARTITION_KEY.to_owned());
    let put = Write::put(key, item).when(Condition::Any(vec![absent, expired(now)]));
    match secrets.write(&[put]).await? {
        Ok(()) => Ok(fresh),
        Err(stored) => read_secret(&stored)
            .ok_or_else(|| unavailable("the stored secret is missing from the refusal of the new one")),
    }
}

fn expired(now: Timestamp) -> Condition {
    Condition::AtMost(EXPIRES.to_owned(), now.millis())
}

/// Deletes expired secrets; answers how many there were.
pub(super) async fn destroy_secrets(secrets: &Table, now: Timestamp) -> Result<u64> {
    let mut destroyed = 0;
    for item in secrets.all(Range::new(SECRETS, " ", END), true).await? {
        let is_expired = read_number(&item, EXPIRES).is_some_and(|expires: i64| expires <= now.millis());
        if let Some(key) = keys::read(&item).filter(|_| is_expired) {
            // Unless it has been replaced meanwhile.
            let deleted = secrets.write(&[Write::delete(key).when(expired(now))]).await?;
            destroyed += u64::from(deleted.is_ok());
        }
    }
    Ok(destroyed)
}

fn cleanup_key() -> Key {
    Key::new(META, "cleanup")
}

/// Claims the day's retention run, unless it has succeeded or another process's claim holds. What
/// was recorded by a clock that was ahead does not count.
pub(super) async fn claim_cleanup(table: &Table, now: Timestamp) -> Result<bool> {
    let outside = |name: &str, least: Timestamp, most: Timestamp| {
        let ahead = Condition::AtLeast(name.to_owned(), most.millis());
        Condition::Any(vec![Condition::absent_or_at_most(name, least.millis()), ahead])
    };
    let today = now.day();
    let condition = Condition::All(vec![
        outside(CLAIMED, now.plus(-CLAIM), now.plus(CLAIM)),
        outside(CLEANED, today.start().plus(-1), today.plus(1).start()),
    ]);
    let claim = Update::default().set(CLAIMED, number(now.millis()));
    Ok(table.write(&[Write::update(cleanup_key(), claim).when(condition)]).await?.is_ok())
}

/// Records that a retention run succeeded.
pub(super) async fn cleaned(table: &Table, at: Timestamp) -> Result<()> {
    set(table, cleanup_key(), CLEANED, at.millis()).await
}

pub(super) async fn last_cleaned(table: &Table) -> Result<Option<Timestamp>> {
    Ok(cleanup_record(table, CLEANED).await?.map(Timestamp::from_millis))
}

/// The scheduled retention runs that waited.
pub(super) async fn waited(table: &Table) -> Result<Option<Waited>> {
    Ok(cleanup_record(table, WAITED).await?.filter(|number| *number > 0).map(Waited::from_number))
}

/// Records the scheduled retention runs that waited.
pub(super) async fn note_waited(table: &Table, waited: Option<Waited>) -> Result<()> {
    set(table, cleanup_key(), WAITED, waited.map_or(0, Waited::to_number)).await
}

/// A small write that is durable when it returns.
pub(super) async fn write_check(table: &Table) -> Result<()> {
    set(table, Key::new(META, "check"), "checked", 1).await
}

async fn cleanup_record(table: &Table, name: &str) -> Result<Option<i64>> {
    Ok(table.get(&cleanup_key(), true).await?.and_then(|item| read_number(&item, name)))
}

async fn set(table: &Table, key: Key, name: &str, value: i64) -> Result<()> {
    table.write(&[Write::update(key, Update::default().set(name, number(value)))]).await.map(drop)
}
