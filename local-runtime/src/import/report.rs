//! What became of the lines.

use std::fmt;

use super::line::Malformed;
use super::page::LeftOut;

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
/// `lines = imported + duplicates + left out + malformed`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines read, without blank ones.
    pub lines: u64,
    /// Page views stored.
    pub imported: u64,
    /// Page views that an earlier import stored.
    pub duplicates: u64,
    left_out: [u64; LeftOut::ALL.len()],
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
}

impl Report {
    /// How many malformed lines are listed one by one.
    pub const MOST_LISTED: usize = 20;

    /// Before the first line.
    pub(super) fn new(retention_days: u32, moved_days: Option<i32>) -> Self {
        Self { retention_days, moved_days, ..Self::default() }
    }

    pub(super) fn leave_out(&mut self, reason: LeftOut) {
        self.left_out[reason as usize] += 1;
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

    /// Whether there were lines and none of them could be read: most likely the wrong format.
    #[must_use]
    pub const fn is_unreadable(&self) -> bool {
        self.lines > 0 && self.malformed == self.lines
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |reason| self.left_out(reason);
        let not_a_page = of(LeftOut::Method) + of(LeftOut::Status) + of(LeftOut::Asset);
        writeln!(f, "{:>10} lines read", self.lines)?;
        write!(f, "{:>10} imported", self.imported)?;
        match self.moved_days {
            Some(days) => writeln!(f, ", moved by {days} days ({} of them lie later today)", self.ahead)?,
            None => writeln!(f)?,
        }
        writeln!(f, "{:>10} duplicates, imported before", self.duplicates)?;
        writeln!(
            f,
            "{not_a_page:>10} left out: not_a_page (method {}, status {}, asset {})",
            of(LeftOut::Method),
            of(LeftOut::Status),
            of(LeftOut::Asset)
        )?;
        writeln!(f, "{:>10} left out: bot", of(LeftOut::Bot))?;
        writeln!(f, "{:>10} left out: too_old (kept are {} days)", of(LeftOut::TooOld), self.retention_days)?;
        writeln!(f, "{:>10} left out: too_new", of(LeftOut::TooNew))?;
        write!(f, "{:>10} malformed", self.malformed)?;
        for bad in &self.listed {
            write!(f, "\n           {}:{}: {}", bad.file, bad.line, bad.why)?;
        }
        if self.malformed > self.listed.len() as u64 {
            write!(f, "\n           and {} more", self.malformed - self.listed.len() as u64)?;
        }
        if self.imported + self.duplicates == 0 && of(LeftOut::TooOld) > 0 {
            write!(f, "\nhint: all page views are too old; --rebase moves them to today, for a trial")?;
        }
        if self.is_unreadable() {
            write!(f, "\nhint: not one line could be read; --format common is for logs without user agents")?;
        }
        Ok(())
    }
}
