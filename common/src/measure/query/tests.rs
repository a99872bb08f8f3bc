mod filters;
mod results;

use std::path::Path;

use proptest::prelude::*;

use super::*;

const NOW: &str = "2026-11-28T12:00:00Z";

fn at(now: &str) -> Context<'static> {
    Context::at(Timestamp::parse(now).unwrap())
}

/// Parses the smallest query, with these keys added or replaced; null takes one away.
fn parse(changes: &Value) -> Result<Query> {
    parse_for(changes, &at(NOW))
}

fn parse_for(changes: &Value, context: &Context<'_>) -> Result<Query> {
    let mut query = json!({"metrics": ["visitors"], "date_range": "7d"});
    for (key, value) in changes.as_object().unwrap() {
        query[key] = value.clone();
    }
    Query::parse(&without_null(query), context)
}

fn question(changes: &Value) -> Question {
    parse(changes).unwrap_or_else(|refusal| panic!("{changes}: {refusal}")).question
}

#[track_caller]
fn refused_with(changes: &Value, code: Code, message: &str) {
    let refusal = parse(changes).unwrap_err();
    assert_eq!((refusal.code, refusal.message.as_str()), (code, message));
}

#[test]
fn defaults_are_filled_in() {
    let query = parse(&json!({})).unwrap();
    assert_eq!((query.question.limit, query.question.offset), (100, 0));
    assert_eq!(
        query.canonical().to_string(),
        "{\"site\":\"default\",\"metrics\":[\"visitors\"],\"date_range\":\"7d\",\"timezone\":\"UTC\",\"dimensions\":[],\
         \"filters\":[],\"order_by\":[[\"visitors\",\"desc\"]],\"include\":{\"time_labels\":false},\"limit\":100,\"offset\":0}"
    );
    assert!(query.link().starts_with("q=%7B%22site%22%3A%22default%22"));
}

#[test]
fn a_canonical_query_is_the_same_query() {
    let query = parse(&json!({
        "site": "cv", "metrics": ["visitors", "conversion_rate"], "timezone": "europe/paris",
        "dimensions": ["time", "visit:source"], "compare": {"mode": "previous_period", "match_day_of_week": true},
        "filters": [["and", [["is", "event:page", ["/b", "/a"]], ["is", "event:goal", ["pageview"]]]],
                    ["not", ["contains", "event:props:n", [1.0, true], {"case_sensitive": false}]]],
        "order_by": [["time", "desc"]], "include": {"time_labels": true}, "limit": 5, "offset": 7,
    }));
    let query = query.unwrap();
    let again = Query::parse(query.canonical(), &at(NOW)).unwrap();
    assert_eq!(again.canonical(), query.canonical());
    assert_eq!(again.key(), query.key());
    let filters = json!([
        ["is", "event:page", ["/a", "/b"]], ["is", "event:goal", ["pageview"]],
        ["not", ["contains", "event:props:n", ["1", "true"], {"case_sensitive": false}]],
    ]);
    assert_eq!(query.canonical()["filters"], filters);
    assert_eq!(query.canonical()["order_by"], json!([["time:day", "desc"]]));
}

#[test]
fn time_is_divided_by_the_length_of_the_range() {
    for (range, unit) in [
        (json!("24h"), TimeUnit::Hour),
        (json!(["2026-10-24", "2026-10-25"]), TimeUnit::Hour),
        (json!("3d"), TimeUnit::Day),
        (json!(["2026-10-01", "2026-11-09"]), TimeUnit::Day),
        (json!(["2026-10-01", "2026-11-10"]), TimeUnit::Week),
        (json!("364d"), TimeUnit::Week),
        (json!("12mo"), TimeUnit::Month),
    ] {
        let question = question(&json!({"date_range": range, "dimensions": ["time"], "timezone": "Europe/Paris"}));
        assert_eq!(question.dimensions, [Dimension::Time(unit)], "{range}");
        assert_eq!(question.buckets[0].unit(), unit);
    }
}

