//! The state of the database file: whether it is still the one that was opened, whether commits
//! fail, and whether it holds everything by itself or together with its log only.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::connection::{self, ENGINE, beside};
use super::marks;
use crate::store::commits::LastCommit;
use crate::store::{Result, StoreError};

/// After so long without a commit the log is written back, so that the file alone is whole.
const QUIET: Duration = Duration::from_secs(5);

/// What the database file holds by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Everything.
    Whole,
    /// Not what the log holds, and the file says so.
    Open,
    /// Not known: another process wrote.
    Unknown,
}

/// What the writer knows of the file. All calls are made on its thread.
#[derive(Debug)]
pub(super) struct Upkeep {
    path: PathBuf,
    opened: [Option<Identity>; 2],
    state: State,
    /// Whether the log holds something that is to be moved to the file.
    land: bool,
    /// When anything was last committed.
    active: Instant,
    last_commit: LastCommit,
    /// The file is damaged: commits will fail again.
    damaged: Option<String>,
    gone: Option<String>,
}

/// Which file it is, whatever its name.
type Identity = (u64, u64);

impl Upkeep {
    /// Of a file that was just opened, and says that it is open.
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            opened: identities(path),
            state: State::Open,
            land: false,
            active: Instant::now(),
            last_commit: LastCommit::default(),
            damaged: None,
            gone: None,
        }
    }

    /// Looks whether the file and its log are still those that were opened.
    pub(super) fn look(&mut self) {
        if self.gone.is_none() && identities(&self.path) != self.opened {
            let path = self.path.display();
            let reason =
                format!("{path} or its log was removed or replaced while the process had it open; start it again");
            tracing::error!("{reason}");
            self.gone = Some(reason);
        }
    }

    /// Whether commits reach the file that the next start will find.
    pub(super) fn usable(&self) -> Result<(), String> {
        self.gone.clone().map_or(Ok(()), Err)
    }

    /// Notes that events were committed.
    pub(super) fn committed(&self) {
        self.last_commit.succeeded();
    }

    /// Notes that events were not committed.
    pub(super) fn failed(&mut self, error: &rusqlite::Error, reason: &str) {
        self.last_commit.failed(reason.to_owned());
        if connection::is_damage(error) {
            self.damaged = Some(reason.to_owned());
        }
    }

    /// # Errors
    /// When the file is gone or damaged, or the last commit failed just now.
    pub(super) fn check(&self) -> Result<()> {
        let unusable = self.usable().err().or_else(|| self.damaged.clone());
        match unusable {
            Some(reason) => Err(StoreError::Unavailable { engine: ENGINE, reason }),
            None => self.last_commit.check(ENGINE),
        }
    }

    /// What the file says is not known: another process wrote, or a transaction failed.
    pub(super) fn forget(&mut self) {
        self.state = State::Unknown;
        self.active = Instant::now();
    }

    /// Within a transaction: the first one after a quiet period says that the file is not whole.
    pub(super) fn before_commit(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.active = Instant::now();
        if self.state != State::Open && (self.state == State::Whole || !marks::is_open(connection)?) {
            marks::put(connection, &[(marks::OPEN, 1)])?;
            self.land = true;
        }
        self.state = State::Open;
        Ok(())
    }

    /// After it: the file itself must say so, too.
    pub(super) fn after_commit(&mut self, connection: &Connection) {
        if std::mem::take(&mut self.land) {
            let landed = marks::record(connection, &self.path, true).and_then(|()| checkpoint(connection, "passive"));
            if let Err(error) = landed {
                tracing::warn!(error = %error, "the write-ahead log could not be written back");
            }
        }
    }

    /// Records the number of the log before it may begin anew.
    pub(super) fn before_checkpoint(&self, connection: &Connection) {
        if let Err(error) = marks::record(connection, &self.path, true) {
            tracing::warn!(error = %error, "the state of the write-ahead log could not be recorded");
        }
    }

    /// Whether it is time to complete the file.
    pub(super) fn is_quiet(&self) -> bool {
        self.state != State::Whole && self.gone.is_none() && self.active.elapsed() > QUIET
    }

    /// Writes all of the log back, so that the file alone is whole, unless readers are in the way;
    /// then it is tried again. A log that is not cut off is written from its begin next time. Answers
    /// whether the file is whole.
    pub(super) fn complete(&mut self, connection: &Connection, cut: bool) -> rusqlite::Result<bool> {
        if self.gone.is_some() {
            return Ok(false);
        }
        if self.state != State::Whole {
            marks::record(connection, &self.path, false)?;
        }
        let whole = checkpoint(connection, if cut { "truncate" } else { "passive" })?;
        self.state = if whole { State::Whole } else { State::Unknown };
        Ok(whole)
    }
}

/// Writes the log back; answers whether all of it.
fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<bool> {
    connection.query_row(&format!("pragma wal_checkpoint({mode})"), [], |row| {
        let (busy, log, written): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(busy == 0 && log == written)
    })
}

#[cfg(unix)]
fn identities(path: &Path) -> [Option<Identity>; 2] {
    use std::os::unix::fs::MetadataExt;
    [path.to_owned(), beside(path, "-wal")]
        .map(|path| std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino())))
}

/// Elsewhere an open file can be neither removed nor replaced.
#[cfg(not(unix))]
fn identities(_path: &Path) -> [Option<Identity>; 2] {
    [None, None]
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn damage_is_not_forgotten_with_the_next_commit() {
        let folder = tempfile::tempdir().unwrap();
        let mut upkeep = Upkeep::new(&folder.path().join("analytics.db"));
        let failed = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        upkeep.failed(&failed(ffi::SQLITE_FULL), "full");
        upkeep.committed();
        upkeep.check().unwrap();
        upkeep.failed(&failed(ffi::SQLITE_CORRUPT), "damaged");
        upkeep.committed();
        assert!(upkeep.check().is_err());
    }
}
