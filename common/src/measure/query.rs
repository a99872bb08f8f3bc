//! The query language: from JSON to questions, and from answers to JSON and CSV.
//!
//! [`Query::parse`] checks and resolves everything that a client can write; whatever it returns can be
//! answered. [`Query::results`] orders, pages and compares the rows that were computed.

mod compare;
mod csv;
mod date_range;
mod filters;
mod funnel;
mod goals;
pub(in crate::measure) mod input;
pub mod openapi;
mod order;
mod results;
mod retention;

pub use compare::change;
pub use csv::Csv;
pub use funnel::{FunnelQuery, FunnelResults};
pub use input::json;
pub use results::{EventsMeta, Meta, Results};
pub use retention::{RetentionQuery, RetentionResults};

pub(super) use date_range::Span;
pub(super) use filters::{About, Filters, Parsed, parse_dimension};
pub(super) use input::{refused, suggest};

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use self::compare::Compare;
use self::filters::of_entry_page;
use self::input::{Result, flag, list, number, object, text};
use super::question::{Buckets, Dimension, Field, Filter, Goal, Goals, Metric, Question, Range, Scope, TimeUnit};
use super::site_goals::NamedFunnel;
use super::zone::Zone;
use crate::outcome::{Code, Refusal};
use crate::site::Site;
use crate::time::{DAY, Day, HOUR, Timestamp};

/// What the meaning of a query depends on, besides itself.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// The time.
    pub now: Timestamp,
    /// The zone of queries that name none.
    pub zone: Zone,
    /// The site's goals.
    pub goals: Cow<'a, [Goal]>,
    /// The site's funnels that have a name.
    pub funnels: Cow<'a, [NamedFunnel]>,
    /// The first UTC day of which the site has data.
    pub first_day: Option<Day>,
    /// How long a visitor counts as current, in seconds.
    pub active_window_seconds: u32,
}

impl Context<'_> {
    /// UTC, no goals, no data, a window of 300 seconds.
    #[must_use]
    pub const fn at(now: Timestamp) -> Context<'static> {
        Context {
            now,
            zone: Zone::UTC,
            goals: Cow::Borrowed(&[]),
            funnels: Cow::Borrowed(&[]),
            first_day: None,
            active_window_seconds: 300,
        }
    }
}

/// A query that was checked: its questions, and what it takes to present their answers.
#[derive(Debug, Clone)]
pub struct Query {
    /// What to compute.
    pub question: Question,
    /// The same question about the range to compare with.
    pub comparison: Option<Question>,
    /// The query as interpreted; parsed again, it is the same query.
    json: Value,
    /// Whether the range reaches into the last 24 hours, in which events may still arrive.
    provisional: bool,
    /// Whether all labels of time are wanted, of empty buckets too.
    time_labels: bool,
}

/// How far a range may reach before its results are final.
const LATE: i64 = 24 * HOUR;
pub(super) const MOST_OFFSET: usize = 1_000_000;
const DEFAULT_LIMIT: usize = 100;
const KEYS: [&str; 11] = [
    "site",
    "metrics",
    "date_range",
    "timezone",
    "dimensions",
    "filters",
    "order_by",
    "compare",
    "include",
    "limit",
    "offset",
];

impl Query {
    /// The site that a query asks about, which the caller needs to know the context.
    ///
    /// # Errors
    /// `INVALID_SITE` if it is no slug.
    pub fn site(value: &Value) -> Result<Site> {
        let Some(site) = value.get("site") else { return Ok(Site::default()) };
        let refusal = || Refusal::new(Code::InvalidSite, format!("site must be {}", Site::RULE));
        site.as_str().and_then(Site::parse).ok_or_else(refusal)
    }

    /// Whether a query asks for all data, for which the caller needs to know where it begins.
    #[must_use]
    pub fn asks_all(value: &Value) -> bool {
        value.get("date_range").and_then(Value::as_str) == Some("all")
    }

