//! Facts: what is derived from a request at ingest, besides what the event itself says.
//!
//! They are split in two texts, which engines store as they are and may intern: an [`Arrival`]
//! (where the visitor came from) and a [`Client`] (who and with what). Both have few distinct
//! values a day. The user agent, the address and the query strings that they are derived from
//! are never part of them.

//!
//! | module | what it derives |
//! |---|---|
//! | `arrival`, `sources`, `channel` | the source of a visit, its referrer, channel and campaign |
//! | `client` | the other fields, by means of |
//! | `agent`, `os`, `device`, `hints` | user agents and client hints |
//! | `place` | headers of platforms and proxies, time zones |
//!
//! The lists that they use are in `common/lists`, where `README.md` names their versions.

mod agent;
mod arrival;
mod channel;
mod client;
mod device;
mod hints;
mod os;
mod place;
mod sources;
mod stored;
mod words;

use std::sync::{Arc, LazyLock};

pub use arrival::has_click_id;
pub(super) use arrival::hostname;
pub use client::{Context, Headers, Language};
pub use hints::Hints;
pub use place::Place;

use crate::known::Known;
use crate::url::Url;

/// What is derived from a request at ingest and kept with its event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Facts {
    /// Where the visitor came from.
    pub arrival: Arrival,
    /// Who came, from where and with what.
    pub client: Client,
}

/// What facts are derived from: a request and the event that it brings.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// The user agent; empty if there is none.
    pub user_agent: &'a str,
    /// What else its headers tell.
    pub headers: &'a Headers,
    /// What the event says of its visitor's surroundings.
    pub context: &'a Context,
    /// Where the client's address is, if a database was asked.
    pub place: Option<&'a Place>,
    /// Whether the visitor was named by the sender.
    pub explicit: bool,
    /// The page.
    pub page_url: Option<&'a Url>,
    /// Where the visitor came from.
    pub referrer: Option<&'a Url>,
    /// Whether the page's address, as sent, [had a click id](has_click_id).
    pub ad_click: bool,
    /// The site that the event names.
    pub site: &'a str,
    /// The origins of the site, besides that of the page.
    pub origins: &'a [String],
}

static CLIENTS: LazyLock<Known<Client>> = LazyLock::new(Known::new);

impl Observed<'_> {
    fn client(self) -> Client {
        let Self { user_agent, headers, context, place, explicit, .. } = self;
        let Headers { hints, language, place: said, origin: _ } = headers;
        let from = (user_agent, hints, language, said, context, place, explicit);
        CLIENTS.get(from, || client::derive(user_agent, headers, context, place, explicit))
    }
}

impl Facts {
    /// Derives them. The same input gives the same facts in the same version of the product.
    #[must_use]
    pub fn derive(observed: &Observed<'_>) -> Self {
        let o = *observed;
        Self {
            arrival: arrival::derive(
                o.page_url,
                o.headers.origin.as_deref(),
                o.site,
                o.referrer,
                o.ad_click,
                o.origins,
            ),
            client: o.client(),
        }
    }
}

/// The source of visitors who bring no referrer and no campaign.
pub const DIRECT_SOURCE: &str = "Direct / None";
/// The channel of visitors who bring no referrer and no campaign.
pub const DIRECT_CHANNEL: &str = "Direct";

impl Facts {
    /// Wraps what an engine stored: nothing, or else the texts of the two parts.
    #[must_use]
    pub fn from_stored(arrival: Option<&str>, client: Option<&str>) -> Self {
        Self {
            arrival: Arrival::from_stored(arrival.unwrap_or_default()),
            client: Client::from_stored(client.unwrap_or_default()),
        }
    }

    /// Reads what [`Self::stored`] wrote from a source that may hold anything: each field is bounded
    /// again, and control characters are left out.
    #[must_use]
    pub fn from_text(arrival: Option<&str>, client: Option<&str>) -> Self {
        let Self { arrival, client } = Self::from_stored(arrival, client);
        Self { arrival: Arrival::new(&arrival.fields()), client: Client::new(&client.fields()) }
    }

    /// What an engine stores: the texts of the two parts, nothing for an empty one.
    #[must_use]
    pub fn stored(&self) -> [Option<&str>; 2] {
        [self.arrival.to_stored(), self.client.to_stored()].map(|text| Some(text).filter(|text| !text.is_empty()))
    }
}

