//! Tells the format of lines, each by itself: the format of the lines before is tried first.

use std::fmt;

use ipnet::IpNet;
use serde_json::Value;

use super::record::{Agent, Expected, Found, Malformed, Record};
use super::template::{LOAD_BALANCER, PROXY_MANAGER, Template};
use super::w3c::Header;
use super::{json, text};

/// A format of access logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// What Apache and nginx write.
    Text {
        /// With the virtual host.
        vhost: bool,
        /// Without referrer and user agent.
        common: bool,
    },
    /// nginx Proxy Manager's.
    ProxyManager,
    /// An AWS load balancer's.
    LoadBalancer,
    /// The W3C Extended Log File Format.
    W3c,
    /// CloudFront's.
    CloudFront,
    /// Caddy's JSON.
    Caddy,
    /// Traefik's JSON.
    Traefik,
    /// Other JSON.
    Json,
    /// The one that `--log-format` gives.
    Given,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text { vhost: false, common: false } => "Combined",
            Self::Text { vhost: false, common: true } => "Common (no user agents: bots count as people)",
            Self::Text { vhost: true, common: false } => "Combined with virtual host",
            Self::Text { vhost: true, common: true } => {
                "Common with virtual host (no user agents: bots count as people)"
            }
            Self::ProxyManager => "nginx Proxy Manager",
            Self::LoadBalancer => "AWS load balancer",
            Self::W3c => "W3C Extended",
            Self::CloudFront => "CloudFront",
            Self::Caddy => "Caddy JSON",
            Self::Traefik => "Traefik JSON",
            Self::Json => "JSON",
            Self::Given => "--log-format",
        })
    }
}

/// Reads the lines of one file.
#[derive(Debug)]
pub struct Reader<'a> {
    trusted: &'a [IpNet],
    given: Option<&'a Template>,
    templates: Vec<(Format, Template)>,
    header: Option<Header>,
    last: Option<Format>,
}

impl<'a> Reader<'a> {
    /// Before the first line of a file. `trusted` are the proxies whose lists of hops are believed;
    /// with a `given` format nothing else is read.
    #[must_use]
    pub fn new(trusted: &'a [IpNet], given: Option<&'a Template>) -> Self {
        let known = PROXY_MANAGER.map(|text| (Format::ProxyManager, text));
        let known = known.into_iter().chain(LOAD_BALANCER.map(|text| (Format::LoadBalancer, text)));
        let templates = known.filter_map(|(format, text)| Some((format, Template::parse(text).ok()?))).collect();
        Self { trusted, given, templates, header: None, last: None }
    }

    /// Reads a line; `None` when it is a comment.
    ///
    /// # Errors
    /// Says what was expected where.
    pub fn read(&mut self, line: &[u8]) -> Result<Option<(Record, Format)>, Malformed> {
        if line.starts_with(b"#") {
            self.header = Header::parse(line).or_else(|| self.header.take());
            return Ok(None);
        }
        let read = self.unwrapped(line)?;
        self.last = Some(read.1);
        Ok(Some(read))
    }

    /// Reads a line that a container's runtime may have wrapped: Docker in JSON, others behind
    /// `2026-11-28T08:15:30.1Z stdout F `.
    fn unwrapped(&self, line: &[u8]) -> Result<(Record, Format), Malformed> {
        if self.given.is_none() && line.starts_with(b"{") {
            let value = json::parse(line)?;
            if let (Some(Value::String(inner)), Some(_)) = (value.get("log"), value.get("stream")) {
                let inner = inner.trim_end().as_bytes();
                if inner.starts_with(b"{") {
                    return self.json(inner, &json::parse(inner)?);
                }
                return self.plain(inner);
            }
            return self.json(line, &value);
        }
        let mut words = line.splitn(4, |byte| *byte == b' ');
        let is_wrapped = matches!(
            (words.next(), words.next(), words.next()),
            (Some(_), Some(b"stdout" | b"stderr"), Some(b"F" | b"P"))
        );
        match words.next().filter(|_| is_wrapped) {
            Some(inner) => self.unwrapped(inner),
            None => self.plain(line),
        }
    }

    fn json(&self, line: &[u8], value: &Value) -> Result<(Record, Format), Malformed> {
        let (fields, format) = json::read(line, value);
        Ok((fields.record(self.trusted)?, format))
    }

    fn plain(&self, line: &[u8]) -> Result<(Record, Format), Malformed> {
        if let Some(given) = self.given {
            return Ok((given.read(line)?.record(self.trusted)?, Format::Given));
        }
        if let Some(header) = &self.header {
            return Ok((header.read(line)?.record(self.trusted)?, header.format()));
        }
        let template = |(format, template): &(Format, Template)| {
            let read = template.read(line).and_then(|fields| fields.record(self.trusted));
            read.map(|record| (record, *format))
        };
        let by_template = |read: Result<_, Malformed>| {
            read.or_else(|mistake| self.templates.iter().find_map(|known| template(known).ok()).ok_or(mistake))
        };
        match self.last {
            Some(last @ (Format::ProxyManager | Format::LoadBalancer)) => {
                let known = self.templates.iter().find(|(format, _)| *format == last);
                let read = known.map_or_else(|| self.text(line), template);
                by_template(read).or_else(|mistake| self.text(line).map_err(|_| mistake))
            }
            _ => by_template(self.text(line)).map_err(|mistake| {
                // A date and a tab: the columns of CloudFront and the like need their names.
                let is_columns = line.starts_with(b"20") && line.get(10) == Some(&b'\t');
                if is_columns { Malformed::at(line, 0, Expected::Header) } else { mistake }
            }),
        }
    }

    fn text(&self, line: &[u8]) -> Result<(Record, Format), Malformed> {
        let (fields, format) = text::read(line)?;
        let record = fields.record(self.trusted)?;
        // Of a log with user agents, a line that ends before them was cut off.
        if record.agent == Agent::Unknown && matches!(self.last, Some(Format::Text { common: false, .. })) {
            return Err(Malformed::Unexpected {
                column: line.len() + 1,
                expected: Expected::Referrer,
                found: Found::End,
            });
        }
        Ok((record, format))
    }
}
