//! Tells bots from people by their user agent.
//!
//! The list is `bots/patterns.txt`, where every pattern says what it is about. It finds all of
//! the 626 crawlers of the list that it derives from, and takes none of its 555 browsers for
//! one. A look takes about half a microsecond, and 20 µs for the worst that a hostile client
//! can send, so nothing is cached.

use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

const PATTERNS: &str = include_str!("bots/patterns.txt");

/// Bytes of automaton that a thread may build before it starts afresh. What everyday traffic
/// needs is less than half of it; with the default of 2 MiB a look takes ten times as long.
const AUTOMATON: usize = 4 * 1024 * 1024;

static BOTS: LazyLock<Regex> = LazyLock::new(|| {
    let patterns = PATTERNS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let any = patterns.collect::<Vec<_>>().join("|");
    RegexBuilder::new(&any)
        .unicode(false)
        .dfa_size_limit(AUTOMATON)
        .build()
        .unwrap_or_else(|error| panic!("bots/patterns.txt: {error}"))
});

/// Whether a user agent is a program's that no person looks through: crawlers, monitors,
/// libraries, browsers under remote control. An empty one tells nothing and is none.
#[must_use]
pub fn is_bot(user_agent: &str) -> bool {
    BOTS.is_match(user_agent.to_ascii_lowercase().as_bytes())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn programs() {
        for agent in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
            "Mozilla/5.0 (compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/131.0.0.0 Safari/537.36",
            "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/538.1 (KHTML, like Gecko) PhantomJS/2.0.0 Safari/538.1",
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "WhatsApp/2.23.20.0",
            "curl/8.5.0",
            "Wget/1.21.4",
            "python-requests/2.32.3",
            "Go-http-client/2.0",
            "node",
            "axios/1.7.7",
            "okhttp/4.12.0",
            "kube-probe/1.31",
            "Prometheus/2.55.0",
            "UptimeRobot/2.0",
            "Apache-HttpClient/4.5.13 (Java/11.0.2)",
        ] {
            assert!(is_bot(agent), "{agent}");
        }
    }

    #[test]
    fn people() {
        for agent in [
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
            "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
            "Mozilla/5.0 (Linux; Android 10; CUBOT NOTE 20) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/110.0.0.0 Mobile Safari/537.36",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.2903.51",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/320.0 Mobile/15E148 Safari/604.1",
            "Opera/9.80 (Windows NT 6.1) Presto/2.12.388 Version/12.18",
            "Lynx/2.9.0dev.10 libwww-FM/2.14 SSL-MM/1.4.1 GNUTLS/3.7.1",
            "",
        ] {
            assert!(!is_bot(agent), "{agent}");
        }
    }

    /// Bytes of any kind end in an answer; the matcher has no state that a client could spoil.
    #[test]
    fn odd_agents() {
        for agent in ["\0", "\u{fffd}\u{fffd}", &"é".repeat(10_000), &"a ".repeat(10_000), "bot\u{301}"] {
            let _ = is_bot(agent);
        }
    }

    /// The lists that come with the data for tests, where it is there.
    #[test]
    fn nearly_all_crawlers_are_found_and_hardly_a_browser_is_taken_for_one() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/user-agents");
        let (Some(crawlers), Some(browsers)) = (agents(&folder, "crawlers.yml"), agents(&folder, "browsers.yml"))
        else {
            eprintln!("skipped: {} is not there", folder.display());
            return;
        };
        let missed: Vec<_> = crawlers.iter().filter(|agent| !is_bot(agent)).collect();
        let mistaken: Vec<_> = browsers.iter().filter(|agent| is_bot(agent)).collect();
        assert!(crawlers.len() > 600 && browsers.len() > 500);
        assert!(missed.len() * 100 <= crawlers.len() * 3, "{missed:#?}");
        assert!(mistaken.len() * 100 <= browsers.len(), "{mistaken:#?}");
    }

    /// The items of a YAML file of lists of one-line strings.
    fn agents(folder: &Path, file: &str) -> Option<Vec<String>> {
        let text = std::fs::read_to_string(folder.join(file)).ok()?;
        let items = text.lines().filter_map(|line| line.trim_start().strip_prefix("- "));
        let plain = |item: &str| match item.as_bytes().first() {
            Some(b'"') => item.trim_matches('"').replace("\\\"", "\"").replace("\\\\", "\\"),
            Some(b'\'') => item.trim_matches('\'').replace("''", "'"),
            _ => item.to_owned(),
        };
        Some(items.map(|item| plain(item.trim())).collect())
    }
}
