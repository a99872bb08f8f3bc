//! Queries, funnels, retention, CSV, and Plausible's formats.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::body::Body;
use axum::http::Request;
use axum::http::request::Builder;
use common::testing::{TestAnswer, TestApp, store_event};
use serde_json::{Value, json};

const TODAY: &str = "/query?q=%7B%22metrics%22%3A%5B%22pageviews%22%5D%2C%22date_range%22%3A%22day%22%7D";

async fn start() -> TestApp {
    let test = TestApp::start(&[], query::router, "2025-12-08T12:00:00Z").await;
    for (who, event_type, page, at) in [
        (1, "page_view", "/", "2025-12-01T10:00:00Z"),
        (1, "page_view", "/cv", "2025-12-01T10:00:30Z"),
        (2, "page_view", "/", "2025-12-02T10:00:00Z"),
        (2, "page_view", "/cv", "2025-12-08T11:00:00Z"),
        (2, "signup", "/cv", "2025-12-08T11:00:10Z"),
    ] {
        store_event(&test.app, who, event_type, page, &json!({}), at).await;
    }
    test
}

async fn post(test: &TestApp, path: &str, body: &Value) -> TestAnswer {
    test.post(path, &[], None, &body.to_string()).await
}

async fn send(test: &TestApp, request: Builder, body: &str) -> TestAnswer {
    test.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn questions_by_body_and_by_link() {
    let test = start().await;
    let asked = json!({"metrics": ["visitors", "pageviews"], "dimensions": ["event:page"], "date_range": "7d"});
    let answer = post(&test, "/query", &asked).await;
    let rows = json!([
        {"dimensions": ["/"], "metrics": [2, 2]},
        {"dimensions": ["/cv"], "metrics": [1, 1]},
    ]);
    assert_eq!(answer.body["data"], json!({"results": rows, "total_rows": 2}), "{}", answer.body);
    assert!(answer.body["meta"]["range"][0].as_str().unwrap().starts_with("2025-12-01T00:00:00"), "{}", answer.body);
    assert_eq!(test.get(TODAY).await.body["data"]["results"], json!([{"dimensions": [], "metrics": [1]}]));
    // What was stored since is part of the next answer.
    store_event(&test.app, 3, "page_view", "/", &json!({}), "2025-12-08T11:59:00Z").await;
    assert_eq!(test.get(TODAY).await.body["data"]["results"], json!([{"dimensions": [], "metrics": [2]}]));
}

#[tokio::test]
async fn mistakes_say_what_is_allowed() {
    let test = start().await;
    for (body, code, part) in [
        ("", "INVALID_JSON", "JSON"),
        ("1", "INVALID_QUERY", "object"),
        ("[]", "INVALID_QUERY", "1 to 20 queries"),
        (r#"{"metrics":["visitor"],"date_range":"7d"}"#, "INVALID_QUERY", "did you mean visitors?"),
        (r#"{"metrics":["visitors"],"date_range":"7d","site":"No Slug"}"#, "INVALID_SITE", "site"),
        (r#"{"metrics":["visitors"],"date_range":"7 days"}"#, "INVALID_DATE", "7d"),
    ] {
        let answer = test.post("/query", &[], None, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body["code"].as_str()),
            (400, Some(code)),
            "{body}: {}",
            answer.body
        );
        assert!(answer.body["error"].as_str().unwrap().contains(part), "{body}: {}", answer.body);
    }
    assert_eq!(test.get("/query").await.body["code"], "INVALID_QUERY");
    let large = test.post("/query", &[], None, &format!("{{\"metrics\":[\"{}\"]}}", "x".repeat(70_000))).await;
    assert_eq!(large.status.as_u16(), 413);
}

#[tokio::test]
async fn several_queries_have_each_its_own_answer_or_failure() {
    let test = start().await;
    let good = json!({"metrics": ["visitors"], "dimensions": ["event:page"], "date_range": "7d"});
    let bad = json!({"metrics": ["visitor"], "date_range": "7d"});
    let both = post(&test, "/query", &json!([good, bad, 1, good])).await;
    assert_eq!(both.status.as_u16(), 200, "{}", both.body);
    let items = both.body["data"].as_array().unwrap();
    let alone = post(&test, "/query", &good).await.body;
    assert_eq!((&items[0], &items[3]), (&alone, &alone));
    let mut refused = post(&test, "/query", &bad).await.body;
    refused.as_object_mut().unwrap().remove("request_id");
    assert_eq!(items[1], refused);
    assert_eq!((&items[2]["success"], &items[2]["code"]), (&json!(false), &json!("INVALID_QUERY")));

    assert_eq!(post(&test, "/query", &json!(vec![&good; 20])).await.body["data"].as_array().map(Vec::len), Some(20));
    let many = post(&test, "/query", &json!(vec![&good; 21])).await;
    assert_eq!((many.status.as_u16(), &many.body["code"]), (400, &json!("INVALID_QUERY")), "{}", many.body);
    assert_eq!(post(&test, "/query?format=csv", &json!([good])).await.status.as_u16(), 400);
}

#[tokio::test]
async fn sites_have_their_last_event_and_a_week_of_visitors() {
    let test = start().await;
    let default = json!({"site": "default", "last_event": "2025-12-08T11:00:10.000Z", "events": 5,
        "visitors": [1, 0, 0, 0, 0, 0, 1]});
    let all = test.get("/sites").await.body;
    assert_eq!(all, json!({"success": true, "data": [default], "meta": {"total": 1}}));
    let quiet = json!({"site": "quiet", "last_event": null, "events": 0, "visitors": [0, 0, 0, 0, 0, 0, 0]});
    assert_eq!(test.get("/sites?site=quiet").await.body["data"], json!([quiet]));
    assert_eq!(test.get("/sites?offset=1").await.body, json!({"success": true, "data": [], "meta": {"total": 1}}));
    for (path, code) in [
        ("/sites?site=No%20Slug", "INVALID_SITE"),
        ("/sites?limit=101", "INVALID_LIMIT"),
        ("/sites?offset=-1", "INVALID_OFFSET"),
    ] {
        assert_eq!(test.get(path).await.body["code"], code, "{path}");
    }
}

#[tokio::test]
async fn any_range_has_an_answer() {
    let test = start().await;
    for range in [
        json!("day"),
        json!("24h"),
        json!("30m"),
        json!("realtime"),
        json!("30d"),
        json!("12mo"),
        json!("year"),
        json!("all"),
        json!(["1970-01-01", "1970-01-02"]),
        json!(["2024-01-01", "2025-12-31"]),
        json!(["2025-12-09", "2025-12-31"]),
        json!(["2025-12-08T11:00:00Z", "2025-12-08T11:00:00Z"]),
        json!(["2030-01-01", "2030-02-01"]),
    ] {
        for compare in [Value::Null, json!("previous_period"), json!("year_over_year")] {
            let mut asked = json!({"metrics": ["visitors"], "date_range": range});
            if !compare.is_null() {
                asked["compare"] = compare;
            }
            let answer = post(&test, "/query", &asked).await;
            let refused = answer.status.as_u16() == 400 && answer.body["error"].is_string();
            assert!(refused || answer.body["data"]["results"].is_array(), "{asked}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn results_as_csv() {
    let test = start().await;
    let asked = json!({"metrics": ["visitors"], "dimensions": ["event:page"], "date_range": "7d"}).to_string();
    for (path, headers) in [("/query?format=csv", &[][..]), ("/query", &[("accept", "text/csv")][..])] {
        let answer = test.post(path, headers, None, &asked).await;
        assert_eq!(answer.headers["content-type"], "text/csv; charset=utf-8");
    }
    let refused = test.post("/query?format=xml", &[], None, &asked).await;
    assert_eq!(refused.body["error"], "format must be json or csv");
}

#[tokio::test]
async fn funnels_and_retention() {
    let test = start().await;
    let funnel = json!({"date_range": "7d", "within": "visit",
        "steps": [["is", "event:page", ["/"]], ["is", "event:page", ["/cv"]]]});
    let answer = post(&test, "/query/funnel", &funnel).await;
    let steps = &answer.body["data"]["results"][0]["steps"];
    assert_eq!((&steps[0]["visitors"], &steps[1]["visitors"]), (&json!(2), &json!(1)), "{}", answer.body);
    assert_eq!(steps[1]["median_seconds"], 30);
    let answer = post(&test, "/query/retention", &json!({"weeks": 2})).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
    assert!(answer.body["data"]["note"].as_str().unwrap().contains("explicit id"));
}

#[tokio::test]
async fn plausibles_formats() {
    let test = start().await;
    let v2 = || Request::post("/api/v2/query");
    let asked = r#"{"site_id":"default","metrics":["visitors"],"date_range":"7d","dimensions":["event:page"]}"#;
    let answer = send(&test, v2(), asked).await;
    let rows = json!([{"dimensions": ["/"], "metrics": [2]}, {"dimensions": ["/cv"], "metrics": [1]}]);
    assert_eq!(answer.body["results"], rows, "{}", answer.body);
    let refused = send(&test, v2(), r#"{"site_id":"default","metrics":["clicks"],"date_range":"7d"}"#).await;
    assert_eq!(refused.status.as_u16(), 400);
    assert!(refused.body["error"].is_string() && refused.body["code"].is_null(), "{}", refused.body);
    let unknown = send(&test, v2(), r#"{"site_id":"","metrics":["visitors"],"date_range":"7d"}"#).await;
    assert_eq!(unknown.status.as_u16(), 401);

    let v1 = |path: &str| Request::get(format!("/api/v1/stats/{path}"));
    let realtime = send(&test, v1("realtime/visitors?site_id=default"), "").await;
    assert_eq!((realtime.status.as_u16(), realtime.body), (200, json!(0)));
    let sum =
        send(&test, v1("aggregate?site_id=default&period=custom&date=2025-12-01,2025-12-07&metrics=visitors"), "")
            .await;
    assert_eq!(sum.body["results"], json!({"visitors": {"value": 2}}), "{}", sum.body);
    let days = send(&test, v1("timeseries?site_id=default&period=custom&date=2025-12-01,2025-12-07"), "").await;
    assert_eq!(days.body["results"].as_array().map(Vec::len), Some(7), "{}", days.body);
    let pages = "breakdown?site_id=default&period=custom&date=2025-12-01,2025-12-07&property=event:page";
    let pages = send(&test, v1(pages), "").await;
    assert_eq!(pages.body["results"], json!([{"page": "/", "visitors": 2}, {"page": "/cv", "visitors": 1}]));
}

#[tokio::test]
async fn figures_of_a_period_are_exported() {
    let test = start().await;
    store_event(&test.app, 5, "cv_theme_change", "/cv", &json!({"theme": "=dark"}), "2025-12-08T11:00:00Z").await;
    store_event(&test.app, 5, "letter_generate", "/cv", &json!({"letter_type": "motivation"}), "2025-12-02T11:00:00Z")
        .await;
    let csv = async |path: &str| test.get(path).await.text;
    assert_eq!(
        csv("/export/visitors?format=csv").await,
        "date,unique_visitors,visits,page_views,events\r\n2025-12-08,2,2,1,3\r\n"
    );
    assert_eq!(csv("/export/themes?period=month&format=csv").await, "theme,views\r\n'=dark,1\r\n");
    let letters = csv("/export/letters?period=month&format=csv").await;
    assert!(letters.starts_with("date,total,motivation,anti_motivation\r\n2025-12-01,0,0,0\r\n2025-12-02,1,1,0\r\n"));
    assert_eq!(letters.lines().count(), 9, "{letters}");

    let week = test.get("/export/visitors?period=week&date=2025-12-03").await.body;
    assert_eq!(week["data"].as_array().unwrap().len(), 7, "{week}");
    let first = json!({"date": "2025-12-01", "unique_visitors": 1, "visits": 1, "page_views": 2, "events": 2});
    assert_eq!(week["data"][0], first);
    assert_eq!(test.get("/export/letters?date=2026-01-01").await.body["data"], json!([]), "it has not begun");
    for (path, status, code) in [
        ("/export/visitors?period=year", 400, "INVALID_PERIOD"),
        ("/export/visitors?format=xml", 400, "INVALID_QUERY"),
        ("/export/visitors?site=No+Slug", 400, "INVALID_SITE"),
    ] {
        let answer = test.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.body["code"].as_str().unwrap()), (status, code), "{path}");
    }
}

#[tokio::test]
async fn configured_goals_are_rows() {
    let goals = r#"[{"name":"Sign-up","event":"signup"},{"name":"Read the CV","page":"/cv*"},
                    {"name":"Elsewhere","site":"other","event":"signup"}]"#;
    let test = TestApp::start(&[("ANALYTICS_GOALS", goals)], query::router, "2025-12-08T12:00:00Z").await;
    for (who, event_type, page) in
        [(1, "page_view", "/cv"), (1, "signup", "/"), (2, "page_view", "/cv/print"), (3, "page_view", "/")]
    {
        store_event(&test.app, who, event_type, page, &json!({}), "2025-12-08T11:00:00Z").await;
    }
    let by_goal =
        json!({"metrics": ["visitors", "conversion_rate"], "dimensions": ["event:goal"], "date_range": "day"});
    let answer = post(&test, "/query", &by_goal).await;
    let rows = json!([
        {"dimensions": ["Read the CV"], "metrics": [2, 66.67]},
        {"dimensions": ["Sign-up"], "metrics": [1, 33.33]},
    ]);
    assert_eq!(answer.body["data"]["results"], rows, "{}", answer.body);
    let filtered =
        json!({"metrics": ["visitors"], "filters": [["is", "event:goal", ["Read the CV"]]], "date_range": "day"});
    assert_eq!(post(&test, "/query", &filtered).await.body["data"]["results"][0]["metrics"], json!([2]));
}
