//! Blocks: bytes of the core, beside the events.

use std::ops::Range;

use super::connection::Connections;
use crate::site::Site;
use crate::store::{BlockKind, Result};
use crate::time::Day;

pub(super) async fn put(
    connections: &Connections,
    site: &Site,
    kind: BlockKind,
    day: Day,
    bytes: Vec<u8>,
) -> Result<()> {
    let bytes = &bytes;
    let put = connections.ask("put_block", |client| async move {
        let put = client
            .prepare_cached(
                "insert into analytics_blocks (kind, site, day, bytes) values ($1, $2, $3, $4)
                 on conflict (kind, site, day) do update set bytes = excluded.bytes",
            )
            .await?;
        client.execute(&put, &[&(kind as i16), &site.as_str(), &day, bytes]).await
    });
    put.await.map(drop)
}

pub(super) async fn read(
    connections: &Connections,
    site: &Site,
    kind: BlockKind,
    days: Range<Day>,
) -> Result<Vec<(Day, Vec<u8>)>> {
    let days = &days;
    let read = connections.ask("blocks", |client| async move {
        let find = client
            .prepare_cached(
                "select day, bytes from analytics_blocks where kind = $1 and site = $2 and day >= $3 and day < $4
                 order by day",
            )
            .await?;
        let rows = client.query(&find, &[&(kind as i16), &site.as_str(), &days.start, &days.end]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    });
    read.await
}

pub(super) async fn delete_one(connections: &Connections, site: &Site, kind: BlockKind, day: Day) -> Result<()> {
    let delete = connections.ask("delete_block", |client| async move {
        let delete = "delete from analytics_blocks where kind = $1 and site = $2 and day = $3";
        client.execute(delete, &[&(kind as i16), &site.as_str(), &day]).await
    });
    delete.await.map(drop)
}

pub(super) async fn delete(connections: &Connections, kind: BlockKind, before: Day) -> Result<u64> {
    let delete = connections.ask("delete_blocks", |client| async move {
        client.execute("delete from analytics_blocks where kind = $1 and day < $2", &[&(kind as i16), &before]).await
    });
    delete.await
}
