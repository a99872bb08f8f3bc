//! Imports access logs: page views of people, stored as if they had been sent when they happened.
//!
//! Read in this order: [`input`] opens files, `unpack` unpacks them, [`lines`] cuts them.
//! [`format`](mod@format) tells the format of each line and hands it to `text`, [`template`],
//! `w3c` or `json`, which find its `fields` (`client` and `date` read two of them), and
//! these make one [`record`]. [`page`] says whether a person saw a page, [`fingerprint`] gives it
//! an id, and here it is given a visitor and appended; `expired` makes summaries of what is too old to
//! be kept. [`report`] is what is left at the end.
//! [`events`] imports the lines of an `export` instead, as the events that they are.
//!
//! Memory is bounded by the longest line, the lines read ahead, one batch, and 12 bytes a page view
//! of a file.

mod client;
mod date;
pub mod events;
mod expired;
mod fields;
pub mod fingerprint;
pub mod format;
pub mod input;
mod json;
pub mod lines;
pub mod page;
pub mod record;
pub mod report;
pub mod template;
mod text;
mod unpack;
mod w3c;

use std::io;
use std::time::Duration;

use common::App;
use common::collect::{allowed_site, error_text};
use common::config::IdentityMode;
use common::event::{Event, EventData, MAX_CLOCK_SKEW};
use common::event_type::EventType;
use common::measure::facts::{Context, Facts, Headers, Observed, has_click_id};
use common::outcome::Refusal;
use common::retention;
use common::site::Site;
use common::store::{Appended, StoreError};
use common::time::{DAY, Day, Timestamp};
use common::url::Url;
use indicatif::ProgressBar;
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::expired::Expired;
pub use self::expired::Summarised;
use self::fingerprint::Fingerprints;
use self::format::Reader;
use self::input::{Input, Piece};
use self::lines::Line;
use self::page::{LeftOut, left_out};
use self::record::{Malformed, Record};
pub use self::report::Report;
use self::template::Template;

/// Page views that are appended at once, in one transaction.
const BATCH: usize = 1_000;
/// How long a page view that was read may wait for others before they are appended.
const LINGER: Duration = Duration::from_secs(1);

/// What is to be imported.
#[derive(Debug, Clone)]
pub struct Import {
    /// From where, in this order.
    pub inputs: Vec<Input>,
    /// The site it belongs to.
    pub site: Site,
    /// The hosts of which lines are imported, in lower case and without ports; none for all.
    pub vhosts: Vec<String>,
    /// The format; none when it is recognised from the lines.
    pub format: Option<Template>,
    /// Whether a last line without a line break is complete. Without this it is read only if its
    /// file was packed, or not written to for a minute.
    pub finished: bool,
    /// Whether all times are moved by whole days, so that the newest line's day is today. Lines
    /// of that day that are later than the clock are then events of later today.
    pub rebase: bool,
}

/// Why an import ended early. What was imported until then stays, and the same import may
/// simply be run again.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The site is none of those that are measured.
    #[error(transparent)]
    Site(#[from] Refusal),
    /// Log lines tell visitors by address and agent alone.
    #[error("ANALYTICS_IDENTITY=explicit forbids telling visitors by their address, and a log has nothing else")]
    Explicit,
    /// Moving times needs two passes.
    #[error("--rebase reads its input twice, so it cannot be the standard input")]
    RebasedStandardInput,
    /// One more site than a store takes.
    #[error("the site is new, and there may be at most {} sites", Site::MOST)]
    TooManySites,
    /// A file cannot be read.
    #[error("cannot read {name} after line {line}: {source}")]
    Read {
        /// The file.
        name: String,
        /// The last line that could be read.
        line: u64,
        /// What the system said.
        source: io::Error,
    },
    /// There is no place for what is too old to be kept.
    #[error("cannot use a temporary folder: {0}")]
    Temporary(io::Error),
    /// The store cannot take events.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
}

