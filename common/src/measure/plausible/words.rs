//! Names and values that Plausible writes otherwise.

use crate::measure::question::{Dimension, Field};

/// Countries by code and by name, one a line, from the time zone database's `iso3166.tab` (public domain).
const COUNTRIES: &str = include_str!("countries.tsv");
/// A value that no event has.
const NOTHING: &str = "(nothing)";
/// A country that no event has: ISO 3166-1 keeps it free.
const NOWHERE: &str = "XZ";

/// Kinds of devices, and Plausible's words for them.
const DEVICES: [(&str, &str); 5] =
    [("desktop", "Desktop"), ("mobile", "Mobile"), ("tablet", "Tablet"), ("tv", "TV"), ("other", "Other")];

/// A dimension of a Plausible query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// The name that was asked for.
    pub(super) name: String,
    /// The name in the query language.
    pub(super) native: String,
}

impl Asked {
    pub(super) fn new(name: &str) -> Self {
        let native = match name {
            "visit:country_name" | "visit:region_name" | "visit:city_name" => name.trim_end_matches("_name"),
            // What some clients of version 1 say.
            "event:entry_page" => "visit:entry_page",
            "event:exit_page" => "visit:exit_page",
            "visit:medium" => "visit:utm_medium",
            "visit:campaign" => "visit:utm_campaign",
            other => other,
        };
        Self { name: name.to_owned(), native: native.to_owned() }
    }

    /// Whether Plausible does not offer it.
    pub(super) fn is_refused(&self) -> bool {
        self.native == Field::Screen.name()
    }

    /// The key of its values in the results of version 1.
    pub(super) fn key(&self) -> &str {
        let name = self.name.strip_prefix(Dimension::PROPERTY_PREFIX);
        name.unwrap_or_else(|| self.name.split_once(':').map_or(self.name.as_str(), |(_, name)| name))
    }

    /// Plausible's word for a value.
    pub(super) fn present(&self, value: String) -> String {
        match Dimension::parse(&self.native) {
            Some(Dimension::Property(_)) if value.is_empty() => "(none)".to_owned(),
            Some(Dimension::Field(Field::Referrer)) if value.is_empty() => Field::Source.unknown().to_owned(),
            Some(Dimension::Field(_)) if value.is_empty() => "(not set)".to_owned(),
            Some(Dimension::Field(Field::EventName) | Dimension::Goal) if value == "page_view" => "pageview".to_owned(),
            Some(Dimension::Field(Field::Device)) => {
                DEVICES.iter().find(|(native, _)| *native == value).map_or(value, |(_, word)| (*word).to_owned())
            }
            Some(Dimension::Field(Field::Country)) if self.name != self.native => {
                countries().find(|(code, _)| *code == value).map_or(value, |(_, name)| name.to_owned())
            }
            // Hours and minutes without offset: `2026-11-10 01:00:00`.
            Some(Dimension::Time(_)) | None => value.get(..19).map_or(value.clone(), |label| label.replace('T', " ")),
            _ => value,
        }
    }

    /// The words of the dimension, if they are a closed list that Plausible writes otherwise.
    fn vocabulary(&self) -> Option<Vec<(&'static str, &'static str)>> {
        let not_set = [("", "(not set)")];
        match self.name.as_str() {
            "visit:device" => Some(DEVICES.into_iter().chain(not_set).collect()),
            "visit:country_name" => Some(countries().chain(not_set).collect()),
            _ => None,
        }
    }

    /// The native values of all words that pass; `None` if the words are the same.
    pub(super) fn select(&self, passes: impl Fn(&str) -> bool) -> Option<Vec<&'static str>> {
        let words = self.vocabulary()?;
        let mut values: Vec<_> = words.into_iter().filter(|(_, word)| passes(word)).map(|(native, _)| native).collect();
        if values.is_empty() {
            values.push(if self.native == Field::Country.name() { NOWHERE } else { NOTHING });
        }
        Some(values)
    }
}

fn countries() -> impl Iterator<Item = (&'static str, &'static str)> {
    COUNTRIES.lines().filter_map(|line| line.split_once('\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_plausible_does() {
        for (name, value, word) in [
            ("visit:device", "mobile", "Mobile"),
            ("visit:device", "", "(not set)"),
            ("visit:country", "FR", "FR"),
            ("visit:country_name", "FR", "France"),
            ("visit:country_name", "", "(not set)"),
            ("visit:city_name", "Paris", "Paris"),
            ("visit:referrer", "", "Direct / None"),
            ("visit:source", "Direct / None", "Direct / None"),
            ("visit:channel", "Direct", "Direct"),
            ("event:props:plan", "", "(none)"),
            ("event:name", "page_view", "pageview"),
            ("event:page", "page_view", "page_view"),
            ("time:hour", "2026-11-10T01:00:00+01:00", "2026-11-10 01:00:00"),
            ("time", "2026-11-10T01:00:00+01:00", "2026-11-10 01:00:00"),
            ("time:day", "2026-11-10", "2026-11-10"),
        ] {
            assert_eq!(Asked::new(name).present(value.to_owned()), word, "{name}");
        }
    }

    #[test]
    fn words_select_values() {
        let country = Asked::new("visit:country_name");
        assert_eq!(country.native, "visit:country");
        assert_eq!(country.select(|name| name.contains("Germ")), Some(vec!["DE"]));
        assert_eq!(country.select(|_| false), Some(vec!["XZ"]));
        assert_eq!(Asked::new("visit:device").select(|word| word == "Tablet"), Some(vec!["tablet"]));
        assert_eq!(Asked::new("visit:os").select(|_| true), None);
        assert_eq!(countries().count(), 249);
    }

    #[test]
    fn results_of_version_1_are_keyed_by_the_name_without_scope() {
        for (name, key) in [("visit:source", "source"), ("event:props:a:b", "a:b"), ("event:entry_page", "entry_page")]
        {
            assert_eq!(Asked::new(name).key(), key);
        }
    }
}
