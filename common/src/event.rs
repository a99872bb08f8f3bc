//! Events: as they are sent, and as they are kept.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::event_type::EventType;
use crate::measure::facts::{Context, Facts, has_click_id};
use crate::outcome::{Code, Refusal};
use crate::site::Site;
use crate::time::{DAY, SECOND, Timestamp};
use crate::url::Url;
use crate::view_id::ViewId;
use crate::visitor::VisitorId;

/// How far an event's own time may lie behind the clock: 24 hours.
pub const MAX_LATENESS: i64 = DAY;
/// How far an event's own time may lie ahead of the clock: 5 minutes.
pub const MAX_CLOCK_SKEW: i64 = 300 * SECOND;

/// One thing that a visitor did, valid in every part: what engines keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Names it within its site; sending it again with the same id counts nothing twice.
    pub id: Uuid,
    /// Where it happened.
    pub site: Site,
    /// Who did it.
    pub visitor: VisitorId,
    /// What was done.
    pub event_type: EventType,
    /// Whatever else the sender said of it.
    pub data: EventData,
    /// The page it happened on.
    pub page_url: Option<Url>,
    /// Where the visitor came from.
    pub referrer: Option<Url>,
    /// Its own time; it counts in the day, week and month of this instant.
    pub created_at: Timestamp,
    /// What was derived from the request that brought it.
    pub facts: Facts,
}

/// An event's `event_data`: compact JSON text of an object, at most [`EventData::LARGEST`]
/// bytes and [`EventData::DEEPEST`] levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventData(Option<Box<str>>);

impl EventData {
    /// The most bytes that it may have, written compactly: 8 KiB.
    pub const LARGEST: usize = 8 * 1024;
    /// The most levels of objects and arrays, the outermost included.
    pub const DEEPEST: usize = 32;
    /// The object with nothing in it.
    pub const EMPTY: Self = Self(None);

    /// Keeps an object, unless it is too large or too deep.
    ///
    /// # Errors
    /// `INVALID_EVENT`, naming the limit.
    pub fn new(fields: &Map<String, Value>) -> Result<Self, Refusal> {
        if fields.is_empty() {
            return Ok(Self::EMPTY);
        }
        if fields.values().map(depth).max().unwrap_or(0) >= Self::DEEPEST {
            return Err(invalid(format!("event_data may have at most {} levels", Self::DEEPEST)));
        }
        let text = serde_json::to_string(fields).map_err(|_| invalid("event_data must be a JSON object"))?;
        if text.len() > Self::LARGEST {
            return Err(invalid(format!(
                "event_data may have at most {} bytes of JSON, this has {}",
                Self::LARGEST,
                text.len()
            )));
        }
        Ok(Self(Some(text.into())))
    }

    /// Keeps the JSON text of an object as another store kept it, number by number, whitespace
    /// left out; the bounds are those of [`Self::new`].
    ///
    /// # Errors
    /// `INVALID_EVENT`, naming the limit, or what a letter's type may be.
    pub fn exact(event_type: &EventType, json: &RawValue) -> Result<Self, Refusal> {
        let fields = serde_json::from_str(json.get()).map_err(|_| invalid("event_data must be a JSON object"))?;
        known_letter_type(event_type, &fields)?;
        if Self::new(&fields)? == Self::EMPTY {
            return Ok(Self::EMPTY);
        }
        // Numbers are not parsed and written again: that may change their last digit.
        let text = compact(json.get());
        if text.len() > Self::LARGEST {
            return Err(invalid(format!("event_data may have at most {} bytes of JSON", Self::LARGEST)));
        }
        Ok(Self(Some(text.into())))
    }

    /// Wraps what an engine stored: nothing for the empty object, or else its text.
    #[must_use]
    pub fn from_stored(text: Option<String>) -> Self {
        Self(text.map(Into::into))
    }

    /// What an engine stores: nothing for the empty object, or else its text.
    #[must_use]
    pub fn stored(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The JSON text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.as_deref().unwrap_or("{}")
    }

