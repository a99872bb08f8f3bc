//! Which processes have the store open: each holds a shared lock on a file beside it. An exclusive one is
//! held by a restore, which replaces the database, and while indexes are written anew.
//!
//! The lock is on a file of its own, because closing a database file that was opened a second
//! time in a process would end SQLite's own locks on it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::connection::{ENGINE, beside, folder_of, give};
use crate::store::{Result, StoreError};

/// How long a start waits for another process's exclusive lock.
const SHARED_TIMEOUT: Duration = Duration::from_secs(2);
/// How long after a refused lock it is tried again.
const SHARED_RETRY_DELAY: Duration = Duration::from_millis(10);

/// A lock that ends with this, or with the process.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: String,
}

impl Lock {
    /// Opens the lock file of the database at `path`, without a lock yet.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let beside = beside(path, "-lock");
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).open(&beside).or_else(|error| match error.kind() {
            ErrorKind::NotFound => {
                let made = options.create(true).open(&beside)?;
                give(&beside, if path.exists() { path } else { folder_of(path) })?;
                Ok(made)
            }
            _ => Err(error),
        });
        match opened {
            Ok(file) => Ok(Self { file, path: path.display().to_string() }),
            Err(error) => Err(StoreError::Unavailable {
                engine: ENGINE,
                reason: format!("the store cannot be written: cannot open {}: {error}", beside.display()),
            }),
        }
    }

    /// Locks it against all other processes; answers whether none has the store open.
    pub(super) fn try_exclusive(&self) -> Result<bool> {
        self.answer(self.file.try_lock())
    }

    /// Locks it against a restore, in the place of any lock held before.
    ///
    /// # Errors
    /// When another process has an exclusive lock for long.
    pub(super) fn shared(&self) -> Result<()> {
        self.file.unlock().map_err(|error| self.failed(&error))?;
        // Others hold an exclusive lock for an instant when they start.
        let until = Instant::now() + SHARED_TIMEOUT;
        while !self.answer(self.file.try_lock_shared())? {
            if Instant::now() > until {
                let reason = format!(
                    "another process is restoring {} or writing its indexes anew; start again when it is done",
                    self.path
                );
                return Err(StoreError::Unavailable { engine: ENGINE, reason });
            }
            std::thread::sleep(SHARED_RETRY_DELAY);
        }
        Ok(())
    }

    /// Locks it against all other processes until the answer is dropped; none if another has the store open.
    ///
    /// # Errors
    /// When a restore began in the moment in which the lock was given up to be taken anew.
    pub(super) fn alone(&self) -> Result<Option<Alone<'_>>> {
        self.file.unlock().map_err(|error| self.failed(&error))?;
        if self.try_exclusive()? {
            return Ok(Some(Alone(self)));
        }
        self.shared()?;
        Ok(None)
    }

    /// Notes that a new log is being begun for a file that is marked with this number, or that
    /// this is done: in between, the file and the log have different numbers.
    pub(super) fn note_beginning(&self, salt: Option<u32>) -> Result<()> {
        let text = salt.map(|salt| salt.to_string()).unwrap_or_default();
        let write = || {
            self.file.set_len(0)?;
            (&self.file).seek(SeekFrom::Start(0))?;
            (&self.file).write_all(text.as_bytes())?;
            self.file.sync_data()
        };
        write().map_err(|error| self.failed(&error))
    }

    /// For which number a new log was being begun when the last process ended.
    pub(super) fn beginning(&self) -> Option<u32> {
        let mut text = String::new();
        (&self.file).seek(SeekFrom::Start(0)).ok()?;
        (&self.file).take(16).read_to_string(&mut text).ok()?;
        text.parse().ok()
    }

    fn answer(&self, tried: std::result::Result<(), TryLockError>) -> Result<bool> {
        match tried {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(self.failed(&error)),
        }
    }

    fn failed(&self, error: &std::io::Error) -> StoreError {
        StoreError::Unavailable {
            engine: ENGINE,
            reason: format!("the store cannot be written: the lock file of {} cannot be used: {error}", self.path),
        }
    }
}

/// No other process has the store open.
#[derive(Debug)]
pub(super) struct Alone<'a>(&'a Lock);

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.shared() {
            tracing::error!(error = %error, "the store is open without a lock against a restore");
        }
    }
}
