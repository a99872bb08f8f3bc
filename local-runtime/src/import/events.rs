//! Imports the lines of an `export`: the same events again, with their ids, times and visitors.
//! Importing a file again stores nothing twice, since ids are kept.

use std::fmt;

use common::App;
use common::collect::allowed_site;
use common::event::Event;
use common::retention;
use common::store::Appended;
use common::time::{DAY, Day, Timestamp};
use indicatif::ProgressBar;

use super::expired::{Expired, Summarised};
use super::input::Input;
use super::lines::{LONGEST, Line};
use super::report::kept;
use super::{BATCH, ImportError, prepare, unreadable};
use crate::event_line;

/// How far ahead of the clock an event may lie, in milliseconds: a day. Old logs that were moved to
/// today have lines of later today.
const AHEAD: i64 = DAY;

/// A line that is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// The file's name.
    pub file: String,
    /// The line's number in it, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub why: String,
}

/// Every line that was read ends in exactly one of these:
/// `lines = imported + summarised + duplicates + too_old + too_new + not_measured + malformed`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines read, without blank ones.
    pub lines: u64,
    /// Events stored.
    pub imported: u64,
    /// Events that were stored before.
    pub duplicates: u64,
    /// What became of events that are older than the retention.
    pub summarised: Summarised,
    /// Events older than summaries are kept.
    pub too_old: u64,
    /// Events more than a day ahead of the clock.
    pub too_new: u64,
    /// Events of sites that the configuration does not list.
    pub not_measured: u64,
    /// Lines that are no events.
    pub malformed: u64,
    /// The first [`Report::MOST_LISTED`] of them.
    pub listed: Vec<Bad>,
    retention_days: u32,
    summary_months: u32,
}

impl Report {
    /// How many malformed lines are listed one by one.
    pub const MOST_LISTED: usize = 20;

    /// Whether there were lines and none of them was an event: most likely another format.
    #[must_use]
    pub const fn is_unreadable(&self) -> bool {
        self.lines > 0 && self.malformed == self.lines
    }

    fn skip(&mut self, file: &str, line: u64, why: String) {
        self.malformed += 1;
        if self.listed.len() < Self::MOST_LISTED {
            self.listed.push(Bad { file: file.to_owned(), line, why });
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>10} lines read", self.lines)?;
        writeln!(f, "{:>10} imported", self.imported)?;
        let Summarised { lines, days, known, duplicates } = self.summarised;
        if lines + known > 0 {
            writeln!(f, "{lines:>10} summarised: older than {} days, {days} days of them", self.retention_days)?;
            writeln!(f, "{known:>10} of days that have a summary already")?;
        }
        writeln!(f, "{:>10} duplicates, stored before", self.duplicates + duplicates)?;
        writeln!(f, "{:>10} left out: too_old ({})", self.too_old, kept(self.retention_days, self.summary_months))?;
        writeln!(f, "{:>10} left out: too_new (more than a day ahead)", self.too_new)?;
        writeln!(f, "{:>10} left out: not_measured (sites not in ANALYTICS_SITES)", self.not_measured)?;
        write!(f, "{:>10} malformed", self.malformed)?;
        for bad in &self.listed {
            write!(f, "\n           {}:{}: {}", bad.file, bad.line, bad.why)?;
        }
        if self.malformed > self.listed.len() as u64 {
            write!(f, "\n           and {} more", self.malformed - self.listed.len() as u64)?;
        }
        Ok(())
    }
}

/// Imports all inputs. `progress` counts the bytes that are read of them.
///
/// # Errors
/// See [`ImportError`]; what was imported until then stays, and the same import may be run again.
pub async fn run(app: &App, inputs: &[Input], now: Timestamp, progress: &ProgressBar) -> Result<Report, ImportError> {
    progress.set_message("importing");
    let mut run = Run {
        app,
        now,
        cutoff: retention::cutoff(app.config.retention_days, now),
        summaries_cutoff: retention::summaries_cutoff(app.config.summary_months, now),
        batch: Vec::with_capacity(BATCH),
        expired: Expired::default(),
        report: Report {
            retention_days: app.config.retention_days,
            summary_months: app.config.summary_months,
            ..Report::default()
        },
    };
    for input in inputs {
        run.file(input, progress).await?;
    }
    run.append().await?;
    run.report.summarised = run.expired.summarise(app).await?;
    run.expired.close().await;
    prepare(app, run.report.imported, progress).await;
    Ok(run.report)
}

struct Run<'a> {
    app: &'a App,
    now: Timestamp,
    /// The first day whose events are kept.
    cutoff: Day,
    /// The first day whose summary is kept.
    summaries_cutoff: Day,
    batch: Vec<Event>,
    expired: Expired,
    report: Report,
}

impl Run<'_> {
    async fn file(&mut self, input: &Input, progress: &ProgressBar) -> Result<(), ImportError> {
        let name = input.name();
        let mut lines = input.open(progress).map_err(|source| unreadable(input, 0, source))?;
        loop {
            let (number, read) = match lines.next_line() {
                Ok(Some((number, Line::Bytes(bytes)))) => (number, event_line::read(bytes)),
                Ok(Some((number, Line::TooLong))) => (number, Err(format!("it has more than {LONGEST} bytes"))),
                Ok(None) => return Ok(()),
                Err(source) => return Err(unreadable(input, lines.number(), source)),
            };
            self.report.lines += 1;
            match read {
                Ok(event) => self.take(event).await?,
                Err(why) => self.report.skip(&name, number, why),
            }
            if self.batch.len() == BATCH {
                self.append().await?;
            }
        }
    }

    /// Puts an event into the batch, or counts why it is left out.
    async fn take(&mut self, event: Event) -> Result<(), ImportError> {
        let day = event.created_at.day();
        if day < self.cutoff && day < self.summaries_cutoff {
            self.report.too_old += 1;
        } else if event.created_at > self.now.plus(AHEAD) {
            self.report.too_new += 1;
        } else if allowed_site(self.app, &event.site).is_err() {
            self.report.not_measured += 1;
        } else if day < self.cutoff {
            self.expired.push(event).await?;
        } else {
            self.batch.push(event);
        }
        Ok(())
    }

    async fn append(&mut self) -> Result<(), ImportError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        for appended in self.app.append(&batch, self.now).await? {
            match appended {
                Appended::Stored => self.report.imported += 1,
                Appended::Duplicate => self.report.duplicates += 1,
                Appended::TooManySites => return Err(ImportError::TooManySites),
            }
        }
        Ok(())
    }
}