    /// Its fields, parsed anew.
    #[must_use]
    pub fn fields(&self) -> Map<String, Value> {
        self.0.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

impl Serialize for EventData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(self.as_json()).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// Valid JSON without the whitespace between its tokens.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let mut keep = |letter: &char| {
        let kept = in_string || !matches!(letter, ' ' | '\t' | '\n' | '\r');
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = in_string,
            '"' => in_string = !in_string,
            _ => {}
        }
        kept
    };
    json.chars().filter(|letter| keep(letter)).collect()
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// An event as a sender describes it: valid, but not yet given a visitor and an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentEvent {
    /// The sender's own id for it, if it has one.
    pub id: Option<Uuid>,
    /// The site it names, or the default one.
    pub site: Site,
    /// The visitor it names, if it names one.
    pub visitor: Option<VisitorId>,
    /// What was done.
    pub event_type: EventType,
    /// Whatever else there is to say.
    pub data: EventData,
    /// The page.
    pub page_url: Option<Url>,
    /// Where the visitor came from.
    pub referrer: Option<Url>,
    /// Its own time, if it is not now.
    pub timestamp: Option<Timestamp>,
    /// The view that the page-view layer named in its answer, of a page view that reports it.
    pub view_id: Option<ViewId>,
    /// Whether the page's address, as sent, had an advertisement's click id.
    pub ad_click: bool,
    /// What it says of the visitor's surroundings.
    pub context: Context,
}

impl SentEvent {
    /// An event of this type on this site and nothing more.
    #[must_use]
    pub fn new(site: Site, event_type: EventType) -> Self {
        Self {
            id: None,
            site,
            visitor: None,
            event_type,
            data: EventData::EMPTY,
            page_url: None,
            referrer: None,
            timestamp: None,
            view_id: None,
            ad_click: false,
            context: Context::default(),
        }
    }

    /// Parses one JSON object. `now` bounds its timestamp: at most [`MAX_LATENESS`] behind it and
    /// [`MAX_CLOCK_SKEW`] ahead of it. An `age_ms` is a timestamp by the sender's own clock, and stands
    /// above one. Unknown fields are passed over; `null` is as good as absent.
    ///
    /// # Errors
    /// `INVALID_EVENT` or `INVALID_SITE`, naming the field and what is allowed.
    pub fn parse(json: &str, now: Timestamp) -> Result<Self, Refusal> {
        let wire: Wire<'_> = serde_json::from_str(json)
            .map_err(|_| invalid("an event must be a JSON object with an event_type, each field at most once"))?;
        let site = field(wire.site, format_args!("site must be a string of {}", Site::RULE), Site::parse)
            .map_err(|refusal| Refusal { code: Code::InvalidSite, ..refusal })
            .map(Option::unwrap_or_default);
        let named = site.as_ref().ok().cloned();
        Self::of_fields(wire, site, now).map_err(|refusal| Refusal { site: named, ..refusal })
    }

    fn of_fields(wire: Wire<'_>, site: Result<Site, Refusal>, now: Timestamp) -> Result<Self, Refusal> {
        let rule = format_args!("event_type must be a string: {}", EventType::RULE);
        let event_type =
            text(wire.event_type, rule)?.ok_or_else(|| invalid(format!("event_type is missing; {rule}")))?;
        let event_type = EventType::parse(&event_type).ok_or_else(|| invalid(rule))?;

        let site = site?;
        let data = match present(wire.event_data) {
            None => EventData::EMPTY,
            Some(raw) => {
                let fields =
                    serde_json::from_str(raw.get()).map_err(|_| invalid("event_data must be a JSON object"))?;
                known_letter_type(&event_type, &fields)?;
                EventData::new(&fields)?
            }
        };

        // What does not name a view names none: the event itself is good.
        let view_id = text(wire.view_id, "").ok().flatten().and_then(|text| ViewId::parse(&text));
        let view_id = view_id.filter(|_| event_type == EventType::PageView);

        Ok(Self {
            id: field(wire.event_id, "event_id must be a UUID", |id| Uuid::try_parse(id).ok())?,
            site,
            visitor: field(wire.visitor_id, "visitor_id must be a UUID", VisitorId::parse)?,
            event_type,
            data,
            page_url: url(wire.page_url, "page_url")?,
            // What browsers say of none.
            referrer: url(wire.referrer, "referrer")?.filter(|referrer| !referrer.as_str().is_empty()),
            timestamp: timestamp(wire.timestamp, age(wire.age_ms, now)?, now)?,
            view_id,
            ad_click: text(wire.page_url, "").is_ok_and(|page| page.is_some_and(|page| has_click_id(&page))),
            context: context(wire.context),
        })
    }
}

