//! Marks that tell whether a database file and the write-ahead log beside it belong together.
//!
//! A log starts with a number, which grows by one each time the log is begun anew, after all of
//! it has been written back. The database holds the number that the log had when it was last
//! written back (`wal_salt`), and whether anything was committed since that may stand in the log
//! alone (`wal_open`). Both are read from the database file without its log:
//!
//! | the file says | the log is | so |
//! |---|---|---|
//! | number n | n or n + 1 | they belong together |
//! | number n | another | one of the two was copied or restored without the other |
//! | open | missing or empty | the file was copied alone, while a process had it open |
//!
//! A store of an earlier version has no marks, and nothing is concluded.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::connection::{beside, failed, uri};
use crate::store::Result;

/// The number of the log that the file was last complete with.
pub(super) const SALT: &str = "wal_salt";
/// Whether commits since may stand in the log alone: 0 or 1.
pub(super) const OPEN: &str = "wal_open";

/// What is wrong with a database file and its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// The log belongs to another state of the file.
    Foreign,
    /// There is no log, and there was something in it.
    Missing,
}

/// Looks at a database file and its log before SQLite reads either. No other process may have
/// the store open. `beginning` is the number for which a process that ended early was beginning a
/// log.
pub(super) fn check(path: &Path, beginning: Option<u32>) -> Option<Mismatch> {
    let (salt, open) = marks(path)?;
    match read_salt(path) {
        Some(_) if beginning == Some(salt) => None,
        Some(found) => (found.wrapping_sub(salt) > 1).then_some(Mismatch::Foreign),
        None => open.then_some(Mismatch::Missing),
    }
}

/// The number that the log begins with; `None` when there is no log, or an empty one.
pub(super) fn read_salt(path: &Path) -> Option<u32> {
    let mut header = [0; 32];
    File::open(beside(path, "-wal")).and_then(|mut log| log.read_exact(&mut header)).ok()?;
    let number = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    (number(0) | 1 == 0x377f_0683).then(|| number(16))
}

/// What the database file says by itself; `None` when it says nothing that can be read.
pub(super) fn marks(path: &Path) -> Option<(u32, bool)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let file = Connection::open_with_flags(uri(path, "immutable=1"), flags).ok()?;
    let fact = |name| super::keep::fact(&file, name).ok().flatten();
    Some((u32::try_from(fact(SALT)?).ok()?, fact(OPEN)? != 0))
}

impl Mismatch {
    /// What happened, and what to do.
    pub(super) fn explain(self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Foreign => format!(
                "{path}-wal does not belong to {path}: one of the two was copied or restored without the other. Nothing \
                 was changed. Put the right one back, or restore a backup with `local-runtime restore FILE --force`, or, \
                 to go on with what {path} holds alone, move {path}-wal and {path}-shm away"
            ),
            Self::Missing => format!(
                "{path} was copied without {path}-wal while a process had it open: events that stood in the log are \
                 missing, unless another program wrote it back. Copy both, or use `local-runtime backup FILE`, which \
                 takes everything; to go on with what the file holds, start `serve` on it once"
            ),
        }
    }
}

/// Refuses a log that belongs to another state of the file. A missing one is refused unless
/// `accept_missing`, and logged then.
pub(super) fn refuse(path: &Path, beginning: Option<u32>, accept_missing: bool) -> Result<()> {
    match check(path, beginning) {
        None => Ok(()),
        Some(Mismatch::Missing) if accept_missing => {
            tracing::error!("{}", Mismatch::Missing.explain(path));
            Ok(())
        }
        Some(mismatch) => Err(failed(mismatch.explain(path))),
    }
}

/// Records the number of the present log, and whether it may hold what the file does not.
pub(super) fn record(connection: &Connection, path: &Path, open: bool) -> rusqlite::Result<()> {
    // The first write may begin the log anew, with the next number; the second cannot.
    for _ in 0..2 {
        let salt = match read_salt(path) {
            Some(salt) => i64::from(salt),
            None => super::keep::fact(connection, SALT)?.unwrap_or(0),
        };
        put(connection, &[(SALT, salt), (OPEN, open.into())])?;
        if read_salt(path).is_none_or(|now| i64::from(now) == salt) {
            break;
        }
    }
    Ok(())
}

/// Whether the file is recorded to hold everything.
pub(super) fn is_open(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(super::keep::fact(connection, OPEN)?.is_some_and(|open| open != 0))
}

/// Records facts, in one transaction when none is under way.
pub(super) fn put(connection: &Connection, facts: &[(&str, i64)]) -> rusqlite::Result<()> {
    let values: Vec<String> = facts.iter().map(|(name, value)| format!("('{name}', {value})")).collect();
    let sql = format!(
        "insert into meta (name, value) values {} on conflict do update set value = excluded.value",
        values.join(", ")
    );
    connection.execute(&sql, []).map(drop)
}
