//! The normal form of addresses: what is dropped, and how the rest is written.

use std::borrow::Cow;
use std::fmt::Write;

/// What stands before the path of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin<'a> {
    /// Nothing: a path of an unnamed site.
    None,
    /// A host, or `host:port`; a bare `host:port` has no scheme.
    Host { scheme: Option<&'a str>, authority: &'a str },
    /// The scheme of an address without a host. What follows is content, or a person's address.
    Opaque { scheme: &'a str },
}

/// Schemes that have hosts, whatever the number of slashes behind them (URL standard, "special").
const SPECIAL: [&str; 5] = ["http", "https", "ws", "wss", "ftp"];
/// Schemes of which nothing else is kept, even if slashes or digits follow.
const OPAQUE: [&str; 11] =
    ["data", "blob", "javascript", "about", "file", "filesystem", "view-source", "mailto", "tel", "sms", "urn"];

/// Splits an address without query and fragment into its origin and its path.
pub(super) fn origin(text: &str) -> (Origin<'_>, &str) {
    let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
        return (Origin::None, text);
    };
    let is = |known: &[&str]| known.iter().any(|known| known.eq_ignore_ascii_case(scheme));
    let host = match is(&SPECIAL) {
        true => Some(rest.trim_start_matches(is_slash)),
        false => rest.strip_prefix(is_slash).and_then(|rest| rest.strip_prefix(is_slash)),
    };
    let end = |text: &str| text.find(is_slash).unwrap_or(text.len());
    let (authority, path) = if is(&OPAQUE) {
        ("", "")
    } else if let Some(host) = host {
        host.split_at(end(host))
    } else {
        // `localhost:8080/x` looks like a scheme; a port tells it from one.
        let port = end(rest);
        if (1..=5).contains(&port) && rest[..port].bytes().all(|byte| byte.is_ascii_digit()) {
            let (authority, path) = text.split_at(scheme.len() + 1 + port);
            return (Origin::Host { scheme: None, authority }, path);
        }
        ("", "")
    };
    if authority.is_empty() {
        return (Origin::Opaque { scheme }, "");
    }
    (Origin::Host { scheme: Some(scheme), authority }, path)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

const fn is_slash(letter: char) -> bool {
    matches!(letter, '/' | '\\')
}

/// The normal form of an address, of any length. Of an address that begins with a slash or has a
/// host it is its own normal form.
pub(super) fn form(text: &str) -> String {
    let text: Cow<'_, str> = match text.contains(['\t', '\n', '\r']) {
        true => text.replace(['\t', '\n', '\r'], "").into(),
        false => text.into(),
    };
    let text = text.split('#').next().unwrap_or_default();
    let (before, query) = text.split_once('?').unwrap_or((text, ""));
    let is_blank = |letter: char| letter <= ' ';
    let (origin, path) = origin(before.trim_matches(is_blank));

    let mut kept = String::with_capacity(text.len() + 1);
    match origin {
        Origin::Opaque { scheme } => {
            kept.push_str(&scheme.to_ascii_lowercase());
            kept.push(':');
            return kept;
        }
        Origin::Host { scheme, authority } => {
            let scheme = scheme.map(str::to_ascii_lowercase);
            if let Some(scheme) = &scheme {
                kept.push_str(scheme);
                kept.push_str("://");
            }
            let start = kept.len();
            push_host(&mut kept, scheme.as_deref(), authority);
            if kept.len() == start {
                return format!("{}:", scheme.unwrap_or_default());
            }
            kept.push('/');
            push_path(&mut kept, path);
        }
        // Two slashes begin a path here and no host: servers log what clients ask for.
        Origin::None => {
            let mut path = path;
            if !path.starts_with(is_slash) || path[1..].starts_with(is_slash) {
                let start = path.len() - path.trim_start_matches(is_slash).len();
                let end = path[start..].find(is_slash).map_or(path.len(), |at| start + at);
                path = &path[start + user_info(&path[start..end])..];
                if start > 0 {
                    kept.push('/');
                }
            } else {
                kept.push('/');
            }
            push_path(&mut kept, path);
        }
    }
    push_query(&mut kept, query);
    kept
}

/// How many bytes of an authority are user info, its `@` included.
fn user_info(authority: &str) -> usize {
    let plain = authority.rfind('@').map_or(0, |at| at + 1);
    let escaped = authority.rfind("%40").map_or(0, |at| at + 3);
    plain.max(escaped)
}

/// Appends a host, and its port unless it is the scheme's own.
fn push_host(kept: &mut String, scheme: Option<&str>, authority: &str) {
    let host: String = authority[user_info(authority)..]
        .chars()
        .filter(|letter| !letter.is_control() && *letter != ' ')
        .flat_map(char::to_lowercase)
        .collect();
    let mut host = host.as_str();
    let port = match scheme {
        Some("http" | "ws") => "80",
        Some("https" | "wss") => "443",
        _ => "",
    };
    while let Some((name, _)) = host.rsplit_once(':').filter(|(_, last)| last.is_empty() || *last == port) {
        host = name;
    }
    kept.push_str(host);
}

