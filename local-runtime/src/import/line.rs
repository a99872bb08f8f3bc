//! Lines of access logs in the Common and the Combined Log Format, as Apache and nginx write
//! them. Pure: bytes in, a request or a mistake out, and nothing that bytes can do makes it
//! panic.
//!
//! ```text
//! client ident user [17/May/2015:10:05:03 +0000] "GET /cv HTTP/1.1" 200 203023 "referrer" "agent"
//! ╰──────────────────────────────── common ────────────────────────────────╯
//! ╰──────────────────────────────────────── combined ──────────────────────────────────────────╯
//! ```
//!
//! What servers are often told to write behind that (times, forwarded addresses) is passed over.

use std::borrow::Cow;
use std::net::IpAddr;

use common::time::{Day, HOUR, SECOND, Timestamp};

/// How much a line tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// With referrer and user agent.
    #[default]
    Combined,
    /// Without: bots cannot be told from people.
    Common,
}

/// One logged request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// Who asked.
    pub client: Client<'a>,
    /// When, as the server wrote it, in UTC.
    pub time: Timestamp,
    /// The method; empty when the request was none.
    pub method: Cow<'a, str>,
    /// What was asked for: usually a path and its query.
    pub target: Cow<'a, str>,
    /// The answer's status.
    pub status: u16,
    /// Where the visitor came from, if the browser said.
    pub referrer: Option<Cow<'a, str>>,
    /// The user agent; `None` when there was none, or the format has none.
    pub user_agent: Option<Cow<'a, str>>,
}

/// Who asked: an address, or a name where the server looked names up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Client<'a> {
    /// An address.
    Address(IpAddr),
    /// A host name.
    Name(&'a str),
}

/// Never shows who it is.
impl std::fmt::Debug for Client<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

/// Why a line cannot be read. Never holds anything of the line itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Its first field is neither an address nor a host name.
    #[error("it does not begin with an address or a host name")]
    Client,
    /// It has no time like `[17/May/2015:10:05:03 +0000]`.
    #[error("it has no time like [17/May/2015:10:05:03 +0000]")]
    Time,
    /// The request is not there or its quote is not closed.
    #[error("the request is missing or its quote is not closed")]
    Request,
    /// No status from 100 to 999 follows the request.
    #[error("no status follows the request")]
    Status,
    /// No size follows the status.
    #[error("no size follows the status")]
    Size,
    /// The referrer is not there or its quote is not closed.
    #[error("the referrer is missing or its quote is not closed")]
    Referrer,
    /// The user agent is not there or its quote is not closed.
    #[error("the user agent is missing or its quote is not closed")]
    UserAgent,
    /// It is too long to be read.
    #[error("it is longer than {} KiB", super::lines::LONGEST / 1024)]
    TooLong,
    /// What was asked for is no page address that can be kept.
    #[error("the path is longer than {} characters or has control characters", common::url::Url::LONGEST)]
    Path,
}

impl<'a> LogLine<'a> {
    /// Reads one line, without its line break.
    ///
    /// # Errors
    /// Says which part cannot be read.
    pub fn parse(line: &'a [u8], format: Format) -> Result<Self, Malformed> {
        let (client, rest) = split_at_space(line).ok_or(Malformed::Client)?;
        let client = parse_client(client).ok_or(Malformed::Client)?;

        // Ident and user say nothing here, and a user may have spaces.
        let time = rest.windows(2).position(|pair| pair == b" [").ok_or(Malformed::Time)? + 2;
        let (time, rest) = rest[time..].split_at_checked(TIME).ok_or(Malformed::Time)?;
        let time = parse_time(time).ok_or(Malformed::Time)?;
        let rest = rest.strip_prefix(b"] ").ok_or(Malformed::Time)?;

        let (request, rest) = quoted(rest).ok_or(Malformed::Request)?;
        let (method, target) = parse_request(request);

        let rest = rest.strip_prefix(b" ").ok_or(Malformed::Status)?;
        let (status, rest) = rest.split_at_checked(3).ok_or(Malformed::Status)?;
        let status = digits(status).filter(|status| *status >= 100).ok_or(Malformed::Status)?;
        let rest = rest.strip_prefix(b" ").ok_or(Malformed::Size)?;
        let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
        let (size, rest) = rest.split_at(end);
        if size != b"-" && (size.is_empty() || !size.iter().all(u8::is_ascii_digit)) {
            return Err(Malformed::Size);
        }

        let mut parsed = Self { client, time, method, target, status: status as u16, referrer: None, user_agent: None };
        if format == Format::Combined {
            let (referrer, rest) = rest.strip_prefix(b" ").and_then(quoted).ok_or(Malformed::Referrer)?;
            let (user_agent, _) = rest.strip_prefix(b" ").and_then(quoted).ok_or(Malformed::UserAgent)?;
            parsed.referrer = said(referrer);
            parsed.user_agent = said(user_agent);
        }
        Ok(parsed)
    }
}

