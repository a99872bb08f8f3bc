//! What a function writes for its operator: metrics as CloudWatch embedded metric format lines,
//! logs as JSON lines, and nothing about a person.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::home::Home;
use tests::http::{get, post};
use tests::lambda::{Front, Function, SOURCE_ADDRESS};
use tests::{API, BOT, BROWSER, list, text, uuid};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Each line by the rules that CloudWatch publishes for the format.
fn valid(line: &Value) {
    assert!(line["_aws"]["Timestamp"].as_u64().is_some_and(|millis| millis > 1_700_000_000_000), "{line}");
    for directive in list(&line["_aws"]["CloudWatchMetrics"]) {
        assert_eq!(directive["Namespace"], "maicivy/analytics");
        let sets = list(&directive["Dimensions"]);
        assert_eq!(sets.len(), 1, "{line}");
        assert!((1..=30).contains(&list(&sets[0]).len()), "{line}");
        for name in list(&sets[0]) {
            let value = text(&line[text(name)]);
            assert!((1..=1_024).contains(&value.len()) && value.is_ascii(), "{name} of {line}");
        }
        let metrics = list(&directive["Metrics"]);
        assert!((1..=100).contains(&metrics.len()), "{line}");
        for metric in metrics {
            assert!(["Count", "Seconds", "None"].contains(&text(&metric["Unit"])), "{line}");
            let value = &line[text(&metric["Name"])];
            assert!(value.is_number() || value["Values"].is_array() && value["Counts"].is_array(), "{line}");
        }
    }
}

fn total(lines: &[Value], metric: &str, dimensions: &[(&str, &str)]) -> f64 {
    let matching = lines.iter().filter(|line| dimensions.iter().all(|(name, value)| line[*name] == *value));
    matching.filter_map(|line| line[metric].as_f64()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_families_are_told_before_the_answer() {
    tests::clock::away_from_midnight().await;
    let home = Home::new();
    let mut track = Function::start(&home, "track").await;
    let (visitor, event_id) = (uuid(), uuid());
    let mut told = 0;
    for (event, agent) in [
        (
            json!({"event_type": "page_view", "page_url": "/private/joe?theme=joe", "visitor_id": visitor, "event_id": event_id}),
            BROWSER,
        ),
        (
            json!({"event_type": "page_view", "page_url": "/private/joe", "visitor_id": visitor, "event_id": event_id}),
            BROWSER,
        ),
        (json!({"event_type": "letter_generate", "event_data": {"letter_type": "motivation"}}), BROWSER),
        (json!({"event_type": "joes_own_type", "event_data": {"secret": "hunter2"}}), BROWSER),
        (json!({"event_type": "page_view"}), BOT),
        (json!({"event_type": "No Type"}), BROWSER),
    ] {
        let request = post("/event", &event).header("user-agent", agent);
        track.send(Front::HttpApi, &request).await;
        // The answer is here, so the lines must be, too: the platform may freeze the environment.
        let all = lines(&track.stdout());
        let new = &all[told..];
        told = all.len();
        assert!(new.iter().all(|line| line["request_id"] == track.last_id()), "{new:?}");
        assert!((total(new, "maicivy_ingest_received_total", &[]) - 1.0).abs() < 1e-9, "{new:?}");
        assert!((total(new, "maicivy_ingest_outcomes_total", &[]) - 1.0).abs() < 1e-9, "{new:?}");
        assert!(total(new, "maicivy_analytics_request_duration_seconds", &[("endpoint", "/event")]) > 0.0, "{new:?}");
    }
    let all = lines(&track.stdout());
    all.iter().for_each(valid);
    let count = |metric: &str, dimensions: &[(&str, &str)]| total(&all, metric, dimensions) as u64;
    assert_eq!(count("maicivy_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1, "once an environment");
    assert_eq!(count("maicivy_visitors_total", &[]), 2);
    assert_eq!(count("maicivy_page_views_total", &[]), 1);
    assert_eq!(count("maicivy_letters_generated_total", &[("type", "motivation")]), 1);
    assert_eq!(count("maicivy_events_total", &[("event_type", "page_view")]), 1);
    assert_eq!(count("maicivy_events_total", &[("event_type", "custom")]), 1);
    for (outcome, reason) in
        [("stored", None), ("duplicate", None), ("filtered", Some("bot")), ("rejected", Some("INVALID_EVENT"))]
    {
        let reason = reason.map(|reason| ("reason", reason));
        let expected = if outcome == "stored" { 3 } else { 1 };
        let dimensions: Vec<_> = [("outcome", outcome)].into_iter().chain(reason).collect();
        assert_eq!(count("maicivy_ingest_outcomes_total", &dimensions), expected, "{outcome}");
    }
    assert!(total(&all, "maicivy_database_query_duration_seconds", &[]) > 0.0);
}

/// Neither lines nor logs tell who it was or what was sent, however it fails.
#[tokio::test(flavor = "multi_thread")]
async fn no_personal_data_and_no_dimension_of_a_senders_choice() {
    let home = Home::new();
    let mut track = Function::start(&home, "track").await;
    let secrets = [
        SOURCE_ADDRESS.to_owned(),
        "203.0.113.77".to_owned(),
        "JoesAgent/7.1".to_owned(),
        uuid(),
        "joe-was-here".to_owned(),
        "joe@mail.example".to_owned(),
    ];
    let [_, forwarded, agent, visitor, path, mail] = &secrets;
    for n in 0..40 {
        let event = json!({
            "event_type": format!("joe-was-here-{n}"), "page_url": format!("/{path}/{n}?theme={path}-{n}"),
            "visitor_id": visitor, "referrer": format!("https://{path}.example/"), "event_data": {"mail": mail},
        });
        for request in [
            post("/event", &event),
            post("/event", &json!({"event_type": mail, "visitor_id": visitor})),
            get(format!("{API}/{path}?mail={mail}")),
            post("/event", &json!({"event_type": "page_view", "page_url": format!("/{path}/{n}")})),
        ] {
            let request = request.header("user-agent", agent).header("x-forwarded-for", forwarded);
            track.send(Front::ALL[n % Front::ALL.len()], &request).await;
        }
    }
    let (metrics, logs) = (lines(&track.stdout()), lines(&track.stderr()));
    let written = track.written();
    for secret in &secrets {
        assert!(!written.contains(secret.as_str()), "{secret} was written:\n{written}");
    }
    let series: BTreeSet<String> = metrics
        .iter()
        .flat_map(|line| list(&line["_aws"]["CloudWatchMetrics"]).iter().map(move |about| (line, about)))
        .flat_map(|(line, about)| {
            let values: Vec<_> = list(&about["Dimensions"][0]).iter().map(|name| &line[text(name)]).collect();
            list(&about["Metrics"]).iter().map(move |metric| format!("{metric} {values:?}")).collect::<Vec<_>>()
        })
        .collect();
    assert!(series.len() < 40, "forty of each, and no series each: {series:#?}");
    // Failed requests are logged, with the platform's id.
    let failed: Vec<_> = logs.iter().filter(|line| line["status"] == 400).collect();
    assert_eq!(failed.len(), 40);
    for line in failed {
        assert_eq!(line["request_id"], line["span"]["request_id"], "{line}");
        assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_can_be_turned_off() {
    let home = Home::new().env("ANALYTICS_EMF", "false");
    let mut stats = Function::start(&home, "stats").await;
    assert_eq!(stats.send(Front::HttpApi, &get(format!("{API}/stats"))).await["statusCode"], 200);
    assert_eq!(stats.stdout(), "");
}
