//! What is asked.

use common::measure::query::{Context, FunnelQuery, Query};
use common::time::{DAY, Day, Timestamp};
use serde_json::{Value, json};

use crate::events::{page, source};

/// A question under the name that it has in both programs.
pub(crate) struct Question {
    pub(crate) name: &'static str,
    pub(crate) asked: Asked,
}

pub(crate) enum Asked {
    Query(Box<Query>),
    Funnel(Box<FunnelQuery>),
}

/// The last day with events.
pub(crate) fn last_day() -> Day {
    Day::parse("2026-11-27").expect("a day")
}

/// Noon of the day after.
pub(crate) fn now() -> Timestamp {
    last_day().plus(1).start().plus(DAY / 2)
}

/// All of them.
pub(crate) fn all() -> Vec<Question> {
    let (pages, fr) = (json!(["event:page"]), json!([["is", "visit:country", ["FR"]]]));
    let query = |name, value: Value| {
        let query = Query::parse(&value, &Context::at(now())).expect("a query");
        Question { name, asked: Asked::Query(Box::new(query)) }
    };
    let is_page = |number| json!(["is", "event:page", [page(number)]]);
    let steps: Vec<Value> = (0..4).map(is_page).collect();
    let funnel = FunnelQuery::parse(&json!({"date_range": "90d", "steps": steps}), &Context::at(now()));
    vec![
        query(
            "top pages, 30 days",
            json!({"metrics": ["visitors"], "date_range": "30d", "dimensions": pages, "limit": 10}),
        ),
        query(
            "top pages, 90 days",
            json!({"metrics": ["visitors"], "date_range": "90d", "dimensions": pages, "limit": 10}),
        ),
        query(
            "top pages, one country, 90 days",
            json!({"metrics": ["visitors"], "date_range": "90d", "dimensions": pages, "filters": fr, "limit": 10}),
        ),
        query(
            "sources with bounces and durations, 90 days",
            json!({"metrics": ["visitors", "bounce_rate", "visit_duration"], "date_range": "90d", "dimensions": ["visit:source"]}),
        ),
        query(
            "daily series of a source, 90 days",
            json!({"metrics": ["visitors", "pageviews"], "date_range": "90d", "dimensions": ["time:day"], "filters": [["is", "visit:source", [source(4)]]]}),
        ),
        Question { name: "funnel of four steps, 90 days", asked: Asked::Funnel(Box::new(funnel.expect("a funnel"))) },
    ]
}
