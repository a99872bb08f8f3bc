//! Lines of text as Apache, nginx, lighttpd and Traefik write them: the Common and the Combined Log
//! Format, with or without the virtual host, with the date first, and with more fields behind.
//!
//! ```text
//! client ident user [17/May/2015:10:05:03 +0000] "GET /cv HTTP/1.1" 200 203023 "referrer" "agent"
//! ╰──────────────────────────────── common ────────────────────────────────╯
//! ╰──────────────────────────────────────── combined ──────────────────────────────────────────╯
//! ```
//!
//! Fields are recognised by their shape: the time by being one, the request by its quotes behind it, the
//! client as the first word or the one behind a host. What follows the user agent is passed over.

use std::borrow::Cow;

use super::client::{address, is_host, is_private};
use super::date;
use super::fields::{Fields, Role};
use super::format::Format;
use super::record::{Expected, Malformed, unescape};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bare,
    Quoted,
    Bracketed,
}

/// A word of a line, without its quotes or brackets.
#[derive(Debug, Clone, Copy)]
struct Word<'a> {
    kind: Kind,
    text: &'a [u8],
    at: usize,
}

impl<'a> Word<'a> {
    fn str(self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.text)
    }
}

/// Cuts a line into words.
#[derive(Debug, Clone, Copy)]
struct Words<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Words<'a> {
    /// Where the next word begins.
    fn start(&self) -> usize {
        let blanks = self.line[self.at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.at + blanks
    }

    /// The next word; `None` at the end of the line or at a quote that is not closed.
    fn next(&mut self) -> Option<Word<'a>> {
        let at = self.start();
        let rest = &self.line[at..];
        let (kind, length) = match rest.first()? {
            b'"' => (Kind::Quoted, closing_quote(&rest[1..])?),
            b'[' => match rest.iter().position(|byte| *byte == b']') {
                // `[2001:db8::1]:51008` is one word.
                Some(end) if rest.get(end + 1).is_none_or(u8::is_ascii_whitespace) => (Kind::Bracketed, end - 1),
                _ => (Kind::Bare, 0),
            },
            _ => (Kind::Bare, 0),
        };
        let (text, used) = match kind {
            Kind::Bare => {
                let mut end = 0;
                // `client, proxy` is one word.
                while let Some(blank) = rest[end..].iter().position(u8::is_ascii_whitespace) {
                    end += blank;
                    if rest[end - 1] != b',' {
                        break;
                    }
                    end += rest[end..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                }
                let is_last = rest[end..].iter().all(|byte| !byte.is_ascii_whitespace());
                let end = if is_last { rest.len() } else { end };
                (&rest[..end], end)
            }
            Kind::Quoted | Kind::Bracketed => (&rest[1..=length], length + 2),
        };
        self.at = at + used;
        Some(Word { kind, text, at })
    }

    fn peek(mut self) -> Option<Word<'a>> {
        self.next()
    }

    fn mistake(&self, expected: Expected) -> Malformed {
        Malformed::at(self.line, self.start(), expected)
    }
}

/// Where the quote is that no backslash is in front of.
pub(super) fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    text.iter().position(|byte| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    })
}

