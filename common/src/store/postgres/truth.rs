//! What Redis is filled from: the committed events and what is counted from them, as one
//! position of a site has it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_postgres::Client;
use tokio_postgres::error::Error;
use uuid::Uuid;

use super::connection::Connections;
use super::facts::{self, Horizon};
use super::rows::{COLUMNS, committed};
use super::values::{count, from_text};
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Committed, Position, Result};
use crate::tally::Dimension;
use crate::time::{Day, HOUR, Timestamp};
use crate::visitor::VisitorId;

/// Visitors that are read at a time.
const CHUNK: i32 = 10_000;
/// How long the reading of one chunk may take: the first of a day sorts that day's visitors.
const SLOW: &str = "set statement_timeout = '60s'; set idle_in_transaction_session_timeout = '60s'";

/// PostgreSQL, as far as Redis's side of the engine needs it. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Truth {
    connections: Connections,
    store_id: Uuid,
    horizon: Arc<Mutex<Horizon>>,
}

impl Truth {
    /// Reads who the store is; the schema must be there.
    pub(super) async fn open(connections: Connections) -> Result<Self> {
        let (store_id, horizon) = connections
            .ask("open", |client| async move {
                let store = client.query_one("select id from analytics_store", &[]).await?;
                Ok((store.try_get(0)?, facts::horizon(&client).await?))
            })
            .await?;
        Ok(Self { connections, store_id, horizon: Arc::new(Mutex::new(horizon)) })
    }

    /// Names this store among all that could ever have filled a Redis.
    pub(super) fn store_id(&self) -> Uuid {
        self.store_id
    }

    /// From when on what is there, as of the last look, which [`Self::positions`] takes too.
    pub(super) fn horizon(&self) -> Horizon {
        *self.horizon.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_horizon(&self, horizon: Horizon) {
        *self.horizon.lock().unwrap_or_else(PoisonError::into_inner) = horizon;
    }

    /// All sites and how many events of each were ever committed.
    pub(super) async fn positions(&self) -> Result<Vec<(Site, u64)>> {
        let (positions, horizon) = self
            .connections
            .ask("positions", |client| async move {
                let sites = client.prepare_cached("select name, position from analytics_sites").await?;
                let (rows, horizon) = tokio::try_join!(client.query(&sites, &[]), facts::horizon(&client))?;
                let positions = rows.iter().filter_map(|row| {
                    let site = Site::parse(row.try_get(0).ok()?)?;
                    Some(row.try_get(1).map(|position| (site, count(position))))
                });
                Ok((positions.collect::<Result<Vec<_>, Error>>()?, horizon))
            })
            .await?;
        self.note_horizon(horizon);
        Ok(positions)
    }

    /// A site's events after a place, in order of position, at most `limit`. Everything below a
    /// committed position is committed, so there are no gaps but where days were dropped.
    pub(super) async fn committed_after(&self, site: &Site, after: Position, limit: usize) -> Result<Vec<Committed>> {
        self.connections
            .ask("feed", |client| async move {
                let sql = format!(
                    "select {COLUMNS} from analytics_events
                     where site = (select id from analytics_sites where name = $1) and position > $2
                     order by position limit $3"
                );
                let find = client.prepare_cached(&sql).await?;
                let rows = client.query(&find, &[&site.as_str(), &(after.0 as i64), &(limit as i64)]).await?;
                rows.iter().map(|row| committed(site, row)).collect()
            })
            .await
    }

    /// As [`Connections::incarnation`].
    pub(super) fn incarnation(&self) -> u64 {
        self.connections.incarnation()
    }

    /// Which events stand at these positions of sites, as far as they are kept.
    pub(super) async fn ids_at(&self, places: &[(Site, u64)]) -> Result<Vec<(Site, Uuid)>> {
        let names: Vec<&str> = places.iter().map(|(site, _)| site.as_str()).collect();
        let positions: Vec<i64> = places.iter().map(|(_, position)| *position as i64).collect();
        let (names, positions) = (&names, &positions);
        self.connections
            .ask("look", |client| async move {
                let rows = client
                    .query(
                        "select s.name, e.id from unnest($1::text[], $2::int8[]) as q (name, position)
                         join analytics_sites s on s.name = q.name
                         join analytics_events e on e.site = s.id and e.position = q.position",
                        &[names, positions],
                    )
                    .await?;
                let ids = rows.iter().filter_map(|row| {
                    let site = Site::parse(row.try_get(0).ok()?)?;
                    Some(row.try_get(1).map(|id| (site, id)))
                });
                ids.collect()
            })
            .await
    }

    /// The right to rebuild what Redis has of a site: one process's at a time. `None` when
    /// another one has it.
    pub(super) async fn lock_rebuild(&self, site: &Site) -> Result<Option<RebuildLock>> {
        let connection = self.connections.own().await?;
        let name = format!("maicivy-analytics/rebuild/{}/{site}", self.store_id);
        let row = connection.query_one("select pg_try_advisory_lock(hashtextextended($1, 0))", &[&name]).await?;
        Ok(row.try_get::<_, bool>(0)?.then_some(RebuildLock { _connection: connection }))
    }

    /// What a site has at one position, read in one repeatable-read transaction.
    pub(super) async fn snapshot(&self, site: &Site, now: Timestamp) -> Result<Snapshot> {
        let connection = self.connections.own().await?;
        connection.batch_execute(SLOW).await?;
        connection.batch_execute("begin isolation level repeatable read read only").await?;
        let horizon = facts::horizon(&connection).await?;
        let row =
            connection.query_opt("select id, position from analytics_sites where name = $1", &[&site.as_str()]).await?;
        let (id, position) = match row {
            Some(row) => (row.try_get(0)?, count(row.try_get(1)?)),
            // Ids begin with 1: this site has nothing.
            None => (0, 0),
        };
        let last = connection
            .query_opt("select id from analytics_events where site = $1 and position = $2", &[&id, &(position as i64)])
            .await?;
        let last = last.map(|row| row.try_get(0)).transpose()?;
        let counters = counters(&connection, id, horizon).await?;
        let presence = presence(&connection, id, now).await?;
        let days = days(&connection, id, horizon).await?;
        Ok(Snapshot { position, last, horizon, counters, presence, connection, site: id, days, open: None })
    }
}

/// Held while it lives; let go with its connection, which nothing else uses.
#[derive(Debug)]
pub(super) struct RebuildLock {
    _connection: Client,
}

/// What a site has at one position.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// The position.
    pub(super) position: u64,
    /// The event that stands there, if it is kept.
    pub(super) last: Option<Uuid>,
    /// From when on what is there.
    pub(super) horizon: Horizon,
    /// Sums by period of [`Dimension::All`], page views, letters, letters by type, and themes:
    /// those that are not zero, of periods that are still answered.
    pub(super) counters: Vec<(PeriodKey, Dimension, String, u64)>,
    /// Who had events in the hour before the snapshot's now, or after it, and the latest.
    pub(super) presence: Vec<(VisitorId, Timestamp)>,
    connection: Client,
    site: i32,
    /// Days that have events, the next one last.
    days: Vec<Day>,
    /// The day whose visitors a cursor is reading.
    open: Option<Day>,
}

