//! Reading the event log.

use std::collections::HashMap;

use tokio_postgres::error::Error;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::connection::{Asked, Connections};
use super::rows::{COLUMNS, committed};
use super::values::count;
use crate::event::Event;
use crate::site::Site;
use crate::store::{Committed, Position, Result, TimelineFrom};
use crate::time::Timestamp;

/// The number of the site that is the first parameter; null for one that was never seen.
pub(super) const SITE: &str = "(select id from analytics_sites where name = $1)";

/// Prepares a statement once a connection and asks with it.
pub(super) async fn query(
    client: &Asked,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Vec<tokio_postgres::Row>, Error> {
    let statement = client.prepare_cached(sql).await?;
    client.query(&statement, values).await
}

/// Events of a site, newest first.
pub(super) async fn timeline(
    connections: &Connections,
    site: &Site,
    from: TimelineFrom,
    limit: usize,
) -> Result<Vec<Event>> {
    let page = |condition: &str| {
        format!(
            "select {COLUMNS} from analytics_events where site = {SITE} and {condition}
             order by created_at desc, id desc limit $2 offset $3"
        )
    };
    let limit = limit as i64;
    connections
        .ask("timeline", |client| async {
            let client = client;
            let name = site.as_str();
            let rows = match from {
                TimelineFrom::Newest { until, offset } => {
                    query(&client, &page("created_at <= $4"), &[&name, &limit, &i64::from(offset), &until]).await?
                }
                TimelineFrom::Below(at, id) => {
                    let sql = page("created_at <= $4 and (created_at, id) < ($4, $5)");
                    query(&client, &sql, &[&name, &limit, &0_i64, &at, &id]).await?
                }
            };
            rows.iter().map(|row| Ok(committed(site, row)?.event)).collect()
        })
        .await
}

/// A site's events after a position, in order, at most `limit`. Everything below a committed position
/// is committed, so there are no gaps but where days were dropped.
pub(super) async fn committed_after(
    connections: &Connections,
    site: &Site,
    after: Position,
    limit: usize,
) -> Result<Vec<Committed>> {
    let sql = format!(
        "select {COLUMNS} from analytics_events where site = {SITE} and position > $2 order by position limit $3"
    );
    connections
        .ask("feed", |client| async {
            let client = client;
            let rows = query(&client, &sql, &[&site.as_str(), &(after.0 as i64), &(limit as i64)]).await?;
            rows.iter().map(|row| committed(site, row)).collect()
        })
        .await
}

/// What other processes may have changed.
#[derive(Debug)]
pub(super) struct Found {
    /// How many events of each site were ever committed.
    pub(super) positions: HashMap<Site, u64>,
    /// Grows when answers change other than by events ([`keep::note_change`](super::keep::note_change)).
    pub(super) changes: u64,
    /// Grows when a visitor was erased ([`keep::note_erasure`](super::keep::note_erasure)).
    pub(super) erasures: u64,
    /// The server's clock.
    pub(super) now: Timestamp,
}

/// Looks what other processes may have changed.
pub(super) async fn look(connections: &Connections) -> Result<Found> {
    connections
        .ask("positions", |client| async move {
            let rows = query(
                &client,
                "select now(), coalesce((select value from analytics_meta where name = 'changes'), 0), name, position,
                     coalesce((select value from analytics_meta where name = 'erasures'), 0)
                 from (values (1)) as one left join analytics_sites on true",
                &[],
            )
            .await?;
            let first = rows.first();
            let positions = rows.iter().filter_map(|row| {
                let site = Site::parse(row.try_get(2).ok()?)?;
                Some(row.try_get(3).map(|position| (site, count(position))))
            });
            Ok(Found {
                positions: positions.collect::<Result<_, Error>>()?,
                changes: first.map(|row| row.try_get(1)).transpose()?.map_or(0, count),
                erasures: first.map(|row| row.try_get(4)).transpose()?.map_or(0, count),
                now: first.map_or(Ok(Timestamp::from_millis(0)), |row| row.try_get(0))?,
            })
        })
        .await
}

/// Which events stand at these positions of sites, as far as they are kept.
pub(super) async fn ids_at(connections: &Connections, places: &[(Site, u64)]) -> Result<Vec<(Site, Uuid)>> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = places.iter().map(|(site, _)| site.as_str()).collect();
    let positions: Vec<i64> = places.iter().map(|(_, position)| *position as i64).collect();
    connections
        .ask("ids", |client| async {
            let client = client;
            let rows = query(
                &client,
                "select s.name, e.id from unnest($1::text[], $2::int8[]) as q (name, position)
                 join analytics_sites s on s.name = q.name
                 join analytics_events e on e.site = s.id and e.position = q.position",
                &[&names, &positions],
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

/// The bytes of the database's files.
pub(super) async fn used_bytes(connections: &Connections) -> Result<u64> {
    connections
        .ask("size", |client| async move {
            let rows = query(&client, "select pg_database_size(current_database())", &[]).await?;
            let bytes: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
            Ok(u64::try_from(bytes).unwrap_or(0))
        })
        .await
}

/// The position of a stored event, unless its day was dropped.
pub(super) async fn position(connections: &Connections, site: &Site, id: Uuid) -> Result<Option<Position>> {
    connections
        .ask("position", |client| async move {
            let rows = query(
                &client,
                "select max(i.position) from analytics_sites s join analytics_event_ids i on i.site = s.id
                 where s.name = $1 and i.id = $2 and (i.position > s.expired or i.day >= date '1970-01-01'
                     + coalesce((select value from analytics_meta where name = 'kept_since'), 0)::int)",
                &[&site.as_str(), &id],
            )
            .await?;
            let position = rows.first().map(|row| row.try_get::<_, Option<i64>>(0)).transpose()?.flatten();
            Ok(position.map(|position| Position(count(position))))
        })
        .await
}

/// The position of a site's latest commit: as many events of it were ever committed.
pub(super) async fn latest_position(connections: &Connections, site: &Site) -> Result<Position> {
    connections
        .ask("position", |client| async move {
            let rows =
                query(&client, "select position from analytics_sites where name = $1", &[&site.as_str()]).await?;
            Ok(Position(rows.first().map(|row| row.try_get(0)).transpose()?.map_or(0, count)))
        })
        .await
}