/// The fields as they stand on the wire; each is parsed by itself so that an error can name it.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    event_type: Option<&'a RawValue>,
    #[serde(borrow)]
    event_data: Option<&'a RawValue>,
    #[serde(borrow)]
    page_url: Option<&'a RawValue>,
    #[serde(borrow)]
    referrer: Option<&'a RawValue>,
    #[serde(borrow)]
    visitor_id: Option<&'a RawValue>,
    #[serde(borrow)]
    event_id: Option<&'a RawValue>,
    #[serde(borrow)]
    site: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    view_id: Option<&'a RawValue>,
    #[serde(borrow)]
    age_ms: Option<&'a RawValue>,
    context: Option<&'a RawValue>,
}

// Rules are rendered only for those who break them: most events break none.

fn invalid(message: impl fmt::Display) -> Refusal {
    Refusal::new(Code::InvalidEvent, message.to_string())
}

fn present(raw: Option<&RawValue>) -> Option<&RawValue> {
    raw.filter(|raw| raw.get() != "null")
}

fn text<'a>(raw: Option<&'a RawValue>, rule: impl fmt::Display) -> Result<Option<Cow<'a, str>>, Refusal> {
    /// Borrows when the string has no escapes; a bare `Cow` would always copy.
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    let text = present(raw).map(|raw| serde_json::from_str::<Text<'_>>(raw.get()));
    text.transpose().map(|text| text.map(|text| text.0)).map_err(|_| invalid(rule))
}

fn field<T>(
    raw: Option<&RawValue>,
    rule: impl fmt::Display,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Refusal> {
    match text(raw, &rule)? {
        Some(text) => read(&text).map(Some).ok_or_else(|| invalid(rule)),
        None => Ok(None),
    }
}

fn url(raw: Option<&RawValue>, name: &str) -> Result<Option<Url>, Refusal> {
    field(raw, format_args!("{name} must be a string"), |text| Some(Url::new(text)))
}

fn known_letter_type(event_type: &EventType, fields: &Map<String, Value>) -> Result<(), Refusal> {
    match fields.get("letter_type") {
        Some(letter_type)
            if *event_type == EventType::LetterGenerate
                && !matches!(letter_type.as_str(), Some("motivation" | "anti_motivation")) =>
        {
            Err(invalid("event_data.letter_type must be motivation or anti_motivation"))
        }
        _ => Ok(()),
    }
}

/// What is malformed of it is passed over: an event is worth more than its surroundings.
fn context(raw: Option<&RawValue>) -> Context {
    #[derive(Deserialize)]
    struct Fields<'a> {
        #[serde(borrow)]
        timezone: Option<&'a RawValue>,
        #[serde(borrow)]
        screen_width: Option<&'a RawValue>,
        #[serde(borrow)]
        language: Option<&'a RawValue>,
    }
    let Some(fields) = raw.and_then(|raw| serde_json::from_str::<Fields<'_>>(raw.get()).ok()) else {
        return Context::default();
    };
    let string = |raw| text(raw, "").ok().flatten();
    let width = fields.screen_width.and_then(|width| serde_json::from_str(width.get()).ok());
    Context::new(string(fields.timezone).as_deref(), width, string(fields.language).as_deref())
}

/// The instant that an event's age says, or else its timestamp, which must be one in either case.
fn timestamp(raw: Option<&RawValue>, by_age: Option<Timestamp>, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
    const RULE: &str =
        "timestamp must be an RFC 3339 instant, at most 24 hours in the past and 5 minutes in the future";
    match (by_age, field(raw, RULE, Timestamp::parse)?) {
        (Some(time), _) => Ok(Some(time)),
        (None, Some(time)) if !(now.plus(-MAX_LATENESS)..=now.plus(MAX_CLOCK_SKEW)).contains(&time) => {
            Err(invalid(RULE))
        }
        (None, time) => Ok(time),
    }
}

