use super::*;
use crate::measure::query::filters::page_form;
use crate::measure::question::{Leaf, Test};

fn the_leaf(filter: Value) -> Leaf {
    match question(&json!({"filters": [filter]})).filters.remove(0) {
        Filter::Leaf(leaf) => leaf,
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_are_brought_to_their_normal_form() {
    let texts = |filter| match the_leaf(filter).test {
        Test::Is(texts) | Test::Contains(texts) => texts,
        Test::Matches(_) => panic!("patterns"),
    };
    let page = "https://example.com/x/?y=1";
    assert_eq!(texts(json!(["is", "event:page", [page]])), [page_form(page)]);
    assert_eq!(texts(json!(["is", "visit:entry_page", [page]])), [page_form(page)]);
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
    let context = Context { goals: goals.as_slice().into(), ..at(NOW) };
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
    assert_eq!(Goal::parse("Visit /blog/").unwrap().name, format!("Visit {}", page_form("/blog/")));
    assert!(Goal::parse("Visit us").is_none());
    let refusal = query("Signup", "visitors").unwrap_err().message;
    assert_eq!(
        refusal,
        "filters[0][2] has a goal that does not exist; did you mean Sign-up? allowed: Sign-up, Visit /path*, an event's name"
    );
    let part = parse_for(&json!({"filters": [["contains", "event:goal", ["Sign"]]]}), &context).unwrap();
    assert_eq!(part.question.filters, found.filters[..1]);
    let none = parse_for(&json!({"filters": [["contains", "event:goal", ["sign"]]]}), &context).unwrap();
    assert_eq!(none.question.filters, [Filter::Or(Vec::new())]);
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
        (json!([["is", "time", ["2026-11-10"]]]), "filters[0][1]: time cannot be filtered by; use date_range"),
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
        (
            json!([["matches", "event:goal", ["x"]]]),
            "filters[0][2]: event:goal takes is and contains, and their opposites",
        ),
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