impl Snapshot {
    /// The next visitors, distinct within a day, of all days whose visitors are there; `None`
    /// after the last.
    pub(super) async fn next_visitors(&mut self) -> Result<Option<(Day, Vec<VisitorId>)>> {
        loop {
            let day = match self.open {
                Some(day) => day,
                None => {
                    let Some(day) = self.days.pop() else {
                        self.connection.batch_execute("rollback").await?;
                        return Ok(None);
                    };
                    let (site, start, end) = (self.site, day.start(), day.plus(1).start());
                    self.connection
                        .batch_execute(&format!(
                            "declare visitors no scroll cursor for select visitor from analytics_events
                             where site = {site} and created_at >= '{start}' and created_at < '{end}'
                             union select visitor from analytics_visitors where site = {site} and day = '{day}'"
                        ))
                        .await?;
                    self.open = Some(day);
                    day
                }
            };
            let rows = self.connection.query_typed(&format!("fetch {CHUNK} from visitors"), &[]).await?;
            if rows.is_empty() {
                self.connection.batch_execute("close visitors").await?;
                self.open = None;
                continue;
            }
            let visitors =
                rows.iter().map(|row| Ok(row.try_get::<_, Uuid>(0)?.into())).collect::<Result<_, Error>>()?;
            return Ok(Some((day, visitors)));
        }
    }
}

/// What Redis keeps, of all days that any answered period needs.
const COUNTERS: &str = "select day, dimension, value, n from analytics_counters
    where site = $1 and day >= least($2::date, $3::date)
      and (dimension in (0, 2, 3) or dimension = 1 and value in ('page_view', 'letter_generate'))";

async fn counters(
    connection: &Client,
    site: i32,
    horizon: Horizon,
) -> Result<Vec<(PeriodKey, Dimension, String, u64)>, Error> {
    let mut sums = std::collections::BTreeMap::<(PeriodKey, Dimension, String), u64>::new();
    for row in connection.query(COUNTERS, &[&site, &horizon.days_since, &horizon.long_since]).await? {
        let day = row.try_get(0)?;
        let dimension = usize::try_from(row.try_get::<_, i16>(1)?).ok().and_then(|at| Dimension::ALL.get(at));
        let (Some(dimension), value) = (dimension, from_text(row.try_get(2)?)) else { continue };
        for key in Period::ALL.map(|period| PeriodKey::of(period, day)) {
            if horizon.answers(key) {
                *sums.entry((key, *dimension, value.clone())).or_default() += count(row.try_get(3)?);
            }
        }
    }
    Ok(sums.into_iter().map(|((key, dimension, value), n)| (key, dimension, value, n)).collect())
}

async fn presence(connection: &Client, site: i32, now: Timestamp) -> Result<Vec<(VisitorId, Timestamp)>, Error> {
    let rows = connection
        .query(
            "select visitor, max(created_at) from analytics_events where site = $1 and created_at > $2 group by visitor",
            &[&site, &now.plus(-HOUR)],
        )
        .await?;
    rows.iter().map(|row| Ok((row.try_get::<_, Uuid>(0)?.into(), row.try_get(1)?))).collect()
}

/// Days that had events and whose visitors are there, from the counters: latest first.
async fn days(connection: &Client, site: i32, horizon: Horizon) -> Result<Vec<Day>, Error> {
    let rows = connection
        .query(
            "select day from analytics_counters where site = $1 and day >= $2 and dimension = 0 order by day desc",
            &[&site, &horizon.visitors_since],
        )
        .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}