/// Bytes of a time without its brackets.
const TIME: usize = 26;

const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

fn split_at_space(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = line.iter().position(|byte| *byte == b' ')?;
    // The space stays: it belongs to the ` [` before the time.
    Some(line.split_at(space))
}

fn parse_client(field: &[u8]) -> Option<Client<'_>> {
    let text = std::str::from_utf8(field).ok()?;
    if let Ok(address) = text.parse() {
        return Some(Client::Address(address));
    }
    // RFC 1123, and the underscore that people use all the same.
    let is_name = text.len() <= 253
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    is_name.then_some(Client::Name(text))
}

/// `17/May/2015:10:05:03 +0000`. A leap second counts as the second after it.
fn parse_time(text: &[u8]) -> Option<Timestamp> {
    let separators = [(2, b'/'), (6, b'/'), (11, b':'), (14, b':'), (17, b':'), (20, b' ')];
    if text.len() != TIME || separators.iter().any(|(at, byte)| text[*at] != *byte) {
        return None;
    }
    let within = |from: usize, to: usize, most: u32| digits(&text[from..to]).filter(|n| *n <= most).map(i64::from);
    let month = 1 + MONTHS.iter().position(|name| name.eq_ignore_ascii_case(&text[3..6]))?;
    let (day, year) = (digits(&text[0..2])?, digits(&text[7..11])?);
    let day = Day::parse(&format!("{year:04}-{month:02}-{day:02}"))?;
    let seconds = within(12, 14, 23)? * 3_600 + within(15, 17, 59)? * 60 + within(18, 20, 60)?;
    let offset = within(22, 24, 23)? * HOUR + within(24, 26, 59)? * 60 * SECOND;
    match text[21] {
        b'+' => Some(day.start().plus(seconds * SECOND - offset)),
        b'-' => Some(day.start().plus(seconds * SECOND + offset)),
        _ => None,
    }
}

/// A number of digits and nothing else.
fn digits(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0_u32, |number, byte| {
        byte.is_ascii_digit().then(|| number.saturating_mul(10).saturating_add(u32::from(byte - b'0')))
    })
}

/// What stands between a quote and the next one that no backslash is in front of; and the rest.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"\"")?;
    let mut escaped = false;
    let end = text.iter().position(|byte| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    })?;
    Some((&text[..end], &text[end + 1..]))
}

/// Method and target of `GET /cv HTTP/1.1`; of what is no request, an empty method.
fn parse_request(request: &[u8]) -> (Cow<'_, str>, Cow<'_, str>) {
    let mut words = request.splitn(2, |byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    let Some(target) = words.next() else { return Default::default() };
    // Very old clients send no version; a path with spaces keeps them.
    let target = match target.windows(6).rposition(|end| end == b" HTTP/") {
        Some(end) => &target[..end],
        None => target,
    };
    (unescape(method), unescape(target))
}

/// What a header said: servers write `-` for nothing.
fn said(field: &[u8]) -> Option<Cow<'_, str>> {
    let text = unescape(field);
    (!text.trim().is_empty() && text != "-").then_some(text)
}

/// Undoes the escapes that servers write: `\"`, `\\`, `\xhh`, and C's letters. Bytes that
/// are no UTF-8 become U+FFFD.
fn unescape(field: &[u8]) -> Cow<'_, str> {
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
mod tests;
