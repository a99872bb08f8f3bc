//! The retention run, as a call and by hand.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use common::retention::Scheduled;
use common::testing::{TestApp, store_event};
use common::time::Timestamp;
use serde_json::json;

const TOKEN: &str = "0123456789abcdef";

#[tokio::test]
async fn old_days_go_once() {
    let test = TestApp::start(&[], cleanup::router, "2025-12-08T02:00:00Z").await;
    for at in ["2025-09-08T23:59:59Z", "2025-09-09T00:00:00Z", "2025-12-08T01:00:00Z"] {
        store_event(&test.app, 1, "scroll", "/", &json!({}), at).await;
    }
    let now = Timestamp::parse("2025-12-08T02:00:00Z").unwrap();
    let Scheduled::Done(report) = cleanup::run(&test.app, now).await.unwrap() else { panic!("it waits") };
    assert_eq!((report.cutoff.to_string(), report.deleted, report.last_success), ("2025-09-09".to_owned(), 1, now));
    let Scheduled::Done(again) = cleanup::run(&test.app, now).await.unwrap() else { panic!("it waits") };
    assert_eq!(again.deleted, 0);
    assert_eq!(test.app.store.last_cleaned().await.unwrap(), Some(now));
}

/// A clock that is a year ahead deletes nothing by itself; by hand it does.
#[tokio::test]
async fn a_scheduled_run_waits_when_the_clock_is_wrong() {
    let test = TestApp::start(&[("ANALYTICS_ADMIN_TOKEN", TOKEN)], cleanup::router, "2026-12-08T02:00:00Z").await;
    for at in ["2025-12-07T23:59:59Z", "2025-12-08T01:00:00Z"] {
        store_event(&test.app, 1, "scroll", "/", &json!({}), at).await;
    }
    let (right, ahead) =
        ["2025-12-08T02:00:00Z", "2026-12-08T02:00:00Z"].map(|at| Timestamp::parse(at).unwrap()).into();
    assert!(matches!(cleanup::run(&test.app, right).await.unwrap(), Scheduled::Done(_)));
    assert_eq!(cleanup::run(&test.app, ahead).await.unwrap(), Scheduled::Waits { waiting_runs: 1 });
    assert_eq!(test.app.store.event_days(ahead).await.unwrap(), Some(right.day().plus(-1)..=right.day()));
    assert_eq!(test.app.store.last_cleaned().await.unwrap(), Some(right), "a run that waits is no success");
    let bearer = format!("Bearer {TOKEN}");
    let answer = test.post("/cleanup", &[("authorization", &bearer)], None, "").await;
    assert_eq!(answer.body["data"]["deleted"], 2);
}

#[tokio::test]
async fn a_failed_run_has_a_stable_error_type() {
    let test = TestApp::start(&[], cleanup::router, "2025-12-08T02:00:00Z").await;
    test.app.store.close().await;
    let error = cleanup::run(&test.app, test.app.now()).await.unwrap_err();
    let diagnostic = lambda_runtime::Diagnostic::from(error);
    assert_eq!(
        (&*diagnostic.error_type, &*diagnostic.error_message),
        ("StoreUnavailable", "cleanup: the store is unavailable")
    );
}

#[tokio::test]
async fn by_hand_with_the_admin_token() {
    let test = TestApp::start(&[("ANALYTICS_ADMIN_TOKEN", TOKEN)], cleanup::router, "2025-12-08T02:00:00Z").await;
    let bearer = format!("Bearer {TOKEN}");
    let answer = test.post("/cleanup", &[("authorization", &bearer)], None, "").await;
    assert_eq!((answer.status.as_u16(), &answer.body["data"]["cutoff"]), (200, &json!("2025-09-09")));
    for headers in [vec![], vec![("authorization", TOKEN)], vec![("authorization", "Bearer 0123456789abcdeX")]] {
        assert_eq!(test.post("/cleanup", &headers, None, "").await.body["code"], "UNAUTHORIZED");
    }
    let off = TestApp::start(&[], cleanup::router, "2025-12-08T02:00:00Z").await;
    assert_eq!(off.post("/cleanup", &[("authorization", &bearer)], None, "").await.status, 401);
    assert_eq!(off.post("/cleanup", &[("authorization", "Bearer ")], None, "").await.status, 401);
}
