//! Imports access logs: page views of people, stored as if they had been sent when they happened.
//!
//! Read in this order: [`input`] opens files, [`lines`] cuts them, [`mod@line`] reads one, [`page`]
//! says whether a person saw a page, [`fingerprint`] gives it an id, and here it is given a
//! visitor and appended. [`report`] is what is left at the end. [`events`] imports the lines of
//! an `export` instead, as the events that they are.
//!
//! Memory is bounded by the longest line, one batch, and 12 bytes a page view of a file.

pub mod events;
pub mod fingerprint;
pub mod input;
pub mod line;
pub mod lines;
pub mod page;
pub mod report;

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use common::App;
use common::collect::allowed_site;
use common::config::IdentityMode;
use common::event::{EARLIEST, Event, EventData};
use common::event_type::EventType;
use common::measure::facts::{Context, Facts, Headers, Observed, has_click_id};
use common::outcome::Refusal;
use common::site::Site;
use common::store::{Appended, StoreError};
use common::time::{DAY, Day, Timestamp};
use common::url::Url;
use indicatif::ProgressBar;
use sha2::{Digest, Sha256};

use self::fingerprint::Fingerprints;
use self::input::Input;
use self::line::{Client, Format, LogLine, Malformed};
use self::lines::Line;
use self::page::{LeftOut, left_out};
pub use self::report::Report;

/// Page views that are appended at once, in one transaction.
const BATCH: usize = 1_000;

/// What is to be imported.
#[derive(Debug, Clone)]
pub struct Import {
    /// From where, in this order.
    pub inputs: Vec<Input>,
    /// The site it belongs to.
    pub site: Site,
    /// How much its lines tell.
    pub format: Format,
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
        let newest = newest_day(import, progress)?.unwrap_or(now.day());
        moved_days = Some(now.day().number() - newest.number());
        progress.reset();
    }
    progress.set_message("importing");
    let mut run = Run {
        app,
        import,
        now,
        cutoff: common::retention::cutoff(app.config.retention_days, now),
        fingerprints: Fingerprints::new(import.site.clone()),
        batch: Vec::with_capacity(BATCH),
        report: Report::new(app.config.retention_days, moved_days),
    };
    for input in &import.inputs {
        run.file(input, progress).await?;
    }
    run.append().await?;
    Ok(run.report)
}

/// The day of the newest line that can be read.
fn newest_day(import: &Import, progress: &ProgressBar) -> Result<Option<Day>, ImportError> {
    let mut newest = None;
    for input in &import.inputs {
        let mut lines = input.open(progress).map_err(|source| unreadable(input, 0, source))?;
        loop {
            match lines.next_line() {
                Ok(Some((_, Line::Bytes(bytes)))) => {
                    if let Ok(line) = LogLine::parse(bytes, import.format) {
                        newest = newest.max(Some(line.time.day()));
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

fn unreadable(input: &Input, line: u64, source: io::Error) -> ImportError {
    ImportError::Read { name: input.name(), line, source }
}

struct Run<'a> {
    app: &'a App,
    import: &'a Import,
    now: Timestamp,
    cutoff: Day,
    fingerprints: Fingerprints,
    batch: Vec<Event>,
    report: Report,
}

impl Run<'_> {
    async fn file(&mut self, input: &Input, progress: &ProgressBar) -> Result<(), ImportError> {
        let name = input.name();
        let mut lines = input.open(progress).map_err(|source| unreadable(input, 0, source))?;
        self.fingerprints.next_file();
        loop {
            let (number, line) = match lines.next_line() {
                Ok(Some(next)) => next,
                Ok(None) => return Ok(()),
                Err(source) => return Err(unreadable(input, lines.number(), source)),
            };
            self.report.lines += 1;
            let bytes = match line {
                Line::Bytes(bytes) => bytes,
                Line::TooLong => {
                    self.report.skip(&name, number, Malformed::TooLong);
                    continue;
                }
            };
            match self.line(bytes).await? {
                Ok(None) => {}
                Ok(Some(reason)) => self.report.leave_out(reason),
                Err(why) => self.report.skip(&name, number, why),
            }
            if self.batch.len() == BATCH {
                self.append().await?;
            }
        }
    }

    /// Puts a line into the batch, or says why it is left out or cannot be read.
    async fn line(&mut self, bytes: &[u8]) -> Result<Result<Option<LeftOut>, Malformed>, StoreError> {
        let line = match LogLine::parse(bytes, self.import.format) {
            Ok(line) => line,
            Err(why) => return Ok(Err(why)),
        };
        if let Some(reason) = left_out(&line, self.import.format) {
            return Ok(Ok(Some(reason)));
        }
        let created_at = line.time.plus(i64::from(self.report.moved_days.unwrap_or(0)) * DAY);
        if created_at.day() < self.cutoff {
            return Ok(Ok(Some(LeftOut::TooOld)));
        }
        if self.report.moved_days.is_none() && created_at > self.now.plus(EARLIEST) {
            return Ok(Ok(Some(LeftOut::TooNew)));
        }
        let Some(page_url) = Url::parse(&line.target) else { return Ok(Err(Malformed::Path)) };

        let site = &self.import.site;
        let agent = line.user_agent.as_deref().unwrap_or_default();
        let day = created_at.day();
        let visitor = self.app.identity.visitor(site, address(line.client), agent, day, self.now).await?;
        let referrer = line.referrer.as_deref().and_then(Url::parse);
        let facts = self.facts(agent, address(line.client), &line.target, &page_url, referrer.as_ref());
        self.batch.push(Event {
            id: self.fingerprints.id(line.time, bytes),
            site: site.clone(),
            visitor,
            event_type: EventType::PageView,
            data: EventData::EMPTY,
            page_url: Some(page_url),
            referrer,
            created_at,
            facts,
        });
        Ok(Ok(None))
    }

    /// What a line tells, as far as it goes.
    fn facts(&self, agent: &str, address: IpAddr, target: &str, page: &Url, referrer: Option<&Url>) -> Facts {
        Facts::derive(&Observed {
            user_agent: agent,
            headers: &Headers::default(),
            context: &Context::default(),
            place: self.app.place(Some(address)).as_ref(),
            explicit: false,
            page_url: Some(page),
            referrer,
            ad_click: has_click_id(target),
            site: self.import.site.as_str(),
            origins: &self.app.config.allowed_origins,
        })
    }

    async fn append(&mut self) -> Result<(), ImportError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        let ahead: Vec<bool> = batch.iter().map(|event| event.created_at > self.now).collect();
        for (appended, ahead) in self.app.store.append(batch, self.now).await?.into_iter().zip(ahead) {
            match appended {
                Appended::Stored { .. } => {
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

/// The address that a visitor is told by. A host name stands for one of the unique local
/// addresses (RFC 4193), which no visitor from outside can have; like every address it is
/// salted and hashed before it is stored.
fn address(client: Client<'_>) -> IpAddr {
    match client {
        Client::Address(address) => address,
        Client::Name(name) => {
            let digest: [u8; 32] = Sha256::digest(name.to_ascii_lowercase()).into();
            let mut octets = [0xfd; 16];
            octets[1..].copy_from_slice(&digest[..15]);
            Ipv6Addr::from(octets).into()
        }
    }
}

#[cfg(test)]
mod tests;
