//! What an event adds to the aggregates: said here once, for every engine, for `verify` and
//! for `rebuild`.
//!
//! A counter is (site, period, [`Dimension`], value) → n, where the period is each of the
//! day, the ISO week and the month of the event's own time. A click cell is
//! (site, hour, page, x, y, element) → n. Distinct visitors are counted by the engines.

use std::borrow::Cow;

use serde_json::{Map, Value};

pub use crate::cv::{letter_type, theme};
use crate::event::Event;
use crate::event_type::EventType;
use crate::period::PeriodKey;
use crate::time::Day;
use crate::url::Url;

/// How many distinct values of a dimension, and how many click targets, a site may have in a
/// day; whatever else comes that day is counted under [`OTHER`].
pub const MOST_VALUES: usize = 10_000;
/// The value that stands for all beyond [`MOST_VALUES`].
pub const OTHER: &str = "(other)";
/// The most characters kept of a clicked element's name.
pub const LONGEST_ELEMENT: usize = 200;

/// What is counted by. Its number is what engines store and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// All events; its one value is the empty string.
    All = 0,
    /// By event type.
    EventType = 1,
    /// By theme of the CV.
    Theme = 2,
    /// By type of letter.
    LetterType = 3,
    /// Distinct visitors; its one value is the empty string.
    Visitors = 4,
}

impl Dimension {
    /// All of them, by number.
    pub const ALL: [Self; 5] = [Self::All, Self::EventType, Self::Theme, Self::LetterType, Self::Visitors];

    /// Whether a sender chooses its values, so that they must be capped.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::EventType | Self::Theme)
    }
}

/// A click's place on a page, in whole percent of its width and height.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Click {
    /// The page's path.
    pub page: String,
    /// 0 to 100, from the left.
    pub x: u8,
    /// 0 to 100, from the top.
    pub y: u8,
    /// What was clicked, as the sender calls it; empty when it does not say.
    pub element: String,
}

/// What one event adds, besides its visitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// One is added to each of these in the event's day, week and month.
    pub counters: [Option<(Dimension, Cow<'static, str>)>; 4],
    /// One is added to this cell in the event's hour.
    pub click: Option<Click>,
}

impl Tally {
    /// Works it out from nothing but the event.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let event_type = match &event.event_type {
            EventType::Custom(name) => Cow::Owned(name.to_string()),
            built_in => Cow::Borrowed(built_in.static_name()),
        };
        let counters = [
            Some((Dimension::All, Cow::Borrowed(""))),
            Some((Dimension::EventType, event_type)),
            theme(event).map(|theme| (Dimension::Theme, Cow::Owned(theme))),
            letter_type(event).map(|letter_type| (Dimension::LetterType, Cow::Borrowed(letter_type))),
        ];
        Self { counters, click: click(event) }
    }
}

/// Clicks count where they were when `x` and `y` are percentages. Pixels of screens of all
/// sizes would make one meaningless picture, so anything beyond 100 is no place.
fn click(event: &Event) -> Option<Click> {
    if !event.event_type.is_click() {
        return None;
    }
    let fields = fields(event);
    let percent = |name: &str| {
        let value = fields.get(name)?.as_f64()?;
        (0.0..=100.0).contains(&value).then(|| value.round() as u8)
    };
    let element = ["element", "button"].iter().find_map(|name| fields.get(*name)?.as_str());
    Some(Click {
        x: percent("x")?,
        y: percent("y")?,
        page: event.page_url.as_ref().map_or(Cow::Borrowed("/"), Url::page).into_owned(),
        element: element.unwrap_or_default().chars().take(LONGEST_ELEMENT).collect(),
    })
}

fn fields(event: &Event) -> Map<String, Value> {
    event.data.fields()
}

/// The stretch of time a ranking covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Span {
    /// One period.
    Period(PeriodKey),
    /// All days from this one on.
    Since(Day),
}

/// The most frequent values of a dimension.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranking {
    /// All values together, those beyond the limit too.
    pub total: u64,
    /// Value and count: most frequent first, ties by value, ascending by bytes.
    pub rows: Vec<(String, u64)>,
}

/// A place on a page and how often it was clicked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClickCell {
    /// The page's path.
    pub page: String,
    /// 0 to 100, percent from the left.
    pub x: u8,
    /// 0 to 100, percent from the top.
    pub y: u8,
    /// Clicks.
    pub count: u64,
    /// The element clicked most often there, ties by name; empty when none was named.
    pub element: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::event::EventData;
    use crate::measure::facts::Facts;
    use crate::site::Site;
    use crate::time::Timestamp;

    fn event(event_type: &str, page_url: &str, data: Value) -> Event {
        Event {
            id: Uuid::nil(),
            site: Site::default(),
            visitor: Uuid::nil().into(),
            event_type: EventType::parse(event_type).unwrap(),
            data: EventData::new(data.as_object().unwrap()).unwrap(),
            page_url: Some(Url::new(page_url)),
            referrer: None,
            created_at: Timestamp::from_millis(0),
            facts: Facts::default(),
        }
    }

    /// The earlier service mixed the pixels of all screen sizes.
    #[test]
    fn clicks_are_percentages_and_nothing_else() {
        let of = |data| Tally::of(&event("click", "https://x.example/cv?theme=a", data)).click;
        let click = of(json!({"x": 45.5, "y": 20, "button": "cta"})).unwrap();
        assert_eq!((click.x, click.y, &*click.page, &*click.element), (46, 20, "/cv", "cta"));
        assert_eq!(of(json!({"x": 100, "y": 0})).unwrap().element, "");
        for none in [
            json!({"x": 960, "y": 20}),
            json!({"x": -1, "y": 20}),
            json!({"x": "45", "y": 20}),
            json!({"x": 45}),
            json!({}),
        ] {
            assert_eq!(of(none.clone()), None, "{none}");
        }
        assert_eq!(Tally::of(&event("hover", "/cv", json!({"x": 1, "y": 1}))).click, None);
    }
}
