//! Facts about the store as a whole, in `analytics_meta`.

use std::ops::RangeInclusive;

use tokio_postgres::error::Error;
use tokio_postgres::{Client, Row};

use crate::period::{Period, PeriodKey};
use crate::time::{Day, Timestamp};

/// From which day on what is there; all begin with 1970, and grow unless a wrong clock
/// had moved them ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Horizon {
    /// The first day whose events are all still there, once days were dropped.
    pub(super) kept_since: Option<Day>,
    /// The first day that questions about days are answered for.
    pub(super) days_since: Day,
    /// Weeks and months that begin before this day are answered no more.
    pub(super) long_since: Day,
    /// The first day whose distinct visitors are all there, among the events or apart from them.
    /// Of periods that began before it, only their number is left.
    pub(super) visitors_since: Day,
}

impl Default for Horizon {
    fn default() -> Self {
        let first = Day::from_number(0);
        Self { kept_since: None, days_since: first, long_since: first, visitors_since: first }
    }
}

impl Horizon {
    /// Whether questions about a period are answered by more than zeros.
    pub(super) fn answers(&self, key: PeriodKey) -> bool {
        match key.period() {
            Period::Day => key.first_day() >= self.days_since,
            Period::Week | Period::Month => key.first_day() >= self.long_since,
        }
    }

    /// The first day whose events are all there.
    pub(super) fn kept(&self) -> Day {
        self.kept_since.unwrap_or(Day::from_number(0))
    }

    /// Whether a period's distinct visitors are all there, so that they can be counted.
    pub(super) fn has_visitors(&self, key: PeriodKey) -> bool {
        key.first_day() >= self.visitors_since
    }
}

const HORIZON: &str = "select name, value from analytics_meta
    where name in ('kept_since', 'day_counters_since', 'long_counters_since', 'visitors_since')";

/// Reads the horizon.
pub(super) async fn horizon(client: &Client) -> Result<Horizon, Error> {
    let rows = client.query_typed(HORIZON, &[]).await?;
    of_rows(&rows)
}

fn of_rows(rows: &[Row]) -> Result<Horizon, Error> {
    let mut horizon = Horizon::default();
    for row in rows {
        let day = Day::from_number(i32::try_from(row.try_get::<_, i64>(1)?).unwrap_or(i32::MAX));
        match row.try_get(0)? {
            "kept_since" => horizon.kept_since = Some(day),
            "day_counters_since" => horizon.days_since = day,
            "visitors_since" => horizon.visitors_since = day,
            _ => horizon.long_since = day,
        }
    }
    Ok(horizon)
}

/// Reads one fact.
pub(super) async fn fact(client: &Client, name: &str) -> Result<Option<i64>, Error> {
    let row = client.query_opt("select value from analytics_meta where name = $1", &[&name]).await?;
    row.map(|row| row.try_get(0)).transpose()
}

/// A small write that is durable when it returns: a server in recovery, one that is read only and
/// one without room refuse it.
pub(super) async fn write_check(client: &Client) -> Result<(), Error> {
    let write = "insert into analytics_meta (name, value) values ('checked', 1)
        on conflict (name) do update set value = analytics_meta.value + 1";
    client.execute(write, &[]).await.map(drop)
}

/// Records one fact.
pub(super) async fn note(client: &Client, name: &str, value: i64) -> Result<(), Error> {
    let put = "insert into analytics_meta (name, value) values ($1, $2)
        on conflict (name) do update set value = excluded.value";
    client.execute(put, &[&name, &value]).await.map(drop)
}

/// Moves the horizon back to this day, where it lies after it.
pub(super) async fn lower(client: &Client, to: Day) -> Result<Horizon, Error> {
    let lower = "update analytics_meta set value = least(value, $1)
        where name in ('kept_since', 'day_counters_since', 'long_counters_since', 'visitors_since')";
    client.execute(lower, &[&i64::from(to.number())]).await?;
    horizon(client).await
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
