//! `backup` and `restore` of the embedded store.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use common::config::{Config, StoreUrl};
use common::source::{Source, System};
use common::store::{Recount, sqlite};

use super::{Failure, recount, say};

/// Copies the store into a new file and verifies the copy.
///
/// # Errors
/// When there is no store, or the file exists or cannot be written, or the copy is damaged; of
/// usage when the store is of another engine.
pub(super) async fn backup(config: &Config, file: PathBuf) -> Result<ExitCode, Failure> {
    let store = embedded(config, "backup")?.to_owned();
    let name = file.display().to_string();
    let (bar, progress) = recount::bar("copying");
    let now = System.now();
    let copied = tokio::task::spawn_blocking(move || sqlite::backup(&store, &file, now, &*progress)).await;
    bar.finish_and_clear();
    Ok(tell(&copied.map_err(|error| Failure::Failed(error.to_string()))??, &format!("written to {name}")))
}

/// Replaces the store by a copy of the file and verifies it.
///
/// # Errors
/// When the file is no backup, or the store is open, or there is one and `force` is not given; of
/// usage when the store is of another engine.
pub(super) async fn restore(config: &Config, file: PathBuf, force: bool) -> Result<ExitCode, Failure> {
    let store = embedded(config, "restore")?.to_owned();
    let (bar, progress) = recount::bar("restoring");
    let now = System.now();
    let name = store.display().to_string();
    let copied = tokio::task::spawn_blocking(move || sqlite::restore(&file, &store, force, now, &*progress)).await;
    bar.finish_and_clear();
    Ok(tell(&copied.map_err(|error| Failure::Failed(error.to_string()))??, &format!("restored to {name}")))
}

fn embedded<'a>(config: &'a Config, command: &str) -> Result<&'a Path, Failure> {
    let instead = match &config.store {
        StoreUrl::Sqlite(path) => return Ok(path),
        StoreUrl::Postgres(_) => {
            "use pg_dump and pg_restore, or physical backups; Redis needs none, it is filled again"
        }
        StoreUrl::DynamoDb(_) => "use point-in-time recovery, on-demand backups or exports of the table",
    };
    let engine = &config.store;
    Err(Failure::Usage(format!("{command} is for sqlite stores, and this is {engine}: {instead} (docs/backup.md)")))
}

/// Figures that differ in the copy differ in the original: it is complete, and the operator has to
/// know.
fn tell(recount: &Recount, done: &str) -> ExitCode {
    let Recount { events, different, .. } = recount;
    if *different == 0 {
        say(format_args!("{done}: the pages are sound, and all figures agree with a recount of {events} events"));
        ExitCode::SUCCESS
    } else {
        say(format_args!("{done}: {different} figures differ from a recount of {events} events; rebuild repairs them"));
        ExitCode::FAILURE
    }
}
