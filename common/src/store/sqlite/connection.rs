//! Connections: every pragma is set wherever one is opened.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use refinery::error::Kind;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::store::{Result, StoreError};

pub(super) const ENGINE: &str = "sqlite";

mod embedded {
    refinery::embed_migrations!("src/store/sqlite/migrations");
}

/// How long a connection waits for another process's write lock.
pub(super) const BUSY: Duration = Duration::from_secs(2);

/// The one that writes. Durable means: `synchronous=FULL`, so each commit ends in an fsync.
pub(super) fn open_writer(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    // What is deleted is overwritten, in pages that become free, too: the file holds it no longer.
    connection.pragma_update(None, "secure_delete", true)?;
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

/// A file that is filled from another one and worth nothing until it is complete: without a
/// journal, and an fsync at the end.
pub(super) fn open_copy(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.query_row("pragma journal_mode = off", [], |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "off")?;
    Ok(connection)
}

/// The file beside a database whose name ends like this, such as `-wal`.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

/// A database file as a URI, with parameters.
pub(super) fn uri(path: &Path, parameters: &str) -> String {
    // Two slashes at the begin would name a host.
    let path: PathBuf = path.components().collect();
    let path = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{path}?{parameters}")
}

/// Makes the folder of a database file.
pub(super) fn make_folder(path: &Path) -> Result<()> {
    let folder = folder_of(path);
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder).and_then(|()| give(folder, folder_of(folder))).map_err(|error| StoreError::Unavailable {
        engine: ENGINE,
        reason: format!("cannot make the folder {}: {error}", folder.display()),
    })
}

/// The folder that a file is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes an empty database file, if there is none.
pub(super) fn make_file(path: &Path) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    fs::OpenOptions::new().append(true).create(true).open(path)?;
    give(path, folder_of(path))
}

/// Gives what was made to the owner of `like`: a service that runs as a user of its own has to open what an
/// administrator made or restored. Others than root can give nothing away, and keep it.
#[cfg(unix)]
pub(super) fn give(made: &Path, like: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt, chown};
    let owner = fs::metadata(like)?;
    if fs::metadata(made)?.uid() == owner.uid() {
        return Ok(());
    }
    match chown(made, Some(owner.uid()), Some(owner.gid())) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        given => given,
    }
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "the signature is that of the other systems")]
pub(super) fn give(_: &Path, _: &Path) -> std::io::Result<()> {
    Ok(())
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// No file, or an empty one.
    Nothing,
    /// A store of this product.
    Store,
}

