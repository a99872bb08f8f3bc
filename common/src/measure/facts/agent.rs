//! What a user agent tells: browser, operating system and kind of device.
//!
//! A user agent is a list of products (`Chrome/131.0.0.0`) with remarks in parentheses. Browsers are
//! told by their product: the list is `lists/browsers.tsv`, of which the earliest line wins, since
//! nearly all browsers also claim to be Chrome or Safari. There are few operating systems
//! and devices: they are recognised in code.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::device::Device;
use super::os::Os;
use super::words::{Text, Word, word};

/// What is known of a user agent; what is not is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Agent<'a> {
    pub(super) device: &'static str,
    pub(super) browser: &'static str,
    pub(super) browser_version: &'a str,
    pub(super) os: Os<'a>,
}

impl<'a> Agent<'a> {
    /// Reads a user agent.
    pub(super) fn parse(text: &'a str) -> Self {
        let words = Text::new(text);
        let (browser, browser_version) = browser(text, words);
        let os = Os::of(text);
        let device = Device::of(words, os.name);
        Self { device: device.name(), browser, browser_version, os }
    }
}

/// What apps say of themselves that is no product with a version behind a slash.
const WORDS: [(Word, &str); 7] = [
    (word("Instagram "), "Instagram"),
    (word("[LinkedInApp]"), "LinkedIn"),
    (word("Twitter for "), "Twitter"),
    (word("musical_ly_"), "TikTok"),
    (word("trill_"), "TikTok"),
    (word("(Ecosia "), "Ecosia"),
    (word("Brave Chrome/"), "Brave"),
];

/// The rank and name of each product token.
static BROWSERS: LazyLock<HashMap<&'static str, (usize, &'static str)>> = LazyLock::new(|| {
    let lines = include_str!("../../../lists/browsers.tsv").lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('\t'));
    pairs.enumerate().map(|(rank, (token, name))| (token, (rank, name))).collect()
});

/// The name of a browser, as a list of brands may say it, if it is known.
pub(super) fn known_browser(name: &str) -> Option<&'static str> {
    BROWSERS.values().map(|(_, known)| *known).find(|known| *known == name)
}