/// Reads a line.
///
/// # Errors
/// Says which part cannot be read.
pub(super) fn read(line: &[u8]) -> Result<(Fields<'_>, Format), Malformed> {
    let mut words = Words { line, at: 0 };
    let mut fields = Fields::new(line);

    // Before the request: client, host and user in some order, and the time.
    let mut before: Vec<Word<'_>> = Vec::new();
    let mut has_time = false;
    let mut no_time = None;
    let request = loop {
        let Some(word) = words.next() else {
            return Err(match (before.first(), no_time) {
                (None, _) => words.mistake(Expected::Client),
                (Some(_), _) if has_time => words.mistake(Expected::Request),
                (Some(_), Some(at)) => Malformed::at(line, at, Expected::Time),
                (Some(_), None) => words.mistake(Expected::Time),
            });
        };
        if !has_time && let Some((time, used)) = time(word, words) {
            words.at = used;
            fields.set((Role::Time, 0), time, word.at);
            has_time = true;
            continue;
        }
        match word.kind {
            Kind::Quoted if has_time => {
                // `"site.example" "GET / HTTP/1.1"`
                let is_host = word.text.contains(&b'.') && is_host(&word.str());
                if !is_host || words.peek().is_none_or(|next| next.kind != Kind::Quoted) {
                    break word;
                }
                fields.set((Role::Host, 0), word.str(), word.at);
            }
            Kind::Quoted if before.is_empty() && address_list(&word.str()) => before.push(word),
            Kind::Quoted => return Err(Malformed::at(line, no_time.unwrap_or(word.at), Expected::Time)),
            Kind::Bracketed if before.is_empty() && address(&word.str()).is_some() => before.push(word),
            Kind::Bracketed => no_time = no_time.or(Some(word.at)),
            Kind::Bare => before.push(word),
        }
    };
    // A host name is never a client: it stands before the client, or behind. A host may be named by
    // its address, too (Debian's first is 127.0.1.1:80).
    let (client, host) = match before[..] {
        [host, client, ..] if is_named_by_address(host, client) => (client, before.first()),
        [client, ..] if address_list(&client.str()) => {
            (client, before.get(1).filter(|host| host.text.contains(&b'.') && address(&host.str()).is_none()))
        }
        [host, client, ..] if (host.text == b"-" || is_host(&host.str())) && address_list(&client.str()) => {
            (client, before.first())
        }
        [client, ..] => return Err(Malformed::at(line, client.at, Expected::Client)),
        [] => return Err(Malformed::at(line, request.at, Expected::Client)),
    };
    fields.set((Role::Client, 0), client.str(), client.at);
    let is_vhost = host.is_some_and(|host| is_host(&host.str()));
    if let Some(host) = host.filter(|_| is_vhost) {
        fields.set((Role::Host, 1), host.str(), host.at);
    }
    fields.set((Role::Request, 0), unescape(request.text), request.at);

    let start = words;
    let status = words.next().filter(|word| word.text.len() == 3 && is_number(word.text));
    let status = status.ok_or_else(|| start.mistake(Expected::Status))?;
    fields.set((Role::Status, 0), status.str(), status.at);
    let start = words;
    let size = words.next().filter(|word| word.text == b"-" || is_number(word.text));
    size.ok_or_else(|| start.mistake(Expected::Size))?;

    // Times and the like may stand before the referrer, not between it and the user agent.
    while words.peek().is_some_and(|word| word.kind != Kind::Quoted) {
        words.next();
    }
    let is_common = words.start() == line.len();
    if !is_common {
        let referrer = words.next().ok_or_else(|| words.mistake(Expected::Referrer))?;
        fields.set((Role::Referrer, 0), unescape(referrer.text), referrer.at);
        let agent = words.peek().filter(|word| word.kind == Kind::Quoted);
        let agent = agent.ok_or_else(|| words.mistake(Expected::Agent))?;
        fields.set((Role::Agent, 0), unescape(agent.text), agent.at);
    }
    Ok((fields, Format::Text { vhost: is_vhost, common: is_common }))
}

/// The time that a word is or begins, and where what follows it begins.
fn time<'a>(word: Word<'a>, rest: Words<'a>) -> Option<(Cow<'a, str>, usize)> {
    let text = word.str();
    match word.kind {
        Kind::Quoted => None,
        Kind::Bracketed => date::parse(&text).map(|_| (text, rest.at)),
        Kind::Bare if text.len() < 10 || !text.starts_with(|first: char| first.is_ascii_digit()) => None,
        Kind::Bare => {
            // `28/Nov/2026:08:15:30 +0000` or `2026-11-28 08:15:30` without brackets.
            let next = rest.peek().filter(|next| next.kind == Kind::Bare && next.at > word.at);
            let both = next.map(|next| {
                (String::from_utf8_lossy(&rest.line[word.at..next.at + next.text.len()]), next.at + next.text.len())
            });
            let both = both.filter(|(text, _)| date::parse(text).is_some());
            both.or_else(|| date::parse(&text).filter(|_| text.contains([':', '.'])).map(|_| (text, rest.at)))
        }
    }
}

/// Whether the first of two addresses is the host's: the second is no proxy's behind a client, or the
/// first alone has a port.
fn is_named_by_address(host: Word<'_>, client: Word<'_>) -> bool {
    let (host, client) = (host.str(), client.str());
    match (address(&host), address(&client)) {
        (Some(_), Some(behind)) => {
            let has_port = |text: &str| text.parse::<std::net::SocketAddr>().is_ok();
            !is_private(behind) || has_port(&host) && !has_port(&client)
        }
        _ => false,
    }
}

fn address_list(text: &str) -> bool {
    text.split(',').any(|hop| address(hop).is_some())
}

fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests;
