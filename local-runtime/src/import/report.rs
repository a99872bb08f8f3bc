//! What became of the lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use common::config::Config;

use super::Summarised;
use super::format::Format;
use super::page::LeftOut;
use super::record::{Expected, Found, Malformed};
use super::template::Template;

/// A line that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// The file's name.
    pub file: String,
    /// The line's number in it, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub why: Malformed,
}

/// Every line that was read ends in exactly one of these:
/// `lines = imported + summarised + duplicates + left out + unfinished + malformed`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines read, without blank ones.
    pub lines: u64,
    /// Page views stored.
    pub imported: u64,
    /// Page views that an earlier import stored.
    pub duplicates: u64,
    /// What became of page views that are too old to be kept.
    pub summarised: Summarised,
    left_out: [u64; LeftOut::ALL.len()],
    /// Last lines without a line break, of files that may still be written to.
    pub unfinished: u64,
    unfinished_at: Vec<(String, u64)>,
    /// In which formats how many lines were read.
    pub formats: BTreeMap<Format, u64>,
    hosts: BTreeSet<String>,
    /// Lines that could not be read.
    pub malformed: u64,
    /// The first [`Report::MOST_LISTED`] of them.
    pub listed: Vec<Bad>,
    /// By how many days times were moved, if they were.
    pub moved_days: Option<i32>,
    /// Imported page views that lie ahead of the clock, later today.
    pub ahead: u64,
    /// Days that events are kept.
    pub retention_days: u32,
    /// Months that summaries are kept.
    pub summary_months: u32,
}

impl Report {
    /// How many malformed lines are listed one by one.
    pub const MOST_LISTED: usize = 20;

    /// Before the first line.
    pub(super) fn new(config: &Config, moved_days: Option<i32>) -> Self {
        let (retention_days, summary_months) = (config.retention_days, config.summary_months);
        Self { retention_days, summary_months, moved_days, ..Self::default() }
    }

    pub(super) fn leave_out(&mut self, reason: LeftOut) {
        self.left_out[reason as usize] += 1;
    }

    pub(super) fn read_as(&mut self, format: Format) {
        *self.formats.entry(format).or_default() += 1;
    }

    /// Remembers which hosts there are, as far as they are worth listing.
    pub(super) fn see_host(&mut self, host: Option<&str>) {
        if let Some(host) = host.filter(|host| self.hosts.len() <= Self::MOST_LISTED && !self.hosts.contains(*host)) {
            self.hosts.insert(host.to_owned());
        }
    }

    /// A last line that may not be complete.
    pub(super) fn leave_for_later(&mut self, file: &str, line: u64) {
        self.lines += 1;
        self.unfinished += 1;
        if self.unfinished_at.len() < Self::MOST_LISTED {
            self.unfinished_at.push((file.to_owned(), line));
        }
    }

    pub(super) fn skip(&mut self, file: &str, line: u64, why: Malformed) {
        self.malformed += 1;
        if self.listed.len() < Self::MOST_LISTED {
            self.listed.push(Bad { file: file.to_owned(), line, why });
        }
    }

    /// How many lines were left out for this reason.
    #[must_use]
    pub const fn left_out(&self, reason: LeftOut) -> u64 {
        self.left_out[reason as usize]
    }

    /// Whether there were lines and none of them could be read: most likely an unknown format.
    #[must_use]
    pub const fn is_unreadable(&self) -> bool {
        self.lines > 0 && self.malformed == self.lines
    }
}

