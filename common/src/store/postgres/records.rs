//! Records: bytes of the core, by id.

use uuid::Uuid;

use super::connection::Connections;
use crate::store::{RecordKind, Result};

pub(super) async fn put(connections: &Connections, kind: RecordKind, id: Uuid, bytes: Vec<u8>) -> Result<()> {
    let bytes = &bytes;
    let put = connections.ask("put_record", |client| async move {
        let put = "insert into analytics_records (kind, id, bytes) values ($1, $2, $3)
                   on conflict (kind, id) do update set bytes = excluded.bytes";
        client.execute(put, &[&(kind as i16), &id, bytes]).await
    });
    put.await.map(drop)
}

pub(super) async fn read(connections: &Connections, kind: RecordKind, id: Uuid) -> Result<Option<Vec<u8>>> {
    let read = connections.ask("record", |client| async move {
        let find = client.prepare_cached("select bytes from analytics_records where kind = $1 and id = $2").await?;
        let row = client.query_opt(&find, &[&(kind as i16), &id]).await?;
        row.map(|row| row.try_get(0)).transpose()
    });
    read.await
}

pub(super) async fn all(connections: &Connections, kind: RecordKind) -> Result<Vec<(Uuid, Vec<u8>)>> {
    let read = connections.ask("records", |client| async move {
        let find = "select id, bytes from analytics_records where kind = $1 order by id";
        let rows = client.query(find, &[&(kind as i16)]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    });
    read.await
}

pub(super) async fn delete(connections: &Connections, kind: RecordKind, id: Uuid) -> Result<bool> {
    let delete = connections.ask("delete_record", |client| async move {
        client.execute("delete from analytics_records where kind = $1 and id = $2", &[&(kind as i16), &id]).await
    });
    delete.await.map(|deleted| deleted > 0)
}