fn browser<'a>(text: &'a str, words: Text<'a>) -> (&'static str, &'a str) {
    let mut known: Option<((usize, &'static str), &str)> = None;
    let (mut chrome, mut firefox, mut opera, mut version) = (None, None, None, None);
    for (token, number) in products(text) {
        let found = match token {
            "Chrome" => &mut chrome,
            "Firefox" => &mut firefox,
            "Opera" => &mut opera,
            "Version" => &mut version,
            // Nearly all browsers have them, and the list none of them.
            "Mozilla" | "AppleWebKit" | "Safari" => continue,
            _ => {
                let better = |(rank, _): &&(usize, _)| known.is_none_or(|((best, _), _)| *rank < best);
                if let Some(browser) = BROWSERS.get(token).filter(better) {
                    known = Some((*browser, number));
                }
                continue;
            }
        };
        found.get_or_insert(number);
    }
    if let Some(((_, name), version)) = known {
        return (name, version);
    }
    if let Some((version, name)) = WORDS.iter().find_map(|(word, name)| Some((words.split_once(*word)?.1, *name))) {
        return (name, number(version));
    }
    if let Some(version) = chrome {
        let in_app = words.has_any(&[word("; wv)"), word("Version/4.0 Chrome/")]);
        return (if in_app { "Chrome WebView" } else { "Chrome" }, version);
    }
    if let Some(version) = firefox {
        return ("Firefox", version);
    }
    if let Some(old) = opera {
        // Versions above 9 stand behind, since sites could not read numbers of two digits.
        return ("Opera", version.unwrap_or(old));
    }
    if let Some((_, rest)) = words.split_once(word("MSIE ")) {
        return ("Internet Explorer", number(rest));
    }
    if words.has(word("Trident/")) {
        return ("Internet Explorer", words.split_once(word("rv:")).map_or("", |(_, rest)| number(rest)));
    }
    if words.has(word("AppleWebKit/")) {
        let version = version.unwrap_or_default();
        if words.has(word("Android")) {
            return ("Android Browser", version);
        }
        if words.has(word("Safari/")) {
            return ("Safari", version);
        }
        if words.has_any(&[word("like Mac OS X"), word("Macintosh")]) {
            return ("Safari WebView", version);
        }
    }
    ("", "")
}

/// The products of a user agent and their major versions, in order: `Name/12.3` gives `Name` and `12`.
fn products(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_boundary = |byte: &u8| matches!(byte, b' ' | b';' | b'(' | b')' | b'[' | b']' | b',' | b'/');
    text.match_indices('/').map(move |(slash, _)| {
        let begin = text.as_bytes()[..slash].iter().rposition(is_boundary).map_or(0, |at| at + 1);
        let version = text[slash + 1..].strip_prefix(['v', 'V']).unwrap_or(&text[slash + 1..]);
        (&text[begin..slash], number(version))
    })
}

/// The digits that a text begins with, at most six.
pub(super) fn number(text: &str) -> &str {
    let digits = text.bytes().take(6).take_while(u8::is_ascii_digit).count();
    &text[..digits]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Device, browser, its version, system, its version.
    fn told(text: &str) -> String {
        let agent = Agent::parse(text);
        [agent.device, agent.browser, agent.browser_version, agent.os.name, agent.os.version].join("|")
    }

    #[test]
    fn products_that_are_told_by_code_are_not_in_the_list() {
        for token in ["Chrome", "Firefox", "Opera", "Version", "Mozilla", "AppleWebKit", "Safari"] {
            assert_eq!(BROWSERS.get(token), None, "{token}");
        }
    }

    #[test]
    fn desktops() {
        let windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
        let mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit";
        for (agent, expected) in [
            (windows.to_owned(), "desktop|Chrome|142|Windows|10"),
            (format!("{windows} Edg/142.0.3595.53"), "desktop|Edge|142|Windows|10"),
            (format!("{windows} OPR/124.0.0.0"), "desktop|Opera|124|Windows|10"),
            (format!("{windows} Vivaldi/7.6"), "desktop|Vivaldi|7|Windows|10"),
            (windows.replace(" Safari", " YaBrowser/25.8.0.0 Safari"), "desktop|Yandex Browser|25|Windows|10"),
            (format!("{mac}/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15"), "desktop|Safari|18|macOS|10_15"),
            (
                "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0".to_owned(),
                "desktop|Firefox|133|Linux|",
            ),
            (
                "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
                    .to_owned(),
                "desktop|Chrome|141|Chrome OS|",
            ),
            (
                "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko".to_owned(),
                "desktop|Internet Explorer|11|Windows|7",
            ),
            ("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 5.1)".to_owned(), "desktop|Internet Explorer|8|Windows|XP"),
            ("Opera/9.80 (Windows NT 6.3) Presto/2.12.388 Version/12.16".to_owned(), "desktop|Opera|12|Windows|8.1"),
        ] {
            assert_eq!(told(&agent), expected, "{agent}");
        }
    }

    #[test]
    fn phones_and_tablets() {
        let iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)";
        let android = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko)";
        for (agent, expected) in [
            (format!("{iphone} Version/18.7 Mobile/15E148 Safari/604.1"), "mobile|Safari|18|iOS|18_7"),
            (format!("{iphone} Version/26.1 Mobile/15E148 Safari/604.1"), "mobile|Safari|26|iOS|26.1"),
            (format!("{iphone} CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1"), "mobile|Chrome|142|iOS|18_7"),
            (format!("{iphone} FxiOS/145.0 Mobile/15E148 Safari/605.1.15"), "mobile|Firefox|145|iOS|18_7"),
            (format!("{iphone} EdgiOS/141.0 Version/18.0 Mobile/15E148 Safari/604.1"), "mobile|Edge|141|iOS|18_7"),
            (format!("{iphone} GSA/391.0.825 Mobile/15E148 Safari/604.1"), "mobile|Google Search App|391|iOS|18_7"),
            (format!("{iphone} Mobile/15E148 Instagram 361.0.0.35 (iPhone14,5)"), "mobile|Instagram|361|iOS|18_7"),
            (format!("{iphone} Mobile/15E148 [FBAN/FBIOS;FBAV/535.0.0.46;FBBV/1]"), "mobile|Facebook|535|iOS|18_7"),
            (format!("{iphone} Mobile/15E148"), "mobile|Safari WebView||iOS|18_7"),
            (
                "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
                    .to_owned(),
                "tablet|Safari|17|iPadOS|17_5",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142 Mobile/15E148 Safari/604.1"
                    .to_owned(),
                "tablet|Chrome|142|iPadOS|",
            ),
            (format!("{android} Chrome/142.0.0.0 Mobile Safari/537.36"), "mobile|Chrome|142|Android|10"),
            (format!("{android} Chrome/142.0.0.0 Safari/537.36"), "tablet|Chrome|142|Android|10"),
            (
                format!("{android} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36"),
                "mobile|Samsung Internet|28|Android|10",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; SM-S911B Build/UP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/131.0.6778.39 Mobile Safari/537.36"
                    .to_owned(),
                "mobile|Chrome WebView|131|Android|14",
            ),
            ("Mozilla/5.0 (Android 15; Mobile; rv:133.0) Gecko/133.0 Firefox/133.0".to_owned(), "mobile|Firefox|133|Android|15"),
        ] {
            assert_eq!(told(&agent), expected, "{agent}");
        }
    }

    #[test]
    fn televisions_consoles_and_others() {
        for (agent, expected) in [
            (
                "Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) 76.0.3809.146/6.0 TV Safari/537.36",
                "tv|Safari||Tizen|6.0",
            ),
            (
                "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/94.0.4606.128 Safari/537.36",
                "tv|Chrome|94|webOS|",
            ),
            (
                "Mozilla/5.0 (Linux; Android 9; AFTMM Build/PS7233) AppleWebKit/537.36 (KHTML, like Gecko) Silk/98.6.10 like Chrome/98.0.4758.136 Safari/537.36",
                "tv|Silk|98|Android|9",
            ),
            (
                "Mozilla/5.0 (PlayStation; PlayStation 5/2.26) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15",
                "other|Safari|13|PlayStation|5",
            ),
            ("a", "other||||"),
            ("", "other||||"),
            ("Ça/é (Windows NT é", "desktop|||Windows|"),
        ] {
            assert_eq!(told(agent), expected, "{agent}");
        }
    }
}