/// Looks what a path leads to, and changes nothing.
///
/// # Errors
/// When it is a folder, no database, or the database of another program.
pub(super) fn find(path: &Path) -> Result<Found> {
    if path.is_dir() {
        return Err(failed(format!("{} is a folder, not a database file", path.display())));
    }
    if !path.exists() {
        return Ok(Found::Nothing);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    let mut names = connection.prepare("select name from sqlite_schema where type = 'table'")?;
    let names = names.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<BTreeSet<String>>>()?;
    if ["refinery_schema_history", "events", "meta"].iter().all(|name| names.contains(*name)) {
        return Ok(Found::Store);
    }
    // Another process that creates it has perhaps made the first table.
    if names.iter().all(|name| name == "refinery_schema_history") {
        return Ok(Found::Nothing);
    }
    Err(failed(format!("{} is the database of another program", path.display())))
}

pub(super) fn failed(what: String) -> StoreError {
    StoreError::Other { engine: ENGINE, source: what.into() }
}

/// Brings the schema up to date. Two processes may start at once: the loser finds the work
/// done when it looks again.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let mut tries = 0;
    loop {
        match embedded::migrations::runner().run(connection) {
            Ok(_) => return Ok(()),
            Err(error) if matches!(error.kind(), Kind::MissingVersion(_)) => {
                let reason = "a newer version of this program has migrated it; install that, or restore a backup";
                return Err(failed(reason.to_owned()));
            }
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
        if is_damage(&error) {
            return Self::Other { engine: ENGINE, source: damaged(&error).into() };
        }
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

/// Whether the file is not what was written.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// What happened then, and what to do.
pub(super) fn damaged(error: &rusqlite::Error) -> String {
    format!(
        "the database file is damaged, or no database ({error}): it was overwritten, or restored beside the log of \
         another file, or the disk lost data. Stop the server and restore a backup with `local-runtime restore FILE \
         --force`; without one, the command .recover of the program sqlite3 saves what can be read"
    )
}

pub(super) fn closed() -> StoreError {
    StoreError::Unavailable { engine: ENGINE, reason: "the store is closed".to_owned() }
}

#[cfg(test)]
mod tests {
    use refinery::Target;
    use uuid::Uuid;

    use super::*;
    use crate::event::Event;
    use crate::period::{Period, PeriodKey};
    use crate::site::Site;
    use crate::store::sqlite::append::Appender;
    use crate::store::sqlite::feed::timeline;
    use crate::store::sqlite::totals::totals;
    use crate::store::{TimelineFrom, Totals};
    use crate::time::Day;

    #[test]
    fn texts_of_earlier_releases_keep_their_numbers() {
        let mut connection = Connection::open_in_memory().unwrap();
        embedded::migrations::runner().set_target(Target::Version(7)).run(&mut connection).unwrap();
        connection.execute("insert into sites (id, name) values (1, 'default')", []).unwrap();
        let day = Day::parse("2025-12-08").unwrap();
        for (number, text) in [(900, "/cv"), (901, "/letters"), (902, "https://www.google.com/")] {
            let values = rusqlite::params![number, day.number(), text];
            connection.execute("insert into strings (id, day, value) values (?1, ?2, ?3)", values).unwrap();
        }
        let values = rusqlite::params![[7_u8; 16], [8_u8; 16], day.start().millis()];
        let event = "insert into events (position, site, id, visitor, event_type, created_at, page_url, referrer)
                     values (1, 1, ?1, ?2, 0, ?3, 901, 902)";
        connection.execute(event, values).unwrap();
        migrate(&mut connection).unwrap();
        let kept = timeline(&connection, &Site::default(), TimelineFrom::all(0), 10).unwrap().pop().unwrap();
        let texts = |event: &Event| {
            [&event.page_url, &event.referrer].map(|url| url.as_ref().map(|url| url.as_str().to_owned()))
        };
        assert_eq!(texts(&kept), [Some("/letters".to_owned()), Some("https://www.google.com/".to_owned())]);
        // Later events of that day have other numbers.
        let later = Event { id: Uuid::from_u128(1), referrer: None, ..kept.clone() };
        let events = [std::slice::from_ref(&later)];
        Appender::new().append(&connection, events.into_iter(), kept.created_at, 1).unwrap();
        let both = timeline(&connection, &Site::default(), TimelineFrom::all(0), 10).unwrap();
        let mut found: Vec<_> = both.iter().map(texts).collect();
        found.sort();
        assert_eq!(found, [texts(&later), texts(&kept)]);
    }

    #[test]
    fn counters_of_earlier_releases_become_totals() {
        let mut connection = Connection::open_in_memory().unwrap();
        embedded::migrations::runner().set_target(Target::Version(2)).run(&mut connection).unwrap();
        let week = PeriodKey::of(Period::Week, Day::parse("2025-12-08").unwrap());
        connection.execute("insert into sites (id, name) values (7, 'default')", []).unwrap();
        for (dimension, value, n) in [
            (0, "", 9),
            (1, "page_view", 4),
            (1, "letter_generate", 3),
            (1, "signup", 2),
            (2, "backend", 5),
            (3, "motivation", 2),
            (3, "anti_motivation", 1),
            (4, "", 6),
        ] {
            let counter = rusqlite::params![week.bucket(), dimension, value, n];
            connection.execute("insert into counters values (7, ?1, ?2, ?3, ?4)", counter).unwrap();
        }
        migrate(&mut connection).unwrap();
        let found = totals(&connection, &Site::default(), week).unwrap();
        let expected = Totals { events: 9, page_views: 4, letters: 3, motivation: 2, anti_motivation: 1, visitors: 6 };
        assert_eq!(found, expected);
    }
}