    /// Checks and resolves a query.
    ///
    /// # Errors
    /// A refusal that names the place of the mistake and what is allowed there.
    pub fn parse(value: &Value, context: &Context<'_>) -> Result<Self> {
        let map = object(value, "the query", &KEYS)?;
        let site = Self::site(value)?;
        let zone = parse_zone(map, context)?;
        let mut span = required_span(map, &zone, context)?;
        let metrics = parse_metrics(map)?;
        let compare = map.get("compare").map(|value| Compare::parse(value, &zone, context)).transpose()?;
        let compared = match compare {
            Some(compare) => {
                let (main, other) = compare.ranges(span, &zone, context);
                span.range = main;
                Some(other)
            }
            None => None,
        };
        let dimensions = parse_dimensions(map, span.range, &zone)?;
        let filters = match map.get("filters") {
            Some(filters) => Filters::new(context).all(filters, "filters")?,
            None => Vec::new(),
        };
        check(&metrics, &dimensions, &filters)?;
        let order_by = order::parse(map.get("order_by"), &metrics, &dimensions)?;
        let include = match map.get("include") {
            Some(include) => object(include, "include", &["time_labels"])?.get("time_labels"),
            None => None,
        };
        let time_labels = flag(include, "include.time_labels")?;
        if time_labels && !dimensions.iter().any(|dimension| dimension.scope() == Scope::Time) {
            return Err(refused("include.time_labels needs a time dimension"));
        }
        let limit = number(map.get("limit"), "limit", (1, Question::MOST_ROWS), DEFAULT_LIMIT, Code::InvalidLimit)?;
        let offset = number(map.get("offset"), "offset", (0, MOST_OFFSET), 0, Code::InvalidOffset)?;

        let json = json!({
            "site": site.as_str(),
            "metrics": metrics.iter().map(|metric| metric.name()).collect::<Vec<_>>(),
            "date_range": map.get("date_range"),
            "timezone": zone.name(),
            "dimensions": dimensions.iter().map(Dimension::to_string).collect::<Vec<_>>(),
            "filters": filters.iter().map(|filter| &filter.json).collect::<Vec<_>>(),
            "order_by": order::written(&order_by, &metrics, &dimensions),
            "compare": map.get("compare"),
            "include": {"time_labels": time_labels},
            "limit": limit,
            "offset": offset,
        });
        let question = Question {
            site,
            buckets: divide(&dimensions, span.range, &zone)?,
            conversion_base: if metrics.iter().any(|metric| metric.is_conversion()) {
                kept(&filters, |about| !about.is_conversion())
            } else {
                kept(&filters, |_| true)
            },
            entry_filters: kept(&filters, About::is_page_only).iter().map(of_entry_page).collect(),
            reports_are_events: dimensions.contains(&Dimension::Field(Field::EventName))
                || filters.iter().any(|filter| filter.about.names),
            goals: if dimensions.contains(&Dimension::Goal) { goals::rows(context) } else { Goals::CustomEvents },
            filters: kept(&filters, |_| true),
            metrics,
            dimensions,
            range: span.range,
            zone: zone.clone(),
            order_by,
            limit,
            offset,
        };
        let comparison = match compared {
            Some(range) => {
                let buckets = divide(&question.dimensions, range, &zone)?;
                Some(Question { range, buckets, ..question.clone() })
            }
            None => None,
        };
        let provisional = question.range.end > context.now.plus(-LATE) && question.range.start <= context.now;
        Ok(Self { question, comparison, json: without_null(json), provisional, time_labels })
    }

    /// The query as interpreted: names resolved, values in normal form, defaults filled in.
    #[must_use]
    pub const fn canonical(&self) -> &Value {
        &self.json
    }

    /// What distinguishes it from queries with another answer, as long as the data is the same.
    #[must_use]
    pub fn key(&self) -> String {
        let question = &self.question;
        let compared = self.comparison.as_ref().map(|question| question.range);
        format!("{} {:?} {compared:?} {:?} {:?}", self.json, question.range, question.filters, question.goals)
    }

    /// The query string of a link that asks it again: `q=…`.
    #[must_use]
    pub fn link(&self) -> String {
        link(&self.json)
    }
}

/// The UTC days that a `date_range` reaches into.
///
/// # Errors
/// `INVALID_DATE` if it is none.
pub fn utc_days(range: &Value, context: &Context<'_>) -> Result<std::ops::Range<Day>> {
    let Range { start, end } = Span::parse(range, "date_range", &context.zone, context)?.range;
    Ok(start.day()..end.plus(-1).max(start).day().plus(1))
}

/// `q=` and a query, for a URL.
pub(super) fn link(json: &Value) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair("q", &json.to_string()).finish()
}

/// Leaves out members that are null.
fn without_null(mut json: Value) -> Value {
    if let Value::Object(map) = &mut json {
        map.retain(|_, value| !value.is_null());
    }
    json
}

fn kept(filters: &[Parsed], keep: impl Fn(About) -> bool) -> Vec<Filter> {
    filters.iter().filter(|parsed| keep(parsed.about)).map(|parsed| parsed.filter.clone()).collect()
}

fn parse_zone(map: &Map<String, Value>, context: &Context<'_>) -> Result<Zone> {
    let Some(value) = map.get("timezone") else { return Ok(context.zone.clone()) };
    let name = text(value, "timezone")?;
    Zone::parse(name).ok_or_else(|| {
        let names = Zone::names();
        let rule = "timezone must be a name of the IANA time zone database, such as Europe/Paris";
        let hint = suggest(name, names.iter().map(String::as_str));
        // The list of all names is long.
        let near = hint.split(" allowed:").next().unwrap_or_default();
        refused(format!("{rule}{}", near.trim_end_matches(';')))
    })
}

