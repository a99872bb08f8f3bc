//! `backup` and `restore`: a consistent copy of the store in one file, without its secrets.
//!
//! A copy is made table by table on one snapshot, while other processes write, into a new file
//! beside its destination, which gets its name only when it is complete, verified and on the
//! disk. The table `secrets` stays empty: who has the file can neither undo nor take on the
//! identity of visitors.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::connection::{self, Found, beside, failed, folder_of, uri};
use super::lock::Lock;
use super::{marks, recount};
use crate::store::{Recount, Result, StoreError};
use crate::time::Timestamp;

/// Rows of events that are copied between two looks at the progress.
const ROWS: i64 = 20_000;
/// Facts that are true of the original only.
const FORGOTTEN: &str = "delete from meta where name in ('cleanup_claimed', 'checked')";

/// Called with how much is done, and how much there is.
type Progress<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// Writes a copy of the store at `store` into the new file `to`, and recounts it.
///
/// # Errors
/// When there is no store, or `to` exists or cannot be written, or the copy is damaged; then
/// nothing is left behind. Figures that differ from a recount are no error: they differ in the
/// original too.
pub fn backup(store: &Path, to: &Path, now: Timestamp, progress: Progress<'_>) -> Result<Recount> {
    let missing = || StoreError::Missing { what: store.display().to_string() };
    if !store.exists() {
        return Err(missing());
    }
    if to.exists() {
        return Err(failed(format!("{} exists already; choose another name", to.display())));
    }
    let lock = Lock::open(store)?;
    if lock.try_exclusive()? {
        marks::refuse(store, lock.beginning(), false)?;
    }
    lock.shared()?;
    if connection::find(store)? == Found::Nothing {
        return Err(missing());
    }
    let (copy, recount) = Copy::make(store, beside(to, ".partial"), now, progress)?;
    copy.rename(to)?;
    Ok(recount)
}

/// Replaces the store at `store`, if there is one and `force` says so, by a copy of `from`.
///
/// # Errors
/// When `from` is no store, or damaged; when a process has the store open; when there is one and
/// `force` is not given. Then the store is as it was.
pub fn restore(from: &Path, store: &Path, force: bool, now: Timestamp, progress: Progress<'_>) -> Result<Recount> {
    marks::refuse(from, None, false)?;
    if connection::find(from)? == Found::Nothing {
        return Err(failed(format!("{} is no backup: there is nothing in it", from.display())));
    }
    connection::make_folder(store)?;
    let lock = Lock::open(store)?;
    if !lock.try_exclusive()? {
        return Err(failed(format!("{} is open in another process: stop the server first", store.display())));
    }
    if !force && store.exists() {
        return Err(failed(format!("{} exists: --force replaces it, and all events in it", store.display())));
    }
    if is_same(from, store) {
        return Err(failed(format!("{} is the store itself", from.display())));
    }
    let (copy, recount) = Copy::make(from, beside(store, ".restoring"), now, progress)?;
    let like = if store.exists() { store } else { folder_of(store) };
    connection::give(&copy.path, like)
        .map_err(|error| failed(format!("{} cannot be given to the store's owner: {error}", copy.path.display())))?;
    // Until the new file takes the name, the old one is whole without its log: at no moment
    // does a log lie beside a file that it does not belong to. One that is damaged is given up.
    if store.exists() && fold(store, lock.beginning()).is_err() {
        tracing::warn!("the log of the store that is replaced could not be written back");
    }
    for part in ["-wal", "-shm"] {
        remove(&beside(store, part))?;
    }
    copy.rename(store)?;
    Ok(recount)
}

/// A complete copy under a name that does not last; it is deleted unless it is renamed.
struct Copy {
    path: PathBuf,
}

impl Copy {
    fn make(source: &Path, path: PathBuf, now: Timestamp, progress: Progress<'_>) -> Result<(Self, Recount)> {
        remove(&path)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        // Only its owner may read it: it names visitors.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&path).map_err(|error| failed(format!("cannot write {}: {error}", path.display())))?;
        let copy = Self { path };
        let events = fill(source, &copy.path, progress)?;
        let recount = verify(&copy.path, now, progress)?;
        let kept = stored_events(&copy.path)?;
        if kept != events {
            return Err(failed(format!("the copy has {kept} events of {events}")));
        }
        let synced = File::open(&copy.path).and_then(|file| file.sync_all());
        synced.map_err(|error| failed(format!("cannot write {}: {error}", copy.path.display())))?;
        Ok((copy, recount))
    }

    fn rename(self, to: &Path) -> Result<()> {
        let cannot = |error| failed(format!("cannot write {}: {error}", to.display()));
        fs::rename(&self.path, to).map_err(cannot)?;
        // So that the name outlasts a power cut, too.
        File::open(folder_of(to)).and_then(|folder| folder.sync_all()).map_err(cannot)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // It is gone already when it was renamed.
        let _ = fs::remove_file(&self.path);
    }
}

/// Copies all tables but the secrets, on one snapshot; answers how many events there are.
fn fill(source: &Path, to: &Path, progress: Progress<'_>) -> Result<u64> {
    let connection = connection::open_copy(to)?;
    connection.execute("attach ?1 as source", [uri(source, "mode=ro")])?;
    connection.execute_batch("begin")?;
    let mut tables = Vec::new();
    let mut rest = Vec::new();
    {
        let mut find = connection.prepare(
            "select type = 'table', name, sql from source.sqlite_schema
             where sql is not null and name not like 'sqlite_%'",
        )?;
        let mut rows = find.query([])?;
        while let Some(row) = rows.next()? {
            let (is_table, name, sql): (bool, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if is_table {
                tables.push(name);
                connection.execute_batch(&sql)?;
            } else {
                rest.push(sql);
            }
        }
    }
    let events: i64 = connection.query_row("select count(*) from source.events", [], |row| row.get(0))?;
    for table in tables.iter().filter(|table| !["secrets", "events"].contains(&table.as_str())) {
        connection.execute(&format!("insert into main.\"{table}\" select * from source.\"{table}\""), [])?;
    }
    let mut insert = connection.prepare(
        "insert into main.events select * from source.events where position > ?1 order by position limit ?2",
    )?;
    let (mut last, mut done) = (0, 0);
    loop {
        let copied = insert.execute(params![last, ROWS])?;
        if copied == 0 {
            break;
        }
        last = connection.query_row("select max(position) from main.events", [], |row| row.get(0))?;
        done += copied as u64;
        progress(done, events.unsigned_abs());
    }
    drop(insert);
    for sql in rest {
        connection.execute_batch(&sql)?;
    }
    connection.execute_batch(FORGOTTEN)?;
    // Complete, and no log belongs to it.
    marks::put(&connection, &[(marks::SALT, 0), (marks::OPEN, 0)])?;
    connection.execute_batch("commit; detach source")?;
    Ok(events.unsigned_abs())
}

/// Reads every page of the copy, and recounts it.
fn verify(path: &Path, now: Timestamp, progress: Progress<'_>) -> Result<Recount> {
    let connection = Connection::open(path)?;
    let found: String = connection.query_row("pragma integrity_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(failed(format!("the copy is damaged: {found}")));
    }
    Ok(recount::verify(&connection, now, progress)?)
}

fn stored_events(path: &Path) -> Result<u64> {
    let count: i64 = Connection::open(path)?.query_row("select count(*) from events", [], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Writes a store's log back into its file, where it belongs to it.
fn fold(store: &Path, beginning: Option<u32>) -> Result<()> {
    marks::refuse(store, beginning, true)?;
    let connection = connection::open_writer(store)?;
    Ok(connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))?)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(failed(format!("cannot remove {}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