#[test]
fn bad_queries_say_what_is_allowed() {
    let metrics = "allowed: visitors, visits, pageviews, events, views_per_visit, bounce_rate, visit_duration, scroll_depth, \
                   time_on_page, percentage, conversion_rate, group_conversion_rate";
    let query = Code::InvalidQuery;
    for (changes, message) in [
        (json!({"metrics": ["vistors"]}), format!("metrics[0] is not a metric; did you mean visitors? {metrics}")),
        (json!({"metrics": []}), format!("metrics must have at least one metric; {metrics}")),
        (json!({"metrics": null}), format!("metrics must have at least one metric; {metrics}")),
    ] {
        refused_with(&changes, query, &message);
    }
    for (changes, message) in [
        (json!({"metrics": "visitors"}), "metrics must be a list"),
        (json!({"metrics": [1]}), "metrics[0] must be a string"),
        (json!({"metrics": ["visits", "visits"]}), "metrics[1] is there twice"),
        (json!({"date_range": null}), "date_range is missing; for example \"7d\" or [\"2026-11-01\", \"2026-11-30\"]"),
        (
            json!({"timezone": "Europe/Pari"}),
            "timezone must be a name of the IANA time zone database, such as Europe/Paris; did you mean Europe/Paris?",
        ),
        (json!({"dimensions": ["time:day", "time:day"]}), "dimensions[1] is there twice"),
        (
            json!({"dimensions": ["time", "event:page", "visit:os", "visit:device"]}),
            "a query may have at most 3 dimensions",
        ),
        (
            json!({"dimensions": ["time:minute"], "date_range": "30d"}),
            "the range has more than 10000 rows of time:minute; ask for a shorter one, or for a longer unit of time",
        ),
        (
            json!({"order_by": [["visits", "desc"]]}),
            "order_by[0][0] is not a metric or dimension of the query; did you mean visitors? allowed: visitors",
        ),
        (
            json!({"order_by": [["visitors", "dsc"]]}),
            "order_by[0][1] is no direction; did you mean desc? allowed: asc, desc",
        ),
        (json!({"order_by": [["visitors"]]}), "order_by[0] must be [metric or dimension, \"asc\" or \"desc\"]"),
        (json!({"order_by": [["visitors", "asc"], ["visitors", "desc"]]}), "order_by[1] is there twice"),
        (
            json!({"compare": "last_year"}),
            "compare must be previous_period, year_over_year or [from, to]; allowed: previous_period, year_over_year",
        ),
        (json!({"include": {"time_labels": 1}}), "include.time_labels must be true or false"),
        (json!({"include": {"time_labels": true}}), "include.time_labels needs a time dimension"),
        // Combinations without a meaning.
        (
            json!({"metrics": ["bounce_rate"], "dimensions": ["event:name"]}),
            "bounce_rate is of whole visits and cannot be asked by event:name: visits cannot be divided by it; of the event: \
             dimensions, only event:page and event:hostname can be used",
        ),
        (
            json!({"metrics": ["conversion_rate"], "filters": [["has_done", ["is", "event:goal", ["signup"]]]]}),
            "conversion_rate needs a goal: a top-level filter on event:goal, or the dimension event:goal",
        ),
        (json!({"metrics": ["percentage"]}), "percentage needs a dimension: without one it is always 100"),
        (
            json!({"metrics": ["scroll_depth"]}),
            "scroll_depth needs a filter on event:page, or the dimension event:page",
        ),
    ] {
        refused_with(&changes, query, message);
    }
    refused_with(&json!({"limit": 0}), Code::InvalidLimit, "limit must be a whole number from 1 to 10000");
    refused_with(&json!({"limit": "5"}), Code::InvalidLimit, "limit must be a whole number from 1 to 10000");
    refused_with(&json!({"offset": -1}), Code::InvalidOffset, "offset must be a whole number from 0 to 1000000");
    refused_with(
        &json!({"site": "A"}),
        Code::InvalidSite,
        "site must be 1 to 63 of the characters a-z, 0-9, '.' and '-'",
    );
    assert!(
        parse(&json!({"metric": []}))
            .unwrap_err()
            .message
            .starts_with("the query has an unknown key; did you mean metrics?")
    );
    assert!(
        parse(&json!({"dimensions": ["visit:contry"]})).unwrap_err().message.contains("; did you mean visit:country?")
    );
    assert_eq!(Query::parse(&json!([]), &at(NOW)).unwrap_err().message, "the query must be an object");
}

#[test]
fn a_range_that_is_compared_moves_the_buckets_too() {
    let query =
        parse(&json!({"date_range": "day", "dimensions": ["time:hour"], "compare": "previous_period"})).unwrap();
    let (main, other) = (&query.question, query.comparison.as_ref().unwrap());
    assert_eq!(main.range.end, Timestamp::parse(NOW).unwrap());
    assert_eq!((main.buckets[0].labels().len(), other.buckets[0].labels().len()), (12, 12));
    assert_eq!(other.buckets[0].labels()[0], "2026-11-27T00:00:00+00:00");
}

