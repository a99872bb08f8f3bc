//! What events of an interactive CV say: themes that are looked at, and letters that are generated.

use std::borrow::Cow;

use serde_json::Value;

use crate::event::Event;
use crate::event_type::EventType;

/// The most characters of a theme; a longer one is no theme.
pub const LONGEST_THEME: usize = 100;

/// The theme of a `page_view` or `cv_theme_change`: `event_data.theme`, or else the `theme`
/// parameter of its page.
#[must_use]
pub fn theme(event: &Event) -> Option<String> {
    if !matches!(event.event_type, EventType::PageView | EventType::CvThemeChange) {
        return None;
    }
    let valid = |theme: &str| !theme.is_empty() && theme.chars().count() <= LONGEST_THEME;
    let said = event.data.fields().get("theme").and_then(Value::as_str).filter(|theme| valid(theme)).map(str::to_owned);
    said.or_else(|| event.page_url.as_ref()?.query("theme").filter(|theme| valid(theme)).map(Cow::into_owned))
}

/// `motivation` or `anti_motivation`, of a letter that says which it is.
#[must_use]
pub fn letter_type(event: &Event) -> Option<&'static str> {
    if event.event_type != EventType::LetterGenerate {
        return None;
    }
    match event.data.fields().get("letter_type")?.as_str()? {
        "motivation" => Some("motivation"),
        "anti_motivation" => Some("anti_motivation"),
        _ => None,
    }
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
    use crate::url::Url;

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

    #[test]
    fn themes_come_from_the_data_or_else_the_page() {
        let of = |event_type, url, data| theme(&event(event_type, url, data));
        assert_eq!(of("page_view", "/cv?theme=a", json!({"theme": "b"})).as_deref(), Some("b"));
        assert_eq!(of("page_view", "/cv?theme=a", json!({})).as_deref(), Some("a"));
        assert_eq!(of("cv_theme_change", "/cv", json!({"theme": "b"})).as_deref(), Some("b"));
        assert_eq!(of("cv_theme_change", "/cv?theme=a", json!({"theme": 5})).as_deref(), Some("a"));
        assert_eq!(of("page_view", "/cv", json!({"theme": ""})), None);
        assert_eq!(of("page_view", "/cv", json!({"theme": "x".repeat(101)})), None);
        assert_eq!(of("scroll", "/cv?theme=a", json!({"theme": "b"})), None);
    }

    #[test]
    fn letters_say_which_they_are_or_not() {
        let of = |data| letter_type(&event("letter_generate", "/", data));
        assert_eq!(of(json!({"letter_type": "motivation"})), Some("motivation"));
        assert_eq!(of(json!({"letter_type": "anti_motivation"})), Some("anti_motivation"));
        assert_eq!(of(json!({})), None);
    }
}
