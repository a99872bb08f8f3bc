//! What results are grouped and filtered by.

use std::fmt;
use std::sync::Arc;

use crate::measure::facts::{DIRECT_CHANNEL, DIRECT_SOURCE};

/// What a dimension is a property of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Of one event.
    Event,
    /// Of the whole visit: the same for each of its events.
    Visit,
    /// Of the event's time, in the question's time zone.
    Time,
}

/// Declares the fields: one line each, with its scope, its wire name, an example of a value, and its
/// description. Documentation and OpenAPI are made from the same lines.
macro_rules! fields {
    ($($variant:ident $scope:ident $name:literal $example:literal $description:literal,)*) => {
        /// A dimension whose values are texts; an unknown value is empty, except for source and
        /// channel.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field {
            $(#[doc = $description] $variant,)*
        }

        impl Field {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What it is a property of.
            #[must_use]
            pub const fn scope(self) -> Scope {
                match self { $(Self::$variant => Scope::$scope),* }
            }

            /// One of its values.
            #[must_use]
            pub const fn example(self) -> &'static str {
                match self { $(Self::$variant => $example),* }
            }

            /// What it is, in one sentence for the documentation.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $description),* }
            }
        }
    };
}

fields! {
    EventName Event "event:name" "page_view" "The event's type.",
    Page Event "event:page" "/blog/post" "The path of the page, in its normal form.",
    Hostname Event "event:hostname" "example.com" "The host of the page.",
    Theme Event "event:theme" "backend" "The theme of a page view or theme change.",
    LetterType Event "event:letter_type" "motivation" "The type of a generated letter.",
    Element Event "event:element" "cta" "The element of a click.",
    EntryPage Visit "visit:entry_page" "/" "The page of the visit's first page view.",
    ExitPage Visit "visit:exit_page" "/contact" "The page of the visit's last page view.",
    EntryPageHostname Visit "visit:entry_page_hostname" "example.com" "The host of the entry page.",
    ExitPageHostname Visit "visit:exit_page_hostname" "example.com" "The host of the exit page.",
    Referrer Visit "visit:referrer" "news.example/item" "Host and path of the referrer, unless it is the site itself.",
    Source Visit "visit:source" "Google" "Where the visit came from: the campaign's source, or the referrer's name or host.",
    Channel Visit "visit:channel" "Organic Search" "The kind of source.",
    UtmSource Visit "visit:utm_source" "newsletter" "The campaign's `utm_source`.",
    UtmMedium Visit "visit:utm_medium" "email" "The campaign's `utm_medium`.",
    UtmCampaign Visit "visit:utm_campaign" "spring" "The campaign's `utm_campaign`.",
    UtmContent Visit "visit:utm_content" "header" "The campaign's `utm_content`.",
    UtmTerm Visit "visit:utm_term" "shoes" "The campaign's `utm_term`.",
    Country Visit "visit:country" "FR" "The country, by ISO 3166-1 alpha-2.",
    Region Visit "visit:region" "FR-IDF" "The region, by ISO 3166-2.",
    City Visit "visit:city" "Paris" "The name of the city.",
    Language Visit "visit:language" "fr" "The browser's first language, without region.",
    Device Visit "visit:device" "mobile" "desktop, mobile, tablet, tv or other.",
    Browser Visit "visit:browser" "Firefox" "The browser.",
    BrowserVersion Visit "visit:browser_version" "128" "The browser's major version.",
    Os Visit "visit:os" "Android" "The operating system.",
    OsVersion Visit "visit:os_version" "14" "The operating system's version.",
    Screen Visit "visit:screen" "M" "The width of the screen: XS, S, M, L or XL.",
}

impl Field {
    /// The field of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }

