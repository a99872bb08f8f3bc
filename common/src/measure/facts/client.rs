//! Who came, from where and with what.

use std::borrow::Cow;

use http::{HeaderName, header};

use super::agent::Agent;
use super::device::Device;
use super::hints::Hints;
use super::os::Os;
use super::place::{self, Place};
use super::{Client, ClientFields};

/// What an event says of its visitor's surroundings (`context`); what is not known or makes no sense is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Context {
    /// The country of the browser's time zone.
    country: &'static str,
    /// The class of the screen's width.
    screen: &'static str,
    /// The browser's language.
    language: Language,
}

impl Context {
    /// Reads what the sender says; nothing of it is an error.
    #[must_use]
    pub fn new(timezone: Option<&str>, screen_width: Option<f64>, language: Option<&str>) -> Self {
        Self {
            country: timezone.map_or("", place::country_of_zone),
            screen: screen_width.map_or("", screen),
            language: language.map_or_else(Language::default, Language::first),
        }
    }
}

/// A primary language subtag in lower case, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Language(Box<str>);

impl Language {
    /// The first language of an `Accept-Language` header, or of a language tag.
    #[must_use]
    pub fn first(text: &str) -> Self {
        let first = text.trim_start().split([',', ';', '-', '_']).next().unwrap_or_default().trim_end();
        // ISO 639 codes have two or three letters (RFC 5646, section 2.2.1).
        let valid = matches!(first.len(), 2 | 3) && first.bytes().all(|byte| byte.is_ascii_alphabetic());
        Self(if valid { first.to_ascii_lowercase().into() } else { Box::default() })
    }
}

/// What the headers of a request tell of the client, besides the user agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// Its client hints.
    pub hints: Hints,
    /// The first language that it accepts.
    pub language: Language,
    /// Where it comes from, as the platform or a trusted proxy says.
    pub place: Place,
    /// The host of the page that sends (`Origin`).
    pub origin: Option<Box<str>>,
}

impl Headers {
    /// The most bytes of `Origin` that are kept: those of a host name.
    const LONGEST_ORIGIN: usize = 300;

    /// Takes them out of a request. `trusted` tells whether it came through the platform or a trusted
    /// proxy: others may say anything of where they are.
    #[must_use]
    pub fn read<'h>(header: impl Fn(&HeaderName) -> Option<&'h str>, trusted: bool) -> Self {
        Self {
            hints: Hints::read(&header),
            language: header(&header::ACCEPT_LANGUAGE).map_or_else(Language::default, Language::first),
            place: if trusted { Place::read(&header) } else { Place::default() },
            origin: header(&header::ORIGIN).filter(|origin| origin.len() <= Self::LONGEST_ORIGIN).map(Into::into),
        }
    }
}

/// Derives who came: `place` is what a database knows of the address, if it was asked.
pub(super) fn derive(
    user_agent: &str,
    headers: &Headers,
    context: &Context,
    place: Option<&Place>,
    explicit: bool,
) -> Client {
    let agent = if user_agent.is_empty() { Agent::default() } else { Agent::parse(user_agent) };
    let mut agent = headers.hints.refine(agent);
    // An iPad's Safari says that it is a Mac; no Mac has so narrow a screen.
    if agent.os.name == "macOS" && matches!(context.screen, "XS" | "S" | "M") {
        agent.os = Os { name: "iPadOS", version: "" };
        agent.device = Device::Tablet.name();
    }
    let said = Some(&headers.place).filter(|place| !place.country.is_empty()).or(place);
    let (country, region, city) = match said {
        Some(place) if !place.country.is_empty() => (&*place.country, &*place.region, &*place.city),
        _ => (context.country, "", ""),
    };
    let language = if headers.language.0.is_empty() { &context.language } else { &headers.language };
    let os_version = match agent.os.version {
        version if version.contains('_') => Cow::Owned(version.replace('_', ".")),
        version => Cow::Borrowed(version),
    };
    Client::new(&ClientFields {
        country,
        region,
        city,
        language: &language.0,
        device: agent.device,
        browser: agent.browser,
        browser_version: agent.browser_version,
        os: agent.os.name,
        os_version: &os_version,
        screen: context.screen,
        explicit,
    })
}

/// The class of a width in CSS pixels: phones are `XS`, large phones `S`, tablets `M`, laptops `L`.
fn screen(width: f64) -> &'static str {
    match width {
        1.0..576.0 => "XS",
        576.0..768.0 => "S",
        768.0..992.0 => "M",
        992.0..1_440.0 => "L",
        1_440.0..=100_000.0 => "XL",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_primary_subtags() {
        for (sent, language) in [
            ("fr-FR,fr;q=0.9,en;q=0.8", "fr"),
            ("EN", "en"),
            ("zh_TW", "zh"),
            ("de;q=0.5", "de"),
            (" gsw-CH", "gsw"),
            ("*", ""),
            ("", ""),
            ("x", ""),
            ("klingon", ""),
            ("é1", ""),
        ] {
            assert_eq!(&*Language::first(sent).0, language, "{sent}");
        }
    }

    #[test]
    fn screens_are_classes_of_width() {
        for (width, class) in [
            (0.0, ""),
            (f64::NAN, ""),
            (-5.0, ""),
            (390.0, "XS"),
            (575.9, "XS"),
            (576.0, "S"),
            (768.0, "M"),
            (991.0, "M"),
            (992.0, "L"),
            (1_439.0, "L"),
            (1_440.0, "XL"),
            (3_840.0, "XL"),
            (1e9, ""),
        ] {
            assert_eq!(screen(width), class, "{width}");
        }
    }

    #[test]
    fn an_ipad_that_says_it_is_a_mac_is_told_by_its_screen() {
        let safari = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                      Version/18.1 Safari/605.1.15";
        let told = |width| {
            let client = derive(safari, &Headers::default(), &Context::new(None, Some(width), None), None, false);
            let fields = client.fields();
            [fields.device, fields.browser, fields.os, fields.os_version].join("|")
        };
        assert_eq!(told(834.0), "tablet|Safari|iPadOS|");
        assert_eq!(told(1_440.0), "desktop|Safari|macOS|10.15");
    }

    #[test]
    fn who_knows_best_decides() {
        let context = Context::new(Some("Europe/Paris"), Some(1_200.0), Some("fr-FR"));
        let (none, known) = (Headers::default(), Place::new("DE", "BE", "Berlin"));
        let place = |headers: &Headers, context: &Context, place: Option<&Place>| {
            let client = derive("", headers, context, place, false);
            let fields = client.fields();
            [fields.country, fields.region, fields.city].join("|")
        };
        assert_eq!(place(&none, &context, None), "FR||");
        assert_eq!(place(&none, &context, Some(&Place::default())), "FR||");
        assert_eq!(place(&none, &context, Some(&known)), "DE|DE-BE|Berlin");
        let header = |name: &HeaderName| (name == "cf-ipcountry").then_some("ch");
        assert_eq!(place(&Headers::read(header, true), &context, Some(&known)), "CH||");
        assert_eq!(place(&Headers::read(header, false), &context, Some(&known)), "DE|DE-BE|Berlin");
        assert_eq!(place(&none, &Context::default(), None), "||");

        let headers = Headers::read(|name| (name == "accept-language").then_some("en-GB"), false);
        assert_eq!(derive("", &headers, &context, None, true).fields().language, "en");
        assert_eq!(derive("", &none, &context, None, true).fields().language, "fr");
        assert_eq!(derive("", &none, &context, None, true).to_stored(), "FR\t\t\tfr\t\t\t\t\t\tL\t1");
    }
}
