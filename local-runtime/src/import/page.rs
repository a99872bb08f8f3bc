//! Which logged requests are views of pages by people.

use common::bots::is_bot;

use super::record::{Agent, Record};

/// Why a good line is no page view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// It is of another host than those that were asked for.
    OtherHost,
    /// The method is not `GET`.
    Method,
    /// The status is neither 200 nor 304.
    Status,
    /// What was asked for is a part of pages or a file.
    Asset,
    /// The user agent is a program's, or there is none.
    Bot,
    /// It is older than what is kept.
    TooOld,
    /// It lies further ahead of the clock than clocks go wrong.
    TooNew,
}

impl LeftOut {
    /// All of them, in the order in which lines are checked.
    pub const ALL: [Self; 7] =
        [Self::OtherHost, Self::Method, Self::Status, Self::Asset, Self::Bot, Self::TooOld, Self::TooNew];
}

/// Endings of what is no page by itself.
const ASSETS: [&[&str]; 7] = [
    // what pages are made of
    &["css", "js", "mjs", "map", "wasm", "xsl"],
    // pictures
    &["png", "jpg", "jpeg", "gif", "ico", "svg", "webp", "avif", "bmp", "tif", "tiff", "cur"],
    // fonts
    &["woff", "woff2", "ttf", "otf", "eot"],
    // sound and moving pictures
    &["mp3", "mp4", "m4a", "m4v", "ogg", "ogv", "oga", "wav", "webm", "mov", "avi", "flac", "swf"],
    // data, feeds
    &["xml", "txt", "json", "jsonld", "webmanifest", "rss", "atom", "csv", "tsv", "yml", "yaml", "ics"],
    // documents
    &["pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "odt", "ods", "epub"],
    // archives and programs
    &["zip", "gz", "tgz", "tar", "bz2", "xz", "7z", "rar", "jar", "rpm", "deb", "dmg", "msi", "apk", "iso", "exe"],
];

/// Says why a request is no page view of a person on one of these hosts (of any if none is named),
/// if it is none; what is cheap to see first.
///
/// Without user agents bots cannot be recognised.
#[must_use]
pub fn left_out(record: &Record, vhosts: &[String]) -> Option<LeftOut> {
    if !vhosts.is_empty() && record.host.as_ref().is_none_or(|host| !vhosts.contains(host)) {
        return Some(LeftOut::OtherHost);
    }
    if record.method != "GET" {
        return Some(LeftOut::Method);
    }
    if !matches!(record.status, 200 | 304) {
        return Some(LeftOut::Status);
    }
    if is_asset(&record.target) {
        return Some(LeftOut::Asset);
    }
    let is_bot = match &record.agent {
        Agent::Unknown => false,
        Agent::Missing => true,
        Agent::Sent(agent) => is_bot(agent),
    };
    is_bot.then_some(LeftOut::Bot)
}

fn is_asset(target: &str) -> bool {
    let path = target.split(['?', '#', ';']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.')
        .is_some_and(|(_, ending)| ASSETS.iter().copied().flatten().any(|asset| asset.eq_ignore_ascii_case(ending)))
}

#[cfg(test)]
mod tests {
    use common::time::Timestamp;

    use super::*;

    const PERSON: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0";

    fn record(request: &str, status: u16, agent: &str) -> Record {
        let (method, target) = request.split_once(' ').unwrap();
        Record {
            host: Some("site.example".into()),
            client: "198.18.0.1".parse().unwrap(),
            time: Timestamp::from_millis(0),
            method: method.into(),
            target: target.into(),
            status,
            referrer: None,
            agent: if agent == "-" { Agent::Missing } else { Agent::Sent(agent.into()) },
        }
    }

    fn judge(request: &str, status: u16, agent: &str) -> Option<LeftOut> {
        left_out(&record(request, status, agent), &[])
    }

    #[test]
    fn pages_are_what_a_person_was_shown() {
        for page in ["/", "/cv", "/cv/", "/a.html", "/a.php?x=b.png", "/v1.2/notes", "/files/x.py", "http://x.example/"]
        {
            assert_eq!(judge(&format!("GET {page}"), 200, PERSON), None, "{page}");
        }
        assert_eq!(judge("GET /", 304, PERSON), None);
    }

    #[test]
    fn everything_else_has_its_reason() {
        for (request, status, agent, reason) in [
            ("POST /", 200, PERSON, LeftOut::Method),
            ("HEAD /", 200, PERSON, LeftOut::Method),
            ("GET /", 301, PERSON, LeftOut::Status),
            ("GET /", 404, PERSON, LeftOut::Status),
            ("GET /", 206, PERSON, LeftOut::Status),
            ("GET /a.CSS", 200, PERSON, LeftOut::Asset),
            ("GET /robots.txt?x", 200, PERSON, LeftOut::Asset),
            ("GET /favicon.ico", 200, "-", LeftOut::Asset),
            ("GET /", 200, "-", LeftOut::Bot),
            ("GET /", 200, "curl/8.5.0", LeftOut::Bot),
        ] {
            assert_eq!(judge(request, status, agent), Some(reason), "{request} {status} {agent}");
        }
        assert_eq!(left_out(&Record { agent: Agent::Unknown, ..record("GET /", 200, "") }, &[]), None);
    }

    #[test]
    fn hosts_may_be_chosen() {
        let vhosts = ["site.example".to_owned(), "b.example".to_owned()];
        let of = |host: Option<&str>| {
            left_out(&Record { host: host.map(Into::into), ..record("GET /", 200, PERSON) }, &vhosts)
        };
        assert_eq!([of(Some("site.example")), of(Some("b.example"))], [None, None]);
        assert_eq!([of(Some("c.example")), of(None)], [Some(LeftOut::OtherHost); 2]);
    }
}
