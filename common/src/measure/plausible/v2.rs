//! `POST /api/v2/query`.

use serde_json::{Map, Value, json};

use super::words::Asked;
use super::{metric_value, parse_site};
use crate::measure::query::{Context, MOST_OFFSET, Meta, Query, Results, input};
use crate::measure::question::buckets::clock_label;
use crate::measure::question::filter::fold;
use crate::measure::question::{Dimension, Pattern, Question};
use crate::outcome::{Code, Refusal};
use crate::site::Site;
use crate::time::SECOND;

const KEYS: [&str; 8] =
    ["site_id", "metrics", "date_range", "dimensions", "filters", "order_by", "include", "pagination"];

/// A request, translated.
#[derive(Debug, Clone)]
pub struct Request {
    /// What to answer.
    pub query: Query,
    dimensions: Vec<Asked>,
    include: Include,
    /// The request, to be repeated in the response.
    json: Value,
}

#[derive(Debug, Clone, Copy)]
struct Include {
    imports: bool,
    total_rows: bool,
}

impl Request {
    /// The site that a request asks about, which the caller needs to know the context.
    ///
    /// # Errors
    /// `INVALID_SITE` if it is missing, or cannot be the name of a site.
    pub fn site(value: &Value) -> Result<Site, Refusal> {
        parse_site(value.get("site_id").and_then(Value::as_str))
    }

    /// Checks and translates a request.
    ///
    /// # Errors
    /// A refusal that names the place of the mistake and what is allowed there.
    pub fn parse(value: &Value, context: &Context<'_>) -> Result<Self, Refusal> {
        let map = input::object(value, "the query", &KEYS)?;
        let site = Self::site(value)?;
        let empty = json!({});
        let include = map.get("include").unwrap_or(&empty);
        let include = input::object(include, "include", &["imports", "time_labels", "total_rows"])?;
        let option = |name: &str| input::flag(include.get(name), &format!("include.{name}"));
        let (imports, time_labels, total_rows) = (option("imports")?, option("time_labels")?, option("total_rows")?);
        let page = input::object(map.get("pagination").unwrap_or(&empty), "pagination", &["limit", "offset"])?;
        let most = Question::MOST_ROWS;
        let limit = input::number(page.get("limit"), "pagination.limit", (1, most), most, Code::InvalidLimit)?;
        let offset = input::number(page.get("offset"), "pagination.offset", (0, MOST_OFFSET), 0, Code::InvalidOffset)?;

        let dimensions = match map.get("dimensions") {
            Some(names) => dimensions(names)?,
            None => Vec::new(),
        };
        let mut native: Vec<&str> = Vec::new();
        for dimension in &dimensions {
            if !native.contains(&dimension.native.as_str()) {
                native.push(&dimension.native);
            }
        }
        let mut query = json!({
            "site": site.as_str(),
            "dimensions": native,
            "include": {"time_labels": time_labels},
            "limit": limit,
            "offset": offset,
        });
        for key in ["metrics", "date_range"] {
            if let Some(value) = map.get(key) {
                query[key] = value.clone();
            }
        }
        if let Some(filters) = map.get("filters") {
            let filters = input::list(filters, "filters")?.iter().enumerate();
            let translate = |(number, filter)| translate(filter, &format!("filters[{number}]"));
            query["filters"] = filters.map(translate).collect::<Result<_, _>>()?;
        }
        if let Some(order) = map.get("order_by") {
            query["order_by"] = order_by(order);
        }
        let query = Query::parse(&query, context)?;
        let range = query.question.range;
        let local = |instant| clock_label(context.zone.local(instant), context.zone.offset(instant));
        let json = json!({
            "site_id": value["site_id"],
            "metrics": value["metrics"],
            "date_range": [local(range.start), local(range.end.plus(-SECOND).max(range.start))],
            "dimensions": dimensions.iter().map(|dimension| &dimension.name).collect::<Vec<_>>(),
            "filters": map.get("filters").cloned().unwrap_or_else(|| json!([])),
            "order_by": query.canonical()["order_by"],
            "include": {"imports": imports, "time_labels": time_labels, "total_rows": total_rows},
            "pagination": {"limit": limit, "offset": offset},
        });
        Ok(Self { query, dimensions, include: Include { imports, total_rows }, json })
    }

    /// The response.
    #[must_use]
    pub fn response(&self, results: Results, meta: Meta) -> Value {
        let question = &self.query.question;
        let places: Vec<_> = self.dimensions.iter().map(|asked| (asked, place(asked, &question.dimensions))).collect();
        let rows = results.results.into_iter().map(|row| {
            let value = |(asked, place): &(&Asked, usize)| {
                asked.present(row.dimensions.get(*place).cloned().unwrap_or_default())
            };
            let metrics =
                question.metrics.iter().zip(&row.metrics).map(|(metric, value)| metric_value(*metric, *value));
            json!({"dimensions": places.iter().map(value).collect::<Vec<_>>(), "metrics": metrics.collect::<Vec<_>>()})
        });
        let rows: Vec<_> = rows.collect();
        let mut about = Map::new();
        if self.include.imports {
            about.insert("imports_included".into(), json!(false));
            about.insert("imports_skip_reason".into(), json!("no_imported_data"));
        }
        if let Some(labels) = meta.time_labels {
            let time = Asked::new("time");
            about.insert("time_labels".into(), labels.into_iter().map(|label| time.present(label)).collect());
        }
        if self.include.total_rows {
            about.insert("total_rows".into(), json!(results.total_rows));
        }
        json!({"results": rows, "meta": about, "query": self.json})
    }
}

