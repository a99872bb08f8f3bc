//! What every format is read into: one logged request, or what was expected in its place.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use common::time::Timestamp;

/// One logged request.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Which of the server's sites, in lower case and without a port, if the format tells.
    pub host: Option<String>,
    /// Who asked.
    pub client: IpAddr,
    /// When, in UTC.
    pub time: Timestamp,
    /// The method; empty when the request was none.
    pub method: String,
    /// What was asked for: a path and its query.
    pub target: String,
    /// The answer's status; 0 when there was no answer.
    pub status: u16,
    /// Where the visitor came from, if the browser said.
    pub referrer: Option<String>,
    /// The user agent.
    pub agent: Agent,
}

/// Never shows who asked.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("time", &self.time).field("status", &self.status).finish_non_exhaustive()
    }
}

/// A user agent, as far as a format tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agent {
    /// The format has none: bots cannot be recognised.
    Unknown,
    /// The client sent none.
    Missing,
    /// The client sent this.
    Sent(String),
}

impl Agent {
    /// What the client sent, empty when that is nothing or unknown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sent(agent) => agent,
            Self::Unknown | Self::Missing => "",
        }
    }
}

/// Why a line cannot be read. Holds nothing of the line but one character at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is too long to be read.
    #[error("it is longer than {} KiB", super::lines::LONGEST / 1024)]
    TooLong,
    /// Something else stands where a part should be.
    #[error("column {column}: expected {expected}, found {found}")]
    Unexpected {
        /// Where, in bytes from 1.
        column: usize,
        /// What should stand there.
        expected: Expected,
        /// What stands there.
        found: Found,
    },
}

impl Malformed {
    /// At byte `at` of `line`, from 0.
    pub(super) fn at(line: &[u8], at: usize, expected: Expected) -> Self {
        let at = at.min(line.len());
        Self::Unexpected { column: at + 1, expected, found: Found::at(&line[at..]) }
    }
}

/// A part of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The client's address.
    Client,
    /// The time.
    Time,
    /// The request, or its method and target.
    Request,
    /// The status.
    Status,
    /// The size.
    Size,
    /// The referrer.
    Referrer,
    /// The user agent.
    Agent,
    /// The host.
    Host,
    /// JSON.
    Json,
    /// The names of the columns.
    Header,
    /// What stands between the fields of `--log-format`.
    Separator,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "a client address",
            Self::Time => "a time like [17/May/2015:10:05:03 +0000]",
            Self::Request => "a request like \"GET /cv HTTP/1.1\"",
            Self::Status => "a status like 200",
            Self::Size => "a size, or -",
            Self::Referrer => "a referrer in quotes",
            Self::Agent => "a user agent in quotes",
            Self::Host => "a host name",
            Self::Json => "a JSON object",
            Self::Header => "a #Fields line before the first request",
            Self::Separator => "what --log-format has there",
        })
    }
}

/// What stands in a place, without repeating it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing: the line ends.
    End,
    /// No such field.
    Nothing,
    /// A quote that is not closed.
    OpenQuote,
    /// A host name.
    HostName,
    /// One punctuation mark.
    Mark(char),
    /// A word that begins with a letter.
    Word,
    /// A number.
    Number,
    /// A space or a tab.
    Blank,
    /// Bytes that are no plain text.
    Binary,
}

impl Found {
    fn at(rest: &[u8]) -> Self {
        let word: Vec<u8> = rest.iter().copied().take_while(|byte| !byte.is_ascii_whitespace()).take(254).collect();
        let is_name = std::str::from_utf8(&word).is_ok_and(|word| word.contains('.') && super::client::is_host(word));
        match rest.first() {
            None => Self::End,
            Some(b'"') if !rest[1..].contains(&b'"') => Self::OpenQuote,
            Some(first) if first.is_ascii_digit() => Self::Number,
            Some(first) if first.is_ascii_alphabetic() && is_name => Self::HostName,
            Some(first) if first.is_ascii_alphabetic() => Self::Word,
            Some(b' ' | b'\t') => Self::Blank,
            Some(first) if first.is_ascii_punctuation() => Self::Mark(char::from(*first)),
            Some(_) => Self::Binary,
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("the end of the line"),
            Self::Nothing => f.write_str("no such field"),
            Self::OpenQuote => f.write_str("a quote that is not closed"),
            Self::HostName => f.write_str("a host name"),
            Self::Mark(mark) => write!(f, "{mark}"),
            Self::Word => f.write_str("a word"),
            Self::Number => f.write_str("a number"),
            Self::Blank => f.write_str("a blank"),
            Self::Binary => f.write_str("bytes that are no text"),
        }
    }
}

/// Undoes the escapes that servers write: `\"`, `\\`, `\xhh`, and C's letters. Bytes that
/// are no UTF-8 become U+FFFD.
pub(super) fn unescape(field: &[u8]) -> Cow<'_, str> {
    if !field.contains(&b'\\') {
        return String::from_utf8_lossy(field);
    }
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let hex = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        let (byte, used) = match (first, after.first()) {
            (b'\\', Some(b'x')) => match (hex(1), hex(2)) {
                (Some(high), Some(low)) => ((high * 16 + low) as u8, 3),
                _ => (b'\\', 0),
            },
            (b'\\', Some(b'n')) => (b'\n', 1),
            (b'\\', Some(b'r')) => (b'\r', 1),
            (b'\\', Some(b't')) => (b'\t', 1),
            (b'\\', Some(quote @ (b'"' | b'\\'))) => (*quote, 1),
            _ => (*first, 0),
        };
        bytes.push(byte);
        rest = &rest[used..];
    }
    String::from_utf8_lossy(&bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone() {
        for (field, text) in [
            (r#"/\"a\" b\\"#, r#"/"a" b\"#),
            (r"\xc3\xa9\xff\x4", "é\u{fffd}\\x4"),
            (r#"a \"b\" \q\\"#, r#"a "b" \q\"#),
            (r"\n\t\", "\n\t\\"),
        ] {
            assert_eq!(unescape(field.as_bytes()), text);
        }
    }

    #[test]
    fn mistakes_repeat_nothing_of_the_line() {
        for (rest, found) in [
            ("", "the end of the line"),
            ("hunter2.example - -", "a host name"),
            ("hunter2", "a word"),
            ("198.18.0.5", "a number"),
            ("\"hunter2", "a quote that is not closed"),
            ("[hunter2]", "["),
            ("\u{7}", "bytes that are no text"),
        ] {
            let line = format!("xx{rest}");
            let told = Malformed::at(line.as_bytes(), 2, Expected::Client).to_string();
            assert_eq!(told, format!("column 3: expected a client address, found {found}"));
        }
    }
}
