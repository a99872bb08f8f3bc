//! Kinds of devices.

use super::words::{Text, Word, word};

/// What a visitor holds, or sits before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Device {
    Desktop,
    Mobile,
    Tablet,
    Tv,
    Other,
}

/// What televisions and the boxes beside them say, on the systems that they have.
const TELEVISIONS: [Word; 7] =
    [word("TV"), word("NetCast"), word("Web0S"), word("BRAVIA"), word("; AFT"), word("CrKey"), word("Roku")];
const MOBILE: Word = word("Mobile");
const OPERA_MINI: Word = word("Opera Mini");
const PLAYBOOK: Word = word("PlayBook");

impl Device {
    /// The device of a user agent whose operating system is known.
    pub(super) fn of(text: Text<'_>, os: &str) -> Self {
        let may_be_tv = matches!(os, "Android" | "Linux" | "Tizen" | "webOS" | "HarmonyOS" | "");
        if os == "tvOS" || may_be_tv && text.has_any(&TELEVISIONS) {
            return Self::Tv;
        }
        match os {
            "PlayStation" | "Xbox" | "Nintendo" => Self::Other,
            "iPadOS" => Self::Tablet,
            "iOS" if text.has(word("iPad")) => Self::Tablet,
            "iOS" | "Windows Phone" | "KaiOS" | "Symbian" => Self::Mobile,
            "BlackBerry" => {
                if text.has(PLAYBOOK) {
                    Self::Tablet
                } else {
                    Self::Mobile
                }
            }
            // Chrome and Firefox say `Mobile` on phones only.
            "Android" | "HarmonyOS" | "Tizen" if text.has_any(&[word("Tablet"), word("tablet")]) => Self::Tablet,
            "Android" | "HarmonyOS" if text.has_any(&[MOBILE, OPERA_MINI]) => Self::Mobile,
            "Android" | "HarmonyOS" => Self::Tablet,
            "Tizen" => {
                if text.has(MOBILE) {
                    Self::Mobile
                } else {
                    Self::Tv
                }
            }
            _ if text.has_any(&[word("Kindle"), word("Silk/"), PLAYBOOK]) => Self::Tablet,
            _ if text.has_any(&[MOBILE, OPERA_MINI, word("Opera Mobi")]) && os != "Windows" => Self::Mobile,
            "Windows" | "macOS" | "Linux" | "Chrome OS" | "FreeBSD" | "OpenBSD" => Self::Desktop,
            _ if text.has(word("X11")) => Self::Desktop,
            _ => Self::Other,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Mobile => "mobile",
            Self::Tablet => "tablet",
            Self::Tv => "tv",
            Self::Other => "other",
        }
    }
}