fn required_span(map: &Map<String, Value>, zone: &Zone, context: &Context<'_>) -> Result<Span> {
    match map.get("date_range") {
        Some(value) => Span::parse(value, "date_range", zone, context),
        None => Err(refused("date_range is missing; for example \"7d\" or [\"2026-11-01\", \"2026-11-30\"]")),
    }
}

fn parse_metrics(map: &Map<String, Value>) -> Result<Vec<Metric>> {
    let allowed = || Metric::ALL.iter().map(|metric| metric.name());
    let missing = || refused(format!("metrics must have at least one metric{}", suggest("", allowed())));
    let Some(value) = map.get("metrics") else { return Err(missing()) };
    let mut metrics = Vec::new();
    for (number, name) in list(value, "metrics")?.iter().enumerate() {
        let place = format!("metrics[{number}]");
        let name = text(name, &place)?;
        let metric = Metric::parse(name)
            .ok_or_else(|| refused(format!("{place} is not a metric{}", suggest(name, allowed()))))?;
        if metrics.contains(&metric) {
            return Err(refused(format!("{place} is there twice")));
        }
        metrics.push(metric);
    }
    if metrics.is_empty() { Err(missing()) } else { Ok(metrics) }
}

fn parse_dimensions(map: &Map<String, Value>, range: Range, zone: &Zone) -> Result<Vec<Dimension>> {
    let Some(value) = map.get("dimensions") else { return Ok(Vec::new()) };
    let names = list(value, "dimensions")?;
    if names.len() > Question::MOST_DIMENSIONS {
        return Err(refused(format!("a query may have at most {} dimensions", Question::MOST_DIMENSIONS)));
    }
    let mut dimensions = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let place = format!("dimensions[{number}]");
        let dimension = match text(name, &place)? {
            "time" => Dimension::Time(unit_for(range, zone)),
            name => parse_dimension(name, &place)?,
        };
        if dimensions.contains(&dimension) {
            return Err(refused(format!("{place} is there twice")));
        }
        dimensions.push(dimension);
    }
    Ok(dimensions)
}

/// How `time` divides a range: by its length on the local clock.
fn unit_for(range: Range, zone: &Zone) -> TimeUnit {
    match zone.local(range.end) - zone.local(range.start) {
        length if length <= 48 * HOUR => TimeUnit::Hour,
        length if length <= 40 * DAY => TimeUnit::Day,
        length if length <= 52 * 7 * DAY => TimeUnit::Week,
        _ => TimeUnit::Month,
    }
}

fn divide(dimensions: &[Dimension], range: Range, zone: &Zone) -> Result<Vec<Buckets>> {
    let mut buckets = Vec::new();
    for dimension in dimensions {
        if let Dimension::Time(unit) = dimension {
            buckets.push(Buckets::new(*unit, range, zone).ok_or_else(|| {
                let rule = format!("more than {} rows of {dimension}", Question::MOST_ROWS);
                refused(format!("the range has {rule}; ask for a shorter one, or for a longer unit of time"))
            })?);
        }
    }
    Ok(buckets)
}

/// Refuses combinations that have no meaning.
fn check(metrics: &[Metric], dimensions: &[Dimension], filters: &[Parsed]) -> Result<()> {
    let page = Dimension::Field(Field::Page);
    let splits_visits = |dimension: &&Dimension| {
        dimension.scope() == Scope::Event && !matches!(dimension, Dimension::Field(Field::Page | Field::Hostname))
    };
    let split = dimensions.iter().find(splits_visits);
    let has_goal = dimensions.contains(&Dimension::Goal)
        || filters.iter().any(|filter| filter.about.is_conversion() && filter.about.has_goal());
    let has_page = dimensions.contains(&page) || filters.iter().any(|filter| filter.about.has_page());
    for metric in metrics {
        let name = metric.name();
        match metric {
            Metric::BounceRate | Metric::VisitDuration | Metric::ViewsPerVisit => {
                if let Some(dimension) = split {
                    let rule = "visits cannot be divided by it; of the event: dimensions, only event:page and event:hostname \
                                can be used";
                    return Err(refused(format!(
                        "{name} is of whole visits and cannot be asked by {dimension}: {rule}"
                    )));
                }
            }
            Metric::ConversionRate | Metric::GroupConversionRate if !has_goal => {
                let rule = "a top-level filter on event:goal, or the dimension event:goal";
                return Err(refused(format!("{name} needs a goal: {rule}")));
            }
            Metric::Percentage if dimensions.is_empty() => {
                return Err(refused("percentage needs a dimension: without one it is always 100"));
            }
            Metric::ScrollDepth | Metric::TimeOnPage if !has_page => {
                return Err(refused(format!("{name} needs a filter on event:page, or the dimension event:page")));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests;
