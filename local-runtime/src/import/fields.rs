//! Fields by their names: what servers call the parts of a request, and a record made of them.

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;

use super::client::{address, address_of_name, client, host_name, is_host, is_trusted};
use super::date;
use super::record::{Agent, Expected, Found, Malformed, Record};

/// What a field tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    /// A client that the server may have looked the name up of.
    ClientOrName,
    Forwarded,
    Host,
    Time,
    Date,
    Request,
    Method,
    Target,
    Query,
    Status,
    Referrer,
    Agent,
}

const ROLES: usize = Role::Agent as usize + 1;

/// The names of each role, best first, in small letters and without punctuation.
const NAMES: [(Role, &[&str]); 12] = [
    (
        Role::Client,
        &[
            "proxyprotocoladdr",
            "clientip",
            "cip",
            "remoteaddr",
            "remoteip",
            "clienthost",
            "clientaddr",
            "clientaddress",
            "remoteaddress",
            "remotehost",
            "sourceip",
            "sourceaddress",
            "client",
            "remote",
            "ip",
        ],
    ),
    (
        Role::Forwarded,
        &[
            "httpxforwardedfor",
            "xforwardedfor",
            "requestxforwardedfor",
            "csxforwardedfor",
            "proxyaddxforwardedfor",
            "httpforwarded",
            "forwarded",
            "httpcfconnectingip",
            "cfconnectingip",
            "requestcfconnectingip",
            "httpxrealip",
            "xrealip",
            "requestxrealip",
        ],
    ),
    (
        Role::Host,
        &[
            "xhostheader",
            "host",
            "httphost",
            "requesthost",
            "cshost",
            "vhost",
            "virtualhost",
            "servername",
            "domainname",
        ],
    ),
    (
        Role::Time,
        &[
            "timelocal",
            "timeiso8601",
            "msec",
            "startutc",
            "startlocal",
            "timestamp",
            "ts",
            "datetime",
            "time",
            "logtime",
        ],
    ),
    (Role::Date, &["date"]),
    (Role::Request, &["request", "requestline"]),
    (Role::Method, &["requestmethod", "method", "csmethod", "httpmethod", "verb"]),
    (
        Role::Target,
        &[
            "requesturi",
            "uri",
            "requestpath",
            "csuristem",
            "requesturl",
            "urloriginal",
            "url",
            "path",
            "urlpath",
            "documenturi",
            "target",
        ],
    ),
    (Role::Query, &["args", "querystring", "csuriquery", "query", "urlquery"]),
    (
        Role::Status,
        &["status", "scstatus", "downstreamstatus", "statuscode", "responsestatus", "responsecode", "httpstatus"],
    ),
    (
        Role::Referrer,
        &["httpreferer", "httpreferrer", "referer", "referrer", "csreferer", "requestreferer", "requestreferrer"],
    ),
    (Role::Agent, &["httpuseragent", "useragent", "csuseragent", "requestuseragent", "useragentoriginal", "agent"]),
];

/// What a field of this name tells, and how good a name it is, best first.
pub(super) fn role(name: &str) -> Option<(Role, usize)> {
    let plain: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    NAMES.iter().find_map(|(role, names)| Some((*role, names.iter().position(|known| *known == plain)?)))
}

/// One field of a line.
#[derive(Debug, Clone)]
struct Field<'a> {
    text: Cow<'a, str>,
    rank: usize,
    at: usize,
}

/// The fields of one line, by their roles.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    line: &'a [u8],
    fields: [Option<Field<'a>>; ROLES],
    /// Whether the format has a user agent, even if this line does not.
    pub(super) tells_agents: bool,
}

impl<'a> Fields<'a> {
    pub(super) fn new(line: &'a [u8]) -> Self {
        Self { line, fields: Default::default(), tells_agents: false }
    }