#[test]
fn the_queries_of_the_cases_are_understood() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/queries/cases.json");
    let Ok(text) = std::fs::read_to_string(path) else { return };
    for case in serde_json::from_str::<Vec<Value>>(&text).unwrap() {
        let mut query = case["query"].clone();
        let keys = query.as_object_mut().unwrap();
        let now = keys.shift_remove("now").map_or_else(|| NOW.to_owned(), |now| now.as_str().unwrap().to_owned());
        let goals = keys.shift_remove("goals").unwrap_or_else(|| json!([]));
        let goals: Vec<_> =
            goals.as_array().unwrap().iter().map(|goal| Goal::parse(goal.as_str().unwrap()).unwrap()).collect();
        let context = Context { goals: goals.as_slice().into(), ..at(&now) };
        let result = match case["kind"].as_str().unwrap() {
            "query" | "csv" => Query::parse(&query, &context).map(drop),
            "funnel" => FunnelQuery::parse(&query, &context).map(drop),
            "retention" => RetentionQuery::parse(&query, &context).map(drop),
            _ => Ok(()),
        };
        assert_eq!(result, Ok(()), "{}", case["title"]);
    }
}

/// `docs/queries.md` says the same as the tables that it is made from, and its recipes are queries.
#[test]
fn the_documentation_is_complete() {
    let text = include_str!("../../../../docs/queries.md");
    for metric in Metric::ALL {
        assert!(text.contains(&format!("| `{}` | {} |", metric.name(), metric.description())), "{}", metric.name());
    }
    for field in Field::ALL {
        let row = format!("| `{}` | `{}` | {} |", field.name(), field.example(), field.description());
        assert!(text.contains(&row), "{row}");
    }
    let recipes =
        text.lines().filter_map(|line| line.split('`').nth(1).filter(|code| code.starts_with("{\"metrics\"")));
    let recipes: Vec<_> =
        recipes.map(|recipe| Query::parse(&serde_json::from_str(recipe).unwrap(), &at(NOW))).collect();
    assert!(recipes.len() > 10);
    for recipe in recipes {
        recipe.unwrap();
    }
}

/// JSON out of the words of the language, in places where they belong and where they do not.
pub(in crate::measure) fn any_json() -> impl Strategy<Value = Value> {
    let words: Vec<&str> = KEYS
        .into_iter()
        .chain([
            "is",
            "not",
            "and",
            "matches",
            "has_done",
            "event:page",
            "event:goal",
            "event:props:x",
            "time",
            "time:minute",
        ])
        .chain([
            "visitors",
            "bounce_rate",
            "conversion_rate",
            "desc",
            "day",
            "9999-12-31",
            "1970-01-01",
            "(a+)+$",
            "previous_period",
        ])
        .chain([
            "mode",
            "match_day_of_week",
            "case_sensitive",
            "time_labels",
            "steps",
            "within",
            "weeks",
            "Pacific/Apia",
            "é",
        ])
        .collect();
    let word = proptest::sample::select(words);
    let leaf = prop_oneof![
        4 => word.clone().prop_map(|word| json!(word)),
        1 => any::<bool>().prop_map(|flag| json!(flag)),
        1 => any::<i64>().prop_map(|number| json!(number)),
        1 => any::<f64>().prop_map(|number| json!(number)),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(6, 64, 4, move |inner| {
        prop_oneof![
            2 => proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            1 => proptest::collection::vec((word.clone(), inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_a_query_or_a_refusal(
        key in proptest::sample::select(KEYS.to_vec()),
        value in any_json(),
        now in 0_i64..253_402_300_799_999,
    ) {
        let context = Context::at(Timestamp::from_millis(now));
        let mut query = json!({"metrics": ["visitors"], "date_range": "12mo", "compare": "year_over_year"});
        let _ = Query::parse(&value, &context);
        let _ = FunnelQuery::parse(&value, &context);
        let _ = RetentionQuery::parse(&value, &context);
        query[key] = value;
        if let Ok(query) = Query::parse(&query, &context) {
            prop_assert!(query.question.range.start <= query.question.range.end);
            let again = Query::parse(query.canonical(), &context);
            let again = again.map(|again| again.key());
            prop_assert_eq!(again, Ok(query.key()));
        }
    }
}
