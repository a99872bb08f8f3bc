//! An event as a line of JSON: what `export` writes and `import --format events` reads.
//!
//! Every field is there, the stored visitor id included, so such a file is as confidential as
//! the store itself. Reading and writing it again gives the same line, to the byte.

use common::event::{Event, EventData};
use common::event_type::EventType;
use common::json::mend;
use common::measure::facts::Facts;
use common::site::Site;
use common::time::Timestamp;
use common::url::Url;
use common::visitor::VisitorId;
use common::visitor_data::StoredEvent;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

/// The fields of a [`StoredEvent`] as they are read, each by itself, so that a mistake can name its field.
#[derive(Debug, Deserialize)]
struct Read<'a> {
    id: String,
    site: String,
    visitor_id: String,
    event_type: String,
    #[serde(borrow, default)]
    event_data: Option<&'a RawValue>,
    #[serde(default)]
    page_url: Option<String>,
    #[serde(default)]
    referrer: Option<String>,
    created_at: String,
    #[serde(default)]
    arrival: Option<String>,
    #[serde(default)]
    client: Option<String>,
}

/// The line, with its line break.
///
/// # Errors
/// Never, as far as events go: their parts are JSON already.
pub fn write(event: &Event) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&StoredEvent::from(event))?;
    line.push(b'\n');
    Ok(line)
}

/// Reads a line.
///
/// # Errors
/// What is wrong with it, in words that name the field and repeat nothing of it.
pub fn read(line: &[u8]) -> Result<Event, String> {
    let line = mend(line);
    let read: Read<'_> = serde_json::from_slice(&line).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => {
            "it must be a JSON object with the strings id, site, visitor_id, event_type and created_at".to_owned()
        }
        _ => format!("it is no valid JSON: column {}", error.column()),
    })?;
    let event_type = EventType::parse(&read.event_type).ok_or_else(|| wrong("event_type", EventType::RULE))?;
    let data = match read.event_data {
        Some(data) => EventData::exact(&event_type, data).map_err(|refusal| refusal.message)?,
        None => EventData::EMPTY,
    };
    Ok(Event {
        id: Uuid::try_parse(&read.id).map_err(|_| wrong("id", "a UUID"))?,
        site: Site::parse(&read.site).ok_or_else(|| wrong("site", Site::RULE))?,
        visitor: VisitorId::parse(&read.visitor_id).ok_or_else(|| wrong("visitor_id", "a UUID"))?,
        event_type,
        data,
        page_url: read.page_url.as_deref().map(Url::new),
        referrer: read.referrer.as_deref().map(Url::new),
        created_at: Timestamp::parse(&read.created_at).ok_or_else(|| wrong("created_at", "an RFC 3339 instant"))?,
        facts: Facts::from_text(read.arrival.as_deref(), read.client.as_deref()),
    })
}

fn wrong(field: &str, rule: &str) -> String {
    format!("{field} must be {rule}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(event_data: &str) -> String {
        format!(
            "{{\"id\":\"3f2504e0-4f89-41d3-9a0c-0305e82c3301\",\"site\":\"cv.example\",\
             \"visitor_id\":\"3f2504e0-4f89-41d3-9a0c-0305e82c3302\",\"event_type\":\"signup:v2\",\
             \"event_data\":{event_data},\"page_url\":\"/cv?theme=\\\"x\\\"\",\"referrer\":null,\
             \"created_at\":\"2025-12-08T10:15:30.125Z\"}}\n"
        )
    }

    #[test]
    fn lines_are_written_as_they_were_read() {
        for data in ["{}", r#"{"b":[1,2.50,1e400000000],"a":{"é":"\u0000\\\"☃"}}"#, r#"{"x":0.1000000000000000055}"#]
        {
            let text = line(data);
            match read(text.as_bytes()) {
                Ok(event) => assert_eq!(String::from_utf8(write(&event).unwrap()).unwrap(), text),
                Err(error) => assert!(data.contains("e4000"), "{data}: {error}"),
            }
        }
        let spaced = line(r#"{ "a" : [ 1 , "b  c \" } " ] }"#);
        assert_eq!(write(&read(spaced.as_bytes()).unwrap()).unwrap(), line(r#"{"a":[1,"b  c \" } "]}"#).into_bytes());
    }

    #[test]
    fn mistakes_name_the_field_and_repeat_nothing() {
        for (from, to, name) in [
            ("3f2504e0-4f89-41d3-9a0c-0305e82c3301", "hunter2", "id must"),
            ("3f2504e0-4f89-41d3-9a0c-0305e82c3302", "hunter2", "visitor_id must"),
            ("cv.example", "Hunter2", "site must"),
            ("signup:v2", "Hunter2", "event_type must"),
            ("2025-12-08T10:15:30.125Z", "hunter2", "created_at must"),
            ("{}", "\"hunter2\"", "event_data must"),
            ("\"site\":", "\"sight\":", "site, visitor_id"),
            ("}\n", "", "no valid JSON"),
        ] {
            let error = read(line("{}").replacen(from, to, 1).as_bytes()).unwrap_err();
            assert!(error.contains(name) && !error.to_lowercase().contains("hunter2"), "{to}: {error}");
        }
        for garbage in [&b""[..], b"[]", b"null", b"\xff\xfe", b"{}", b"{\"id\":7}"] {
            assert!(read(garbage).is_err());
        }
    }

    proptest! {
        /// Whatever an event was made of, its line makes it again.
        #[test]
        fn there_and_back(
            page in proptest::option::of(".{0,40}"),
            data in "[a-z]{0,3}",
            number in proptest::num::f64::NORMAL,
            millis in 0_i64..4_000_000_000_000,
            id in any::<u128>(),
        ) {
            let fields = serde_json::json!({"n": number, (data): [number, "x"]});
            let event = Event {
                id: Uuid::from_u128(id),
                site: Site::default(),
                visitor: Uuid::from_u128(!id).into(),
                event_type: EventType::LinkClick,
                data: EventData::new(fields.as_object().unwrap()).unwrap(),
                page_url: page.as_deref().map(Url::new),
                referrer: None,
                created_at: Timestamp::from_millis(millis),
                facts: Facts::from_text(page.as_deref(), Some("FR\t\t\tfr")),
            };
            prop_assert_eq!(read(&write(&event).unwrap()).unwrap(), event);
        }
    }
}