/// The fields of an [`Arrival`]; what is unknown is empty, except source and channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArrivalFields<'a> {
    /// The name of the source, else [`DIRECT_SOURCE`]; at most [`Arrival::LONGEST`] characters, like all
    /// texts here.
    pub source: &'a str,
    /// The channel, one of a fixed list, else [`DIRECT_CHANNEL`].
    pub channel: &'a str,
    /// Host and path of the referrer, unless it is the site itself.
    pub referrer: &'a str,
    /// The campaign's `utm_source`.
    pub utm_source: &'a str,
    /// The campaign's `utm_medium`.
    pub utm_medium: &'a str,
    /// The campaign's `utm_campaign`.
    pub utm_campaign: &'a str,
    /// The campaign's `utm_content`.
    pub utm_content: &'a str,
    /// The campaign's `utm_term`.
    pub utm_term: &'a str,
    /// The host of the page, if the request says it and the page is only a path.
    pub hostname: &'a str,
}

impl Default for ArrivalFields<'_> {
    fn default() -> Self {
        Self {
            source: DIRECT_SOURCE,
            channel: DIRECT_CHANNEL,
            referrer: "",
            utm_source: "",
            utm_medium: "",
            utm_campaign: "",
            utm_content: "",
            utm_term: "",
            hostname: "",
        }
    }
}

/// Where a visitor came from, as one text. The default is a direct visit, and its text is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Arrival(Arc<str>);

impl Arrival {
    /// The most characters of each field; longer ones are cut.
    pub const LONGEST: usize = 300;

    /// Packs the fields.
    #[must_use]
    pub fn new(fields: &ArrivalFields<'_>) -> Self {
        let known = |value, default| if value == default { "" } else { value };
        Self(stored::pack(
            &[
                known(fields.source, DIRECT_SOURCE),
                known(fields.channel, DIRECT_CHANNEL),
                fields.referrer,
                fields.utm_source,
                fields.utm_medium,
                fields.utm_campaign,
                fields.utm_content,
                fields.utm_term,
                fields.hostname,
            ],
            Self::LONGEST,
        ))
    }

    /// What an engine stores: at most 10,808 bytes, no control characters but tabs; empty for a
    /// direct visit.
    #[must_use]
    pub fn to_stored(&self) -> &str {
        &self.0
    }

    /// The same without a copy, for maps that are keyed by it.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// Wraps what an engine stored; nothing is an empty text.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The fields. Fields that were added since the text was stored are empty.
    #[must_use]
    pub fn fields(&self) -> ArrivalFields<'_> {
        let [source, channel, referrer, utm_source, utm_medium, utm_campaign, utm_content, utm_term, hostname] =
            stored::unpack(&self.0);
        ArrivalFields {
            source: known_or(source, DIRECT_SOURCE),
            channel: known_or(channel, DIRECT_CHANNEL),
            referrer,
            utm_source,
            utm_medium,
            utm_campaign,
            utm_content,
            utm_term,
            hostname,
        }
    }
}

fn known_or<'a>(value: &'a str, default: &'a str) -> &'a str {
    if value.is_empty() { default } else { value }
}

/// The fields of a [`Client`]; what is unknown is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientFields<'a> {
    /// ISO 3166-1 alpha-2, such as `FR`.
    pub country: &'a str,
    /// ISO 3166-2, such as `FR-IDF`.
    pub region: &'a str,
    /// The name of the city.
    pub city: &'a str,
    /// The primary language subtag in lower case, such as `fr`.
    pub language: &'a str,
    /// `desktop`, `mobile`, `tablet`, `tv` or `other`.
    pub device: &'a str,
    /// The browser's name, such as `Firefox`.
    pub browser: &'a str,
    /// Its major version.
    pub browser_version: &'a str,
    /// The operating system's name, such as `Windows`.
    pub os: &'a str,
    /// Its version, such as `11`.
    pub os_version: &'a str,
    /// `XS`, `S`, `M`, `L` or `XL`, by width.
    pub screen: &'a str,
    /// Whether the visitor was named by the sender, and not derived from address and user agent.
    pub explicit: bool,
}

