//! Properties: what `event_data` says of an event, as texts.

use serde_json::{Map, Number, Value};

/// The most properties of one event; the first by the bytes of their names.
pub const MOST: usize = 30;
/// The most characters of a value; a longer one is cut.
pub const LONGEST: usize = 300;

/// The text of a string, number or boolean, the same for a property of an event and for a value of a
/// filter, so that 1, 1.0 and "1" are one value; `None` of anything else. It is not cut.
#[must_use]
pub fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(shortest(number)),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The value of a property, at most [`LONGEST`] characters.
fn text(value: &Value) -> Option<String> {
    plain(value).map(|text| if text.len() > LONGEST { text.chars().take(LONGEST).collect() } else { text })
}

/// The properties of an event, by name.
#[must_use]
pub fn of(fields: &Map<String, Value>) -> Vec<(String, String)> {
    let named = fields.iter().filter(|(name, _)| !name.is_empty());
    let mut properties: Vec<_> = named.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect();
    properties.sort_unstable();
    properties.truncate(MOST);
    properties
}

fn shortest(number: &Number) -> String {
    match number.as_f64() {
        // What is no integer of 64 bits is written by Rust as the shortest text that is read as the same number.
        Some(float) if number.is_f64() => {
            if float == 0.0 {
                "0".to_owned()
            } else {
                float.to_string()
            }
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_values_have_one_text() {
        for (value, expected) in [
            (json!(1), "1"),
            (json!(1.0), "1"),
            (json!("1"), "1"),
            (json!(true), "true"),
            (json!(-0.0), "0"),
            (json!(0.1), "0.1"),
            (json!(-2.50), "-2.5"),
            (json!(1e3), "1000"),
            (json!(u64::MAX), "18446744073709551615"),
        ] {
            assert_eq!(text(&value).as_deref(), Some(expected), "{value}");
        }
        assert_eq!(text(&json!("é".repeat(400))).unwrap().chars().count(), LONGEST);
        assert_eq!((text(&json!(null)), text(&json!([1])), text(&json!({}))), (None, None, None));
    }

    #[test]
    fn the_first_names_are_kept() {
        let mut fields: Map<String, Value> =
            (0..50).map(|number| (format!("k{:02}", 49 - number), json!(number))).collect();
        fields.insert("a".into(), json!([]));
        let properties = of(&fields);
        assert_eq!(properties.len(), MOST);
        assert_eq!((&*properties[0].0, &*properties[29].0), ("k00", "k29"));
    }
}
