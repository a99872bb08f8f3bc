//! The four paths of `GET /api/v1/stats/`.

use serde_json::{Map, Value, json};

use super::words::Asked;
use super::{metric_value, parse_site, v2};
use crate::measure::query::{Context, Query, Results, input};
use crate::measure::question::{Metric, Question};
use crate::outcome::{Code, Refusal};
use crate::site::Site;
use crate::time::Day;

/// One of the paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// `realtime/visitors`: the number of current visitors.
    RealtimeVisitors,
    /// `aggregate`: metrics of a period.
    Aggregate,
    /// `timeseries`: metrics by time.
    Timeseries,
    /// `breakdown`: metrics by a property.
    Breakdown,
}

/// The most rows of a breakdown.
const MOST_ROWS: usize = 1_000;
const PERIODS: [&str; 13] =
    ["day", "24h", "7d", "28d", "30d", "91d", "month", "6mo", "12mo", "year", "all", "realtime", "custom"];
const INTERVALS: [&str; 7] = ["minute", "hour", "day", "date", "week", "month", "time"];

/// A request, translated.
#[derive(Debug, Clone)]
pub struct Request {
    /// What to answer.
    pub query: Query,
    path: Path,
    property: Option<Asked>,
}

/// The parameters of a request; of a name that is there twice, the first counts.
#[derive(Debug, Clone, Copy)]
struct Params<'a>(&'a [(String, String)]);

impl Request {
    /// The site that a request asks about, which the caller needs to know the context.
    ///
    /// # Errors
    /// `INVALID_SITE` if it is missing, or cannot be the name of a site.
    pub fn site(params: &[(String, String)]) -> Result<Site, Refusal> {
        parse_site(Params(params).get("site_id"))
    }

    /// Checks and translates a request.
    ///
    /// # Errors
    /// A refusal that names the parameter and what is allowed.
    pub fn parse(path: Path, params: &[(String, String)], context: &Context<'_>) -> Result<Self, Refusal> {
        let site = Self::site(params)?;
        let params = Params(params);
        if path == Path::RealtimeVisitors {
            let query = json!({"site": site.as_str(), "metrics": ["visitors"], "date_range": "realtime"});
            return Ok(Self { query: Query::parse(&query, context)?, path, property: None });
        }
        let metrics = params.get("metrics").unwrap_or("visitors").split(',').map(str::trim);
        let period = params.get("period").unwrap_or("30d");
        let mut query = json!({
            "site": site.as_str(),
            "metrics": metrics.collect::<Vec<_>>(),
            "date_range": date_range(period, params.get("date"), context)?,
        });
        if let Some(filters) = params.get("filters").filter(|filters| !filters.is_empty()) {
            query["filters"] = filters_of(filters)?;
        }
        let mut property = None;
        match path {
            Path::Aggregate | Path::RealtimeVisitors => {
                if let Some(compare) = params.get("compare") {
                    query["compare"] = json!(compare);
                }
            }
            Path::Timeseries => {
                let default = match period {
                    "day" | "24h" | "realtime" => "hour",
                    "6mo" | "12mo" | "year" => "month",
                    _ => "day",
                };
                let interval = params.get("interval").unwrap_or(default);
                if !INTERVALS.contains(&interval) {
                    return Err(input::refused(format!(
                        "interval is not known{}",
                        input::suggest(interval, INTERVALS)
                    )));
                }
                let unit = match interval {
                    "date" => "time:day".to_owned(),
                    "time" => "time".to_owned(),
                    unit => format!("time:{unit}"),
                };
                query["dimensions"] = json!([unit]);
                query["include"] = json!({"time_labels": true});
                query["limit"] = json!(Question::MOST_ROWS);
            }
            Path::Breakdown => {
                let Some(name) = params.get("property") else {
                    return Err(input::refused("property is missing; for example visit:source"));
                };
                let asked = v2::available(name, "property")?;
                if asked.native.starts_with("time") {
                    return Err(input::refused("property must not be one of time; use the path timeseries"));
                }
                let limit = params.number("limit", MOST_ROWS, 100)?;
                query["dimensions"] = json!([asked.native]);
                query["limit"] = json!(limit);
                query["offset"] = json!(limit * (params.number("page", MOST_ROWS, 1)? - 1));
                property = Some(asked);
            }
        }
        Ok(Self { query: Query::parse(&query, context)?, path, property })
    }

