//! What the columns hold of one event.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::facts::{ArrivalFields, ClientFields, hostname};
use super::property;
use super::question::Field;
use crate::cv::{letter_type, theme};
use crate::event::Event;
use crate::event_type::EventType;

/// The most characters kept of a clicked element's name.
const LONGEST_ELEMENT: usize = 200;
/// The longest time that one report can say a page was visible, in seconds: a day.
const LONGEST_VISIBLE: f64 = 86_400.0;

/// The values of an event that are no facts.
#[derive(Debug, Default)]
pub(super) struct Record<'a> {
    pub(super) page: Cow<'a, str>,
    pub(super) hostname: Cow<'a, str>,
    pub(super) theme: Option<String>,
    pub(super) letter_type: Option<&'static str>,
    pub(super) element: Option<String>,
    /// By name, at most [`property::MOST`] of them.
    pub(super) properties: Vec<(String, String)>,
    /// Numbers as in [`Column`](super::columns::Column): 0 is none.
    pub(super) depth: u32,
    pub(super) visible: u32,
    pub(super) click: [u32; 2],
}

impl<'a> Record<'a> {
    /// Works it out from nothing but the event.
    pub(super) fn of(event: &'a Event) -> Self {
        let mut record = Self { theme: theme(event), letter_type: letter_type(event), ..Self::default() };
        if let Some(url) = &event.page_url {
            record.page = url.page();
            record.hostname = hostname(url.as_str());
        }
        if record.hostname.is_empty() {
            record.hostname = event.facts.arrival.fields().hostname.into();
        }
        if event.data.stored().is_none() {
            return record;
        }
        let fields = event.data.fields();
        if is_report(&event.event_type) {
            record.depth = number(&fields, "depth", 100.0, 1.0);
            record.visible = number(&fields, "visible_seconds", LONGEST_VISIBLE, 1_000.0);
        }
        if event.event_type.is_click() {
            let place = [number(&fields, "x", 100.0, 1.0), number(&fields, "y", 100.0, 1.0)];
            record.click = if place.contains(&0) { [0, 0] } else { place };
            let element = ["element", "button"].iter().find_map(|name| fields.get(*name)?.as_str());
            record.element = element.map(|element| element.chars().take(LONGEST_ELEMENT).collect());
        }
        record.properties = property::of(&fields);
        record
    }
}

/// Whether it only reports on a page that is open: it starts no visit and ends no bounce.
pub(super) const fn is_report(event_type: &EventType) -> bool {
    matches!(event_type, EventType::Scroll | EventType::Hover)
}

/// 1 more than a number from 0 to `largest`, times `scale` and rounded; 0 if there is none.
fn number(fields: &Map<String, Value>, name: &str, largest: f64, scale: f64) -> u32 {
    let number = fields.get(name).and_then(Value::as_f64).filter(|number| (0.0..=largest).contains(number));
    number.map_or(0, |number| (number * scale).round() as u32 + 1)
}

/// The fields of an [`Arrival`](super::facts::Arrival), in the order of its text.
pub(super) const ARRIVAL_FIELDS: [Field; 8] = [
    Field::Source,
    Field::Channel,
    Field::Referrer,
    Field::UtmSource,
    Field::UtmMedium,
    Field::UtmCampaign,
    Field::UtmContent,
    Field::UtmTerm,
];

/// Their values, in that order.
pub(super) const fn arrival_values<'a>(fields: &ArrivalFields<'a>) -> [&'a str; 8] {
    [
        fields.source,
        fields.channel,
        fields.referrer,
        fields.utm_source,
        fields.utm_medium,
        fields.utm_campaign,
        fields.utm_content,
        fields.utm_term,
    ]
}

/// The fields of a [`Client`](super::facts::Client), in the order of its text.
pub(super) const CLIENT_FIELDS: [Field; 10] = [
    Field::Country,
    Field::Region,
    Field::City,
    Field::Language,
    Field::Device,
    Field::Browser,
    Field::BrowserVersion,
    Field::Os,
    Field::OsVersion,
    Field::Screen,
];

/// Their values, in that order.
pub(super) const fn client_values<'a>(fields: &ClientFields<'a>) -> [&'a str; 10] {
    [
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
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::measure::samples;

    /// The earlier service mixed the pixels of all screen sizes.
    #[test]
    fn clicks_are_percentages_and_nothing_else() {
        let of = |event_type: &str, data: Value| {
            let event = samples::with_data(samples::event(1, 1, 0, event_type, "/cv"), &data);
            let record = Record::of(&event);
            (record.click, record.element)
        };
        assert_eq!(of("click", json!({"x": 45.5, "y": 20, "button": "cta"})), ([47, 21], Some("cta".to_owned())));
        assert_eq!(of("click", json!({"x": 100, "y": 0})), ([101, 1], None));
        for none in [
            json!({"x": 960, "y": 20}),
            json!({"x": -1, "y": 20}),
            json!({"x": "45", "y": 20}),
            json!({"x": 45}),
            json!({}),
        ] {
            assert_eq!(of("click", none.clone()).0, [0, 0], "{none}");
        }
        assert_eq!(of("hover", json!({"x": 1, "y": 1})).0, [0, 0]);
    }
}
