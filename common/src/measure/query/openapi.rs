//! The schemas of requests, made from the tables that requests are checked against.

use serde_json::json;
use utoipa::openapi::schema::{ArrayBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::{DEFAULT_LIMIT, MOST_OFFSET, retention};
use crate::measure::question::funnel::Funnel;
use crate::measure::question::retention::Retention;
use crate::measure::question::{Dimension, Field, Metric, Question, TimeUnit};
use crate::site::Site;

/// The body of `POST /query`, and the parameter `q` of `GET /query`; see [`Query::parse`](super::Query::parse).
#[derive(Debug)]
pub struct QueryRequest;

/// The body of `POST /query/funnel`; see [`FunnelQuery::parse`](super::FunnelQuery::parse).
#[derive(Debug)]
pub struct FunnelRequest;

/// The body of `POST /query/retention`; see [`RetentionQuery::parse`](super::RetentionQuery::parse).
#[derive(Debug)]
pub struct RetentionRequest;

impl ToSchema for QueryRequest {}
impl ToSchema for FunnelRequest {}
impl ToSchema for RetentionRequest {}

impl PartialSchema for QueryRequest {
    fn schema() -> RefOr<Schema> {
        let order = "[metric or dimension, \"asc\" or \"desc\"] of those that are asked for, the most important first.";
        let compare = "\"previous_period\", \"year_over_year\", a range as in date_range, or {\"mode\": one of these, \
                       \"match_day_of_week\": true}.";
        let labels = object("More that is wanted.")
            .property("time_labels", typed(Type::Boolean, "All labels of time, in meta."));
        let metrics = list(metric(), "What to compute.").min_items(Some(1)).unique_items(true);
        let dimensions =
            list(dimension(), "What to group by.").max_items(Some(Question::MOST_DIMENSIONS)).unique_items(true);
        common("A query.")
            .property("metrics", metrics)
            .property("dimensions", dimensions)
            .property("filters", filters())
            .property("order_by", anything_list(order))
            .property("compare", anything(compare))
            .property("include", labels)
            .property("limit", number("The most rows.", 1, Question::MOST_ROWS, DEFAULT_LIMIT))
            .property("offset", number("How many rows to pass over.", 0, MOST_OFFSET, 0))
            .required("metrics")
            .required("date_range")
            .into()
    }
}

impl PartialSchema for FunnelRequest {
    fn schema() -> RefOr<Schema> {
        let steps = anything_list("A filter for each step.");
        let steps = steps.min_items(Some(Funnel::FEWEST_STEPS)).max_items(Some(Funnel::MOST_STEPS));
        let within = "\"visit\", or the most seconds from the first step to the last.";
        let order = "Whether other events may come between two steps.";
        common("A funnel: its steps, or the name of one of the site.")
            .property("funnel", typed(Type::String, "The name of a funnel that the site has, in the place of steps."))
            .property("steps", steps)
            .property("order", words(order, ["sequential", "strict"]))
            .property("within", anything(within))
            .property("filters", filters())
            .property("dimension", dimension())
            .property("limit", number("The most values of the dimension.", 1, Question::MOST_ROWS, DEFAULT_LIMIT))
            .required("date_range")
            .into()
    }
}

impl PartialSchema for RetentionRequest {
    fn schema() -> RefOr<Schema> {
        let weeks = "How many weeks to follow each cohort, its own included.";
        object("A question about returning visitors.")
            .property("site", site())
            .property("timezone", timezone())
            .property("weeks", number(weeks, 1, Retention::MOST_WEEKS, retention::DEFAULT_WEEKS))
            .into()
    }
}

/// What queries and funnels share.
fn common(description: &str) -> ObjectBuilder {
    let range = "A name (day, 24h, 30m, realtime, 7d and other numbers of days, month, 6mo and other numbers of months, \
                 year, all), or [from, to], both dates or both date-times with an offset.";
    object(description)
        .property("site", site())
        .property("date_range", anything(range).examples([json!("30d"), json!(["2026-11-01", "2026-11-30"])]))
        .property("timezone", timezone())
}

fn site() -> ObjectBuilder {
    typed(Type::String, "The site, `default` when none is named.").pattern(Some(Site::PATTERN))
}

fn timezone() -> ObjectBuilder {
    typed(Type::String, "A name of the IANA time zone database.").examples([json!("Europe/Paris")])
}

fn filters() -> ArrayBuilder {
    let rule = "Conditions that must all hold for one event: [\"is\" | \"is_not\" | \"contains\" | \"contains_not\" | \
                \"matches\" | \"matches_not\", dimension, [value, …], {\"case_sensitive\": false}?], [\"and\" | \"or\", \
                [filter, …]], [\"not\" | \"has_done\" | \"has_not_done\", filter].";
    anything_list(rule)
}

fn metric() -> OneOfBuilder {
    let one = |words: OneOfBuilder, metric: &Metric| words.item(words_of(metric.name(), metric.description()));
    Metric::ALL.iter().fold(OneOfBuilder::new(), one)
}

/// A description of every dimension.
fn dimension() -> OneOfBuilder {
    let field = |field: &Field| words_of(field.name(), field.description()).examples([json!(field.example())]);
    let unit = |unit: &TimeUnit| words_of(unit.name(), unit.description());
    let property = typed(Type::String, "The property of that name, as text.").pattern(Some("^event:props:.+$"));
    let goal = words_of(Dimension::GOAL, "The configured goals that the event reaches, or else each custom event.");
    let time = words_of("time", "Hours, days, weeks or months, by the length of the range.");
    let all = Field::ALL.iter().map(field).chain([property, goal, time]).chain(TimeUnit::ALL.iter().map(unit));
    all.fold(OneOfBuilder::new(), OneOfBuilder::item)
}

fn object(description: &str) -> ObjectBuilder {
    typed(Type::Object, description)
}

fn typed(of: Type, description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(of).description(Some(description))
}

fn words<const N: usize>(description: &str, words: [&str; N]) -> ObjectBuilder {
    typed(Type::String, description).enum_values(Some(words))
}

fn words_of(name: &str, description: &str) -> ObjectBuilder {
    words(description, [name])
}

fn number(description: &str, least: usize, most: usize, default: usize) -> ObjectBuilder {
    let number = typed(Type::Integer, description).default(Some(json!(default)));
    number.minimum(Some(least as f64)).maximum(Some(most as f64))
}

fn anything(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(description))
}

