//! Countries, regions and cities.

use std::collections::HashMap;
use std::sync::LazyLock;

use http::HeaderName;

/// Where a client is, as far as it is known; what is not is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// ISO 3166-1 alpha-2.
    pub country: Box<str>,
    /// ISO 3166-2, the country included.
    pub region: Box<str>,
    /// The name of the city.
    pub city: Box<str>,
}

/// The headers of country, region and city that platforms and proxies set.
static HEADERS: [[HeaderName; 3]; 5] = [
    names(["cloudfront-viewer-country", "cloudfront-viewer-country-region", "cloudfront-viewer-city"]),
    names(["cf-ipcountry", "cf-region-code", "cf-ipcity"]),
    names(["x-vercel-ip-country", "x-vercel-ip-country-region", "x-vercel-ip-city"]),
    names(["x-appengine-country", "x-appengine-region", "x-appengine-city"]),
    names(["x-country-code", "x-region-code", "x-city"]),
];

const fn names([country, region, city]: [&'static str; 3]) -> [HeaderName; 3] {
    [HeaderName::from_static(country), HeaderName::from_static(region), HeaderName::from_static(city)]
}

impl Place {
    /// The most bytes of a city's name.
    const LONGEST_CITY: usize = 240;

    /// Checks what is said of a place: without a valid country nothing of it counts.
    #[must_use]
    pub fn new(country: &str, region: &str, city: &str) -> Self {
        let Some(country) = country_code(country) else { return Self::default() };
        // Some say `IDF`, some `FR-IDF`.
        let region = region.trim().to_ascii_uppercase();
        let part = region.strip_prefix(&*country).and_then(|rest| rest.strip_prefix('-')).unwrap_or(&region);
        let valid = (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let region = if valid { format!("{country}-{part}") } else { String::new() };
        let city = if city.len() <= Self::LONGEST_CITY { city.trim() } else { "" };
        let city = if city == "?" { "" } else { city };
        Self { country: country.into(), region: region.into(), city: city.into() }
    }

    /// Takes it from the headers of the platform or of a trusted proxy.
    pub(super) fn read<'h>(header: impl Fn(&HeaderName) -> Option<&'h str>) -> Self {
        let said = HEADERS.iter().map(|[country, region, city]| {
            let text = |name| header(name).unwrap_or_default();
            Self::new(text(country), text(region), &percent_decoded(text(city)))
        });
        said.into_iter().find(|place| !place.country.is_empty()).unwrap_or_default()
    }
}

/// A country's code in capitals, unless it stands for none: unknown (`ZZ`, `XX`), Tor (`T1`), a
/// continent's or proxy's network (`EU`, `AP`, `A1`, …).
fn country_code(text: &str) -> Option<String> {
    let code = text.trim().to_ascii_uppercase();
    let letters = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    (letters && !matches!(&*code, "ZZ" | "XX" | "EU" | "AP")).then_some(code)
}

/// Names of cities are sent percent-encoded where they are not ASCII.
fn percent_decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let escaped = text.replace('+', "%2B");
    form_urlencoded::parse(escaped.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

/// The country of each time zone that belongs to one.
static ZONES: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let lines = include_str!("../../../lists/zones.tsv").lines().filter_map(|line| line.split_once('\t'));
    lines.flat_map(|(code, names)| names.split(' ').map(move |name| (name, code))).collect()
});

/// The country of an IANA time zone, old names included; nothing if it is unknown or has no place.
pub(super) fn country_of_zone(name: &str) -> &'static str {
    ZONES.get(name.trim()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_zones_belong_to_countries() {
        for (zone, country) in [
            ("Europe/Paris", "FR"),
            ("Europe/Amsterdam", "NL"),
            ("America/New_York", "US"),
            ("Asia/Kolkata", "IN"),
            ("Asia/Calcutta", "IN"),
            ("US/Pacific", "US"),
            ("Europe/Kiev", "UA"),
            ("Europe/Kyiv", "UA"),
            ("GB", "GB"),
            ("Iceland", "IS"),
            ("Atlantic/Reykjavik", "IS"),
            ("Pacific/Truk", "FM"),
            ("America/Argentina/Buenos_Aires", "AR"),
            ("UTC", ""),
            ("Etc/GMT+5", ""),
            ("EST5EDT", ""),
            ("CET", ""),
            ("europe/paris", ""),
            ("Mars/Olympus", ""),
            ("", ""),
        ] {
            assert_eq!(country_of_zone(zone), country, "{zone}");
        }
    }

    #[test]
    fn codes_that_stand_for_no_country_are_unknown() {
        for code in ["ZZ", "XX", "T1", "xx", "EU", "F", "FRA", "", "É"] {
            assert_eq!(Place::new(code, "IDF", "Paris"), Place::default(), "{code}");
        }
    }

    #[test]
    fn headers_of_platforms_and_proxies() {
        let place = |headers: &[(&str, &str)]| {
            let place = Place::read(|name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value));
            [place.country, place.region, place.city].join("|")
        };
        let cloudfront = [
            ("cloudfront-viewer-country", "FR"),
            ("cloudfront-viewer-country-region", "IDF"),
            ("cloudfront-viewer-city", "Saint-%C3%89tienne"),
        ];
        assert_eq!(place(&cloudfront), "FR|FR-IDF|Saint-Étienne");
        assert_eq!(place(&[("cf-ipcountry", "gb"), ("cf-ipcity", "Newcastle upon Tyne")]), "GB||Newcastle upon Tyne");
        assert_eq!(place(&[("cf-ipcountry", "T1"), ("x-vercel-ip-country", "SE")]), "SE||");
        assert_eq!(
            place(&[("x-appengine-country", "US"), ("x-appengine-region", "us-ca"), ("x-appengine-city", "?")]),
            "US|US-CA|"
        );
        assert_eq!(place(&[("cf-region-code", "IDF")]), "||");
    }
}
