//! Reading JSON strictly: every mistake is named by its place, with what is allowed there and the
//! nearest of it. What was sent is never repeated.

use serde_json::{Map, Value};

use crate::outcome::{Code, Refusal};

pub(in crate::measure) type Result<T> = std::result::Result<T, Refusal>;

/// How many of the allowed words an error lists.
const MOST_LISTED: usize = 40;

pub(in crate::measure) fn refused(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::InvalidQuery, message)
}

/// Parses JSON text.
///
/// # Errors
/// `INVALID_JSON` with the place of the mistake.
pub fn json(text: &[u8]) -> Result<Value> {
    serde_json::from_slice(text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Refusal::new(Code::InvalidJson, format!("the query is not valid JSON at {place}"))
    })
}

/// The members of an object that has no others than `allowed`.
pub(in crate::measure) fn object<'a>(
    value: &'a Value,
    place: &str,
    allowed: &[&str],
) -> Result<&'a Map<String, Value>> {
    let Value::Object(map) = value else { return Err(refused(format!("{place} must be an object"))) };
    match map.keys().find(|key| !allowed.contains(&key.as_str())) {
        Some(key) => Err(refused(format!("{place} has an unknown key{}", suggest(key, allowed.iter().copied())))),
        None => Ok(map),
    }
}

/// The items of a list.
pub(in crate::measure) fn list<'a>(value: &'a Value, place: &str) -> Result<&'a [Value]> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| refused(format!("{place} must be a list")))
}

/// A text.
pub(in crate::measure) fn text<'a>(value: &'a Value, place: &str) -> Result<&'a str> {
    value.as_str().ok_or_else(|| refused(format!("{place} must be a string")))
}

/// `true` or `false`, `false` when it is absent.
pub(in crate::measure) fn flag(value: Option<&Value>, place: &str) -> Result<bool> {
    value.map_or(Ok(false), |value| value.as_bool().ok_or_else(|| refused(format!("{place} must be true or false"))))
}

/// A whole number within bounds, or the default when it is absent.
pub(in crate::measure) fn number(
    value: Option<&Value>,
    place: &str,
    bounds: (usize, usize),
    default: usize,
    code: Code,
) -> Result<usize> {
    let Some(value) = value else { return Ok(default) };
    let whole = value.as_u64().and_then(|number| usize::try_from(number).ok());
    whole
        .filter(|number| (bounds.0..=bounds.1).contains(number))
        .ok_or_else(|| Refusal::new(code, format!("{place} must be a whole number from {} to {}", bounds.0, bounds.1)))
}

/// `; did you mean …? allowed: …` for a word that is not allowed.
pub(in crate::measure) fn suggest<'a>(word: &str, allowed: impl IntoIterator<Item = &'a str>) -> String {
    let allowed: Vec<&str> = allowed.into_iter().collect();
    // What is long is no slip of the pen, and comparing takes time.
    let word = if word.len() <= 100 { word.to_lowercase() } else { String::new() };
    let likeness = |other: &str| strsim::jaro_winkler(&word, &other.to_lowercase());
    let near = allowed.iter().map(|other| (likeness(other), other)).max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = match near {
        Some((likeness, near)) if likeness >= 0.8 => format!("; did you mean {near}?"),
        _ => ";".to_owned(),
    };
    let more = if allowed.len() > MOST_LISTED { ", …" } else { "" };
    format!("{hint} allowed: {}{more}", allowed[..allowed.len().min(MOST_LISTED)].join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_nearest_word_is_suggested() {
        assert_eq!(suggest("vistors", ["visits", "visitors"]), "; did you mean visitors? allowed: visits, visitors");
        assert_eq!(suggest("zzz", ["visits", "visitors"]), "; allowed: visits, visitors");
        assert_eq!(suggest(&"visits".repeat(1_000), ["visits"]), "; allowed: visits");
    }

    #[test]
    fn mistakes_are_named_by_their_place() {
        let error = |result: Result<usize>| result.unwrap_err().message;
        let bad = json!(0);
        assert_eq!(
            error(number(Some(&bad), "limit", (1, 10), 5, Code::InvalidLimit)),
            "limit must be a whole number from 1 to 10"
        );
        let keys = object(&json!({"metric": 1}), "the query", &["metrics", "site"]).unwrap_err().message;
        assert_eq!(keys, "the query has an unknown key; did you mean metrics? allowed: metrics, site");
        assert_eq!(super::json(b"{\"a\":}").unwrap_err().message, "the query is not valid JSON at line 1, column 6");
    }
}
