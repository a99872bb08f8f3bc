//! The query language of funnels.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::csv::Csv;
use super::filters::{Filters, parse_dimension};
use super::input::{Result, list, number, object, refused, suggest, text};
use super::{About, Context, DEFAULT_LIMIT, Query, kept, link, parse_zone, required_span, without_null};
use crate::measure::question::funnel::{Funnel, FunnelAnswer, FunnelRow, FunnelStep, StepOrder, Within};
use crate::measure::question::{Dimension, Field, Number, Question, Scope};
use crate::outcome::Code;
use crate::time::{DAY, SECOND};

pub(super) const KEYS: [&str; 10] =
    ["site", "date_range", "timezone", "funnel", "steps", "order", "within", "filters", "dimension", "limit"];
/// The longest time from the first step to the last, in seconds.
const LONGEST: i64 = 90 * DAY / SECOND;

/// A funnel that was checked.
#[derive(Debug, Clone)]
pub struct FunnelQuery {
    /// What to compute.
    pub funnel: Funnel,
    json: Value,
}

impl FunnelQuery {
    /// Checks and resolves a query for a funnel.
    ///
    /// # Errors
    /// A refusal that names the place of the mistake and what is allowed there.
    pub fn parse(value: &Value, context: &Context<'_>) -> Result<Self> {
        let map = object(value, "the query", &KEYS)?;
        let site = Query::site(value)?;
        let zone = parse_zone(map, context)?;
        let span = required_span(map, &zone, context)?;
        let mut filters = Filters::new(context);

        let counts = (Funnel::FEWEST_STEPS, Funnel::MOST_STEPS);
        let steps = match (map.get("funnel"), map.get("steps")) {
            (Some(_), Some(_)) => return Err(refused("a query has a funnel's name or steps, not both")),
            (Some(name), None) => named(text(name, "funnel")?, context)?,
            (None, steps) => steps.map_or(Ok(&[][..]), |steps| list(steps, "steps"))?,
        };
        if !(counts.0..=counts.1).contains(&steps.len()) {
            return Err(refused(format!("a funnel has {} to {} steps, each a filter", counts.0, counts.1)));
        }
        let steps = steps.iter().enumerate().map(|(number, step)| filters.one(step, &format!("steps[{number}]"), 1));
        let steps = steps.collect::<Result<Vec<_>>>()?;
        let conditions = map.get("filters").map_or(Ok(Vec::new()), |value| filters.all(value, "filters"))?;

        let order = match map.get("order").map_or(Ok("sequential"), |order| text(order, "order"))? {
            "sequential" => StepOrder::Sequential,
            "strict" => StepOrder::Strict,
            other => return Err(refused(format!("order is not known{}", suggest(other, ["sequential", "strict"])))),
        };
        let within = match map.get("within") {
            None => Within::Visit,
            Some(Value::String(visit)) if visit == "visit" => Within::Visit,
            Some(value) => {
                let seconds = value.as_i64().filter(|seconds| (1..=LONGEST).contains(seconds));
                let seconds = seconds.and_then(|seconds| u32::try_from(seconds).ok());
                let rule = format!("within must be \"visit\" or seconds from 1 to {LONGEST}");
                Within::Seconds(seconds.ok_or_else(|| refused(rule))?)
            }
        };
        let dimension = match map.get("dimension") {
            Some(name) => Some(parse_dimension(text(name, "dimension")?, "dimension")?),
            None => None,
        };
        if dimension.as_ref().is_some_and(|dimension| dimension.scope() == Scope::Time || *dimension == Dimension::Goal)
        {
            return Err(refused("dimension must be one of an event or a visit, and not event:goal"));
        }
        let limit = number(map.get("limit"), "limit", (1, Question::MOST_ROWS), DEFAULT_LIMIT, Code::InvalidLimit)?;

        let json = json!({
            "site": site.as_str(),
            "date_range": map.get("date_range"),
            "timezone": zone.name(),
            "steps": steps.iter().map(|step| &step.json).collect::<Vec<_>>(),
            "order": if order == StepOrder::Strict { "strict" } else { "sequential" },
            "within": match within {
                Within::Visit => json!("visit"),
                Within::Seconds(seconds) => json!(seconds),
            },
            "filters": conditions.iter().map(|filter| &filter.json).collect::<Vec<_>>(),
            "dimension": dimension.as_ref().map(Dimension::to_string),
            "limit": limit,
        });
        let every = |_: About| true;
        let funnel = Funnel {
            site,
            reports_are_events: dimension == Some(Dimension::Field(Field::EventName))
                || steps.iter().chain(&conditions).any(|filter| filter.about.names),
            steps: kept(&steps, every),
            order,
            within,
            filters: kept(&conditions, every),
            dimension,
            range: span.range,
            limit,
        };
        Ok(Self { funnel, json: without_null(json) })
    }

