//! User-agent client hints (W3C community group draft "User-Agent Client Hints"): what browsers built
//! on Chromium say in headers of their own, since their user agents tell less and less.

use http::HeaderName;

use super::agent::{self, Agent};
use super::device::Device;
use super::os::Os;
use super::words::Text;

const BRANDS: HeaderName = HeaderName::from_static("sec-ch-ua");
const PLATFORM: HeaderName = HeaderName::from_static("sec-ch-ua-platform");
const PLATFORM_VERSION: HeaderName = HeaderName::from_static("sec-ch-ua-platform-version");
const MOBILE: HeaderName = HeaderName::from_static("sec-ch-ua-mobile");

/// The hints of a request, as sent, each cut to [`Hints::LONGEST`] bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Hints {
    brands: Option<Box<str>>,
    platform: Option<Box<str>>,
    platform_version: Option<Box<str>>,
    mobile: Option<bool>,
}

impl Hints {
    /// The most bytes of a header that are looked at.
    pub const LONGEST: usize = 512;

    /// Takes the hints out of a request's headers.
    #[must_use]
    pub fn read<'h>(header: impl Fn(&HeaderName) -> Option<&'h str>) -> Self {
        let text = |name| {
            let value = header(name)?;
            Some(value.get(..value.len().min(Self::LONGEST))?.into())
        };
        Self {
            brands: text(&BRANDS),
            platform: text(&PLATFORM),
            platform_version: text(&PLATFORM_VERSION),
            mobile: header(&MOBILE).and_then(|value| match value.trim() {
                "?1" => Some(true),
                "?0" => Some(false),
                _ => None,
            }),
        }
    }

    /// Adds to what a user agent tells what the hints know better.
    pub(super) fn refine<'a>(&'a self, mut agent: Agent<'a>) -> Agent<'a> {
        if let Some((browser, version)) = self.brand() {
            // An app that shows pages has its own product in the user agent, and the brand of what it embeds.
            if matches!(agent.browser, "" | "Chrome" | "Chromium") {
                agent.browser = browser;
            }
            if agent.browser == browser {
                agent.browser_version = version;
            }
        }
        if let Some(platform) = self.platform.as_deref().and_then(quoted) {
            let version = self.platform_version.as_deref().and_then(quoted).unwrap_or_default();
            let os = Os::of_hints(platform, version);
            if agent.os.name.is_empty() || (agent.os.name == os.name && !os.version.is_empty()) {
                agent.os = os;
            }
        }
        match self.mobile {
            Some(true) if matches!(agent.device, "" | "desktop" | "other") => agent.device = Device::Mobile.name(),
            Some(false) if agent.device.is_empty() => agent.device = Device::of(Text::new(""), agent.os.name).name(),
            _ => {}
        }
        agent
    }

    /// The brand that is neither what all have (`Chromium`) nor made up against guessing (`Not A;Brand`).
    fn brand(&self) -> Option<(&'static str, &str)> {
        let brands = self.brands.as_deref()?.split("\", ").filter_map(|brand| {
            let (name, version) = brand.trim_start_matches([' ', '"']).split_once("\";v=\"").or_else(|| {
                let (name, rest) = brand.trim_start_matches([' ', '"']).split_once('"')?;
                Some((name, rest.split_once("v=\"")?.1))
            })?;
            Some((name, agent::number(version)))
        });
        let named = brands.filter_map(|(name, version)| Some((browser(name)?, version)));
        // Brave is Chromium as well as Brave; Chromium alone is Chromium.
        named.min_by_key(|(name, _)| *name == "Chromium")
    }
}

/// The browser of a brand.
fn browser(brand: &str) -> Option<&'static str> {
    Some(match brand {
        "Google Chrome" => "Chrome",
        "HeadlessChrome" => "Chrome",
        "Microsoft Edge" => "Edge",
        "Opera" => "Opera",
        "Opera GX" => "Opera GX",
        "Yandex" | "YaBrowser" => "Yandex Browser",
        "Android WebView" => "Chrome WebView",
        "Microsoft Edge WebView2" => "Edge WebView2",
        "NAVER Whale" => "Whale",
        name => agent::known_browser(name)?,
    })
}

/// A string of a structured header (RFC 9651) without its quotes.
fn quoted(value: &str) -> Option<&str> {
    value.trim().strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";

    fn told(user_agent: &str, headers: &[(&str, &str)]) -> String {
        let hints = Hints::read(|name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value));
        let agent = if user_agent.is_empty() { Agent::default() } else { Agent::parse(user_agent) };
        let agent = hints.refine(agent);
        [agent.device, agent.browser, agent.browser_version, agent.os.name, agent.os.version].join("|")
    }

    #[test]
    fn brands_tell_browsers_that_user_agents_do_not() {
        for (brands, expected) in [
            (r#""Brave";v="131", "Chromium";v="131", "Not_A Brand";v="24""#, "desktop|Brave|131|Windows|10"),
            (r#""Chromium";v="131", "Not(A:Brand";v="24", "Google Chrome";v="131""#, "desktop|Chrome|131|Windows|10"),
            (r#""Microsoft Edge";v="130", "Chromium";v="131", "Not?A_Brand";v="99""#, "desktop|Edge|130|Windows|10"),
            (r#""Chromium";v="131", "DuckDuckGo";v="131", "Not)A;Brand";v="24""#, "desktop|DuckDuckGo|131|Windows|10"),
            (r#""Chromium";v="131", "Made up";v="7""#, "desktop|Chromium|131|Windows|10"),
            ("nonsense", "desktop|Chrome|131|Windows|10"),
            ("", "desktop|Chrome|131|Windows|10"),
        ] {
            assert_eq!(told(WINDOWS, &[("sec-ch-ua", brands)]), expected, "{brands}");
        }
        let edge = format!("{WINDOWS} Edg/131.0.0.0");
        let brave = ("sec-ch-ua", r#""Brave";v="131""#);
        assert_eq!(told(&edge, &[brave]), "desktop|Edge|131|Windows|10");
    }

    #[test]
    fn platforms_tell_versions_that_user_agents_do_not() {
        for (platform, version, expected) in [
            (r#""Windows""#, r#""15.0.0""#, "Windows|11"),
            (r#""Windows""#, r#""10.0.0""#, "Windows|10"),
            (r#""Windows""#, r#""0.1.0""#, "Windows|7"),
            (r#""Windows""#, r#""""#, "Windows|10"),
            (r#""macOS""#, r#""14.5.0""#, "Windows|10"),
            ("Windows", "15", "Windows|10"),
        ] {
            let told = told(WINDOWS, &[("sec-ch-ua-platform", platform), ("sec-ch-ua-platform-version", version)]);
            assert_eq!(told, format!("desktop|Chrome|131|{expected}"), "{platform} {version}");
        }
        let mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";
        let hints = [("sec-ch-ua-platform", r#""macOS""#), ("sec-ch-ua-platform-version", r#""14.0.0""#)];
        assert_eq!(told(mac, &hints), "desktop|Chrome|131|macOS|14");
    }

    #[test]
    fn hints_alone_are_enough() {
        let hints = [
            ("sec-ch-ua", r#""Google Chrome";v="131", "Chromium";v="131""#),
            ("sec-ch-ua-mobile", "?1"),
            ("sec-ch-ua-platform", r#""Android""#),
        ];
        assert_eq!(told("", &hints), "mobile|Chrome|131|Android|");
        assert_eq!(told("", &[]), "||||");
    }
}
