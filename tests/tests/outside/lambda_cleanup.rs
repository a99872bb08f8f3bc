//! The scheduled function: its report, and how it fails.

use serde_json::json;
use tests::access_log::{AccessLog, Line};
use tests::clock::days_ago;
use tests::engine::Engine;
use tests::home::Home;
use tests::lambda::{Function, sample};
use tests::{list, text};

#[tokio::test(flavor = "multi_thread")]
async fn cleanup_takes_the_scheduled_event_and_reports() {
    let home = Home::new().env("ANALYTICS_RETENTION_DAYS", "5");
    let mut log = AccessLog::default();
    for (ago, count) in [(8, 4), (7, 3), (1, 2)] {
        for _ in 0..count {
            log.combined(days_ago(ago), Line { request: "GET /cv?theme=ai", ..Line::default() });
        }
    }
    let path = home.write("access.log", log.text());
    home.clone().env("ANALYTICS_RETENTION_DAYS", "90").run(&["import", &path]).await.expect_code(0);

    let mut cleanup = Function::start(&home, "cleanup").await;
    for deleted in [7, 0] {
        let report = cleanup.invoke(sample("schedule.json")).await.unwrap();
        assert_eq!((&report["deleted"], text(&report["cutoff"])), (&json!(deleted), &*days_ago(5).to_string()));
        assert!(report["duration_ms"].is_u64() && report["last_success"].is_string(), "{report}");
    }
    // EventBridge Scheduler hands over whatever it was told to.
    for input in [json!({}), json!(null), json!({"detail": {"x": 1}})] {
        assert_eq!(cleanup.invoke(input).await.unwrap()["deleted"], 0);
    }
    let lines = cleanup.stdout();
    assert!(lines.contains("\"maicivy_cleanup_deleted_events_total\":7"), "{lines}");
    for gauge in ["maicivy_cleanup_last_success_timestamp_seconds", "maicivy_cv_theme_views"] {
        assert!(lines.contains(gauge), "{gauge}: {lines}");
    }
    drop(cleanup);
    let server = home.serve().await;
    assert_eq!(list(&server.data("/timeline").await).len(), 2);
}

/// The alarm, the retry and the dead-letter queue see a failed invocation with a type that stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_has_a_type() {
    let home = Home::on(Engine::Sqlite);
    let mut cleanup = Function::start(&home, "cleanup").await;
    assert!(cleanup.invoke(sample("schedule.json")).await.is_ok());
    // The store's files are gone bad under the running function.
    for file in std::fs::read_dir(home.data()).unwrap() {
        let path = file.unwrap().path();
        let length = std::fs::metadata(&path).unwrap().len() as usize;
        std::fs::write(&path, vec![0xa5; length.max(4_096)]).unwrap();
    }
    let error = cleanup.invoke(sample("schedule.json")).await.unwrap_err();
    let kind = text(&error["errorType"]);
    assert!(["StoreFailed", "StoreUnavailable"].contains(&kind), "{error}");
    assert!(text(&error["errorMessage"]).starts_with("cleanup: the store"), "no internals: {error}");
    assert!(cleanup.stderr().contains(cleanup.last_id()), "the cause is in the log, with the request's id");
}

/// A function that cannot start says why, and ends.
#[tokio::test(flavor = "multi_thread")]
async fn mistakes_of_the_configuration_are_logged() {
    let home = Home::new().env("ANALYTICS_RETENTION_DAYS", "none").env("ANALYTICS_RETENTION", "1");
    let mut cleanup = Function::start(&home, "cleanup").await;
    assert_eq!(cleanup.ended().await, Some(1));
    for name in ["ANALYTICS_RETENTION_DAYS", "ANALYTICS_RETENTION "] {
        assert!(cleanup.stderr().contains(name), "{name}: {}", cleanup.stderr());
    }
}