    /// The query as interpreted.
    #[must_use]
    pub const fn canonical(&self) -> &Value {
        &self.json
    }

    /// The query string of a link that asks it again: `q=…`.
    #[must_use]
    pub fn link(&self) -> String {
        link(&self.json)
    }

    /// What distinguishes it from funnels with another answer, as long as the data is the same.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{} {:?} {:?} {:?}", self.json, self.funnel.range, self.funnel.steps, self.funnel.filters)
    }

    /// The answer, with drop-off and conversion.
    #[must_use]
    pub fn results(&self, answer: FunnelAnswer) -> FunnelResults {
        let row = |row: FunnelRow| FunnelResult { steps: steps(&row.steps), value: row.value };
        FunnelResults { results: answer.rows.into_iter().map(row).collect(), total_rows: answer.total_rows }
    }
}

/// The steps of the site's funnel of this name.
fn named<'a>(name: &str, context: &'a Context<'_>) -> Result<&'a [Value]> {
    let funnel = context.funnels.iter().find(|funnel| funnel.name == name);
    funnel.map(|funnel| funnel.steps.as_slice()).ok_or_else(|| {
        let names = context.funnels.iter().map(|funnel| funnel.name.as_str());
        refused(format!("the site has no funnel of this name{}", suggest(name, names)))
    })
}

/// What a client gets.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FunnelResults {
    /// One funnel, or one for each value of the dimension.
    pub results: Vec<FunnelResult>,
    /// How many there are without the limit.
    pub total_rows: usize,
}

/// One funnel.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FunnelResult {
    /// The value of the dimension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Its steps.
    pub steps: Vec<StepResult>,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct StepResult {
    /// Visitors who reached it.
    pub visitors: u64,
    /// Visitors who reached the step before, and not this one; 0 for the first step.
    pub drop_off: u64,
    /// Those in percent of the step before; null if there are none of them, and for the first step.
    pub drop_off_rate: Option<Number>,
    /// Visitors in percent of the first step; null if there are none of them.
    pub conversion_rate: Option<Number>,
    /// Median of the seconds since the step before.
    pub median_seconds: Option<Number>,
}

fn steps(steps: &[FunnelStep]) -> Vec<StepResult> {
    let first = steps.first().map_or(0, |step| step.visitors);
    let mut before: Option<u64> = None;
    let one = |step: &FunnelStep| {
        let drop_off = before.map_or(0, |before| before.saturating_sub(step.visitors));
        let percent = |part: u64, whole: u64| Number::ratio(i128::from(part) * 100, whole, 2);
        let drop_off_rate = before.and_then(|before| percent(drop_off, before));
        before = Some(step.visitors);
        StepResult {
            visitors: step.visitors,
            drop_off,
            drop_off_rate,
            conversion_rate: percent(step.visitors, first),
            median_seconds: step.median_seconds,
        }
    };
    steps.iter().map(one).collect()
}

