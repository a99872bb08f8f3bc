//! Writing the indexes of events anew after many were appended.
//!
//! When entries of an index are appended in order, SQLite divides full pages so that each keeps seven eighths of
//! its entries (`balance_nonroot` evens out the latest four pages). `reindex` fills pages, and the indexes of
//! events become six bytes an event smaller. That of texts, whose entries come in no order, becomes a third
//! smaller. The freed pages are used by what is stored next, such as the segments that an import builds at its end.

use super::writer::Writer;
use crate::store::Result;

/// At least one in so many events has to be a new one: the cost is that of all events.
const WORTH: u64 = 4;

/// Writes the indexes anew, unless so many appended events are a small part of all.
pub(super) fn compact(writer: &mut Writer, appended: u64) -> Result<()> {
    // Positions have few gaps: days expire in about the order in which they came.
    let most: i64 = writer.connection.query_row(
        "select coalesce(max(position) - min(position) + 1, 0) from events",
        [],
        |row| row.get(0),
    )?;
    if appended.saturating_mul(WORTH) < most.unsigned_abs() {
        return Ok(());
    }
    writer.transaction(|writer| writer.connection.execute_batch("reindex events; reindex texts_hash"))?;
    // The log has all pages of the indexes. If a reader is in the way, it is cut off later.
    writer.cut_log()?;
    Ok(())
}
