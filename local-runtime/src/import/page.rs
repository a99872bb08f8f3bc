//! Which logged requests are views of pages by people.

use common::bots::is_bot;

use super::line::{Format, LogLine};

/// Why a good line is no page view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
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
    pub const ALL: [Self; 6] = [Self::Method, Self::Status, Self::Asset, Self::Bot, Self::TooOld, Self::TooNew];
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

/// Says why a line is no page view of a person, if it is none; what is cheap to see first.
///
/// In the Common Log Format nobody can tell who is a bot.
#[must_use]
pub fn left_out(line: &LogLine<'_>, format: Format) -> Option<LeftOut> {
    if line.method != "GET" {
        return Some(LeftOut::Method);
    }
    if !matches!(line.status, 200 | 304) {
        return Some(LeftOut::Status);
    }
    if is_asset(&line.target) {
        return Some(LeftOut::Asset);
    }
    let bot = format == Format::Combined && line.user_agent.as_deref().is_none_or(is_bot);
    bot.then_some(LeftOut::Bot)
}

fn is_asset(target: &str) -> bool {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.')
        .is_some_and(|(_, ending)| ASSETS.iter().copied().flatten().any(|asset| asset.eq_ignore_ascii_case(ending)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSON: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0";

    fn judge(request: &str, status: u16, agent: &str, format: Format) -> Option<LeftOut> {
        let line =
            format!("198.18.0.1 - - [17/May/2015:10:05:03 +0000] \"{request} HTTP/1.1\" {status} 1 \"-\" \"{agent}\"");
        left_out(&LogLine::parse(line.as_bytes(), format).unwrap(), format)
    }

    #[test]
    fn pages_are_what_a_person_was_shown() {
        for page in ["/", "/cv", "/cv/", "/a.html", "/a.php?x=b.png", "/v1.2/notes", "/files/x.py", "http://x.example/"]
        {
            assert_eq!(judge(&format!("GET {page}"), 200, PERSON, Format::Combined), None, "{page}");
        }
        assert_eq!(judge("GET /", 304, PERSON, Format::Combined), None);
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
            assert_eq!(judge(request, status, agent, Format::Combined), Some(reason), "{request} {status} {agent}");
        }
        assert_eq!(judge("GET /", 200, "curl/8.5.0", Format::Common), None);
    }
}
