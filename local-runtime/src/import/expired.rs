//! Days of a log that have expired already. Their events are not kept: they go into a store of their own
//! in a temporary folder, from which their summaries are made, and which is deleted with the import.
//!
//! A day is summarised from the lines of one import. If it has a summary already, that of the site's own
//! events stays in any case, and that of another import unless this one has more lines. So the same file
//! counts once, one that has grown replaces its earlier state, and parts of one day must be imported
//! together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::App;
use common::event::Event;
use common::measure::upkeep::Imported;
use common::metrics::Metrics;
use common::site::Site;
use common::store::Appended;
use common::store::roles::*;
use common::store::sqlite::Sqlite;
use common::time::Day;
use tempfile::TempDir;

use super::{BATCH, ImportError};

/// Events of expired days, by day on disk.
#[derive(Debug, Default)]
pub(super) struct Expired {
    /// Opened for the first of them.
    store: Option<(Sqlite, TempDir)>,
    batch: Vec<Event>,
    /// Days with events that no summary has yet.
    changed: BTreeSet<(Site, Day)>,
    /// How many events each day has, and whether they are in its summary.
    days: BTreeMap<(Site, Day), (u64, Option<Imported>)>,
    /// Lines that stood there before in the same import.
    pub(super) duplicates: u64,
}

/// What became of the lines of expired days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summarised {
    /// Lines that are part of a summary.
    pub lines: u64,
    /// Days whose summary was made of them.
    pub days: u64,
    /// Lines of days that had a summary of their own, or of as many lines.
    pub known: u64,
    /// Lines that stood there twice.
    pub(super) duplicates: u64,
}

impl Expired {
    /// Takes an event of an expired day.
    pub(super) async fn push(&mut self, event: Event) -> Result<(), ImportError> {
        self.batch.push(event);
        if self.batch.len() == BATCH { self.append().await } else { Ok(()) }
    }

    async fn append(&mut self) -> Result<(), ImportError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        if self.store.is_none() {
            let folder = tempfile::Builder::new().prefix("import-").tempdir().map_err(ImportError::Temporary)?;
            // Its figures are not needed.
            let metrics = Metrics::new().map_err(|error| ImportError::Temporary(std::io::Error::other(error)))?;
            let store = Sqlite::open(&folder.path().join("expired.db"), Arc::new(metrics)).await?;
            self.store = Some((store, folder));
        }
        let Some((store, _)) = &self.store else { return Ok(()) };
        let batch = std::mem::take(&mut self.batch);
        let days: Vec<_> = batch.iter().map(|event| (event.site.clone(), event.created_at.day())).collect();
        let Some(now) = batch.iter().map(|event| event.created_at).max() else { return Ok(()) };
        for (day, appended) in days.into_iter().zip(store.append(batch, now).await?) {
            match appended {
                Appended::Stored => {
                    self.days.entry(day.clone()).or_default().0 += 1;
                    self.changed.insert(day);
                }
                Appended::Duplicate => self.duplicates += 1,
                Appended::TooManySites => return Err(ImportError::TooManySites),
            }
        }
        Ok(())
    }

    /// Makes the summaries of all days that have changed, and says what became of all lines so far.
    pub(super) async fn summarise(&mut self, app: &App) -> Result<Summarised, ImportError> {
        self.append().await?;
        if let Some((store, _)) = &self.store {
            while let Some((site, day)) = self.changed.pop_first() {
                let imported = app.measure.import_day(store, &*app.store, &site, day).await?;
                if let Some((_, state)) = self.days.get_mut(&(site, day)) {
                    *state = Some(imported);
                }
            }
        }
        // So that they are listed: of some there may be no event. Also those whose summaries an interrupted import
        // has stored.
        let summarised = self.days.iter().filter(|(_, (_, state))| state.is_some());
        let sites: BTreeSet<Site> = summarised.map(|((site, _), _)| site.clone()).collect();
        if !sites.is_empty() {
            app.store.admit_sites(&sites).await?;
        }
        let mut done = Summarised { duplicates: self.duplicates, ..Summarised::default() };
        for (lines, state) in self.days.values() {
            match state {
                Some(Imported::Stored) => {
                    done.lines += lines;
                    done.days += 1;
                }
                Some(Imported::Known) | None => done.known += lines,
            }
        }
        Ok(done)
    }

    /// Lets go of the store.
    pub(super) async fn close(self) {
        if let Some((store, _folder)) = self.store {
            store.close().await;
        }
    }
}
