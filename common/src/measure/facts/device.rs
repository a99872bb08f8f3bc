//! Kinds of devices.

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
const TELEVISIONS: [&str; 7] = ["TV", "NetCast", "Web0S", "BRAVIA", "; AFT", "CrKey", "Roku"];

impl Device {
    /// The device of a user agent whose operating system is known.
    pub(super) fn of(text: &str, os: &str) -> Self {
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let may_be_tv = matches!(os, "Android" | "Linux" | "Tizen" | "webOS" | "HarmonyOS" | "");
        if os == "tvOS" || may_be_tv && says(&TELEVISIONS) {
            return Self::Tv;
        }
        match os {
            "PlayStation" | "Xbox" | "Nintendo" => Self::Other,
            "iPadOS" => Self::Tablet,
            "iOS" if text.contains("iPad") => Self::Tablet,
            "iOS" | "Windows Phone" | "KaiOS" | "Symbian" => Self::Mobile,
            "BlackBerry" => {
                if text.contains("PlayBook") {
                    Self::Tablet
                } else {
                    Self::Mobile
                }
            }
            // Chrome and Firefox say `Mobile` on phones only.
            "Android" | "HarmonyOS" | "Tizen" if says(&["Tablet", "tablet"]) => Self::Tablet,
            "Android" | "HarmonyOS" if text.contains("Mobile") || text.contains("Opera Mini") => Self::Mobile,
            "Android" | "HarmonyOS" => Self::Tablet,
            "Tizen" => {
                if text.contains("Mobile") {
                    Self::Mobile
                } else {
                    Self::Tv
                }
            }
            _ if says(&["Kindle", "Silk/", "PlayBook"]) => Self::Tablet,
            _ if says(&["Mobile", "Opera Mini", "Opera Mobi"]) && os != "Windows" => Self::Mobile,
            "Windows" | "macOS" | "Linux" | "Chrome OS" | "FreeBSD" | "OpenBSD" => Self::Desktop,
            _ if text.contains("X11") => Self::Desktop,
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