/// Imports everything. `progress` counts the bytes that are read of the inputs.
///
/// # Errors
/// See [`ImportError`].
pub async fn run(app: &App, import: &Import, now: Timestamp, progress: &ProgressBar) -> Result<Report, ImportError> {
    allowed_site(app, &import.site)?;
    if app.config.identity == IdentityMode::Explicit {
        return Err(ImportError::Explicit);
    }
    let mut moved_days = None;
    if import.rebase {
        if import.inputs.iter().any(Input::is_standard_input) {
            return Err(ImportError::RebasedStandardInput);
        }
        progress.set_message("finding the newest line");
        let newest = newest_day(app, import, progress)?.unwrap_or(now.day());
        moved_days = Some(now.day().number() - newest.number());
        progress.reset();
    }
    progress.set_message("importing");
    let mut run = Run::new(app, import, now, moved_days);
    for input in &import.inputs {
        run.file(input, input.pieces(progress)).await?;
    }
    run.append().await?;
    run.report.summarised = run.expired.summarise(app).await?;
    run.expired.close().await;
    prepare(app, run.report.imported, progress).await;
    Ok(run.report)
}

/// Prepares the days of which events were imported for queries, and for the time when these expire.
async fn prepare(app: &App, imported: u64, progress: &ProgressBar) {
    progress.set_message("compacting indexes");
    if let Err(error) = app.store.compact(imported).await {
        // It is larger than it could be, and complete.
        tracing::warn!(error = error_text(&error), "the store's indexes could not be written anew");
    }
    progress.set_message("summarising");
    retention::summarise(app, app.now()).await;
}

/// The day of the newest line that can be read.
fn newest_day(app: &App, import: &Import, progress: &ProgressBar) -> Result<Option<Day>, ImportError> {
    let mut newest = None;
    for input in &import.inputs {
        let mut lines = input.open(progress).map_err(|source| unreadable(input, 0, source))?;
        let mut reader = Reader::new(&app.config.trusted_proxies, import.format.as_ref());
        loop {
            match lines.next_line() {
                Ok(Some((_, Line::Bytes(bytes)))) => {
                    if let Ok(Some((record, _))) = reader.read(bytes) {
                        newest = newest.max(Some(record.time.day()));
                    }
                }
                Ok(Some((_, Line::TooLong))) => {}
                Ok(None) => break,
                Err(source) => return Err(unreadable(input, lines.number(), source)),
            }
        }
    }
    Ok(newest)
}

/// A host as `--vhost` names it: in lower case, without a port.
#[must_use]
pub fn host(text: &str) -> Option<String> {
    client::is_host(text).then(|| client::host_name(text))
}

fn unreadable(input: &Input, line: u64, source: io::Error) -> ImportError {
    ImportError::Read { name: input.name(), line, source }
}

struct Run<'a> {
    app: &'a App,
    import: &'a Import,
    /// When the import began.
    now: Timestamp,
    fingerprints: Fingerprints,
    batch: Vec<Event>,
    /// What is too old to be kept.
    expired: Expired,
    /// How long the oldest event of the batch may wait.
    linger: Duration,
    /// When the batch is appended at the latest.
    append_at: Option<Instant>,
    report: Report,
}

impl<'a> Run<'a> {
    fn new(app: &'a App, import: &'a Import, now: Timestamp, moved_days: Option<i32>) -> Self {
        Self {
            app,
            import,
            now,
            fingerprints: Fingerprints::new(import.site.clone()),
            batch: Vec::with_capacity(BATCH),
            expired: Expired::default(),
            linger: LINGER,
            append_at: None,
            report: Report::new(&app.config, moved_days),
        }
    }

