//! Lines under a `#Fields:` line, which names their columns: the W3C Extended Log File Format as IIS
//! writes it, and CloudFront's. Times are UTC.

use std::borrow::Cow;

use super::fields::{Fields, Role, role};
use super::format::Format;
use super::record::{Expected, Malformed};
use super::text::closing_quote;

/// The columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    columns: Vec<Option<(Role, usize)>>,
    is_cloudfront: bool,
}

impl Header {
    /// Reads a line that begins with `#`; `None` when it names no columns.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let names = String::from_utf8_lossy(line.strip_prefix(b"#Fields:")?).into_owned();
        Some(Self {
            // `time` and `date` belong together.
            columns: names.split_ascii_whitespace().map(role).collect(),
            is_cloudfront: names.contains("x-edge-"),
        })
    }

    pub(super) const fn format(&self) -> Format {
        if self.is_cloudfront { Format::CloudFront } else { Format::W3c }
    }

    /// Reads a line.
    pub(super) fn read<'a>(&self, line: &'a [u8]) -> Result<Fields<'a>, Malformed> {
        let mut fields = Fields::new(line);
        let has_tabs = line.contains(&b'\t');
        let mut at = 0;
        for column in &self.columns {
            if !has_tabs {
                at += line[at..].iter().take_while(|byte| **byte == b' ').count();
            }
            let rest = line.get(at..).filter(|rest| !rest.is_empty() || has_tabs);
            let rest = rest.ok_or_else(|| {
                Malformed::at(line, at, column.map_or(Expected::Separator, |(role, _)| expected(role)))
            })?;
            let (text, used) = match rest.strip_prefix(b"\"").and_then(|text| Some((text, closing_quote(text)?))) {
                Some((text, end)) if !has_tabs => (&text[..end], end + 2),
                _ => {
                    let blank = if has_tabs { b'\t' } else { b' ' };
                    let end = rest.iter().position(|byte| *byte == blank).unwrap_or(rest.len());
                    (&rest[..end], end)
                }
            };
            if let Some(known) = *column {
                fields.set(known, value(text, known.0, has_tabs), at);
            }
            at += used + usize::from(has_tabs);
        }
        Ok(fields)
    }
}

const fn expected(role: Role) -> Expected {
    match role {
        Role::Time | Role::Date => Expected::Time,
        Role::Status => Expected::Status,
        Role::Referrer => Expected::Referrer,
        Role::Agent => Expected::Agent,
        Role::Host => Expected::Host,
        Role::Client | Role::ClientOrName | Role::Forwarded => Expected::Client,
        Role::Request | Role::Method | Role::Target | Role::Query => Expected::Request,
    }
}

/// Undoes what keeps blanks out of values: CloudFront escapes them, sometimes twice; IIS writes `+`
/// for those of user agents.
fn value(text: &[u8], role: Role, has_tabs: bool) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(text);
    match role {
        Role::Agent | Role::Referrer if text.contains('%') => {
            let once = decode(&text);
            if once.contains("%20") { decode(&once).into() } else { once.into() }
        }
        Role::Agent if !has_tabs && !text.contains(' ') => text.replace('+', " ").into(),
        _ => text,
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::record::{Agent, Record};
    use super::*;

    fn read(header: &str, line: &str) -> Result<Record, Malformed> {
        Header::parse(header.as_bytes()).unwrap().read(line.as_bytes())?.record(&[])
    }

    const IIS: &str = "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip \
                       cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken";

    #[test]
    fn cloudfront() {
        let header = "#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status \
                      cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-host-header";
        for agent in ["Mozilla/5.0%20(X11)", "Mozilla/5.0%2520(X11)"] {
            let line = format!(
                "2026-11-28\t08:15:30\tCDG50\t3436\t198.18.0.5\tGET\td1.cloudfront.example\t/cv\t200\t-\t{agent}\ttheme=a\t-\tSite.example"
            );
            let record = read(header, &line).unwrap();
            assert_eq!(record.time.to_string(), "2026-11-28T08:15:30.000Z");
            assert_eq!((&*record.target, record.status, record.referrer), ("/cv?theme=a", 200, None));
            assert_eq!(record.agent, Agent::Sent("Mozilla/5.0 (X11)".into()));
            assert_eq!(record.host.as_deref(), Some("site.example"), "the viewer's, not the distribution's");
        }
        assert_eq!(Header::parse(header.as_bytes()).unwrap().format(), Format::CloudFront);
    }

    #[test]
    fn iis() {
        let line = "2026-11-28 08:15:30 10.0.0.1 GET /cv - 443 - 198.18.0.5 Mozilla/5.0+(X11;+Linux) https://a.example/?q=x 200 0 0 15";
        let record = read(IIS, line).unwrap();
        assert_eq!(record.client.to_string(), "198.18.0.5");
        assert_eq!((&*record.method, &*record.target), ("GET", "/cv"));
        assert_eq!(record.agent, Agent::Sent("Mozilla/5.0 (X11; Linux)".into()));
        assert_eq!(record.referrer.as_deref(), Some("https://a.example/?q=x"));
    }

    #[test]
    fn mistakes_say_where() {
        let told = |line| read(IIS, line).unwrap_err().to_string();
        assert_eq!(
            told("2026-11-28 08:15:30 10.0.0.1 GET"),
            "column 33: expected a request like \"GET /cv HTTP/1.1\", found the end of the line"
        );
        let line = "2026-11-28 08:15:30 10.0.0.1 GET /cv - 443 - site.example x - 200 0 0 15";
        assert_eq!(told(line), "column 46: expected a client address, found a host name");
        assert_eq!(Header::parse(b"#Version: 1.0"), None);
    }
}