fn dimensions(names: &Value) -> Result<Vec<Asked>, Refusal> {
    let mut dimensions: Vec<Asked> = Vec::new();
    for (number, name) in input::list(names, "dimensions")?.iter().enumerate() {
        let place = format!("dimensions[{number}]");
        dimensions.push(available(input::text(name, &place)?, &place)?);
    }
    Ok(dimensions)
}

/// The dimension of that name, if Plausible offers it.
pub(super) fn available(name: &str, place: &str) -> Result<Asked, Refusal> {
    let asked = Asked::new(name);
    if asked.is_refused() {
        return Err(input::refused(format!("{place}: visit:screen is not available in this format")));
    }
    Ok(asked)
}

/// The place of a dimension among those of the question; `time` is whichever time dimension there is.
fn place(asked: &Asked, dimensions: &[Dimension]) -> usize {
    let same = |dimension: &Dimension| match dimension {
        Dimension::Time(_) if asked.native == "time" => true,
        dimension => dimension.to_string() == asked.native,
    };
    dimensions.iter().position(same).unwrap_or(usize::MAX)
}

fn order_by(order: &Value) -> Value {
    let mut order = order.clone();
    for item in order.as_array_mut().into_iter().flatten() {
        if let Some(Value::String(name)) = item.get_mut(0) {
            *name = Asked::new(name).native;
        }
    }
    order
}

/// A filter in the query language. What is no filter stays as it is, and is refused there.
pub(super) fn translate(filter: &Value, place: &str) -> Result<Value, Refusal> {
    let Some(parts) = filter.as_array() else { return Ok(filter.clone()) };
    match parts.as_slice() {
        [operator, Value::Array(filters)] if *operator == "and" || *operator == "or" => {
            let filters = filters.iter().enumerate();
            let inner = filters.map(|(number, filter)| translate(filter, &format!("{place}[1][{number}]")));
            Ok(json!([operator, inner.collect::<Result<Vec<_>, _>>()?]))
        }
        [operator, inner @ Value::Array(_)] => Ok(json!([operator, translate(inner, &format!("{place}[1]"))?])),
        [Value::String(operator), Value::String(name), Value::Array(values), options @ ..] => {
            test(operator, available(name, &format!("{place}[1]"))?, values, options, place)
        }
        _ => Ok(filter.clone()),
    }
}