    pub(super) const fn line(&self) -> &'a [u8] {
        self.line
    }

    /// Sets a field that stands at byte `at`, unless one with a better name is there. Servers write
    /// `-` for nothing.
    pub(super) fn set(&mut self, (role, rank): (Role, usize), text: Cow<'a, str>, at: usize) {
        self.tells_agents |= role == Role::Agent;
        let text_is_blank = text.trim().is_empty() || text.trim() == "-";
        let field = &mut self.fields[role as usize];
        if !text_is_blank && field.as_ref().is_none_or(|field| rank < field.rank) {
            *field = Some(Field { text, rank, at });
        }
    }

    fn get(&self, role: Role) -> Option<&str> {
        self.fields[role as usize].as_ref().map(|field| field.text.trim())
    }

    fn take(&mut self, role: Role) -> Option<String> {
        self.fields[role as usize].take().map(|field| field.text.into_owned())
    }

    /// The mistake in a field of one of these roles, or that there is none.
    fn mistake(&self, roles: &[Role], expected: Expected) -> Malformed {
        match roles.iter().find_map(|role| self.fields[*role as usize].as_ref()) {
            Some(field) => Malformed::at(self.line, field.at, expected),
            None => Malformed::Unexpected { column: 1, expected, found: Found::Nothing },
        }
    }

    /// Makes a record of them; `trusted` are the proxies whose lists of hops are believed.
    pub(super) fn record(mut self, trusted: &[IpNet]) -> Result<Record, Malformed> {
        let client = self
            .client(trusted)
            .ok_or_else(|| self.mistake(&[Role::Client, Role::ClientOrName, Role::Forwarded], Expected::Client))?;
        let time = match (self.get(Role::Time), self.get(Role::Date)) {
            (Some(time), None) => date::parse(time),
            (None, Some(date)) => date::parse(date),
            (Some(time), Some(day)) => date::parse(time).or_else(|| date::parse(&format!("{day} {time}"))),
            (None, None) => None,
        };
        let time = time.ok_or_else(|| self.mistake(&[Role::Time, Role::Date], Expected::Time))?;

        // What clients send that is no request (`-`, or a TLS handshake) has no method.
        let (method, mut target) = match (self.take(Role::Method), self.take(Role::Target), self.take(Role::Request)) {
            (Some(method), Some(target), _) => (method, target),
            (method, None, Some(request)) => {
                let (asked, target) = parse_request(&request);
                (method.unwrap_or_else(|| asked.to_owned()), target.to_owned())
            }
            (_, Some(target), request) => {
                let method = request.as_deref().map_or("GET", |request| parse_request(request).0);
                (method.to_owned(), target)
            }
            (Some(method), None, None) => (method, String::new()),
            (None, None, None) => Default::default(),
        };
        let mut host = self.get(Role::Host).filter(|host| is_host(host)).map(host_name);
        // Load balancers and clients of proxies name the whole address.
        if let Some((_, rest)) =
            target.split_once("://").filter(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        {
            let (name, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            host = host.or_else(|| Some(host_name(name)));
            target = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        }
        if let Some(query) = self.get(Role::Query).filter(|_| !target.contains('?')) {
            target = format!("{target}?{}", query.trim_start_matches('?'));
        }

        // A format without a status has only what was answered.
        let status = match self.get(Role::Status) {
            Some(status) => status.parse().ok().filter(|status| *status <= 999),
            None => Some(200),
        };
        let status = status.ok_or_else(|| self.mistake(&[Role::Status], Expected::Status))?;
        let tells_agents = self.tells_agents;
        let agent = match self.take(Role::Agent) {
            Some(agent) => Agent::Sent(agent),
            None if tells_agents => Agent::Missing,
            None => Agent::Unknown,
        };
        Ok(Record { host, client, time, method, target, status, referrer: self.take(Role::Referrer), agent })
    }

    fn client(&self, trusted: &[IpNet]) -> Option<IpAddr> {
        let peer = self.get(Role::Client).and_then(|list| client(list, trusted)).or_else(|| {
            let text = self.get(Role::ClientOrName)?;
            address(text).or_else(|| is_host(text).then(|| address_of_name(text)))
        });
        let forwarded = || self.get(Role::Forwarded).and_then(|list| client(list, trusted));
        match peer {
            // Any client can send the header: it counts only from proxies that are trusted.
            Some(peer) if is_trusted(peer, trusted) => forwarded().or(Some(peer)),
            Some(peer) => Some(peer),
            None if self.get(Role::Client).is_none_or(|peer| peer.starts_with("unix:")) => forwarded(),
            None => None,
        }
    }
}

/// Method and target of `GET /cv HTTP/1.1`; of what is no request, an empty method.
pub(super) fn parse_request(request: &str) -> (&str, &str) {
    let Some((method, target)) = request.split_once(' ') else { return ("", "") };
    // Very old clients send no version; a path with spaces keeps them.
    let end = target.rfind(" HTTP/").unwrap_or(target.len());
    (method, &target[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&str, &str)], trusted: &[&str]) -> Result<Record, Malformed> {
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        let mut read = Fields::new(b"");
        for (name, text) in [("time", "2026-11-28T08:15:30Z"), ("request", "GET /cv HTTP/1.1")].iter().chain(fields) {
            read.set(role(name).unwrap(), (*text).into(), 0);
        }
        read.record(&trusted)
    }

    #[test]
    fn names_of_servers_have_roles() {
        for (name, known) in [
            ("remote_addr", Role::Client),
            ("c-ip", Role::Client),
            ("ClientHost", Role::Client),
            ("X-Forwarded-For", Role::Forwarded),
            ("cs(Host)", Role::Host),
            ("@timestamp", Role::Time),
            ("cs-uri-stem", Role::Target),
            ("RequestPath", Role::Target),
            ("sc-status", Role::Status),
            ("request_User-Agent", Role::Agent),
            ("cs(Referer)", Role::Referrer),
        ] {
            assert_eq!(role(name).unwrap().0, known, "{name}");
        }
        for name in ["s-ip", "sc-bytes", "time-taken", "remote_user", "hostname", ""] {
            assert_eq!(role(name), None, "{name}");
        }
    }

    #[test]
    fn hops_count_only_from_trusted_proxies() {
        let client =
            |fields: &[(&str, &str)], trusted: &[&str]| read(fields, trusted).map(|record| record.client.to_string());
        let fields = [("remote_addr", "203.0.113.7"), ("http_x_forwarded_for", "192.0.2.1, 198.18.0.5")];
        assert_eq!(client(&fields, &[]).unwrap(), "203.0.113.7");
        assert_eq!(client(&fields, &["203.0.113.0/24"]).unwrap(), "198.18.0.5");
        assert_eq!(client(&fields[1..], &[]).unwrap(), "198.18.0.5");
        assert_eq!(client(&[("remote_addr", "unix:"), fields[1]], &[]).unwrap(), "198.18.0.5");
        assert!(client(&[("remote_addr", "site.example"), fields[1]], &[]).is_err(), "a host name is no address");
        assert!(client(&[], &[]).is_err());
    }

    #[test]
    fn whole_addresses_name_the_host() {
        let client = ("client", "198.18.0.5");
        let record = read(&[client, ("uri", "https://Site.example:443/cv?theme=a")], &[]).unwrap();
        assert_eq!((record.host.as_deref(), &*record.target), (Some("site.example"), "/cv?theme=a"));
        let record = read(&[client, ("uri", "/cv"), ("args", "theme=a"), ("host", "-")], &[]).unwrap();
        assert_eq!((record.host, &*record.target), (None, "/cv?theme=a"));
    }

    #[test]
    fn what_is_no_request_has_no_method() {
        for request in ["-", "", "\u{16}\u{3}", "GET"] {
            assert_eq!(parse_request(request), ("", ""), "{request}");
        }
        assert_eq!(parse_request("GET /old"), ("GET", "/old"));
        assert_eq!(parse_request("GET /a b HTTP/1.1"), ("GET", "/a b"));
    }
}
