//! Writes all events as lines of JSON, to move them to another store or to keep them.
//!
//! Read in this order: [`cursor`] says where an export goes on, [`mod@file`] finds that place in a file
//! that was left half written, and here pages of the timeline become lines.
//!
//! Sites come by name, each site's events from the newest to the oldest. An event that was stored
//! before the export began, and is not deleted before the export comes to it, stands in it exactly
//! once, whatever arrives meanwhile; what arrives meanwhile may stand in it, and then once. Memory
//! holds one page.

pub mod cursor;
pub mod file;

use std::io::{self, Write};

use common::App;
use common::store::{StoreError, TimelineFrom};
use indicatif::ProgressBar;

pub use self::cursor::Cursor;
use crate::event_line;

/// Events that are asked for, and kept in memory, at once.
const PAGE: usize = 1_000;

/// Why an export ended early. What was written until then is right, and can be continued.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The output cannot be written.
    #[error("cannot write {name}: {source}")]
    Write {
        /// The file.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// There is something at this path already.
    #[error("{0} is there already; --continue goes on where it ends")]
    Exists(String),
    /// The file does not end in an event.
    #[error("{name} cannot be continued: its last whole line is no event: {why}")]
    NotAnExport {
        /// The file.
        name: String,
        /// What is wrong with the line.
        why: String,
    },
    /// The store cannot be asked.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
}

/// Writes every event that lies behind `after`, or every event; answers how many.
///
/// # Errors
/// See [`ExportError`].
pub async fn run(
    app: &App,
    after: Option<Cursor>,
    name: &str,
    out: &mut (impl Write + Send),
    progress: &ProgressBar,
) -> Result<u64, ExportError> {
    let unwritable = |source| ExportError::Write { name: name.to_owned(), source };
    let mut written = 0;
    for site in app.store.sites().await? {
        let mut from = match &after {
            Some(after) if site < after.site => continue,
            Some(after) if site == after.site => TimelineFrom::Below(after.created_at, after.id),
            _ => TimelineFrom::all(0),
        };
        loop {
            let events = app.store.timeline(&site, from, PAGE).await?;
            let Some(last) = events.last() else { break };
            from = TimelineFrom::Below(last.created_at, last.id);
            progress.set_message(format!("{site} {}", last.created_at.day()));
            let mut lines = Vec::new();
            for event in &events {
                lines.extend(event_line::write(event).map_err(|error| unwritable(error.into()))?);
            }
            out.write_all(&lines).map_err(unwritable)?;
            written += events.len() as u64;
            progress.set_position(written);
        }
    }
    out.flush().map_err(unwritable)?;
    Ok(written)
}

#[cfg(test)]
mod tests;
