//! Partitions: of events by day, of their ids by month, made ahead and when an event needs one.
//!
//! A partition is made as a table of its own and then attached, which takes a lock that neither
//! readers nor writers of the other partitions notice. Several processes may do it at once.

use std::collections::BTreeSet;

use tokio_postgres::Client;
use tokio_postgres::error::Error;

use crate::period::{Period, PeriodKey};
use crate::time::Day;

/// How many days ahead partitions are made, so that no event waits for its own.
pub(super) const AHEAD: i32 = 7;

/// Serialises those who make or drop partitions; let go with the transaction.
pub(super) const LOCK: &str = "select pg_advisory_xact_lock(hashtextextended('maicivy-analytics/partitions', 0))";

/// Whether a table is there, in our schema.
const THERE: &str = "select 1 from pg_class where relname = $1
    and relnamespace = (select relnamespace from pg_class where oid = 'analytics_events'::regclass)";

/// What comes before the day or month in a partition's name.
pub(super) const EVENTS: &str = "analytics_events_";
/// The same of ids.
pub(super) const IDS: &str = "analytics_event_ids_";

/// `20251208`, as it stands in a partition's name.
pub(super) fn day_name(day: Day) -> String {
    day.to_string().replace('-', "")
}

/// `202512`, the month of a day.
fn month_name(month: PeriodKey) -> String {
    month.to_string().replace('-', "")
}

/// Makes those partitions that events of these days need and that are not there; says so of each
/// that is `made`.
pub(super) async fn ensure(client: &mut Client, days: &BTreeSet<Day>, made: impl Fn()) -> Result<(), Error> {
    let mut wanted: Vec<(String, &str, String, String)> = days
        .iter()
        .map(|day| (EVENTS.to_owned() + &day_name(*day), "analytics_events", midnight(*day), midnight(day.plus(1))))
        .collect();
    let months: BTreeSet<PeriodKey> = days.iter().map(|day| PeriodKey::of(Period::Month, *day)).collect();
    wanted.extend(months.into_iter().map(|month| {
        let (first, next) = (month.first_day(), month.last_day().plus(1));
        (IDS.to_owned() + &month_name(month), "analytics_event_ids", first.to_string(), next.to_string())
    }));
    let names: Vec<&str> = wanted.iter().map(|(name, ..)| name.as_str()).collect();
    let missing =
        client.query("select name from unnest($1::text[]) as name where to_regclass(name) is null", &[&names]).await?;
    let missing = missing.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, Error>>()?;
    // One transaction each: whatever is made is made, and no lock is held for long.
    for (name, parent, from, to) in wanted.iter().filter(|(name, ..)| missing.contains(name)) {
        let transaction = client.transaction().await?;
        transaction.batch_execute(LOCK).await?;
        // What another process made while this one waited for the lock may be in no cache of names
        // yet, which is what to_regclass asks; the catalogue's rows are read anew.
        if transaction.query_opt(THERE, &[name]).await?.is_none() {
            transaction
                .batch_execute(&format!(
                    "create table {name} (like {parent} including all);
                     alter table {parent} attach partition {name} for values from ('{from}') to ('{to}')"
                ))
                .await?;
        }
        transaction.commit().await?;
        made();
    }
    Ok(())
}

/// The days from `today` on whose partitions are made ahead.
pub(super) fn ahead(today: Day) -> BTreeSet<Day> {
    (0..=AHEAD).map(|days| today.plus(days)).collect()
}

fn midnight(day: Day) -> String {
    format!("{day} 00:00:00+00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time() {
        let day = Day::parse("2025-12-08").unwrap();
        assert_eq!(day_name(day), "20251208");
        assert_eq!(month_name(PeriodKey::of(Period::Month, day)), "202512");
        assert_eq!(ahead(day).len(), 8);
    }
}
