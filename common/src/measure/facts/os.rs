//! Operating systems.

use super::words::{Text, Word, word};

/// An operating system: its name and as much of its version as tells something, or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Os<'a> {
    pub(super) name: &'static str,
    pub(super) version: &'a str,
}

/// What a user agent says, the system's name, and what stands before its version. The first line that
/// is found is the system's: many name others that they are like.
const SYSTEMS: [(Word, &str, &str); 27] = [
    (word("Windows Phone"), "Windows Phone", "Windows Phone "),
    (word("Xbox"), "Xbox", ""),
    (word("PlayStation"), "PlayStation", "PlayStation "),
    (word("PLAYSTATION"), "PlayStation", "PLAYSTATION "),
    (word("Nintendo"), "Nintendo", ""),
    (word("AppleTV"), "tvOS", "tvOS/"),
    (word("tvOS"), "tvOS", "tvOS/"),
    (word("Windows NT"), "Windows", "Windows NT "),
    (word("Windows"), "Windows", ""),
    (word("iPhone"), "iOS", " OS "),
    (word("iPad"), "iPadOS", " OS "),
    (word("iPod"), "iOS", " OS "),
    (word("HarmonyOS"), "HarmonyOS", "HarmonyOS "),
    (word("OpenHarmony"), "HarmonyOS", "OpenHarmony "),
    (word("Tizen"), "Tizen", "Tizen "),
    (word("KAIOS"), "KaiOS", "KAIOS/"),
    (word("Android"), "Android", "Android "),
    (word("CrOS"), "Chrome OS", ""),
    (word("Web0S"), "webOS", ""),
    (word("webOS"), "webOS", "webOS/"),
    (word("Macintosh"), "macOS", "Mac OS X "),
    (word("BlackBerry"), "BlackBerry", ""),
    (word("BB10"), "BlackBerry", ""),
    (word("Symbian"), "Symbian", ""),
    (word("FreeBSD"), "FreeBSD", ""),
    (word("OpenBSD"), "OpenBSD", ""),
    (word("Linux"), "Linux", ""),
];

/// The version of Windows NT, as users know it.
const WINDOWS: [(&str, &str); 7] =
    [("10.0", "10"), ("6.3", "8.1"), ("6.2", "8"), ("6.1", "7"), ("6.0", "Vista"), ("5.2", "XP"), ("5.1", "XP")];

impl<'a> Os<'a> {
    /// The system that a user agent names.
    pub(super) fn of(text: &'a str) -> Self {
        // Nearly always it is in the first remark, which is faster to search.
        let remark = text.split_once(')').map_or(text, |(remark, _)| remark);
        let named = |part| {
            let part = Text::new(part);
            SYSTEMS.iter().find(|(said, ..)| part.has(*said))
        };
        let Some((_, name, before)) = named(remark).or_else(|| named(&text[remark.len()..])) else {
            return Self::default();
        };
        let after = if before.is_empty() { None } else { text.split_once(before) };
        let version = after.map_or("", |(_, rest)| version(rest));
        match *name {
            "Windows" => {
                let known = WINDOWS.iter().find(|(number, _)| *number == version);
                Self { name, version: known.map_or("", |(_, name)| name) }
            }
            "iOS" | "iPadOS" => Self::apple_mobile(name, text, version),
            // An iPad says that it is a Mac, but for products that a Mac does not have.
            "macOS" if text.contains(" Mobile/") => Self { name: "iPadOS", version: "" },
            _ => Self { name, version },
        }
    }

    /// Since version 26, Safari says that it runs on 18.6 or 18.7, and has the system's version itself.
    fn apple_mobile(name: &'static str, text: &'a str, said: &'a str) -> Self {
        let safari = text.split_once("Version/").map_or("", |(_, rest)| version(rest));
        let version = if said.starts_with("18") && major(safari) >= 26 { safari } else { said };
        let name = if name == "iPadOS" && major(version) < 13 && !version.is_empty() { "iOS" } else { name };
        Self { name, version }
    }

    /// The system that client hints name: `Sec-CH-UA-Platform` and, if sent, `Sec-CH-UA-Platform-Version`.
    pub(super) fn of_hints(platform: &str, platform_version: &'a str) -> Self {
        let name = match platform {
            "Windows" => "Windows",
            "macOS" => "macOS",
            "Android" => "Android",
            "iOS" => "iOS",
            "Linux" => "Linux",
            "Chrome OS" | "Chromium OS" => "Chrome OS",
            _ => return Self::default(),
        };
        let version = version(platform_version);
        let version = match name {
            // Versions of an interface of Windows, not of Windows (Client Hints Infrastructure, Microsoft).
            "Windows" => match (major(version), version) {
                (_, "") => "",
                (0, "0.1") => "7",
                (0, "0.2") => "8",
                (0, "0.3") => "8.1",
                (1..=10, _) => "10",
                (13.., _) => "11",
                _ => "",
            },
            "Linux" => "",
            _ => version.strip_suffix(".0").unwrap_or(version),
        };
        Self { name, version }
    }
}

fn major(version: &str) -> u32 {
    super::agent::number(version).parse().unwrap_or(0)
}

/// The version that a text begins with: its first two numbers, with a dot between, if it has one.
fn version(text: &str) -> &str {
    let first = super::agent::number(text);
    let rest = &text[first.len()..];
    match rest.strip_prefix(['.', '_']) {
        Some(rest) if !first.is_empty() => &text[..first.len() + 1 + super::agent::number(rest).len()],
        _ => first,
    }
}
