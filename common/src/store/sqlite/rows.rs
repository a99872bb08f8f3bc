//! Events as rows.

use std::path::Path;

use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Row, types::FromSql, types::FromSqlError, types::FromSqlResult};
use uuid::Uuid;

use super::checkpoint::MOST_PAGES;
use super::connection::beside;
use crate::event::{Event, EventData};
use crate::event_type::EventType;
use crate::measure::facts::Facts;
use crate::site::Site;
use crate::store::{Committed, Position};
use crate::time::Timestamp;
use crate::url::Url;
use crate::visitor::VisitorId;

impl ToSql for EventType {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.number() {
            Some(number) => ToSqlOutput::Owned(Value::Integer(number as i64)),
            None => ToSqlOutput::Borrowed(ValueRef::Text(self.name().as_bytes())),
        })
    }
}

impl FromSql for EventType {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Integer(number) => {
                usize::try_from(number).ok().and_then(Self::from_number).ok_or(FromSqlError::OutOfRange(number))
            }
            other => Self::parse(other.as_str()?).ok_or(FromSqlError::InvalidType),
        }
    }
}

/// The bytes of the pages in use, and of the write-ahead log as far as it is larger than it becomes unless a
/// reader is in the way. Pages of deleted rows are used again, so that they do not count.
pub(super) fn used_bytes(connection: &Connection, path: &Path) -> rusqlite::Result<u64> {
    let snapshot = connection.unchecked_transaction()?;
    let number = |name| snapshot.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (pages, page_size) = (number("page_count")? - number("freelist_count")?, number("page_size")?);
    let bytes = |pages: i64| u64::try_from(pages.saturating_mul(page_size)).unwrap_or(0);
    let log = std::fs::metadata(beside(path, "-wal")).map_or(0, |log| log.len());
    Ok(bytes(pages) + log.saturating_sub(bytes(MOST_PAGES.into())))
}

/// What the column `visitor` of a row has.
#[derive(Debug, Clone, Copy)]
pub(super) enum StoredVisitor {
    /// The id.
    Id(VisitorId),
    /// The position of a row with the id: an event of the visitor on the same UTC day.
    At(u64),
}

impl ToSql for StoredVisitor {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Id(visitor) => ToSqlOutput::Borrowed(ValueRef::Blob(visitor.as_bytes())),
            Self::At(position) => ToSqlOutput::Owned(Value::Integer(*position as i64)),
        })
    }
}

/// The id of a visitor that [`VISITOR`] gives. There is none where the row with the id was deleted first, in the
/// middle of a day that expires.
pub(super) fn visitor(row: &Row<'_>, column: usize) -> rusqlite::Result<[u8; 16]> {
    Ok(row.get_ref(column)?.as_blob().ok().and_then(|id| id.try_into().ok()).unwrap_or_default())
}

/// The visitor of an event `e`, for [`visitor`], if it is joined with [`WITH_ID`].
pub(super) const VISITOR: &str = "coalesce(v.visitor, e.visitor)";

/// Joins an event `e` with the row that has the id of its visitor, if that is another one.
pub(super) const WITH_ID: &str = "left join main.events v on v.position = e.visitor";

/// The columns that [`committed`] reads, with the aliases of [`EVENTS`].
pub(super) const COLUMNS: &str = "e.position, e.id, coalesce(v.visitor, e.visitor), e.event_type, e.data,
    p.value, r.value, e.created_at, a.value, c.value";

/// Events joined with their visitors and texts.
pub(super) const EVENTS: &str = "events e left join main.events v on v.position = e.visitor
    left join texts p on p.day = e.created_at / 86400000 and p.number = e.page_url
    left join texts r on r.day = e.created_at / 86400000 and r.number = e.referrer
    left join texts a on a.day = e.created_at / 86400000 and a.number = e.arrival
    left join texts c on c.day = e.created_at / 86400000 and c.number = e.client";

/// Reads [`COLUMNS`].
pub(super) fn committed(site: &Site, row: &Row<'_>) -> rusqlite::Result<Committed> {
    let text = |at| row.get_ref(at)?.as_str_or_null().map_err(rusqlite::Error::from);
    let url = |at| Ok::<_, rusqlite::Error>(text(at)?.map(Url::from_stored));
    Ok(Committed {
        position: Position(row.get::<_, i64>(0)?.unsigned_abs()),
        event: Event {
            id: Uuid::from_bytes(row.get(1)?),
            site: site.clone(),
            visitor: Uuid::from_bytes(visitor(row, 2)?).into(),
            event_type: row.get(3)?,
            data: EventData::from_stored(row.get(4)?),
            page_url: url(5)?,
            referrer: url(6)?,
            created_at: Timestamp::from_millis(row.get(7)?),
            facts: Facts::from_stored(text(8)?, text(9)?),
        },
    })
}

/// A count as it is stored.
pub(super) fn count(value: i64) -> u64 {
    value.unsigned_abs()
}