    async fn file(&mut self, input: &Input, mut pieces: mpsc::Receiver<Piece>) -> Result<(), ImportError> {
        let name = input.name();
        self.fingerprints.next_file();
        let mut reader = Reader::new(&self.app.config.trusted_proxies, self.import.format.as_ref());
        loop {
            let piece = match self.append_at {
                None => pieces.recv().await,
                Some(at) => match tokio::time::timeout_at(at, pieces.recv()).await {
                    Ok(piece) => piece,
                    Err(_) => {
                        self.append().await?;
                        self.report.summarised = self.expired.summarise(self.app).await?;
                        continue;
                    }
                },
            };
            let (number, bytes) = match piece {
                None => return Ok(()),
                Some(Piece::Failed { line, source }) => return Err(unreadable(input, line, source)),
                Some(Piece::Line { number, is_ended, .. })
                    if !is_ended && !self.import.finished && !input.is_at_rest(self.now) =>
                {
                    self.report.leave_for_later(&name, number);
                    continue;
                }
                Some(Piece::Line { number, bytes, .. }) => (number, bytes),
            };
            let read = match &bytes {
                Some(bytes) => reader.read(bytes),
                None => Err(Malformed::TooLong),
            };
            match (read, bytes) {
                (Ok(Some((record, format))), Some(bytes)) => {
                    self.report.lines += 1;
                    self.report.read_as(format);
                    self.take(record, &bytes).await?;
                }
                (Ok(_), _) => {}
                (Err(why), _) => {
                    self.report.lines += 1;
                    self.report.skip(&name, number, why);
                }
            }
            if self.batch.len() == BATCH {
                self.append().await?;
            }
        }
    }

    /// Puts a request into the batch, or counts why it is left out.
    async fn take(&mut self, record: Record, line: &[u8]) -> Result<(), ImportError> {
        self.report.see_host(record.host.as_deref());
        let created_at = record.time.plus(i64::from(self.report.moved_days.unwrap_or(0)) * DAY);
        // An import that follows a log goes on for days.
        let now = self.app.now();
        let is_expired = created_at.day() < retention::cutoff(self.app.config.retention_days, now);
        let is_old = is_expired && created_at.day() < retention::summaries_cutoff(self.app.config.summary_months, now);
        let is_new = self.report.moved_days.is_none() && created_at > now.plus(MAX_CLOCK_SKEW);
        let reason = left_out(&record, &self.import.vhosts);
        let reason = reason.or(is_old.then_some(LeftOut::TooOld)).or(is_new.then_some(LeftOut::TooNew));
        if let Some(reason) = reason {
            self.report.leave_out(reason);
            return Ok(());
        }
        let site = &self.import.site;
        let day = created_at.day();
        let visitor = self.app.identity.visitor(site, record.client, record.agent.as_str(), day, now).await?;
        self.append_at.get_or_insert_with(|| Instant::now() + self.linger);
        let page_url = Url::new(&record.target);
        let referrer = record.referrer.as_deref().map(Url::new);
        let facts = self.facts(&record, &page_url, referrer.as_ref());
        let event = Event {
            id: self.fingerprints.id(record.time, line),
            site: site.clone(),
            visitor,
            event_type: EventType::PageView,
            data: EventData::EMPTY,
            page_url: Some(page_url),
            referrer,
            created_at,
            facts,
        };
        if is_expired {
            return self.expired.push(event).await;
        }
        self.batch.push(event);
        Ok(())
    }

    /// What a line tells, as far as it goes.
    fn facts(&self, record: &Record, page: &Url, referrer: Option<&Url>) -> Facts {
        // The host that the line names is that of its page.
        let origin = record.host.as_deref().map(Into::into);
        Facts::derive(&Observed {
            user_agent: record.agent.as_str(),
            headers: &Headers { origin, ..Headers::default() },
            context: &Context::default(),
            place: self.app.place(Some(record.client)).as_ref(),
            explicit: false,
            page_url: Some(page),
            referrer,
            ad_click: has_click_id(&record.target),
            site: self.import.site.as_str(),
            origins: &self.app.config.allowed_origins,
        })
    }

    async fn append(&mut self) -> Result<(), ImportError> {
        self.append_at = None;
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        let now = self.app.now();
        let ahead: Vec<bool> = batch.iter().map(|event| event.created_at > now).collect();
        for (appended, ahead) in self.app.append(&batch, now).await?.into_iter().zip(ahead) {
            match appended {
                Appended::Stored => {
                    self.report.imported += 1;
                    self.report.ahead += u64::from(ahead);
                }
                Appended::Duplicate => self.report.duplicates += 1,
                Appended::TooManySites => return Err(ImportError::TooManySites),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