/// The instant that lies `age_ms` before the clock, with the bounds of a timestamp. An age below
/// zero, which a clock that was set back makes, is none.
fn age(raw: Option<&RawValue>, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
    const RULE: &str = "age_ms must be a number of milliseconds, at most 24 hours, and at least -5 minutes";
    #[allow(clippy::cast_precision_loss, reason = "both bounds are whole numbers below 2^53")]
    const BOUNDS: std::ops::RangeInclusive<f64> = -MAX_CLOCK_SKEW as f64..=MAX_LATENESS as f64;
    let Some(raw) = present(raw) else { return Ok(None) };
    let age = serde_json::from_str::<f64>(raw.get()).ok().filter(|age| BOUNDS.contains(age));
    let age = age.ok_or_else(|| invalid(RULE))?;
    #[allow(clippy::cast_possible_truncation, reason = "the bounds fit")]
    Ok(Some(now.plus(-(age.max(0.0).round() as i64))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::parse("2025-12-08T12:00:00Z").unwrap()
    }

    fn sent(json: &str) -> Result<SentEvent, Refusal> {
        SentEvent::parse(json, now())
    }

    #[test]
    fn all_fields() {
        let event = sent(
            r#"{"event_type":"click","event_data":{"b": 1, "a":[2]},"page_url":"/cv?theme=x&k=1",
            "visitor_id":"3f2504e0-4f89-41d3-9a0c-0305e82c3301","site":"cv.example.com","referrer":null,
            "event_id":"3f2504e04f8941d39a0c0305e82c3302","timestamp":"2025-12-08T11:00:00Z","other":1}"#,
        )
        .unwrap();
        assert_eq!(event.event_type, EventType::ButtonClick);
        assert_eq!(event.data.as_json(), r#"{"b":1,"a":[2]}"#);
        assert_eq!(event.page_url.unwrap().as_str(), "/cv?theme=x");
        assert_eq!(event.site.as_str(), "cv.example.com");
        assert_eq!(event.id.unwrap().to_string(), "3f2504e0-4f89-41d3-9a0c-0305e82c3302");
        assert_eq!(event.referrer, None);
        assert_eq!(sent(r#"{"event_type":"a","referrer":""}"#).unwrap().referrer, None);
    }

    #[test]
    fn the_least_event() {
        let event = sent(r#"{"event_type":"scroll"}"#).unwrap();
        assert_eq!(event, SentEvent::new(Site::default(), EventType::Scroll));
    }

    #[test]
    fn a_malformed_context_is_passed_over() {
        let context = |json: &str| sent(&format!(r#"{{"event_type":"a","context":{json}}}"#)).unwrap().context;
        let whole = Context::new(Some("Europe/Paris"), Some(1_440.0), Some("fr-FR"));
        assert_eq!(context(r#"{"timezone":"Europe\/Paris","screen_width":1440,"language":"fr","x":[1]}"#), whole);
        assert_ne!(whole, Context::default());
        let width = Context::new(None, Some(390.5), None);
        assert_eq!(context(r#"{"timezone":5,"screen_width":390.5,"language":{}}"#), width);
        for json in ["null", "5", "[]", "{}", r#""Europe/Paris""#, r#"{"screen_width":"wide"}"#, r#"{"a":1,"a":2}"#] {
            assert_eq!(context(json), Context::default(), "{json}");
        }
    }

    #[test]
    fn a_click_id_is_seen_and_not_kept() {
        let event = sent(r#"{"event_type":"a","page_url":"/?utm_source=x\u0026gclid=secret"}"#).unwrap();
        assert!(event.ad_click);
        assert_eq!(event.page_url.unwrap().as_str(), "/?utm_source=x");
        assert!(!sent(r#"{"event_type":"a","page_url":"/?gclid2=x"}"#).unwrap().ad_click);
        assert!(!sent(r#"{"event_type":"a"}"#).unwrap().ad_click);
    }

    #[test]
    fn mistakes_name_the_field() {
        for (json, code, name) in [
            (r"{}", Code::InvalidEvent, "event_type is missing"),
            (r"[]", Code::InvalidEvent, "JSON object"),
            (r#"{"event_type":5}"#, Code::InvalidEvent, "event_type"),
            (r#"{"event_type":"No"}"#, Code::InvalidEvent, "event_type"),
            (r#"{"event_type":"a","event_type":"b"}"#, Code::InvalidEvent, "at most once"),
            (r#"{"event_type":"a","event_data":[]}"#, Code::InvalidEvent, "event_data"),
            (r#"{"event_type":"a","page_url":1}"#, Code::InvalidEvent, "page_url"),
            (r#"{"event_type":"a","referrer":{}}"#, Code::InvalidEvent, "referrer"),
            (r#"{"event_type":"a","visitor_id":"joe"}"#, Code::InvalidEvent, "visitor_id"),
            (r#"{"event_type":"a","event_id":7}"#, Code::InvalidEvent, "event_id"),
            (r#"{"event_type":"a","site":"A B"}"#, Code::InvalidSite, "site"),
            (r#"{"event_type":"a","site":1}"#, Code::InvalidSite, "site"),
            (r#"{"event_type":"a","timestamp":1733655600}"#, Code::InvalidEvent, "timestamp"),
            (r#"{"event_type":"a","timestamp":{},"age_ms":5}"#, Code::InvalidEvent, "timestamp"),
            (r#"{"event_type":"a","timestamp":"2025-12-07T11:59:59Z"}"#, Code::InvalidEvent, "24 hours"),
            (r#"{"event_type":"a","timestamp":"9999-12-31T23:59:59Z"}"#, Code::InvalidEvent, "5 minutes"),
            (r#"{"event_type":"a","timestamp":"2025-12-08T12:05:01Z"}"#, Code::InvalidEvent, "5 minutes"),
            (r#"{"event_type":"a","age_ms":"5"}"#, Code::InvalidEvent, "age_ms"),
            (r#"{"event_type":"a","age_ms":[]}"#, Code::InvalidEvent, "age_ms"),
            (r#"{"event_type":"a","age_ms":86400001}"#, Code::InvalidEvent, "24 hours"),
            (r#"{"event_type":"a","age_ms":1e400}"#, Code::InvalidEvent, "age_ms"),
            (r#"{"event_type":"a","age_ms":-300001}"#, Code::InvalidEvent, "5 minutes"),
            (
                r#"{"event_type":"letter_generate","event_data":{"letter_type":"love"}}"#,
                Code::InvalidEvent,
                "anti_motivation",
            ),
        ] {
            let refusal = sent(json).unwrap_err();
            assert_eq!(refusal.code, code, "{json}");
            assert!(refusal.message.contains(name), "{json}: {}", refusal.message);
        }
    }

    #[test]
    fn an_age_is_a_time_by_the_senders_own_clock() {
        let minutes_ago = |fields: &str| {
            let time = sent(&format!(r#"{{"event_type":"a",{fields}}}"#)).unwrap().timestamp;
            time.map(|time| (now().millis() - time.millis()) as f64 / 60_000.0)
        };
        assert_eq!(minutes_ago(r#""age_ms":90000"#), Some(1.5));
        assert_eq!(minutes_ago(r#""age_ms":29999.7"#), Some(0.5));
        assert_eq!(minutes_ago(r#""age_ms":0"#), Some(0.0));
        assert_eq!(minutes_ago(r#""age_ms":-300000"#), Some(0.0), "a clock that was set back");
        assert_eq!(minutes_ago(r#""age_ms":86400000"#), Some(1440.0));
        assert_eq!(minutes_ago(r#""age_ms":null"#), None);
        assert_eq!(minutes_ago(r#""age_ms":null,"timestamp":"2025-12-08T11:59:00Z""#), Some(1.0));
        assert_eq!(minutes_ago(r#""age_ms":60000,"timestamp":"1999-01-01T00:00:00Z""#), Some(1.0));
    }

    #[test]
    fn event_data_is_bounded() {
        let nested = |levels: usize| {
            format!(r#"{{"event_type":"a","event_data":{}1{}}}"#, r#"{"a":"#.repeat(levels), "}".repeat(levels))
        };
        assert!(sent(&nested(EventData::DEEPEST)).is_ok());
        assert!(sent(&nested(EventData::DEEPEST + 1)).is_err());
        let wide = |bytes: usize| format!(r#"{{"event_type":"a","event_data":{{"k":"{}"}}}}"#, "x".repeat(bytes - 8));
        assert!(sent(&wide(EventData::LARGEST)).is_ok());
        assert!(sent(&wide(EventData::LARGEST + 1)).is_err());
    }
}