/// Who came, from where and with what, as one text. The text of the default, of which nothing is
/// known, is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Client(Arc<str>);

impl Client {
    /// The most characters of each field; longer ones are cut.
    pub const LONGEST: usize = 80;

    /// Packs the fields.
    #[must_use]
    pub fn new(fields: &ClientFields<'_>) -> Self {
        Self(stored::pack(
            &[
                fields.country,
                fields.region,
                fields.city,
                fields.language,
                fields.device,
                fields.browser,
                fields.browser_version,
                fields.os,
                fields.os_version,
                fields.screen,
                if fields.explicit { "1" } else { "" },
            ],
            Self::LONGEST,
        ))
    }

    /// What an engine stores: at most 3,211 bytes, no control characters but tabs; empty when
    /// nothing is known.
    #[must_use]
    pub fn to_stored(&self) -> &str {
        &self.0
    }

    /// The same without a copy, for maps that are keyed by it.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// Wraps what an engine stored; nothing is an empty text.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The fields. Fields that were added since the text was stored are empty.
    #[must_use]
    pub fn fields(&self) -> ClientFields<'_> {
        let [country, region, city, language, device, browser, browser_version, os, os_version, screen, explicit] =
            stored::unpack(&self.0);
        ClientFields {
            country,
            region,
            city,
            language,
            device,
            browser,
            browser_version,
            os,
            os_version,
            screen,
            explicit: explicit == "1",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> ClientFields<'static> {
        ClientFields {
            country: "FR",
            region: "FR-IDF",
            city: "Paris",
            language: "fr",
            device: "desktop",
            browser: "Firefox",
            browser_version: "133",
            os: "Windows",
            os_version: "11",
            screen: "L",
            explicit: true,
        }
    }

    #[test]
    fn fields_survive_being_stored() {
        let client = Client::new(&fields());
        assert_eq!(client.fields(), fields());
        assert_eq!(Client::from_stored(client.to_stored()), client);

        let fields = ArrivalFields {
            source: "Google",
            channel: "Organic Search",
            referrer: "www.google.com/",
            utm_source: "a",
            utm_medium: "b",
            utm_campaign: "c",
            utm_content: "d",
            utm_term: "e",
            hostname: "f",
        };
        let arrival = Arrival::new(&fields);
        assert_eq!(arrival.fields(), fields);
        assert_eq!(Arrival::from_stored(arrival.to_stored()), arrival);
    }

    #[test]
    fn what_is_unknown_is_stored_as_nothing() {
        let facts = Facts::default();
        assert_eq!((facts.arrival.to_stored(), facts.client.to_stored()), ("", ""));
        assert_eq!(Arrival::new(&ArrivalFields::default()), facts.arrival);
        assert_eq!(Client::new(&ClientFields::default()), facts.client);
        assert_eq!((facts.arrival.fields().source, facts.arrival.fields().channel), ("Direct / None", "Direct"));
        let known = Client::new(&ClientFields { language: "de", ..ClientFields::default() });
        assert_eq!(known.to_stored(), "\t\t\tde");
    }

    #[test]
    fn texts_of_other_versions_can_be_read() {
        let later = format!("{}\tadded", Client::new(&fields()).to_stored());
        assert_eq!(Client::from_stored(&later).fields(), fields());
        let earlier = Client::from_stored("FR\tFR-IDF");
        assert_eq!(earlier.fields(), ClientFields { country: "FR", region: "FR-IDF", ..ClientFields::default() });
    }

    #[test]
    fn fields_are_bounded_and_cannot_reach_into_each_other() {
        let long = "é".repeat(1_000);
        let all = ArrivalFields {
            source: &long,
            channel: &long,
            referrer: &long,
            utm_source: &long,
            utm_medium: &long,
            utm_campaign: &long,
            utm_content: "a\tb\n\u{85}c",
            utm_term: &long,
            hostname: &long,
        };
        let arrival = Arrival::new(&all);
        assert!(arrival.to_stored().len() <= 10_808);
        assert_eq!(arrival.fields().referrer.chars().count(), Arrival::LONGEST);
        assert_eq!(arrival.fields().utm_content, "abc");
        assert_eq!(arrival.fields().utm_term.chars().count(), Arrival::LONGEST);
    }
}