fn test(operator: &str, asked: Asked, values: &[Value], options: &[Value], place: &str) -> Result<Value, Refusal> {
    let mut leaf = vec![json!(operator), json!(asked.native), json!(values)];
    leaf.extend(options.iter().cloned());
    let case_sensitive = options.first().and_then(|options| options.get("case_sensitive")) != Some(&json!(false));
    let form = |text: &str| if case_sensitive { text.to_owned() } else { fold(text) };
    let texts: Vec<String> = values.iter().filter_map(Value::as_str).map(form).collect();
    let test = operator.strip_suffix("_not").unwrap_or(operator);
    // Words from a closed list that Plausible writes otherwise: the values that they stand for.
    let selected = match test {
        "is" => asked.select(|word| texts.contains(&form(word))),
        "contains" => asked.select(|word| texts.iter().any(|text| form(word).contains(text.as_str()))),
        "matches" if asked.select(|_| true).is_some() => {
            let mut patterns = Vec::new();
            for (number, text) in values.iter().filter_map(Value::as_str).take(20).enumerate() {
                let short = text.chars().count() <= 200;
                let pattern = Pattern::new(text, case_sensitive).filter(|_| short);
                let rule = "must be a regular expression of linear time, of at most 200 characters";
                patterns.push(pattern.ok_or_else(|| input::refused(format!("{place}[2][{number}] {rule}")))?);
            }
            asked.select(|word| patterns.iter().any(|pattern| pattern.is_match(word)))
        }
        _ => None,
    };
    if let Some(selected) = selected.filter(|_| !values.is_empty()) {
        leaf[0] = json!(operator.replace(test, "is"));
        leaf[2] = json!(selected);
    }
    Ok(Value::Array(leaf))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::question::{Answer, Number, ResultRow, VisitorCount};
    use crate::time::Timestamp;

    fn parse(changes: &Value) -> Result<Request, Refusal> {
        let mut query = json!({"site_id": "example.com", "metrics": ["visitors", "bounce_rate"], "date_range": "7d"});
        for (key, value) in changes.as_object().unwrap() {
            query[key] = value.clone();
        }
        Request::parse(&query, &Context::at(Timestamp::parse("2026-11-28T12:00:00Z").unwrap()))
    }

    fn response(request: &Request, rows: &[(&[&str], &[Option<Number>])]) -> Value {
        let row = |(dimensions, metrics): &(&[&str], &[Option<Number>])| ResultRow {
            dimensions: dimensions.iter().map(|value| (*value).to_owned()).collect(),
            metrics: metrics.to_vec(),
        };
        let rows = rows.iter().map(row).collect();
        let answer = Answer { rows, visitors: VisitorCount::Distinct, capped: Vec::new(), summaries: None };
        let (results, meta) = request.query.results(answer, None);
        request.response(results, meta)
    }

    #[test]
    fn a_request_without_dimensions_has_one_row() {
        let request = parse(&json!({"include": {"imports": true, "total_rows": true}})).unwrap();
        assert_eq!(request.query.question.limit, 10_000);
        let response = response(&request, &[(&[], &[Some(Number::whole(0)), None])]);
        assert_eq!(response["results"], json!([{"dimensions": [], "metrics": [0, 0]}]));
        assert_eq!(
            response["meta"],
            json!({"imports_included": false, "imports_skip_reason": "no_imported_data", "total_rows": 1})
        );
        assert_eq!(
            response["query"],
            json!({
                "site_id": "example.com",
                "metrics": ["visitors", "bounce_rate"],
                "date_range": ["2026-11-21T00:00:00+00:00", "2026-11-27T23:59:59+00:00"],
                "dimensions": [],
                "filters": [],
                "order_by": [["visitors", "desc"]],
                "include": {"imports": true, "time_labels": false, "total_rows": true},
                "pagination": {"limit": 10_000, "offset": 0},
            })
        );
    }

    #[test]
    fn names_and_values_are_translated_both_ways() {
        let request = parse(&json!({
            "metrics": ["visitors"],
            "dimensions": ["visit:country_name", "visit:country", "time", "visit:device"],
            "filters": [
                ["is", "event:name", ["pageview"]],
                ["or", [["is_not", "visit:country_name", ["Germany", "Poland"]], ["contains", "visit:device", ["top"]]]],
                ["not", ["matches", "visit:country_name", ["^Fr.*e$"]]],
                ["is", "visit:utm_source", ["(not set)"]],
            ],
            "order_by": [["visit:country_name", "asc"]],
            "include": {"time_labels": true},
            "date_range": "24h",
        }));
        let request = request.unwrap();
        assert_eq!(
            request.query.canonical()["filters"],
            json!([
                ["is", "event:name", ["page_view"]],
                ["or", [["is_not", "visit:country", ["DE", "PL"]], ["is", "visit:device", ["desktop"]]]],
                ["not", ["is", "visit:country", ["FR"]]],
                ["is", "visit:utm_source", [""]],
            ])
        );
        assert_eq!(request.query.canonical()["dimensions"], json!(["visit:country", "time:hour", "visit:device"]));
        let row: (&[&str], &[Option<Number>]) = (&["FR", "2026-11-28T01:00:00+00:00", "tv"], &[Some(Number::whole(3))]);
        let response = response(&request, &[row]);
        assert_eq!(
            response["results"],
            json!([{"dimensions": ["France", "FR", "2026-11-28 01:00:00", "TV"], "metrics": [3]}])
        );
        assert_eq!(response["meta"]["time_labels"][0], "2026-11-27 12:00:00");
    }

    #[test]
    fn mistakes_are_refused() {
        let error = |changes| parse(&changes).unwrap_err();
        for (changes, message) in [
            (json!({"limit": 5}), "the query has an unknown key"),
            (json!({"include": {"comparisons": {}}}), "include has an unknown key"),
            (json!({"pagination": {"limit": 10_001}}), "pagination.limit must be a whole number from 1 to 10000"),
            (json!({"dimensions": ["visit:screen"]}), "dimensions[0]: visit:screen is not available in this format"),
            (
                json!({"filters": [["not", ["is", "visit:screen", ["M"]]]]}),
                "filters[0][1][1]: visit:screen is not available in this format",
            ),
            (json!({"include": {"time_labels": true}}), "include.time_labels needs a time dimension"),
            (json!({"metrics": ["vistors"]}), "metrics[0] is not a metric; did you mean visitors?"),
            (json!({"filters": [["is", "visit:device", []]]}), "filters[0][2] must have 1 to 1000 values"),
        ] {
            let refusal = error(changes);
            assert!(refusal.message.starts_with(message), "{refusal}");
        }
        for site in [json!(null), json!(5), json!("a b")] {
            assert_eq!(error(json!({"site_id": site})).code, Code::InvalidSite);
        }
        assert_eq!(parse(&json!({"site_id": "Example.COM"})).unwrap().query.question.site.as_str(), "example.com");
    }
}
