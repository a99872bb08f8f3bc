//! Formats as nginx (`$remote_addr …`) and Apache (`%h …`) configure them.

use super::date;
use super::fields::{Fields, Role, role};
use super::record::{Expected, Malformed, unescape};
use super::text::closing_quote;

/// What nginx Proxy Manager is set up with: for hosts that it passes on, and for others.
pub(super) const PROXY_MANAGER: [&str; 2] = [
    "[$time_local] $cache $upstream $status - $request_method $scheme $host \"$request_uri\" [Client $remote_addr] \
     [Length $length] [Gzip $gzip] [Sent-to $server] \"$http_user_agent\" \"$http_referer\"",
    "[$time_local] $status - $request_method $scheme $host \"$request_uri\" [Client $remote_addr] [Length $length] \
     [Gzip $gzip] \"$http_user_agent\" \"$http_referer\"",
];

/// AWS's load balancers: Application and Classic.
pub(super) const LOAD_BALANCER: [&str; 2] = [
    "$type $time $elb $client_ip $target_address $a $b $c $status $target_status $received $sent \"$request\" \
     \"$user_agent\" $cipher $protocol $group \"$trace\" \"$domain_name\"",
    "$time $elb $client_ip $backend $a $b $c $status $backend_status $received $sent \"$request\" \"$user_agent\" $cipher",
];

/// A format: fields, and what stands between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// A run of blanks in it stands for any number of them.
    Text(Vec<u8>),
    Field(Option<(Role, usize)>),
}

/// Why a format cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A `$` or `%` without a name.
    #[error("column {0}: expected the name of a field behind $ or %")]
    Name(usize),
    /// Two fields with nothing between them.
    #[error("column {0}: two fields need something between them")]
    Adjacent(usize),
    /// A field that no page view can do without.
    #[error("it has no {0}, as in {example}", example = Template::EXAMPLE)]
    Missing(&'static str),
}

impl Template {
    /// A format as an example.
    pub const EXAMPLE: &str = r#"'$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'"#;

    /// Reads a format of nginx or Apache.
    ///
    /// # Errors
    /// Says what is missing or where it cannot be read.
    pub fn parse(format: &str) -> Result<Self, TemplateError> {
        let mut pieces: Vec<Piece> = Vec::new();
        let text = |pieces: &mut Vec<Piece>, more: &[u8]| match pieces.last_mut() {
            Some(Piece::Text(text)) => text.extend_from_slice(more),
            _ => pieces.push(Piece::Text(more.to_vec())),
        };
        let mut rest = format.trim();
        while let Some(first) = rest.chars().next() {
            let column = format.len() - rest.len() + 1;
            let after = &rest[first.len_utf8()..];
            let (field, bracketed, used) = match first {
                '$' => {
                    let (name, used) = nginx(after).ok_or(TemplateError::Name(column))?;
                    (role(name), false, used)
                }
                '%' if after.starts_with('%') => {
                    text(&mut pieces, b"%");
                    rest = &after[1..];
                    continue;
                }
                '%' => {
                    let (name, letter, used) = apache(after).ok_or(TemplateError::Name(column))?;
                    (of_apache(name, letter), letter == 't' && name.is_empty(), used)
                }
                '\\' if after.starts_with(['"', '\\', '\'']) => {
                    text(&mut pieces, &after.as_bytes()[..1]);
                    rest = &after[1..];
                    continue;
                }
                '\\' if after.starts_with('t') => {
                    text(&mut pieces, b"\t");
                    rest = &after[1..];
                    continue;
                }
                other => {
                    text(&mut pieces, other.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = after;
                    continue;
                }
            };
            if bracketed {
                text(&mut pieces, b"[");
            }
            if matches!(pieces.last(), Some(Piece::Field(_))) {
                return Err(TemplateError::Adjacent(column));
            }
            pieces.push(Piece::Field(field));
            if bracketed {
                text(&mut pieces, b"]");
            }
            rest = &after[used..];
        }
        let has = |roles: &[Role]| {
            pieces.iter().any(|piece| matches!(piece, Piece::Field(Some((role, _))) if roles.contains(role)))
        };
        for (roles, name) in [
            (&[Role::Client, Role::ClientOrName, Role::Forwarded][..], "client address"),
            (&[Role::Time, Role::Date], "time"),
            (&[Role::Request, Role::Target], "request"),
        ] {
            if !has(roles) {
                return Err(TemplateError::Missing(name));
            }
        }
        Ok(Self { pieces })
    }

    /// Reads a line. What follows the last field's end is passed over.
    pub(super) fn read<'a>(&self, line: &'a [u8]) -> Result<Fields<'a>, Malformed> {
        let mut fields = Fields::new(line);
        let mut at = 0;
        for (index, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Text(text) => {
                    at += starts_with(&line[at..], text).ok_or_else(|| Malformed::at(line, at, Expected::Separator))?;
                }
                Piece::Field(field) => {
                    let before = index.checked_sub(1).and_then(|before| self.pieces.get(before));
                    let quoted = matches!(before, Some(Piece::Text(text)) if text.ends_with(b"\""));
                    let end = match self.pieces.get(index + 1) {
                        Some(Piece::Text(text)) => end(&line[at..], text, quoted, *field),
                        _ => Some(line.len() - at),
                    };
                    let expected = field.map_or(Expected::Separator, |(role, _)| expected(role));
                    let end = at + end.ok_or_else(|| Malformed::at(line, at, expected))?;
                    if let Some(known) = field {
                        fields.set(*known, unescape(&line[at..end]), at);
                    }
                    at = end;
                }
            }
        }
        Ok(fields)
    }
}