fn list(items: OneOfBuilder, description: &str) -> ArrayBuilder {
    ArrayBuilder::new().items(items).description(Some(description))
}

fn anything_list(description: &str) -> ArrayBuilder {
    let item = ArrayBuilder::new().items(ObjectBuilder::new().schema_type(SchemaType::AnyValue));
    ArrayBuilder::new().items(item).description(Some(description))
}

#[cfg(test)]
mod tests {
    use super::super::funnel;
    use super::*;

    fn keys<S: PartialSchema>() -> Vec<String> {
        let schema = serde_json::to_value(S::schema()).unwrap();
        let mut keys: Vec<_> = schema["properties"].as_object().unwrap().keys().cloned().collect();
        keys.sort_unstable();
        keys
    }

    fn sorted(keys: &[&str]) -> Vec<String> {
        let mut keys: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn schemas_have_the_keys_that_are_read() {
        assert_eq!(keys::<QueryRequest>(), sorted(&super::super::KEYS));
        assert_eq!(keys::<FunnelRequest>(), sorted(&funnel::KEYS));
        assert_eq!(keys::<RetentionRequest>(), sorted(&retention::KEYS));
    }

    #[test]
    fn every_dimension_is_described() {
        let schema = serde_json::to_value(QueryRequest::schema()).unwrap();
        let dimensions = schema["properties"]["dimensions"]["items"]["oneOf"].as_array().unwrap();
        assert_eq!(dimensions.len(), Field::ALL.len() + 3 + TimeUnit::ALL.len());
        for dimension in dimensions {
            assert!(dimension["description"].as_str().is_some_and(|text| text.ends_with('.')), "{dimension}");
        }
        let country = dimensions.iter().find(|dimension| dimension["enum"][0] == "visit:country").unwrap();
        assert_eq!(country["examples"][0], "FR");
    }
}
