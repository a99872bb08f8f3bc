use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::measure::question::{Answer, Leaf, Number, ResultRow, Test, VisitorCount};

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

fn the_leaf(filter: Value) -> Leaf {
    match question(&json!({"filters": [filter]})).filters.remove(0) {
        Filter::Leaf(leaf) => leaf,
        other => panic!("{other:?}"),
    }
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
fn values_are_brought_to_their_normal_form() {
    let texts = |filter| match the_leaf(filter).test {
        Test::Is(texts) | Test::Contains(texts) => texts,
        Test::Matches(_) => panic!("patterns"),
    };
    let page = "https://example.com/x/?y=1";
    assert_eq!(texts(json!(["is", "event:page", [page]])), [filters::page_form(page)]);
    assert_eq!(texts(json!(["is", "visit:entry_page", [page]])), [filters::page_form(page)]);
    assert_eq!(texts(json!(["contains", "event:page", ["/blog/"]])), ["/blog/"]);
    assert_eq!(texts(json!(["is", "event:name", ["pageview", "click"]])), ["button_click", "page_view"]);
    assert_eq!(texts(json!(["is", "visit:country", ["fr", "(not set)"]])), ["", "FR"]);
    assert_eq!(texts(json!(["is", "visit:source", [""]])), ["Direct / None"]);
    assert_eq!(texts(json!(["is", "visit:channel", ["(not set)"]])), ["Direct"]);
    assert_eq!(texts(json!(["is", "visit:referrer", ["Direct / None"]])), [""]);
    assert_eq!(
        texts(json!(["is", "event:props:n", [1, 1.0, "1", 2.5, true, "(none)", -0.5, 1e3]])),
        ["", "-0.5", "1", "1000", "2.5", "true"]
    );
    let long = texts(json!(["is", "event:props:n", ["é".repeat(400)]]));
    assert_eq!(long[0].chars().count(), 300);
}

#[test]
fn goals_are_resolved_to_filters() {
    let goals = [Goal::configured("Sign-up", &json!(["is", "event:name", ["signup", "register"]])).unwrap()];
    let context = Context { goals: &goals, ..at(NOW) };
    let query = |goal: &str, metric: &str| {
        parse_for(
            &json!({"metrics": [metric], "filters": [["is", "event:goal", [goal]], ["is", "event:page", ["/a"]]]}),
            &context,
        )
    };
    let found = query("Sign-up", "conversion_rate").unwrap().question;
    assert_eq!(found.filters[0], Filter::Or(vec![goals[0].filter.clone()]));
    // The base of conversion rates: everything but goals and properties.
    assert_eq!(found.conversion_base, found.filters[1..]);
    assert_eq!(query("Sign-up", "visitors").unwrap().question.conversion_base, found.filters);

    let visit = Goal::parse("Visit /blog/*").unwrap();
    let Filter::And(parts) = &visit.filter else { panic!("{visit:?}") };
    let Filter::Leaf(page) = &parts[1] else { panic!("{visit:?}") };
    assert!(page.passes("/blog/x") && page.passes("/blog/") && !page.passes("/blog") && !page.passes("/x/blog/y"));
    assert_eq!(Goal::parse("Visit /blog/").unwrap().name, format!("Visit {}", filters::page_form("/blog/")));
    assert!(Goal::parse("Visit us").is_none());
    let refusal = query("Signup", "visitors").unwrap_err().message;
    assert_eq!(
        refusal,
        "filters[0][2] has a goal that does not exist; did you mean Sign-up? allowed: Sign-up, Visit /path*, an event's name"
    );
    assert!(Goal::configured("x", &json!(["is", "event:goal", ["signup"]])).is_err());

    let rows = parse_for(&json!({"dimensions": ["event:goal"]}), &context).unwrap().question.goals;
    assert_eq!(rows, Goals::Configured(goals.to_vec()));
    assert_eq!(question(&json!({"dimensions": ["event:goal"]})).goals, Goals::CustomEvents);
}

#[test]
fn page_filters_also_say_where_visits_entered() {
    let filters = json!([
        ["is", "event:page", ["/a"]],
        ["not", ["contains", "event:page", ["b"]]],
        ["is", "visit:country", ["FR"]],
        ["or", [["is", "event:page", ["/a"]], ["is", "visit:country", ["FR"]]]],
        ["has_done", ["is", "event:page", ["/c"]]],
    ]);
    let question = question(&json!({"metrics": ["bounce_rate"], "filters": filters}));
    let is = Filter::Leaf(Leaf::is(Dimension::Field(Field::EntryPage), vec!["/a".into()], true));
    assert_eq!((question.entry_filters.len(), &question.entry_filters[0]), (2, &is));
}

#[test]
fn reports_are_events_where_names_are_asked_for() {
    for (changes, expected) in [
        (json!({}), false),
        (json!({"dimensions": ["event:name"]}), true),
        (json!({"filters": [["has_done", ["is", "event:name", ["scroll"]]]]}), true),
        (json!({"filters": [["is", "event:goal", ["scroll"]]]}), true),
        (json!({"filters": [["is", "event:goal", ["signup"]]]}), false),
    ] {
        assert_eq!(question(&changes).reports_are_events, expected, "{changes}");
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
fn bad_filters_say_what_is_allowed() {
    let nested = |levels: usize| (1..levels).fold(json!(["is", "event:page", ["/"]]), |inner, _| json!(["not", inner]));
    let many = |count: usize| json!(vec![json!(["is", "event:page", ["/"]]); count]);
    assert!(parse(&json!({"filters": [nested(5)]})).is_ok());
    assert!(parse(&json!({"filters": many(20)})).is_ok());
    let page = |values: Value| json!([["is", "event:page", values]]);
    for (filters, message) in [
        (json!({}), "filters must be a list"),
        (json!(["is", "event:page", ["/"]]), "filters[0] must be a list such as [\"is\", \"event:page\", [\"/\"]]"),
        (json!([[]]), "filters[0] must be a list such as [\"is\", \"event:page\", [\"/\"]]"),
        (
            json!([["iss", "event:page", ["/"]]]),
            "filters[0][0] is not an operator; did you mean is? allowed: is, is_not, contains, contains_not, matches, \
             matches_not, and, or, not, has_done, has_not_done",
        ),
        (json!([["is", "time:day", ["2026-11-10"]]]), "filters[0][1]: time cannot be filtered by; use date_range"),
        (page(json!([])), "filters[0][2] must have 1 to 1000 values"),
        (page(json!("/")), "filters[0][2] must be a list"),
        (page(json!([null])), "filters[0][2][0] must be a string, number or boolean"),
        (json!([["is", "visit:country", ["France"]]]), "filters[0][2][0] must be a country's two letters, such as FR"),
        (json!([["and", []]]), "filters[0] must be [\"and\", [filter, …]] with at least one filter"),
        (json!([["not"]]), "filters[0] must be [\"not\", filter]"),
        (
            json!([["is", "event:page"]]),
            "filters[0] must be [\"is\", dimension, [value, …]], with {\"case_sensitive\": false} as a fourth item if wanted",
        ),
        (
            json!([["is", "event:page", ["/"], {"case": false}]]),
            "filters[0][3] has an unknown key; did you mean case_sensitive? allowed: case_sensitive",
        ),
        (
            json!([["has_done", ["is", "visit:country", ["FR"]]]]),
            "filters[0]: has_done takes filters on event: dimensions only, and no has_done within it",
        ),
        (
            json!([["has_not_done", ["not", ["has_done", ["is", "event:page", ["/"]]]]]]),
            "filters[0]: has_not_done takes filters on event: dimensions only, and no has_done within it",
        ),
        (json!([["contains", "event:goal", ["x"]]]), "filters[0][2]: event:goal takes is and is_not only"),
        (
            json!([["matches", "event:page", ["(?=x)"]]]),
            "filters[0][2][0] must be a regular expression of linear time: no look-around, no back-references, bounded in size",
        ),
        (json!([["matches", "event:page", ["x".repeat(201)]]]), "filters[0][2][0] may have at most 200 characters"),
        (json!([nested(6)]), "filters may be nested at most 5 levels deep"),
        (many(21), "a query may have at most 20 conditions, where each pattern of matches is one"),
        (
            json!([["matches", "event:page", vec!["x"; 21]]]),
            "a query may have at most 20 conditions, where each pattern of matches is one",
        ),
    ] {
        refused_with(&json!({"filters": filters}), Code::InvalidQuery, message);
    }
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

fn number(value: i64) -> Option<Number> {
    Some(Number::whole(value))
}

fn answer(rows: &[(&[&str], &[Option<Number>])]) -> Answer {
    let row = |(dimensions, metrics): &(&[&str], &[Option<Number>])| ResultRow {
        dimensions: dimensions.iter().map(|value| (*value).to_owned()).collect(),
        metrics: metrics.to_vec(),
    };
    Answer {
        rows: rows.iter().map(row).collect(),
        visitors: VisitorCount::Distinct,
        capped: Vec::new(),
        summaries: None,
    }
}

fn values(query: &Query, rows: &[(&[&str], &[Option<Number>])]) -> Vec<String> {
    let (results, _) = query.results(answer(rows), None);
    results.results.into_iter().map(|row| row.dimensions.join(" ")).collect()
}

#[test]
fn rows_are_ordered_with_ties_by_value_and_null_last() {
    let rows: [(&[&str], &[Option<Number>]); 5] = [
        (&["é"], &[number(2), None]),
        (&["b"], &[number(2), number(5)]),
        (&["B"], &[number(2), number(0)]),
        (&["z"], &[number(9), None]),
        (&["a"], &[number(1), number(7)]),
    ];
    let query = |order: Value| {
        let metrics = json!(["visitors", "bounce_rate"]);
        parse(&json!({"metrics": metrics, "dimensions": ["visit:source"], "order_by": order})).unwrap()
    };
    assert_eq!(values(&query(Value::Null), &rows), ["z", "B", "b", "é", "a"]);
    assert_eq!(values(&query(json!([["bounce_rate", "desc"]])), &rows), ["a", "b", "B", "z", "é"]);
    assert_eq!(values(&query(json!([["bounce_rate", "asc"]])), &rows), ["B", "b", "a", "z", "é"]);
    assert_eq!(values(&query(json!([["visit:source", "desc"]])), &rows), ["é", "z", "b", "a", "B"]);
    for offset in 0..6 {
        let changes = json!({"dimensions": ["visit:source"], "metrics": ["visitors", "bounce_rate"], "limit": 2, "offset": offset});
        let page = parse(&changes).unwrap();
        let all = ["z", "B", "b", "é", "a"];
        let (results, _) = page.results(answer(&rows), None);
        assert_eq!(results.total_rows, 5);
        assert_eq!(values(&page, &rows), all[offset.min(5)..(offset + 2).min(5)]);
    }
}

#[test]
fn rows_by_time_are_in_the_order_of_time() {
    let hours =
        json!({"dimensions": ["time:hour"], "timezone": "Europe/Paris", "date_range": ["2026-10-25", "2026-10-25"]});
    let (first, second) = ("2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00");
    let rows: [(&[&str], &[Option<Number>]); 2] = [(&[second], &[number(2)]), (&[first], &[number(1)])];
    assert_eq!(values(&parse(&hours).unwrap(), &rows), [first, second]);
    let of_day: [(&[&str], &[Option<Number>]); 2] = [(&["10"], &[number(2)]), (&["9"], &[number(1)])];
    assert_eq!(values(&parse(&json!({"dimensions": ["time:hour_of_day"]})).unwrap(), &of_day), ["9", "10"]);
}

#[test]
fn comparison_finds_the_same_row_of_the_other_range() {
    let query = parse(&json!({
        "metrics": ["visitors", "bounce_rate", "percentage"], "dimensions": ["time:day", "visit:source"],
        "date_range": ["2026-11-09", "2026-11-10"], "compare": ["2026-11-01", "2026-11-01"], "include": {"time_labels": true},
    }));
    let percent = |value: i128| Number::ratio(value, 1, 1);
    let main = answer(&[
        (&["2026-11-09", "a"], &[number(3), number(55), percent(30)]),
        (&["2026-11-09", "b"], &[number(4), None, percent(40)]),
        (&["2026-11-10", "a"], &[number(1), number(10), percent(10)]),
    ]);
    let other = answer(&[(&["2026-11-01", "a"], &[number(1), number(40), percent(60)])]);
    let (results, meta) = query.unwrap().results(main, Some(other));
    let written = serde_json::to_string(&results.results).unwrap();
    assert_eq!(
        written,
        "[{\"dimensions\":[\"2026-11-09\",\"b\"],\"metrics\":[4,null,40.0],\"comparison\":{\"dimensions\":[\"2026-11-01\",\"b\"],\
         \"metrics\":[0,null,0.0],\"change\":[100,null,100]}},\
         {\"dimensions\":[\"2026-11-09\",\"a\"],\"metrics\":[3,55,30.0],\"comparison\":{\"dimensions\":[\"2026-11-01\",\"a\"],\
         \"metrics\":[1,40,60.0],\"change\":[200,15,-50]}},\
         {\"dimensions\":[\"2026-11-10\",\"a\"],\"metrics\":[1,10,10.0],\"comparison\":{\"dimensions\":null,\
         \"metrics\":[null,null,null],\"change\":[null,null,null]}}]"
    );
    assert_eq!(meta.time_labels.unwrap(), ["2026-11-09", "2026-11-10"]);
}

#[test]
fn csv_is_safe_to_open_in_a_spreadsheet() {
    let query = parse(&json!({"dimensions": ["visit:source"], "compare": "previous_period"})).unwrap();
    let main = answer(&[(&["=1+1"], &[number(1)]), (&["say \"hi\", now"], &[number(1)])]);
    let (results, _) = query.results(main, Some(answer(&[(&["=1+1"], &[number(2)])])));
    assert_eq!(
        query.csv(&results),
        "visit:source,visitors,visitors_comparison,visitors_change\r\n'=1+1,1,2,-50\r\n\"say \"\"hi\"\", now\",1,0,100\r\n"
    );
    let query = parse(&json!({"metrics": ["bounce_rate", "views_per_visit"], "dimensions": ["visit:source"]})).unwrap();
    let ratio = Number::ratio(-3, 2, 2);
    let rows: [(&[&str], &[Option<Number>]); 6] = [
        (&[""], &[None, ratio]),
        (&["+a"], &[None, ratio]),
        (&["-b"], &[None, ratio]),
        (&["@c"], &[None, ratio]),
        (&["\td\n"], &[None, ratio]),
        (&["\re"], &[None, ratio]),
    ];
    let (results, _) = query.results(answer(&rows), None);
    assert_eq!(
        query.csv(&results),
        "visit:source,bounce_rate,views_per_visit\r\n,,-1.50\r\n\"'\td\n\",,-1.50\r\n\"'\re\",,-1.50\r\n'+a,,-1.50\r\n\
         '-b,,-1.50\r\n'@c,,-1.50\r\n"
    );
}

#[test]
fn results_are_provisional_while_events_may_arrive() {
    for (range, provisional) in [("7d", true), ("day", true), ("6mo", false)] {
        assert_eq!(parse(&json!({"date_range": range})).unwrap().provisional, provisional, "{range}");
    }
    let query = parse(&json!({"date_range": ["2026-11-01", "2026-11-26"]})).unwrap();
    assert!(!query.provisional);
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
        let context = Context { goals: &goals, ..at(&now) };
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