    /// Its value when nothing is known.
    #[must_use]
    pub const fn unknown(self) -> &'static str {
        match self {
            Self::Source => DIRECT_SOURCE,
            Self::Channel => DIRECT_CHANNEL,
            _ => "",
        }
    }

    /// Whether its values are paths of pages, in their normal form.
    #[must_use]
    pub const fn is_page(self) -> bool {
        matches!(self, Self::Page | Self::EntryPage | Self::ExitPage)
    }
}

/// How time is divided into buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimeUnit {
    /// Minutes.
    Minute,
    /// Hours.
    Hour,
    /// Days.
    Day,
    /// Weeks that start on Monday.
    Week,
    /// Calendar months.
    Month,
    /// The hours of a day, 0 to 23, over all days.
    HourOfDay,
    /// The days of a week, 1 (Monday) to 7, over all weeks.
    DayOfWeek,
}

impl TimeUnit {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month, Self::HourOfDay, Self::DayOfWeek];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "time:minute",
            Self::Hour => "time:hour",
            Self::Day => "time:day",
            Self::Week => "time:week",
            Self::Month => "time:month",
            Self::HourOfDay => "time:hour_of_day",
            Self::DayOfWeek => "time:day_of_week",
        }
    }

    /// What it is, in one sentence for the documentation.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Minute => "Local minutes with their offset.",
            Self::Hour => "Local hours with their offset; an hour that comes twice is two rows.",
            Self::Day => "Local days.",
            Self::Week => "Weeks by their Monday, or by the first day of the range if that is later.",
            Self::Month => "Months by their first day.",
            Self::HourOfDay => "The hours of a day, 0 to 23, over all days.",
            Self::DayOfWeek => "The days of a week, 1 (Monday) to 7, over all weeks.",
        }
    }
}

/// What results are grouped or filtered by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// A field that every event or visit has.
    Field(Field),
    /// The property of that key, as text; empty where the event has none.
    Property(Arc<str>),
    /// The goals that the event reaches: none, one or several. Only grouped by; filters on goals are
    /// resolved to filters on fields.
    Goal,
    /// The bucket of the event's time. Only grouped by.
    Time(TimeUnit),
}

impl Dimension {
    /// What a property's name starts with.
    pub const PROPERTY_PREFIX: &str = "event:props:";
    /// The name of [`Dimension::Goal`].
    pub const GOAL: &str = "event:goal";

    /// The dimension of that name. `time` is none: it depends on the range.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(key) = name.strip_prefix(Self::PROPERTY_PREFIX) {
            return (!key.is_empty()).then(|| Self::Property(key.into()));
        }
        if name == Self::GOAL {
            return Some(Self::Goal);
        }
        let unit = TimeUnit::ALL.into_iter().find(|unit| unit.name() == name).map(Self::Time);
        unit.or_else(|| Field::parse(name).map(Self::Field))
    }

    /// What it is a property of.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        match self {
            Self::Field(field) => field.scope(),
            Self::Property(_) | Self::Goal => Scope::Event,
            Self::Time(_) => Scope::Time,
        }
    }
}

/// The name on the wire.
impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => f.write_str(field.name()),
            Self::Property(key) => write!(f, "{}{key}", Self::PROPERTY_PREFIX),
            Self::Goal => f.write_str(Self::GOAL),
            Self::Time(unit) => f.write_str(unit.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let fields = Field::ALL.iter().map(|field| Dimension::Field(*field));
        let units = TimeUnit::ALL.into_iter().map(Dimension::Time);
        for dimension in fields.chain(units).chain([Dimension::Goal, Dimension::Property("a:b".into())]) {
            let name = dimension.to_string();
            assert_eq!(Dimension::parse(&name), Some(dimension.clone()), "{name}");
            let prefix = match dimension.scope() {
                Scope::Event => "event:",
                Scope::Visit => "visit:",
                Scope::Time => "time:",
            };
            assert!(name.starts_with(prefix), "{name}");
        }
        for bad in ["", "event:props:", "event:props", "page", "visit:page", "time", "Event:page"] {
            assert_eq!(Dimension::parse(bad), None, "{bad}");
        }
    }
}
