//! Access logs to import.

use std::fmt::Write as _;
use std::io::Write as _;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::BROWSER;
use crate::binary::{variable, workspace};

/// A log under construction: each line a second after the one before, at noon of its day.
#[derive(Debug, Default)]
pub struct AccessLog {
    text: String,
    lines: i8,
}

/// The path of a real site's log, where it is at hand; says so where it is not.
#[must_use]
pub fn real() -> Option<String> {
    let data = variable("MAICIVY_TEST_DATA").map_or_else(|| workspace().join("../shared/data"), Into::into);
    let path = data.join("access-log/access-semicomplete-2015.log");
    if let Ok(path) = path.canonicalize() {
        return Some(path.display().to_string());
    }
    eprintln!("skipped: {} is not there; MAICIVY_TEST_DATA says where it is", path.display());
    None
}

/// One request, as a log tells it.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Who asked.
    pub address: &'a str,
    /// What for: method and target.
    pub request: &'a str,
    /// What was answered.
    pub status: u16,
    /// With what.
    pub user_agent: &'a str,
}

impl Default for Line<'_> {
    fn default() -> Self {
        Self { address: "198.18.5.9", request: "GET /cv", status: 200, user_agent: BROWSER }
    }
}

impl AccessLog {
    /// One more line, in the Combined Log Format.
    pub fn combined(&mut self, day: Date, line: Line<'_>) -> &mut Self {
        let common = self.start(day, line);
        let agent = line.user_agent;
        writeln!(self.text, r#"{common} "https://search.example/?q=cv" "{agent}""#).expect("text can be written");
        self
    }

    /// One more line, in the Common Log Format.
    pub fn common(&mut self, day: Date, line: Line<'_>) -> &mut Self {
        let common = self.start(day, line);
        writeln!(self.text, "{common}").expect("text can be written");
        self
    }

    /// One more line of any kind.
    pub fn raw(&mut self, line: &str) -> &mut Self {
        self.text.push_str(line);
        self.text.push('\n');
        self
    }

    /// The log.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The log, compressed.
    #[must_use]
    pub fn gz(&self) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(self.text.as_bytes()).expect("memory can be written");
        encoder.finish().expect("memory can be written")
    }

    fn start(&mut self, day: Date, line: Line<'_>) -> String {
        let Line { address, request, status, .. } = line;
        self.lines = (self.lines + 1) % 60;
        let at = day.at(12, 0, self.lines, 0).to_zoned(TimeZone::UTC).expect("UTC has no gaps");
        let at = at.strftime("%d/%b/%Y:%H:%M:%S %z");
        format!(r#"{address} - - [{at}] "{request} HTTP/1.1" {status} 512"#)
    }
}