const fn expected(role: Role) -> Expected {
    match role {
        Role::Client | Role::ClientOrName | Role::Forwarded => Expected::Client,
        Role::Host => Expected::Host,
        Role::Time | Role::Date => Expected::Time,
        Role::Request | Role::Method | Role::Target | Role::Query => Expected::Request,
        Role::Status => Expected::Status,
        Role::Referrer => Expected::Referrer,
        Role::Agent => Expected::Agent,
    }
}

/// The name behind a `$`, which may be in braces, and how long it is with them.
fn nginx(after: &str) -> Option<(&str, usize)> {
    if let Some(rest) = after.strip_prefix('{') {
        let end = rest.find('}').filter(|end| *end > 0)?;
        return Some((&rest[..end], end + 2));
    }
    let end = after.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(after.len());
    (end > 0).then(|| (&after[..end], end))
}

/// What stands behind a `%`: the name in braces, the letter, and how long it is. Conditions
/// (`%400,!501{Referer}i`, `%>s`) are passed over.
fn apache(after: &str) -> Option<(&str, char, usize)> {
    let start = after.find(|letter: char| !letter.is_ascii_digit() && !matches!(letter, ',' | '!' | '<' | '>'))?;
    let (name, rest) = match after[start..].strip_prefix('{') {
        Some(rest) => rest.split_once('}')?,
        None => ("", &after[start..]),
    };
    // `%^FB` and the like have two letters behind a caret.
    let rest = rest.strip_prefix('^').map_or(rest, |rest| rest.get(1..).unwrap_or_default());
    let letter = rest.chars().next().filter(char::is_ascii_alphabetic)?;
    Some((name, letter, after.len() - rest.len() + 1))
}

fn of_apache(name: &str, letter: char) -> Option<(Role, usize)> {
    Some(match letter {
        'h' => (Role::ClientOrName, 0),
        'a' => (Role::Client, 0),
        'v' | 'V' => (Role::Host, 1),
        't' => (Role::Time, 0),
        'r' => (Role::Request, 0),
        'm' => (Role::Method, 0),
        'U' => (Role::Target, 0),
        'q' => (Role::Query, 0),
        's' => (Role::Status, 0),
        'i' => return role(name),
        _ => return None,
    })
}

/// How long `text` is at the beginning of `line`, if it stands there.
fn starts_with(line: &[u8], text: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        if first.is_ascii_whitespace() {
            let blanks = line[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            at += blanks;
            rest = rest.trim_ascii_start();
            if blanks == 0 {
                return None;
            }
        } else if line.get(at) == Some(first) {
            at += 1;
            rest = after;
        } else {
            return None;
        }
    }
    Some(at)
}

/// Where a field ends that `text` follows.
fn end(line: &[u8], text: &[u8], quoted: bool, field: Option<(Role, usize)>) -> Option<usize> {
    if quoted && text.starts_with(b"\"") {
        return closing_quote(line);
    }
    let mut ends = (0..=line.len()).filter(|at| starts_with(&line[*at..], text).is_some());
    match field {
        // A time may have blanks or colons that stand behind it, too.
        Some((Role::Time, _)) => {
            let ends: Vec<usize> = ends.take(4).collect();
            let is_time = |end: &usize| date::parse(&String::from_utf8_lossy(&line[..*end])).is_some();
            ends.iter().rev().find(|end| is_time(end)).or(ends.first()).copied()
        }
        // A list of hops has blanks behind its commas.
        Some((Role::Client | Role::ClientOrName | Role::Forwarded, _)) => {
            ends.find(|end| !line[..*end].ends_with(b","))
        }
        _ => ends.next(),
    }
}

/// For tests of what reads lines by templates.
#[cfg(test)]
mod tests;