    /// The response.
    #[must_use]
    pub fn response(&self, results: &Results) -> Value {
        let question = &self.query.question;
        match self.path {
            Path::RealtimeVisitors => {
                let visitors = results.results.first().and_then(|row| row.metrics.first().copied().flatten());
                metric_value(Metric::Visitors, visitors)
            }
            Path::Aggregate => {
                let row = results.results.first();
                let one = |(place, metric): (usize, &Metric)| {
                    let value = row.and_then(|row| row.metrics[place]);
                    let mut entry = json!({"value": metric_value(*metric, value)});
                    if self.query.comparison.is_some() {
                        let comparison = row.and_then(|row| row.comparison.as_ref());
                        entry["change"] = json!(comparison.and_then(|comparison| comparison.change[place]));
                    }
                    (metric.name().to_owned(), entry)
                };
                json!({"results": question.metrics.iter().enumerate().map(one).collect::<Map<_, _>>()})
            }
            Path::Timeseries => json!({"results": self.series(results)}),
            Path::Breakdown => {
                let rows = results.results.iter().map(|row| {
                    let mut entry = Map::new();
                    if let (Some(asked), Some(value)) = (&self.property, row.dimensions.first()) {
                        entry.insert(asked.key().to_owned(), json!(asked.present(value.clone())));
                    }
                    for (metric, value) in question.metrics.iter().zip(&row.metrics) {
                        entry.insert(metric.name().to_owned(), metric_value(*metric, *value));
                    }
                    Value::Object(entry)
                });
                json!({"results": rows.collect::<Vec<_>>()})
            }
        }
    }

    /// A row for each bucket. In one without events, counts are 0 and everything else is null.
    fn series(&self, results: &Results) -> Vec<Value> {
        let time = Asked::new("time");
        let question = &self.query.question;
        let labels = question.buckets.first().map_or(&[][..], |buckets| buckets.labels());
        let mut rows = results.results.iter().peekable();
        let row = |label: &String| {
            let row = rows.next_if(|row| row.dimensions.first() == Some(label));
            let mut entry = Map::from_iter([("date".to_owned(), json!(time.present(label.clone())))]);
            for (place, metric) in question.metrics.iter().enumerate() {
                let value = match row {
                    Some(row) => json!(row.metrics[place]),
                    None if metric.is_count() => json!(0),
                    None => Value::Null,
                };
                entry.insert(metric.name().to_owned(), value);
            }
            Value::Object(entry)
        };
        labels.iter().map(row).collect()
    }
}