/// Appends a path without its first slash.
fn push_path(kept: &mut String, path: &str) {
    let start = kept.len();
    // An escaped question mark or hash begins a query or fragment that was escaped once too often.
    let path = &path[..parameters(path, &[], &["3F", "23"]).unwrap_or(path.len())];
    for segment in path.split(is_slash) {
        let before = kept.len();
        if before > start {
            kept.push('/');
        }
        let name = kept.len();
        push_segment(kept, &segment[..parameters(segment, &[';', '&'], &["3B", "26"]).unwrap_or(segment.len())]);
        match &kept[name..] {
            "" | "." => kept.truncate(before),
            ".." => {
                kept.truncate(before);
                let parent = kept[start..].rfind('/').map_or(start, |at| start + at);
                kept.truncate(parent);
            }
            _ => {}
        }
    }
}

fn push_segment(kept: &mut String, segment: &str) {
    let mut rest = segment.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let byte = match first {
            b'%' => match escape(after) {
                Some(byte) => {
                    rest = &after[2..];
                    if !(byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)) {
                        push_escape(kept, byte);
                        continue;
                    }
                    byte
                }
                None => {
                    push_escape(kept, b'%');
                    continue;
                }
            },
            byte => byte,
        };
        // The URL standard's path percent-encode set.
        if byte.is_ascii_graphic() && !b"\"#<>?^`{}".contains(&byte) {
            kept.push(char::from(byte));
        } else {
            push_escape(kept, byte);
        }
    }
}

/// Appends the parameters of a query that may be kept.
fn push_query(kept: &mut String, query: &str) {
    let mut separator = '?';
    // `&amp;` is `&`, an unnamed parameter, and `;`.
    for pair in query.split(['&', ';']) {
        let pair = &pair[..parameters(pair, &['?'], &["26", "3B", "3F", "23"]).unwrap_or(pair.len())];
        let name = pair.split('=').next().unwrap_or_default();
        if matches!(name, "theme" | "ref" | "source") || name.starts_with("utm_") {
            kept.push(separator);
            for letter in pair.chars() {
                push_printable(kept, letter);
            }
            separator = '&';
        }
    }
}

/// Where parameters begin in `text`: at a separator, plain or escaped any number of times, which
/// some `=` follows.
fn parameters(text: &str, plain: &[char], escaped: &[&str]) -> Option<usize> {
    let is_escaped = |at: usize, codes: &[&str]| {
        let code = text[at + 1..].trim_start_matches("25").as_bytes();
        codes.iter().any(|wanted| code.get(..2).is_some_and(|code| code.eq_ignore_ascii_case(wanted.as_bytes())))
    };
    let last =
        text.bytes().enumerate().rev().find(|&(at, byte)| byte == b'=' || byte == b'%' && is_escaped(at, &["3D"]));
    let (last, _) = last?;
    text[..last]
        .char_indices()
        .find(|&(at, letter)| plain.contains(&letter) || letter == '%' && is_escaped(at, escaped))
        .map(|(at, _)| at)
}

fn push_printable(kept: &mut String, letter: char) {
    if letter.is_control() || letter == ' ' {
        for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
            push_escape(kept, byte);
        }
    } else {
        kept.push(letter);
    }
}

fn push_escape(kept: &mut String, byte: u8) {
    // Writing to a string cannot fail.
    let _ = write!(kept, "%{byte:02X}");
}

/// The byte that an escape names, by what follows its percent sign.
fn escape(after: &[u8]) -> Option<u8> {
    let digit = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
    Some((digit(0)? * 16 + digit(1)?) as u8)
}

/// The first `most` characters, fewer where they would end within an escape or within an escaped
/// character.
pub(super) fn cut(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let Some((mut end, _)) = text.char_indices().nth(most) else { return text };
    let bytes = text.as_bytes();
    if let Some(within) =
        (end.saturating_sub(2)..end).find(|at| bytes[*at] == b'%' && escape(&bytes[at + 1..]).is_some())
    {
        end = within;
    }
    // The bytes 0x80 to 0xbf continue a character of UTF-8, of which there are at most three more.
    for _ in 0..3 {
        let continues = bytes[end] == b'%' && escape(&bytes[end + 1..]).is_some_and(|byte| byte & 0xc0 == 0x80);
        let is_escape = |at: usize| bytes[at] == b'%' && escape(&bytes[at + 1..]).is_some();
        match end.checked_sub(3).filter(|at| continues && is_escape(*at)) {
            Some(before) => end = before,
            None => break,
        }
    }
    &text[..end]
}
