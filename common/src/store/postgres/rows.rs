//! Events as rows.

use tokio_postgres::Row;
use tokio_postgres::error::Error;

use crate::event::{Event, EventData};
use crate::event_type::EventType;
use crate::measure::facts::Facts;
use crate::site::Site;
use crate::store::{Committed, Position};
use crate::url::Url;

use super::values::count;

/// The columns that [`committed`] reads.
pub(super) const COLUMNS: &str =
    "position, id, visitor, event_type, data, page_url, referrer, created_at, arrival, client";

/// Reads [`COLUMNS`].
pub(super) fn committed(site: &Site, row: &Row) -> Result<Committed, Error> {
    let url = |text: Option<&str>| text.map(Url::from_stored);
    let event_type: &str = row.try_get(3)?;
    Ok(Committed {
        position: Position(count(row.try_get(0)?)),
        event: Event {
            id: row.try_get(1)?,
            site: site.clone(),
            visitor: row.try_get::<_, uuid::Uuid>(2)?.into(),
            // What is stored was parsed once; a name that was written by hand stays a name.
            event_type: EventType::parse(event_type).unwrap_or_else(|| EventType::Custom(event_type.into())),
            data: EventData::from_stored(row.try_get(4)?),
            page_url: url(row.try_get(5)?),
            referrer: url(row.try_get(6)?),
            created_at: row.try_get(7)?,
            facts: Facts::from_stored(row.try_get(8)?, row.try_get(9)?),
        },
    })
}
