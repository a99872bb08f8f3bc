//! Sources of visits that are known by name: search engines, social networks, shops, AI assistants, mail.

use std::collections::HashMap;
use std::sync::LazyLock;

/// What a source is, as far as channels care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Category {
    Search,
    Social,
    Video,
    Shopping,
    Ai,
    Email,
    None,
}

/// A source that the list knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) category: Category,
}

/// The sources of `lists/sources.tsv` by their hosts, words and names in lower case.
static SOURCES: LazyLock<HashMap<Box<str>, Known>> = LazyLock::new(|| {
    let mut sources = HashMap::new();
    let lines = include_str!("../../../lists/sources.tsv").lines().filter(|line| !line.starts_with('#'));
    for line in lines {
        let mut columns = line.split('\t');
        let (Some(name), Some(category), Some(hosts)) = (columns.next(), columns.next(), columns.next()) else {
            continue;
        };
        let category = match category {
            "search" => Category::Search,
            "social" => Category::Social,
            "video" => Category::Video,
            "shopping" => Category::Shopping,
            "ai" => Category::Ai,
            "email" => Category::Email,
            _ => Category::None,
        };
        let known = Known { name, category };
        let name = name.to_lowercase();
        for key in hosts.split(' ').chain([&*name]) {
            sources.entry(key.into()).or_insert(known);
        }
    }
    sources
});

/// The source of a referrer's host: the host itself or the nearest parent that is known.
pub(super) fn of_host(host: &str) -> Option<Known> {
    let mut rest = host;
    loop {
        let known = SOURCES.get(rest).or_else(|| SOURCES.get(&*format!("{}.{{}}", under_any_top_level(rest)?)));
        if let Some(known) = known {
            return Some(*known);
        }
        rest = rest.split_once('.')?.1;
        if !rest.contains('.') {
            return None;
        }
    }
}

/// What a host is without `com`, a country, or `co.` and `com.` with a country.
fn under_any_top_level(host: &str) -> Option<&str> {
    let (rest, last) = host.rsplit_once('.')?;
    match rest.rsplit_once('.') {
        Some((name, "com" | "co" | "org" | "net")) if last.len() == 2 => Some(name),
        _ if last.len() == 2 || last == "com" || last == "cat" => Some(rest),
        _ => None,
    }
}

/// The source that a campaign names, by its name, a common word for it, or its host; without case.
pub(super) fn of_word(lower_case: &str) -> Option<Known> {
    let known = SOURCES.get(lower_case).copied();
    known.or_else(|| if lower_case.contains('.') { of_host(lower_case) } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_known_by_themselves_or_a_parent() {
        for (host, name, category) in [
            ("google.com", "Google", Category::Search),
            ("google.co.uk", "Google", Category::Search),
            ("google.com.br", "Google", Category::Search),
            ("images.google.fr", "Google", Category::Search),
            ("mail.google.com", "Gmail", Category::Email),
            ("gemini.google.com", "Gemini", Category::Ai),
            ("news.google.com", "Google News", Category::None),
            ("l.facebook.com", "Facebook", Category::Social),
            ("old.reddit.com", "Reddit", Category::Social),
            ("t.co", "Twitter", Category::Social),
            ("m.youtube.com", "YouTube", Category::Video),
            ("amazon.de", "Amazon", Category::Shopping),
            ("chatgpt.com", "ChatGPT", Category::Ai),
            ("perplexity.ai", "Perplexity", Category::Ai),
            ("copilot.microsoft.com", "Copilot", Category::Ai),
            ("duckduckgo.com", "DuckDuckGo", Category::Search),
            ("kagi.com", "Kagi", Category::Search),
            ("qwant.com", "Qwant", Category::Search),
            ("ecosia.org", "Ecosia", Category::Search),
            ("outlook.live.com", "Outlook", Category::Email),
            ("com.google.android.gm", "Gmail", Category::Email),
        ] {
            assert_eq!(of_host(host), Some(Known { name, category }), "{host}");
        }
        for host in ["example.com", "notgoogle.com", "google.example.com", "google.evil.example", "com", "co.uk", ""] {
            assert_eq!(of_host(host), None, "{host}");
        }
    }

    #[test]
    fn campaigns_name_sources_by_name_word_or_host() {
        for (word, name) in [
            ("google", "Google"),
            ("adwords", "Google"),
            ("fb", "Facebook"),
            ("hacker news", "Hacker News"),
            ("chatgpt.com", "ChatGPT"),
            ("www.bing.com", "Bing"),
        ] {
            assert_eq!(of_word(word).map(|known| known.name), Some(name), "{word}");
        }
        for word in ["newsletter", "x", "banner", "example.com", ""] {
            assert_eq!(of_word(word), None, "{word}");
        }
    }

    /// A host under two names would depend on the order of lines.
    #[test]
    fn the_list_names_each_host_once() {
        let mut seen = std::collections::HashSet::new();
        for line in include_str!("../../../lists/sources.tsv").lines().filter(|line| !line.starts_with('#')) {
            for host in line.split('\t').nth(2).unwrap().split(' ') {
                assert!(seen.insert(host), "{host}");
            }
        }
    }
}