/// What is kept, for how long.
pub(super) fn kept(retention_days: u32, summary_months: u32) -> String {
    format!("kept are {retention_days} days, summaries {summary_months} months")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |reason| self.left_out(reason);
        let not_a_page = of(LeftOut::Method) + of(LeftOut::Status) + of(LeftOut::Asset);
        writeln!(f, "{:>10} lines read", self.lines)?;
        for (format, lines) in &self.formats {
            match self.formats.len() {
                1 => writeln!(f, "           format: {format}")?,
                _ => writeln!(f, "           format: {format}, {lines} lines")?,
            }
        }
        write!(f, "{:>10} imported", self.imported)?;
        match self.moved_days {
            Some(days) => writeln!(f, ", moved by {days} days ({} of them lie later today)", self.ahead)?,
            None => writeln!(f)?,
        }
        let Summarised { lines, days, known, duplicates } = self.summarised;
        if lines + known > 0 {
            writeln!(f, "{lines:>10} summarised: older than {} days, {days} days of them", self.retention_days)?;
            writeln!(f, "{known:>10} of days that have a summary already")?;
        }
        writeln!(f, "{:>10} duplicates, imported before", self.duplicates + duplicates)?;
        writeln!(
            f,
            "{not_a_page:>10} left out: not_a_page (method {}, status {}, asset {})",
            of(LeftOut::Method),
            of(LeftOut::Status),
            of(LeftOut::Asset)
        )?;
        if of(LeftOut::OtherHost) > 0 {
            writeln!(f, "{:>10} left out: other_host (not in --vhost)", of(LeftOut::OtherHost))?;
        }
        writeln!(f, "{:>10} left out: bot", of(LeftOut::Bot))?;
        writeln!(
            f,
            "{:>10} left out: too_old ({})",
            of(LeftOut::TooOld),
            kept(self.retention_days, self.summary_months)
        )?;
        writeln!(f, "{:>10} left out: too_new", of(LeftOut::TooNew))?;
        if self.unfinished > 0 {
            writeln!(f, "{:>10} left out: unfinished (last line without a line break)", self.unfinished)?;
            for (file, line) in &self.unfinished_at {
                writeln!(f, "           {file}:{line}")?;
            }
        }
        write!(f, "{:>10} malformed", self.malformed)?;
        for bad in &self.listed {
            write!(f, "\n           {}:{}: {}", bad.file, bad.line, bad.why)?;
        }
        if self.malformed > self.listed.len() as u64 {
            write!(f, "\n           and {} more", self.malformed - self.listed.len() as u64)?;
        }
        if self.imported + self.duplicates + lines + known == 0 && of(LeftOut::TooOld) > 0 {
            write!(f, "\nhint: all page views are too old; --rebase moves them to today, for a trial")?;
        }
        if self.unfinished > 0 {
            write!(
                f,
                "\nhint: a last line without a line break may be incomplete; import the file again when it has grown or \
                 was not written to for a minute, or say --finished"
            )?;
        }
        if self.hosts.len() > 1 && of(LeftOut::OtherHost) == 0 {
            let (all, more) = (self.hosts.len(), self.hosts.len() > Self::MOST_LISTED);
            let hosts: Vec<&str> = self.hosts.iter().take(Self::MOST_LISTED).map(String::as_str).collect();
            let count = if more { format!("more than {}", all - 1) } else { all.to_string() };
            write!(f, "\nhint: the lines are of {count} hosts; --vhost selects: {}", hosts.join(", "))?;
        }
        if of(LeftOut::OtherHost) > 0 && self.hosts.is_empty() {
            write!(f, "\nhint: no line names a host, so --vhost leaves out all of them")?;
        }
        if self.is_unreadable() {
            let is_name = |bad: &Bad| {
                matches!(bad.why, Malformed::Unexpected { expected: Expected::Client, found: Found::HostName, .. })
            };
            let is_headless = |bad: &Bad| matches!(bad.why, Malformed::Unexpected { expected: Expected::Header, .. });
            if self.listed.iter().all(is_name) {
                write!(
                    f,
                    "\nhint: a host name is no client address; if the server looks up the names of clients, give its format: \
                     --log-format '%h %l %u %t \"%r\" %>s %b \"%{{Referer}}i\" \"%{{User-Agent}}i\"'"
                )?;
            } else if self.listed.iter().all(is_headless) {
                write!(f, "\nhint: the file must begin with its #Fields line, which names the columns")?;
            } else {
                write!(
                    f,
                    "\nhint: no line could be read; give the format as the server's configuration has it: --log-format {}",
                    Template::EXAMPLE
                )?;
            }
        }
        Ok(())
    }
}