impl<'a> Params<'a> {
    fn get(self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn number(self, name: &str, most: usize, default: usize) -> Result<usize, Refusal> {
        let value = self.get(name).map(|text| text.parse().map_or(Value::Null, |number: u64| json!(number)));
        input::number(value.as_ref(), name, (1, most), default, Code::InvalidLimit)
    }
}

/// A period as a date range: of a number of days or months, those before `date` or else before today.
fn date_range(period: &str, date: Option<&str>, context: &Context<'_>) -> Result<Value, Refusal> {
    let refused = |rule: &str| Refusal::new(Code::InvalidDate, rule);
    if period == "custom" {
        let dates = date.and_then(|date| date.split_once(','));
        let (from, to) = dates.ok_or_else(|| refused("date must be two dates, as in 2026-11-01,2026-11-30"))?;
        return Ok(json!([from.trim(), to.trim()]));
    }
    let counted =
        ["d", "mo"].iter().any(|unit| period.strip_suffix(unit).is_some_and(|count| count.parse::<u32>().is_ok()));
    if !counted && !PERIODS.contains(&period) {
        return Err(refused(&format!("period is not known{}", input::suggest(period, PERIODS))));
    }
    let Some(date) = date else { return Ok(json!(period)) };
    let day = Day::parse(date.trim()).ok_or_else(|| refused("date must be a date, as in 2026-11-30"))?;
    let then = Context { now: context.zone.start_of_day(day), ..context.clone() };
    let span = crate::measure::query::Span::parse(&json!(period), "period", &context.zone, &then)?;
    match span.days {
        Some((first, end)) => Ok(json!([first, end.plus(-1)])),
        None => Err(refused("date goes with a period of days or months only")),
    }
}

/// `property==value;property!=a|b`, in which `*` stands for any characters.
fn filters_of(text: &str) -> Result<Value, Refusal> {
    let rule = "filters must be written as property==value, property!=value or property~value, separated by ;";
    let mut filters = Vec::new();
    for filter in split(text, ';') {
        let operators = [("==", "is", "matches"), ("!=", "is_not", "matches_not"), ("~", "contains", "contains")];
        let parts = operators.iter().filter_map(|(sign, exact, wild)| {
            let (name, values) = filter.split_once(sign)?;
            Some((name.trim(), values, *exact, *wild))
        });
        // The sign that comes first; others belong to the value.
        let (name, values, exact, wild) =
            parts.min_by_key(|(name, ..)| name.len()).ok_or_else(|| input::refused(rule))?;
        let values: Vec<String> =
            split(values, '|').into_iter().map(|value| value.replace("\\|", "|").replace("\\;", ";")).collect();
        // The names of goals are page patterns themselves.
        if exact != "contains" && name != "event:goal" && values.iter().any(|value| value.contains('*')) {
            let pattern = |value: &String| {
                let parts: Vec<_> = value.split('*').map(regex::escape).collect();
                format!("^{}$", parts.join(".*"))
            };
            filters.push(json!([wild, name, values.iter().map(pattern).collect::<Vec<_>>()]));
        } else {
            filters.push(json!([exact, name, values]));
        }
    }
    let filters = filters.iter().enumerate();
    filters.map(|(number, filter)| v2::translate(filter, &format!("filters[{number}]"))).collect()
}

/// Splits at a sign that no backslash precedes.
fn split(text: &str, at: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == at && !escaped {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
        escaped = c == '\\' && !escaped;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::question::{Answer, Number, ResultRow, VisitorCount};
    use crate::time::Timestamp;

    fn parse(path: Path, query: &str) -> Result<Request, Refusal> {
        let params: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Request::parse(path, &params, &Context::at(Timestamp::parse("2026-11-28T12:00:00Z").unwrap()))
    }

    fn response(request: &Request, rows: &[(&[&str], &[Option<Number>])], other: Option<Number>) -> Value {
        let row = |(dimensions, metrics): &(&[&str], &[Option<Number>])| ResultRow {
            dimensions: dimensions.iter().map(|value| (*value).to_owned()).collect(),
            metrics: metrics.to_vec(),
        };
        let answer = |rows| Answer { rows, visitors: VisitorCount::Distinct, capped: Vec::new(), summaries: None };
        let compared = other.map(|other| answer(vec![row(&(&[], &[Some(other)]))]));
        let (results, _) = request.query.results(answer(rows.iter().map(row).collect()), compared);
        request.response(&results)
    }

    fn number(value: i64) -> Option<Number> {
        Some(Number::whole(value))
    }

    #[test]
    fn current_visitors_are_a_number() {
        let request = parse(Path::RealtimeVisitors, "site_id=example.com").unwrap();
        assert_eq!(response(&request, &[(&[], &[number(21)])], None), json!(21));
    }

    #[test]
    fn an_aggregate_has_a_value_for_each_metric() {
        let request = parse(Path::Aggregate, "site_id=a.example&period=6mo&metrics=visitors,bounce_rate").unwrap();
        assert_eq!(request.query.question.range.start.to_string(), "2026-05-01T00:00:00.000Z");
        assert_eq!(
            response(&request, &[(&[], &[number(7), None])], None),
            json!({"results": {"visitors": {"value": 7}, "bounce_rate": {"value": 0}}})
        );
        let request = parse(Path::Aggregate, "site_id=a.example&compare=previous_period").unwrap();
        assert_eq!(
            response(&request, &[(&[], &[number(6)])], Some(Number::whole(4))),
            json!({"results": {"visitors": {"value": 6, "change": 50}}})
        );
    }

    #[test]
    fn a_series_has_all_buckets() {
        let query = "site_id=a.example&period=custom&date=2026-11-01,2026-11-03&metrics=visitors,bounce_rate";
        let request = parse(Path::Timeseries, query).unwrap();
        assert_eq!(
            response(&request, &[(&["2026-11-02"], &[number(3), number(50)])], None),
            json!({"results": [
                {"date": "2026-11-01", "visitors": 0, "bounce_rate": null},
                {"date": "2026-11-02", "visitors": 3, "bounce_rate": 50},
                {"date": "2026-11-03", "visitors": 0, "bounce_rate": null},
            ]})
        );
        let hours = parse(Path::Timeseries, "site_id=a.example&period=day&date=2026-11-10").unwrap();
        let results = response(&hours, &[], None);
        assert_eq!(results["results"][1], json!({"date": "2026-11-10 01:00:00", "visitors": 0}));
        assert_eq!(results["results"].as_array().unwrap().len(), 24);
        // From the first year that some clients ask for.
        let years = parse(Path::Timeseries, "site_id=a.example&period=custom&date=2019-01-01,2026-11-28").unwrap();
        assert_eq!(response(&years, &[], None)["results"].as_array().unwrap().len(), 2_889);
    }

    #[test]
    fn a_breakdown_is_keyed_by_its_property() {
        let query = "site_id=a.example&property=visit:device&metrics=visitors&limit=5&page=3";
        let request = parse(Path::Breakdown, query).unwrap();
        assert_eq!((request.query.question.limit, request.query.question.offset), (5, 10));
        let first = parse(Path::Breakdown, "site_id=a.example&property=visit:device").unwrap();
        assert_eq!(
            response(&first, &[(&["mobile"], &[number(2)])], None),
            json!({"results": [{"device": "Mobile", "visitors": 2}]})
        );
        let landing = parse(Path::Breakdown, "site_id=a.example&property=event:entry_page").unwrap();
        assert_eq!(
            response(&landing, &[(&["/"], &[number(2)])], None),
            json!({"results": [{"entry_page": "/", "visitors": 2}]})
        );
    }

    #[test]
    fn periods_are_relative_to_a_date() {
        for (query, start, end) in [
            ("period=7d&date=2026-11-10", "2026-11-03", "2026-11-10"),
            ("period=month&date=2026-02-10", "2026-02-01", "2026-03-01"),
            ("period=day&date=2026-02-10", "2026-02-10", "2026-02-11"),
            ("period=12mo&date=2026-02-10", "2025-02-01", "2026-02-01"),
            ("", "2026-10-29", "2026-11-28"),
        ] {
            let range = parse(Path::Aggregate, &format!("site_id=a.example&{query}")).unwrap().query.question.range;
            assert_eq!(
                (range.start.day().to_string(), range.end.day().to_string()),
                (start.into(), end.into()),
                "{query}"
            );
        }
    }

    #[test]
    fn filters_are_translated() {
        for (filters, expected) in [
            ("event:page==/a", json!([["is", "event:page", ["/a"]]])),
            (
                "visit:source==Github|Twitter;visit:device!=Mobile",
                json!([["is", "visit:source", ["Github", "Twitter"]], ["is_not", "visit:device", ["mobile"]]]),
            ),
            ("event:page==/blog/**", json!([["matches", "event:page", ["^/blog/.*.*$"]]])),
            ("visit:utm_campaign==a\\|b", json!([["is", "visit:utm_campaign", ["a|b"]]])),
            ("event:page~blog", json!([["contains", "event:page", ["blog"]]])),
            ("event:goal==signup|Visit /a*", json!([["is", "event:goal", ["Visit /a*", "signup"]]])),
            ("event:props:x==a==b", json!([["is", "event:props:x", ["a==b"]]])),
            ("event:name==pageview", json!([["is", "event:name", ["page_view"]]])),
        ] {
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("filters", filters).finish();
            let request = parse(Path::Aggregate, &format!("site_id=a.example&{query}")).unwrap();
            assert_eq!(request.query.canonical()["filters"], expected, "{filters}");
        }
    }

    #[test]
    fn mistakes_are_refused() {
        for (path, query, message) in [
            (Path::Aggregate, "metrics=vistors", "metrics[0] is not a metric; did you mean visitors?"),
            (Path::Aggregate, "period=mnth", "period is not known; did you mean month?"),
            (Path::Aggregate, "period=custom&date=2026-11-01", "date must be two dates"),
            (Path::Aggregate, "date=tomorrow", "date must be a date"),
            (Path::Aggregate, "filters=event:page", "filters must be written as property==value"),
            (Path::Breakdown, "", "property is missing"),
            (Path::Breakdown, "property=visit:screen", "property: visit:screen is not available"),
            (Path::Breakdown, "property=time:day", "property must not be one of time"),
            (Path::Breakdown, "property=visit:os&limit=1001", "limit must be a whole number from 1 to 1000"),
            (Path::Breakdown, "property=visit:os&page=0", "page must be a whole number from 1 to 1000"),
            (Path::Timeseries, "interval=fortnight", "interval is not known"),
        ] {
            let refusal = parse(path, &format!("site_id=a.example&{query}")).unwrap_err();
            assert!(refusal.message.starts_with(message), "{refusal}");
        }
        assert_eq!(parse(Path::Aggregate, "").unwrap_err().code, Code::InvalidSite);
    }
}
