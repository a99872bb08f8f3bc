//! Connections: every pragma is set wherever one is opened.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::store::StoreError;

pub(super) const ENGINE: &str = "sqlite";

mod embedded {
    refinery::embed_migrations!("src/store/sqlite/migrations");
}

/// How long a connection waits for another process's write lock.
const BUSY: Duration = Duration::from_secs(2);

/// The one that writes. Durable means: `synchronous=FULL`, so each commit ends in an fsync.
pub(super) fn open_writer(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    // In KiB when negative: the hot ends of the trees, whatever the size of the file.
    connection.pragma_update(None, "cache_size", -16_000)?;
    // Checkpoints are run by hand, between commits.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "cache_size", -2_000)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Brings the schema up to date. Two processes may start at once: the loser finds the work
/// done when it looks again.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let mut tries = 0;
    loop {
        match embedded::migrations::runner().run(connection) {
            Ok(_) => return Ok(()),
            Err(_) if tries < 5 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(error) => return Err(StoreError::Other { engine: ENGINE, source: error.into() }),
        }
    }
}

/// What callers can do about it.
impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure,
            ) => Self::Unavailable { engine: ENGINE, reason: error.to_string() },
            _ => Self::Other { engine: ENGINE, source: error.into() },
        }
    }
}

pub(super) fn closed() -> StoreError {
    StoreError::Unavailable { engine: ENGINE, reason: "the store is closed".to_owned() }
}