impl FunnelResults {
    /// The results as CSV, a line for each step.
    #[must_use]
    pub fn csv(&self, query: &FunnelQuery) -> String {
        let mut csv = Csv::default();
        let dimension = query.funnel.dimension.as_ref();
        if let Some(dimension) = dimension {
            csv.text(&dimension.to_string());
        }
        for name in ["step", "visitors", "drop_off", "drop_off_rate", "conversion_rate", "median_seconds"] {
            csv.text(name);
        }
        csv.end_line();
        for row in &self.results {
            for (place, step) in row.steps.iter().enumerate() {
                if dimension.is_some() {
                    csv.text(row.value.as_deref().unwrap_or_default());
                }
                csv.number(Some(Number::count(place as u64 + 1)));
                csv.number(Some(Number::count(step.visitors)));
                csv.number(Some(Number::count(step.drop_off)));
                csv.number(step.drop_off_rate);
                csv.number(step.conversion_rate);
                csv.number(step.median_seconds);
                csv.end_line();
            }
        }
        csv.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn parse(query: &Value) -> Result<FunnelQuery> {
        FunnelQuery::parse(query, &Context::at(Timestamp::parse("2026-11-28T12:00:00Z").unwrap()))
    }

    #[test]
    fn a_funnel_is_read_and_written() {
        let step = json!(["is", "event:page", ["/p"]]);
        let query = parse(&json!({"steps": [step, step], "date_range": "7d"})).unwrap();
        assert_eq!((query.funnel.order, query.funnel.within), (StepOrder::Sequential, Within::Visit));
        assert_eq!(parse(query.canonical()).unwrap().canonical(), query.canonical());
        let strict = parse(&json!({
            "steps": [step, ["is", "event:goal", ["signup"]]], "date_range": "7d", "order": "strict", "within": 3600,
            "dimension": "visit:device", "limit": 5,
        }));
        let funnel = strict.unwrap().funnel;
        assert_eq!((funnel.order, funnel.within, funnel.limit), (StepOrder::Strict, Within::Seconds(3_600), 5));
    }

    #[test]
    fn bad_funnels_say_what_is_allowed() {
        let step = json!(["is", "event:page", ["/p"]]);
        for (change, message) in [
            (json!({"steps": [step]}), "a funnel has 2 to 8 steps, each a filter"),
            (json!({"steps": vec![step.clone(); 9]}), "a funnel has 2 to 8 steps, each a filter"),
            (json!({"order": "strit"}), "order is not known; did you mean strict? allowed: sequential, strict"),
            (json!({"within": 0}), "within must be \"visit\" or seconds from 1 to 7776000"),
            (json!({"within": "day"}), "within must be \"visit\" or seconds from 1 to 7776000"),
            (json!({"dimension": "time:day"}), "dimension must be one of an event or a visit, and not event:goal"),
            (json!({"limit": 0}), "limit must be a whole number from 1 to 10000"),
        ] {
            let mut query = json!({"steps": [step, step], "date_range": "7d"});
            for (key, value) in change.as_object().unwrap() {
                query[key] = value.clone();
            }
            assert_eq!(parse(&query).unwrap_err().message, message);
        }
    }

    #[test]
    fn drop_off_is_of_the_step_before_and_conversion_of_the_first() {
        let reached = [8, 6, 0, 0].map(|visitors| FunnelStep { visitors, median_seconds: None });
        let found = steps(&reached);
        let shown = |step: &StepResult| {
            let written = |number: Option<Number>| number.map(|number| number.to_string());
            (step.drop_off, written(step.drop_off_rate), written(step.conversion_rate))
        };
        let percent = |text: &str| Some(text.to_owned());
        assert_eq!(shown(&found[0]), (0, None, percent("100.00")));
        assert_eq!(shown(&found[1]), (2, percent("25.00"), percent("75.00")));
        assert_eq!(shown(&found[2]), (6, percent("100.00"), percent("0.00")));
        assert_eq!(shown(&found[3]), (0, None, percent("0.00")));
    }
}
